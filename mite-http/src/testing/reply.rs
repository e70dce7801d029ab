//! What a stub server answers: a response, after a while if need be, or none at all.
//! It is separate from the server because a script is made of replies before there is any request.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// One answer of a [`StubServer`](super::StubServer).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use mite_http::{StatusCode, testing::Reply};
///
/// let created = Reply::json(&["ann"]).status(StatusCode::CREATED).header("location", "/users/1");
/// let slow = Reply::text("at last").after(Duration::from_millis(200));
/// let gone = Reply::dropped();
/// ```
#[derive(Debug, Clone)]
#[must_use = "a reply is given when a server is told to"]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) delay: Duration,
    pub(super) dropped: bool,
}

impl Reply {
    /// 200 without a body.
    ///
    /// ```
    /// # use mite_http::StatusCode;
    /// # use mite_http::testing::Reply;
    /// let reply = Reply::ok();
    /// ```
    pub fn ok() -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            dropped: false,
        }
    }

    /// 200 with a text.
    ///
    /// ```
    /// # use mite_http::StatusCode;
    /// # use mite_http::testing::Reply;
    /// let reply = Reply::text("Hello!");
    /// ```
    pub fn text(text: impl Into<String>) -> Self {
        Self::ok().header("content-type", "text/plain; charset=utf-8").body(text.into())
    }

    /// 200 with a value as JSON.
    ///
    /// # Panics
    ///
    /// If serde cannot make JSON of the value, such as a map whose keys are no text.
    ///
    /// ```
    /// # use mite_http::StatusCode;
    /// # use mite_http::testing::Reply;
    /// let reply = Reply::json(&serde_json::json!({"token": "t"}));
    /// ```
    #[track_caller]
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::ok().header("content-type", "application/json").body(body),
            Err(error) => panic!("a reply must be JSON: {error}"),
        }
    }

    /// No response: the connection is closed once the request has been read.
    ///
    /// ```
    /// # use mite_http::StatusCode;
    /// # use mite_http::testing::Reply;
    /// // The connection is closed without an answer.
    /// let reply = Reply::dropped();
    /// ```
    pub fn dropped() -> Self {
        Self { dropped: true, ..Self::ok() }
    }

    /// Another status than 200.
    ///
    /// ```
    /// # use mite_http::StatusCode;
    /// # use mite_http::testing::Reply;
    /// let reply = Reply::text("no such user").status(StatusCode::NOT_FOUND);
    /// ```
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a header; one of the same name stays, so that there may be several `set-cookie`.
    ///
    /// # Panics
    ///
    /// If this is no header of HTTP.
    ///
    /// ```
    /// # use mite_http::StatusCode;
    /// # use mite_http::testing::Reply;
    /// let reply = Reply::ok().status(StatusCode::SEE_OTHER).header("location", "/welcome");
    /// ```
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => self.headers.append(name, value),
            _ => panic!("`{name}: {value}` is no header"),
        };
        self
    }

    /// The body.
    ///
    /// ```
    /// # use mite_http::StatusCode;
    /// # use mite_http::testing::Reply;
    /// let reply = Reply::ok().header("content-type", "image/png").body("\u{89}PNG");
    /// ```
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits so long before it answers, or drops the connection.
    ///
    /// ```
    /// # use mite_http::StatusCode;
    /// # use mite_http::testing::Reply;
    /// let reply = Reply::ok().after(std::time::Duration::from_millis(50));
    /// ```
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}
