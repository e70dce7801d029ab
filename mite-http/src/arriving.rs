//! The body of a response as it arrives over its connection.
//! It is separate from the transport, which hands over pieces, because what becomes of them is the journey's wish: they
//! are gathered, forgotten, or given out one by one.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::{
    error::Fault,
    transport::{Connection, Incoming},
};

/// What is set aside for a body at most before its bytes have come: a server's `Content-Length` is only a claim.
const MAX_RESERVED: u64 = 1 << 20;

/// A body of which some may have come, and some is still to come.
#[derive(Debug)]
pub(crate) struct Arriving {
    incoming: Incoming,
    received: u64,
    trailers: Option<Box<HeaderMap>>,
}

impl Arriving {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self { incoming, received: 0, trailers: None }
    }

    /// Bytes that have come.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// What followed the body, once it has ended.
    pub(crate) fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.trailers.take()
    }

    /// The next bytes, or `None` when the body has ended.
    pub(crate) fn poll_next(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            let frame = match connection.poll_frame(&mut self.incoming, self.received, cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(fault))) => return Poll::Ready(Some(Err(fault))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            };
            match frame.into_data() {
                Ok(data) => {
                    self.received += data.len() as u64;
                    return Poll::Ready(Some(Ok(data)));
                }
                Err(frame) => self.trailers = frame.into_trailers().ok().map(Box::new),
            }
        }
    }

    /// All of the body.
    pub(crate) async fn gather(&mut self, connection: &mut Connection) -> Result<Bytes, Fault> {
        let announced = self.incoming.announced().min(MAX_RESERVED) as usize;
        let mut whole = Gathered::Nothing;
        poll_fn(|cx| {
            loop {
                match self.poll_next(connection, cx) {
                    Poll::Ready(Some(Ok(data))) => whole.push(data, announced),
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
