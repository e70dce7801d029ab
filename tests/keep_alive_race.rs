//! A server that closes idle connections loses next to no requests, and gets none of them twice.

mod common;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mite::prelude::*;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use common::accounted;

const REQUESTS: u64 = 10_000;
const VISITORS: u64 = 250;
/// How long the server keeps a connection after a response. The first request of a connection may take its time, as
/// with nginx, whose `keepalive_timeout` runs from a response.
const KEPT: Duration = Duration::from_millis(50);

/// A server on a thread and runtime of its own.
struct Server {
    address: SocketAddr,
    thread: thread::JoinHandle<()>,
    stop: oneshot::Sender<()>,
    received: mpsc::Receiver<String>,
}

impl Server {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, mut stopped) = oneshot::channel();
        let (seen, received) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let mut connections = JoinSet::new();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => {
                            connections.spawn(serve(accepted.unwrap().0, seen.clone()));
                        }
                        Some(ended) = connections.join_next() => ended.unwrap(),
                        _ = &mut stopped => return,
                    }
                }
            });
        });
        Self { address, thread, stop, received }
    }

    /// Ends the server, and says how often it received what.
    fn end(self) -> HashMap<String, u64> {
        drop(self.stop);
        self.thread.join().unwrap();
        let mut times = HashMap::new();
        for body in self.received {
            *times.entry(body).or_default() += 1;
        }
        times
    }
}

/// Answers one request after the other, until none has come for [`KEPT`] since the last response.
async fn serve(stream: TcpStream, seen: mpsc::Sender<String>) {
    let mut stream = BufReader::new(stream);
    let mut next = receive(&mut stream).await;
    while let Some(body) = next {
        seen.send(body).unwrap();
        if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
            return;
        }
        next = timeout(KEPT, receive(&mut stream)).await.unwrap_or(None);
    }
}

/// The body of the next request, or `None` when the client has closed.
async fn receive(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(String::from_utf8(body).unwrap())
}

#[mite_http(base = "app_url")]
async fn order(ctx: &mut Context, number: u64) -> Result {
    let sent = ctx.http().post("/orders").body(number.to_string()).await;
    // 45 to 55 ms, in steps of some microseconds.
    tokio::time::sleep(Duration::from_micros(45_000 + number * 7_919 % 10_000)).await;
    sent?;
    Ok(())
}

#[tokio::test]
async fn few_requests_are_lost_and_none_is_doubled() {
    let server = Server::start();
    let orders = IterableDataPool::new((0..REQUESTS).map(|number| (number,)));
    let scenario = Scenario::new().journey(order, orders, constant(VISITORS, HOUR).running());
    let report = accounted(Run::new(scenario).config("app_url", format!("http://{}", server.address))).await;
    let received = server.end();

    let row = report.journey("order");
    assert_eq!((row.planned, row.completed + row.failed), (REQUESTS, REQUESTS));
    for requests in &report.requests {
        let expected = if requests.code == 204 { None } else { Some("closed") };
        assert_eq!(requests.error.as_deref(), expected, "{report}");
    }
    for error in &report.errors {
        let message = &error.message;
        assert!(message.contains("the server closed the connection that was being reused"), "{message}");
        assert!(message.contains("was therefore not sent again"), "{message}");
    }
    eprintln!("{} of {REQUESTS} failed", row.failed);
    assert!(received.values().all(|times| *times == 1), "a request was received twice");
    // What failed may or may not have been received; what succeeded was.
    let received = received.len() as u64;
    assert!((row.completed..=REQUESTS).contains(&received), "{received} were received");
    assert!(row.failed <= REQUESTS / 200, "{} of {REQUESTS} failed", row.failed);
}
