//! What is said to a proxy: `CONNECT`, SOCKS5, and requests made over for one that passes them on.
//! It is separate because it is an exchange of its own before the server's connection begins.

use std::{io, mem::MaybeUninit, net::SocketAddr};

use http::{HeaderValue, StatusCode};
use httparse::{ParserConfig, Status};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use url::Host;

use super::{
    peer::Peer,
    socks::{self, Refused},
};
use crate::{
    error::{Class, Fault},
    head::MAX_HEADERS,
    network::proxy::Proxy,
    wire::Socket,
};

/// The most bytes that the head of a proxy's answer may have.
const MAX_HEAD: usize = 64 << 10;

/// An HTTP proxy at the other end of a connection, which passes on each request of plain HTTP.
#[derive(Debug, Clone)]
pub(crate) struct ForwardProxy {
    authorization: Option<HeaderValue>,
}

impl ForwardProxy {
    pub(super) fn new(authorization: Option<HeaderValue>) -> Self {
        Self { authorization }
    }

    /// What each request says to it.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

/// Has the HTTP proxy at the other end of `socket` connect to `server`.
pub(super) async fn by_http(
    mut socket: Socket,
    proxy: &Proxy,
    via: &Peer<'_>,
    server: &Peer<'_>,
) -> Result<Socket, Fault> {
    let failed = || Fault::new(Class::Connect, format!("{via} did not connect to {server}"));
    let request = connect_request(&server.authority(), proxy.authorization().as_ref());
    socket.write_all(&request).await.map_err(|error| failed().because(error))?;
    socket.flush().await.map_err(|error| failed().because(error))?;
    let (status, surplus) = answer(&mut socket).await.map_err(|error| failed().because(error))?;
    if !status.is_success() {
        return Err(failed().saying(refusal(status, proxy, via, server)));
    }
    if surplus {
        return Err(failed().because("it sent more than its answer"));
    }
    Ok(socket)
}

fn connect_request(authority: &str, authorization: Option<&HeaderValue>) -> Vec<u8> {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// The final status that a proxy answers with, and whether anything has come after its head.
async fn answer(proxy: &mut (impl AsyncRead + Unpin)) -> io::Result<(StatusCode, bool)> {
    let broken = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut heard = Vec::new();
    loop {
        if proxy.read_buf(&mut heard).await? == 0 {
            return Err(broken("it closed the connection before it had answered".to_owned()));
        }
        while let Some((status, length)) =
            head(&heard).map_err(|error| broken(format!("its answer is not HTTP/1.1: {error}")))?
        {
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok((status, heard.len() > length));
            }
            heard.drain(..length);
        }
        if heard.len() > MAX_HEAD {
            return Err(broken(format!("the head of its answer has more than {MAX_HEAD} bytes")));
        }
    }
}

/// The status of the head that `bytes` begin with, and how long the head is, once it is whole.
fn head(bytes: &[u8]) -> Result<Option<(StatusCode, usize)>, httparse::Error> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers)?;
    let Status::Complete(length) = parsed else { return Ok(None) };
    let status = StatusCode::from_u16(response.code.unwrap_or_default()).map_err(|_| httparse::Error::Status)?;
    Ok(Some((status, length)))
}

fn refusal(status: StatusCode, proxy: &Proxy, via: &Peer<'_>, server: &Peer<'_>) -> String {
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => credentials_wanted(proxy, via, &format!("{status}")),
        _ => format!("{via} refused to connect to {server}: {status}"),
    }
}

fn credentials_wanted(proxy: &Proxy, via: &Peer<'_>, told: &str) -> String {
    match proxy.credentials {
        None => format!("{via} asks for credentials ({told}): put user:password@ before the host in its URL"),
        Some(_) => format!("{via} does not accept the credentials in its URL ({told})"),
    }
}

/// Has the SOCKS proxy at the other end of `socket` connect to `server`, whose `address` is known here or not.
pub(super) async fn by_socks(
    mut socket: Socket,
    proxy: &Proxy,
    via: &Peer<'_>,
    server: &Peer<'_>,
    address: Option<SocketAddr>,
) -> Result<Socket, Fault> {
    let (host, port) = match address {
        Some(SocketAddr::V4(address)) => (Host::Ipv4(*address.ip()), address.port()),
        Some(SocketAddr::V6(address)) => (Host::Ipv6(*address.ip()), address.port()),
        None => (server.host.clone(), server.port),
    };
    let connected = socks::connect(&mut socket, proxy.credentials.as_ref(), &host, port).await;
    connected.map(|()| socket).map_err(|refused| {
        let what = match &refused {
            Refused::Io(_) => format!("{via} did not connect to {server}"),
            Refused::NotSocks => format!("{via} does not speak SOCKS5"),
            Refused::NoWayIn | Refused::Credentials => credentials_wanted(proxy, via, &refused.to_string()),
            Refused::Reply(_) | Refused::TooLong => format!("{via} refused to connect to {server}"),
        };
        Fault::new(Class::Connect, what).because(refused)
    })
}
