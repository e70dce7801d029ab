//! A server whose every connection does what a script says, and which keeps account of its connections.
//! It has threads of its own, and blocks: scripts are plain code, and the runtime of a run knows nothing of them.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use socket2::SockRef;
use tokio::{sync::watch, time::timeout};

use super::LONG;

/// A request as the server got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// `GET /path HTTP/1.1`.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The server's end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: BufReader<TcpStream>,
    /// Its number, from 0.
    pub(crate) number: u64,
}

impl Peer {
    fn new(stream: TcpStream, number: u64) -> Self {
        // A client that keeps a connection which it should have closed must not hang the test.
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), number }
    }

    /// The next request, or `None` when the client has closed.
    pub(crate) fn request(&mut self) -> Option<Received> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.stream.read_until(b'\n', &mut head).ok()? == 0 {
                return None;
            }
        }
        let mut received = Received { head: String::from_utf8(head).ok()?, body: Vec::new() };
        let length = received.header("content-length").map_or(0, |length| length.parse().unwrap());
        received.body.resize(length, 0);
        self.stream.read_exact(&mut received.body).ok()?;
        Some(received)
    }

    /// Exactly so many bytes, or `None` when the client has closed.
    pub(crate) fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).ok().map(|()| bytes)
    }

    /// Writes, and answers whether the client was still there.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Writes the same again and again, until the client has gone; answers how often.
    pub(crate) fn flood(&mut self, bytes: impl AsRef<[u8]>) -> u64 {
        let mut times = 0;
        while self.write(&bytes) {
            times += 1;
        }
        times
    }

    /// Answers 200 with `body`.
    pub(crate) fn ok(&mut self, body: &str) -> bool {
        self.write(ok(body))
    }

    /// Says that nothing more will come, as a server does that ends in good order.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    /// Closes by RST.
    pub(crate) fn reset(self) {
        SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Reads whatever comes until the client closes.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub(crate) fn until_closed(&mut self) -> Result<(), io::Error> {
        match io::copy(&mut self.stream, &mut io::sink()) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Err(error),
            _ => Ok(()),
        }
    }

    /// The connection itself, of which nothing may have been read before.
    pub(crate) fn stream(&self) -> TcpStream {
        self.stream.get_ref().try_clone().unwrap()
    }
}

/// `HTTP/1.1 200 OK` with a body.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The account of a server's connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) accepted: u64,
    pub(crate) closed: u64,
    /// Those that the client did not close in time.
    pub(crate) kept: u64,
}

impl Account {
    pub(crate) fn open(self) -> u64 {
        self.accepted - self.closed
    }
}

/// A server on a port of its own, ended when it is dropped.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    account: Arc<watch::Sender<Account>>,
    ended: Arc<watch::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    /// Runs `script` for each connection. What it hands back is read until the client closes it.
    pub(crate) fn start(script: impl Fn(Peer) -> Option<Peer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let account = Arc::new(watch::Sender::new(Account::default()));
        let ended = Arc::new(watch::Sender::new(false));
        let (accounted, has_ended) = (Arc::clone(&account), Arc::clone(&ended));
        let thread = thread::spawn(move || serve(&listener, &has_ended, &accounted, &Arc::new(script)));
        Self { address, account, ended, thread: Some(thread) }
    }

    /// A server that answers every request with what `answer` makes of it, and keeps its connections.
    pub(crate) fn answering(answer: impl Fn(&Received) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |mut peer| {
            while let Some(received) = peer.request() {
                peer.write(answer(&received));
            }
            Some(peer)
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn account(&self) -> Account {
        *self.account.borrow()
    }

    /// A view of the account that a journey can wait on.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.account.subscribe())
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.ended.send_replace(true);
        // The server learns of its end when it accepts.
        let _ = TcpStream::connect(self.address);
        let served = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(served, Some(Ok(()))), "the server's script panicked");
        }
    }
}

fn serve<S>(listener: &TcpListener, ended: &watch::Sender<bool>, account: &Arc<watch::Sender<Account>>, script: &Arc<S>)
where
    S: Fn(Peer) -> Option<Peer> + Send + Sync + 'static,
{
    let mut connections = Vec::new();
    for number in 0.. {
        let (stream, _) = listener.accept().unwrap();
        if *ended.borrow() {
            break;
        }
        account.send_modify(|account| account.accepted += 1);
        let (account, script) = (Arc::clone(account), Arc::clone(script));
        connections.push(thread::spawn(move || {
            let is_kept = script(Peer::new(stream, number)).is_some_and(|mut peer| peer.until_closed().is_err());
            account.send_modify(|account| {
                account.closed += 1;
                account.kept += u64::from(is_kept);
            });
        }));
    }
    for connection in connections {
        connection.join().unwrap();
    }
}

/// A view of a server's account.
#[derive(Debug, Clone)]
pub(crate) struct Watch(watch::Receiver<Account>);

impl Watch {
    /// Waits until the account is as it should be; answers what it is if it never comes to that.
    pub(crate) async fn until(&mut self, holds: impl Fn(Account) -> bool) -> Result<Account, Account> {
        let came = timeout(LONG, self.0.wait_for(|account| holds(*account))).await.is_ok_and(|waited| waited.is_ok());
        if came { Ok(self.now()) } else { Err(self.now()) }
    }

    pub(crate) fn now(&self) -> Account {
        *self.0.borrow()
    }
}
