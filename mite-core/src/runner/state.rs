//! A worker's rows and tasks: what is due is started here, and what becomes of it is settled.
//!
//! What is due when comes from [`Schedule`]; what a start does is the matter of [`visit`](super::visit).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use super::env::{Env, RunFacts};
use super::options::{MAX_RUNNING, Overload, RowOptions};
use super::permit::Leave;
use super::protocol::{Command, Event, RowId};
use super::room::Room;
use super::slots::Slots;
use super::watch::Calling;
use crate::Result;
use crate::datapool::Numbered;
use crate::datapool::leases::{Leased, Leases};
use crate::figures::RowStats;
use crate::part::Part;
use crate::schedule::{Cursor, Schedule, Stripe};
use crate::sink::outbox::Outbox;
use crate::sink::queue::SinkQueue;
use crate::volume::{Segment, Unit};

/// A row's journey and pool, as the scenario holds them: of any types.
pub(crate) trait RowSpec: Send {
    /// A copy for one worker's thread.
    fn for_worker(&self) -> Box<dyn RowCopy>;
    fn check(&self) -> Result;
    fn ends(&self) -> bool;
    fn left(&self) -> Option<u64>;
    /// How its pool is shared out in a cluster.
    fn numbered(&self) -> Option<Numbered>;
    /// From now on its pool's items are those that this process has leases for.
    fn lease(&self, leases: Arc<Leases>);
}

/// A row's journey and pool on their way to a worker's thread.
pub(crate) trait RowCopy: Send {
    fn into_rc(self: Box<Self>) -> Rc<dyn WorkerRow>;
}

/// A row's journey and pool on a worker's thread.
pub(crate) trait WorkerRow {
    /// Starts one run of the journey (open model): the new task, where no idle one has taken it.
    fn start(self: Rc<Self>, worker: &Rc<WorkerState>, start: Start) -> Option<AbortHandle>;
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
    /// The number of its task, where it gets one of its own.
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

/// One of the starts of the closed model that all processes share out: it may be made.
pub(crate) struct Turn(Box<(Arc<Leases>, Leased)>);

impl Drop for Turn {
    fn drop(&mut self) {
        let (leases, leased) = &*self.0;
        leases.give_back(*leased);
    }
}

/// What a worker is made of.
pub(crate) struct WorkerPlan {
    pub(crate) number: u32,
    pub(crate) facts: Arc<RunFacts>,
    pub(crate) stripe: Stripe,
    pub(crate) rows: Vec<WorkerRowPlan>,
    /// How many journeys of all rows together may run at once in the open model, in all processes.
    pub(crate) max_running: Option<u64>,
    pub(crate) calling: Arc<Calling>,
    pub(crate) queues: Vec<SinkQueue>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
}

/// One row as a worker gets it.
pub(crate) struct WorkerRowPlan {
    pub(crate) spec: Box<dyn RowCopy>,
    /// What is known from the start, cut where the run is.
    pub(crate) schedule: Schedule,
    /// How often each slot of the closed model runs its journey.
    pub(crate) iterations_each: Option<u64>,
    /// The starts of the closed model that may be made, where all processes share them out by their number.
    pub(crate) turns: Option<Arc<Leases>>,
    pub(crate) unit: Unit,
    /// Whether there may be more.
    pub(crate) complete: bool,
    pub(crate) options: RowOptions,
}

/// How many starts are made before their journeys get a turn.
const BATCH: usize = 128;
/// How long after a row's end starts that were due before it are still made, when mite was late.
const CATCH_UP: u64 = 1_000_000_000;
/// How often a worker without a permit looks whether it has one again.
const FENCED_LOOK: u64 = 10_000_000;

/// One row on this worker.
struct Row {
    id: RowId,
    spec: Rc<dyn WorkerRow>,
    options: RowOptions,
    plan: RefCell<Plan>,
    /// For journeys of the open model that run, or wait for data.
    room: Room,
    /// Of the closed model.
    slots: RefCell<Slots>,
    /// How often each slot runs its journey, and how many have done so.
    iterations_each: Option<u64>,
    spent_slots: Cell<u64>,
    turns: Option<Arc<Leases>>,
    closed_starts: Cell<u64>,
}

struct Plan {
    schedule: Schedule,
    unit: Unit,
    complete: bool,
    cursor: Cursor,
    ended: Option<Ended>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The plan was carried out, up to its end or its cut.
    ByPlan,
    /// The data ran out: what was not started by then is not planned.
    ByData,
}

/// What a look at all rows has found.
pub(super) struct Look {
    /// More is due now than was started.
    pub(super) more: bool,
    /// Starts of the open model were made.
    started: bool,
    /// The next time, in nanoseconds since the start of the run, at which there is something to do.
    next: Option<u64>,
}

/// A worker's rows and tasks, as its journeys see them.
pub(crate) struct WorkerState {
    env: Rc<Env>,
    pub(super) number: u32,
    rows: Vec<Row>,
    /// Those of the open model wait for another start once they have carried out one.
    tasks: RefCell<Slab<AbortHandle>>,
    /// For journeys of the open model, and slots of the closed one.
    room: Room,
    /// From when on this worker's part of all room is another one, in nanoseconds since the start of the run.
    rooms_until: Cell<u64>,
    /// Wakes the dispatcher when room was made that somebody waits for, or the last journey has ended.
    pub(super) wake: Notify,
    waiting_for_room: Cell<bool>,
    /// Starts of the open model whose journeys have not had their first turn: no more are made than can be.
    without_turn: Cell<usize>,
    /// All rows have ended, and the last journey is waited for.
    pub(super) waiting_for_end: Cell<bool>,
    /// The controller has nothing more to say.
    pub(super) exiting: Cell<bool>,
    /// The number of the latest list of members that it knows.
    epoch: Cell<u64>,
    /// Its permit has expired, and what was due meanwhile is not accounted for yet.
    fenced: Cell<bool>,
    /// How often the permit had expired when this was last looked at.
    lapses: Cell<u64>,
    /// What is due before this is not started any more, in nanoseconds since the start of the run: the permit had expired. A
    /// closure's plan may be told later than that.
    fenced_until: Cell<u64>,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

impl fmt::Debug for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerState").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What journeys and slots ask of their worker.
impl WorkerState {
    pub(crate) fn env(&self) -> &Rc<Env> {
        &self.env
    }

    fn row(&self, row: RowId) -> &Row {
        &self.rows[row.0 as usize - 1]
    }

    pub(crate) fn timeout(&self, row: RowId) -> Option<Duration> {
        self.row(row).options.timeout
    }

    /// Whether a slot that has run its journey so often should run it once more.
    pub(crate) fn wants_slot(&self, slot: Slot, runs: u64) -> bool {
        let row = self.row(slot.row);
        if !self.is_wanted(slot) {
            return false;
        }
        if row.iterations_each.is_some_and(|each| runs >= each) {
            row.slots.borrow_mut().spent(slot.number);
            row.spent_slots.set(row.spent_slots.get() + 1);
            if row.spent_slots.get() >= self.peak_slots(row) {
                self.end_by_plan(row);
            }
            return false;
        }
        if row.turns.is_none() && self.closed_index(row.closed_starts.get()) >= row.plan.borrow().schedule.limit() {
            self.end_by_plan(row);
            return false;
        }
        true
    }

    /// How many slots the row has at the most, as this worker's part is now.
    fn peak_slots(&self, row: &Row) -> u64 {
        let Plan { cursor, schedule, .. } = &*row.plan.borrow();
        cursor.running(self.env.now(), schedule.most_running())
    }

    /// Where all processes share out the starts of a slot's row.
    pub(crate) fn turns(&self, slot: Slot) -> Option<&Arc<Leases>> {
        self.row(slot.row).turns.as_ref()
    }

    /// A start that a slot may make, of those that are shared out; `None` where the slot is not wanted any more, or there are no more.
    pub(crate) async fn turn(&self, slot: Slot, turns: &Arc<Leases>) -> Option<Turn> {
        loop {
            if let Some(turn) = turns.take() {
                return Some(Turn(Box::new((Arc::clone(turns), turn))));
            }
            if turns.is_exhausted() {
                self.end_by_plan(self.row(slot.row));
                return None;
            }
            self.while_wanted(slot, turns.available()).await?;
        }
    }

    fn end_by_plan(&self, row: &Row) {
        let mut plan = row.plan.borrow_mut();
        if plan.ended.is_none() {
            plan.ended = Some(Ended::ByPlan);
            drop(plan);
            self.stop_row(row);
            self.wake.notify_one();
        }
    }

    /// Counts a start of the closed model, whose slot was free so many nanoseconds after the start of the run, and numbers it.
    pub(crate) fn next_closed_start(&self, row: RowId, part: Part, free: u64, turn: Option<&Turn>) -> u64 {
        let starts = &self.row(row).closed_starts;
        let own = starts.get();
        starts.set(own + 1);
        self.env.stats(part).rows[row.0 as usize].planned += 1;
        self.env.seconds.borrow_mut().planned(free, row.0);
        turn.map_or_else(|| self.closed_index(own), |turn| turn.0.1.number)
    }

    /// The number of a start of the closed model, of which each worker of each process has its own.
    fn closed_index(&self, own: u64) -> u64 {
        let facts = &self.env.shared;
        let in_process = own * u64::from(facts.workers) + u64::from(self.number);
        in_process * u64::from(facts.most_runners) + u64::from(facts.names.runner - 1)
    }

    fn stop_row(&self, row: &Row) {
        row.slots.borrow_mut().stop();
        self.env.stop_row(row.id.0);
    }

    /// Whether this slot is among those that the row wants.
    pub(crate) fn is_wanted(&self, slot: Slot) -> bool {
        self.row(slot.row).slots.borrow().wants(slot.number)
    }

    /// Whether this slot was cancelled because it was one too many for too long.
    pub(crate) fn is_cut(&self, slot: Slot) -> bool {
        self.row(slot.row).slots.borrow().is_cut(slot.number)
    }

    /// Awaits `future` unless the slot is no longer wanted before.
    pub(crate) async fn while_wanted<T>(&self, slot: Slot, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        while self.is_wanted(slot) {
            // This thread alone changes what is wanted, so that nothing is missed between the look and the wait.
            tokio::select! {
                // What is not wanted any more does not begin, even if it could at the same time.
                biased;
                // Another slot may be the one that is meant.
                () = self.env.fewer_wanted.notified() => {}
                value = &mut future => return Some(value),
            }
        }
        None
    }

    /// The row's data ran out.
    pub(crate) fn exhausted(&self, row: RowId) {
        if self.end_by_data(row) {
            // The controller is gone only when the run is over.
            let _ = self.events.send(Event::Exhausted(row));
        }
    }

    pub(super) fn end_by_data(&self, id: RowId) -> bool {
        let row = self.row(id);
        let mut plan = row.plan.borrow_mut();
        if plan.ended.is_some() {
            return false;
        }
        plan.ended = Some(Ended::ByData);
        self.stop_row(row);
        self.wake.notify_one();
        true
    }

    /// A journey of the open model has its first turn, or was cancelled before.
    pub(crate) fn had_turn(&self) {
        self.without_turn.set(self.without_turn.get() - 1);
    }

    /// A journey of the open model has ended, or will not be started.
    pub(crate) fn start_ended(&self, id: RowId) {
        let row = self.row(id);
        row.room.leave(|| self.env.now());
        self.made_room();
    }

    pub(crate) fn slot_ended(&self, slot: Slot) {
        let follow = self.row(slot.row).slots.borrow_mut().ended(slot.number);
        self.task_ended(slot.task);
        self.made_room();
        if follow {
            self.wake.notify_one();
        }
    }

    pub(crate) fn task_ended(&self, task: u32) {
        self.tasks.borrow_mut().try_remove(task as usize);
    }

    fn made_room(&self) {
        let left = self.room.leave(|| self.env.now());
        if self.waiting_for_room.get() || (self.waiting_for_end.get() && left == 0) {
            self.wake.notify_one();
        }
    }

    /// From `now` on this worker has its part of all room by the list of members that holds then.
    fn resize_rooms(&self, now: u64) {
        // All rows are shared out alike.
        let Some(first) = self.rows.first() else { return };
        let Plan { cursor, .. } = &*first.plan.borrow();
        for room in self.rows.iter().map(|row| &row.room).chain([&self.room]) {
            room.resize(now, |most| cursor.running(now, most));
        }
        self.rooms_until.set(cursor.next_change(now).unwrap_or(u64::MAX));
    }
}

/// What the dispatcher does.
impl WorkerState {
    pub(super) fn new(plan: WorkerPlan, outbox: Outbox) -> (Rc<Self>, mpsc::UnboundedReceiver<Command>) {
        let env = Env::new(plan.facts, outbox, plan.number, plan.calling);
        let stripe = plan.stripe;
        let rows = plan.rows.into_iter().enumerate().map(|(index, row)| Row {
            id: RowId(index as u32 + 1),
            spec: row.spec.into_rc(),
            options: row.options,
            plan: RefCell::new(Plan {
                schedule: row.schedule,
                unit: row.unit,
                complete: row.complete,
                cursor: Cursor::new(stripe.clone()),
                ended: None,
            }),
            room: row.options.max_running.map_or_else(|| Room::own(stripe.share(MAX_RUNNING)), Room::shared),
            slots: RefCell::new(Slots::new(row.options.ramp_down)),
            iterations_each: row.iterations_each,
            spent_slots: Cell::new(0),
            turns: row.turns,
            closed_starts: Cell::new(0),
        });
        let state = Self {
            env,
            number: plan.number,
            rows: rows.collect(),
            tasks: RefCell::default(),
            room: plan.max_running.map_or_else(Room::endless, Room::shared),
            rooms_until: Cell::new(0),
            wake: Notify::new(),
            waiting_for_room: Cell::new(false),
            without_turn: Cell::new(0),
            waiting_for_end: Cell::new(false),
            exiting: Cell::new(false),
            epoch: Cell::new(0),
            fenced: Cell::new(false),
            lapses: Cell::new(0),
            fenced_until: Cell::new(0),
            events: plan.events,
        };
        (Rc::new(state), plan.commands)
    }

    /// The run is about to begin: what the permit was before does not matter.
    pub(super) fn begin(&self) {
        self.lapses.set(self.env.shared.permit.lapses());
    }

    /// Starts what is due at `now`.
    pub(super) fn look(self: &Rc<Self>, now: u64) -> Look {
        let mut look = Look { more: false, started: false, next: None };
        self.waiting_for_room.set(false);
        let permit = &self.env.shared.permit;
        match permit.leave(self.epoch.get(), now) {
            Leave::Given => {
                let lapses = permit.lapses();
                if self.lapses.replace(lapses) != lapses || self.fenced.get() {
                    self.account_for_fenced(now);
                }
            }
            Leave::Behind => {
                look.more = true;
                return look;
            }
            Leave::Expired => {
                self.look_while_fenced(now, &mut look);
                return look;
            }
        }
        if now >= self.rooms_until.get() {
            self.resize_rooms(now);
        }
        if self.rooms_until.get() < u64::MAX {
            look.at(self.rooms_until.get());
        }
        let mut late = Vec::new();
        for row in &self.rows {
            let unit = row.plan.borrow().unit;
            match unit {
                Unit::Rate if !self.room.is_endless() => late.push((row.next_due(), row)),
                Unit::Rate => self.look_at_open(row, now, &mut look),
                Unit::Running => self.look_at_closed(row, now, &mut look),
            }
        }
        // Where rows compete for room, the one that has waited for longest comes first.
        late.sort_by_key(|(due, _)| *due);
        for (_, row) in late {
            self.look_at_open(row, now, &mut look);
        }
        look
    }

    fn look_at_open(self: &Rc<Self>, row: &Row, now: u64, look: &mut Look) {
        let mut plan = row.plan.borrow_mut();
        if plan.ended.is_some() {
            return;
        }
        let Plan { schedule, cursor, complete, .. } = &mut *plan;
        let fenced_until = self.fenced_until.get();
        if cursor.next(schedule).is_some_and(|(_, due)| due < fenced_until) {
            self.pass_over(row, cursor, schedule, fenced_until, |stats, fenced| stats.fenced += fenced);
        }
        let end = complete.then(|| schedule.end());
        let (mut left, mut full) = (BATCH, false);
        let next = loop {
            let Some((index, due)) = cursor.next(schedule) else { break None };
            if due > now {
                break Some(due);
            }
            if left == 0 || self.without_turn.get() >= BATCH {
                look.more = true;
                break None;
            }
            left -= 1;
            let over = end.is_some_and(|end| now >= end);
            let no_room = row.room.is_full() || self.room.is_full();
            if no_room {
                if row.options.overload == Overload::Drop {
                    self.env.stats(self.env.part(due)).rows[row.id.0 as usize].dropped += 1;
                    cursor.advance();
                    continue;
                }
                if !over {
                    full = true;
                    break None;
                }
            }
            if let Some(end) = end
                && (now >= end + CATCH_UP || (over && no_room))
            {
                self.give_up(row, cursor, schedule, end, !no_room);
                break None;
            }
            cursor.advance();
            let room = due.max(row.room.since()).max(self.room.since());
            let start = Start { row: row.id, index, due, room, task: self.next_task() };
            row.room.take();
            self.room.take();
            self.without_turn.set(self.without_turn.get() + 1);
            look.started = true;
            if let Some(task) = Rc::clone(&row.spec).start(self, start) {
                self.tasks.borrow_mut().insert(task);
            }
        };
        if full {
            self.waiting_for_room.set(true);
        }
        if let Some(next) = next {
            look.at(next);
        } else if let Some(end) = end {
            if now < end {
                look.at(end);
            } else if cursor.next(schedule).is_none() {
                plan.ended = Some(Ended::ByPlan);
                drop(plan);
                self.env.stop_row(row.id.0);
            }
        }
    }

    /// Looks how many slots are wanted at `now`, and starts none.
    #[cfg(feature = "testing")]
    pub(super) fn look_at_numbers(&self, now: u64) {
        for row in &self.rows {
            if row.plan.borrow().unit == Unit::Running {
                self.look_at_number(row, now);
            }
        }
    }

    /// How many slots of a row are wanted at `now`; says whether the row goes on.
    fn look_at_number(&self, row: &Row, now: u64) -> bool {
        let mut plan = row.plan.borrow_mut();
        if plan.ended.is_some() {
            return false;
        }
        if plan.complete && now >= plan.schedule.end() {
            plan.ended = Some(Ended::ByPlan);
            drop(plan);
            self.stop_row(row);
            return false;
        }
        let wanted = plan.cursor.running(now, plan.schedule.running_at(now));
        drop(plan);
        // At most 10⁹, so that the cast holds.
        if row.slots.borrow_mut().want(wanted as u32, now) {
            self.env.fewer_wanted.notify_waiters();
        }
        true
    }

    fn look_at_closed(self: &Rc<Self>, row: &Row, now: u64, look: &mut Look) {
        if !self.look_at_number(row, now) {
            return;
        }
        let plan = row.plan.borrow();
        for next in [plan.schedule.next_change(now), plan.cursor.next_change(now)].into_iter().flatten() {
            look.at(next);
        }
        drop(plan);
        for _ in 0..BATCH {
            let Some(number) = row.slots.borrow_mut().next() else { break };
            let slot = Slot { row: row.id, number, task: self.next_task() };
            row.slots.borrow_mut().started(number, slot.task);
            self.room.take();
            let task = Rc::clone(&row.spec).spawn_slot(self, slot);
            self.tasks.borrow_mut().insert(task);
        }
        let mut slots = row.slots.borrow_mut();
        look.more |= slots.next().is_some();
        while let Some(task) = slots.next_to_cut(now) {
            self.tasks.borrow()[task as usize].abort();
        }
        if let Some(end) = slots.next_end() {
            look.at(end);
        }
    }

    /// The number that the next task gets.
    fn next_task(&self) -> u32 {
        // Far fewer fit into memory.
        self.tasks.borrow().vacant_key() as u32
    }

    /// Passes over all starts that are due before `time` and counts them as unstarted, each in its part of the run.
    fn give_up(&self, row: &Row, cursor: &mut Cursor, schedule: &Schedule, time: u64, too_late: bool) {
        self.pass_over(row, cursor, schedule, time, |stats, unstarted| {
            stats.unstarted += unstarted;
            stats.too_late += if too_late { unstarted } else { 0 };
        });
    }

    /// Passes over all starts that are due before `time` and counts them, each in its part of the run.
    fn pass_over(
        &self,
        row: &Row,
        cursor: &mut Cursor,
        schedule: &Schedule,
        time: u64,
        count: impl Fn(&mut RowStats, u64),
    ) {
        let warm_up = self.env.shared.warm_up.min(time);
        for (part, until) in [(Part::WarmUp, warm_up), (Part::Measured, time)] {
            let passed = cursor.skip_before(schedule, until);
            count(&mut self.env.stats(part).rows[row.id.0 as usize], passed);
        }
    }

    /// Starts nothing, since somebody else may do so in this process's place; slots end with their journeys. What is due meanwhile
    /// is accounted for once it is known whose it was, or when nothing more is planned.
    fn look_while_fenced(&self, now: u64, look: &mut Look) {
        self.fenced.set(true);
        look.at(now + FENCED_LOOK);
        let mut is_over = true;
        for row in &self.rows {
            let plan = row.plan.borrow();
            is_over &= plan.ended.is_some() || (plan.complete && now >= plan.schedule.end() + CATCH_UP);
            if plan.unit == Unit::Running && row.slots.borrow_mut().want(0, now) {
                self.env.fewer_wanted.notify_waiters();
            }
        }
        if is_over {
            self.account_for_fenced(now);
            self.stop();
        }
    }

    /// Counts what was due while nothing could be started.
    fn account_for_fenced(&self, now: u64) {
        self.fenced.set(false);
        self.fenced_until.set(now + 1);
        for row in &self.rows {
            let Plan { schedule, cursor, unit, ended, .. } = &mut *row.plan.borrow_mut();
            if *unit == Unit::Rate && ended.is_none() {
                self.pass_over(row, cursor, schedule, now + 1, |stats, fenced| stats.fenced += fenced);
            }
        }
    }

    /// Ends all rows now: what is due and not started is counted as unstarted.
    pub(super) fn stop(&self) {
        let now = self.env.now();
        if self.fenced.get() {
            self.account_for_fenced(now);
        }
        for row in &self.rows {
            let mut plan = row.plan.borrow_mut();
            if plan.ended.is_some() {
                continue;
            }
            let Plan { schedule, cursor, unit, .. } = &mut *plan;
            // Slots of the closed model are not due by the schedule, and those that wait for data account for themselves.
            if *unit == Unit::Rate {
                self.give_up(row, cursor, schedule, now + 1, false);
            }
            schedule.cut(now + 1);
            plan.complete = true;
            plan.ended = Some(Ended::ByPlan);
            drop(plan);
            self.stop_row(row);
        }
    }

    pub(super) fn cancel_all(&self) {
        for (_, task) in self.tasks.borrow().iter() {
            task.abort();
        }
    }

    pub(super) fn all_ended(&self) -> bool {
        self.rows.iter().all(|row| row.plan.borrow().ended.is_some())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.room.taken() == 0
    }

    pub(super) fn extend(&self, id: RowId, unit: Unit, segment: Segment) {
        let mut plan = self.row(id).plan.borrow_mut();
        if plan.complete || plan.ended.is_some() {
            return;
        }
        plan.unit = unit;
        plan.schedule.push(segment);
        plan.complete = plan.schedule.end() < segment.end;
        plan.settle_share();
    }

    pub(super) fn complete(&self, id: RowId) {
        let mut plan = self.row(id).plan.borrow_mut();
        plan.complete = true;
        plan.settle_share();
    }

    /// By the list of members with this number, this process has the stripe of all starts from `time` on.
    pub(super) fn share(&self, epoch: u64, time: u64, stripe: &Stripe) {
        self.epoch.set(epoch);
        self.rooms_until.set(self.rooms_until.get().min(time));
        for row in &self.rows {
            let mut plan = row.plan.borrow_mut();
            plan.cursor.change_share(time, stripe.clone());
            plan.settle_share();
        }
        self.wake.notify_one();
    }

    /// Moves what was counted beside the statistics into them, and finds rows that do not add up.
    pub(super) fn settle(&self) -> Vec<(u32, u64, u64)> {
        let mut miscounted = Vec::new();
        for row in &self.rows {
            let plan = row.plan.borrow();
            let passed = plan.cursor.handled();
            let planned = if plan.ended == Some(Ended::ByPlan) && plan.unit == Unit::Rate {
                // Counted by the closed form, not by what was passed over: the two must agree.
                plan.cursor.before(plan.schedule.planned())
            } else {
                passed
            };
            if planned != passed {
                miscounted.push((row.id.0, planned, passed));
            }
            // Starts are passed over in the order in which they are due.
            let warm_up = plan.cursor.before(plan.schedule.before(self.env.shared.warm_up)).min(planned);
            for (part, planned) in [(Part::WarmUp, warm_up), (Part::Measured, planned - warm_up)] {
                let stats = &mut self.env.stats(part).rows[row.id.0 as usize];
                // Those of the closed model were counted as slots became free.
                stats.planned = (stats.planned + planned).saturating_sub(stats.not_planned);
            }
        }
        miscounted
    }
}

impl Plan {
    fn settle_share(&mut self) {
        self.cursor.settle_share(&self.schedule, self.complete);
    }
}

impl Row {
    /// When its next start is due, in the open model.
    fn next_due(&self) -> Option<u64> {
        let Plan { schedule, cursor, .. } = &mut *self.plan.borrow_mut();
        cursor.next(schedule).map(|(_, due)| due)
    }
}

impl Look {
    /// When to look again after a look at `now`: what is due right after a start waits until `together` has passed since.
    pub(super) fn again(&self, now: u64, together: u64) -> Option<u64> {
        let earliest = if self.started { now + together } else { now };
        self.next.map(|next| next.max(earliest))
    }

    fn at(&mut self, next: u64) {
        self.next = Some(self.next.map_or(next, |earlier| earlier.min(next)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_right_after_a_start_is_made_with_what_is_due_next() {
        // The time of the look, whether it has started something, what is due next, and when to look again.
        let cases = [
            (1_000, true, Some(1_020), Some(1_100)),
            (1_000, true, Some(1_100), Some(1_100)),
            // A start that stands alone is made when it is due.
            (1_000, true, Some(1_101), Some(1_101)),
            (1_000, false, Some(1_020), Some(1_020)),
            (1_000, true, None, None),
        ];
        for (now, started, next, again) in cases {
            assert_eq!(Look { more: false, started, next }.again(now, 100), again, "{next:?} after {now}");
        }
    }
}
