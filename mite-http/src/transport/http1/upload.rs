//! What of a request is still to be written: the rest of a head, and a body as it comes.
//! It is separate from the connection because few requests have one: most are written at once.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::Body;
use tokio::io::AsyncWrite;

use super::write::{CHUNK_END, Outflow, chunk_begin, last_chunk};
use crate::{
    expectation::Expectation,
    payload::{Payload, SpoiledBody},
    wire::Wire,
};

/// How much is taken from a body before it is written.
const MOST_BYTES: usize = 64 << 10;

/// How many pieces are written at once.
const MOST_PIECES: usize = 16;

/// A request on its way out.
#[derive(Debug)]
pub(super) struct Upload {
    /// What was taken from the body, as it is written.
    pieces: VecDeque<Bytes>,
    /// `None` once it has ended.
    payload: Option<Payload>,
    outflow: Outflow,
}

/// Why a request cannot be written to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection.
    Wire(io::Error),
    /// The request's own body.
    Body(SpoiledBody),
}

impl Upload {
    /// These bytes, and then the body.
    pub(super) fn new(head: Bytes, payload: Payload, outflow: Outflow) -> Self {
        let payload = Some(payload).filter(|payload| !payload.is_end_stream());
        Self { pieces: VecDeque::from([head]), payload, outflow }
    }

    /// What was not written at once of a request.
    pub(super) fn rest(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self { pieces: pieces.into_iter().collect(), payload: None, outflow: Outflow::Length(0) }
    }

    /// Who is to hear what the server says before its answer.
    pub(super) fn expectation(&self) -> Option<Expectation> {
        self.payload.as_ref()?.expectation()
    }

    /// Writes what there is; ready once nothing is left.
    pub(super) fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            self.fill(cx).map_err(Broken::Body)?;
            if self.pieces.is_empty() {
                // TLS may have taken what the socket has not.
                ready!(Pin::new(wire).poll_flush(cx)).map_err(Broken::Wire)?;
                return if self.payload.is_some() { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            let written = {
                let mut slices = [IoSlice::new(&[]); MOST_PIECES];
                let count =
                    self.pieces.iter().zip(&mut slices).map(|(piece, slice)| *slice = IoSlice::new(piece)).count();
                ready!(Pin::new(&mut *wire).poll_write_vectored(cx, &slices[..count])).map_err(Broken::Wire)?
            };
            if written == 0 {
                return Poll::Ready(Err(Broken::Wire(io::ErrorKind::WriteZero.into())));
            }
            self.advance(written);
        }
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }

    /// Takes what the body has ready, as long as there is room.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), SpoiledBody> {
        let mut bytes: usize = self.pieces.iter().map(Bytes::len).sum();
        while let Some(payload) = &mut self.payload
            && bytes < MOST_BYTES
            && self.pieces.len() + 3 <= MOST_PIECES
        {
            let Poll::Ready(frame) = Pin::new(payload).poll_frame(cx) else { return Ok(()) };
            let trailers = match frame.transpose()?.map(http_body::Frame::into_data) {
                Some(Ok(data)) => {
                    bytes += data.len();
                    self.push(data);
                    continue;
                }
                Some(Err(frame)) => frame.into_trailers().ok(),
                None => None,
            };
            self.payload = None;
            match self.outflow {
                Outflow::Chunks => self.pieces.push_back(last_chunk(trailers.as_ref())),
                Outflow::Length(0) => {}
                // Whoever made the body is held to its length: see `payload`.
                Outflow::Length(_) => return Err(SpoiledBody),
            }
        }
        Ok(())
    }

    fn push(&mut self, mut data: Bytes) {
        if data.is_empty() {
            return;
        }
        match &mut self.outflow {
            Outflow::Chunks => self.pieces.extend([chunk_begin(data.len()), data, CHUNK_END]),
            Outflow::Length(left) => {
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                self.pieces.push_back(data);
            }
        }
    }
}
