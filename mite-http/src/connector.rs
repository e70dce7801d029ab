//! Opens connections: resolves the name, connects to its addresses in turn, and shakes hands where the URL says https.
//! It is separate because each step is a phase of its own in the timings, and happens for few of the requests.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use url::{Host, Url};

use crate::{
    error::{Class, Fault},
    timing::Timings,
    transport::Connection,
    wire::{Marks, Socket, Wire},
};

/// Opens the connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    #[cfg(feature = "tls")]
    tls: std::cell::OnceCell<std::sync::Arc<rustls::ClientConfig>>,
}

impl Connector {
    /// A connector whose https trusts what `config` says.
    #[cfg(all(test, feature = "tls"))]
    pub(crate) fn with_tls(config: std::sync::Arc<rustls::ClientConfig>) -> Self {
        Self { tls: config.into() }
    }

    /// Does what takes time once and belongs to no request: reads the trusted certificates if `url` needs them.
    pub(crate) fn prepare(&self, url: &Url) -> Result<(), Fault> {
        if url.scheme() != "https" {
            return Ok(());
        }
        #[cfg(feature = "tls")]
        if self.tls.get().is_none() {
            let config = crate::tls::verified()?;
            self.tls.get_or_init(|| config);
        }
        #[cfg(not(feature = "tls"))]
        return Err(Fault::new(Class::Tls, NO_TLS));
        #[cfg(feature = "tls")]
        Ok(())
    }

    /// A new connection to the server of `url`, opened within `limit`.
    pub(crate) async fn connect(
        &self,
        url: &Url,
        limit: Duration,
        timings: &mut Timings,
    ) -> Result<Connection, Fault> {
        match timeout(limit, self.open(url, limit, timings)).await {
            Ok(opened) => opened,
            Err(_elapsed) => Err(Fault::new(
                Class::Timeout,
                format!("timeout: no connection to {} within {limit:?}", peer(url)),
            )),
        }
    }

    async fn open(
        &self,
        url: &Url,
        limit: Duration,
        timings: &mut Timings,
    ) -> Result<Connection, Fault> {
        let addresses = resolve(url, timings).await?;
        let (tcp, remote) = connect_to_any(url, &addresses, limit, timings).await?;
        // A request is written in one piece and waits for its answer: there is nothing to gather.
        tcp.set_nodelay(true).map_err(|error| refused(url, error))?;

        let socket = Socket::new(tcp, Rc::new(Marks::default()));
        let wire = if url.scheme() == "https" {
            self.secure(url, socket, timings).await?
        } else {
            Wire::plain(socket)
        };
        Connection::http1(wire, remote).await
    }

    #[cfg(feature = "tls")]
    async fn secure(
        &self,
        url: &Url,
        socket: Socket,
        timings: &mut Timings,
    ) -> Result<Wire, Fault> {
        use rustls::pki_types::ServerName;

        let failed = || {
            Fault::new(
                Class::Tls,
                format!("failed the TLS handshake with {}", peer(url)),
            )
        };
        let Some(config) = self.tls.get() else {
            return Err(failed().because("no certificates have been loaded"));
        };
        let name = match url.host() {
            Some(Host::Domain(name)) => {
                ServerName::try_from(name.to_owned()).map_err(|error| failed().because(error))?
            }
            Some(Host::Ipv4(ip)) => ServerName::from(IpAddr::from(ip)),
            Some(Host::Ipv6(ip)) => ServerName::from(IpAddr::from(ip)),
            None => return Err(no_host()),
        };
        let from = Instant::now();
        let stream = tokio_rustls::TlsConnector::from(std::sync::Arc::clone(config))
            .connect(name, socket)
            .await
            .map_err(|error| failed().because(error))?;
        timings.secured(from);
        Ok(Wire::tls(stream))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(
        clippy::unused_async,
        clippy::unused_self,
        reason = "the twin of the function that has TLS"
    )]
    async fn secure(&self, _: &Url, _: Socket, _: &mut Timings) -> Result<Wire, Fault> {
        Err(Fault::new(Class::Tls, NO_TLS))
    }
}

#[cfg(not(feature = "tls"))]
const NO_TLS: &str = "https needs the feature `tls`, which this build of mite-http does not have";

async fn resolve(url: &Url, timings: &mut Timings) -> Result<Vec<SocketAddr>, Fault> {
    let port = url.port_or_known_default().unwrap_or(80);
    let name = match url.host() {
        Some(Host::Ipv4(ip)) => return Ok(vec![SocketAddr::new(ip.into(), port)]),
        Some(Host::Ipv6(ip)) => return Ok(vec![SocketAddr::new(ip.into(), port)]),
        Some(Host::Domain(name)) => name,
        None => return Err(no_host()),
    };
    let from = Instant::now();
    let found = lookup_host((name, port)).await;
    timings.resolved(from);
    let failed = || {
        Fault::new(
            Class::Connect,
            format!(
                "failed to connect to {}: its name was not resolved",
                peer(url)
            ),
        )
    };
    let addresses: Vec<_> = found.map_err(|error| failed().because(error))?.collect();
    if addresses.is_empty() {
        return Err(failed().because("the name has no address"));
    }
    Ok(addresses)
}

/// Tries one address after the other. Each has an equal part of what is left of `limit`, so that one which swallows
/// packets does not take the time of the others.
async fn connect_to_any(
    url: &Url,
    addresses: &[SocketAddr],
    limit: Duration,
    timings: &mut Timings,
) -> Result<(TcpStream, SocketAddr), Fault> {
    let from = Instant::now();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (tried, address) in addresses.iter().enumerate() {
        let share = limit.saturating_sub(from.elapsed()) / (addresses.len() - tried) as u32;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                timings.connected(from);
                return Ok((tcp, *address));
            }
            Ok(Err(error)) => last = error,
            Err(elapsed) => last = elapsed.into(),
        }
    }
    Err(refused(url, last))
}

fn refused(url: &Url, error: io::Error) -> Fault {
    let class = if error.kind() == io::ErrorKind::TimedOut {
        Class::Timeout
    } else {
        Class::Connect
    };
    Fault::new(class, format!("failed to connect to {}", peer(url))).because(error)
}

fn no_host() -> Fault {
    Fault::new(Class::Request, "the URL has no host")
}

/// `host:port`, for messages.
fn peer(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
