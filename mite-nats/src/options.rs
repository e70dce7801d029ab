//! What a connection to NATS is made with.
//! It is separate because it is all that a user of the crate writes, and knows of no connection.

use std::fmt::{self, Debug};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mite_core::bus::{BusError, check_name};

/// Where the server is, who asks, and how long to wait.
///
/// ```
/// use std::time::Duration;
///
/// use mite_nats::Options;
///
/// let options = Options::new("tls://nats.example:4222")
///     .credentials_file("runner.creds")
///     .tls_roots("ca.pem")
///     .prefix("staging")
///     .request_timeout(Duration::from_secs(1));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Options {
    pub(crate) urls: Vec<String>,
    pub(crate) login: Login,
    pub(crate) tls_roots: Vec<PathBuf>,
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) prefix: String,
    pub(crate) name: String,
    pub(crate) request_timeout: Duration,
    pub(crate) connect_timeout: Duration,
}

/// Who asks.
#[derive(Clone)]
pub(crate) enum Login {
    /// Nobody, or who the URL says.
    Url,
    Credentials(PathBuf),
    UserPassword(String, String),
    NkeyFile(PathBuf),
    Token(String),
}

/// How long may be waited for anything.
const LONGEST: Duration = Duration::from_secs(60 * 60);

impl Options {
    /// A server by its URL: `nats://HOST:PORT`, or `tls://HOST:PORT`, also with `USER:PASSWORD@` or `TOKEN@` before the
    /// host, percent-encoded where they have other than letters and digits. Of several URLs the first that has them counts.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            login: Login::Url,
            tls_roots: Vec::new(),
            client_certificate: None,
            prefix: "mite".to_owned(),
            name: "mite".to_owned(),
            request_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
        }
    }

    /// One more server of the same NATS cluster, to connect to where the others are not there.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// Credentials as `nsc` writes them: a `.creds` file with a JWT and a seed. Of several logins the last counts.
    pub fn credentials_file(mut self, file: impl AsRef<Path>) -> Self {
        self.login = Login::Credentials(file.as_ref().to_owned());
        self
    }

    /// A user and a password.
    pub fn user_and_password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Login::UserPassword(user.into(), password.into());
        self
    }

    /// A file that has the seed of an `NKey` (`SU…`), as `nk -gen user` writes it.
    pub fn nkey_file(mut self, file: impl AsRef<Path>) -> Self {
        self.login = Login::NkeyFile(file.as_ref().to_owned());
        self
    }

    /// A token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.login = Login::Token(token.into());
        self
    }

    /// A file of certificates in PEM that sign the server's, in the place of those of the system. TLS is then required.
    pub fn tls_roots(mut self, file: impl AsRef<Path>) -> Self {
        self.tls_roots.push(file.as_ref().to_owned());
        self
    }

    /// The client's certificate and its key, files in PEM. TLS is then required.
    pub fn client_certificate(mut self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.client_certificate = Some((certificate.as_ref().to_owned(), key.as_ref().to_owned()));
        self
    }

    /// What stands before each subject, stream and bucket: `mite` where it is not set. From 1 to 100 letters, digits, `-`
    /// and `_`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What the server calls this connection in its lists: `mite` where it is not set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How long anything but [`Bus::request`](mite_core::bus::Bus::request), which says it itself, waits for the server's answer, new
    /// connections included: 2 s where it is not set; from 1 ms to an hour.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long an attempt to connect may take: 2 s where it is not set; from 1 ms to an hour.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Checks what can be checked without a server.
    pub(crate) fn check(&self) -> Result<(), BusError> {
        check_name(&self.prefix).map_err(|error| BusError::invalid("`prefix` makes no sense").with_source(error))?;
        for (what, timeout) in [("request_timeout", self.request_timeout), ("connect_timeout", self.connect_timeout)] {
            if !(Duration::from_millis(1)..=LONGEST).contains(&timeout) {
                return Err(BusError::invalid(format_args!("`{what}` is from 1 ms to an hour, not {timeout:?}")));
            }
        }
        Ok(())
    }

    /// Where the servers are, without who asks.
    pub(crate) fn places(&self) -> String {
        self.urls.iter().map(|url| without_login(url)).collect::<Vec<_>>().join(", ")
    }
}

/// A URL without user, password and token.
fn without_login(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("nats", url), |(scheme, rest)| (scheme, rest));
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rsplit_once('@').map_or(&rest[..end], |(_, host)| host);
    format!("{scheme}://{host}")
}

impl Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without any secret.
        f.debug_struct("Options")
            .field("urls", &self.places())
            .field("prefix", &self.prefix)
            .field("name", &self.name)
            .field("request_timeout", &self.request_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_without_its_secrets() {
        for (url, told) in [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("127.0.0.1", "nats://127.0.0.1"),
            ("tls://ada:secret@host:1", "tls://host:1"),
            ("nats://token@host", "nats://host"),
            ("nats://ada:p@ss@host/", "nats://host"),
        ] {
            assert_eq!(without_login(url), told, "{url}");
        }
    }

    #[test]
    fn nothing_secret_is_in_the_debug_text() {
        let options = Options::new("nats://ada:secret@host").token("secret").user_and_password("ada", "secret");
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for options in [
            Options::new("host").prefix(""),
            Options::new("host").prefix("a.b"),
            Options::new("host").request_timeout(Duration::ZERO),
            Options::new("host").connect_timeout(Duration::MAX),
        ] {
            assert!(options.check().unwrap_err().is_invalid(), "{options:?}");
        }
    }
}
