//! Where is written to: a URL, checked and taken apart, and the headers that each request has.
//!
//! It is apart from the connection, since all of it is decided before the run.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use http::{HeaderMap, Uri};
use url::{Host, Url};

/// What is wrong with how a run's figures are to be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteWriteError {
    /// The text is no URL that can be written to.
    #[error("`{url}` is no URL to write to, {why}: write it as `http://localhost:9090/api/v1/write`")]
    Url {
        /// The text.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A name and a password in the URL, which would be seen in the list of processes.
    #[error("the URL to write to has a name and a password in it, which others could see: give them apart from it")]
    Credentials,
    /// The build cannot speak https.
    #[error("`{url}` needs https, which this build is without: turn on the feature `tls`")]
    NoTls {
        /// The URL.
        url: String,
    },
    /// What no header can hold, or what the protocol itself says.
    #[error("the header {name:?} cannot be sent: {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Where is written to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// As it was given, for who reads of it.
    pub(crate) url: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_https: bool,
    pub(crate) path: Uri,
    pub(crate) headers: HeaderMap,
}

impl Target {
    pub(crate) fn new(text: &str) -> Result<Self, RemoteWriteError> {
        let wrong = |why: String| RemoteWriteError::Url { url: text.to_owned(), why };
        let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RemoteWriteError::Credentials);
        }
        let is_https = match url.scheme() {
            "http" => false,
            "https" if cfg!(feature = "tls") => true,
            "https" => return Err(RemoteWriteError::NoTls { url: text.to_owned() }),
            scheme => return Err(wrong(format!("its scheme is {scheme}"))),
        };
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(wrong("it has no host".to_owned()));
        };
        let host = match host {
            Host::Ipv6(address) => address.to_string(),
            host => host.to_string(),
        };
        let path = url[url::Position::BeforePath..url::Position::AfterQuery].parse();
        let path: Uri = path.map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        let authority = url.authority().parse().map_err(|_| wrong("its host is none".to_owned()))?;
        let own = [
            (HOST, authority),
            (CONNECTION, HeaderValue::from_static("close")),
            (CONTENT_ENCODING, HeaderValue::from_static("snappy")),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf")),
            (USER_AGENT, HeaderValue::from_static(concat!("mite/", env!("CARGO_PKG_VERSION")))),
            (HeaderName::from_static("x-prometheus-remote-write-version"), HeaderValue::from_static("0.1.0")),
        ];
        Ok(Self { url: text.to_owned(), host, port, is_https, path, headers: own.into_iter().collect() })
    }

    /// Says a header in each request, which is taken to be a secret.
    pub(crate) fn header(&mut self, name: &str, value: &str) -> Result<(), RemoteWriteError> {
        let wrong = |why| RemoteWriteError::Header { name: name.to_owned(), why };
        let (Ok(parsed), Ok(mut value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) else {
            return Err(wrong("a name is letters, digits and `-`, and a value one line of text"));
        };
        let is_own = self.headers.contains_key(&parsed) && parsed != AUTHORIZATION && parsed != USER_AGENT;
        if is_own || parsed == http::header::CONTENT_LENGTH || parsed == http::header::TRANSFER_ENCODING {
            return Err(wrong("mite says it itself"));
        }
        value.set_sensitive(true);
        self.headers.insert(parsed, value);
        Ok(())
    }

    /// The bytes of a request with this body.
    pub(crate) fn request(&self, body: &[u8]) -> Vec<u8> {
        let mut bytes = format!("POST {} HTTP/1.1\r\n", self.path).into_bytes();
        for (name, value) in &self.headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    pub(crate) fn basic_auth(&mut self, name: &str, password: &str) -> Result<(), RemoteWriteError> {
        self.header("authorization", &format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let rows = [
            ("http://localhost:9090/api/v1/write", ("localhost", 9090, "/api/v1/write", "localhost:9090")),
            ("http://mimir/push?tenant=a%20b", ("mimir", 80, "/push?tenant=a%20b", "mimir")),
            ("http://[::1]:9/", ("::1", 9, "/", "[::1]:9")),
        ];
        for (url, expected) in rows {
            let target = Target::new(url).unwrap();
            let host = target.headers[HOST].to_str().unwrap();
            assert_eq!((&*target.host, target.port, &*target.path.to_string(), host), expected);
        }
    }

    #[test]
    fn what_cannot_be_written_to_is_refused() {
        let told = |url: &str| Target::new(url).unwrap_err().to_string();
        let mend = "write it as `http://localhost:9090/api/v1/write`";
        assert_eq!(
            told("localhost:9090"),
            format!("`localhost:9090` is no URL to write to, its scheme is localhost: {mend}")
        );
        assert_eq!(told("/x"), format!("`/x` is no URL to write to, relative URL without a base: {mend}"));
        assert!(told("http://me:secret@localhost/").ends_with("which others could see: give them apart from it"));
    }

    #[test]
    fn headers_of_a_users_own_are_secret_and_none_of_the_protocols() {
        let mut target = Target::new("http://localhost/").unwrap();
        target.header("X-Scope-OrgID", "shop").unwrap();
        target.basic_auth("me", "secret").unwrap();
        assert_eq!(target.headers[AUTHORIZATION], "Basic bWU6c2VjcmV0");
        let told = format!("{target:?}");
        assert!(told.contains("x-scope-orgid") && !told.contains("bWU6"), "{told}");
        let refused = |target: &mut Target, name, value| target.header(name, value).unwrap_err().to_string();
        assert_eq!(
            refused(&mut target, "content-encoding", "gzip"),
            "the header \"content-encoding\" cannot be sent: mite says it itself"
        );
        assert!(refused(&mut target, "a b", "c").contains("letters, digits"));
        assert!(refused(&mut target, "a", "b\nc").contains("one line"));
    }
}
