//! One run of a journey, from its start to its account: data is checked out, the journey is called, and whatever happens is
//! counted once.

use std::any::Any;
use std::cell::Cell;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::task::AbortHandle;

use super::env::Env;
use super::worker::{RowId, WorkerState};
use crate::context::{Transaction, VisitIds};
use crate::datapool::{Checkout, DataPool};
use crate::journey::Journey;
use crate::names::Names;
use crate::panics;
use crate::stats::{Outcome, RowStats, StartDelay};
use crate::{Context, Error, Result};

/// A row's journey and pool, as the scenario holds them: of any types.
pub(crate) trait RowSpec: Send {
    /// A copy for one worker's thread.
    fn for_worker(&self) -> Box<dyn WorkerRow + Send>;
    fn check(&self) -> Result;
    fn ends(&self) -> bool;
    fn left(&self) -> Option<u64>;
}

/// A row's journey and pool on a worker's thread.
pub(crate) trait WorkerRow {
    fn into_rc(self: Box<Self>) -> Rc<dyn WorkerRow>;
    /// Starts one run of the journey (open model).
    fn spawn_start(self: Rc<Self>, worker: &Rc<WorkerState>, start: Start) -> AbortHandle;
    /// Starts a slot that runs the journey again and again until its row has fewer slots (closed model).
    fn spawn_slot(self: Rc<Self>, worker: &Rc<WorkerState>, slot: Slot) -> AbortHandle;
}

/// One start of the open model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) row: RowId,
    pub(crate) index: u64,
    /// Nanoseconds since the start of the run.
    pub(crate) due: u64,
    /// Nanoseconds since the start of the run at which it first could be started: later than `due` when it had to wait for
    /// room.
    pub(crate) room: u64,
    pub(crate) task: u32,
}

/// One slot of the closed model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) row: RowId,
    /// Its number on this worker: it ends when the row wants no more than this many.
    pub(crate) number: u32,
    pub(crate) task: u32,
}

pub(crate) struct TypedRow<J, P, Args> {
    journey: J,
    pool: Arc<P>,
    args: PhantomData<fn() -> Args>,
}

impl<J, P, Args> TypedRow<J, P, Args> {
    pub(crate) fn new(journey: J, pool: P) -> Self {
        Self { journey, pool: Arc::new(pool), args: PhantomData }
    }
}

impl<J, P, Args> RowSpec for TypedRow<J, P, Args>
where
    J: Journey<Args>,
    P: DataPool<Item = Args>,
    Args: 'static,
{
    fn for_worker(&self) -> Box<dyn WorkerRow + Send> {
        Box::new(Self { journey: self.journey.clone(), pool: Arc::clone(&self.pool), args: PhantomData })
    }

    fn check(&self) -> Result {
        self.pool.check()
    }

    fn ends(&self) -> bool {
        self.pool.ends()
    }

    fn left(&self) -> Option<u64> {
        self.pool.left()
    }
}

impl<J, P, Args> WorkerRow for TypedRow<J, P, Args>
where
    J: Journey<Args>,
    P: DataPool<Item = Args>,
    Args: 'static,
{
    fn into_rc(self: Box<Self>) -> Rc<dyn WorkerRow> {
        Rc::new(*self)
    }

    fn spawn_start(self: Rc<Self>, worker: &Rc<WorkerState>, start: Start) -> AbortHandle {
        // Made here and not in the task: one that is cancelled before its first poll is accounted for too.
        let account = Account::planned(worker, start.row, Task::Own(start.task));
        let task = async move {
            let env = account.worker.env();
            let polled = env.now();
            match self.checkout(&account, start.index).await {
                Got::Item(lease, args) => {
                    let started = Instant::now();
                    account.started(
                        started,
                        StartDelay {
                            generator_lag: nanos(polled.saturating_sub(start.room)),
                            queue_wait: nanos(start.room.saturating_sub(start.due)),
                            data_wait: nanos(env.nanos(started).saturating_sub(polled)),
                        },
                    );
                    self.visit(&account, lease, args, env.instant(start.due), started).await;
                }
                Got::NoneFree | Got::Failed => account.starved(),
                Got::Exhausted => account.exhausted(),
            }
        };
        tokio::task::spawn_local(task).abort_handle()
    }

    fn spawn_slot(self: Rc<Self>, worker: &Rc<WorkerState>, slot: Slot) -> AbortHandle {
        let guard = SlotGuard { worker: Rc::clone(worker), slot };
        let task = async move {
            let worker = &guard.worker;
            let mut runs = 0;
            while worker.wants_slot(slot, runs) {
                runs += 1;
                // A journey that never waits must let the others run all the same.
                tokio::task::coop::consume_budget().await;
                let free = Instant::now();
                let index = worker.next_closed_start(slot.row);
                let account = Account::planned(worker, slot.row, Task::Slot(slot));
                let got = match self.checkout(&account, index).await {
                    Got::NoneFree => Box::pin(self.item_to_come(&account, slot, index)).await,
                    got => got,
                };
                match got {
                    Got::Item(lease, args) => {
                        let started = Instant::now();
                        account.started(started, StartDelay { data_wait: started - free, ..StartDelay::default() });
                        self.visit(&account, lease, args, free, started).await;
                    }
                    // It stopped before an item came back. Where the row goes on with fewer, the start is not planned any more.
                    Got::NoneFree if !worker.env().should_stop(slot.row.0) => return account.not_planned(),
                    Got::NoneFree => return,
                    Got::Failed => {
                        account.starved();
                        // A pool that fails would otherwise be asked as fast as the machine can.
                        let pause = Box::pin(worker.while_wanted(slot, tokio::time::sleep(FAILED_POOL_PAUSE)));
                        if pause.await.is_none() {
                            return;
                        }
                    }
                    Got::Exhausted => return account.exhausted(),
                }
            }
        };
        tokio::task::spawn_local(task).abort_handle()
    }
}

/// A million of these may be alive at once, so that their size counts: what is large and rare is boxed, and what is handed
/// from one to the other by value is little, since an `async` block keeps its captures beside the locals that they are moved
/// to.
impl<J, P, Args> TypedRow<J, P, Args>
where
    J: Journey<Args>,
    P: DataPool<Item = Args>,
    Args: 'static,
{
    /// Waits for an item until the slot is no longer wanted: `NoneFree`.
    async fn item_to_come<'a>(&'a self, account: &'a Account, slot: Slot, index: u64) -> Got<'a, P, Args> {
        loop {
            let available = account.watched(async || self.pool.available().await);
            match account.worker.while_wanted(slot, available).await {
                Some(Ok(())) => {}
                None => return Got::NoneFree,
                Some(Err(payload)) => {
                    report_pool_panic(account, index, &*payload);
                    return Got::Failed;
                }
            }
            match self.checkout(account, index).await {
                Got::NoneFree => {}
                got => return got,
            }
        }
    }

    /// Asks the pool; what it fails with, or panics with, is reported.
    async fn checkout<'a>(&'a self, account: &'a Account, index: u64) -> Got<'a, P, Args> {
        let env = account.worker.env();
        let answer = account.watched(async || self.pool.checkout(&env.shared.config).await).await;
        match answer {
            Ok(Ok(Checkout::Item { id, item })) => Got::Item(Lease { pool: &self.pool, id, account, index }, item),
            Ok(Ok(Checkout::NoneFree)) => Got::NoneFree,
            Ok(Ok(Checkout::Exhausted)) => Got::Exhausted,
            Ok(Err(mut error)) => {
                context(account, index, None).scope().report(&mut error);
                Got::Failed
            }
            Err(payload) => {
                report_pool_panic(account, index, &*payload);
                Got::Failed
            }
        }
    }

    /// Calls the journey, and accounts for what becomes of it.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` keeps its arguments twice, see above")]
    fn visit<'a>(
        &'a self,
        account: &'a Account,
        lease: Lease<'a, P>,
        args: Args,
        due: Instant,
        started: Instant,
    ) -> impl Future<Output = ()> + 'a {
        async move {
            let has_data = std::any::TypeId::of::<P>() != std::any::TypeId::of::<crate::NoData>();
            let mut ctx = context(account, lease.index, has_data.then_some(lease.id));
            let visit = Rc::clone(ctx.visit());
            let closing = CloseVisit(&visit);
            let mut root = Transaction::root(&mut ctx, started);
            let timeout = account.worker.timeout(account.row());
            let called = match account.call(|| catch_unwind(|| self.journey.call(root.context(), args))) {
                Ok(journey) => {
                    let mut journey = pin!(AssertUnwindSafe(journey).catch_unwind());
                    let mut over = timeout.map(|timeout| Box::pin(tokio::time::sleep(timeout)));
                    poll_fn(|cx| match account.call(|| journey.as_mut().poll(cx)) {
                        Poll::Ready(called) => Poll::Ready(Some(called)),
                        Poll::Pending => match &mut over {
                            Some(over) => over.as_mut().poll(cx).map(|()| None),
                            None => Poll::Pending,
                        },
                    })
                    .await
                }
                Err(payload) => Some(Err(payload)),
            };
            let outcome = match called {
                Some(Ok(result)) => match root.end(result) {
                    Ok(()) => Outcome::Completed,
                    Err(_) => Outcome::Failed,
                },
                Some(Err(payload)) => {
                    let scope = root.context().scope();
                    scope.report_panic(&panics::text(&*payload), panics::take_last().as_ref());
                    root.end_panicked();
                    Outcome::Failed
                }
                None => {
                    let mut error = Error::from(TimedOut(timeout.unwrap_or_default()));
                    root.context().scope().report_timeout(&mut error);
                    // It has been reported.
                    let _ = root.end(Err::<(), _>(error));
                    Outcome::Failed
                }
            };
            let ended = Instant::now();
            let paused = ctx.paused();
            drop(closing);
            drop(lease);
            let (response, service) = (ended - due, ended - started);
            account.ended(ended, outcome, response.saturating_sub(paused), service.saturating_sub(paused));
        }
    }
}

/// How long a slot waits after its pool has failed.
const FAILED_POOL_PAUSE: Duration = Duration::from_millis(100);

/// What the row's timeout makes of a journey.
#[derive(Debug, thiserror::Error)]
#[error("the journey ran for longer than its row's timeout of {0:?}")]
struct TimedOut(Duration);

fn context(account: &Account, index: u64, data_id: Option<u64>) -> Context {
    let env = account.worker.env();
    let ids = VisitIds { row: account.row, context_id: env.next_context_id(), data_id, start_index: index };
    Context::new(Rc::clone(env), ids, Names::root(account.row))
}

/// Reports a panic of a row's pool like one of its journey.
fn report_pool_panic(account: &Account, index: u64, payload: &(dyn Any + Send)) {
    let scope = context(account, index, None).scope();
    scope.report_panic(&panics::text(payload), panics::take_last().as_ref());
}

fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

/// As [`std::panic::catch_unwind`], for code whose state nobody looks at after a panic.
fn catch_unwind<T>(code: impl FnOnce() -> T) -> std::thread::Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(code))
}

/// Calls user code so that its panics are caught, and kept rather than printed: also one before it gives its future.
pub(crate) async fn watched<T>(env: &Env, row: u32, code: impl AsyncFnOnce() -> T) -> std::thread::Result<T> {
    let mut future = pin!(AssertUnwindSafe(async move { code().await }).catch_unwind());
    poll_fn(move |cx| env.call(row, || future.as_mut().poll(cx))).await
}

enum Got<'a, P: DataPool, Args> {
    Item(Lease<'a, P>, Args),
    NoneFree,
    Exhausted,
    Failed,
}

/// An item that is out; it is checked in when this is dropped, by whatever way.
struct Lease<'a, P: DataPool> {
    pool: &'a P,
    id: u64,
    account: &'a Account,
    index: u64,
}

impl<P: DataPool> Drop for Lease<'_, P> {
    fn drop(&mut self) {
        // A panic in a user's pool while another unwinds would abort the process.
        if let Err(payload) = catch_unwind(|| self.account.call(|| self.pool.checkin(self.id))) {
            report_pool_panic(self.account, self.index, &*payload);
        }
    }
}

/// Closes what extensions attached when the journey has ended, by whatever way.
struct CloseVisit<'a>(&'a Rc<crate::context::Visit>);

impl Drop for CloseVisit<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct SlotGuard {
    worker: Rc<WorkerState>,
    slot: Slot,
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.worker.slot_ended(self.slot);
    }
}

/// A start that must be accounted for once, whatever becomes of it.
struct Account {
    worker: Rc<WorkerState>,
    row: u32,
    task: Task,
    stands: Cell<Stands>,
}

/// What carries a start out.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// A task of its own (open model).
    Own(u32),
    /// A slot, which carries out others as well (closed model).
    Slot(Slot),
}

/// How a start stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// It waits for data.
    Planned,
    /// Its journey runs.
    Started,
    /// It is accounted for.
    Settled,
}

impl Account {
    fn planned(worker: &Rc<WorkerState>, row: RowId, task: Task) -> Self {
        Self { worker: Rc::clone(worker), row: row.0, task, stands: Cell::new(Stands::Planned) }
    }

    fn row(&self) -> RowId {
        RowId(self.row)
    }

    /// Calls user code of this row.
    fn call<T>(&self, code: impl FnOnce() -> T) -> T {
        self.worker.env().call(self.row, code)
    }

    async fn watched<T>(&self, code: impl AsyncFnOnce() -> T) -> std::thread::Result<T> {
        watched(self.worker.env(), self.row, code).await
    }

    fn count(&self, count: impl FnOnce(&mut RowStats)) {
        count(&mut self.worker.env().stats.borrow_mut().rows[self.row as usize]);
    }

    fn starved(&self) {
        self.stands.set(Stands::Settled);
        self.count(|row| row.starved += 1);
    }

    fn not_planned(&self) {
        self.stands.set(Stands::Settled);
        self.worker.not_planned(self.row());
    }

    /// The row's data ran out before this start.
    fn exhausted(&self) {
        self.not_planned();
        self.worker.exhausted(self.row());
    }

    fn started(&self, at: Instant, delay: StartDelay) {
        self.stands.set(Stands::Started);
        let env = self.worker.env();
        env.stats.borrow_mut().started(env.nanos(at), self.row, delay);
    }

    fn ended(&self, at: Instant, outcome: Outcome, response: Duration, service: Duration) {
        self.stands.set(Stands::Settled);
        let env = self.worker.env();
        env.stats.borrow_mut().ended(env.nanos(at), self.row, outcome, response, service);
    }

    fn cancelled(&self) {
        self.ended(Instant::now(), Outcome::Cancelled, Duration::ZERO, Duration::ZERO);
        if self.is_cut() {
            self.count(|row| row.ramped_down += 1);
        }
    }

    /// Whether it was cancelled since its slot is one too many.
    fn is_cut(&self) -> bool {
        matches!(self.task, Task::Slot(slot) if self.worker.is_cut(slot))
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        match self.stands.get() {
            // Cancelled, or stopped, while it waited for data; what nobody wants any more is not planned.
            Stands::Planned if self.is_cut() => self.not_planned(),
            Stands::Planned => self.count(|row| row.unstarted += 1),
            Stands::Started => self.cancelled(),
            Stands::Settled => {}
        }
        if let Task::Own(task) = self.task {
            self.worker.task_ended(self.row(), task);
        }
    }
}
