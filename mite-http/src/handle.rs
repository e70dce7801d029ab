//! How a journey comes to its session: `ctx.http()`, and the guard behind `#[mite_http]`.
//! It is separate from the session because it is the one place that knows where a session is attached, and when it ends.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    rc::Rc,
};

use http::Method;
use mite_core::{Context, Scope};
use url::Url;

use crate::{
    clients::Clients,
    cookies::Cookies,
    draft::{self, Draft},
    error::{Fault, HttpError},
    request::Request,
    session::Session,
    settings::Settings,
};

/// Gives a journey's context its HTTP session.
///
/// ```
/// # use mite_core::{Context, Result, ensure};
/// # use mite_http::HttpContext;
/// # async fn visit(ctx: &mut Context) -> Result {
/// ctx.http().get("http://localhost:8080/").await?.error_for_status()?;
/// # Ok(())
/// # }
/// ```
pub trait HttpContext {
    /// A handle on the session of this visit, which is attached now if there is none, and ends with the journey.
    ///
    /// The handle is owned, so that requests can be joined while the context is borrowed. They belong to the transaction
    /// in which the handle was taken.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mite_core::{Context, Result};
    /// use mite_http::HttpContext;
    ///
    /// async fn browse(ctx: &mut Context) -> Result {
    ///     let http = ctx.http();
    ///     let (page, style) = tokio::join!(
    ///         http.get("http://localhost:8080/").send(),
    ///         http.get("http://localhost:8080/style.css").send(),
    ///     );
    ///     page?.error_for_status()?;
    ///     style?.error_for_status()?;
    ///     Ok(())
    /// }
    /// ```
    fn http(&self) -> Http;

    /// Attaches a session with `settings`, until the guard is dropped; then the one that was there before is back.
    ///
    /// This is what `#[mite_http(…)]` does, for closures and for settings that the attribute has no argument for. With
    /// default settings, a session that is attached already is shared, cookies and all.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mite_core::{Context, Result};
    /// use mite_http::{HttpContext, Settings};
    ///
    /// async fn browse(ctx: &mut Context) -> Result {
    ///     let mut ctx = ctx.http_session(Settings::new().base("app_url").header("accept-language", "cy"));
    ///     ctx.transaction("Front page", async |ctx| {
    ///         ctx.http().get("/").await?.error_for_status()?;
    ///         Ok(())
    ///     })
    ///     .await
    /// }
    /// ```
    fn http_session(&mut self, settings: Settings) -> Attached<'_>;
}

impl HttpContext for Context {
    fn http(&self) -> Http {
        let session = self.extension().unwrap_or_else(|| {
            let (settings, client) = self.worker_extension(Clients::default).plain();
            let session = Rc::new(Session::new(settings, client));
            self.set_extension(Some(Rc::clone(&session)));
            session
        });
        Http { session, scope: self.scope() }
    }

    fn http_session(&mut self, settings: Settings) -> Attached<'_> {
        attach(self, settings)
    }
}

/// A context with a session of its own.
///
/// When this is dropped, by the journey's return, error, panic or cancellation alike, the session ends and the one before
/// it is attached again.
#[must_use = "the session ends when this is dropped"]
pub struct Attached<'a> {
    ctx: &'a mut Context,
    place: Place,
}

/// Whose session a guard stands for.
enum Place {
    /// That of whoever attached it before, who ends it too.
    Shared,
    /// The guard's own, in the place of another, if there was one.
    Own { before: Option<Rc<Session>> },
}

/// See [`HttpContext::http_session`].
pub(crate) fn attach(ctx: &mut Context, settings: Settings) -> Attached<'_> {
    if ctx.extension::<Session>().is_some_and(|attached| attached.serves(&settings)) {
        return Attached { ctx, place: Place::Shared };
    }
    let client = ctx.worker_extension(Clients::default).client(settings.network(), settings.policy);
    let before = ctx.set_extension(Some(Rc::new(Session::new(settings, client))));
    Attached { ctx, place: Place::Own { before } }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        if let Place::Own { before } = &mut self.place
            && let Some(own) = self.ctx.set_extension(before.take())
        {
            own.close();
        }
    }
}

impl Deref for Attached<'_> {
    type Target = Context;

    fn deref(&self) -> &Context {
        self.ctx
    }
}

impl DerefMut for Attached<'_> {
    fn deref_mut(&mut self) -> &mut Context {
        self.ctx
    }
}

impl fmt::Debug for Attached<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("shared", &matches!(self.place, Place::Shared)).finish_non_exhaustive()
    }
}

/// A handle on a journey's session.
///
/// A URL is absolute, or stands on the session's [`base`](Settings::base). `user:password@` in it is sent as
/// `Authorization: Basic`, and is left out wherever the URL is shown.
///
/// ```
/// # use mite_core::{Context, Result, ensure};
/// # use mite_http::HttpContext;
/// # async fn visit(ctx: &mut Context) -> Result {
/// let http = ctx.http();
/// let (menu, offers) = tokio::join!(http.get("http://localhost:8080/menu").send(), http.get("http://localhost:8080/offers").send());
/// ensure!(menu?.status().is_success() && offers?.status().is_success());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Http {
    session: Rc<Session>,
    scope: Scope,
}

impl Http {
    /// A GET request.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let body = ctx.http().get("http://localhost:8080/users/7").await?.error_for_status()?.text()?;
    /// # let _ = body;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get(&self, url: impl AsRef<str>) -> Request {
        self.request(Method::GET, url)
    }

    /// A POST request.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().post("http://localhost:8080/users").json(&["ann"]).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn post(&self, url: impl AsRef<str>) -> Request {
        self.request(Method::POST, url)
    }

    /// A PUT request.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().put("http://localhost:8080/notes/1").body("buy tea").await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn put(&self, url: impl AsRef<str>) -> Request {
        self.request(Method::PUT, url)
    }

    /// A PATCH request.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().patch("http://localhost:8080/notes/1").body("buy more tea").await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn patch(&self, url: impl AsRef<str>) -> Request {
        self.request(Method::PATCH, url)
    }

    /// A DELETE request.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().delete("http://localhost:8080/notes/1").await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete(&self, url: impl AsRef<str>) -> Request {
        self.request(Method::DELETE, url)
    }

    /// A HEAD request.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let there = ctx.http().head("http://localhost:8080/notes/1").await?.status().is_success();
    /// # let _ = there;
    /// # Ok(())
    /// # }
    /// ```
    pub fn head(&self, url: impl AsRef<str>) -> Request {
        self.request(Method::HEAD, url)
    }

    /// An OPTIONS request.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let allowed = ctx.http().options("http://localhost:8080/notes").await?.headers().get("allow").cloned();
    /// # let _ = allowed;
    /// # Ok(())
    /// # }
    /// ```
    pub fn options(&self, url: impl AsRef<str>) -> Request {
        self.request(Method::OPTIONS, url)
    }

    /// A request of any method.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// use mite_http::Method;
    ///
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let method = Method::from_bytes(b"PROPFIND")?;
    /// ctx.http().request(method, "http://localhost:8080/files").await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> Request {
        let draft = Draft::new(method, url.as_ref(), self.session.sites(), || self.base());
        Request::new(Rc::clone(&self.session), self.scope.clone(), draft)
    }

    /// The cookies of the session, to be read, set and erased.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().cookies().set("http://localhost:8080/", "consent=yes")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cookies(&self) -> Cookies {
        Cookies::new(self.clone(), self.session.jar())
    }

    /// `url`, on the session's base if it is relative.
    pub(crate) fn url(&self, url: &str) -> Result<Url, HttpError> {
        draft::parse_url(url, || self.base())
    }

    fn base(&self) -> Result<Url, Fault> {
        self.session.base(|key| self.scope.config().get::<String>(key).map_err(|error| error.to_string()))
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}
