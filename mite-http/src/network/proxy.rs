//! Proxies: what a proxy's URL says, and which proxy the environment names for a URL.
//! It is separate because it is decided without a network; the environment itself is read once in a process.

mod exempt;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use self::exempt::Exempt;

/// Where a session's proxy comes from.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Proxies {
    /// The environment names it, if there is one.
    #[default]
    OfTheEnvironment,
    Nowhere,
    Everywhere(Arc<Proxy>),
}

impl Proxies {
    /// The proxy for `url`.
    ///
    /// # Errors
    ///
    /// If the environment names one in words that make no sense.
    pub(crate) fn of<'a>(&'a self, url: &Url, environment: &'a Environment) -> Result<Option<&'a Proxy>, String> {
        match self {
            Self::OfTheEnvironment => environment.proxy_for(url),
            Self::Nowhere => Ok(None),
            Self::Everywhere(proxy) => Ok(Some(proxy)),
        }
    }
}

/// What a proxy understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
    /// SOCKS5, given addresses.
    Socks5,
    /// SOCKS5, given names.
    Socks5Names,
}

/// A proxy.
#[derive(Clone, PartialEq)]
pub(crate) struct Proxy {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
}

/// The user and the password that a proxy asks for.
#[derive(Clone, PartialEq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Proxy {
    /// A proxy from its URL, or from `host:port`, which is one of HTTP.
    ///
    /// The error never holds the credentials.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
        let whole = if text.contains("://") { Cow::Borrowed(text) } else { Cow::Owned(format!("http://{text}")) };
        let url = Url::parse(&whole).map_err(|error| format!("`{shown}` is not a URL: {error}"))?;
        let (scheme, port) = match url.scheme() {
            "http" => (Scheme::Http, 80),
            "https" if cfg!(feature = "tls") => (Scheme::Https, 443),
            "https" => return Err(format!("`{shown}` needs the feature `tls`, which this build does not have")),
            "socks5" => (Scheme::Socks5, 1080),
            "socks5h" => (Scheme::Socks5Names, 1080),
            other => {
                return Err(format!("`{other}` is no kind of proxy: there are http, https, socks5 and socks5h"));
            }
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{shown}` has more than a host and a port"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("`{shown}` has no host"))?;
        // The hosts of URLs of other schemes than http are not understood any further.
        let host = Host::parse(host).map_err(|error| format!("`{shown}` has no host that is one: {error}"))?;
        let credentials = Credentials::of(&url)?;
        if let (Scheme::Socks5 | Scheme::Socks5Names, Some(credentials)) = (scheme, &credentials) {
            credentials.check_lengths().map_err(|mistake| format!("`{shown}`: {mistake}"))?;
        }
        Ok(Self { scheme, host, port: url.port().unwrap_or(port), credentials })
    }

    /// The value of `Proxy-Authorization`.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let Credentials { user, password } = self.credentials.as_ref()?;
        let mut value =
            HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    pub(crate) fn is_http(&self) -> bool {
        matches!(self.scheme, Scheme::Http | Scheme::Https)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, credentials } = self;
        f.debug_struct("Proxy")
            .field("scheme", scheme)
            .field("host", host)
            .field("port", port)
            .field("has_credentials", &credentials.is_some())
            .finish()
    }
}

impl Credentials {
    fn of(url: &Url) -> Result<Option<Self>, String> {
        if url.username().is_empty() && url.password().is_none() {
            return Ok(None);
        }
        let decoded = |text| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(Cow::into_owned).map_err(|_| "the credentials are not UTF-8".to_owned())
        };
        let (user, password) = (decoded(url.username())?, decoded(url.password().unwrap_or_default())?);
        if user.contains(':') {
            return Err("a user's name cannot have a colon".to_owned());
        }
        Ok(Some(Self { user, password }))
    }

    /// SOCKS has one byte for each length.
    fn check_lengths(&self) -> Result<(), &'static str> {
        let fits = |text: &str| (1..=255).contains(&text.len());
        if fits(&self.user) && fits(&self.password) {
            Ok(())
        } else {
            Err("SOCKS wants a user and a password of 1 to 255 bytes each")
        }
    }
}

/// What the environment says of proxies.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    http: Option<Named>,
    https: Option<Named>,
    exempt: Option<Exempt>,
}

/// A proxy, and the variable that named it.
#[derive(Debug)]
struct Named {
    variable: &'static str,
    proxy: Result<Proxy, String>,
}

impl Environment {
    /// That of this process, read when it is first asked for.
    pub(crate) fn of_the_process() -> &'static Self {
        static READ: OnceLock<Environment> = OnceLock::new();
        READ.get_or_init(|| {
            // What this crate's own tests do is no matter of the machine that they run on.
            Self::read(|name| if cfg!(test) { None } else { Some(std::env::var_os(name)?.to_string_lossy().into()) })
        })
    }

    /// What the variables say. As with curl, the names in lower case come first, and one that is empty is not set.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| Some(Named { variable: name, proxy: Proxy::parse(&set(name)?) }))
        };
        // In a CGI program, HTTP_PROXY is the header `Proxy` of whoever sent the request.
        let http: &[_] = if set("REQUEST_METHOD").is_some() {
            &["http_proxy", "all_proxy", "ALL_PROXY"]
        } else {
            &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        };
        Self {
            http: first(http),
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            exempt: set("no_proxy").or_else(|| set("NO_PROXY")).map(|list| Exempt::new(&list)),
        }
    }

    fn proxy_for(&self, url: &Url) -> Result<Option<&Proxy>, String> {
        let named = if url.scheme() == "https" { &self.https } else { &self.http };
        let Some(Named { variable, proxy }) = named else { return Ok(None) };
        if let (Some(exempt), Some(host)) = (&self.exempt, url.host())
            && exempt.contains(&host)
        {
            return Ok(None);
        }
        match proxy {
            Ok(proxy) => Ok(Some(proxy)),
            Err(mistake) => Err(format!(
                "the environment's {variable}: {mistake}; mend it, or say `.no_proxy()` or `.proxy(…)` in the settings"
            )),
        }
    }
}

#[cfg(test)]
mod tests;
