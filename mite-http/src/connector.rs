//! Opens connections: finds the way to a server, connects, and shakes hands where the URL says https.
//! It is separate because each step is a phase of its own in the timings, and happens for few of the requests.

mod dial;
mod peer;
mod resolver;
mod socks;
mod tunnel;

use std::{
    cell::Cell,
    fmt,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http::Version;
use tokio::time::timeout;
use url::{Host, Url};

use self::{dial::Dialer, peer::Peer, resolver::Resolver};
use crate::{
    error::{Class, Fault},
    network::{
        Http1, Network,
        address::in_order,
        proxy::{Environment, Proxies, Proxy, Scheme},
    },
    timing::Timings,
    tls::Tls,
    wire::{Socket, Wire},
};

/// Opens the connections of one worker that share a network.
#[derive(Debug)]
pub(crate) struct Connector {
    network: Arc<Network>,
    environment: &'static Environment,
    tls: Tls,
    resolver: Rc<Resolver>,
    dialer: Rc<Dialer>,
}

/// A connection on which nothing has been said yet.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) wire: Wire,
    /// The other end: the proxy's, if there is one, and none of a Unix socket.
    pub(crate) remote: Option<SocketAddr>,
    /// What is to be spoken.
    pub(crate) version: Version,
    /// What speaks it, if that is HTTP/1.1.
    pub(crate) http1: Http1,
    /// Set if the other end is an HTTP proxy that passes single requests on, each of which has to be made over for it.
    pub(crate) forward_proxy: Option<ForwardProxy>,
}

pub(crate) use tunnel::ForwardProxy;

/// What is being done for a connection.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Dns,
    Connect,
    Proxy,
    Tls,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "a name was still being resolved",
            Self::Connect => "nobody had answered",
            Self::Proxy => "the proxy was still connecting",
            Self::Tls => "the TLS handshake was not done",
        })
    }
}

/// One connection on its way.
struct Attempt<'a> {
    url: &'a Url,
    server: &'a Peer<'a>,
    begun: Instant,
    limit: Duration,
    phase: &'a Cell<Phase>,
    timings: &'a mut Timings,
}

impl Attempt<'_> {
    fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.begun.elapsed())
    }
}

/// A stream to the server, or to a proxy that passes on what it is sent.
struct Reached {
    socket: Socket,
    remote: Option<SocketAddr>,
    forward_proxy: Option<ForwardProxy>,
}

impl Default for Connector {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Connector {
    /// A connector that opens connections as `network` says.
    pub(crate) fn new(network: Arc<Network>) -> Self {
        Self::with_environment(network, Environment::of_the_process())
    }

    fn with_environment(network: Arc<Network>, environment: &'static Environment) -> Self {
        Self {
            environment,
            tls: Tls::new(Arc::clone(&network)),
            resolver: Rc::new(Resolver::new(network.dns)),
            dialer: Rc::new(Dialer::new(network.sources.clone())),
            network,
        }
    }

    /// A connector for somebody who comes for the first time: he has no TLS sessions to take up again.
    pub(crate) fn for_newcomer(&self) -> Self {
        Self {
            environment: self.environment,
            tls: Tls::new(Arc::clone(&self.network)),
            resolver: Rc::clone(&self.resolver),
            dialer: Rc::clone(&self.dialer),
            network: Arc::clone(&self.network),
        }
    }

    /// In which version the server of `url` answers, if that is known before it has.
    pub(crate) fn version(&self, url: &Url) -> Option<Version> {
        self.network.http_version.known(url.scheme() == "https")
    }

    /// Whether there is nothing that takes time once.
    pub(crate) fn is_prepared(&self, url: &Url) -> bool {
        let via_https = matches!(&self.network.proxies, Proxies::Everywhere(proxy) if proxy.scheme == Scheme::Https);
        url.scheme() != "https" && !via_https
    }

    /// Does what takes time once and belongs to no request.
    pub(crate) async fn prepare(&self, url: &Url) -> Result<(), Fault> {
        if self.is_prepared(url) { Ok(()) } else { self.tls.prepare().await }
    }

    /// A new connection to the server of `url`, opened within `limit`.
    pub(crate) async fn connect(&self, url: &Url, limit: Duration, timings: &mut Timings) -> Result<Opened, Fault> {
        let server = Peer::server(url)?;
        let phase = Cell::new(Phase::Connect);
        let attempt = Attempt { url, server: &server, begun: Instant::now(), limit, phase: &phase, timings };
        match timeout(limit, self.open(attempt)).await {
            Ok(opened) => opened,
            Err(_elapsed) => {
                let what = format!("timeout: no connection to {server} within {limit:?}: {}", phase.get());
                Err(Fault::new(Class::Timeout, what))
            }
        }
    }

    async fn open(&self, mut attempt: Attempt<'_>) -> Result<Opened, Fault> {
        let Reached { socket, remote, forward_proxy } = self.reach(&mut attempt).await?;
        let (wire, version) = if attempt.is_secure() {
            let from = Instant::now();
            attempt.phase.set(Phase::Tls);
            let server = attempt.server;
            // Boxed, as with a proxy: it would make each connection three times as large while it is opened.
            let secured = Box::pin(self.tls.secure(&server.host, server, socket));
            let secured =
                within(self.network.tls_timeout, secured, || format!("the TLS handshake with {server}")).await?;
            attempt.timings.secured(from);
            secured
        } else {
            (Wire::plain(socket), self.network.http_version.spoken(None))
        };
        let http1 = self.network.http1;
        Ok(Opened { wire, remote, version, http1, forward_proxy })
    }

    async fn reach(&self, attempt: &mut Attempt<'_>) -> Result<Reached, Fault> {
        #[cfg(unix)]
        if let Some(path) = &self.network.unix_socket {
            let from = Instant::now();
            let socket = dial::unix(path, attempt.server).await?;
            attempt.timings.connected(from);
            return Ok(Reached { socket, remote: None, forward_proxy: None });
        }
        let proxy = self.network.proxies.of(attempt.url, self.environment).map_err(|mistake| {
            Fault::new(Class::Connect, format!("failed to connect to {}: {mistake}", attempt.server))
        })?;
        if let Some(proxy) = proxy {
            // Boxed, because it is five times as large as the way without a proxy: thousands may connect at once.
            return Box::pin(self.reach_by(proxy, attempt)).await;
        }
        let addresses = self.addresses(attempt.server, Instant::now(), attempt).await?;
        let from = Instant::now();
        let (socket, remote) = self.dial(attempt.server, &addresses, attempt).await?;
        attempt.timings.connected(from);
        Ok(Reached { socket, remote: Some(remote), forward_proxy: None })
    }

    async fn reach_by(&self, proxy: &Proxy, attempt: &mut Attempt<'_>) -> Result<Reached, Fault> {
        let (server, first_lookup) = (attempt.server, Instant::now());
        let address = match (proxy.scheme, &server.host) {
            (Scheme::Socks5, Host::Domain(_)) => {
                let addresses = self.addresses(server, first_lookup, attempt).await?;
                addresses.first().copied()
            }
            _ => None,
        };
        let via = Peer::proxy(proxy);
        let addresses = self.addresses(&via, first_lookup, attempt).await?;
        let from = Instant::now();
        let (mut socket, remote) = self.dial(&via, &addresses, attempt).await?;
        attempt.phase.set(Phase::Proxy);
        if proxy.scheme == Scheme::Https {
            let secured = self.tls.secure_proxy(&via.host, &via, socket);
            socket = within(self.network.tls_timeout, secured, || format!("the TLS handshake with {via}")).await?;
        }
        let forwards = proxy.is_http() && !attempt.is_secure();
        let socket = match proxy.scheme {
            Scheme::Http | Scheme::Https if forwards => socket,
            Scheme::Http | Scheme::Https => tunnel::by_http(socket, proxy, &via, server).await?,
            Scheme::Socks5 | Scheme::Socks5Names => tunnel::by_socks(socket, proxy, &via, server, address).await?,
        };
        attempt.timings.connected(from);
        Ok(Reached {
            socket,
            remote: Some(remote),
            forward_proxy: forwards.then(|| ForwardProxy::new(proxy.authorization())),
        })
    }

    /// Where `peer` is, in the order of the tries. If it takes a lookup, that counts from `first_lookup` on.
    async fn addresses(
        &self,
        peer: &Peer<'_>,
        first_lookup: Instant,
        attempt: &mut Attempt<'_>,
    ) -> Result<Vec<SocketAddr>, Fault> {
        let Peer { host, port, .. } = peer;
        let port = *port;
        let given = self.network.overrides.iter().rev().find_map(|own| own.of(host, port));
        let found = match (given, host) {
            (Some(given), _) => given,
            (None, Host::Ipv4(ip)) => return Ok(vec![SocketAddr::new((*ip).into(), port)]),
            (None, Host::Ipv6(ip)) => return Ok(vec![SocketAddr::new((*ip).into(), port)]),
            (None, Host::Domain(name)) => {
                attempt.phase.set(Phase::Dns);
                let looked_up = within(self.network.dns_timeout, self.resolver.look_up(name), || {
                    format!("resolving the name of {peer}")
                });
                let found = looked_up.await;
                if !matches!(found, Ok(resolver::Answer { kept: true, .. })) {
                    attempt.timings.resolved(first_lookup);
                }
                attempt.phase.set(Phase::Connect);
                let found = found.map_err(|fault| match fault.class() {
                    Class::Connect => fault.saying(format!("failed to connect to {peer}: its name was not resolved")),
                    _ => fault,
                })?;
                found.addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
            }
        };
        let Network { preference, selection, .. } = *self.network;
        let turn = self.resolver.turn(selection, host, port);
        let ordered = in_order(&found, preference, selection, turn);
        if ordered.is_empty() {
            let what = format!("failed to connect to {peer}: its name was not resolved");
            return Err(Fault::new(Class::Connect, what).because(format!("the name has {}", preference.wanted())));
        }
        Ok(ordered)
    }

    async fn dial(
        &self,
        peer: &Peer<'_>,
        addresses: &[SocketAddr],
        attempt: &Attempt<'_>,
    ) -> Result<(Socket, SocketAddr), Fault> {
        attempt.phase.set(Phase::Connect);
        self.dialer.any_of(addresses, peer, attempt.left()).await
    }
}

/// Waits for `phase`, which may have a limit of its own.
async fn within<T>(
    limit: Option<Duration>,
    phase: impl Future<Output = Result<T, Fault>>,
    what: impl FnOnce() -> String,
) -> Result<T, Fault> {
    let Some(limit) = limit else { return phase.await };
    match timeout(limit, phase).await {
        Ok(done) => done,
        Err(_elapsed) => Err(Fault::new(Class::Timeout, format!("timeout: {} was not done within {limit:?}", what()))),
    }
}

#[cfg(test)]
mod tests;
