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
    head::Head,
    sent::Sent,
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
    /// Boxed, because a response is moved through each future that has waited for it.
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    sent: Sent,
    reply: Reply,
    history: Vec<Response>,
}

impl Response {
    pub(crate) fn new(sent: Sent, reply: Reply) -> Self {
        Self { inner: Box::new(Inner { sent, reply, history: Vec::new() }) }
    }

    /// The request, and the reply that is being filled.
    pub(crate) fn halves(&mut self) -> (&Sent, &mut Reply) {
        (&self.inner.sent, &mut self.inner.reply)
    }

    /// The last of a chain of redirects.
    pub(crate) fn after(mut self, history: Vec<Self>) -> Self {
        self.inner.history = history;
        self
    }

    /// The status.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// use mite_http::StatusCode;
    ///
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// ensure!(response.status() == StatusCode::OK);
    /// # Ok(())
    /// # }
    /// ```
    pub fn status(&self) -> StatusCode {
        self.inner.reply.head.status
    }

    /// The headers.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// ensure!(response.headers().contains_key("content-type"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn headers(&self) -> &HeaderMap {
        self.inner.reply.head.headers.map()
    }

    /// What the server sent after the body of a chunked response, as if it were headers.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// ensure!(response.trailers().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.inner.reply.trailers.as_deref()
    }

    /// The version of HTTP in which the server answered.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// ensure!(response.version() == mite_http::Version::HTTP_11);
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(&self) -> Version {
        self.inner.reply.head.version
    }

    /// The URL that answered, without credentials: where the last redirect led, if there was one.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// ensure!(response.url().path() == "/welcome");
    /// # Ok(())
    /// # }
    /// ```
    pub fn url(&self) -> &Url {
        self.inner.sent.url()
    }

    /// The method of the request that was answered; after a redirect it may not be the first one's.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// ensure!(response.method() == mite_http::Method::GET);
    /// # Ok(())
    /// # }
    /// ```
    pub fn method(&self) -> &Method {
        self.inner.sent.method()
    }

    /// The redirects on the way, the first one first, each with its status, headers and timings; mostly there are none.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// ensure!(response.history().iter().all(|hop| hop.status().is_redirection()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn history(&self) -> &[Response] {
        &self.inner.history
    }

    /// What was sent, as a command line of curl for `sh`: with the headers and cookies of the session, and the body. Redirects
    /// on the way are in [`history`](Self::history).
    ///
    /// **Its secrets are in it**, passwords, tokens and cookies, as they were sent: it is not for logs that others read.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// println!("{}", response.to_curl());
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_curl(&self) -> String {
        self.inner.sent.to_curl(if self.version() == Version::HTTP_2 { &["--http2"] } else { &[] })
    }

    /// The address that answered: the proxy's, if there is one, and `None` for a Unix socket.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// println!("{:?}", response.remote_addr());
    /// # Ok(())
    /// # }
    /// ```
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.inner.reply.remote
    }

    /// How long each phase of the request took; without the redirects on the way, which have timings of their own.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// println!("{:?}", response.timings());
    /// # Ok(())
    /// # }
    /// ```
    pub fn timings(&self) -> &Timings {
        &self.inner.reply.timings
    }

    /// The body. The bytes are shared, not copied.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// ensure!(response.bytes().starts_with(b"\x89PNG"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn bytes(&self) -> Bytes {
        self.inner.reply.body.clone()
    }

    /// The body as text, by its byte order mark, by the charset that `Content-Type` names, or else as UTF-8.
    ///
    /// # Errors
    ///
    /// Class `decode`, if the charset is not known, or the body is not in it.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// ensure!(response.text()?.contains("Hello"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn text(&self) -> Result<String, HttpError> {
        let content_type = self.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        charset::decode(content_type, &self.inner.reply.body).map_err(|fault| self.error(fault))
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    ///
    /// Class `decode`, if the body is not JSON or not a `T`; the error names the place in the document, `users[3].name`.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct User {
    ///     username: String,
    /// }
    ///
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let user: User = ctx.http().get("http://localhost:8080/users/7").await?.error_for_status()?.json()?;
    /// ensure!(user.username == "ann");
    /// # Ok(())
    /// # }
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        // All of it is found to be UTF-8 at once: each string by itself would take as long as a fifth of the reading. And to keep
        // account of the place takes twice as long as to read: it is looked for where reading has failed.
        let text = std::str::from_utf8(&self.inner.reply.body).ok();
        text.and_then(|text| serde_json::from_str(text).ok()).map_or_else(|| self.json_with_place(), Ok)
    }

    fn json_with_place<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        let mut document = serde_json::Deserializer::from_slice(&self.inner.reply.body);
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
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// // 404 and 500 are errors by this alone.
    /// ctx.http().get("http://localhost:8080/").await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn error_for_status(self) -> Result<Self, HttpError> {
        let status = self.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(self.error(Fault::new(Class::Status, self.with_excerpt(format!("status {status}")))));
        }
        Ok(self)
    }

    /// How many bytes of bodies there were, both ways.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let response = ctx.http().get("http://localhost:8080/").await?;
    /// println!("{:?}", response.sizes());
    /// # Ok(())
    /// # }
    /// ```
    pub fn sizes(&self) -> Sizes {
        self.inner.reply.sizes
    }

    /// The request that this answers.
    pub(crate) fn sent(&self) -> &Sent {
        &self.inner.sent
    }

    pub(crate) fn head(&self) -> &Head {
        &self.inner.reply.head
    }

    /// The body, unless it was read and forgotten.
    pub(crate) fn content(&self) -> Option<&Bytes> {
        let is_discarded = self.inner.sent.draft.said().is_some_and(|options| options.discard);
        (!is_discarded).then_some(&self.inner.reply.body)
    }

    pub(crate) fn error(&self, fault: Fault) -> HttpError {
        self.inner.sent.error(fault).with_status(self.status())
    }

    /// `what`, followed by the beginning of the body on one line.
    fn with_excerpt(&self, what: String) -> String {
        let beginning = &self.inner.reply.body[..self.inner.reply.body.len().min(EXCERPT)];
        let words: Vec<_> = String::from_utf8_lossy(beginning).split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return what;
        }
        let rest = if self.inner.reply.body.len() > EXCERPT { "…" } else { "" };
        // A character cut in two is none.
        let shown = words.join(" ");
        let shown = shown.trim_end_matches(char::REPLACEMENT_CHARACTER);
        format!("{what}: `{shown}{rest}`")
    }
}

#[cfg(test)]
pub(crate) mod tests;
