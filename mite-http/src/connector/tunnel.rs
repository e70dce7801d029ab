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
    let malformed = |error: httparse::Error| broken(format!("its answer is not HTTP/1.1: {error}"));
    let mut heard = Vec::new();
    loop {
        let before = heard.len();
        if proxy.read_buf(&mut heard).await? == 0 {
            return Err(broken("it closed the connection before it had answered".to_owned()));
        }
        // It ends with a line: to parse a long one for each byte would take forever.
        if heard[before..].contains(&b'\n') {
            while let Some((status, length)) = head(&heard).map_err(malformed)? {
                if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                    return Ok((status, heard.len() > length));
                }
                heard.drain(..length);
            }
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
        let fault = Fault::new(Class::Connect, what);
        match refused {
            Refused::Io(error) => fault.because(error),
            refused => fault.because(refused),
        }
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn what_a_proxy_may_answer() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
        let table = [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Ok((200, false))),
            ("HTTP/1.0 200\r\nVia: x\r\n\r\n", Ok((200, false))),
            ("HTTP/1.1 200 OK\r\n\r\nS", Ok((200, true))),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
                Ok((204, false)),
            ),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Ok((101, false))),
            ("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno", Ok((407, true))),
            ("", Err("it closed the connection before it had answered")),
            ("HTTP/1.1 200 OK\r\n", Err("it closed the connection before it had answered")),
            ("HTTP/1.1 100 Continue\r\n\r\n", Err("it closed the connection before it had answered")),
            ("SSH-2.0-x\r\n\r\n", Err("its answer is not HTTP/1.1: ")),
            ("HTTP/1.1 099 No\r\n\r\n", Err("its answer is not HTTP/1.1: ")),
            (long.as_str(), Err("the head of its answer has more than 65536 bytes")),
        ];
        for (says, expected) in table {
            // At once, and byte by byte.
            for room in [MAX_HEAD * 2, 1] {
                let (mut ours, mut proxys) = duplex(room);
                let says_it = async {
                    // Whoever has heard enough goes.
                    let _ = proxys.write_all(says.as_bytes()).await;
                    drop(proxys);
                };
                let hears = async {
                    let answer = answer(&mut ours).await;
                    drop(ours);
                    answer
                };
                let ((), answer) = tokio::join!(says_it, hears);
                match (answer, expected) {
                    // What has not come yet is not seen.
                    (Ok((status, surplus)), Ok(expected)) => {
                        assert_eq!(
                            (status.as_u16(), surplus || room == 1),
                            (expected.0, expected.1 || room == 1),
                            "{says}"
                        );
                    }
                    (Err(error), Err(why)) => assert!(error.to_string().starts_with(why), "{says}: {error}"),
                    (answer, _) => panic!("{says}: {answer:?}"),
                }
            }
        }
    }

    #[test]
    fn what_a_proxy_is_asked() {
        let authorization = HeaderValue::from_static("Basic YW5u");
        let request = connect_request("a.test:443", Some(&authorization));
        let expected: &[u8] =
            b"CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\nproxy-authorization: Basic YW5u\r\n\r\n";
        assert_eq!(request, expected);
        assert_eq!(connect_request("[::1]:443", None), b"CONNECT [::1]:443 HTTP/1.1\r\nhost: [::1]:443\r\n\r\n");
    }
}
