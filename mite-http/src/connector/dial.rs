//! Connects to one of several addresses, from one of several of this machine's own.
//! It is separate because it is the one place that opens sockets.

use std::{
    cell::Cell,
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::peer::Peer;
use crate::{
    error::{Class, Fault},
    network::address::source_for,
    wire::Socket,
};

/// Connects from the sources in turn, or from wherever the system likes.
#[derive(Debug)]
pub(super) struct Dialer {
    sources: Vec<IpAddr>,
    turn: Cell<usize>,
}

/// Why an address was not reached.
#[derive(Debug)]
enum Miss {
    /// No source has the family of the address.
    NoSource,
    /// The source is not this machine's, or cannot be used.
    Source(IpAddr, io::Error),
    Refused(io::Error),
}

impl Dialer {
    pub(super) fn new(sources: Vec<IpAddr>) -> Self {
        Self { sources, turn: Cell::new(0) }
    }

    /// Tries one address after the other. Each has an equal part of `limit`, so that one which swallows packets does not
    /// take the time of the others.
    pub(super) async fn any_of(
        &self,
        addresses: &[SocketAddr],
        peer: &Peer<'_>,
        limit: Duration,
    ) -> Result<(Socket, SocketAddr), Fault> {
        let from = Instant::now();
        let mut last = None;
        for (tried, address) in addresses.iter().enumerate() {
            let share = limit.saturating_sub(from.elapsed()) / (addresses.len() - tried) as u32;
            match timeout(share, self.one(*address)).await {
                Ok(Ok(tcp)) => return Ok((Socket::tcp(tcp), *address)),
                Ok(Err(miss)) => last = Some(miss),
                Err(elapsed) => last = Some(Miss::Refused(elapsed.into())),
            }
        }
        Err(match last {
            Some(miss) => fault_of(miss, peer),
            None => Fault::new(Class::Connect, format!("failed to connect to {peer}: it has no address")),
        })
    }

    async fn one(&self, address: SocketAddr) -> Result<TcpStream, Miss> {
        let connected = if self.sources.is_empty() {
            TcpStream::connect(address).await
        } else {
            let (source, next) = source_for(&self.sources, &address, self.turn.get()).ok_or(Miss::NoSource)?;
            self.turn.set(next);
            let socket = bound_to(source).map_err(|error| Miss::Source(source, error))?;
            socket.connect(address).await
        };
        let tcp = connected.map_err(Miss::Refused)?;
        // A request is written in one piece and waits for its answer: there is nothing to gather.
        tcp.set_nodelay(true).map_err(Miss::Refused)?;
        Ok(tcp)
    }
}

fn bound_to(source: IpAddr) -> io::Result<TcpSocket> {
    let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    leave_the_port_open(&socket)?;
    socket.bind(SocketAddr::new(source, 0))?;
    Ok(socket)
}

/// Has the port chosen when the server is known: it can then be that of a connection to another server.
#[cfg(target_os = "linux")]
fn leave_the_port_open(socket: &TcpSocket) -> io::Result<()> {
    use nix::{
        errno::Errno,
        sys::socket::{setsockopt, sockopt::IpBindAddressNoPort},
    };
    match setsockopt(socket, IpBindAddressNoPort, &true) {
        // Some sandboxes do not know it, where a port is used up by each connection.
        Err(Errno::ENOPROTOOPT) => Ok(()),
        set => Ok(set?),
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the signature is that of Linux")]
fn leave_the_port_open(_: &TcpSocket) -> io::Result<()> {
    Ok(())
}

/// A connection to the Unix socket at `path`, which stands for `peer`.
#[cfg(unix)]
pub(super) async fn unix(path: &std::path::Path, peer: &Peer<'_>) -> Result<Socket, Fault> {
    let connected = tokio::net::UnixStream::connect(path).await;
    connected.map(Socket::unix).map_err(|error| {
        let what = format!("failed to connect to the Unix socket {} for {peer}", path.display());
        Fault::new(Class::Connect, what).because(error)
    })
}

fn fault_of(miss: Miss, peer: &Peer<'_>) -> Fault {
    let failed = format!("failed to connect to {peer}");
    let error = match miss {
        Miss::NoSource => {
            let what = "none of the session's source addresses has the family of the server's (IPv4 or IPv6); see \
                 .source_addresses(…)";
            return Fault::new(Class::Connect, format!("{failed}: {what}"));
        }
        Miss::Source(source, error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            // Without its cause, which would be taken for ports that have run out.
            return Fault::new(Class::Connect, format!("{failed} from {source}: that is no address of this machine"));
        }
        Miss::Source(source, error) => {
            return Fault::new(Class::Connect, format!("{failed} from {source}")).because(error);
        }
        Miss::Refused(error) => error,
    };
    match error.kind() {
        io::ErrorKind::TimedOut => Fault::new(Class::Timeout, failed),
        io::ErrorKind::AddrNotAvailable => Fault::new(Class::Connect, format!("{failed}: {NO_PORT}")),
        _ => Fault::new(Class::Connect, failed),
    }
    .because(error)
}

/// A machine without IPv6 says the same of every address of that family.
const NO_PORT: &str = "this machine has no port left for it, or no address of its family; connections that are kept alive \
     need fewer ports, and more addresses have more: see .source_addresses(…)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_says_what_was_missing() {
        let url = "http://a.test/".parse().unwrap();
        let peer = Peer::server(&url).unwrap();
        let source = "10.0.0.1".parse().unwrap();
        let io = |kind: io::ErrorKind| io::Error::from(kind);
        let table = [
            (Miss::NoSource, Class::Connect, "none of the session's source addresses", false),
            (
                Miss::Source(source, io(io::ErrorKind::AddrNotAvailable)),
                Class::Connect,
                "from 10.0.0.1: that is no address of this machine",
                false,
            ),
            (Miss::Source(source, io(io::ErrorKind::AddrInUse)), Class::Connect, "from 10.0.0.1", true),
            (
                Miss::Refused(io(io::ErrorKind::AddrNotAvailable)),
                Class::Connect,
                "this machine has no port left for it",
                true,
            ),
            (
                Miss::Refused(io(io::ErrorKind::ConnectionRefused)),
                Class::Connect,
                "failed to connect to a.test:80",
                true,
            ),
            (Miss::Refused(io(io::ErrorKind::TimedOut)), Class::Timeout, "failed to connect to a.test:80", true),
        ];
        for (miss, class, says, has_cause) in table {
            let shown = format!("{miss:?}");
            let fault = fault_of(miss, &peer);
            assert_eq!(fault.class(), class, "{shown}");
            let error = fault.of_none();
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(std::error::Error::source(&error).is_some(), has_cause, "{shown}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_source_takes_no_port_until_the_server_is_known() {
        for source in ["127.0.0.1", "::1"] {
            // A machine without IPv6 has nothing to show.
            if let Ok(socket) = bound_to(source.parse().unwrap()) {
                assert_eq!(socket.local_addr().unwrap().port(), 0, "{source}");
            } else {
                assert_eq!(source, "::1");
            }
        }
    }
}
