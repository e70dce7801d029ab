//! A response whose body is read by the journey, piece by piece.
//! It is separate from the whole response because it is counted when it ends, and not when it is made.

use std::{
    fmt,
    future::{Future, poll_fn},
    mem,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, Method, StatusCode, Version};
use mite_core::Scope;
use tokio::time::Sleep;
use url::Url;

use crate::{
    client::Limits,
    ended::{Answered, Ended},
    error::{Class, Fault, HttpError},
    exchange::{Coming, Sizes},
    head::Head,
    metrics,
    opened::Opened,
    payload::Account,
    response::Response,
    sent::Sent,
    session::Session,
    timing::Timings,
};

/// A response whose body comes piece by piece, from [`Request::stream`](crate::Request::stream).
///
/// It is also a [`Stream`](futures_core::Stream), for what the crate `futures` has for those.
///
/// - The request is counted, and its `http_metrics` message sent, when the body has ended or failed; what is dropped
///   before its end is counted with what it has received until then, also when its journey is cancelled. Its total time
///   includes what the journey does between the pieces.
/// - The connection is used again after the end of the body. It is closed when this is dropped before.
/// - The request's timeout holds from its start to the end of the body. What has no end wants a longer one.
///
/// ```
/// # use mite_core::{Context, Result, ensure};
/// # use mite_http::HttpContext;
/// # async fn visit(ctx: &mut Context) -> Result {
/// let mut events = ctx.http().get("http://localhost:8080/events").stream().await?.error_for_status()?;
/// let first = events.next().await.transpose()?;
/// ensure!(first.is_some_and(|event| event.starts_with(b"data: ")));
/// // Dropped before its end: the connection is closed.
/// # Ok(())
/// # }
/// ```
#[must_use = "a response that is dropped closes its connection"]
pub struct ResponseStream {
    session: Rc<Session>,
    scope: Scope,
    sent: Sent,
    timings: Timings,
    head: Head,
    remote: Option<SocketAddr>,
    limits: Limits,
    account: Account,
    sizes: Sizes,
    trailers: Option<Box<HeaderMap>>,
    history: Vec<Response>,
    /// `None` once it has ended and is counted.
    coming: Option<Box<Awaited>>,
}

/// What is still to come, and until when.
struct Awaited {
    body: Coming,
    deadline: Pin<Box<Sleep>>,
}

impl ResponseStream {
    pub(crate) fn new(session: Rc<Session>, scope: Scope, opened: Opened) -> Self {
        let Opened { sent, timings, head, remote, limits, account, coming, deadline, history } = opened;
        let sizes = coming.sizes(&account);
        let coming = Some(Box::new(Awaited { body: coming, deadline }));
        let trailers = None;
        Self { session, scope, sent, timings, head, remote, limits, account, sizes, trailers, history, coming }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.head.headers.map()
    }

    /// The version of HTTP in which the server answered.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The URL that answered, without credentials: where the last redirect led, if there was one.
    pub fn url(&self) -> &Url {
        self.sent.url()
    }

    /// The method of the request that was answered; after a redirect it may not be the first one's.
    pub fn method(&self) -> &Method {
        self.sent.method()
    }

    /// The redirects on the way, the first one first; mostly there are none.
    pub fn history(&self) -> &[Response] {
        &self.history
    }

    /// The address that answered: the proxy's, if there is one, and `None` for a Unix socket.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// How long each phase of the request took; the total is there once the body has ended.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// How many bytes of bodies there were until now, both ways.
    pub fn sizes(&self) -> Sizes {
        self.coming.as_ref().map_or(self.sizes, |coming| coming.body.sizes(&self.account))
    }

    /// What the server sent after the body of a chunked response, once that has ended.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    /// Makes an error of a response whose status is one, 400 to 599. Its body is not read.
    ///
    /// # Errors
    ///
    /// Class `status`; the error tells the method, the URL and the status.
    pub fn error_for_status(self) -> Result<Self, HttpError> {
        let status = self.status();
        if status.is_client_error() || status.is_server_error() {
            let fault = Fault::new(Class::Status, format!("status {status}"));
            return Err(self.error(fault).with_status(status));
        }
        Ok(self)
    }

    /// The next piece of the body, as it has come, or `None` when the body has ended.
    ///
    /// Nothing is lost when this is dropped before its end.
    ///
    /// # Errors
    ///
    /// When the body breaks off, cannot be decoded, or has not ended within the request's timeout. Then there is no more.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let mut film = ctx.http().get("http://localhost:8080/films/1").stream().await?.error_for_status()?;
    /// let mut bytes = 0;
    /// while let Some(part) = film.next().await {
    ///     bytes += part?.len();
    /// }
    /// ensure!(bytes > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Result<Bytes, HttpError>> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpError>>> {
        let Some(coming) = &mut self.coming else { return Poll::Ready(None) };
        // First of all, since a body that always has more would otherwise go on for ever.
        if coming.deadline.as_mut().poll(cx).is_ready() {
            let fault = self.limits.elapsed();
            return Poll::Ready(Some(Err(self.failed(fault))));
        }
        match coming.body.poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => Poll::Ready(Some(Ok(bytes))),
            Poll::Ready(Some(Err(fault))) => {
                let fault = self.account.cause(fault);
                Poll::Ready(Some(Err(self.failed(fault))))
            }
            Poll::Ready(None) => {
                self.ended();
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn failed(&mut self, fault: Fault) -> HttpError {
        let error = self.error(fault);
        self.sizes = self.sizes();
        self.coming = None;
        self.timings.ended(Instant::now());
        self.report(Err(&error));
        error
    }

    /// Takes what was read for all that there is.
    fn ended(&mut self) {
        if let Some(coming) = self.coming.take() {
            (self.sizes, self.trailers) = coming.body.finish(Instant::now(), &self.account, &mut self.timings);
            self.count();
        }
    }

    fn count(&self) {
        self.report(Ok(Answered { head: &self.head, remote: self.remote, sizes: self.sizes, body: None }));
    }

    fn report(&self, outcome: Result<Answered<'_>, &HttpError>) {
        let ended = Ended { sent: &self.sent, timings: &self.timings, outcome };
        metrics::report(&self.scope, self.session.settings(), &ended);
    }

    fn error(&self, fault: Fault) -> HttpError {
        self.sent.error(fault)
    }
}

impl Drop for ResponseStream {
    fn drop(&mut self) {
        self.sizes = self.sizes();
        if mem::take(&mut self.coming).is_some() {
            self.timings.ended(Instant::now());
            self.count();
        }
    }
}

impl Stream for ResponseStream {
    type Item = Result<Bytes, HttpError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_piece(cx)
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStream")
            .field("status", &self.status())
            .field("url", &self.url().as_str())
            .field("sizes", &self.sizes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
