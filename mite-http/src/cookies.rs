//! Cookies: the jar that a session keeps them in, and what a journey sees of it.
//! The jar is separate from the session because it may outlive one, and costs nothing until the first cookie is set.

mod date;
mod handle;
mod offered;
mod store;
mod text;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

pub use self::handle::Cookies;
use self::store::{Kept, Store};
use crate::{
    draft,
    error::{Class, Fault, HttpError},
};

/// Cookies that are kept for as long as somebody has the jar.
///
/// A session has a jar of its own, which ends with its journey. One that is given to the session by
/// [`Settings::cookie_jar`](crate::Settings::cookie_jar) stays: it is shared by all of its clones, on whatever thread, so
/// that it may be an element of a data pool, and be the same returning user at each visit. With serde it becomes a list of
/// the cookies in it, those without an expiry among them, and can be recorded and read again.
///
/// What is kept, and where it is sent, goes by RFC 6265, and by what browsers have added to it: a cookie that is `Secure` is
/// neither taken from plain HTTP nor sent over it (a loopback address counts as secure), and the prefixes `__Host-` and
/// `__Secure-` mean what they say. A `Domain` must have a dot in it, unless it is the host's own name; beyond that, public
/// suffixes such as `co.uk` are not known. `SameSite` is not looked at, since no page is there that a request could come
/// from. A cookie that is refused is left out silently, as in a browser.
///
/// # Examples
///
/// ```
/// use mite_http::CookieJar;
///
/// let jar = CookieJar::new();
/// jar.set("http://localhost:8080/", "session=s3cret; Path=/; HttpOnly")?;
/// jar.set("http://localhost:8080/", "theme=dark; Max-Age=3600")?;
/// assert_eq!(jar.get("http://localhost:8080/account", "session")?.unwrap().value(), "s3cret");
///
/// jar.clear_session();
/// let left: Vec<_> = jar.all().into_iter().map(|cookie| cookie.name().to_owned()).collect();
/// assert_eq!(left, ["theme"]);
/// # Ok::<(), mite_http::HttpError>(())
/// ```
#[derive(Clone, Default)]
pub struct CookieJar {
    /// Nothing in it until the first cookie is set.
    store: Arc<Mutex<Option<Box<Store>>>>,
}

impl CookieJar {
    /// An empty jar.
    ///
    /// ```
    /// # use mite_http::{CookieJar, Settings};
    /// let settings = Settings::new().cookie_jar(CookieJar::new());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The cookie of this name that a request to `url` would send; of several, the one with the longest path.
    ///
    /// # Errors
    ///
    /// Class `request`, if `url` is not an absolute URL of http or https.
    ///
    /// ```
    /// # use mite_http::CookieJar;
    /// let jar = CookieJar::new();
    /// jar.set("http://localhost:8080/", "session=7; Path=/")?;
    /// let session = jar.get("http://localhost:8080/account", "session")?;
    /// assert_eq!(session.as_ref().map(|cookie| cookie.value()), Some("7"));
    /// # Ok::<(), mite_http::HttpError>(())
    /// ```
    pub fn get(&self, url: impl AsRef<str>, name: &str) -> Result<Option<Cookie>, HttpError> {
        Ok(self.get_at(&absolute(url.as_ref())?, name))
    }

    /// Sets a cookie as a response from `url` would: `"session=1; Path=/"`.
    ///
    /// # Errors
    ///
    /// Class `request`, if `url` is not an absolute URL of http or https, or if the cookie would be refused.
    ///
    /// ```
    /// # use mite_http::CookieJar;
    /// let jar = CookieJar::new();
    /// jar.set("http://localhost:8080/", "session=7; Path=/")?;
    /// assert!(jar.set("no URL", "session=7").is_err());
    /// # Ok::<(), mite_http::HttpError>(())
    /// ```
    pub fn set(&self, url: impl AsRef<str>, cookie: impl AsRef<[u8]>) -> Result<(), HttpError> {
        self.set_at(&absolute(url.as_ref())?, cookie.as_ref())
    }

    /// Removes what [`get`](Self::get) would find; whether it was there.
    ///
    /// # Errors
    ///
    /// Class `request`, if `url` is not an absolute URL of http or https.
    ///
    /// ```
    /// # use mite_http::CookieJar;
    /// let jar = CookieJar::new();
    /// jar.set("http://localhost:8080/", "session=7; Path=/")?;
    /// assert!(jar.remove("http://localhost:8080/", "session")?);
    /// assert!(!jar.remove("http://localhost:8080/", "session")?);
    /// # Ok::<(), mite_http::HttpError>(())
    /// ```
    pub fn remove(&self, url: impl AsRef<str>, name: &str) -> Result<bool, HttpError> {
        Ok(self.remove_at(&absolute(url.as_ref())?, name))
    }

    /// All cookies that have not expired.
    ///
    /// ```
    /// # use mite_http::CookieJar;
    /// let jar = CookieJar::new();
    /// jar.set("http://localhost:8080/", "session=7; Path=/")?;
    /// assert_eq!(jar.all().len(), 1);
    /// # Ok::<(), mite_http::HttpError>(())
    /// ```
    pub fn all(&self) -> Vec<Cookie> {
        self.lock().as_deref().map(|store| store.all().map(Cookie::new).collect()).unwrap_or_default()
    }

    /// Removes all cookies.
    ///
    /// ```
    /// # use mite_http::CookieJar;
    /// let jar = CookieJar::new();
    /// jar.set("http://localhost:8080/", "session=7; Path=/")?;
    /// jar.clear();
    /// assert!(jar.all().is_empty());
    /// # Ok::<(), mite_http::HttpError>(())
    /// ```
    pub fn clear(&self) {
        *self.lock() = None;
    }

    /// Removes the cookies without an expiry, as closing a browser does.
    ///
    /// ```
    /// # use mite_http::CookieJar;
    /// let jar = CookieJar::new();
    /// jar.set("http://localhost:8080/", "session=7; Path=/")?;
    /// jar.set("http://localhost:8080/", "consent=yes; Max-Age=3600")?;
    /// jar.clear_session();
    /// assert_eq!(jar.all()[0].name(), "consent");
    /// # Ok::<(), mite_http::HttpError>(())
    /// ```
    pub fn clear_session(&self) {
        let mut store = self.lock();
        if let Some(cookies) = store.take() {
            *store = stored(cookies.all().filter(|cookie| cookie.expires.is_some()).cloned());
        }
    }

    fn get_at(&self, url: &Url, name: &str) -> Option<Cookie> {
        let store = self.lock();
        store.as_deref()?.matching(url).into_iter().find(|cookie| cookie.name == name.as_bytes()).map(Cookie::new)
    }

    fn set_at(&self, url: &Url, cookie: &[u8]) -> Result<(), HttpError> {
        let refused = |why| Fault::new(Class::Request, format!("the cookie for {url} is refused: {why}")).of_none();
        // What would not come through in a header cannot be sent in one either.
        let cookie = HeaderValue::from_bytes(cookie).map_err(|_| refused("it has a control character"))?;
        offered::put(self.lock().get_or_insert_default(), url, &cookie).map_err(refused)
    }

    fn remove_at(&self, url: &Url, name: &str) -> bool {
        self.lock().as_deref_mut().is_some_and(|store| store.remove(url, name.as_bytes()))
    }

    /// Keeps the cookies that a response from `url` sets, without those that are refused.
    pub(crate) fn keep(&self, url: &Url, headers: &HeaderMap) {
        let mut store = self.lock();
        for offered in headers.get_all(SET_COOKIE) {
            // As in a browser, nobody is told of a cookie that is left out.
            let _ = offered::put(store.get_or_insert_default(), url, offered);
        }
    }

    /// The `Cookie` header of a request to `url`: longer paths first, as RFC 6265 asks for.
    pub(crate) fn header(&self, url: &Url) -> Option<HeaderValue> {
        let store = self.lock();
        let mut line = Vec::new();
        for cookie in store.as_deref()?.matching(url) {
            if !line.is_empty() {
                line.extend_from_slice(b"; ");
            }
            line.extend_from_slice(&cookie.name);
            line.push(b'=');
            line.extend_from_slice(&cookie.value);
        }
        if line.is_empty() {
            return None;
        }
        // What came in a header fits into one; a jar that was read from a file may hold anything.
        HeaderValue::from_bytes(&line).ok()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Store>>> {
        // Nobody else's code runs while it is locked, so that a panic leaves no half of a change.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn absolute(url: &str) -> Result<Url, HttpError> {
    let no_base = || Err(Fault::new(Class::Request, format!("a jar alone needs an absolute URL, and `{url}` is none")));
    draft::parse_url(url, no_base)
}

fn stored(cookies: impl Iterator<Item = Kept>) -> Option<Box<Store>> {
    let mut cookies = cookies.peekable();
    cookies.peek()?;
    Some(Box::new(cookies.collect()))
}

/// Whether both are the same jar.
impl PartialEq for CookieJar {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store)
    }
}

/// How many there are: what they say is nobody's business.
impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieJar").field("cookies", &self.all().len()).finish_non_exhaustive()
    }
}

impl Serialize for CookieJar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.lock().as_deref() {
            Some(store) => serializer.collect_seq(store.all()),
            None => serializer.collect_seq([(); 0]),
        }
    }
}

impl<'de> Deserialize<'de> for CookieJar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let cookies = Vec::<Kept>::deserialize(deserializer)?;
        Ok(Self { store: Arc::new(Mutex::new(stored(cookies.into_iter()))) })
    }
}

/// A cookie as it was when it was asked for.
///
/// ```
/// # use mite_http::CookieJar;
/// let jar = CookieJar::new();
/// jar.set("http://localhost:8080/", "session=7; Path=/")?;
/// let all = jar.all();
/// assert_eq!((all[0].name(), all[0].value(), all[0].path()), ("session", "7", "/"));
/// assert!(all[0].host_only() && all[0].expires().is_none());
/// # Ok::<(), mite_http::HttpError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    name: String,
    value: Vec<u8>,
    text: String,
    domain: String,
    host_only: bool,
    path: String,
    expires: Option<SystemTime>,
    secure: bool,
    http_only: bool,
}

impl Cookie {
    fn new(kept: &Kept) -> Self {
        let Kept { name, value, domain, host_only, path, expires, secure, http_only } = kept;
        Self {
            name: String::from_utf8_lossy(name).into_owned(),
            text: String::from_utf8_lossy(value).into_owned(),
            value: value.clone(),
            domain: domain.clone(),
            host_only: *host_only,
            path: path.clone(),
            expires: *expires,
            secure: *secure,
            http_only: *http_only,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value as the server wrote it, without decoding anything. What is not UTF-8 is replaced by `�`.
    pub fn value(&self) -> &str {
        &self.text
    }

    /// The bytes of its value.
    pub fn value_bytes(&self) -> &[u8] {
        &self.value
    }

    /// The host that set it, or the domain that it was set for.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether it is sent to that host alone, and not to those below its domain.
    pub fn host_only(&self) -> bool {
        self.host_only
    }

    /// The path that a request's begins with.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// When it expires; `None` for one that lasts as long as its session.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// Whether it is sent over https alone.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// Whether a page's scripts would not see it. A journey does.
    pub fn http_only(&self) -> bool {
        self.http_only
    }
}

#[cfg(test)]
mod tests;
