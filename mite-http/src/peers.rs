//! Servers on port 0 for the tests of this crate: a script says what each connection does.
//! They are raw sockets, since most of what is tested is what a good server would not do.

use std::{
    cell::RefCell,
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinError, JoinHandle, coop::unconstrained},
    time::timeout,
};
use url::Url;

use crate::{
    arriving::{Arriving, Wish},
    body::Body,
    draft::Draft,
    error::Fault,
    outgoing::Outgoing,
    payload::Payload,
    target::Target,
    transport::Connection,
};

/// A request as a server got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The lines after the last chunk.
    pub(crate) trailers: String,
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
    closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream), closed: false }
    }

    /// The next request, or `None` when the client has closed before its end.
    pub(crate) async fn request(&mut self) -> Option<Received> {
        let mut received = self.head().await?;
        self.body(&mut received).await?;
        Some(received)
    }

    /// The next request without its body, or `None` when the client has closed.
    pub(crate) async fn head(&mut self) -> Option<Received> {
        let head = self.lines().await?;
        Some(Received { head, body: Vec::new(), trailers: String::new() })
    }

    /// Reads the body of a request whose head was read before.
    pub(crate) async fn body(&mut self, received: &mut Received) -> Option<()> {
        if received.header("transfer-encoding") == Some("chunked") {
            return self.chunks(received).await;
        }
        let length = received.header("content-length").map_or(0, |length| length.parse().unwrap());
        received.body.resize(length, 0);
        self.stream.read_exact(&mut received.body).await.ok()?;
        Some(())
    }

    async fn chunks(&mut self, received: &mut Received) -> Option<()> {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await.ok()?;
            let length = usize::from_str_radix(line.strip_suffix("\r\n")?, 16).unwrap();
            if length == 0 {
                received.trailers = self.lines().await?;
                return Some(());
            }
            let mut chunk = vec![0; length + 2];
            self.stream.read_exact(&mut chunk).await.ok()?;
            received.body.extend_from_slice(chunk.strip_suffix(b"\r\n").unwrap());
        }
    }

    /// Lines up to one that is empty, this included.
    async fn lines(&mut self) -> Option<String> {
        let mut lines = String::new();
        while !lines.ends_with("\r\n\r\n") && lines != "\r\n" {
            if self.stream.read_line(&mut lines).await.ok()? == 0 {
                return None;
            }
        }
        Some(lines)
    }

    /// Asserts that nothing comes for a moment.
    pub(crate) async fn quiet(&mut self) {
        let came = timeout(Duration::from_millis(20), self.stream.fill_buf()).await;
        assert!(came.is_err(), "{came:?} came, and nothing was expected");
    }

    /// Whether a write has found that the client is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether nothing is left of what has come.
    pub(crate) fn is_spent(&self) -> bool {
        self.stream.buffer().is_empty()
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // A client that has gone is part of some tests.
        self.closed |= self.stream.write_all(bytes.as_ref()).await.is_err();
        self.closed |= self.stream.flush().await.is_err();
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
    /// What each connection does.
    scripts: Rc<RefCell<Vec<JoinHandle<()>>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Runs `script` for each connection, with its number from 0.
    pub(crate) async fn start<F: Future<Output = ()> + 'static>(script: impl Fn(Peer, usize) -> F + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scripts = Rc::new(RefCell::new(Vec::new()));
        let running = Rc::clone(&scripts);
        let task = tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = running.borrow().len();
                let script = tokio::task::spawn_local(script(Peer::new(stream), number));
                running.borrow_mut().push(script);
            }
        });
        Self { address, scripts, task }
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
        self.scripts.borrow().len()
    }
}

impl Server {
    /// Waits until every script is through, and fails as they have failed. The client must have let go of its connections.
    pub(crate) async fn ended(self) {
        let scripts = std::mem::take(&mut *self.scripts.borrow_mut());
        for script in scripts {
            check(script.await);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        for script in self.scripts.borrow_mut().drain(..).filter(JoinHandle::is_finished) {
            let mut script = pin!(unconstrained(script));
            if let Poll::Ready(ended) = script.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                && !std::thread::panicking()
            {
                check(ended);
            }
        }
    }
}

/// A script that panicked is a test that failed.
fn check(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

pub(crate) fn url(address: SocketAddr, path: &str) -> Url {
    format!("http://{address}{path}").parse().unwrap()
}

/// A request as the session would hand it down.
pub(crate) fn outgoing(method: Method, url: &Url, body: impl Into<Bytes>) -> Draft {
    let mut draft = Draft::to(method, Target::of(url.clone()));
    draft.body(Body::from(body.into()));
    draft
}

impl Draft {
    /// The two halves in which it is handed down.
    pub(crate) fn halves(&self) -> (Outgoing<'_>, Payload) {
        let payload = self.payload().unwrap();
        (self.outgoing(&payload, self.all_headers(None).unwrap()).unwrap(), payload)
    }
}

/// An address that refuses connections, for as long as the socket is held: it is bound, so that no other test gets the
/// port, and does not listen.
pub(crate) fn nobody() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// The body of what a server answers over `connection`.
pub(crate) async fn ask(connection: &mut Connection, draft: &Draft) -> Result<Bytes, Fault> {
    let (mut request, payload) = draft.halves();
    if let Some(proxy) = connection.forward_proxy() {
        request.make_over(proxy.authorization());
    }
    let answer = connection.send(&request, &mut Some(payload)).await?;
    let wish = Wish { max: u64::MAX, discard: false, decode: false };
    Arriving::new(answer.body).gather(connection, &wish).await
}
