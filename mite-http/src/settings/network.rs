//! What a session's settings say of the network: names, addresses, proxies, and how long the phases may take.
//! It is separate because most sessions say nothing of it, and it is kept apart for them to share.

#[cfg(unix)]
use std::path::PathBuf;
use std::{net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use super::Settings;
#[cfg(not(feature = "hyper"))]
use crate::network::NO_HYPER;
use crate::network::{
    HTTP2, Http1, HttpVersion, Network,
    address::{AddressSelection, Dns, IpPreference, Override},
    proxy::{Proxies, Proxy},
};

impl Settings {
    /// Which version of HTTP is spoken. [`HttpVersion::Auto`] unless told otherwise.
    pub fn http_version(self, version: HttpVersion) -> Self {
        self.with_network(|network| {
            network.http_version = version;
            if version == HttpVersion::Http2PriorKnowledge && !HTTP2 {
                return Err("the session's HTTP version: HTTP/2 needs the feature `http2`, which this build does not \
                     have"
                    .to_owned());
            }
            Ok(())
        })
    }

    /// What speaks HTTP/1.1. [`Http1::Mite`] unless told otherwise.
    ///
    /// Both send and take the same, and fail with the same classes of errors; [`Http1::Hyper`] costs some more time and memory
    /// for each request. It is there to be asked for where a server is suspected to be taken wrongly, in a build with the feature
    /// `hyper`: in one without, the session's requests fail.
    ///
    /// # Examples
    ///
    /// ```
    /// use mite_http::{Http1, Settings};
    ///
    /// let settings = Settings::new().http1(Http1::Hyper);
    /// # let _ = settings;
    /// ```
    pub fn http1(self, http1: Http1) -> Self {
        self.with_network(|network| {
            network.http1 = http1;
            #[cfg(not(feature = "hyper"))]
            if http1 == Http1::Hyper {
                return Err(format!("the session's settings: {NO_HYPER}"));
            }
            Ok(())
        })
    }

    /// Where connections to `name` go, in the place of a lookup: a host, or a host and a port, as in `"api.test"` and
    /// `"api.test:443"`.
    ///
    /// The port of an address counts; 0 stands for that of the URL. The request stays what it is, as do the name in its
    /// `Host` and that which the server's certificate is verified for. A proxy that resolves names itself is not asked
    /// otherwise. With an empty list, or a name that is none, every request of the session fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use mite_http::Settings;
    ///
    /// // The new release, before it has the name.
    /// let settings = Settings::new().resolve("shop.example", ["10.0.0.7:8443".parse()?]);
    /// # let _ = settings;
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn resolve(self, name: impl AsRef<str>, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.with_network(|network| {
            let own = Override::new(name.as_ref(), addresses.into_iter().collect())
                .map_err(|mistake| format!("the session's addresses: {mistake}"))?;
            network.overrides.push(own);
            Ok(())
        })
    }

    /// When names are looked up. [`Dns::EachConnection`] unless told otherwise.
    ///
    /// With the others, those who want a name at the same time wait for one lookup. A lookup that failed is never kept.
    pub fn dns(self, dns: Dns) -> Self {
        self.with_network(|network| {
            network.dns = dns;
            Ok(())
        })
    }

    /// Which of a name's addresses a connection is opened to. [`AddressSelection::First`] unless told otherwise.
    pub fn address_selection(self, selection: AddressSelection) -> Self {
        self.with_network(|network| {
            network.selection = selection;
            Ok(())
        })
    }

    /// Which of a name's addresses are used, and which come first. [`IpPreference::Any`] unless told otherwise. An
    /// address that stands in the URL itself is used in any case.
    pub fn ip_preference(self, preference: IpPreference) -> Self {
        self.with_network(|network| {
            network.preference = preference;
            Ok(())
        })
    }

    /// The address of this machine that connections come from.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// use std::net::Ipv4Addr;
    ///
    /// let settings = Settings::new().source_address(Ipv4Addr::LOCALHOST.into());
    /// ```
    pub fn source_address(self, address: IpAddr) -> Self {
        self.source_addresses([address])
    }

    /// The addresses of this machine that connections come from, each in its turn; those of the other family than the
    /// server's address are passed over.
    ///
    /// To one address and port, a machine can have some 28 000 connections from each of its own addresses. With an empty
    /// list, every request of the session fails.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// use std::net::Ipv4Addr;
    ///
    /// let settings = Settings::new().source_addresses((1..=4).map(|host| Ipv4Addr::new(127, 0, 0, host).into()));
    /// ```
    pub fn source_addresses(self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.with_network(|network| {
            network.sources = addresses.into_iter().collect();
            if network.sources.is_empty() {
                return Err("the session's source addresses: the list is empty; give one at least, or do not call it"
                    .to_owned());
            }
            Ok(())
        })
    }

    /// The proxy of every connection, whatever the environment says: `http://`, `https://`, `socks5://`, or `socks5h://`,
    /// where the proxy resolves the names; with `user:password@` before its host where it asks for them.
    ///
    /// Unless told otherwise, the proxy is the one that `http_proxy`, `https_proxy` or `all_proxy` in the environment
    /// name, but for the hosts in `no_proxy`, as it is with curl: for servers on this machine too, if `no_proxy` does not
    /// have them. The time that the proxy takes counts as connecting. A URL that makes no sense fails every request of
    /// the session.
    ///
    /// # Examples
    ///
    /// ```
    /// use mite_http::Settings;
    ///
    /// let settings = Settings::new().proxy("http://ann:secret@proxy.example:3128");
    /// # let _ = settings;
    /// ```
    pub fn proxy(self, url: impl AsRef<str>) -> Self {
        self.with_network(|network| {
            let proxy = Proxy::parse(url.as_ref()).map_err(|mistake| format!("the session's proxy: {mistake}"))?;
            network.proxies = Proxies::Everywhere(Arc::new(proxy));
            one_way(network)
        })
    }

    /// No proxy, whatever the environment says.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().no_proxy();
    /// ```
    pub fn no_proxy(self) -> Self {
        self.with_network(|network| {
            network.proxies = Proxies::Nowhere;
            Ok(())
        })
    }

    /// The Unix socket that every connection goes to, whatever the host of the URL. https is spoken over it as over TCP.
    ///
    /// The response's address is `None`, and a proxy that the environment names is not used.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mite_core::{Context, Result};
    /// use mite_http::{HttpContext, Settings};
    ///
    /// async fn list_containers(ctx: &mut Context) -> Result {
    ///     let ctx = ctx.http_session(Settings::new().unix_socket("/var/run/docker.sock"));
    ///     ctx.http().get("http://docker/containers/json").await?.error_for_status()?;
    ///     Ok(())
    /// }
    /// ```
    #[cfg(unix)]
    pub fn unix_socket(self, path: impl Into<PathBuf>) -> Self {
        self.with_network(|network| {
            network.unix_socket = Some(path.into());
            one_way(network)
        })
    }

    /// How long looking a name up may take. Unless told otherwise, as long as opening the connection.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// use std::time::Duration;
    ///
    /// let settings = Settings::new().dns_timeout(Duration::from_secs(1));
    /// ```
    pub fn dns_timeout(self, timeout: Duration) -> Self {
        self.with_network(|network| {
            network.dns_timeout = Some(timeout);
            Ok(())
        })
    }

    /// How long a TLS handshake may take. Unless told otherwise, as long as opening the connection.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// use std::time::Duration;
    ///
    /// let settings = Settings::new().tls_timeout(Duration::from_secs(2));
    /// ```
    pub fn tls_timeout(self, timeout: Duration) -> Self {
        self.with_network(|network| {
            network.tls_timeout = Some(timeout);
            Ok(())
        })
    }

    /// What is said of the network, if anything is.
    pub(crate) fn network(&self) -> Option<&Arc<Network>> {
        self.network.as_ref()
    }

    /// Keeps the first mistake of all, as [`header`](Self::header) does.
    pub(super) fn with_network(mut self, change: impl FnOnce(&mut Network) -> Result<(), String>) -> Self {
        if let Err(mistake) = change(Arc::make_mut(self.network.get_or_insert_default())) {
            self.mistake.get_or_insert(mistake);
        }
        self
    }
}

/// A connection goes through a proxy or to a Unix socket.
#[cfg_attr(not(unix), expect(clippy::unnecessary_wraps, reason = "there are no Unix sockets"))]
fn one_way(network: &Network) -> Result<(), String> {
    #[cfg(unix)]
    if network.unix_socket.is_some() && matches!(network.proxies, Proxies::Everywhere(_)) {
        return Err(
            "the session's proxy: it has a Unix socket too, and a connection cannot go both ways; leave one away"
                .to_owned(),
        );
    }
    let _ = network;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_settings_have_no_network_and_others_are_compared_by_it() {
        assert!(Settings::new().network().is_none());
        let own = || Settings::new().dns(Dns::Once).proxy("proxy.test:1");
        assert_eq!(own(), own());
        assert_ne!(own(), own().dns(Dns::EachConnection));
        assert_ne!(own(), Settings::new());
        assert_eq!(own().network(), own().network());
    }

    #[test]
    fn the_first_mistake_is_kept() {
        let table = [
            (
                Settings::new().resolve("a.test", []),
                "the session's addresses: `a.test` is to be resolved to no address",
            ),
            (Settings::new().source_addresses([]), "the session's source addresses: the list is empty"),
            (Settings::new().proxy("ftp://p").source_addresses([]), "the session's proxy: `ftp` is no kind of proxy"),
            (Settings::new().source_addresses([]).proxy("ftp://p"), "the session's source addresses"),
            #[cfg(unix)]
            (Settings::new().unix_socket("/s").proxy("p:1"), "the session's proxy: it has a Unix socket too"),
            #[cfg(unix)]
            (Settings::new().proxy("p:1").unix_socket("/s"), "the session's proxy: it has a Unix socket too"),
        ];
        for (settings, says) in table {
            let mistake = settings.mistake.unwrap();
            assert!(mistake.starts_with(says), "{mistake}");
        }
        #[cfg(unix)]
        assert_eq!(Settings::new().unix_socket("/s").no_proxy().mistake, None);
    }
}
