//! Whom a connection is opened to, and what errors call it.
//! It is separate because every step of opening a connection names it.

use std::fmt;

use url::{Host, Url};

use crate::{
    error::{Class, Fault},
    network::proxy::Proxy,
};

/// A server, or the proxy before it. It is shown as `host:port`.
#[derive(Debug, Clone)]
pub(super) struct Peer<'a> {
    pub(super) host: Host<&'a str>,
    pub(super) port: u16,
    is_proxy: bool,
}

impl<'a> Peer<'a> {
    pub(super) fn server(url: &'a Url) -> Result<Self, Fault> {
        let host = url.host().ok_or_else(|| Fault::new(Class::Request, "the URL has no host"))?;
        Ok(Self { host, port: url.port_or_known_default().unwrap_or(80), is_proxy: false })
    }

    pub(super) fn proxy(proxy: &'a Proxy) -> Self {
        let host = match &proxy.host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(ip) => Host::Ipv4(*ip),
            Host::Ipv6(ip) => Host::Ipv6(*ip),
        };
        Self { host, port: proxy.port, is_proxy: true }
    }

    /// `host:port`, as it stands in requests.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.is_proxy { "the proxy " } else { "" };
        write!(f, "{whose}{}:{}", self.host, self.port)
    }
}
