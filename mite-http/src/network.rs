//! What a session says of how its connections are opened: TLS, addresses, proxies, and how long the phases may take.
//! It is separate from the connector, which does what is said here, because sessions are compared by it: those with equal
//! networks share connections, and no others do.

pub(crate) mod address;
pub(crate) mod proxy;
#[cfg(feature = "tls")]
pub(crate) mod trust;

#[cfg(unix)]
use std::path::PathBuf;
use std::{net::IpAddr, time::Duration};

use address::{AddressSelection, Dns, IpPreference, Override};
use http::Version;
use proxy::Proxies;

/// Whether this build speaks HTTP/2.
pub(crate) const HTTP2: bool = cfg!(feature = "http2");

/// What is said to those who ask for it in a build without it.
#[cfg(not(feature = "hyper"))]
pub(crate) const NO_HYPER: &str = "HTTP/1.1 on hyper needs the feature `hyper`, which this build does not have";

/// Everything that decides how a connection is opened.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Network {
    pub(crate) http_version: HttpVersion,
    pub(crate) http1: Http1,
    #[cfg(feature = "tls")]
    pub(crate) trust: trust::Trust,
    pub(crate) overrides: Vec<Override>,
    pub(crate) dns: Dns,
    pub(crate) selection: AddressSelection,
    pub(crate) preference: IpPreference,
    /// Where connections come from, in turn; anywhere, if there is none.
    pub(crate) sources: Vec<IpAddr>,
    pub(crate) proxies: Proxies,
    #[cfg(unix)]
    pub(crate) unix_socket: Option<PathBuf>,
    pub(crate) dns_timeout: Option<Duration>,
    pub(crate) tls_timeout: Option<Duration>,
}

/// Which version of HTTP a session speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HttpVersion {
    /// What the server chooses on https, HTTP/1.1 on http.
    #[default]
    Auto,
    /// HTTP/1.1, whatever the server would prefer.
    Http1,
    /// HTTP/2 from the first byte, on http too: for servers that are known to speak it.
    Http2PriorKnowledge,
}

/// What speaks HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http1 {
    /// What is made for load: one write and one read for a plain request, and no buffer for a connection that is idle.
    Mite,
    /// The library hyper, which most services and clients in Rust stand on. It needs the feature `hyper`, which is not on by
    /// default.
    Hyper,
}

impl Default for Http1 {
    fn default() -> Self {
        // The tests of this crate run on both: see `transport::tests`.
        if cfg!(all(test, feature = "hyper")) && std::env::var_os("MITE_TEST_ON_HYPER").is_some() {
            Self::Hyper
        } else {
            Self::Mite
        }
    }
}

impl HttpVersion {
    /// What is offered in a TLS handshake, the most wanted first, by a build that speaks HTTP/2 or not.
    #[cfg(feature = "tls")]
    pub(crate) fn offers(self, http2: bool) -> &'static [&'static [u8]] {
        match self {
            Self::Auto if http2 => &[b"h2", b"http/1.1"],
            Self::Auto | Self::Http1 => &[b"http/1.1"],
            Self::Http2PriorKnowledge => &[b"h2"],
        }
    }

    /// What is spoken on a connection, if that is known before there is one.
    pub(crate) fn known(self, is_secure: bool) -> Option<Version> {
        match self {
            Self::Auto if is_secure && HTTP2 => None,
            Self::Auto | Self::Http1 => Some(Version::HTTP_11),
            Self::Http2PriorKnowledge => Some(Version::HTTP_2),
        }
    }

    /// What is spoken, if the server has `chosen` from the offers, or there was nothing to choose.
    pub(crate) fn spoken(self, chosen: Option<&[u8]>) -> Version {
        match (self, chosen) {
            (Self::Http2PriorKnowledge, _) | (Self::Auto, Some(b"h2")) => Version::HTTP_2,
            _ => Version::HTTP_11,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "tls")]
    #[test]
    fn what_is_offered_is_what_can_be_spoken() {
        let table: [(HttpVersion, bool, &[&str]); 5] = [
            (HttpVersion::Auto, false, &["http/1.1"]),
            (HttpVersion::Auto, true, &["h2", "http/1.1"]),
            (HttpVersion::Http1, true, &["http/1.1"]),
            (HttpVersion::Http1, false, &["http/1.1"]),
            (HttpVersion::Http2PriorKnowledge, true, &["h2"]),
        ];
        for (version, http2, offers) in table {
            let offered: Vec<_> =
                version.offers(http2).iter().map(|offer| std::str::from_utf8(offer).unwrap()).collect();
            assert_eq!(offered, offers, "{version:?}, HTTP/2: {http2}");
        }
    }

    #[test]
    fn what_is_spoken_is_what_the_server_chose() {
        let table = [
            (HttpVersion::Auto, None, Version::HTTP_11),
            (HttpVersion::Auto, Some(&b"h2"[..]), Version::HTTP_2),
            (HttpVersion::Auto, Some(b"http/1.1"), Version::HTTP_11),
            (HttpVersion::Http1, None, Version::HTTP_11),
            // Known before, whatever the server says.
            (HttpVersion::Http2PriorKnowledge, None, Version::HTTP_2),
            (HttpVersion::Http2PriorKnowledge, Some(b"h2"), Version::HTTP_2),
        ];
        for (version, chosen, spoken) in table {
            assert_eq!(version.spoken(chosen), spoken, "{version:?} {chosen:?}");
        }
    }
}
