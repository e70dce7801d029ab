//! Settings for how a session's requests go on once they are sent: redirects, cookies, callbacks, what reports must not show.
//! They are a file of their own because none of them says how the server is reached.

use std::time::Duration;

use super::Settings;
use crate::{
    cookies::CookieJar,
    fields::Fields,
    hop::{Hop, OnResponse},
    redirect::Redirects,
};

impl Settings {
    /// How many redirects a request follows at most; 10 unless told otherwise.
    ///
    /// The statuses 301, 302, 303, 307 and 308 with a `Location` are followed, as browsers do: 301 and 302 make a GET of a POST,
    /// 303 makes one of all but HEAD, and with the body go its `Content-` headers. 307 and 308 send the same once more. One
    /// redirect more than `most` (with 0, the first) is an error of class `redirect`, and so is a `Location` that is no place of
    /// http or https.
    ///
    /// `Authorization`, `Proxy-Authorization` and `Cookie` headers that the journey has set, credentials of the URL, and headers
    /// whose values are marked as [sensitive](http::HeaderValue::set_sensitive) are not sent to another origin: to another
    /// scheme, host or port, as curl and reqwest have it. So a redirect from http to https of one host loses them too. What was
    /// left out once is not sent again further on. The cookies of the jar go where they belong, and a `Referer` is not sent.
    ///
    /// Each hop is a request of its own in the report and in `http_metrics`. The timeout holds for all of them together.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().redirects(3);
    /// ```
    pub fn redirects(mut self, most: u32) -> Self {
        self.redirects = Redirects::UpTo(most);
        self
    }

    /// Follows no redirect: a response is returned as it is.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().no_redirects();
    /// ```
    pub fn no_redirects(mut self) -> Self {
        self.redirects = Redirects::NotFollowed;
        self
    }

    /// How long the server may take from the end of the request to the head of its response. Not limited unless told
    /// otherwise; the timeout of the request holds besides.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// use std::time::Duration;
    ///
    /// let settings = Settings::new().first_byte_timeout(Duration::from_secs(2));
    /// ```
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = Some(timeout);
        self
    }

    /// Keeps the cookies in `jar`, in the place of one that ends with the journey: a visitor who comes back.
    ///
    /// ```
    /// use mite_core::{Context, RecyclableIterableDataPool, Result};
    /// use mite_http::{CookieJar, HttpContext, Settings};
    ///
    /// async fn visit(ctx: &mut Context, name: String, jar: CookieJar) -> Result {
    ///     let mut ctx = ctx.http_session(Settings::new().base("app_url").cookie_jar(jar));
    ///     ctx.http().get(format!("/hello/{name}")).await?.error_for_status()?;
    ///     Ok(())
    /// }
    ///
    /// // Each user of the pool has a jar, and finds in it what the visit before has left.
    /// let users = ["ann", "bob"].map(|name| (name.to_owned(), CookieJar::new()));
    /// let pool = RecyclableIterableDataPool::new(users);
    /// # let _ = (pool, async |ctx: &mut Context| visit(ctx, "ann".into(), CookieJar::new()).await);
    /// ```
    pub fn cookie_jar(mut self, jar: CookieJar) -> Self {
        self.jar = Some(jar);
        self
    }

    /// Calls `callback` for each response, redirects included, before the journey has it.
    ///
    /// What it adds to the fields goes into that response's `http_metrics`. It is called whether or not a sink wants those. A
    /// panic in it is the journey's.
    ///
    /// ```
    /// use mite_http::Settings;
    ///
    /// let settings = Settings::new().on_response(|hop, fields| {
    ///     if let Some(cache) = hop.headers().get("x-cache") {
    ///         fields.add("cache", cache.to_str().unwrap_or("?"));
    ///     }
    /// });
    /// # let _ = settings;
    /// ```
    pub fn on_response(mut self, callback: impl Fn(&Hop<'_>, &mut Fields) + Send + Sync + 'static) -> Self {
        self.on_response = Some(OnResponse::new(callback));
        self
    }

    /// Masks what stands under this name in the report's failing exchanges: a header, or a value of a query, a form or JSON.
    ///
    /// Names are compared without regard to case, `-` and `_`. What is masked anyway: `Authorization`, cookies, headers whose
    /// value is marked as sensitive, and all whose names tell of a secret (`password`, `token`, `api_key` and their like).
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().mask("x-tenant");
    /// ```
    pub fn mask(mut self, name: impl AsRef<str>) -> Self {
        self.masked.push(name.as_ref().to_owned());
        self
    }
}
