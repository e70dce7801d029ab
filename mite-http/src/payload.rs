//! The body of a request on its way out.
//! It is separate from the draft because the transport takes it piece by piece, and may give it back unsent.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body that is sent.
#[derive(Debug)]
pub(crate) struct Payload {
    /// Nothing, or what is left to be sent.
    whole: Option<Bytes>,
}

impl Payload {
    /// These bytes in one piece.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { whole: Some(bytes).filter(|bytes| !bytes.is_empty()) }
    }

    /// The same body once more, if none of it has been sent.
    #[cfg(feature = "http2")]
    pub(crate) fn replay(&self) -> Self {
        Self { whole: self.whole.clone() }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(self.whole.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.whole.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.whole.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
