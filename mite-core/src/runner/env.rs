//! What the journeys on one worker's thread share: its figures, its messages, its names, and the run's facts.
//!
//! It is apart from the worker's state, which journeys never see.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::permit::Permit;
use super::watch::Calling;
use crate::clock::{Moment, WallClock};
use crate::exchange::OnExchange;
use crate::extensions::Extensions;
use crate::figures::{Figures, FiguresTold, Outcome, PartFigures, StartDelay};
use crate::names::{KindId, NameCache, Names};
use crate::part::Part;
use crate::report::GeneratorLimits;
use crate::seconds::WorkerSeconds;
use crate::sink::outbox::Outbox;
use crate::stats::{Meter, Metrics};
use crate::{Config, panics};

/// The facts of a run that all its threads share and none changes.
#[derive(Debug)]
pub(crate) struct RunFacts {
    pub(crate) names: Arc<Names>,
    pub(crate) config: Config,
    pub(crate) wall: WallClock,
    pub(crate) seed: u64,
    pub(crate) workers: u32,
    pub(crate) graceful_stop: Duration,
    /// From all being ready to the first start.
    pub(crate) start_delay: Duration,
    pub(crate) limits: GeneratorLimits,
    /// What is due before is left out of the figures: nanoseconds since the start of the run.
    pub(crate) warm_up: u64,
    /// What the figures of transactions and requests may take, on all workers together.
    pub(crate) max_series_bytes: u64,
    /// How many journeys of all rows may run at once, where that was said.
    pub(crate) max_running: Option<u64>,
    pub(crate) on_exchange: Option<OnExchange>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) permit: Arc<Permit>,
    /// How many processes may take part in the run, at the most.
    pub(crate) most_runners: u16,
}

impl RunFacts {
    /// What works out one thread's metrics. They may take a quarter of what transactions and requests may, besides: half of it on
    /// the workers, and half where it is added up.
    pub(crate) fn meter(&self) -> Meter {
        let most_bytes = self.max_series_bytes / 8 / u64::from(self.workers);
        Meter::new(Arc::clone(&self.metrics), Arc::clone(&self.names), most_bytes)
    }
}

/// One worker's surroundings.
pub(crate) struct Env {
    pub(crate) shared: Arc<RunFacts>,
    pub(crate) outbox: Outbox,
    pub(crate) names: RefCell<NameCache>,
    measured: RefCell<PartFigures>,
    warm_up: RefCell<PartFigures>,
    pub(crate) seconds: RefCell<WorkerSeconds>,
    pub(crate) extensions: RefCell<Extensions>,
    /// What the worker's setup has returned.
    pub(crate) fixtures: RefCell<Extensions>,
    /// When the run started; until then, when this worker was made.
    origin: Cell<Moment>,
    has_started: Cell<bool>,
    stopping: Vec<Cell<bool>>,
    /// Wakes slots of the closed model that wait for data when they may no longer be wanted.
    pub(crate) fewer_wanted: Notify,
    next_context: Cell<u64>,
    calling: Arc<Calling>,
    calls: Cell<u64>,
    scratch: RefCell<Vec<Vec<u8>>>,
}

/// Buffers that were used for a large message are given back to the system.
const LARGEST_SCRATCH: usize = 64 * 1024;
const MOST_SCRATCH: usize = 16;

impl Env {
    pub(crate) fn new(shared: Arc<RunFacts>, outbox: Outbox, worker: u32, calling: Arc<Calling>) -> Rc<Self> {
        let rows = shared.names.journeys.len();
        let Figures { warm_up, mut measured } = Figures::new(rows);
        // The other half is the controller's.
        measured.limit_series(shared.max_series_bytes / 2 / u64::from(shared.workers));
        Rc::new(Self {
            outbox,
            names: RefCell::new(NameCache::new(Arc::clone(&shared.names))),
            measured: RefCell::new(measured),
            warm_up: RefCell::new(warm_up),
            seconds: RefCell::new(WorkerSeconds::new(rows)),
            extensions: RefCell::default(),
            fixtures: RefCell::default(),
            origin: Cell::new(Moment::now()),
            has_started: Cell::new(false),
            stopping: vec![Cell::new(false); rows],
            fewer_wanted: Notify::new(),
            next_context: Cell::new(u64::from(worker) + 1),
            calling,
            calls: Cell::new(0),
            scratch: RefCell::default(),
            shared,
        })
    }

    pub(crate) fn set_origin(&self, origin: Moment) {
        self.origin.set(origin);
        self.has_started.set(true);
    }

    /// The run's clock is so many nanoseconds ahead of what was thought, so that the run has been under way for longer.
    pub(crate) fn slew(&self, ahead: i64) {
        let (origin, by) = (self.origin.get(), ahead.unsigned_abs());
        self.origin.set(if ahead > 0 { origin.before(by) } else { origin.after(by) });
    }

    /// How long the run has been under way; zero before its start.
    pub(crate) fn run_time(&self) -> Duration {
        if self.has_started.get() { Duration::from_nanos(self.now()) } else { Duration::ZERO }
    }

    /// The moment that is so many nanoseconds after the start of the run.
    #[inline]
    pub(crate) fn moment(&self, nanos: u64) -> Moment {
        self.origin.get().after(nanos)
    }

    /// Nanoseconds since the start of the run.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        Moment::now().since(self.origin.get())
    }

    /// The part of the run in which a start lies that is due so many nanoseconds after the run's.
    pub(crate) fn part(&self, due: u64) -> Part {
        if due < self.shared.warm_up { Part::WarmUp } else { Part::Measured }
    }

    /// The figures of a part of the run.
    pub(crate) fn stats(&self, part: Part) -> RefMut<'_, PartFigures> {
        match part {
            Part::WarmUp => self.warm_up.borrow_mut(),
            Part::Measured => self.measured.borrow_mut(),
        }
    }

    /// What is new in the figures, both parts of them.
    pub(crate) fn tell_figures(&self) -> FiguresTold {
        let (mut warm_up, mut measured) = (self.warm_up.borrow_mut(), self.measured.borrow_mut());
        measured.weigh();
        let mut told = FiguresTold { warm_up: warm_up.tell(), measured: measured.tell() };
        told.measured.metrics = self.outbox.meter.tell();
        told
    }

    /// All figures that were not told yet, at the worker's end.
    pub(crate) fn take_figures(&self) -> FiguresTold {
        let take = |of: &RefCell<PartFigures>| of.replace(PartFigures::new(0)).tell_all();
        let mut told = FiguresTold { warm_up: take(&self.warm_up), measured: take(&self.measured) };
        told.measured.metrics = self.outbox.meter.tell();
        told
    }

    /// Counts a journey's start.
    pub(crate) fn started(&self, part: Part, row: u32, at: u64, delay: StartDelay) {
        self.stats(part).started(row, delay);
        self.seconds.borrow_mut().started(at, row);
    }

    /// Counts a journey's end; times are in nanoseconds.
    pub(crate) fn ended(&self, part: Part, row: u32, at: u64, outcome: Outcome, response: u64, service: u64) {
        self.stats(part).ended(row, outcome, response, service);
        self.seconds.borrow_mut().ended(at, row, outcome, response / 1000);
    }

    /// A number that no other run of a journey in this process has: from 1, and each worker has its own.
    pub(crate) fn next_context_id(&self) -> u64 {
        let id = self.next_context.get();
        self.next_context.set(id + u64::from(self.shared.workers));
        id
    }

    /// Calls code of a user: a panic within is kept and not printed, and the controller can see whose code it is.
    pub(crate) fn call<T>(&self, row: u32, code: impl FnOnce() -> T) -> T {
        struct End<'a>(&'a Calling);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.end();
            }
        }
        let call = self.calls.get() + 1;
        self.calls.set(call);
        self.calling.begin(row, call);
        self.outbox.begin_turn();
        let _end = End(&self.calling);
        panics::watched(code)
    }

    /// As [`Env::call`] for code that waits, the making of its future included: gives its panic.
    pub(crate) async fn watched<T>(&self, row: u32, code: impl AsyncFnOnce() -> T) -> std::thread::Result<T> {
        let mut future = pin!(async move { code().await });
        poll_fn(move |cx| self.call(row, || panics::caught(|| future.as_mut().poll(cx)))).await
    }

    /// The number of a message type, and which sinks want it, as bits; `None` where none does.
    #[inline]
    pub(crate) fn wanted(&self, kind: &str) -> Option<(KindId, u64)> {
        let lanes = self.outbox.who_wants(kind).lanes;
        (lanes != 0).then(|| (self.names.borrow_mut().kind(kind), lanes))
    }

    pub(crate) fn should_stop(&self, row: u32) -> bool {
        self.stopping[row as usize].get()
    }

    pub(crate) fn stop_row(&self, row: u32) {
        if !self.stopping[row as usize].replace(true) {
            self.fewer_wanted.notify_waiters();
        }
    }

    /// An empty buffer to pack into.
    pub(crate) fn scratch(&self) -> Vec<u8> {
        self.scratch.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn put_back(&self, mut buffer: Vec<u8>) {
        let mut scratch = self.scratch.borrow_mut();
        if buffer.capacity() <= LARGEST_SCRATCH && scratch.len() < MOST_SCRATCH {
            buffer.clear();
            scratch.push(buffer);
        }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("shared", &self.shared).finish_non_exhaustive()
    }
}
