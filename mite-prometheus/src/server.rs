//! The server that is scraped: on a thread of its own, so that it answers while the sink's thread waits.
//!
//! It is apart from what it tells: it knows connections, requests and how long each of them may take.

mod answer;
mod request;

use std::future::pending;
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::families::{Shape, families};
use crate::family::CutTold;
use crate::format::Format;
use crate::stage::Figures;
use crate::thread;
use answer::Answer;
use request::{Arrived, LARGEST_HEAD, Method, Request};

/// So many are served at once; others wait.
const MOST_CONNECTIONS: usize = 64;
/// How long a request may take to come.
const ASKED_WITHIN: Duration = Duration::from_secs(10);
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
    pub(crate) cut: Arc<CutTold>,
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
                    let served = timeout(SERVED_WITHIN, connection(stream, told, stops)).await;
                    if matches!(served, Ok(Ok(true))) {
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
    let _ = timeout(READ_WITHIN, all).await;
}

/// Whether it is a single connection that failed, before it was accepted.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Serves one request; says whether the figures of the whole run were told.
async fn connection(mut stream: TcpStream, mut told: Told, mut stops: watch::Receiver<bool>) -> io::Result<bool> {
    let arrived = tokio::select! {
        arrived = timeout(ASKED_WITHIN, arrived(&mut stream)) => arrived,
        _ = stops.changed() => return Ok(false),
    };
    let (answer, is_last) = match arrived {
        Ok(arrived) => match arrived? {
            Arrived::Whole(request) => told.answer(&request).await,
            Arrived::TooLarge => (Answer::too_large(), false),
            Arrived::Broken => (Answer::broken(), false),
            Arrived::Part => return Ok(false),
        },
        Err(_) => return Ok(false),
    };
    stream.write_all(&answer.to_bytes()).await?;
    stream.shutdown().await?;
    // A connection that is closed while something comes is reset, and the answer with it: the other side is to close it.
    let _ = timeout(READ_WITHIN, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
    Ok(is_last)
}

/// The request, as far as it comes.
async fn arrived(stream: &mut TcpStream) -> io::Result<Arrived> {
    let mut bytes = Vec::new();
    loop {
        let more = stream.take((LARGEST_HEAD - bytes.len()) as u64).read_buf(&mut bytes).await?;
        let arrived = Arrived::of(&bytes);
        if more == 0 || arrived != Arrived::Part {
            return Ok(arrived);
        }
    }
}

impl Told {
    /// The answer to a request, and whether it has the figures of the whole run.
    async fn answer(&mut self, request: &Request) -> (Answer, bool) {
        if request.path != "/metrics" {
            return (Answer::not_found(), false);
        }
        if request.method == Method::Other {
            return (Answer::not_allowed(), false);
        }
        let Some(figures) = self.figures.now().await else { return (Answer::failed(), false) };
        let format = Format::accepted(&request.accept, self.shape.by_value);
        let families = families(&figures, &self.shape);
        self.cut.look_at(&families);
        let answer = Answer::page(format.content_type(), format.encode(&families));
        match request.method {
            Method::Head => (answer.head(), false),
            _ => (answer, figures.is_last),
        }
    }
}
