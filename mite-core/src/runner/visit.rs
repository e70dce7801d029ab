//! One run of a journey, from its start to its account: data is checked out, the journey is called, and whatever happens is
//! counted once.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::carrier::Carrier;
use super::env::Env;
use super::protocol::RowId;
use super::state::{RowCopy, RowSpec, Slot, Start, Turn, WorkerRow, WorkerState};
use crate::context::{Transaction, VisitIds};
use crate::datapool::leases::{Leased, Leases};
use crate::datapool::{Checkout, DataPool, Numbered};
use crate::figures::{Outcome, RowStats, StartDelay};
use crate::journey::Journey;
use crate::names::Names;
use crate::panics;
use crate::part::Part;
use crate::{Context, Error, NoData, Result};

pub(crate) struct TypedRow<J, P, Args> {
    journey: J,
    pool: Arc<P>,
    /// Which of the pool's items this process has, where a cluster shares them out.
    leases: Arc<OnceLock<Arc<Leases>>>,
    args: PhantomData<fn() -> Args>,
}

impl<J, P, Args> TypedRow<J, P, Args> {
    pub(crate) fn new(journey: J, pool: P) -> Self {
        Self { journey, pool: Arc::new(pool), leases: Arc::default(), args: PhantomData }
    }
}

impl<J, P, Args> RowSpec for TypedRow<J, P, Args>
where
    J: Journey<Args>,
    P: DataPool<Item = Args>,
    Args: 'static,
{
    fn for_worker(&self) -> Box<dyn RowCopy> {
        Box::new(Self {
            journey: self.journey.clone(),
            pool: Arc::clone(&self.pool),
            leases: Arc::clone(&self.leases),
            args: PhantomData,
        })
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

    fn numbered(&self) -> Option<Numbered> {
        self.pool.numbered()
    }

    fn lease(&self, leases: Arc<Leases>) {
        // A row is given its leases once.
        let _ = self.leases.set(leases);
    }
}

impl<J, P, Args> RowCopy for TypedRow<J, P, Args>
where
    J: Journey<Args>,
    P: DataPool<Item = Args>,
    Args: 'static,
{
    fn into_rc(self: Box<Self>) -> Rc<dyn WorkerRow> {
        Rc::new(OnWorker { row: *self, idle: RefCell::default() })
    }
}

/// A row on its worker's thread, with the tasks of the open model that wait for another start.
struct OnWorker<J, P, Args> {
    row: TypedRow<J, P, Args>,
    idle: RefCell<Vec<Rc<Carrier<Made>>>>,
}

/// How many tasks of a row wait for another start at the most; the memory of others is given back. To have one woken takes half as
/// many instructions as to make one.
const MOST_IDLE: usize = 256;

/// A start that is made, with its [`Start`]'s times.
struct Made {
    account: Account,
    due: u64,
    room: u64,
}

impl<J, P, Args> WorkerRow for OnWorker<J, P, Args>
where
    J: Journey<Args>,
    P: DataPool<Item = Args>,
    Args: 'static,
{
    fn start(self: Rc<Self>, worker: &Rc<WorkerState>, start: Start) -> Option<AbortHandle> {
        let Start { due, room, task, .. } = start;
        // Made here and not in the task: one that is cancelled before its first poll is accounted for too.
        let start = Made { account: Account::of_start(worker, &start), due, room };
        if let Some(idle) = self.idle.borrow_mut().pop() {
            idle.hand(start);
            return None;
        }
        let carrier = Carrier::with(start);
        let guard = TaskGuard { worker: Rc::clone(worker), task };
        let task = async move {
            let _guard = guard;
            loop {
                let start = carrier.next().await;
                self.row.carry_out(&start).await;
                drop(start);
                let mut idle = self.idle.borrow_mut();
                if idle.len() >= MOST_IDLE {
                    break;
                }
                idle.push(Rc::clone(&carrier));
            }
        };
        Some(tokio::task::spawn_local(task).abort_handle())
    }

    fn spawn_slot(self: Rc<Self>, worker: &Rc<WorkerState>, slot: Slot) -> AbortHandle {
        let guard = SlotGuard { worker: Rc::clone(worker), slot };
        let task = async move {
            let mut runs: u32 = 0;
            while guard.worker.wants_slot(guard.slot, runs.into()) {
                runs = runs.saturating_add(1);
                // A journey that never waits must let the others run all the same.
                tokio::task::coop::consume_budget().await;
                let turn = match guard.worker.turns(guard.slot) {
                    None => None,
                    Some(turns) => match Box::pin(guard.worker.turn(guard.slot, turns)).await {
                        None => continue,
                        turn => turn,
                    },
                };
                let free = guard.worker.env().now();
                let account = Account::of_slot(&guard, free, turn.as_ref());
                let Some(item) = self.row.item_for_slot(&account).await else { continue };
                let started = TypedRow::<J, P, Args>::item_at(&account, free);
                let data_wait = started.saturating_sub(free);
                account.started(started, StartDelay { data_wait, ..StartDelay::default() });
                self.row.visit(item, free, started).await;
            }
        };
        tokio::task::spawn_local(task).abort_handle()
    }
}

/// A million of these may be alive at once, so that their size counts: what is large and rare is boxed, and little is handed on
/// by value, since an `async` block keeps its captures, and a `match` what it matches on, beside the locals that they are moved
/// to.
impl<J, P, Args> TypedRow<J, P, Args>
where
    J: Journey<Args>,
    P: DataPool<Item = Args>,
    Args: 'static,
{
    /// Carries out a start of the open model.
    async fn carry_out(&self, Made { account, due, room }: &Made) {
        account.has_turn();
        let polled = account.env().now();
        let item = match self.checkout(account).await {
            Ok(item) => item,
            Err(NoItem::NoneFree | NoItem::Failed) => return account.starved(),
            Err(NoItem::Exhausted) => return account.exhausted(),
            Err(NoItem::WithOthers) => return account.not_planned(),
        };
        let started = Self::item_at(account, polled);
        let delay = StartDelay {
            generator_lag: polled.saturating_sub(*room),
            queue_wait: room.saturating_sub(*due),
            data_wait: started.saturating_sub(polled),
        };
        account.started(started, delay);
        self.visit(item, *due, started).await;
    }

    /// The item for a start of a slot, which waits until there is one; or `None`, when there is none for this start and what
    /// became of it is accounted for.
    async fn item_for_slot<'a>(&'a self, account: &'a Account) -> Option<Item<'a, P, Args>> {
        match self.checkout(account).await {
            Ok(item) => Some(item),
            Err(why) => Box::pin(self.item_to_come(account, why)).await,
        }
    }

    async fn item_to_come<'a>(&'a self, account: &'a Account, mut why: NoItem) -> Option<Item<'a, P, Args>> {
        loop {
            match why {
                NoItem::NoneFree | NoItem::WithOthers => {
                    let available = account.watched(async || match self.leases.get() {
                        Some(leases) => leases.available().await,
                        None => self.pool.available().await,
                    });
                    match account.worker.while_wanted(account.slot(), available).await {
                        Some(Ok(())) => {}
                        // Where the row goes on with fewer slots, the start is not planned any more.
                        None if !account.env().should_stop(account.row) => {
                            account.not_planned();
                            return None;
                        }
                        None => return None,
                        Some(Err(payload)) => {
                            report_pool_panic(account, &*payload);
                            why = NoItem::Failed;
                            continue;
                        }
                    }
                }
                NoItem::Failed => {
                    account.starved();
                    // A pool that fails would otherwise be asked as fast as the machine can.
                    account.worker.while_wanted(account.slot(), tokio::time::sleep(FAILED_POOL_PAUSE)).await;
                    return None;
                }
                NoItem::Exhausted => {
                    account.exhausted();
                    return None;
                }
            }
            match self.checkout(account).await {
                Ok(item) => return Some(item),
                Err(still) => why = still,
            }
        }
    }

    /// Asks the pool; what it fails with, or panics with, is reported.
    async fn checkout<'a>(&'a self, account: &'a Account) -> std::result::Result<Item<'a, P, Args>, NoItem> {
        if let Some(leases) = self.leases.get() {
            return Box::pin(self.checkout_leased(account, leases)).await;
        }
        let checkout = async || self.pool.checkout(&account.env().shared.config).await;
        // Without data there is nothing that could panic or take its time.
        let answer = if has_data::<P>() { account.watched(checkout).await } else { Ok(checkout().await) };
        self.handed_out(account, answer, None)
    }

    /// As [`Self::checkout`], of the items that this process has leases for.
    async fn checkout_leased<'a>(
        &'a self,
        account: &'a Account,
        leases: &'a Leases,
    ) -> std::result::Result<Item<'a, P, Args>, NoItem> {
        let mut leased = None;
        let mut number = || {
            leased = leases.take();
            leased.map(|leased: Leased| leased.number)
        };
        let answer = account.watched(async || self.pool.checkout_numbered(&mut number)).await;
        match (&answer, leased) {
            (Ok(Ok(Checkout::Item { .. })), _) => {}
            (Ok(Ok(Checkout::Exhausted)), Some(leased)) => leases.found_end(leased.number),
            // It comes back where its item could not be had.
            (_, Some(leased)) => leases.give_back(leased),
            (Ok(Ok(Checkout::NoneFree)), None) if leases.is_exhausted() => return Err(NoItem::Exhausted),
            (Ok(Ok(Checkout::NoneFree)), None) if leases.rest_is_with_others() => return Err(NoItem::WithOthers),
            (_, None) => {}
        }
        self.handed_out(account, answer, leased.map(|leased| (leases, leased)))
    }

    /// What a pool has answered; what it has failed with, or panicked with, is reported.
    fn handed_out<'a>(
        &'a self,
        account: &'a Account,
        answer: std::thread::Result<Result<Checkout<Args>>>,
        leased: Option<(&'a Leases, Leased)>,
    ) -> std::result::Result<Item<'a, P, Args>, NoItem> {
        match answer {
            Ok(Ok(Checkout::Item { id, item: args })) => {
                Ok(Item { lease: Lease { pool: &self.pool, id, account, leased }, args })
            }
            Ok(Ok(Checkout::NoneFree)) => Err(NoItem::NoneFree),
            Ok(Ok(Checkout::Exhausted)) => Err(NoItem::Exhausted),
            Ok(Err(mut error)) => {
                context(account, None).scope().report(&mut error);
                Err(NoItem::Failed)
            }
            Err(payload) => {
                report_pool_panic(account, &*payload);
                Err(NoItem::Failed)
            }
        }
    }

    /// When a start has its item, which it asked for at `since`, in nanoseconds since the start of the run.
    fn item_at(account: &Account, since: u64) -> u64 {
        // Each reading of the clock costs a start as much as counting it does.
        if has_data::<P>() { account.env().now() } else { since }
    }

    /// Calls the journey and accounts for what becomes of it. It was due, and has been started, so many nanoseconds after the
    /// start of the run.
    fn visit<'a>(&'a self, item: Item<'a, P, Args>, due: u64, started: u64) -> impl Future<Output = ()> + 'a {
        let Item { lease, args } = item;
        let mut ctx = OwnContext(context(lease.account, has_data::<P>().then_some(lease.id)));
        async move {
            let mut root = Transaction::root(&mut ctx.0, lease.account.env().moment(started));
            let is_void = Cell::new(false);
            let called = {
                let mut journey = pin!(async { self.journey.call(root.context(), args).await });
                let ended = poll_fn(|cx| {
                    if lease.is_void() {
                        is_void.set(true);
                        return Poll::Ready(Ok(Err(Error::msg("others may have its data"))));
                    }
                    lease.account.call(|| panics::caught(|| journey.as_mut().poll(cx)))
                });
                match lease.account.timeout() {
                    None => Some(ended.await),
                    Some(timeout) => Box::pin(tokio::time::timeout(timeout, ended)).await.ok(),
                }
            };
            // Its account says that it was cancelled.
            if is_void.get() {
                return;
            }
            let account = lease.account;
            let ended = account.env().now();
            let outcome = match called {
                Some(Ok(result)) => match root.end_at(account.env().moment(ended), result) {
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
                    let mut error = Error::from(TimedOut(account.timeout().unwrap_or_default()));
                    root.context().scope().report_timeout(&mut error);
                    // It has been reported.
                    let _ = root.end(Err::<(), _>(error));
                    Outcome::Failed
                }
            };
            let paused = ctx.0.paused();
            drop(ctx);
            drop(lease);
            let [response, service] = [due, started].map(|since| ended.saturating_sub(since).saturating_sub(paused));
            account.ended(ended, outcome, response, service);
            let outbox = &account.env().outbox;
            if outbox.is_behind() {
                // Boxed, since it is rare. The run goes on without a sink that has failed, or is about to end.
                let _ = Box::pin(outbox.room(u64::MAX)).await;
            }
        }
    }
}

/// How long a slot waits after its pool has failed.
const FAILED_POOL_PAUSE: Duration = Duration::from_millis(100);

/// What the row's timeout makes of a journey.
#[derive(Debug, thiserror::Error)]
#[error("the journey ran for longer than its row's timeout of {0:?}")]
struct TimedOut(Duration);

fn context(account: &Account, data_id: Option<u64>) -> Context {
    let env = account.env();
    let Account { row, part, index, .. } = *account;
    let ids = VisitIds { row, part, context_id: env.next_context_id(), data_id, start_index: index };
    Context::new(Rc::clone(env), ids, Names::root(account.row))
}

/// Reports a panic of a row's pool like one of its journey.
fn report_pool_panic(account: &Account, payload: &(dyn Any + Send)) {
    let scope = context(account, None).scope();
    scope.report_panic(&panics::text(payload), panics::take_last().as_ref());
}

/// Whether the pool is one that has items.
fn has_data<P: DataPool>() -> bool {
    TypeId::of::<P>() != TypeId::of::<NoData>()
}

/// An item of the pool, and the arguments that it is.
struct Item<'a, P: DataPool, Args> {
    lease: Lease<'a, P>,
    args: Args,
}

/// Why there is no item.
enum NoItem {
    NoneFree,
    Exhausted,
    /// The rest is with other processes: there are more if one of those is lost.
    WithOthers,
    Failed,
}

/// An item that is out; it is checked in when this is dropped, by whatever way.
struct Lease<'a, P: DataPool> {
    pool: &'a P,
    id: u64,
    account: &'a Account,
    /// Where it is a lease of a cluster's, in place of the pool's own checkout.
    leased: Option<(&'a Leases, Leased)>,
}

impl<P: DataPool> Lease<'_, P> {
    /// Whether another process may have the item by now.
    fn is_void(&self) -> bool {
        self.leased.is_some_and(|(leases, leased)| leases.is_void(leased))
    }
}

impl<P: DataPool> Drop for Lease<'_, P> {
    fn drop(&mut self) {
        if let Some((leases, leased)) = self.leased {
            return leases.give_back(leased);
        }
        if !has_data::<P>() {
            return;
        }
        // A panic in a user's pool while another unwinds would abort the process.
        let checkin = AssertUnwindSafe(|| self.account.call(|| self.pool.checkin(self.id)));
        if let Err(payload) = std::panic::catch_unwind(checkin) {
            report_pool_panic(self.account, &*payload);
        }
    }
}

/// The journey's own context: what extensions attached is closed with it, by whatever way.
struct OwnContext(Context);

impl Drop for OwnContext {
    fn drop(&mut self) {
        self.0.visit().close();
    }
}

/// A task of the open model.
struct TaskGuard {
    worker: Rc<WorkerState>,
    task: u32,
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.worker.task_ended(self.task);
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
    /// The number of the start.
    index: u64,
    row: u32,
    part: Part,
    /// In the closed model the slot that this is, and its task.
    slot: u32,
    task: u32,
    stands: Cell<Stands>,
}

/// The task is the start's own: it has no slot.
const NO_SLOT: u32 = u32::MAX;

/// How a start stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Its task was not polled yet.
    Spawned,
    /// It waits for data.
    Planned,
    /// Its journey runs.
    Started,
    /// It is accounted for.
    Settled,
}

impl Account {
    fn of_start(worker: &Rc<WorkerState>, start: &Start) -> Self {
        let Start { row, index, due, .. } = *start;
        let (part, stands) = (worker.env().part(due), Cell::new(Stands::Spawned));
        Self { worker: Rc::clone(worker), index, row: row.0, part, slot: NO_SLOT, task: 0, stands }
    }

    /// The slot was free so many nanoseconds after the start of the run.
    fn of_slot(guard: &SlotGuard, free: u64, turn: Option<&Turn>) -> Self {
        let Slot { row, number, task } = guard.slot;
        let (worker, stands) = (Rc::clone(&guard.worker), Cell::new(Stands::Planned));
        let part = worker.env().part(free);
        Self {
            index: worker.next_closed_start(row, part, free, turn),
            worker,
            row: row.0,
            part,
            task,
            slot: number,
            stands,
        }
    }

    fn row(&self) -> RowId {
        RowId(self.row)
    }

    /// Its task is polled for the first time.
    fn has_turn(&self) {
        self.stands.set(Stands::Planned);
        self.worker.had_turn();
    }

    /// Of the closed model.
    fn slot(&self) -> Slot {
        Slot { row: self.row(), number: self.slot, task: self.task }
    }

    fn env(&self) -> &Rc<Env> {
        self.worker.env()
    }

    fn timeout(&self) -> Option<Duration> {
        self.worker.timeout(self.row())
    }

    /// Calls user code of this row.
    fn call<T>(&self, code: impl FnOnce() -> T) -> T {
        self.env().call(self.row, code)
    }

    async fn watched<T>(&self, code: impl AsyncFnOnce() -> T) -> std::thread::Result<T> {
        self.env().watched(self.row, code).await
    }

    fn count(&self, count: impl FnOnce(&mut RowStats)) {
        count(&mut self.env().stats(self.part).rows[self.row as usize]);
    }

    fn starved(&self) {
        self.stands.set(Stands::Settled);
        self.count(|row| row.starved += 1);
    }

    fn not_planned(&self) {
        self.stands.set(Stands::Settled);
        self.count(|row| row.not_planned += 1);
    }

    /// The row's data ran out before this start.
    fn exhausted(&self) {
        self.not_planned();
        self.worker.exhausted(self.row());
    }

    /// Its journey starts, so many nanoseconds after the start of the run.
    fn started(&self, at: u64, delay: StartDelay) {
        self.stands.set(Stands::Started);
        self.env().started(self.part, self.row, at, delay);
    }

    fn ended(&self, at: u64, outcome: Outcome, response: u64, service: u64) {
        self.stands.set(Stands::Settled);
        self.env().ended(self.part, self.row, at, outcome, response, service);
    }

    fn cancelled(&self) {
        self.ended(self.env().now(), Outcome::Cancelled, 0, 0);
        if self.is_cut() {
            self.count(|row| row.ramped_down += 1);
        }
    }

    /// Whether it was cancelled since its slot is one too many.
    fn is_cut(&self) -> bool {
        self.slot != NO_SLOT && self.worker.is_cut(self.slot())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.stands.get() == Stands::Spawned {
            self.has_turn();
        }
        match self.stands.get() {
            // Cancelled, or stopped, while it waited for data; what nobody wants any more is not planned.
            Stands::Planned if self.is_cut() => self.not_planned(),
            Stands::Planned | Stands::Spawned => self.count(|row| row.unstarted += 1),
            Stands::Started => self.cancelled(),
            Stands::Settled => {}
        }
        if self.slot == NO_SLOT {
            self.worker.start_ended(self.row());
        }
    }
}
