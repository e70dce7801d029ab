//! A server that answers each request after a millisecond, and once stands still for a while: what a long pause for
//! collecting garbage, a failover or a lock on a table looks like from outside.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

/// How long an answer takes when the server does not stand still.
pub(crate) const SERVICE: Duration = Duration::from_millis(1);

/// A server on a thread and runtime of its own, for any number of connections.
pub(crate) struct StallingServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Served>,
}

/// What the server has seen.
#[derive(Debug)]
pub(crate) struct Served {
    /// When the first request came.
    pub(crate) first: Instant,
    /// From when on it stood still.
    pub(crate) stall_begin: Instant,
    /// When it first answered again, less the time that an answer takes; `None` when no request had waited.
    pub(crate) stall_end: Option<Instant>,
    /// How many requests it has answered.
    pub(crate) answered: u64,
    /// When those that met with the stall came, and when they were answered.
    pub(crate) held: Vec<(Instant, Instant)>,
}

struct State {
    begins_after: Duration,
    lasts: Duration,
    first: Cell<Option<Instant>>,
    end: Cell<Option<Instant>>,
    answered: Cell<u64>,
    held: RefCell<Vec<(Instant, Instant)>>,
}

impl StallingServer {
    /// Starts one that stands still for `lasts`, from when it has been asked for the first time and `begins_after` has passed.
    pub(crate) fn start(begins_after: Duration, lasts: Duration) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let state = Rc::new(State {
                begins_after,
                lasts,
                first: Cell::new(None),
                end: Cell::new(None),
                answered: Cell::new(0),
                held: RefCell::default(),
            });
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, accept(listener, Rc::clone(&state), stopped));
            let first = state.first.get().expect("the server was asked");
            Served {
                first,
                stall_begin: first + begins_after,
                stall_end: state.end.get(),
                answered: state.answered.get(),
                held: state.held.take(),
            }
        });
        Self { address, stop, thread }
    }

    /// Where it is: `http://127.0.0.1:1234`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the server.
    pub(crate) fn stop(self) -> Served {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}

async fn accept(listener: std::net::TcpListener, state: Rc<State>, mut stopped: oneshot::Receiver<()>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                tokio::task::spawn_local(serve(accepted.unwrap().0, Rc::clone(&state)));
            }
            _ = &mut stopped => return,
        }
    }
}

/// Answers the requests of one connection until it is closed. They have no body.
async fn serve(mut stream: TcpStream, state: Rc<State>) {
    let mut received = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut received).await {
        if !received.ends_with(b"\r\n\r\n") {
            continue;
        }
        received.clear();
        let came = Instant::now();
        let first = state.first.get().unwrap_or(came);
        state.first.set(Some(first));
        let begin = first + state.begins_after;
        // What would be answered within the stall waits for its end too.
        let held = came + SERVICE >= begin && came < begin + state.lasts;
        let ready = if held { begin + state.lasts } else { came };
        tokio::time::sleep_until((ready + SERVICE).into()).await;
        let answers = Instant::now();
        if held {
            state.end.set(state.end.get().or_else(|| answers.checked_sub(SERVICE)));
            state.held.borrow_mut().push((came, answers));
        }
        state.answered.set(state.answered.get() + 1);
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}
