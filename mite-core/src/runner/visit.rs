//! One run of a journey, from its start to its account: data is checked out, the journey is called, and whatever happens is
//! counted once.

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
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
use crate::stats::{Outcome, Part, RowStats, StartDelay};
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
    pub(crate) task: usize,
}

/// One slot of the closed model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) row: RowId,
    /// Its number on this worker: it ends when the row wants no more than this many.
    pub(crate) number: u64,
    pub(crate) task: usize,
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
        let account = Account::planned(worker, start.row, worker.env().part(start.due), Some(start.task));
        tokio::task::spawn_local(async move { self.run_start(account, start).await }).abort_handle()
    }

    fn spawn_slot(self: Rc<Self>, worker: &Rc<WorkerState>, slot: Slot) -> AbortHandle {
        let guard = SlotGuard { worker: Rc::clone(worker), slot };
        tokio::task::spawn_local(async move { self.run_slot(&guard.worker, slot).await }).abort_handle()
    }
}

impl<J, P, Args> TypedRow<J, P, Args>
where
    J: Journey<Args>,
    P: DataPool<Item = Args>,
    Args: 'static,
{
    async fn run_start(&self, account: Account, start: Start) {
        let worker = &Rc::clone(&account.worker);
        let env = worker.env();
        let polled = env.now();
        match self.checkout(env, start.row, account.part, start.index).await {
            Got::Item(lease, args) => {
                let started = Instant::now();
                let delay = StartDelay {
                    generator_lag: nanos(polled.saturating_sub(start.room)),
                    queue_wait: nanos(start.room.saturating_sub(start.due)),
                    data_wait: nanos(env.nanos(started).saturating_sub(polled)),
                };
                let due = env.instant(start.due);
                self.run(worker, account, lease, args, start.index, due, started, delay).await;
            }
            Got::NoneFree | Got::Failed => account.starved(),
            Got::Exhausted => {
                account.never_planned();
                worker.exhausted(start.row);
            }
        }
    }

    async fn run_slot(&self, worker: &Rc<WorkerState>, slot: Slot) {
        let env = worker.env();
        let mut runs = 0;
        while worker.wants_slot(slot, runs) {
            runs += 1;
            // A journey that never waits must let the others run all the same.
            tokio::task::coop::consume_budget().await;
            let free = Instant::now();
            let part = env.part(env.nanos(free));
            let index = worker.next_closed_start(slot.row, part);
            let account = Account::planned(worker, slot.row, part, None);
            let got = loop {
                match self.checkout(env, slot.row, part, index).await {
                    Got::NoneFree => {
                        let available = watched(async || self.pool.available().await);
                        match worker.or_stopped(slot.row, available).await {
                            Some(Ok(())) => {}
                            None => break Got::NoneFree,
                            Some(Err(payload)) => {
                                report_pool_panic(env, slot.row, part, index, &*payload);
                                break Got::Failed;
                            }
                        }
                    }
                    got => break got,
                }
            };
            match got {
                Got::Item(lease, args) => {
                    let started = Instant::now();
                    let delay = StartDelay { data_wait: started - free, ..StartDelay::default() };
                    self.run(worker, account, lease, args, index, free, started, delay).await;
                }
                // The row stopped before an item came back.
                Got::NoneFree => return,
                Got::Failed => {
                    account.starved();
                    // A pool that fails would otherwise be asked as fast as the machine can.
                    if worker.or_stopped(slot.row, tokio::time::sleep(Duration::from_millis(100))).await.is_none() {
                        return;
                    }
                }
                Got::Exhausted => {
                    account.never_planned();
                    worker.exhausted(slot.row);
                    return;
                }
            }
        }
    }

    /// Asks the pool; what it fails with, or panics with, is reported.
    async fn checkout<'a>(&'a self, env: &'a Rc<Env>, row: RowId, part: Part, index: u64) -> Got<'a, P, Args> {
        let answer = watched(async || self.pool.checkout(&env.shared.config).await).await;
        match answer {
            Ok(Ok(Checkout::Item { id, item })) => {
                Got::Item(Lease { pool: &self.pool, id, env, row, part, index }, item)
            }
            Ok(Ok(Checkout::NoneFree)) => Got::NoneFree,
            Ok(Ok(Checkout::Exhausted)) => Got::Exhausted,
            Ok(Err(mut error)) => {
                context(env, row, part, index, None).scope().report(&mut error);
                Got::Failed
            }
            Err(payload) => {
                report_pool_panic(env, row, part, index, &*payload);
                Got::Failed
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one start's facts, all of them needed")]
    async fn run(
        &self,
        worker: &Rc<WorkerState>,
        account: Account,
        lease: Lease<'_, P>,
        args: Args,
        index: u64,
        due: Instant,
        started: Instant,
        delay: StartDelay,
    ) {
        let env = worker.env();
        let (row, part) = (account.row, account.part);
        let data_id = (std::any::TypeId::of::<P>() != std::any::TypeId::of::<crate::NoData>()).then_some(lease.id);
        let mut running = account.started(started, delay);
        let mut ctx = context(env, row, part, index, data_id);
        let visit = Rc::clone(ctx.visit());
        let closing = CloseVisit(&visit);
        let mut root = Transaction::root(&mut ctx, started);
        let scope = root.context().scope();
        let called = watched(async || self.journey.call(root.context(), args).await);
        let called = match worker.timeout(row) {
            None => called.await,
            Some(timeout) => match tokio::time::timeout(timeout, called).await {
                Ok(called) => called,
                Err(elapsed) => {
                    let text = format!("the journey ran for longer than its row's timeout of {timeout:?}");
                    let mut error = Error::from(TimedOut(text, elapsed));
                    scope.report_timeout(&mut error);
                    Ok(Err(error))
                }
            },
        };
        let outcome = match called {
            Ok(result) => match root.end(result) {
                Ok(()) => Outcome::Completed,
                Err(_) => Outcome::Failed,
            },
            Err(payload) => {
                scope.report_panic(&panics::text(&*payload), panics::take_last().as_ref());
                root.end_panicked();
                Outcome::Failed
            }
        };
        let ended = Instant::now();
        let paused = ctx.paused();
        drop(closing);
        drop(lease);
        let (response, service) = (ended - due, ended - started);
        running.ended(ended, outcome, response.saturating_sub(paused), service.saturating_sub(paused));
    }
}

/// What the row's timeout makes of a journey.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct TimedOut(String, #[source] tokio::time::error::Elapsed);

fn context(env: &Rc<Env>, row: RowId, part: Part, index: u64, data_id: Option<u64>) -> Context {
    let ids = VisitIds { row: row.0, context_id: env.next_context_id(), data_id, start_index: index, part };
    Context::new(Rc::clone(env), ids, Names::root(row.0))
}

/// Reports a panic of a row's pool like one of its journey.
fn report_pool_panic(env: &Rc<Env>, row: RowId, part: Part, index: u64, payload: &(dyn std::any::Any + Send)) {
    let scope = context(env, row, part, index, None).scope();
    scope.report_panic(&panics::text(payload), panics::take_last().as_ref());
}

fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

/// Calls user code so that its panics are caught, and kept rather than printed: also one before it gives its future.
pub(crate) async fn watched<T>(code: impl AsyncFnOnce() -> T) -> std::thread::Result<T> {
    let mut future = std::pin::pin!(AssertUnwindSafe(async move { code().await }).catch_unwind());
    std::future::poll_fn(move |cx| panics::watched(|| future.as_mut().poll(cx))).await
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
    env: &'a Rc<Env>,
    row: RowId,
    part: Part,
    index: u64,
}

impl<P: DataPool> Drop for Lease<'_, P> {
    fn drop(&mut self) {
        // A panic in a user's pool while another unwinds would abort the process.
        let checkin = AssertUnwindSafe(|| panics::watched(|| self.pool.checkin(self.id)));
        if let Err(payload) = std::panic::catch_unwind(checkin) {
            report_pool_panic(self.env, self.row, self.part, self.index, &*payload);
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

/// A start that must be accounted for once: whatever becomes of it.
struct Account {
    worker: Rc<WorkerState>,
    row: RowId,
    part: Part,
    /// The start's task, when it has one of its own.
    task: Option<usize>,
    settled: Cell<bool>,
}

impl Account {
    fn planned(worker: &Rc<WorkerState>, row: RowId, part: Part, task: Option<usize>) -> Self {
        Self { worker: Rc::clone(worker), row, part, task, settled: Cell::new(false) }
    }

    fn count(&self, add: impl FnOnce(&mut RowStats)) {
        add(&mut self.worker.env().stats(self.part).rows[self.row.0 as usize]);
    }

    fn starved(self) {
        self.settled.set(true);
        self.count(|row| row.starved += 1);
    }

    fn never_planned(self) {
        self.settled.set(true);
        self.count(|row| row.not_planned += 1);
    }

    fn started(self, at: Instant, delay: StartDelay) -> Running {
        self.settled.set(true);
        self.worker.env().started(self.part, self.row.0, at, delay);
        Running { ended: false, account: self }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.settled.get() {
            // Cancelled, or stopped, while it waited for data.
            self.count(|row| row.unstarted += 1);
        }
        if let Some(task) = self.task {
            self.worker.task_ended(self.row, task);
        }
    }
}

/// A journey that is under way.
struct Running {
    account: Account,
    ended: bool,
}

impl Running {
    fn ended(&mut self, at: Instant, outcome: Outcome, response: Duration, service: Duration) {
        self.ended = true;
        let Account { worker, row, part, .. } = &self.account;
        worker.env().ended(*part, row.0, at, outcome, response, service);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.ended(Instant::now(), Outcome::Cancelled, Duration::ZERO, Duration::ZERO);
        }
    }
}
