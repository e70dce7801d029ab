//! Opens connections: resolves the name, connects to its addresses in turn, and shakes hands where the URL says https.
//! It is separate because each step is a phase of its own in the timings, and happens for few of the requests.

use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use http::Version;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use url::{Host, Url};

use crate::{
    error::{Class, Fault},
    timing::Timings,
    tls::Tls,
    wire::{Marks, Socket, Wire},
};

/// A stream on which HTTP can begin.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) wire: Wire,
    /// The address of the other end, if it has one.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) version: Version,
}

/// Opens the connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    tls: Tls,
    version: Version,
}

impl Connector {
    /// A connector whose https is `tls`.
    #[cfg(all(test, feature = "tls"))]
    pub(crate) fn with(tls: Tls) -> Self {
        Self { tls, ..Self::default() }
    }

    /// A connector that takes servers to speak HTTP/2.
    #[cfg(all(test, feature = "http2"))]
    pub(crate) fn http2() -> Self {
        Self { version: Version::HTTP_2, ..Self::default() }
    }

    /// In which version the server of `url` answers, if that is known before it has.
    pub(crate) fn version(&self, url: &Url) -> Option<Version> {
        let is_negotiated = url.scheme() == "https" && self.version == Version::HTTP_2;
        (!is_negotiated).then_some(self.version)
    }

    /// Does what takes time once and belongs to no request.
    pub(crate) async fn prepare(&self, url: &Url) -> Result<(), Fault> {
        if url.scheme() == "https" { self.tls.prepare().await } else { Ok(()) }
    }

    /// A new connection to the server of `url`, opened within `limit`.
    pub(crate) async fn connect(&self, url: &Url, limit: Duration, timings: &mut Timings) -> Result<Opened, Fault> {
        match timeout(limit, self.open(url, limit, timings)).await {
            Ok(opened) => opened,
            Err(_elapsed) => {
                Err(Fault::new(Class::Timeout, format!("timeout: no connection to {} within {limit:?}", peer(url))))
            }
        }
    }

    async fn open(&self, url: &Url, limit: Duration, timings: &mut Timings) -> Result<Opened, Fault> {
        let addresses = resolve(url, timings).await?;
        let (tcp, remote) = connect_to_any(url, &addresses, limit, timings).await?;
        // A request is written in one piece and waits for its answer: there is nothing to gather.
        tcp.set_nodelay(true).map_err(|error| refused(url, error))?;

        let socket = Socket::new(tcp, Rc::new(Marks::default()));
        let wire = if url.scheme() == "https" {
            let from = Instant::now();
            let wire = self.tls.secure(url, socket).await?;
            timings.secured(from);
            wire
        } else {
            Wire::plain(socket)
        };
        Ok(Opened { wire, remote: Some(remote), version: self.version })
    }
}

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
    let failed =
        || Fault::new(Class::Connect, format!("failed to connect to {}: its name was not resolved", peer(url)));
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
    let class = if error.kind() == io::ErrorKind::TimedOut { Class::Timeout } else { Class::Connect };
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
