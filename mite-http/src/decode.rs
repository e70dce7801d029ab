//! Compressed bodies, undone piece by piece as they arrive.
//! It is separate from what arrives because it knows no network: bytes go in, bytes come out, in constant memory.

#[cfg(not(feature = "compression"))]
mod absent;
#[cfg(feature = "compression")]
mod codings;
#[cfg(feature = "compression")]
mod decoder;

use bytes::Bytes;

#[cfg(not(feature = "compression"))]
pub(crate) use absent::Decoder;
#[cfg(feature = "compression")]
pub(crate) use decoder::Decoder;

/// What a decoder has to give.
#[cfg_attr(not(feature = "compression"), expect(dead_code, reason = "nothing is decoded without the feature"))]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Bytes(Bytes),
    /// It needs more of the body.
    Hungry,
    End,
}

#[cfg(all(test, feature = "compression"))]
pub(crate) mod tests;
