//! What is said to a proxy: `CONNECT`, SOCKS5, and requests made over for one that passes them on.
//! It is separate because it is an exchange of its own before the server's connection begins.

use std::{future::poll_fn, net::SocketAddr, pin::pin, task::Poll};

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode,
    header::{HOST, PROXY_AUTHORIZATION},
};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio_socks::{TargetAddr, tcp::Socks5Stream};
use url::Host;

use super::peer::Peer;
use crate::{
    error::{Class, Fault},
    network::proxy::{Credentials, Proxy},
    payload::Payload,
    wire::Socket,
};

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
pub(super) async fn by_http(socket: Socket, proxy: &Proxy, via: &Peer<'_>, server: &Peer<'_>) -> Result<Socket, Fault> {
    let failed = || Fault::new(Class::Connect, format!("{via} did not connect to {server}"));
    let authority = server.authority();
    let mut request = Request::connect(&authority).header(HOST, &authority);
    if let Some(authorization) = proxy.authorization() {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Payload::whole(Bytes::new())).map_err(|error| failed().because(error))?;

    let (mut sender, mut connection) =
        handshake(TokioIo::new(socket)).await.map_err(|error| failed().because(error))?;
    let mut answer = pin!(sender.send_request(request));
    let mut ended = None;
    let response = poll_fn(|cx| {
        if ended.is_none()
            && let Poll::Ready(end) = connection.poll_without_shutdown(cx)
        {
            ended = Some(end);
        }
        match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer.map_err(|error| failed().because(error))),
            Poll::Pending if ended.is_some() => {
                Poll::Ready(Err(failed().because("it closed the connection before it had answered")))
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await?;
    let status = response.status();
    if !status.is_success() {
        return Err(failed().saying(refusal(status, proxy, via, server)));
    }
    let parts = connection.into_parts();
    if !parts.read_buf.is_empty() {
        return Err(failed().because("it sent more than its answer"));
    }
    Ok(parts.io.into_inner())
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
    socket: Socket,
    proxy: &Proxy,
    via: &Peer<'_>,
    server: &Peer<'_>,
    address: Option<SocketAddr>,
) -> Result<Socket, Fault> {
    let target = match (address, &server.host) {
        (Some(address), _) => TargetAddr::Ip(address),
        (None, Host::Domain(name)) => TargetAddr::Domain((*name).into(), server.port),
        (None, Host::Ipv4(ip)) => TargetAddr::Ip((*ip, server.port).into()),
        (None, Host::Ipv6(ip)) => TargetAddr::Ip((*ip, server.port).into()),
    };
    let connected = match &proxy.credentials {
        Some(Credentials { user, password }) => {
            Socks5Stream::connect_with_password_and_socket(socket, target, user, password).await
        }
        None => Socks5Stream::connect_with_socket(socket, target).await,
    };
    connected.map(Socks5Stream::into_inner).map_err(|error| {
        use tokio_socks::Error::{InvalidResponseVersion, Io, NoAcceptableAuthMethods, PasswordAuthFailure};
        let what = match &error {
            Io(_) => format!("{via} did not connect to {server}"),
            InvalidResponseVersion => format!("{via} does not speak SOCKS5"),
            NoAcceptableAuthMethods | PasswordAuthFailure(_) => credentials_wanted(proxy, via, &error.to_string()),
            _ => format!("{via} refused to connect to {server}"),
        };
        Fault::new(Class::Connect, what).because(error)
    })
}
