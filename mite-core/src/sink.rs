//! Where messages go: the trait of all receivers, and the bounded queues between them and the workers.
//!
//! Each sink has a thread of its own, so that a slow disk never holds a worker's thread; a worker that is ahead of it by a
//! full queue waits.

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tracing::Span;

use crate::message::{Batch, Head, Message};
use crate::names::{DATA_CREATED, Names};
use crate::part::Part;
use crate::runner::strand::{Lost, Strand, StrandKind};
use crate::stats::Meter;
use crate::{clock, panics};

/// What a sink fails with; the run ends with it.
pub type SinkError = Box<dyn StdError + Send + Sync>;

/// The types of messages that a sink takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wants {
    /// Every message.
    Everything,
    /// Messages of these types: `Wants::Types(&["txn"])`.
    Types(&'static [&'static str]),
}

impl Wants {
    fn includes(&self, kind: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Types(types) => types.contains(&kind),
        }
    }

    /// Whether this type is one that it is there for.
    fn names(&self, kind: &str) -> bool {
        matches!(self, Self::Types(types) if types.contains(&kind))
    }
}

/// Receives the messages of a run, each whole and in the order in which its worker sent it.
///
/// A sink runs on a thread of its own and may block. [`Recorder`](crate::Recorder) is one.
///
/// ```
/// use mite_core::{Message, Sink, SinkError, Wants};
///
/// /// Counts failed transactions.
/// struct Failures(u64);
///
/// impl Sink for Failures {
///     fn name(&self) -> &str {
///         "failures"
///     }
///
///     fn wants(&self) -> Wants {
///         Wants::Types(&["txn"])
///     }
///
///     fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
///         self.0 += u64::from(message.field("had_error") == Some(b"\xc3"));
///         Ok(())
///     }
/// }
/// ```
pub trait Sink: Send + 'static {
    /// What errors and threads name it by.
    fn name(&self) -> &str;

    /// Which messages it takes: asked once, before the run. A message that no sink and no [metric](crate::stats) wants is not
    /// even packed.
    fn wants(&self) -> Wants;

    /// Makes ready, before anything of the run has started.
    ///
    /// # Errors
    /// The run is refused.
    fn open(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes one message.
    ///
    /// # Errors
    /// The run ends with this error; this sink gets no more messages.
    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError>;

    /// Called when no message waits for the moment: the time to hand on what is buffered.
    ///
    /// # Errors
    /// As for [`Sink::message`].
    fn idle(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Called once a second, and at the end: the time to make durable what was taken.
    ///
    /// # Errors
    /// As for [`Sink::message`].
    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A batch is handed over when it takes this many bytes, and at its worker's next tick in any case.
const BATCH_BYTES: usize = 64 * 1024;
/// How many batches may wait for a sink before its senders do: with `BATCH_BYTES` about 2 MB.
const QUEUED_BATCHES: usize = 32;
/// How often a sink is asked to make durable what it took.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A sink's end that workers send to.
#[derive(Debug, Clone)]
pub(crate) struct SinkQueue {
    name: Arc<str>,
    wants: Wants,
    sender: mpsc::Sender<Batch>,
    failure: Arc<Mutex<Option<String>>>,
}

impl SinkQueue {
    fn failed(&self) -> SinkGone {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        SinkGone { sink: self.name.clone(), cause: failure.unwrap_or_else(|| "it has stopped".into()) }
    }
}

/// A sink takes no more messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {sink} takes no more messages: {cause}")]
pub(crate) struct SinkGone {
    sink: Arc<str>,
    cause: String,
}

/// A sink that takes messages.
#[derive(Debug)]
pub(crate) struct SinkStrand {
    pub(crate) name: Arc<str>,
    strand: Strand<Result<(), SinkError>>,
    /// Dropped to say that nothing more is to come, whoever still has a queue: a worker that is blocked may keep its own.
    close: oneshot::Sender<()>,
}

impl SinkStrand {
    /// Lets the sink take what is queued, and waits for its end.
    pub(crate) async fn finish(self) -> Result<(), SinkError> {
        drop(self.close);
        // A slow disk takes as long as it takes.
        match self.strand.join(Duration::MAX).await {
            Ok(served) => served,
            Err(Lost::Panicked(payload)) => Err(panics::text(&*payload).into()),
            Err(Lost::Blocked) => Err("it did not end".into()),
        }
    }
}

/// Runs a sink, on a thread or as a task, until all queues to it are dropped; `on_failure` is called at once when it fails.
///
/// # Errors
/// No thread could be started.
pub(crate) fn spawn(
    mut sink: impl Sink,
    names: Arc<Names>,
    strands: StrandKind,
    span: &Span,
    on_failure: impl FnOnce() + Send + 'static,
) -> std::io::Result<(SinkQueue, SinkStrand)> {
    let (sender, receiver) = mpsc::channel(QUEUED_BATCHES);
    let (close, closed) = oneshot::channel();
    let failure = Arc::new(Mutex::new(None));
    let queue = SinkQueue { name: sink.name().into(), wants: sink.wants(), sender, failure: Arc::clone(&failure) };
    let work = async move {
        // A user's sink may panic.
        let served = panics::caught_in(serve(&mut sink, receiver, closed, &names)).await;
        let served = served.unwrap_or_else(|payload| Err(panics::text(&*payload).into()));
        if let Err(error) = &served {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            on_failure();
        }
        served
    };
    let strand = match strands {
        StrandKind::Thread => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            Strand::thread(format!("mite-{}", queue.name), span.clone(), move || runtime.block_on(work))?
        }
        #[cfg(feature = "testing")]
        StrandKind::Task => Strand::task(work),
    };
    let name = Arc::clone(&queue.name);
    Ok((queue, SinkStrand { name, strand, close }))
}

async fn serve(
    sink: &mut impl Sink,
    mut batches: mpsc::Receiver<Batch>,
    mut closed: oneshot::Receiver<()>,
    names: &Names,
) -> Result<(), SinkError> {
    let mut sync = tokio::time::interval(SYNC_EVERY);
    sync.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = sync.tick() => sink.sync()?,
            _ = &mut closed, if !closed.is_terminated() => batches.close(),
            batch = batches.recv() => {
                let Some(batch) = batch else { break };
                for message in batch.messages(names) {
                    sink.message(&message)?;
                }
                if batches.is_empty() {
                    sink.idle()?;
                }
            }
        }
    }
    sink.sync()
}

/// One thread's messages on their way to the sinks.
#[derive(Debug)]
pub(crate) struct Outbox {
    lanes: Vec<Lane>,
    /// Who wants the types that some sink asks for by name; they are few, and mostly of different lengths.
    named: Vec<(Box<str>, Wanted)>,
    /// Who wants all others.
    others: Wanted,
    /// Who wants records.
    records: Wanted,
    /// How many messages there was room for since a journey's turn began.
    this_turn: Cell<u32>,
    /// What is worked out of messages here.
    pub(crate) meter: Meter,
}

/// Who wants messages of a type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The lanes that do, and metrics, as bits.
    pub(crate) lanes: u64,
    /// Whether there is a sink that asks for it by name: one that takes all of them keeps no records.
    pub(crate) kept: bool,
}

#[derive(Debug)]
struct Lane {
    queue: SinkQueue,
    batch: RefCell<Batch>,
    /// Messages that nobody waits for and that found the batch far over its size.
    dropped: Cell<u64>,
}

/// A journey that records in a loop gives way after so many records, which take about 15 µs: tokio's own budget, of 128, would
/// make the runtime look at its timers more often than other journeys need.
const MOST_PER_TURN: u32 = 32;
/// Messages that nobody waits for are dropped, and counted, when so much waits already.
const MOST_UNAWAITED_BYTES: usize = 8 * 1024 * 1024;
/// `wanted` has a bit for each sink, and one for metrics.
pub(crate) const MOST_SINKS: usize = 63;
/// The bit of metrics.
pub(crate) const METRICS: u64 = 1 << 63;

impl Outbox {
    pub(crate) fn new(queues: &[SinkQueue], meter: Meter) -> Self {
        let metrics = meter.metrics();
        let lane = |queue: &SinkQueue| Lane { queue: queue.clone(), batch: RefCell::default(), dropped: Cell::new(0) };
        let wanted = |kind: &str| {
            let wants = |(index, queue): (usize, &SinkQueue)| u64::from(queue.wants.includes(kind)) << index;
            let lanes: u64 = queues.iter().enumerate().map(wants).sum();
            let lanes = lanes | if metrics.want(kind) { METRICS } else { 0 };
            Wanted { lanes, kept: queues.iter().any(|queue| queue.wants.names(kind)) }
        };
        let types = |queue: &SinkQueue| match queue.wants {
            Wants::Everything => [].as_slice(),
            Wants::Types(types) => types,
        };
        let everything = |queue: &SinkQueue| queue.wants == Wants::Everything;
        let others: u64 = queues.iter().enumerate().map(|(index, queue)| u64::from(everything(queue)) << index).sum();
        let others = others | if metrics.want_everything() { METRICS } else { 0 };
        Self {
            lanes: queues.iter().map(lane).collect(),
            named: queues
                .iter()
                .flat_map(types)
                .copied()
                .chain(metrics.types())
                .map(|kind| (kind.into(), wanted(kind)))
                .collect(),
            others: Wanted { lanes: others, kept: false },
            records: wanted(DATA_CREATED),
            this_turn: Cell::new(0),
            meter,
        }
    }

    /// A journey has its turn.
    #[inline]
    pub(crate) fn begin_turn(&self) {
        self.this_turn.set(0);
    }

    /// Who wants records.
    pub(crate) fn records(&self) -> Wanted {
        self.records
    }

    /// Who wants messages of this type.
    #[inline]
    pub(crate) fn who_wants(&self, kind: &str) -> Wanted {
        self.named.iter().find(|(named, _)| **named == *kind).map_or(self.others, |(_, wanted)| *wanted)
    }

    fn lanes(&self, wanted: u64) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().enumerate().filter(move |(index, _)| wanted >> index & 1 == 1).map(|(_, lane)| lane)
    }

    /// Waits until the batches for these sinks are under their size, and says how long that took.
    ///
    /// # Errors
    /// A sink has failed; the run is about to end with its error.
    pub(crate) async fn room(&self, wanted: u64) -> Result<Duration, SinkGone> {
        self.this_turn.set(self.this_turn.get() + 1);
        if self.this_turn.get() > MOST_PER_TURN {
            self.begin_turn();
            tokio::task::yield_now().await;
        }
        let mut waited = Duration::ZERO;
        // While one is waited for, others may send.
        while let Some(lane) = self.lanes(wanted).find(|lane| lane.is_full()) {
            // Boxed, since it is rare: what is awaited is moved, and each message would pay for the size of this.
            waited += Box::pin(lane.make_room()).await?;
        }
        Ok(waited)
    }

    /// Adds a message, for which there is [`room`](Self::room).
    ///
    /// # Errors
    /// A sink has failed; the run is about to end with its error.
    pub(crate) fn push(&self, wanted: u64, head: Head, own: &[u8]) -> Result<(), SinkGone> {
        self.measure(wanted, &head, own);
        self.lanes(wanted).try_for_each(|lane| lane.push(head, own))
    }

    /// Adds a message that nobody waits for.
    pub(crate) fn emit(&self, wanted: u64, head: Head, own: &[u8]) {
        self.measure(wanted, &head, own);
        for lane in self.lanes(wanted) {
            if lane.batch.borrow().size() > MOST_UNAWAITED_BYTES {
                lane.dropped.set(lane.dropped.get() + 1);
                continue;
            }
            // A sink that is gone has ended the run already.
            let _ = lane.push(head, own);
        }
    }

    /// Works out the metrics of a message, unless it is of the warm-up.
    #[inline]
    fn measure(&self, wanted: u64, head: &Head, own: &[u8]) {
        if wanted & METRICS != 0 && head.place.is_none_or(|place| place.part == Part::Measured) {
            self.meter.message(head, own);
        }
    }

    /// Hands over what there is, as far as the sinks have room: called at each tick.
    pub(crate) fn tick(&self) {
        for lane in &self.lanes {
            let _ = lane.hand_over(1);
        }
    }

    /// Hands over everything.
    ///
    /// # Errors
    /// A sink has failed.
    pub(crate) async fn flush(&self) -> Result<(), SinkGone> {
        let mut outcome = Ok(());
        for lane in &self.lanes {
            while !lane.batch.borrow().is_empty() {
                let Ok(permit) = lane.queue.sender.reserve().await else {
                    // The others get theirs all the same.
                    outcome = Err(lane.queue.failed());
                    break;
                };
                permit.send(lane.take());
            }
        }
        outcome
    }

    /// For each sink how many messages were dropped.
    pub(crate) fn dropped(&self) -> Vec<(String, u64)> {
        self.lanes.iter().map(|lane| (lane.queue.name.to_string(), lane.dropped.get())).collect()
    }
}

impl Lane {
    fn is_full(&self) -> bool {
        self.batch.borrow().size() >= BATCH_BYTES
    }

    /// Adds a message, and hands the batch over once it is full and the queue has room.
    fn push(&self, head: Head, own: &[u8]) -> Result<(), SinkGone> {
        let mut batch = self.batch.borrow_mut();
        batch.push(head, own);
        if batch.size() < BATCH_BYTES {
            return Ok(());
        }
        drop(batch);
        self.hand_over(BATCH_BYTES)
    }

    /// The batch. The next one has room already: it would copy what it has each time that it grows.
    fn take(&self) -> Batch {
        let mut batch = self.batch.borrow_mut();
        let next = batch.next(BATCH_BYTES);
        std::mem::replace(&mut *batch, next)
    }

    /// Waits until the batch is under its size.
    async fn make_room(&self) -> Result<Duration, SinkGone> {
        let started = clock::now();
        while self.is_full() {
            let permit = self.queue.sender.reserve().await.map_err(|_| self.queue.failed())?;
            // Others waited too: the batch may have gone meanwhile, and then the permit goes back.
            if self.is_full() {
                permit.send(self.take());
            }
        }
        Ok(clock::now() - started)
    }

    /// Hands the batch over if it has `least` bytes and the queue has room.
    fn hand_over(&self, least: usize) -> Result<(), SinkGone> {
        if self.batch.borrow().size() < least {
            return Ok(());
        }
        match self.queue.sender.try_reserve() {
            Ok(permit) => permit.send(self.take()),
            Err(mpsc::error::TrySendError::Full(())) => {}
            Err(mpsc::error::TrySendError::Closed(())) => return Err(self.queue.failed()),
        }
        Ok(())
    }
}

/// A boxed sink is one too, so that sinks of all types can be kept together.
impl Sink for Box<dyn Sink> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn wants(&self) -> Wants {
        (**self).wants()
    }

    fn open(&mut self) -> Result<(), SinkError> {
        (**self).open()
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        (**self).message(message)
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        (**self).idle()
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        (**self).sync()
    }
}
