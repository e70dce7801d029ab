//! One connection to a receiver, plain or by TLS, on which one request follows another.
//!
//! It is apart from the sender, which decides what is sent again and when.

use std::io;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::target::Target;

/// As much is read of an answer.
const MOST_READ: usize = 64 * 1024;

/// What a write fails with before it is answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("failed to connect: {0}")]
    Connect(#[source] io::Error),
    #[error("failed to write: {0}")]
    Write(#[from] hyper::Error),
}

/// A connection that has carried requests and may carry more.
pub(crate) type Connection = SendRequest<Full<Bytes>>;

/// Connects.
pub(crate) async fn connect(target: &Target) -> Result<Connection, Unanswered> {
    let stream = TcpStream::connect((&*target.host, target.port)).await.map_err(Unanswered::Connect)?;
    if target.is_https { over_tls(target, stream).await } else { on(stream).await }
}

#[cfg(feature = "tls")]
async fn over_tls(target: &Target, stream: TcpStream) -> Result<Connection, Unanswered> {
    on(super::tls::connect(&target.host, stream).await.map_err(Unanswered::Connect)?).await
}

/// Without TLS no target is made that asks for it.
#[cfg(not(feature = "tls"))]
async fn over_tls(_: &Target, _: TcpStream) -> Result<Connection, Unanswered> {
    Err(Unanswered::Connect(io::Error::from(io::ErrorKind::Unsupported)))
}

async fn on(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Connection, Unanswered> {
    let (sender, driver) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // What goes wrong with it is told to the request.
        let _ = driver.await;
    });
    Ok(sender)
}

/// Writes a body; gives the answer's status and its first line.
pub(crate) async fn write(
    connection: &mut Connection,
    target: &Target,
    body: Bytes,
) -> Result<(StatusCode, String), Unanswered> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.path.clone();
    *request.headers_mut() = target.headers.clone();
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    // What cannot be read says nothing of whether it was taken.
    let said = Limited::new(answer.into_body(), MOST_READ).collect().await;
    let said = said.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Ok((status, String::from_utf8_lossy(&said).lines().next().unwrap_or_default().trim().to_owned()))
}
