//! The builder of one request, which a journey awaits.
//! It is separate from the draft that it fills because it belongs to a journey's place: what it measures is reported there.

mod body;
mod options;

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use mite_core::Scope;
use serde::Serialize;

use crate::{draft::Draft, error::HttpError, metrics, response::Response, session::Session};

/// A request that is sent when it is awaited.
///
/// The first mistake in it is kept and comes out when it is sent, so that the chain need not be broken.
///
/// # Examples
///
/// ```no_run
/// use mite_core::{Context, Result};
/// use mite_http::HttpContext;
/// use serde_json::json;
///
/// async fn create_user(ctx: &mut Context) -> Result {
///     ctx.http()
///         .post("http://localhost:8080/users")
///         .query(&[("notify", "no")])
///         .header("x-request-id", "1")
///         .json(&json!({"username": "ann"}))
///         .await?
///         .error_for_status()?;
///     Ok(())
/// }
/// ```
#[must_use = "a request is not sent until it is awaited: write `.await?` after it"]
pub struct Request {
    session: Rc<Session>,
    scope: Scope,
    /// Boxed, because each method moves it on.
    draft: Result<Box<Draft>, HttpError>,
}

impl Request {
    pub(crate) fn new(session: Rc<Session>, scope: Scope, draft: Result<Box<Draft>, HttpError>) -> Self {
        Self { session, scope, draft }
    }

    fn with(mut self, change: impl FnOnce(&mut Draft) -> Result<(), HttpError>) -> Self {
        if let Ok(draft) = &mut self.draft
            && let Err(mistake) = change(draft)
        {
            self.draft = Err(mistake);
        }
        self
    }

    /// Adds a header, beside those of the same name that this request has already, and in the place of the session's.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().get("http://localhost:8080/").header("accept-language", "de").await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(
        self,
        name: impl TryInto<HeaderName, Error: Into<http::Error>>,
        value: impl TryInto<HeaderValue, Error: Into<http::Error>>,
    ) -> Self {
        self.with(|draft| draft.header(name, value))
    }

    /// Sets these headers, in the place of those of the same names.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// use mite_http::{HeaderMap, HeaderValue};
    ///
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let mut headers = HeaderMap::new();
    /// headers.insert("accept-language", HeaderValue::from_static("de"));
    /// ctx.http().get("http://localhost:8080/").headers(headers).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.with(|draft| {
            draft.headers(headers);
            Ok(())
        })
    }

    /// Adds to the query of the URL: a struct, a map, or pairs.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().get("http://localhost:8080/search").query(&[("q", "green tea"), ("page", "2")]).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn query(self, query: &(impl Serialize + ?Sized)) -> Self {
        self.with(|draft| draft.query(&query))
    }

    /// Sends `value` as JSON, and says so in `Content-Type` unless the request has one.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// use serde_json::json;
    ///
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().post("http://localhost:8080/users").json(&json!({"username": "ann"})).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        self.with(|draft| draft.json(&value))
    }

    /// Sends `value`, a struct, a map, or pairs, as a form, and says so in `Content-Type` unless the request has one.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().post("http://localhost:8080/login").form(&[("username", "ann"), ("password", "test1234")]).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn form(self, value: &(impl Serialize + ?Sized)) -> Self {
        self.with(|draft| draft.form(&value))
    }

    /// How long this request may take, redirects included, in the place of the session's timeout.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// use std::time::Duration;
    ///
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().get("http://localhost:8080/").timeout(Duration::from_secs(2)).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|draft| {
            draft.timeout = Some(timeout);
            Ok(())
        })
    }

    /// Sends a name and a password with the scheme `Basic`.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().get("http://localhost:8080/").basic_auth("ann", "test1234").await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn basic_auth(self, username: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.with(|draft| draft.basic_auth(username.as_ref(), password.as_ref()))
    }

    /// Sends a token with the scheme `Bearer`.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().get("http://localhost:8080/").bearer_auth("a-token").await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bearer_auth(self, token: impl AsRef<str>) -> Self {
        self.with(|draft| draft.bearer_auth(token.as_ref()))
    }

    /// Sends the request and reads the whole response. Awaiting the request does the same.
    ///
    /// When this is dropped before its end the connection is closed, and the request is not counted.
    ///
    /// # Errors
    ///
    /// When there is no whole response, whatever its status; [`HttpError::class`] lists the reasons.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let http = ctx.http();
    /// let (a, b) = tokio::join!(http.get("http://localhost:8080/a").send(), http.get("http://localhost:8080/b").send());
    /// ensure!(a?.status() == b?.status());
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(self) -> impl Future<Output = Result<Response, HttpError>> {
        // Not an `async` function, which would hold the request twice.
        let Self { session, scope, draft } = self;
        async move {
            session.end_with(&scope);
            session.perform(draft?, |ended| metrics::report(&scope, session.settings(), ended)).await
        }
    }
}

impl IntoFuture for Request {
    type Output = Result<Response, HttpError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("draft", &self.draft).finish_non_exhaustive()
    }
}
