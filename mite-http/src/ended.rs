//! What came of one request: the facts that reports, messages and callbacks are made of.
//! It is separate from the response because a request may have none, or one whose body was a stream.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};

use crate::{error::HttpError, exchange::Sizes, response::Response, sent::Sent, timing::Timings};

/// One request that was sent, and what came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) sent: &'a Sent,
    pub(crate) timings: &'a Timings,
    pub(crate) outcome: Result<Answered<'a>, &'a HttpError>,
}

/// A response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) sizes: Sizes,
    /// The body, if it was read whole.
    pub(crate) body: Option<&'a Bytes>,
}

impl<'a> From<&'a Response> for Answered<'a> {
    fn from(response: &'a Response) -> Self {
        Self {
            status: response.status(),
            version: response.version(),
            headers: response.headers(),
            remote: response.remote_addr(),
            sizes: response.sizes(),
            body: response.content(),
        }
    }
}
