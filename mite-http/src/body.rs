//! What a request carries, as a user gives it: bytes, a file, a stream, or parts of all of these.
//! It is separate from the payload that is made of it because it has not been opened yet, and can often be sent twice.

use std::{
    error::Error,
    fmt,
    future::poll_fn,
    path::{Path, PathBuf},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderMap;
use http_body::Body as _;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt},
};

use crate::{
    error::{Class, Fault},
    payload::{BoxError, Measured, Payload, Pieces, Segment},
};

/// How much of a file or a reader is read at once.
const PIECE: usize = 64 * 1024;

/// The body of a request.
///
/// Bytes and text become one by themselves, as in `.body("text")`. What is larger than memory, or is not there yet, is
/// sent as it comes:
///
/// - A body whose length is known is sent with `Content-Length`: bytes, files, and streams
///   [`with_length`](Self::with_length). One that then gives more or less fails the request, with class `request`, and
///   ends its connection.
/// - Any other is sent in chunks.
///
/// A stream or a reader can be sent once only, by whichever of its clones is the first.
///
/// # Examples
///
/// ```no_run
/// use mite_core::{Context, Result};
/// use mite_http::{Body, HttpContext};
///
/// async fn upload(ctx: &mut Context) -> Result {
///     ctx.http().put("http://localhost:8080/notes/1").body("buy tea").await?.error_for_status()?;
///     ctx.http().put("http://localhost:8080/films/1").body(Body::file("film.mp4")).await?.error_for_status()?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
#[must_use = "a body is sent by the request that has it"]
pub struct Body(Kind);

#[derive(Clone)]
enum Kind {
    Whole(Bytes),
    /// Boxed, because most bodies are some bytes or none.
    Special(Box<Special>),
}

#[derive(Clone, Default)]
struct Special {
    sources: Vec<Source>,
    /// How long its user says that it is, where that can be known without.
    promised: Option<u64>,
    trailers: Option<HeaderMap>,
}

#[derive(Clone)]
enum Source {
    Bytes(Bytes),
    File(PathBuf),
    Once {
        /// `None` once they have been sent. What was sent is kept with the response, which may go to another thread.
        pieces: Arc<Mutex<Option<Pieces>>>,
        length: Option<u64>,
    },
}

impl Body {
    /// A body that comes piece by piece.
    ///
    /// An error of the stream ends the request with class `request`, and is its cause.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use futures::stream;
    /// use mite_http::{Body, Bytes};
    ///
    /// let lines = stream::iter(["one\n", "two\n"].map(|line| Ok::<_, io::Error>(Bytes::from_static(line.as_bytes()))));
    /// let body = Body::stream(lines).with_length(8);
    /// # let _ = body;
    /// ```
    pub fn stream<T, E>(stream: impl Stream<Item = Result<T, E>> + Send + 'static) -> Self
    where
        T: Into<Bytes>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::once(Box::pin(Converted(Box::pin(stream))))
    }

    /// All that a reader gives.
    ///
    /// ```
    /// # use mite_http::Body;
    /// let zeros = Body::reader(tokio::io::repeat(0)).with_length(1024 * 1024);
    /// ```
    pub fn reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Self::once(Box::pin(Reading::new(reader)))
    }

    /// What a file contains, as long as it is when the request is sent.
    ///
    /// It is opened when the request is sent: one that is not there fails it then, with class `request`, and nothing is
    /// sent.
    ///
    /// ```
    /// # use mite_http::Body;
    /// let film = Body::file("film.mp4");
    /// ```
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::of(Source::File(path.as_ref().to_owned()))
    }

    /// Says how many bytes a stream or a reader gives, so that it is sent with `Content-Length` and not in chunks.
    pub fn with_length(self, bytes: u64) -> Self {
        let mut special = self.into_special();
        match special.sources.as_mut_slice() {
            [Source::Once { length, .. }] => *length = Some(bytes),
            _ => special.promised = Some(bytes),
        }
        Self(Kind::Special(special))
    }

    /// Sends these after the body, which is sent in chunks for it. The header `Trailer` names them.
    pub fn trailers(self, trailers: HeaderMap) -> Self {
        let mut special = self.into_special();
        special.trailers = Some(trailers);
        Self(Kind::Special(special))
    }

    fn once(pieces: Pieces) -> Self {
        Self::of(Source::Once { pieces: Arc::new(Mutex::new(Some(pieces))), length: None })
    }

    fn of(source: Source) -> Self {
        Self(Kind::Special(Box::new(Special { sources: vec![source], ..Special::default() })))
    }

    /// These, one after the other.
    pub(crate) fn joined(bodies: impl IntoIterator<Item = Self>) -> Self {
        let sources = bodies.into_iter().flat_map(|body| body.into_special().sources).collect();
        Self(Kind::Special(Box::new(Special { sources, ..Special::default() })))
    }

    pub(crate) fn has_trailers(&self) -> bool {
        matches!(&self.0, Kind::Special(special) if special.trailers.is_some())
    }

    fn into_special(self) -> Box<Special> {
        match self.0 {
            Kind::Whole(bytes) => Box::new(Special { sources: vec![Source::Bytes(bytes)], ..Special::default() }),
            Kind::Special(special) => special,
        }
    }

    /// The body, if it is bytes and nothing else.
    pub(crate) fn as_whole(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Whole(bytes) => Some(bytes),
            Kind::Special(_) => None,
        }
    }

    /// Whether it can be sent a second time.
    pub(crate) fn can_be_replayed(&self) -> bool {
        match &self.0 {
            Kind::Whole(_) => true,
            Kind::Special(special) => !special.sources.iter().any(|source| matches!(source, Source::Once { .. })),
        }
    }

    /// Opens what is to be opened. `expects` is whether the server is asked before it is sent.
    pub(crate) async fn open(&self, expects: bool) -> Result<Payload, Fault> {
        match &self.0 {
            Kind::Whole(bytes) if bytes.is_empty() || !expects => Ok(Payload::whole(bytes.clone())),
            Kind::Whole(bytes) => Ok(Payload::streamed(vec![Segment::Bytes(bytes.clone())], None, true)),
            Kind::Special(special) => special.open(expects).await,
        }
    }
}

impl Special {
    async fn open(&self, expects: bool) -> Result<Payload, Fault> {
        let mut segments = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            segments.push(source.open().await?);
        }
        let length: Option<u64> = segments.iter().map(Segment::length).sum();
        if let (Some(length), Some(promised)) = (length, self.promised.filter(|promised| Some(*promised) != length)) {
            let what = format!("its body has {length} bytes, and {promised} were announced");
            return Err(Fault::new(Class::Request, what));
        }
        if length == Some(0) && self.trailers.is_none() {
            return nothing(Payload::streamed(segments, None, false)).await;
        }
        Ok(Payload::streamed(segments, self.trailers.clone(), expects))
    }
}

/// A body that was said to be empty: the transport would never look whether it is.
async fn nothing(mut payload: Payload) -> Result<Payload, Fault> {
    match poll_fn(|cx| Pin::new(&mut payload).poll_frame(cx)).await {
        None | Some(Ok(_)) => Ok(Payload::default()),
        Some(Err(error)) => {
            Err(payload.account().cause(Fault::new(Class::Request, "its body cannot be sent").because(error)))
        }
    }
}

impl Source {
    async fn open(&self) -> Result<Segment, Fault> {
        match self {
            Self::Bytes(bytes) => Ok(Segment::Bytes(bytes.clone())),
            Self::File(path) => open_file(path).await,
            Self::Once { pieces, length } => match pieces.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(pieces) => Ok(Segment::Pieces(Measured::new(pieces, *length))),
                None => Err(Fault::new(Class::Request, SPENT)),
            },
        }
    }
}

const SPENT: &str = "its body is a stream, which has been sent already: a body of bytes or a file can be sent again";

async fn open_file(path: &Path) -> Result<Segment, Fault> {
    let failed = |error| {
        Fault::new(Class::Request, format!("its body: failed to open the file {}", path.display())).because(error)
    };
    let file = File::open(path).await.map_err(failed)?;
    let metadata = file.metadata().await.map_err(failed)?;
    // A pipe or a device has no length.
    let length = metadata.is_file().then_some(metadata.len());
    let reader = file.take(length.unwrap_or(u64::MAX));
    let pieces = NamedErrors { pieces: Box::pin(Reading::new(reader)), path: path.to_owned() };
    Ok(Segment::Pieces(Measured::new(Box::pin(pieces), length)))
}

/// A stream whose pieces and errors are made those of a body.
struct Converted<S>(Pin<Box<S>>);

impl<S, T, E> Stream for Converted<S>
where
    S: Stream<Item = Result<T, E>>,
    T: Into<Bytes>,
    E: Into<BoxError>,
{
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.0.as_mut().poll_next(cx));
        Poll::Ready(next.map(|piece| piece.map(Into::into).map_err(Into::into)))
    }
}

/// What a reader gives, in pieces.
struct Reading<R> {
    reader: Pin<Box<R>>,
    buffer: BytesMut,
}

impl<R: AsyncRead> Reading<R> {
    fn new(reader: R) -> Self {
        Self { reader: Box::pin(reader), buffer: BytesMut::new() }
    }
}

impl<R: AsyncRead> Stream for Reading<R> {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { reader, buffer } = &mut *self;
        buffer.reserve(PIECE);
        // It keeps nothing between its polls, and so can be made anew for each.
        let read = ready!(pin!(reader.read_buf(buffer)).poll(cx))?;
        Poll::Ready(if read == 0 { None } else { Some(Ok(buffer.split().freeze())) })
    }
}

/// Pieces of a file, whose errors name it.
struct NamedErrors {
    pieces: Pieces,
    path: PathBuf,
}

impl Stream for NamedErrors {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.pieces.as_mut().poll_next(cx));
        Poll::Ready(next.map(|piece| piece.map_err(|error| format!("{}: {error}", self.path.display()).into())))
    }
}

impl Default for Body {
    /// No body.
    fn default() -> Self {
        Self(Kind::Whole(Bytes::new()))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }
}

/// What becomes bytes without being copied.
macro_rules! from_bytes {
    ($($owned:ty),*) => {
        $(impl From<$owned> for Body {
            fn from(owned: $owned) -> Self {
                Self::from(Bytes::from(owned))
            }
        })*
    };
}

from_bytes!(Vec<u8>, Box<[u8]>, String, BytesMut, &'static str, &'static [u8]);

impl<const N: usize> From<&'static [u8; N]> for Body {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self::from(Bytes::from_static(bytes))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => write!(f, "{} bytes", bytes.len()),
            Kind::Special(special) => f.debug_list().entries(&special.sources).finish(),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Once { length: Some(length), .. } => write!(f, "a stream of {length} bytes"),
            Self::Once { length: None, .. } => f.write_str("a stream"),
        }
    }
}

#[cfg(test)]
mod tests;
