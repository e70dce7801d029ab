//! What a stub server was asked, whole and kept for assertions.
//! It is separate from the session's requests because those are on their way, and this has arrived.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use mite_core::Result;
use serde::de::DeserializeOwned;

/// A request as a [`StubServer`](super::StubServer) has got it.
#[derive(Clone)]
pub struct StubRequest {
    method: String,
    target: String,
    headers: HeaderMap,
    body: Bytes,
    pub(super) expected: bool,
}

impl StubRequest {
    pub(super) fn new(parts: Parts, body: Bytes) -> Self {
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Self { method: parts.method.as_str().to_owned(), target, headers: parts.headers, body, expected: true }
    }

    /// `POST`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Path and query: `/items?page=2`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path alone: `/items`.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }

    /// The query without its `?`; empty when there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first header of this name, in any case, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// It is no UTF-8.
    pub fn text(&self) -> Result<&str> {
        Ok(std::str::from_utf8(&self.body)?)
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// It is no JSON, or of another type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// Its line, and its body as far as it is short and text.
impl fmt::Debug for StubRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        match std::str::from_utf8(&self.body) {
            Ok("") => Ok(()),
            Ok(text) if text.len() <= 200 => write!(f, " {text}"),
            _ => write!(f, " ({} bytes)", self.body.len()),
        }
    }
}
