//! Appending a runner's batches to the log from a thread of its own: several at once, each until it is acknowledged.
//!
//! It is apart from the sink, which is called within a runtime and so cannot wait for a future: here it can wait for a lock.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::Span;

use super::batch::{Batch, BatchId, Producer};
use super::{KEPT, LANE, WINDOW, is_transient};
use crate::bus::{BusError, Fabric, Log};
use crate::runner::strand::traced;

/// How long to wait before a batch is appended again, at first and at the most.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What appends the batches of a runner.
#[derive(Debug)]
pub(super) struct Appender {
    shared: Arc<Shared>,
    /// Dropped to say that nothing more is to come: then no batch is tried again.
    batches: mpsc::UnboundedSender<(u64, Vec<u8>)>,
}

#[derive(Debug)]
struct Shared {
    how: Manner,
    window: Mutex<Window>,
    changed: Condvar,
}

/// What is handed on, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// What journeys do: `record`.
    pub(super) what: &'static str,
    /// After how long nothing more is appended while nothing is acknowledged; never where there is none.
    pub(super) patience: Option<Duration>,
}

/// Which batches are on their way.
#[derive(Debug, Default)]
struct Window {
    /// The number of the last one.
    last: u64,
    /// How many records each has that is not acknowledged.
    pending: BTreeMap<u64, u32>,
    /// How many of them have failed and are tried again, and since when there are any.
    failing: usize,
    failing_since: Option<Instant>,
    /// Why nothing more is appended.
    failure: Option<Arc<BusError>>,
}

impl Window {
    fn has_room(&self) -> bool {
        self.pending.first_key_value().is_none_or(|(oldest, _)| self.last + 1 < oldest + WINDOW)
    }

    fn check(&self) -> Result<(), Failed> {
        match &self.failure {
            Some(source) => Err(Failed { records: self.pending_records(), source: Arc::clone(source) }),
            None => Ok(()),
        }
    }

    fn pending_records(&self) -> u64 {
        self.pending.values().map(|records| u64::from(*records)).sum()
    }
}

/// Nothing more is appended.
#[derive(Debug)]
pub(super) struct Failed {
    /// Records that were not acknowledged.
    pub(super) records: u64,
    pub(super) source: Arc<BusError>,
}

impl Appender {
    /// Starts the thread, which opens the log.
    ///
    /// # Errors
    /// No thread could be started.
    pub(super) fn start(fabric: Arc<dyn Fabric>, log: String, producer: Producer, how: Manner) -> io::Result<Self> {
        let shared = Arc::new(Shared { how, window: Mutex::default(), changed: Condvar::new() });
        let (batches, received) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let ended = Ended(Arc::clone(&shared));
        let work = traced(Span::current(), move || {
            if let Err(error) = runtime.block_on(append_all(&*fabric, &log, producer, received, &ended.0)) {
                ended.0.fail(error);
            }
        });
        std::thread::Builder::new().name("mite-records".to_owned()).spawn(work)?;
        Ok(Self { shared, batches })
    }

    /// Hands over a batch, once there is room for it.
    ///
    /// # Errors
    /// Nothing more is appended; the batch counts among what was not acknowledged.
    pub(super) fn push(&self, batch: Batch) -> Result<(), Failed> {
        let mut window = self.shared.wait_until(Window::has_room);
        window.last += 1;
        let number = window.last;
        window.pending.insert(number, batch.records());
        let handed_over = self.batches.send((number, batch.pack()));
        window.check()?;
        // Its receiver is dropped only after a failure was told.
        handed_over.map_err(|_| Failed { records: window.pending_records(), source: Arc::new(ended()) })
    }

    /// Waits until all that was handed over is acknowledged.
    ///
    /// # Errors
    /// Nothing more is appended.
    pub(super) fn drain(&self) -> Result<(), Failed> {
        self.shared.wait_until(|window| window.pending.is_empty()).check()
    }
}

impl Shared {
    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something, or for a failure.
    fn wait_until(&self, is_so: impl Fn(&Window) -> bool) -> MutexGuard<'_, Window> {
        let waits = |window: &mut Window| window.failure.is_none() && !is_so(window);
        let Some(patience) = self.how.patience else {
            return self.changed.wait_while(self.window(), waits).unwrap_or_else(PoisonError::into_inner);
        };
        let waited = self.changed.wait_timeout_while(self.window(), patience, waits);
        let (mut window, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        if outcome.timed_out() {
            let why = format!("nothing was taken for {} s", patience.as_secs());
            window.failure.get_or_insert_with(|| Arc::new(BusError::timeout(why)));
        }
        window
    }

    fn acknowledged(&self, number: u64) {
        self.window().pending.remove(&number);
        self.changed.notify_all();
    }

    fn fail(&self, error: BusError) {
        self.window().failure.get_or_insert_with(|| Arc::new(error));
        self.changed.notify_all();
    }

    fn begins_to_fail(&self, error: &BusError) {
        let mut window = self.window();
        window.failing += 1;
        if window.failing == 1 {
            window.failing_since = Some(Instant::now());
            drop(window);
            tracing::warn!("what journeys {} cannot be handed on for now: {error}", self.how.what);
        }
    }

    fn ends_to_fail(&self) {
        let mut window = self.window();
        window.failing -= 1;
        if window.failing == 0
            && let Some(since) = window.failing_since.take()
        {
            drop(window);
            let seconds = since.elapsed().as_secs_f64();
            tracing::warn!("what journeys {} is handed on again, after {seconds:.1} s", self.how.what);
        }
    }
}

/// Says that the thread has ended, however it has: whoever waits must not wait for ever.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.fail(ended());
    }
}

fn ended() -> BusError {
    BusError::other("the thread that appends records has ended")
}

/// Appends what is handed over, until nothing more can be.
async fn append_all(
    fabric: &dyn Fabric,
    log: &str,
    producer: Producer,
    mut batches: mpsc::UnboundedReceiver<(u64, Vec<u8>)>,
    shared: &Arc<Shared>,
) -> Result<(), BusError> {
    let open = retried(shared, || fabric.log(log, KEPT));
    let mut open = std::pin::pin!(open);
    let log = loop {
        // That nothing more is to come is seen even while there is no connection.
        tokio::select! {
            log = &mut open => break log?,
            () = sleep(RETRY_AFTER.1) => if batches.is_closed() { return Ok(()) },
        }
    };
    let mut appends = JoinSet::new();
    loop {
        tokio::select! {
            batch = batches.recv() => {
                let Some((number, packed)) = batch else { return Ok(()) };
                let id = BatchId { producer, number };
                appends.spawn(append(Arc::clone(&log), id, packed, Arc::clone(shared)));
            }
            Some(appended) = appends.join_next() => {
                appended.unwrap_or_else(|error| Err(BusError::other("failed to append a batch").with_source(error)))?;
            }
        }
    }
}

async fn append(log: Arc<dyn Log>, id: BatchId, packed: Vec<u8>, shared: Arc<Shared>) -> Result<(), BusError> {
    let name = id.to_string();
    retried(&shared, || log.append(LANE, &name, packed.clone())).await?;
    shared.acknowledged(id.number);
    Ok(())
}

/// Asks again until there is an answer.
async fn retried<'a, T>(shared: &Shared, mut ask: impl FnMut() -> crate::bus::Later<'a, T>) -> Result<T, BusError> {
    let (mut after, most) = RETRY_AFTER;
    let mut is_failing = false;
    loop {
        match ask().await {
            Err(error) if is_transient(&error) => {
                if !is_failing {
                    shared.begins_to_fail(&error);
                    is_failing = true;
                }
                sleep(after).await;
                after = (after * 2).min(most);
            }
            answer => {
                if is_failing && answer.is_ok() {
                    shared.ends_to_fail();
                }
                return answer;
            }
        }
    }
}
