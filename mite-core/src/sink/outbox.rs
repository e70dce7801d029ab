//! One thread's messages on their way to the sinks: packed into batches, one for each sink that wants them.
//!
//! It is apart from the queues that it fills: an outbox belongs to one thread and takes no lock.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::sync::mpsc;

use super::queue::{SinkGone, SinkQueue};
use super::{Wants, WhenFull};
use crate::clock;
use crate::message::{Batch, Head};
use crate::names::DATA_CREATED;
use crate::part::Part;
use crate::stats::Meter;

/// A batch is handed over when it takes this many bytes, and at its worker's next tick in any case.
const BATCH_BYTES: usize = 64 * 1024;
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
    /// The lanes that are waited for when they are full, as bits.
    waited_for: u64,
    /// Those of them that want transactions.
    slowed_by: u64,
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
    /// Messages that were meant for the sink, whether it took them or not.
    sent: Cell<u64>,
}

/// A journey that records in a loop gives way after so many records, which take about 15 µs: tokio's own budget, of 128, would
/// make the runtime look at its timers more often than other journeys need.
const MOST_PER_TURN: u32 = 32;
/// Messages are dropped, and counted, when so much waits already on their thread.
const MOST_WAITING_BYTES: usize = 8 * 1024 * 1024;
/// `wanted` has a bit for each sink, and one for metrics.
pub(crate) const MOST_SINKS: usize = 63;
/// The bit of metrics.
pub(crate) const METRICS: u64 = 1 << 63;

impl Outbox {
    pub(crate) fn new(queues: &[SinkQueue], meter: Meter) -> Self {
        let metrics = meter.metrics();
        let lane = |queue: &SinkQueue| Lane { queue: queue.clone(), batch: RefCell::default(), sent: Cell::new(0) };
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
        let waited_for = |(index, queue): (usize, &SinkQueue)| u64::from(queue.when_full == WhenFull::Wait) << index;
        let waited_for = queues.iter().enumerate().map(waited_for).sum();
        Self {
            waited_for,
            slowed_by: waited_for & wanted("txn").lanes,
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

    /// Whether one that wants transactions is to be waited for: their messages are sent where nobody can wait.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.slowed_by != 0 && self.lanes(self.slowed_by).any(Lane::is_full)
    }

    /// Waits until the batches for those of these sinks that are waited for are under their size, and says how long that took.
    ///
    /// # Errors
    /// An essential sink has failed; the run is about to end with its error.
    pub(crate) async fn room(&self, wanted: u64) -> Result<Duration, SinkGone> {
        self.this_turn.set(self.this_turn.get() + 1);
        if self.this_turn.get() > MOST_PER_TURN {
            self.begin_turn();
            tokio::task::yield_now().await;
        }
        let mut waited = Duration::ZERO;
        // While one is waited for, others may send.
        while let Some(lane) = self.lanes(wanted & self.waited_for).find(|lane| lane.is_full()) {
            // Boxed, since it is rare: what is awaited is moved, and each message would pay for the size of this.
            waited += Box::pin(lane.make_room()).await?;
        }
        Ok(waited)
    }

    /// Adds a message. One for which there was no [`room`](Self::room), since nobody could wait or its sink is not waited for, is
    /// left out when very much waits already.
    ///
    /// # Errors
    /// An essential sink has failed; the run is about to end with its error.
    pub(crate) fn push(&self, wanted: u64, head: Head, own: &[u8]) -> Result<(), SinkGone> {
        self.measure(wanted, &head, own);
        self.lanes(wanted).try_for_each(|lane| lane.push(head, own))
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

    /// Hands over everything, and to sinks that are not waited for what they have room for.
    ///
    /// # Errors
    /// An essential sink has failed.
    pub(crate) async fn flush(&self) -> Result<(), SinkGone> {
        self.tick();
        self.hand_over_all(self.waited_for).await
    }

    /// Hands over everything to all sinks, when nothing more is to come.
    ///
    /// # Errors
    /// An essential sink has failed.
    pub(crate) async fn finish(&self) -> Result<(), SinkGone> {
        self.hand_over_all(u64::MAX).await
    }

    async fn hand_over_all(&self, wanted: u64) -> Result<(), SinkGone> {
        let mut outcome = Ok(());
        for lane in self.lanes(wanted) {
            while !lane.batch.borrow().is_empty() {
                let Ok(permit) = lane.queue.sender.reserve().await else {
                    // The others get theirs all the same.
                    outcome = outcome.and(lane.gone());
                    break;
                };
                permit.send(lane.take());
            }
        }
        outcome
    }

    /// For each sink how many messages were meant for it.
    pub(crate) fn sent(&self) -> Vec<u64> {
        self.lanes.iter().map(|lane| lane.sent.get()).collect()
    }
}

impl Lane {
    fn is_full(&self) -> bool {
        self.batch.borrow().size() >= BATCH_BYTES
    }

    /// Adds a message, and hands the batch over once it is full and the queue has room.
    fn push(&self, head: Head, own: &[u8]) -> Result<(), SinkGone> {
        self.sent.set(self.sent.get() + 1);
        let mut batch = self.batch.borrow_mut();
        if batch.size() <= MOST_WAITING_BYTES {
            batch.push(head, own);
        }
        if batch.size() < BATCH_BYTES {
            return Ok(());
        }
        drop(batch);
        self.hand_over(BATCH_BYTES)
    }

    /// The sink takes no more: what waits for it is left out, unless that ends the run.
    fn gone(&self) -> Result<(), SinkGone> {
        self.batch.take();
        if self.queue.is_essential { Err(self.queue.failed()) } else { Ok(()) }
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
            match self.queue.sender.reserve().await {
                // Others waited too: the batch may have gone meanwhile, and then the permit goes back.
                Ok(permit) if self.is_full() => permit.send(self.take()),
                Ok(_) => {}
                Err(_) => self.gone()?,
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
            Err(mpsc::error::TrySendError::Closed(())) => return self.gone(),
        }
        Ok(())
    }
}
