//! One response, on its way to the last or the last itself, as a session's callback sees it.
//! It is separate from the response because a redirect has no journey that holds one, and a streamed body is not there yet.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::{ended::Answered, fields::Fields, sent::Sent, timing::Timings};

/// A response that has just come, before the journey has it: each redirect on the way, and the last.
///
/// ```
/// use mite_http::Settings;
///
/// let settings = Settings::new().on_response(|hop, fields| {
///     fields.add("is_redirect", hop.status().is_redirection());
///     fields.add("cache", hop.headers().get("x-cache").and_then(|value| value.to_str().ok()));
/// });
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    pub(crate) name: Option<&'a str>,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) timings: &'a Timings,
    pub(crate) body: Option<&'a Bytes>,
}

impl<'a> Hop<'a> {
    pub(crate) fn of(sent: &'a Sent, timings: &'a Timings, answered: &Answered<'a>) -> Self {
        Self {
            method: sent.method(),
            url: sent.url(),
            name: sent.name(),
            status: answered.head.status,
            headers: answered.head.headers.map(),
            timings,
            body: answered.body,
        }
    }

    /// The method of this request; after a redirect it may not be the first one's.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The URL of this request, without credentials.
    pub fn url(&self) -> &'a Url {
        self.url
    }

    /// What the journey calls the request, if it has a name.
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of the response.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// How long each phase of this request took.
    pub fn timings(&self) -> &'a Timings {
        self.timings
    }

    /// The body, if it was read whole.
    pub fn body(&self) -> Option<&'a Bytes> {
        self.body
    }
}

/// What a session calls for each response.
#[derive(Clone)]
pub(crate) struct OnResponse(Arc<Callback>);

type Callback = dyn Fn(&Hop<'_>, &mut Fields) + Send + Sync;

impl OnResponse {
    pub(crate) fn new(callback: impl Fn(&Hop<'_>, &mut Fields) + Send + Sync + 'static) -> Self {
        Self(Arc::new(callback))
    }

    pub(crate) fn call(&self, hop: &Hop<'_>, fields: &mut Fields) {
        (self.0)(hop, fields);
    }
}

/// Whether both are the same closure.
impl PartialEq for OnResponse {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl fmt::Debug for OnResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnResponse")
    }
}
