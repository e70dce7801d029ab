//! The cookies of a journey's session, by URLs as its requests have them.
//! It is separate from the jar because a jar knows no session, and so nothing for relative URLs to stand on.

use std::fmt;

use url::Url;

use super::{Cookie, CookieJar};
use crate::{error::HttpError, handle::Http};

/// The cookies of a session: made by [`Http::cookies`].
///
/// A URL is absolute, or stands on the session's [`base`](crate::Settings::base).
///
/// # Examples
///
/// ```no_run
/// use mite_core::{Context, Result, ensure};
/// use mite_http::{HttpContext, mite_http};
///
/// #[mite_http(base = "app_url")]
/// async fn come_back(ctx: &mut Context) -> Result {
///     let cookies = ctx.http().cookies();
///     cookies.set("/", "consent=yes; Path=/")?;
///     ctx.http().post("/session").form(&[("name", "ann"), ("remember", "yes")]).await?.error_for_status()?;
///     ensure!(cookies.get("/", "session")?.is_some_and(|cookie| cookie.http_only()));
///
///     // The browser is closed, and opened again.
///     cookies.clear_session();
///     ctx.http().get("/account").await?.error_for_status()?;
///     Ok(())
/// }
/// ```
pub struct Cookies {
    http: Http,
    jar: CookieJar,
}

impl Cookies {
    pub(crate) fn new(http: Http, jar: CookieJar) -> Self {
        Self { http, jar }
    }

    fn url(&self, url: &str) -> Result<Url, HttpError> {
        self.http.url(url)
    }

    /// The cookie of this name that a request to `url` would send; of several, the one with the longest path.
    ///
    /// # Errors
    ///
    /// Class `request`, if `url` makes no sense.
    pub fn get(&self, url: impl AsRef<str>, name: &str) -> Result<Option<Cookie>, HttpError> {
        Ok(self.jar.get_at(&self.url(url.as_ref())?, name))
    }

    /// Sets a cookie as a response from `url` would: `"session=1; Path=/"`.
    ///
    /// # Errors
    ///
    /// Class `request`, if `url` makes no sense, or if the cookie would be refused.
    pub fn set(&self, url: impl AsRef<str>, cookie: impl AsRef<[u8]>) -> Result<(), HttpError> {
        self.jar.set_at(&self.url(url.as_ref())?, cookie.as_ref())
    }

    /// Removes what [`get`](Self::get) would find; whether it was there.
    ///
    /// # Errors
    ///
    /// Class `request`, if `url` makes no sense.
    pub fn remove(&self, url: impl AsRef<str>, name: &str) -> Result<bool, HttpError> {
        Ok(self.jar.remove_at(&self.url(url.as_ref())?, name))
    }

    /// All cookies that have not expired.
    pub fn all(&self) -> Vec<Cookie> {
        self.jar.all()
    }

    /// Removes all cookies.
    pub fn clear(&self) {
        self.jar.clear();
    }

    /// Removes the cookies without an expiry, as closing a browser does.
    pub fn clear_session(&self) {
        self.jar.clear_session();
    }

    /// The jar itself, for one that outlives the session.
    pub fn jar(&self) -> CookieJar {
        self.jar.clone()
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookies").field("jar", &self.jar).finish_non_exhaustive()
    }
}
