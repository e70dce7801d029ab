//! The body of a response as it arrives over its connection.
//! It is separate from the transport, which hands over pieces, because what becomes of them is the journey's wish: they
//! are gathered, forgotten, or given out one by one.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::task::coop::poll_proceed;

use crate::{
    decode::{Decoded, Decoder},
    error::{Class, Fault},
    transport::{Connection, Incoming, Piece},
};

/// What is set aside for a body at most before its bytes have come: a server's `Content-Length` is only a claim.
const MAX_RESERVED: u64 = 1 << 20;

/// What is to become of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// The most bytes that it may have, as they come and decoded.
    pub(crate) max: u64,
    /// Whether it is read and forgotten.
    pub(crate) discard: bool,
    /// Whether its codings are undone.
    pub(crate) decode: bool,
}

/// A body of which some may have come, and some is still to come.
#[derive(Debug)]
pub(crate) struct Arriving {
    raw: Raw,
    decoding: Option<Box<Decoding>>,
}

/// A body as it comes over the network.
#[derive(Debug)]
struct Raw {
    incoming: Incoming,
    received: u64,
    trailers: Option<Box<HeaderMap>>,
}

/// What undoes the codings of a body.
#[derive(Debug)]
struct Decoding {
    decoder: Decoder,
    decoded: u64,
}

impl Arriving {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self { raw: Raw { incoming, received: 0, trailers: None }, decoding: None }
    }

    /// Undoes the codings that `headers` name, from here on.
    pub(crate) fn decode(&mut self, headers: &HeaderMap) {
        self.decoding = Decoder::of(headers).map(|decoder| Box::new(Decoding { decoder, decoded: 0 }));
    }

    /// Bytes that have come.
    pub(crate) fn received(&self) -> u64 {
        self.raw.received
    }

    /// Bytes that have come, after decoding.
    pub(crate) fn decoded(&self) -> u64 {
        self.decoding.as_ref().map_or(self.raw.received, |decoding| decoding.decoded)
    }

    /// What followed the body, once it has ended.
    pub(crate) fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.raw.trailers.take()
    }

    /// The next bytes, or `None` when the body has ended.
    pub(crate) fn poll_next(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        self.poll_piece(connection, true, cx)
    }

    /// The next bytes, of which nothing but their number is known where nobody wants to keep them.
    fn poll_piece(
        &mut self,
        connection: &mut Connection,
        keep: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        match &mut self.decoding {
            None => self.raw.poll_next(connection, keep, cx),
            Some(decoding) => decoding.poll_next(&mut self.raw, connection, cx),
        }
    }

    /// All of the body, unless it is more than the `wish` says; or nothing, if that is the wish.
    pub(crate) async fn gather(&mut self, connection: &mut Connection, wish: &Wish) -> Result<Bytes, Fault> {
        let announced = self.raw.incoming.announced();
        if announced > wish.max {
            return Err(too_large(wish.max));
        }
        if self.decoding.is_none()
            && let Some(whole) = connection.take_whole()
        {
            self.raw.received = announced;
            return Ok(if wish.discard { Bytes::new() } else { whole });
        }
        let announced = announced.min(MAX_RESERVED) as usize;
        let mut whole = Gathered::Nothing;
        poll_fn(|cx| {
            loop {
                match self.poll_piece(connection, !wish.discard, cx) {
                    Poll::Ready(Some(Ok(data))) => {
                        if self.decoded() > wish.max || self.raw.received > wish.max {
                            return Poll::Ready(Err(too_large(wish.max)));
                        }
                        if !wish.discard {
                            whole.push(data, announced);
                        }
                    }
                    Poll::Ready(Some(Err(fault))) => return Poll::Ready(Err(fault)),
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await?;
        Ok(whole.into_bytes())
    }
}

impl Raw {
    fn poll_next(
        &mut self,
        connection: &mut Connection,
        keep: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            match ready!(connection.poll_piece(&mut self.incoming, keep, self.received, cx)) {
                Some(Ok(Piece::Data(data))) => {
                    self.received += data.len() as u64;
                    return Poll::Ready(Some(Ok(data)));
                }
                Some(Ok(Piece::Skipped(count))) => {
                    self.received += count;
                    return Poll::Ready(Some(Ok(Bytes::new())));
                }
                Some(Ok(Piece::Trailers(trailers))) => self.trailers = Some(trailers),
                Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Decoding {
    fn poll_next(
        &mut self,
        raw: &mut Raw,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        // A few bytes may become gigabytes, which must not keep the worker from everything else.
        let turn = ready!(poll_proceed(cx));
        loop {
            match self.decoder.next() {
                Ok(Decoded::Bytes(bytes)) => {
                    self.decoded += bytes.len() as u64;
                    turn.made_progress();
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Ok(Decoded::End) => return Poll::Ready(None),
                Err(fault) => return Poll::Ready(Some(Err(fault))),
                Ok(Decoded::Hungry) => {}
            }
            match ready!(raw.poll_next(connection, true, cx)) {
                Some(Ok(bytes)) => self.decoder.feed(bytes),
                Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
                None => self.decoder.end(),
            }
        }
    }
}

fn too_large(max: u64) -> Fault {
    let what = format!(
        "the response's body is larger than the limit of {max} bytes: raise that with `.max_body(bytes)`, or read the \
         body with `.stream()` or `.discard()`, which have none"
    );
    Fault::new(Class::Body, what)
}

/// Pieces of a body. Most bodies come in one piece, which is not copied.
enum Gathered {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Gathered {
    fn push(&mut self, data: Bytes, announced: usize) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => Self::One(data),
            Self::One(first) => {
                let mut all = BytesMut::with_capacity(announced.max(first.len() + data.len()));
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
                Self::Many(all)
            }
            Self::Many(mut all) => {
                all.extend_from_slice(&data);
                Self::Many(all)
            }
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(data) => data,
            Self::Many(data) => data.freeze(),
        }
    }
}

#[cfg(test)]
mod tests;
