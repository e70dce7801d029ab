//! The server that is scraped: on a thread of its own, so that it answers while the sink's thread waits.
//!
//! It is apart from what it tells: it knows connections, requests and how long each of them may take.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;

use crate::families::{Shape, families};
use crate::format::Format;
use crate::stage::Figures;
use crate::thread;

/// So many are served at once; others wait.
const MOST_CONNECTIONS: usize = 64;
/// A request's head, in bytes and in time.
const LARGEST_HEAD: usize = 16 * 1024;
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// A connection is for one scrape, and this is all the time that it has.
const SERVED_WITHIN: Duration = Duration::from_secs(30);
/// Who has asked before the end has so long to read the answer.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// How long nothing is accepted when the system has no more files to give.
const WAIT_FOR_FILES: Duration = Duration::from_millis(100);

/// What is told, and how.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) figures: Figures,
    pub(crate) shape: Shape,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    stop: Option<oneshot::Sender<()>>,
    /// Hears of each scrape of the figures of the whole run.
    scraped: std_mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on a listener.
    ///
    /// # Errors
    /// There is no thread, or no runtime, to be had.
    pub(crate) fn start(listener: StdListener, told: Told) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (tell_scraped, scraped) = std_mpsc::channel();
        listener.set_nonblocking(true)?;
        let thread = thread::spawn("mite-scraped", move || {
            let listener = TcpListener::from_std(listener)?;
            Ok(serve(listener, told, tell_scraped, stopped))
        })?;
        Ok(Self { stop: Some(stop), scraped, thread: Some(thread) })
    }

    /// Waits until the figures of the whole run have been scraped, at most so long; says whether they were.
    pub(crate) fn wait_for_scrape(&self, at_most: Duration) -> bool {
        self.scraped.recv_timeout(at_most).is_ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell: what panics in it is a connection's task.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, told: Told, scraped: std_mpsc::Sender<()>, mut stopped: oneshot::Receiver<()>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let (stopping, stops) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { pending().await };
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let (told, scraped, stops) = (told.clone(), scraped.clone(), stops.clone());
                connections.spawn(async move {
                    let served = tokio::time::timeout(SERVED_WITHIN, connection(stream, told, stops)).await;
                    if served == Ok(true) {
                        // Nobody waits for it while the run goes on.
                        let _ = scraped.send(());
                    }
                    drop(place);
                });
            }
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                tracing::warn!("failed to accept a scrape: {error}");
                tokio::time::sleep(WAIT_FOR_FILES).await;
            }
        }
    }
    drop(listener);
    // Who has not asked by now gets no answer.
    let _ = stopping.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(READ_WITHIN, all).await;
}

/// Whether it is a single connection that failed, before it was accepted.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Serves one request; says whether the figures of the whole run were read.
async fn connection(stream: TcpStream, told: Told, mut stops: watch::Receiver<bool>) -> bool {
    let had_last = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request: http::Request<Incoming>| {
        let (mut told, had_last) = (told.clone(), Arc::clone(&had_last));
        async move {
            let (answer, is_last) = told.answer(request.method(), request.uri().path(), request.headers()).await;
            had_last.store(is_last, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(LARGEST_HEAD).keep_alive(false);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = &mut connection => served,
        _ = stops.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    served.is_ok() && had_last.load(Ordering::Relaxed)
}

impl Told {
    /// The answer to a request, and whether it has the figures of the whole run.
    async fn answer(&mut self, method: &Method, path: &str, headers: &HeaderMap) -> (Response<Full<Bytes>>, bool) {
        if path != "/metrics" {
            return (line(StatusCode::NOT_FOUND, "there is nothing here: the metrics are at /metrics\n"), false);
        }
        if method != Method::GET && method != Method::HEAD {
            let mut refused = line(StatusCode::METHOD_NOT_ALLOWED, "metrics are read: ask by GET\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return (refused, false);
        }
        let Some(figures) = self.figures.now().await else {
            return (line(StatusCode::SERVICE_UNAVAILABLE, "the run has failed, and has no figures\n"), false);
        };
        let accept: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let format = Format::accepted(&accept.join(","), self.shape.by_value);
        let mut answer = Response::new(Full::new(format.encode(&families(&figures, &self.shape))));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        (answer, figures.is_last && method == Method::GET)
    }
}

fn line(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
