//! What stands in for decoders without the feature `compression`: there are none.
//! It is separate so that nobody else asks which features there are.

use bytes::Bytes;
use http::HeaderMap;

use super::Decoded;
use crate::error::Fault;

/// Never there.
#[derive(Debug)]
pub(crate) enum Decoder {}

impl Decoder {
    pub(crate) fn of(_: &HeaderMap) -> Option<Self> {
        None
    }

    pub(crate) fn feed(&mut self, _: Bytes) {
        match *self {}
    }

    pub(crate) fn end(&mut self) {
        match *self {}
    }

    pub(crate) fn next(&mut self) -> Result<Decoded, Fault> {
        match *self {}
    }
}
