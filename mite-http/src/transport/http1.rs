//! HTTP/1.1 in the task of the journey: one write for a plain request, one read for its response, and no buffer while idle.
//! What is read and written is decided in the modules below; here alone it is done.

mod body;
mod head;
mod scratch;
mod upload;
mod write;

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    mem,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http::Version;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

pub(crate) use self::scratch::Scratch;
use self::{
    body::{BadChunk, Delimited},
    head::{Final, Parsed},
    upload::{Broken, Upload},
    write::{Outflow, Persistence, Said},
};
use super::{Answer, CLOSED, Incoming, NOT_HTTP1, Piece, UNSENDABLE, broken_off, tls_fault};
use crate::{
    error::{Class, Fault},
    expectation::Expectation,
    head::{Head, Headers},
    outgoing::Outgoing,
    payload::Payload,
    wire::{Marks, Wire},
};

/// Bodies up to this length are written in one piece with their head: to copy them is cheaper than to write from two places.
const SMALL: usize = 2 << 10;

/// From this length on, what is left of a body is read to where it will stay.
const LARGE: u64 = 32 << 10;

/// What is read at once of a large body.
const LARGE_PIECE: usize = 64 << 10;

/// The same with TLS, which clears what it is given to read into, and has no more than this in one record.
const LARGE_RECORD: usize = 16 << 10;

/// A head that came in pieces is looked at again with each of them while it is as short as this, and with each line after
/// that: to parse a long one for each byte would take forever.
const SHORT_HEAD: usize = 4 << 10;

/// A connection of HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Http1 {
    wire: Wire,
    scratch: Rc<Scratch>,
    /// What was read and belongs to no head.
    unread: Bytes,
    /// The beginning of a head of which the rest is still to come.
    partial: Vec<u8>,
    /// What is still to come of the response.
    body: Delimited,
    /// Why the body will break off after what was handed up of it.
    broken: Option<BadChunk>,
    /// What is still to be written of the request.
    upload: Option<Box<Upload>>,
    /// Who hears interim responses.
    expectation: Option<Expectation>,
    /// What the server has answered in.
    version: Version,
    /// Whether the request that was sent last is a `HEAD`.
    to_head: bool,
    /// Whether neither side has said that the connection ends with this exchange.
    keeps_alive: bool,
}

impl Http1 {
    pub(crate) fn new(wire: Wire, scratch: Rc<Scratch>) -> Self {
        Self {
            wire,
            scratch,
            unread: Bytes::new(),
            partial: Vec::new(),
            body: Delimited::NOTHING,
            broken: None,
            upload: None,
            expectation: None,
            version: Version::HTTP_11,
            to_head: false,
            keeps_alive: true,
        }
    }

    /// See [`Connection::send`](super::Connection::send). Not an `async` function, which would hold all that it is given twice.
    pub(crate) fn send(
        &mut self,
        request: &Outgoing<'_>,
        payload: &mut Option<Payload>,
    ) -> impl Future<Output = Result<Answer, Fault>> {
        self.marks().reset();
        poll_fn(move |cx| {
            self.begin(request, payload, cx)?;
            self.poll_answer(cx)
        })
    }

    /// Writes what can be written of `request` at once, unless that has been done.
    fn begin(
        &mut self,
        request: &Outgoing<'_>,
        payload: &mut Option<Payload>,
        cx: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let Some(given) = payload.take() else { return Ok(()) };
        let said = Said::of(request, &given);
        if self.version == Version::HTTP_10 && said.body == Outflow::Chunks {
            // Another connection may lead to a server that knows them.
            *payload = Some(given);
            return Err(Fault::new(Class::Request, CHUNKS_TO_HTTP10));
        }
        self.keeps_alive = said.persistence != Persistence::Closes;
        self.to_head = said.is_head;
        let Self { wire, scratch, version, upload, .. } = self;
        let begun = scratch.writing(|out| {
            write::head(out, request, said, *version);
            match &given {
                Payload::Whole(body) if said.body != Outflow::Chunks => write_whole(wire, out, body, cx),
                Payload::Whole(_) | Payload::Streamed(_) => Ok(Begun::Head(Bytes::copy_from_slice(out))),
            }
        });
        match begun {
            Ok(Begun::Whole) => Ok(()),
            Ok(Begun::Some(rest)) => {
                *upload = Some(rest);
                Ok(())
            }
            Ok(Begun::Head(head)) => {
                let rest = Upload::new(head, given, said.body);
                self.expectation = rest.expectation();
                self.upload = Some(Box::new(rest));
                Ok(())
            }
            Err(error) => {
                // Where the first write to a socket fails, nothing has left; TLS may have written before it failed.
                *payload = self.wire.is_bare().then_some(given);
                Err(fault_of(error))
            }
        }
    }

    /// The answer, while the rest of the request is written.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Fault>> {
        let pumped = self.pump(cx);
        // What the server has said before it stopped to read comes first.
        let answer = match self.poll_head(cx) {
            Poll::Ready(answer) => answer,
            Poll::Pending => match pumped {
                Ok(()) => return Poll::Pending,
                Err(Broken::Wire(error)) => Err(fault_of(error)),
                Err(Broken::Body(error)) => Err(Fault::new(Class::Request, UNSENDABLE).because(error)),
            },
        };
        if self.expectation.take().is_some() {
            // Where its word came with the answer, the server still waits for the body. That it breaks is no matter any more.
            let _ = self.pump(cx);
        }
        Poll::Ready(answer)
    }

    /// Writes on, if there is anything left to write. What broke is not used again.
    fn pump(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        match upload.poll(&mut self.wire, cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.upload = None;
                Ok(())
            }
            Poll::Ready(Err(broken)) => {
                self.upload = None;
                self.keeps_alive = false;
                Err(broken)
            }
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Fault>> {
        let scratch = Rc::clone(&self.scratch);
        loop {
            let answer = ready!(scratch.reading(|input| {
                let read = ready!(poll_read(&mut self.wire, cx, input)).map_err(fault_of)?;
                Poll::Ready(self.hear(&input[..read]))
            }))?;
            if let Some(answer) = answer {
                return Poll::Ready(Ok(answer));
            }
        }
    }

    /// The answer, once its head is whole.
    fn hear(&mut self, input: &[u8]) -> Result<Option<Answer>, Fault> {
        if input.is_empty() {
            return Err(Fault::new(Class::Closed, CLOSED).because(ENDED));
        }
        if self.partial.is_empty() {
            return self.head(input);
        }
        self.partial.extend_from_slice(input);
        let length = self.partial.len();
        if !(SHORT_HEAD..head::MAX_HEAD).contains(&length) || input.contains(&b'\n') {
            let all = mem::take(&mut self.partial);
            return self.head(&all);
        }
        Ok(None)
    }

    /// The answer whose head `input` begins with, after any interim responses.
    fn head(&mut self, mut input: &[u8]) -> Result<Option<Answer>, Fault> {
        while !input.is_empty() {
            let parsed = head::parse(input, self.to_head)
                .map_err(|error| Fault::new(Class::Protocol, NOT_HTTP1).because(error))?;
            match parsed {
                Parsed::Partial => {
                    self.partial = input.to_vec();
                    break;
                }
                Parsed::Interim(status, length) => {
                    if let Some(expectation) = &self.expectation {
                        expectation.said(status);
                    }
                    input = &input[length..];
                }
                Parsed::Final(head) => return Ok(Some(self.answer(head, input))),
            }
        }
        Ok(None)
    }

    fn answer(&mut self, parsed: Final, input: &[u8]) -> Answer {
        let Final { status, version, length, body, keeps_alive, sets_cookies } = parsed;
        let (raw, rest) = input.split_at(length);
        self.unread = Bytes::copy_from_slice(rest);
        self.keeps_alive &= keeps_alive;
        self.version = version;
        let announced = body.announced();
        self.body = body;
        let head = Head { status, version, headers: Headers::of_http1(raw, sets_cookies) };
        Answer { head, body: Incoming::Http1(announced) }
    }

    /// Takes so many bytes of what was read, and lets go of its memory with the last of them.
    fn take(&mut self, count: usize) -> Bytes {
        if count == self.unread.len() { mem::take(&mut self.unread) } else { self.unread.split_to(count) }
    }

    /// All of the body, if it has come with the head.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        let is_here = matches!(self.body, Delimited::Length(length) if length == self.unread.len() as u64);
        (is_here && self.upload.is_none()).then(|| {
            self.body = Delimited::NOTHING;
            mem::take(&mut self.unread)
        })
    }

    /// See [`Connection::poll_piece`](super::Connection::poll_piece).
    pub(crate) fn poll_piece(
        &mut self,
        keep: bool,
        received: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, Fault>>> {
        // A server that does not want the rest of the request may still answer to the end.
        if let Err(Broken::Body(error)) = self.pump(cx) {
            return Poll::Ready(Some(Err(Fault::new(Class::Body, broken_off(received)).because(error))));
        }
        let piece = loop {
            match &mut self.body {
                Delimited::Length(0) => break Ok(None),
                Delimited::Chunks(chunks) if self.broken.is_none() && chunks.is_done() => {
                    break chunks.take_trailers().map(|trailers| trailers.map(Piece::Trailers)).map_err(Cause::Chunk);
                }
                _ => {}
            }
            if let Some(bad) = self.broken {
                break Err(Cause::Chunk(bad));
            }
            let polled = match self.read_before() {
                Some(piece) => Ok(Some(piece)),
                None => ready!(self.poll_body(keep, cx)),
            };
            // Of chunks, what was read may have been anything but data.
            if !matches!(polled, Ok(Some(Piece::Skipped(0)))) {
                break polled;
            }
        };
        Poll::Ready(match piece {
            Ok(piece) => piece.map(Ok),
            Err(cause) => {
                self.keeps_alive = false;
                Some(Err(cause.fault(received)))
            }
        })
    }

    /// What came with the head.
    fn read_before(&mut self) -> Option<Piece> {
        if self.unread.is_empty() {
            return None;
        }
        let all = self.unread.len();
        match &mut self.body {
            Delimited::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(all);
                *left -= count as u64;
                Some(Piece::Data(self.take(count)))
            }
            Delimited::Close => Some(Piece::Data(self.take(all))),
            Delimited::Chunks(_) => {
                let unread = mem::take(&mut self.unread);
                Some(self.decode(&unread, true))
            }
        }
    }

    /// Undoes the chunks in what was read; what follows them stays.
    fn decode(&mut self, input: &[u8], keep: bool) -> Piece {
        let Delimited::Chunks(chunks) = &mut self.body else { return Piece::Skipped(0) };
        let (mut skipped, mut kept) = (0, BytesMut::new());
        let decoded = chunks.decode(input, |data| {
            skipped += data.len() as u64;
            if keep {
                kept.reserve(if kept.is_empty() { input.len() } else { 0 });
                kept.extend_from_slice(data);
            }
        });
        match decoded {
            Ok(used) if used < input.len() => self.unread = Bytes::copy_from_slice(&input[used..]),
            Ok(_) => {}
            Err(bad) => self.broken = Some(bad),
        }
        if kept.is_empty() { Piece::Skipped(skipped) } else { Piece::Data(kept.freeze()) }
    }

    /// Reads once of the body.
    fn poll_body(&mut self, keep: bool, cx: &mut Context<'_>) -> Poll<Result<Option<Piece>, Cause>> {
        if keep && let Delimited::Length(left @ LARGE..) = self.body {
            return self.poll_large(left, cx);
        }
        let scratch = Rc::clone(&self.scratch);
        scratch.reading(|input| {
            let read = ready!(poll_read(&mut self.wire, cx, input)).map_err(Cause::Wire)?;
            let input = &input[..read];
            let piece = match &mut self.body {
                Delimited::Close if read == 0 => {
                    self.body = Delimited::NOTHING;
                    self.keeps_alive = false;
                    return Poll::Ready(Ok(None));
                }
                _ if read == 0 => return Poll::Ready(Err(Cause::End)),
                Delimited::Chunks(_) => return Poll::Ready(Ok(Some(self.decode(input, keep)))),
                Delimited::Close => input,
                Delimited::Length(left) => {
                    let (piece, surplus) = input.split_at(usize::try_from(*left).unwrap_or(usize::MAX).min(read));
                    *left -= piece.len() as u64;
                    self.unread = Bytes::copy_from_slice(surplus);
                    piece
                }
            };
            Poll::Ready(Ok(Some(if keep {
                Piece::Data(Bytes::copy_from_slice(piece))
            } else {
                Piece::Skipped(piece.len() as u64)
            })))
        })
    }

    /// Reads once of a body of which much is left, to where it will stay.
    fn poll_large(&mut self, left: u64, cx: &mut Context<'_>) -> Poll<Result<Option<Piece>, Cause>> {
        // Of what is read to the last place of a buffer, the runtime would ask the socket for more.
        let most = if self.wire.is_bare() { LARGE_PIECE } else { LARGE_RECORD };
        let room = usize::try_from(left).map_or(most, |left| (left + 1).min(most));
        let mut piece = BytesMut::with_capacity(room);
        // It keeps nothing between its polls, and so can be made anew for each.
        let read = ready!(pin!(self.wire.read_buf(&mut piece)).poll(cx)).map_err(Cause::Wire)?;
        if read == 0 {
            return Poll::Ready(Err(Cause::End));
        }
        if read as u64 > left {
            self.unread = piece.split_off(left as usize).freeze();
        }
        self.body = Delimited::Length(left - piece.len() as u64);
        Poll::Ready(Ok(Some(Piece::Data(piece.freeze()))))
    }

    /// Whether the exchange is over on both sides, and neither has said that the connection is.
    pub(crate) fn is_free(&self) -> bool {
        let is_over = self.body.is_done() && self.upload.is_none() && self.broken.is_none();
        self.keeps_alive && is_over && self.unread.is_empty() && self.partial.is_empty()
    }

    /// Whether an idle connection is open, and nothing has come that nobody asked for.
    pub(crate) fn is_open(&mut self) -> bool {
        let Self { wire, scratch, .. } = self;
        !wire.may_have_news() || scratch.reading(|input| poll_read(wire, &mut nobody(), input).is_pending())
    }

    pub(crate) fn marks(&self) -> &Rc<Marks> {
        self.wire.marks()
    }
}

/// Nobody waits for an idle connection.
fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// What has been written of a request.
enum Begun {
    Whole,
    Some(Box<Upload>),
    /// Nothing: this is its head.
    Head(Bytes),
}

/// Writes a request whose body is at hand.
fn write_whole(wire: &mut Wire, head: &mut Vec<u8>, body: &Bytes, cx: &mut Context<'_>) -> io::Result<Begun> {
    let all = head.len() + body.len();
    let mut wire = Pin::new(wire);
    let (polled, body) = if body.len() <= SMALL {
        head.extend_from_slice(body);
        (wire.as_mut().poll_write(cx, head), Bytes::new())
    } else {
        (wire.as_mut().poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]), body.clone())
    };
    let written = match polled {
        Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
        Poll::Ready(written) => written?,
        Poll::Pending => 0,
    };
    // TLS may have taken what the socket has not.
    if written == all && wire.poll_flush(cx)?.is_ready() {
        return Ok(Begun::Whole);
    }
    let rest_of_head = Bytes::copy_from_slice(head.get(written..).unwrap_or_default());
    let rest_of_body = body.slice(written.saturating_sub(head.len())..);
    let rest = [rest_of_head, rest_of_body].into_iter().filter(|piece| !piece.is_empty());
    Ok(Begun::Some(Box::new(Upload::rest(rest))))
}

fn poll_read(wire: &mut Wire, cx: &mut Context<'_>, input: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut input = ReadBuf::new(input);
    ready!(Pin::new(wire).poll_read(cx, &mut input))?;
    Poll::Ready(Ok(input.filled().len()))
}

/// Why a body broke off.
enum Cause {
    Wire(io::Error),
    Chunk(BadChunk),
    End,
}

impl Cause {
    fn fault(self, received: u64) -> Fault {
        let fault = || Fault::new(Class::Body, broken_off(received));
        match self {
            Self::Wire(error) => tls_fault(&error).unwrap_or_else(fault).because(error),
            Self::Chunk(bad) => fault().because(bad),
            Self::End => fault().because(ENDED),
        }
    }
}

/// What a connection that broke means for a request that was not answered.
fn fault_of(error: io::Error) -> Fault {
    tls_fault(&error).unwrap_or_else(|| Fault::new(Class::Closed, CLOSED)).because(error)
}

const ENDED: &str = "the connection was closed in the middle of a message";

const CHUNKS_TO_HTTP10: &str = "its body is sent in chunks, which the server does not know: it answers in HTTP/1.0";

#[cfg(test)]
mod tests;
