//! How the requests of a session behave unless one of them says otherwise.
//! It is separate from the session because the user writes it, by `#[mite_http(…)]` or by hand.

mod body;
mod connections;
mod network;
mod requests;
#[cfg(feature = "tls")]
mod tls;

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    client::Limits,
    cookies::CookieJar,
    draft::Draft,
    headers,
    hop::OnResponse,
    network::Network,
    policy::Policy,
    redirect::{self, Redirects},
};

/// Both timeouts, unless told otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The settings of a journey's session.
///
/// `#[mite_http(base = "app_url", timeout = "5s")]` makes them from its arguments; what it has no argument for is set
/// with [`http_session`](crate::HttpContext::http_session).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use mite_http::Settings;
///
/// let settings = Settings::new()
///     .base("app_url")
///     .timeout(Duration::from_secs(5))
///     .header("accept-language", "en");
/// # let _ = settings;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "settings do nothing until a session has them"]
pub struct Settings {
    pub(crate) base: Option<Cow<'static, str>>,
    /// Shared with the responses, which can tell what was sent.
    pub(crate) headers: Option<Arc<HeaderMap>>,
    pub(crate) mistake: Option<String>,
    pub(crate) policy: Policy,
    timeout: Duration,
    connect_timeout: Duration,
    /// `None` for the default one.
    network: Option<Arc<Network>>,
    max_body: u64,
    compression: bool,
    first_byte_timeout: Option<Duration>,
    redirects: Redirects,
    pub(crate) jar: Option<CookieJar>,
    pub(crate) on_response: Option<OnResponse>,
    /// The names of secrets, beside the usual ones.
    pub(crate) masked: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// No base, no headers of one's own, 60 s for a request and for a connection, 64 MiB for a response's body, and at most
    /// 10 redirects.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().base("app_url").redirects(3);
    /// ```
    pub fn new() -> Self {
        Self {
            base: None,
            headers: None,
            mistake: None,
            policy: Policy::default(),
            timeout: TIMEOUT,
            connect_timeout: TIMEOUT,
            network: None,
            max_body: body::MAX_BODY,
            compression: false,
            first_byte_timeout: None,
            redirects: redirect::USUAL,
            jar: None,
            on_response: None,
            masked: Vec::new(),
        }
    }

    /// Names the key of the configuration whose value relative URLs stand on.
    ///
    /// The value is an absolute URL, and what is relative is put at its end: on `http://localhost:8080/api`, both
    /// `/users` and `users` are `http://localhost:8080/api/users`.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().base("app_url");
    /// ```
    pub fn base(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.base = Some(key.into());
        self
    }

    /// How long a request may take, from its start to the last byte of the response, redirects included. 60 s unless told
    /// otherwise.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// use std::time::Duration;
    ///
    /// let settings = Settings::new().timeout(Duration::from_secs(5));
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a new connection may take, from resolving the name to the end of the TLS handshake. 60 s unless told
    /// otherwise; the timeout of the request holds besides.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// use std::time::Duration;
    ///
    /// let settings = Settings::new().connect_timeout(Duration::from_secs(1));
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// A header of every request that does not set it itself. One that makes no sense fails every request of the session.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().header("accept-language", "de");
    /// ```
    pub fn header(
        mut self,
        name: impl TryInto<HeaderName, Error: Into<http::Error>>,
        value: impl TryInto<HeaderValue, Error: Into<http::Error>>,
    ) -> Self {
        match headers::parse(name, value) {
            Ok((name, value)) => {
                Arc::make_mut(self.headers.get_or_insert_default()).insert(name, value);
            }
            Err(error) => {
                self.mistake.get_or_insert_with(|| format!("the session's headers: {error}"));
            }
        }
        self
    }

    /// The `User-Agent` of every request; `mite/` and the version unless told otherwise.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().user_agent("load-test/1.0");
    /// ```
    pub fn user_agent(self, value: impl TryInto<HeaderValue, Error: Into<http::Error>>) -> Self {
        self.header(header::USER_AGENT, value)
    }

    /// How long `draft` may take.
    pub(crate) fn limits(&self, draft: &Draft) -> Limits {
        let said = draft.said();
        Limits {
            connect: said.and_then(|options| options.connect_timeout).unwrap_or(self.connect_timeout),
            first_byte: said.and_then(|options| options.first_byte_timeout).or(self.first_byte_timeout),
            request: draft.timeout.unwrap_or(self.timeout),
            since: None,
        }
    }

    /// What is done about the redirects of `draft`.
    pub(crate) fn redirects_of(&self, draft: &Draft) -> Redirects {
        draft.said().and_then(|options| options.redirects).unwrap_or(self.redirects)
    }
}
