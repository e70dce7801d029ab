//! Writes one body after another, on a thread of its own: a receiver that is slow or away holds nobody up.
//!
//! It is apart from the sink, which only makes bodies and asks at the end what became of them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::exchange;
use super::retry::{Answer, wait};
use super::target::Target;
use crate::thread;

/// So many bodies wait; what comes then is left out, and counted. They are cumulative: what is lost is how it came to be.
const MOST_WAITING: u64 = 120;
/// How long an answer may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// How long a body is tried again before the next has its turn.
const TRIED_FOR: Duration = Duration::from_secs(60);

/// What became of the bodies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) handed_over: u64,
    pub(crate) taken: u64,
    /// How many have not had their turn yet.
    pub(crate) waiting: u64,
    /// Why the first of those that were not taken was not.
    pub(crate) failure: Option<String>,
}

/// A sender that runs until it is ended or dropped.
#[derive(Debug)]
pub(crate) struct Sender {
    bodies: mpsc::UnboundedSender<Bytes>,
    end: oneshot::Sender<Duration>,
    account: Arc<Mutex<Account>>,
    thread: JoinHandle<()>,
}

impl Sender {
    /// # Errors
    /// There is no thread, or no runtime, to be had.
    pub(crate) fn start(target: Target) -> io::Result<Self> {
        let (bodies, waiting) = mpsc::unbounded_channel();
        let (end, ending) = oneshot::channel();
        let account = Arc::default();
        let writer = Writer { target, account: Arc::clone(&account) };
        let thread = thread::spawn("mite-written", move || Ok(work(writer, waiting, ending)))?;
        Ok(Self { bodies, end, account, thread })
    }

    /// Hands a body over, unless too many wait.
    pub(crate) fn send(&self, body: Bytes) {
        let mut account = locked(&self.account);
        account.handed_over += 1;
        if account.waiting >= MOST_WAITING {
            account.failure.get_or_insert_with(|| "the receiver did not keep up".to_owned());
            return;
        }
        account.waiting += 1;
        // Where the thread has ended, what is not taken tells so.
        let _ = self.bodies.send(body);
    }

    /// Hands over what is the last, however much waits, lets all be written within so long, and says what became of them.
    pub(crate) fn end(self, last: Option<Bytes>, within: Duration) -> Account {
        let Self { bodies, end, account, thread } = self;
        if let Some(last) = last {
            let mut account = locked(&account);
            (account.handed_over, account.waiting) = (account.handed_over + 1, account.waiting + 1);
            let _ = bodies.send(last);
        }
        drop(bodies);
        let _ = end.send(within);
        // What a panic has left out was not taken.
        let _ = thread.join();
        let account = locked(&account);
        account.clone()
    }
}

fn locked(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes what comes until nothing more does, or the time that is left at the end is over.
async fn work(writer: Writer, mut waiting: mpsc::UnboundedReceiver<Bytes>, ending: oneshot::Receiver<Duration>) {
    let account = Arc::clone(&writer.account);
    let out_of_time = async {
        // Where nobody says how long, as when the run was refused, nothing is left to wait for.
        if let Ok(within) = ending.await {
            sleep(within).await;
            locked(&account).failure.get_or_insert_with(|| "the receiver had no time to take them".to_owned());
        }
    };
    let write_all = async {
        while let Some(body) = waiting.recv().await {
            locked(&account).waiting -= 1;
            writer.write(body).await;
        }
    };
    tokio::select! {
        () = write_all => {}
        () = out_of_time => {}
    }
}

/// Writes bodies in their order.
struct Writer {
    target: Target,
    account: Arc<Mutex<Account>>,
}

impl Writer {
    /// Writes a body, again and again where it may be taken later.
    async fn write(&self, body: Bytes) {
        let give_up = Instant::now() + TRIED_FOR;
        for failures in 1.. {
            let (answer, said) = self.try_once(&body).await;
            match answer {
                Answer::Taken => {
                    locked(&self.account).taken += 1;
                    return;
                }
                Answer::Later if Instant::now() + wait(failures) < give_up => {
                    if failures == 1 {
                        tracing::warn!(
                            "{} has not taken what was written, and it is tried again: {said}",
                            self.target.url
                        );
                    }
                    self.remember(&said);
                    sleep(wait(failures)).await;
                }
                Answer::Later | Answer::Refused => {
                    tracing::error!("{} does not take what is written: {said}", self.target.url);
                    self.remember(&said);
                    return;
                }
            }
        }
    }

    fn remember(&self, said: &str) {
        locked(&self.account).failure.get_or_insert_with(|| said.to_owned());
    }

    async fn try_once(&self, body: &[u8]) -> (Answer, String) {
        match timeout(ANSWERED_WITHIN, exchange::write(&self.target, body)).await {
            Ok(Ok((status, said))) => {
                let said = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
                (Answer::of(status), said)
            }
            Ok(Err(error)) => (Answer::Later, error.to_string()),
            Err(_) => (Answer::Later, format!("it did not answer within {} s", ANSWERED_WITHIN.as_secs())),
        }
    }
}
