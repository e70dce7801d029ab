//! Servers on port 0 for the tests of this crate: a script says what each connection does.
//! They are raw sockets, since most of what is tested is what a good server would not do.

use std::{cell::RefCell, net::SocketAddr, rc::Rc};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use url::Url;

use crate::{draft::Draft, payload::Payload, transport::Outgoing};

/// A request as a server got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// The server's end of a connection.
pub(crate) struct Peer<S = TcpStream> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// The next request, or `None` when the client has closed.
    pub(crate) async fn request(&mut self) -> Option<Received> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        let mut received = Received { head, body: Vec::new() };
        let length = received.header("content-length").map_or(0, |length| length.parse().unwrap());
        received.body.resize(length, 0);
        self.stream.read_exact(&mut received.body).await.ok()?;
        Some(received)
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // A client that has gone is part of some tests.
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    /// Answers 200 with `body`.
    pub(crate) async fn ok(&mut self, body: &str) {
        self.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    }

    /// Answers every request with what `answer` makes of it, until the client closes.
    pub(crate) async fn serve(&mut self, mut answer: impl FnMut(&Received) -> String) {
        while let Some(received) = self.request().await {
            let answer = answer(&received);
            self.write(answer).await;
        }
    }
}

/// `HTTP/1.1 200 OK` with a body.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A server in the runtime of its test, stopped when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Rc<RefCell<usize>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Runs `script` for each connection, with its number from 0.
    pub(crate) async fn start<F: Future<Output = ()> + 'static>(script: impl Fn(Peer, usize) -> F + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Rc::new(RefCell::new(0));
        let counter = Rc::clone(&accepted);
        let task = tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counter.replace_with(|count| *count + 1);
                tokio::task::spawn_local(script(Peer::new(stream), number));
            }
        });
        Self { address, accepted, task }
    }

    /// A server that answers every request with what `answer` makes of it, and keeps its connections.
    pub(crate) async fn answering(answer: impl Fn(&Received) -> String + 'static) -> Self {
        let answer = Rc::new(answer);
        Self::start(move |mut peer, _| {
            let answer = Rc::clone(&answer);
            async move { peer.serve(|received| answer(received)).await }
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        url(self.address, path)
    }

    /// How many connections have been accepted.
    pub(crate) fn accepted(&self) -> usize {
        *self.accepted.borrow()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn url(address: SocketAddr, path: &str) -> Url {
    format!("http://{address}{path}").parse().unwrap()
}

/// A request as the session would hand it down.
pub(crate) fn outgoing(method: Method, url: &Url, body: impl Into<Bytes>) -> Outgoing {
    let draft = Draft::new(method, url.as_str(), || unreachable!("the URL is absolute")).unwrap();
    draft.outgoing(Payload::whole(body.into()), &HeaderMap::new()).unwrap()
}

/// An address that refuses connections, for as long as the socket is held: it is bound, so that no other test gets the
/// port, and does not listen.
pub(crate) fn nobody() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap(), socket)
}
