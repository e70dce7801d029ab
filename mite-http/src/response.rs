//! A whole response: its head, its body, and how long it took.
//! It is separate from the transport's reply because it knows which request it answers, and its errors say so.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    charset,
    error::{Class, Fault, HttpError},
    exchange::{Reply, Sizes},
    timing::Timings,
};

/// How much of a body an error shows.
const EXCERPT: usize = 200;

/// A response whose body has been read.
///
/// # Examples
///
/// ```no_run
/// use mite_core::{Context, Result};
/// use mite_http::HttpContext;
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     id: u64,
/// }
///
/// async fn look_up(ctx: &mut Context) -> Result {
///     let response = ctx.http().get("http://localhost:8080/users/ann").await?.error_for_status()?;
///     let user: User = response.json()?;
///     assert_eq!(user.id, 1);
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Response {
    method: Method,
    url: Url,
    head: Head,
    body: Bytes,
    sizes: Sizes,
    trailers: Option<Box<HeaderMap>>,
    remote: Option<SocketAddr>,
    timings: Timings,
}

#[derive(Debug, Clone)]
struct Head {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
}

impl Response {
    pub(crate) fn new(method: Method, url: Url, reply: Reply, remote: Option<SocketAddr>, timings: Timings) -> Self {
        let head = Head { status: reply.head.status, version: reply.head.version, headers: reply.head.headers };
        Self { method, url, head, body: reply.body, sizes: reply.sizes, trailers: reply.trailers, remote, timings }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// What the server sent after the body of a chunked response, as if it were headers.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    /// The version of HTTP in which the server answered.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The URL that was asked for, without credentials.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The method of the request.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The address that answered: the proxy's, if there is one, and `None` for a Unix socket.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// How long each phase of the request took.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// The body. The bytes are shared, not copied.
    pub fn bytes(&self) -> Bytes {
        self.body.clone()
    }

    /// The body as text, by its byte order mark, by the charset that `Content-Type` names, or else as UTF-8.
    ///
    /// # Errors
    ///
    /// Class `decode`, if the charset is not known, or the body is not in it.
    pub fn text(&self) -> Result<String, HttpError> {
        let content_type = self.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        charset::decode(content_type, &self.body).map_err(|fault| self.error(fault))
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    ///
    /// Class `decode`, if the body is not JSON or not a `T`; the error names the place in the document, `users[3].name`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        let mut document = serde_json::Deserializer::from_slice(&self.body);
        let value = serde_path_to_error::deserialize(&mut document).map_err(|error| {
            let place = error.path().to_string();
            // The path of an error in the outermost value is a dot, which says nothing.
            let what = match place.as_str() {
                "." => "failed to decode the body as JSON".to_owned(),
                place => format!("failed to decode the body as JSON at `{place}`"),
            };
            self.error(Fault::new(Class::Decode, self.with_excerpt(what)).because(error.into_inner()))
        })?;
        document.end().map_err(|error| {
            let what = self.with_excerpt("failed to decode the body as JSON".to_owned());
            self.error(Fault::new(Class::Decode, what).because(error))
        })?;
        Ok(value)
    }

    /// Makes an error of a response whose status is one, 400 to 599.
    ///
    /// # Errors
    ///
    /// Class `status`; the error tells the method, the URL, the status and the beginning of the body.
    pub fn error_for_status(self) -> Result<Self, HttpError> {
        let status = self.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(self.error(Fault::new(Class::Status, self.with_excerpt(format!("status {status}")))));
        }
        Ok(self)
    }

    /// How many bytes of bodies there were, both ways.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    fn error(&self, fault: Fault) -> HttpError {
        fault.of(&self.method, &self.url).with_status(self.status())
    }

    /// `what`, followed by the beginning of the body on one line.
    fn with_excerpt(&self, what: String) -> String {
        let beginning = &self.body[..self.body.len().min(EXCERPT)];
        let words: Vec<_> = String::from_utf8_lossy(beginning).split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return what;
        }
        let rest = if self.body.len() > EXCERPT { "…" } else { "" };
        // A character cut in two is none.
        let shown = words.join(" ");
        let shown = shown.trim_end_matches(char::REPLACEMENT_CHARACTER);
        format!("{what}: `{shown}{rest}`")
    }
}

#[cfg(test)]
pub(crate) mod tests;
