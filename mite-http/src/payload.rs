//! The body of a request on its way out.
//! It is separate from the body that a user gives because the transport takes it piece by piece, and may give it back
//! unsent.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, EXPECT, TRAILER, TRANSFER_ENCODING},
};
use http_body::{Body, Frame, SizeHint};

use crate::{
    error::{Class, Fault},
    expectation::{Expectation, Permission},
};

/// What a body's stream fails with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The pieces of a body that are not all at hand.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// A body that is sent.
#[derive(Debug)]
pub(crate) enum Payload {
    /// These bytes in one piece; none once they are sent.
    Whole(Bytes),
    /// Boxed, because few bodies are more than some bytes, and each request moves one.
    Streamed(Box<Streamed>),
}

/// A body of several segments, one after the other.
#[derive(Debug)]
pub(crate) struct Streamed {
    segments: VecDeque<Segment>,
    /// How long it is in all, if that is known.
    length: Option<u64>,
    trailers: Option<HeaderMap>,
    permission: Option<Permission>,
    sending: Rc<Sending>,
}

/// A part of a streamed body.
pub(crate) enum Segment {
    Bytes(Bytes),
    Pieces(Measured),
}

/// What is known of a body that is being sent, for whoever waits for the answer.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    given: Cell<u64>,
    fault: RefCell<Option<Fault>>,
    expectation: Option<Expectation>,
}

/// What the sender of a request keeps of its body.
#[derive(Debug)]
pub(crate) enum Account {
    Whole(u64),
    Streamed(Rc<Sending>),
}

impl Payload {
    /// These bytes in one piece.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }

    /// These segments, and then, where there are any, trailers. `expects` is whether the server is asked first.
    pub(crate) fn streamed(segments: Vec<Segment>, trailers: Option<HeaderMap>, expects: bool) -> Self {
        let length: Option<u64> = segments.iter().map(Segment::length).sum();
        // Trailers can follow chunks only.
        let length = length.filter(|_| trailers.is_none());
        let (expectation, permission) = expects.then(Expectation::new).unzip();
        let sending = Rc::new(Sending { expectation, ..Sending::default() });
        Self::Streamed(Box::new(Streamed { segments: segments.into(), length, trailers, permission, sending }))
    }

    /// How many bytes it has, if that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Streamed(streamed) => streamed.length,
        }
    }

    /// The same body once more, if none of it has been sent and it can be had again.
    #[cfg(feature = "http2")]
    pub(crate) fn replay(&self) -> Option<Self> {
        match self {
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Streamed(_) => None,
        }
    }

    /// What lets it go, where it waits for the server's word.
    pub(crate) fn expectation(&self) -> Option<Expectation> {
        match self {
            Self::Whole(_) => None,
            Self::Streamed(streamed) => streamed.expectation(),
        }
    }

    /// What is left to know of it once it is handed down.
    pub(crate) fn account(&self) -> Account {
        match self {
            Self::Whole(bytes) => Account::Whole(bytes.len() as u64),
            Self::Streamed(streamed) => Account::Streamed(Rc::clone(&streamed.sending)),
        }
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = SpoiledBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Streamed(streamed) => streamed.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Streamed(streamed) => streamed.segments.is_empty() && streamed.trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Streamed {
    fn expectation(&self) -> Option<Expectation> {
        self.sending.expectation.clone()
    }

    /// Adds the headers that say how it is sent; or what is wrong with those that there are. A `Content-Length` is added by
    /// the transport.
    pub(crate) fn describe(&self, headers: &mut HeaderMap) -> Result<(), String> {
        let given = headers.get_all(CONTENT_LENGTH);
        match self.length.map(HeaderValue::from) {
            Some(length) if given.iter().any(|given| given != length) => {
                let length = self.length.unwrap_or_default();
                return Err(format!("its Content-Length is not that of its body, {length} bytes"));
            }
            None if given.iter().next().is_some() => return Err(NO_LENGTH.to_owned()),
            Some(_) => {}
            // Without it the transport would send no body with a GET.
            None => {
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
        }
        if let Some(trailers) = &self.trailers {
            let names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
            let names = HeaderValue::try_from(names.join(", ")).map_err(|error| format!("its trailers: {error}"))?;
            headers.insert(TRAILER, names);
        }
        if self.permission.is_some() {
            headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        }
        Ok(())
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SpoiledBody>>> {
        if let Some(permission) = &mut self.permission {
            ready!(permission.poll_granted(cx));
            self.permission = None;
        }
        while let Some(segment) = self.segments.front_mut() {
            match ready!(segment.poll_next(cx)) {
                Some(Ok(bytes)) => {
                    if segment.is_spent() {
                        self.segments.pop_front();
                    }
                    self.sending.given.set(self.sending.given.get() + bytes.len() as u64);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Err(fault)) => {
                    self.segments.clear();
                    self.sending.fault.replace(Some(fault));
                    return Poll::Ready(Some(Err(SpoiledBody)));
                }
                None => {
                    self.segments.pop_front();
                }
            }
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl Segment {
    /// How many bytes it has, if that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Pieces(measured) => measured.length,
        }
    }

    fn is_spent(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Pieces(measured) => measured.pieces.is_none(),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        match self {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Self::Pieces(measured) => measured.poll_next(cx),
        }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("length", &self.length()).finish_non_exhaustive()
    }
}

/// Pieces that are held to the length that they were said to have.
///
/// The last of the bytes are held back until the pieces have ended: a surplus would otherwise never be seen, since the
/// transport asks for nothing after them.
pub(crate) struct Measured {
    /// `None` once they have ended.
    pieces: Option<Pieces>,
    length: Option<u64>,
    given: u64,
    held: Option<Bytes>,
}

impl Measured {
    pub(crate) fn new(pieces: Pieces, length: Option<u64>) -> Self {
        Self { pieces: Some(pieces), length, given: 0, held: None }
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        while let Some(pieces) = &mut self.pieces {
            match ready!(pieces.as_mut().poll_next(cx)) {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    self.given += bytes.len() as u64;
                    match self.length {
                        Some(length) if self.given > length => {
                            return Poll::Ready(Some(Err(wrong_length(format!(
                                "its body has more than the {length} bytes that were announced"
                            )))));
                        }
                        Some(length) if self.given == length => self.held = Some(bytes),
                        _ => return Poll::Ready(Some(Ok(bytes))),
                    }
                }
                Some(Err(error)) => {
                    let fault = Fault::new(Class::Request, "the stream of its body failed").because(error);
                    return Poll::Ready(Some(Err(fault)));
                }
                None => {
                    self.pieces = None;
                    if let Some(length) = self.length.filter(|length| self.given < *length) {
                        let what = format!("its body ended after {} of the {length} bytes announced", self.given);
                        return Poll::Ready(Some(Err(wrong_length(what))));
                    }
                }
            }
        }
        Poll::Ready(self.held.take().map(Ok))
    }
}

const NO_LENGTH: &str = "its Content-Length is not that of its body, which is sent in chunks: a stream's length is given \
     by `Body::with_length`, and trailers need chunks";

fn wrong_length(what: String) -> Fault {
    Fault::new(Class::Request, what)
}

impl Account {
    /// The answer has begun: a body that still waits for the server's word is not sent any more.
    pub(crate) fn answered(&self) {
        if let Self::Streamed(sending) = self
            && let Some(expectation) = &sending.expectation
        {
            expectation.answered();
        }
    }

    /// Bytes of body that were given to the connection.
    pub(crate) fn sent(&self) -> u64 {
        match self {
            Self::Whole(length) => *length,
            Self::Streamed(sending) => sending.given.get(),
        }
    }

    /// Why the request failed: where its own body did, what the transport says of it is a consequence.
    pub(crate) fn cause(&self, fault: Fault) -> Fault {
        match self {
            Self::Whole(_) => fault,
            Self::Streamed(sending) => sending.fault.take().unwrap_or(fault),
        }
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::Whole(0)
    }
}

/// What the transport is told when a body fails; why is in the [`Account`].
#[derive(Debug)]
pub(crate) struct SpoiledBody;

impl fmt::Display for SpoiledBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of the request failed")
    }
}

impl std::error::Error for SpoiledBody {}
