//! A process that takes part in a run of a cluster: it starts its share of the plan for as long as it may, and tells what came of
//! it.
//!
//! Its workers are those of a run in one process. It is apart from the controller, which plans, and from what keeps its permit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::clock::RunClock;
use super::clock_reading::{CLOCK_AGAIN, read_clock};
use super::error::ClusterError;
use super::gather::{Entry, Gathered};
use super::joined::Joined;
use super::keeper::{self, Change};
use super::leasing::{self, Leased};
use super::protocol::{EpochRecord, Heartbeat, MOST_RUNNERS, Order, Phase, State, VERSION, pack, unpack};
use super::reporter::{self, Lane};
use super::wire::Packer;
use crate::bus::{Bus, BusError, Item, Log, Reader};
use crate::clock::{Gaps, Moment};
use crate::controller::crew::{BLOCKED_AFTER, Crew, Making, sink_failed};
use crate::controller::rows::{Numbers, Row, RowPlan, SharedPool, planned, shared_pools};
use crate::controller::sinks::{finish_sinks, start_sinks};
use crate::controller::{Control, facts};
use crate::datapool::leases::Leases;
use crate::hooks::{Hook, HookKind, Hooks, WorkerHook};
use crate::report::{SinkReport, Stopped};
use crate::run::error::RunError;
use crate::runner::permit::{Permit, boot_nanos};
use crate::runner::protocol::{Command, Event, RowId};
use crate::runner::watch::LOOK;
use crate::snapshot::Snapshot;
use crate::usage::Usage;
use crate::volume::{Segment, Unit};
use crate::{clock, panics};

/// How often a runner tells that it is there.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// How often it asks what the run's clock says, once the run is under way.
const CLOCK_EVERY: Duration = Duration::from_secs(10);
/// How long a runner that leaves waits for others to have its share.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// How long it waits for its last heartbeat to arrive.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(1);

/// How long after its share has gone to others a runner still starts what was due before, in nanoseconds.
pub(super) const LAST_STARTS: u64 = 250_000_000;

/// What a runner was until it ended: see [`Joined::start`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TookPart {
    /// Its number in the run.
    pub runner: u32,
    /// Journeys that it started.
    pub started: u64,
    /// Whether it had a share of the run: one that the run ended for before its start, or before it had a share, may join the next.
    pub has_begun: bool,
    /// Whether it went before the run's end, since it was told to.
    pub has_left: bool,
}

/// Takes part in a run on this thread.
pub(super) fn run(control: Control, joined: Joined) -> Result<TookPart, RunError> {
    panics::install();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Thread)?;
    runtime.block_on(take_part(control, joined))
}

/// How a runner stands, for its heartbeats.
#[derive(Debug, Clone, Default)]
struct Status {
    phase: Option<Phase>,
    epoch: u64,
    running: u64,
    clock_error: u64,
    why: Option<String>,
}

async fn take_part(control: Control, joined: Joined) -> Result<TookPart, RunError> {
    let rid = joined.rid;
    let permit = Arc::new(Permit::none());
    let status = Status { phase: Some(Phase::Joined), clock_error: joined.clock.error(), ..Status::default() };
    let (status, told) = watch::channel(status);
    let beats = tokio::spawn(beat(joined.fabric.bus(), joined.subject(&format!("hb.{rid}")), (rid, joined.boot), told));
    let mut outcome = carry_out(control, &joined, &permit, &status).await;
    if let Err(error) = &outcome {
        status.send_modify(|status| (status.phase, status.why) = (Some(Phase::Failed), Some(error.to_string())));
    }
    if let Ok(took_part) = &mut outcome {
        took_part.has_left = status.borrow().phase == Some(Phase::Leaving);
        status.send_modify(|status| status.phase = Some(Phase::Done));
    }
    // The last one tells how it ended.
    drop(status);
    let _ = beats.await;
    // It has arrived once what is asked after it is answered, or nobody is there any more.
    let (bus, clock) = (joined.fabric.bus(), joined.subject("clk"));
    let _ = tokio::time::timeout(LAST_WORD_WITHIN, read_clock(&*bus, &clock, 1)).await;
    outcome
}

/// Tells how the runner stands, several times a second and at each change, until there is nothing more to tell.
async fn beat(bus: Arc<dyn Bus>, subject: String, (rid, boot): (u32, u64), mut told: watch::Receiver<Status>) {
    let mut ticks = tokio::time::interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut usage = (Usage::now(), clock::now());
    let mut is_last = false;
    while !is_last {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = told.changed() => is_last = changed.is_err(),
        }
        let now = (Usage::now(), clock::now());
        let passed = now.1.saturating_duration_since(usage.1);
        let cpu_percent = now.0.since(&usage.0).cpu_percent(passed.max(Duration::from_millis(1)));
        usage = now;
        let Status { phase, epoch, running, clock_error, why } = told.borrow_and_update().clone();
        let phase = phase.unwrap_or(Phase::Joined);
        let heartbeat = Heartbeat { v: VERSION, rid, boot, phase, epoch, running, cpu_percent, clock_error, why };
        // It may be lost: the next one comes soon.
        let _ = tokio::time::timeout(HEARTBEAT, bus.publish(&subject, pack(&heartbeat))).await;
    }
}

async fn carry_out(
    control: Control,
    joined: &Joined,
    permit: &Arc<Permit>,
    status: &watch::Sender<Status>,
) -> Result<TookPart, RunError> {
    let failed = |doing: &'static str| move |cause| RunError::from(ClusterError::new(doing, cause));
    let stats = joined.log("stats").await.map_err(failed("open the log of figures"))?;
    let register = joined.register().await.map_err(failed("open the run's register"))?;
    let mut control = control;
    let unknown = || {
        ClusterError::refused(format!(
            "a run has at most {MOST_RUNNERS} runners, and this one is number {}",
            joined.rid
        ))
    };
    let runner = u16::try_from(joined.rid).map_err(|_| unknown())?;
    let facts = facts(&mut control, Arc::clone(permit), (runner, MOST_RUNNERS));
    let sinks = start_sinks(control.sinks, &facts.names, control.strands, &control.span, &control.events)?;
    let (row_plans, mut rows) = planned(control.rows, control.stop_after);
    // Nothing is ordered where all is planned, and asking for what does not come is most of what a runner would say.
    let orders = if rows.iter().any(Row::asks) {
        Some(joined.log("orders").await.map_err(failed("open the log of orders"))?)
    } else {
        None
    };
    let Shared { leased, low, come_back, may_hold } = share_pools(&mut rows, &row_plans, facts.graceful_stop, permit);
    let making = Making {
        strands: control.strands,
        span: control.span,
        max_running: control.max_running,
        queues: sinks.queues.clone(),
        events: control.events,
    };
    let (entries, reported) = mpsc::unbounded_channel();
    let producer = format!("{}.{:x}", joined.rid, joined.boot);
    let lane = Lane { log: stats, subject: format!("stats.{}", joined.rid), producer };
    let reporter = tokio::spawn(reporter::report(reported, Packer::new(Arc::clone(&facts.names)), lane));
    let (changes, changed) = mpsc::unbounded_channel();
    let keeper = tokio::spawn(keeper::keep(register, Arc::clone(permit), joined.plan.lease, changes));
    let mut runner = Runner {
        rid: joined.rid,
        gathered: Gathered::new(facts.workers, rows.len() + 1),
        crew: Crew::new(facts, control.received),
        clock: joined.clock,
        origin: None,
        changed,
        status,
        entries,
        left_at: None,
        is_over: false,
        gaps: Gaps::default(),
        running: BTreeMap::new(),
        started: 0,
        permit,
        may_hold,
        come_back,
        reached: 0,
        has_share: false,
        is_member: false,
    };
    let started = runner.crew.start(&rows, &row_plans, &making);
    let (at_end, end) = oneshot::channel();
    let leasing =
        leasing::keep(joined.fabric.bus(), joined.subject("alloc"), (joined.rid, joined.boot), (leased, low), end);
    let leasing = tokio::spawn(leasing);
    let outcome = match started {
        Ok(()) => runner.conduct(control.hooks, joined, orders.as_deref()).await,
        Err(error) => Err(error),
    };
    // From here on nobody is answered, and an abort changes nothing.
    drop(runner.crew.hang_up());
    let (results, ended) = runner.crew.join(outcome.is_err()).await;
    let sent = results.iter().fold(Vec::new(), |mut sent: Vec<u64>, result| {
        sent.resize(sent.len().max(result.sent_messages.len()), 0);
        sent.iter_mut().zip(&result.sent_messages).for_each(|(all, more)| *all += more);
        sent
    });
    // What was not used goes to others.
    let _ = at_end.send(());
    let _ = leasing.await;
    // Records come before the runner's last word.
    let served = finish_sinks(sinks, sent).await;
    let warnings = served.as_ref().map_or_else(|_| Vec::new(), |sinks| sinks.iter().filter_map(lacking).collect());
    let has_begun = runner.crew.driving;
    let Runner { gathered, entries, started, .. } = runner;
    for entry in gathered.end(results, warnings) {
        let _ = entries.send(entry);
    }
    drop(entries);
    let reported = match reporter.await {
        // The run is not there any more, and there was nothing to tell.
        Ok(Err(error)) if error.is_not_found() && !has_begun => Ok(()),
        Ok(reported) => reported.map_err(failed("tell the figures")),
        Err(_) => Err(RunError::Panicked { message: "the task that tells figures has ended".to_owned() }),
    };
    keeper.abort();
    served?;
    outcome?;
    ended?;
    reported?;
    Ok(TookPart { runner: joined.rid, started, has_begun, has_left: false })
}

/// What people should know of one of its sinks, which the controller's report has no part for.
fn lacking(sink: &SinkReport) -> Option<String> {
    let SinkReport { sink, dropped, failure, .. } = sink;
    let failed = failure.as_ref().map(|why| format!(", which failed: {why}"));
    (*dropped > 0 || failed.is_some())
        .then(|| format!("{dropped} messages were not taken by the {sink}{}", failed.unwrap_or_default()))
}

/// The pools that the cluster shares out, as a runner has them.
struct Shared {
    leased: Vec<Leased>,
    /// There is little left of some.
    low: Arc<Notify>,
    /// Those whose items come back.
    come_back: Vec<Arc<Leases>>,
    /// For how many nanoseconds without a permit journeys may hold what others get then, where nothing else ends them.
    may_hold: Option<u64>,
}

/// From now on rows have what the controller grants of what is shared out by numbers.
fn share_pools(rows: &mut [Row], row_plans: &[RowPlan], graceful_stop: Duration, permit: &Arc<Permit>) -> Shared {
    let low = Arc::new(Notify::new());
    let (mut leased, mut come_back) = (Vec::new(), Vec::new());
    let (mut keeps, mut may_hold) = (u64::MAX, None);
    for SharedPool { kind, rows: drawn_by, of } in shared_pools(rows, row_plans, graceful_stop) {
        let leases = Arc::new(Leases::new(kind.ends, Arc::clone(permit), Arc::clone(&low)));
        for row in &drawn_by {
            match of {
                Numbers::Items => rows[*row].pool.lease(Arc::clone(&leases)),
                Numbers::Turns => rows[*row].turns = Some(Arc::clone(&leases)),
            }
        }
        if !kind.ends {
            keeps = keeps.min(kind.quarantine);
            // Where a row has a timeout, its journeys end by themselves.
            if drawn_by.iter().any(|row| row_plans[*row].1.timeout.is_none()) {
                may_hold = Some(may_hold.map_or(kind.quarantine, |most: u64| most.min(kind.quarantine)));
            }
            come_back.push(Arc::clone(&leases));
        }
        leased.push(Leased::new(leases));
    }
    permit.keep_for(keeps);
    Shared { leased, low, come_back, may_hold }
}

struct Runner<'a> {
    rid: u32,
    crew: Crew,
    gathered: Gathered,
    clock: RunClock,
    /// The start of the run on the run's clock, once it is known.
    origin: Option<u64>,
    changed: mpsc::UnboundedReceiver<Change>,
    status: &'a watch::Sender<Status>,
    entries: mpsc::UnboundedSender<Entry>,
    /// Since when it wants to leave, or from when on, in nanoseconds since the start of the run, it has no share any more.
    left_at: Option<Left>,
    /// The run is not there any more, or has ended.
    is_over: bool,
    gaps: Gaps,
    /// Journeys under way, by worker.
    running: BTreeMap<u32, u64>,
    /// Starts that were made.
    started: u64,
    permit: &'a Permit,
    /// For how many nanoseconds without a permit its journeys may hold items that others get then, where nothing else ends them.
    may_hold: Option<u64>,
    /// Its items that others may get.
    come_back: Vec<Arc<Leases>>,
    /// The rank of the run's state.
    reached: u8,
    /// It has been in a list of members.
    has_share: bool,
    /// It is in the last one.
    is_member: bool,
}

#[derive(Debug, Clone, Copy)]
enum Left {
    Asked(std::time::Instant),
    /// By a list that holds from then on, in nanoseconds since the start of the run.
    From(u64),
}

impl Runner<'_> {
    /// From the workers being ready to the end of teardown.
    async fn conduct(&mut self, hooks: Hooks, joined: &Joined, orders: Option<&dyn Log>) -> Result<(), RunError> {
        self.crew.wait_ready(&Snapshot::default).await?;
        self.wait_until(|runner| runner.reached >= rank(State::Preparing)).await?;
        let on_each = |hook: Option<WorkerHook>, workers: u32| -> Vec<(u32, Hook)> {
            hook.map_or_else(Vec::new, |hook| (0..workers).map(|worker| (worker, hook())).collect())
        };
        let workers = self.crew.facts.workers;
        if self.is_over || self.crew.stopped.is_some() {
            // The run has ended before it began: what was not set up is not torn down.
            return Ok(());
        }
        let hooked = on_each(hooks.worker_setup, workers);
        let failed = self.crew.call(HookKind::WorkerSetup, hooked, &Snapshot::default).await?;
        if let Some((worker, message)) = failed.into_iter().next() {
            return Err(RunError::WorkerSetup { worker, message });
        }
        self.status.send_modify(|status| status.phase = Some(Phase::Ready));
        // One that comes late has to be in a list first.
        self.wait_until(|runner| runner.reached >= rank(State::Running) && runner.has_share).await?;
        let ran = self.go(joined, orders).await;
        let (gathered, started) = (&mut self.gathered, &mut self.started);
        let left_over = |event| {
            if let Event::Seconds(worker, seconds, told) = event {
                *started += seconds.iter().flat_map(|second| &second.rows).map(|row| row.started).sum::<u64>();
                gathered.add(worker, seconds, &told);
            }
        };
        if ran.is_ok() || self.crew.cut_off(left_over).await {
            let hooked = on_each(hooks.worker_teardown, workers);
            let failed = self.crew.call(HookKind::WorkerTeardown, hooked, &Snapshot::default).await?;
            ran?;
            if let Some((worker, message)) = failed.into_iter().next() {
                return Err(RunError::WorkerTeardown { worker, message });
            }
            return Ok(());
        }
        ran
    }

    /// Waits until it is so, or the run is over, or this runner was stopped.
    async fn wait_until(&mut self, is_so: impl Fn(&Self) -> bool) -> Result<(), RunError> {
        while !is_so(&*self) && !self.is_over && self.crew.stopped.is_none() {
            tokio::select! {
                change = self.changed.recv() => self.take(change),
                event = self.crew.event() => self.before(event)?,
            }
        }
        Ok(())
    }

    /// What workers tell before they go.
    fn before(&mut self, event: Event) -> Result<(), RunError> {
        match event {
            Event::Stop => self.crew.stopped = self.crew.stopped.or(Some(Stopped::Gracefully)),
            Event::Abort => self.crew.stopped = Some(Stopped::AtOnce),
            Event::Died(message) => return Err(RunError::Panicked { message }),
            Event::SinkFailed => return Err(sink_failed()),
            _ => {}
        }
        Ok(())
    }

    /// Takes in what has changed.
    fn take(&mut self, change: Option<Change>) {
        match change {
            Some(Change::List(number, list)) => {
                let stripe = list.stripe(self.rid);
                let is_member = list.members.iter().any(|member| member.rid == self.rid);
                self.has_share |= is_member;
                // What it had goes to others with its share; no worker goes by that list before this is known.
                let is_lost = std::mem::replace(&mut self.is_member, is_member) && !is_member;
                let since_start = list.at.saturating_add(LAST_STARTS);
                let lost_at = self.origin.map_or(0, |origin| self.clock.own(origin.saturating_add(since_start)));
                self.come_back.iter().for_each(|leases| leases.list(number, is_lost.then_some(lost_at)));
                if matches!(self.left_at, Some(Left::Asked(_))) && !is_member {
                    self.left_at = Some(Left::From(list.at));
                }
                self.crew.tell_all(|| Command::Share(number, list.at, stripe.clone()));
                self.status.send_modify(|status| status.epoch = number);
            }
            Some(Change::Epoch(EpochRecord { state, origin, .. })) => {
                if origin > 0 {
                    self.origin = Some(origin);
                }
                self.reached = rank(state);
                match state {
                    State::Gathering | State::Preparing | State::Running => {}
                    State::Draining => self.stop(),
                    State::Aborted => self.abort(),
                    State::Over => self.gone(),
                }
            }
            Some(Change::Gone) | None => self.gone(),
        }
    }

    fn stop(&mut self) {
        self.crew.stopped = self.crew.stopped.or(Some(Stopped::Gracefully));
        self.crew.tell_all(|| Command::Stop);
    }

    fn abort(&mut self) {
        self.crew.stopped = Some(Stopped::AtOnce);
        self.crew.tell_all(|| Command::Abort);
    }

    /// The run is not there any more: nobody would hear what came of a journey.
    fn gone(&mut self) {
        self.is_over = true;
        self.abort();
    }

    /// The moment, by this machine's monotonic clock, at which the run's clock says `time`.
    fn moment(&self, time: u64) -> Moment {
        let (now, boot) = (Moment::now(), boot_nanos());
        let own = self.clock.own(time);
        if own >= boot { now.after(own - boot) } else { now.before(boot - own) }
    }

    /// The run proper: until all workers have finished.
    async fn go(&mut self, joined: &Joined, orders: Option<&dyn Log>) -> Result<(), RunError> {
        let Some(origin) = self.origin.filter(|_| !self.is_over && self.crew.stopped.is_none()) else { return Ok(()) };
        let start = self.moment(origin);
        self.gathered.begin_at(clock_since(start));
        self.crew.tell_all(|| Command::Go(start));
        self.crew.driving = true;
        self.status.send_modify(|status| status.phase = Some(Phase::Running));
        let failed = |cause| RunError::from(ClusterError::new("read the run's orders", cause));
        let mut orders = match orders {
            Some(orders) => Some(orders.read("orders", 0).await.map_err(failed)?),
            None => None,
        };
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (clocks, mut readings) = mpsc::unbounded_channel();
        let asking = tokio::spawn(ask_clock(joined.fabric.bus(), joined.subject("clk"), clocks));
        // A worker that has not ended by then is blocked.
        let mut give_up = None;
        while self.crew.under_way().next().is_some() {
            tokio::select! {
                biased;
                change = self.changed.recv(), if !self.is_over => self.take(change),
                event = self.crew.event() => self.handle(event)?,
                order = next_order(&mut orders), if !self.is_over => match order {
                    Ok(order) => self.obey(&order.payload)?,
                    // It tells itself that the run is over.
                    Err(error) if error.is_not_found() => self.gone(),
                    Err(error) => return Err(failed(error)),
                },
                Some(found) = readings.recv() => self.slew(found),
                _ = looks.tick() => {}
            }
            while let Some(second) = self.gathered.take() {
                let _ = self.entries.send(Entry::Second(second));
            }
            let now = clock::now();
            for row in self.crew.watch.look(now) {
                let journey = self.crew.facts.names.journey(row);
                tracing::warn!(journey, "a journey blocks its worker's thread");
            }
            self.gaps.look();
            self.look_at_permit()?;
            let is_cut_off = |asked: std::time::Instant| now.saturating_duration_since(asked) > LEAVE_WITHIN;
            let has_no_share = match self.left_at {
                // What was due just before is started by then, unless the machine is in trouble.
                Some(Left::From(at)) => clock_since(start) >= at + LAST_STARTS,
                Some(Left::Asked(asked)) => is_cut_off(asked),
                None => false,
            };
            if has_no_share && self.crew.stopped.is_none() {
                self.stop();
            }
            if self.crew.stopped == Some(Stopped::AtOnce) && give_up.is_none() {
                give_up = Some(now + BLOCKED_AFTER);
            }
            if give_up.is_some_and(|give_up| now >= give_up)
                && let Some(worker) = self.crew.under_way().next()
            {
                return Err(self.crew.blocked(worker.number));
            }
        }
        asking.abort();
        Ok(())
    }

    /// A runner that is cut off for so long that others have its journeys' data cannot let them go on.
    fn look_at_permit(&self) -> Result<(), RunError> {
        // Who stood still does not see it expired.
        if self.may_hold.is_some_and(|most| self.permit.longest_lapse() >= most) {
            let why = "it was cut off from the cluster for so long that others may have the data of its journeys by now, \
                       which were cancelled";
            return Err(ClusterError::refused(why).into());
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), RunError> {
        match event {
            Event::Seconds(worker, seconds, told) => {
                if let Some(last) = seconds.last() {
                    self.running.insert(worker, last.rows.iter().map(|row| row.running).sum());
                    let running = self.running.values().sum();
                    self.status.send_if_modified(|status| {
                        status.running = running;
                        // The next heartbeat tells it soon enough.
                        false
                    });
                }
                self.started += seconds.iter().flat_map(|second| &second.rows).map(|row| row.started).sum::<u64>();
                self.gathered.add(worker, seconds, &told);
            }
            Event::Finished(number) => {
                self.crew.workers[number as usize].finished = true;
                self.gathered.finished(number);
            }
            Event::Exhausted(row) => self.crew.tell_all(|| Command::Exhausted(row)),
            Event::Stop if self.left_at.is_none() => {
                // Its share goes to others first.
                self.left_at = Some(Left::Asked(clock::now()));
                self.status.send_modify(|status| status.phase = Some(Phase::Leaving));
            }
            Event::Abort => self.abort(),
            Event::Died(message) => return Err(RunError::Panicked { message }),
            Event::SinkFailed => return Err(sink_failed()),
            Event::Snapshot(answer) => {
                // Who asks for the figures of a run asks its controller.
                let _ = answer.send(Arc::new(Snapshot::default()));
            }
            Event::Stop | Event::Told(..) | Event::Ready(_) | Event::HookDone(..) => {}
        }
        Ok(())
    }

    /// Hands on what the controller has planned as it goes.
    fn obey(&mut self, order: &[u8]) -> Result<(), RunError> {
        let order = unpack("an order", order).map_err(|cause| ClusterError::new("read the run's orders", cause))?;
        match order {
            Order::Extend { row, running, segment } => {
                let unit = if running { Unit::Running } else { Unit::Rate };
                let segment = Segment::from_parts(segment);
                self.crew.tell_all(|| Command::Extend(RowId(row), unit, segment));
            }
            Order::Complete { row } => self.crew.tell_all(|| Command::Complete(RowId(row))),
            Order::Exhausted { row } => self.crew.tell_all(|| Command::Exhausted(RowId(row))),
            Order::Asked { .. } => {}
        }
        Ok(())
    }

    /// Goes towards what the run's clock was found to say, so slowly that no start jumps.
    fn slew(&mut self, found: RunClock) {
        let step = self.clock.slew(found, MOST_SLEW);
        if step != 0 {
            self.crew.tell_all(|| Command::Slew(step));
        }
        let error = self.clock.error();
        self.status.send_modify(|status| status.clock_error = error);
    }
}

/// The next order of the run's controller, where it gives any.
async fn next_order(orders: &mut Option<Box<dyn Reader>>) -> Result<Item, BusError> {
    match orders {
        Some(orders) => orders.next().await,
        None => std::future::pending().await,
    }
}

/// By how much the clock may be put right each time that it was asked for: 200 µs each second, which is more than quartz is wrong by.
const MOST_SLEW: u64 = 2_000_000;

/// Asks what the run's clock says again and again.
async fn ask_clock(bus: Arc<dyn Bus>, subject: String, found: mpsc::UnboundedSender<RunClock>) {
    loop {
        tokio::time::sleep(CLOCK_EVERY).await;
        if let Ok(clock) = read_clock(&*bus, &subject, CLOCK_AGAIN).await
            && found.send(clock).is_err()
        {
            return;
        }
    }
}

/// How many nanoseconds have passed since the start; 0 before it.
fn clock_since(start: Moment) -> u64 {
    Moment::now().since(start)
}

/// States in the order in which they come.
fn rank(state: State) -> u8 {
    match state {
        State::Gathering => 0,
        State::Preparing => 1,
        State::Running => 2,
        State::Draining => 3,
        State::Aborted => 4,
        State::Over => 5,
    }
}
