//! The thread that carries a run out: it works out the plan, asks closures for theirs second by second, starts and ends the
//! workers and sinks, and makes the report of what they hand over.

mod account;
mod conditions;
pub(crate) mod crew;
mod remote;
pub(crate) mod rows;
pub(crate) mod sinks;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::Span;

use crate::clock::{Gaps, Moment, WallClock};
use crate::cluster::{ClusterError, News, OfSecond, Order, Part, PlanRecord, Unpacked, unaccounted};
use crate::exchange::OnExchange;
use crate::figures::{FiguresTold, PartFigures};
use crate::hooks::{Hook, HookKind, Hooks, WorkerHook};
use crate::message::Head;
use crate::names::{NameCache, Names};
use crate::recordings::Records;
use crate::report::{GeneratorLimits, Report, SecondQuantiles, SecondRow, Stopped};
use crate::row::CheckedRow;
use crate::run::error::RunError;
use crate::run::progress::{Progress, RowProgress};
use crate::runner::env::RunFacts;
use crate::runner::permit::Permit;
use crate::runner::protocol::{Command, Event, RowId, WorkerResult};
use crate::runner::strand::StrandKind;
use crate::runner::watch::LOOK;
use crate::seconds::{Second, Seconds};
use crate::sink::Sink;
use crate::sink::outbox::{METRICS, Outbox};
use crate::snapshot::Snapshot;
use crate::stats::Metrics;
use crate::threshold::Asked;
use crate::usage::Usage;
use crate::volume::{Answer, Segment, Unit};
use crate::{Config, clock, pack, panics};

use account::{Ended, Left, make_report, take_results};
use conditions::Conditions;
use crew::{BLOCKED_AFTER, Crew, Making, sink_failed};
use remote::Remote;
use rows::{Row, SharedPool, planned, shared_pools};
use sinks::{finish_sinks, start_sinks, tell_figures};
use tally::Tally;

const SECOND: u64 = 1_000_000_000;
/// How long a worker has to tell what is new when somebody asks for it.
const MOST_ASKED: Duration = Duration::from_millis(250);

/// Setup and teardown go by this name where a journey's is told.
const HOOKS: &str = "__setup__";

/// What a run is made of, checked.
pub(crate) struct Control {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) rows: Vec<CheckedRow>,
    pub(crate) hooks: Hooks,
    pub(crate) workers: u32,
    pub(crate) max_running: u64,
    pub(crate) sinks: Vec<Box<dyn Sink>>,
    pub(crate) records: Option<Records>,
    pub(crate) warnings: Arc<Mutex<Vec<String>>>,
    /// Nanoseconds since the start of the run.
    pub(crate) stop_after: Option<u64>,
    pub(crate) graceful_stop: Duration,
    pub(crate) start_delay: Duration,
    /// Nanoseconds since the start of the run.
    pub(crate) warm_up: u64,
    pub(crate) max_series_bytes: u64,
    pub(crate) seed: u64,
    pub(crate) limits: GeneratorLimits,
    pub(crate) on_exchange: Option<OnExchange>,
    pub(crate) metrics: Metrics,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    pub(crate) received: mpsc::UnboundedReceiver<Event>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) asked: Asked,
    pub(crate) strands: StrandKind,
    pub(crate) span: Span,
    /// Where the journeys are started by the runners of a cluster.
    pub(crate) part: Option<Part>,
}

/// The facts of a run, taken out of what it is made of; `runner` is this process's number in it, and how many such numbers there may
/// be.
pub(crate) fn facts(control: &mut Control, permit: Arc<Permit>, (runner, most_runners): (u16, u16)) -> Arc<RunFacts> {
    let mut journeys = vec![HOOKS.to_owned()];
    journeys.extend(control.rows.iter().map(|row| row.name.clone()));
    Arc::new(RunFacts {
        names: Arc::new(Names::new(control.name.clone(), journeys).of_runner(runner)),
        config: std::mem::take(&mut control.config),
        wall: WallClock::now(),
        seed: control.seed,
        workers: control.workers,
        graceful_stop: control.graceful_stop,
        start_delay: control.start_delay,
        limits: control.limits,
        warm_up: control.warm_up,
        max_series_bytes: control.max_series_bytes,
        max_running: Some(control.max_running).filter(|most| *most != u64::MAX),
        on_exchange: control.on_exchange.take(),
        metrics: Arc::new(std::mem::take(&mut control.metrics)),
        permit,
        most_runners,
    })
}

/// Carries a run out on this thread.
pub(crate) fn run(control: Control) -> Result<Report, RunError> {
    panics::install();
    #[cfg(feature = "testing")]
    if control.strands == StrandKind::Task {
        let runtime = clock::virtual_clock::runtime().map_err(RunError::Thread)?;
        return clock::virtual_clock::run(&runtime, carry_out(control));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Thread)?;
    runtime.block_on(carry_out(control))
}

async fn carry_out(mut control: Control) -> Result<Report, RunError> {
    let facts = facts(&mut control, Arc::new(Permit::always()), (1, 1));
    let names = Arc::clone(&facts.names);
    let mut sinks =
        start_sinks(std::mem::take(&mut control.sinks), &names, control.strands, &control.span, &control.events)?;
    let (row_plans, rows) = planned(std::mem::take(&mut control.rows), control.stop_after);
    let mut pools = Vec::new();
    let follows = matches!(control.part, Some(Part::Follows(_)));
    let remote = control.part.take().map(|part| {
        pools = shared_pools(&rows, &row_plans, control.graceful_stop);
        let kinds = pools.iter().map(|pool| pool.kind).collect();
        let plan = plan_of(&control, &facts, &rows);
        Remote::new(part.begin(plan, Arc::clone(&names), kinds, &sinks.queues))
    });
    let seconds = Seconds::new(control.workers, rows.len());
    let tally = Tally::new(rows.len() + 1, control.max_series_bytes / 2, &facts.metrics);
    let conditions = Conditions::new(control.asked, Duration::from_nanos(control.warm_up));
    let making = Making {
        strands: control.strands,
        span: control.span,
        max_running: control.max_running,
        queues: sinks.queues.clone(),
        events: control.events,
    };
    let mut run = Controller {
        outbox: Outbox::new(&sinks.queues, facts.meter()),
        figures: std::mem::take(&mut sinks.figures),
        inquiry: Inquiry::default(),
        names: NameCache::new(Arc::clone(&names)),
        crew: Crew::new(Arc::clone(&facts), control.received),
        facts,
        rows,
        stop_after: control.stop_after,
        progress: control.progress,
        tally,
        conditions,
        aborted: None,
        usage: Usage::now(),
        origin: clock::now(),
        seconds,
        gaps: Gaps::default(),
        pace: if remote.is_some() { Pace::OF_CLUSTER } else { Pace::OF_PROCESS },
        remote,
        records: None,
        pools,
        asked: 0,
        follows,
    };
    // Where others start the journeys, the worker of this process calls setup and teardown alone.
    let own_rows = if run.remote.is_some() { 0 } else { run.rows.len() };
    let started = run.crew.start(&run.rows[..own_rows], &row_plans, &making);
    // From here on the workers are told to end, whatever happens.
    let outcome = match started {
        Ok(()) => run.conduct(control.hooks).await,
        Err(error) => Err(error),
    };
    // A sink that has failed ends the run with its own error.
    let _ = run.outbox.finish().await;
    let mut sent = run.outbox.sent();
    drop(run.outbox);
    let (mut results, joined) = run.crew.join(outcome.is_err()).await;
    let (mut apart, mut finished) = (None, Ok(()));
    let (mut remote_bugs, mut used) = (Vec::new(), None);
    if let Some(mut remote) = run.remote.take() {
        results.append(&mut remote.results);
        (remote_bugs, used) = (std::mem::take(&mut remote.bugs), Some(remote.used));
        apart = Some(remote);
    }
    let mut bugs = take_results(results, &mut run.tally, &mut sent);
    bugs.append(&mut remote_bugs);
    // Who still asks for figures is told that the run is over, and has those of the whole run.
    if let Ok(ended) = &outcome {
        let last = Snapshot { elapsed: ended.duration, is_last: true, ..run.tally.snapshot(&run.facts.names) };
        tell_figures(&run.figures, last);
    }
    drop(run.figures);
    let served = finish_sinks(sinks, sent).await;
    // What this process has sent is taken before the run is over.
    if let Some(mut remote) = apart {
        finished = remote.finish(async || run.crew.aborted().await).await;
        control.warnings.lock().unwrap_or_else(PoisonError::into_inner).append(&mut remote.take_warnings());
    }
    let Crew { stopped, hooks, watch, .. } = run.crew;
    // The first cause is told: a failed sink makes journeys fail, and not the other way round.
    let sinks = served?;
    let ended = outcome?;
    joined?;
    finished?;
    let left = Left {
        rows: run.rows,
        seconds: run.seconds,
        tally: run.tally,
        sinks,
        bugs,
        conditions: run.conditions,
        stopped,
        aborted: run.aborted,
        blocked: watch.into_blocked(),
        gaps: run.gaps.into_told(),
        hooks,
        stop_after: run.stop_after,
        used,
    };
    Ok(make_report(&run.facts, left, ended, control.records.or(run.records), &control.warnings))
}

struct Controller {
    facts: Arc<RunFacts>,
    crew: Crew,
    rows: Vec<Row>,
    stop_after: Option<u64>,
    progress: watch::Sender<Progress>,
    tally: Tally,
    conditions: Conditions,
    /// Why the run was ended by what it was told to abort when.
    aborted: Option<String>,
    /// The process's use of CPU at the end of the last second that was told.
    usage: Usage,
    outbox: Outbox,
    /// To the sinks that want the run's figures.
    figures: Vec<watch::Sender<Option<Arc<Snapshot>>>>,
    inquiry: Inquiry,
    names: NameCache,
    origin: Instant,
    seconds: Seconds,
    gaps: Gaps,
    pace: Pace,
    /// The account of what the runners of a cluster record.
    records: Option<Records>,
    /// Those that the runners of a cluster share.
    pools: Vec<SharedPool>,
    /// The second that closures were asked about last.
    asked: u64,
    /// The runners, where they are processes of their own.
    remote: Option<Remote>,
    /// Another process leads them.
    follows: bool,
}

/// How far ahead of, and after, a second the controller deals with it, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// From the workers being ready to the first start: for them to be told.
    lead: Duration,
    /// A closure is asked so long before the second that it is asked about.
    ask_ahead: u64,
    /// What became of a second is told so long after it.
    tell_after: u64,
}

impl Pace {
    const OF_PROCESS: Self = Self { lead: Duration::from_millis(5), ask_ahead: SECOND / 2, tell_after: SECOND / 4 };
    /// What is said goes through the cluster, which may be out of reach for a moment.
    const OF_CLUSTER: Self =
        Self { lead: Duration::from_secs(3), ask_ahead: 5 * SECOND / 2, tell_after: 5 * SECOND / 4 };
}

/// What the runners of a cluster are told of the run.
fn plan_of(control: &Control, facts: &RunFacts, rows: &[Row]) -> PlanRecord {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    PlanRecord {
        test: facts.names.test.clone(),
        config: facts.config.values().clone(),
        rows: rows.iter().map(|row| row.name.clone()).collect(),
        seed: control.seed,
        warm_up: control.warm_up,
        graceful_stop: nanos(control.graceful_stop),
        stop_after: control.stop_after,
        max_series_bytes: control.max_series_bytes,
        max_running: facts.max_running,
        ..PlanRecord::default()
    }
}

/// Who has asked for the run's figures.
#[derive(Default)]
struct Inquiry {
    answers: Vec<oneshot::Sender<Arc<Snapshot>>>,
    /// The workers that were asked for what is new and have not told it yet.
    workers: Vec<u32>,
    /// When they are no longer waited for.
    until: Option<Instant>,
}

/// What is told of the runners of a cluster; without one nothing is.
async fn news_of(remote: &mut Option<Remote>) -> News {
    match remote {
        Some(remote) => remote.news.recv().await.unwrap_or_else(|| {
            News::Failed(ClusterError::refused("what leads the runners has ended, which is a bug of mite"))
        }),
        None => std::future::pending().await,
    }
}

impl Controller {
    /// From the workers being ready to the end of teardown.
    async fn conduct(&mut self, hooks: Hooks) -> Result<Ended, RunError> {
        self.crew.wait_ready(&|| self.tally.snapshot(&self.facts.names)).await?;
        let begun = self.wait_for_runners(|news| matches!(news, News::Gathered | News::Resumed { .. })).await?;
        if let Some(News::Resumed { since_start, is_stopped }) = begun {
            return self.resume(hooks.teardown, since_start, is_stopped).await;
        }
        let on_first = |hook: Option<Hook>| hook.map(|hook| (0, hook)).into_iter().collect();
        let failed = self.call_hooks(HookKind::Setup, on_first(hooks.setup)).await?;
        if let Some((_, message)) = failed.into_iter().next() {
            return Err(RunError::Setup { message });
        }
        let mut workers: Vec<u32> = self.crew.workers.iter().map(|worker| worker.number).collect();
        let on_each = |hook: Option<WorkerHook>, workers: &[u32]| {
            hook.map_or_else(Vec::new, |hook| workers.iter().map(|worker| (*worker, hook())).collect())
        };
        if let Some(remote) = &self.remote {
            // They call theirs.
            workers.clear();
            remote.tell(Command::Prepare);
        }
        let failed = self.call_hooks(HookKind::WorkerSetup, on_each(hooks.worker_setup, &workers)).await?;
        self.wait_for_runners(|news| matches!(news, News::Prepared)).await?;
        workers.retain(|worker| failed.iter().all(|(failed, _)| failed != worker));
        let usage = Usage::now();
        let ran = if let Some((worker, message)) = failed.into_iter().next() {
            Err(RunError::WorkerSetup { worker, message })
        } else if self.crew.stopped.is_none() {
            self.go().await
        } else {
            self.origin = clock::now();
            self.end_rows();
            Ok(())
        };
        let ended =
            Ended { duration: clock::now().saturating_duration_since(self.origin), usage: Usage::now().since(&usage) };
        if ran.is_ok() || self.crew.cut_off(|_| {}).await {
            // A stop that comes now has nothing left to stop.
            let stopped = self.crew.stopped;
            let worker_hooks = on_each(hooks.worker_teardown, &workers);
            let torn_down = self.tear_down(worker_hooks, on_first(hooks.teardown)).await;
            self.crew.stopped = stopped;
            ran?;
            torn_down?;
            return Ok(ended);
        }
        ran.map(|()| ended)
    }

    /// As [`Crew::call`].
    async fn call_hooks(&mut self, kind: HookKind, hooks: Vec<(u32, Hook)>) -> Result<Vec<(u32, String)>, RunError> {
        let answer = || {
            let rows = self.progress.borrow().rows.clone();
            Snapshot { rows, ..self.tally.snapshot(&self.facts.names) }
        };
        self.crew.call(kind, hooks, &answer).await
    }

    /// Goes on with a run that another controller has begun, so many nanoseconds ago.
    async fn resume(&mut self, teardown: Option<Hook>, since_start: u64, is_stopped: bool) -> Result<Ended, RunError> {
        let usage = Usage::now();
        let since = Duration::from_nanos(since_start);
        // No process is as old as a clock is.
        self.origin = clock::now().checked_sub(since).unwrap_or_else(clock::now);
        self.crew.tell_all(|| Command::Go(Moment::now()));
        self.crew.driving = true;
        // What is over was not planned: nobody asked, and starts that are told too late would all come at once.
        let second = since_start / SECOND;
        if self.rows.iter().any(Row::asks) && self.asked < second && !is_stopped {
            let first = std::mem::replace(&mut self.asked, second) + 1;
            if let Some(remote) = &mut self.remote {
                remote.warnings.push(format!(
                    "the run had no controller for a while: nothing was planned by closures from second {first} to {second}"
                ));
            }
        }
        if is_stopped {
            self.stop();
        }
        self.drive().await?;
        let duration = clock::now().saturating_duration_since(self.origin);
        let ended = Ended { duration, usage: Usage::now().since(&usage) };
        let last = teardown.map(|hook| (0, hook)).into_iter().collect();
        self.tear_down(Vec::new(), last).await?;
        Ok(ended)
    }

    async fn tear_down(&mut self, workers: Vec<(u32, Hook)>, last: Vec<(u32, Hook)>) -> Result<(), RunError> {
        let failed = self.call_hooks(HookKind::WorkerTeardown, workers).await?;
        let failed_last = self.call_hooks(HookKind::Teardown, last).await?;
        if let Some((worker, message)) = failed.into_iter().next() {
            return Err(RunError::WorkerTeardown { worker, message });
        }
        failed_last.into_iter().next().map_or(Ok(()), |(_, message)| Err(RunError::Teardown { message }))
    }

    /// The run proper: until all workers have finished.
    async fn go(&mut self) -> Result<(), RunError> {
        self.ask(0)?;
        self.origin = clock::now() + self.pace.lead.max(self.facts.start_delay);
        let start = Moment::of(self.origin);
        self.tell_all(|| Command::Go(start));
        self.crew.driving = true;
        self.drive().await
    }

    /// From the run's start, or from when it was taken over, until all workers have finished.
    async fn drive(&mut self) -> Result<(), RunError> {
        let (origin, began) = (self.origin, clock::now());
        let mut told = 0;
        // On a virtual clock nothing is disturbed by what the machine does.
        let mut next_look = if clock::is_virtual() { None } else { Some(origin) };
        // A worker that has not ended by then is blocked.
        let mut give_up: Option<Instant> = None;
        while self.crew.under_way().next().is_some() || self.remote.as_ref().is_some_and(Remote::is_under_way) {
            let next_ask = self
                .rows
                .iter()
                .any(Row::asks)
                .then(|| ((self.asked + 1) * SECOND).saturating_sub(self.pace.ask_ahead));
            let next_tell = (told + 1) * SECOND + self.pace.tell_after;
            let wake = origin + Duration::from_nanos(next_ask.unwrap_or(u64::MAX).min(next_tell));
            let wake = give_up.map_or(wake, |give_up| wake.min(give_up));
            let wake = next_look.map_or(wake, |next_look| wake.min(next_look));
            let wake = self.inquiry.until.map_or(wake, |until| wake.min(until));
            tokio::select! {
                biased;
                event = self.crew.event() => self.handle(event)?,
                news = news_of(&mut self.remote) => self.take(news)?,
                () = tokio::time::sleep_until(wake.into()) => {}
            }
            let instant = clock::now();
            if next_look.is_some_and(|next_look| instant >= next_look) {
                next_look = Some(instant + LOOK);
                self.look(instant);
            }
            if self.inquiry.until.is_some_and(|until| instant >= until) {
                self.inquiry.workers.clear();
                self.answer_asked();
            }
            let now = crate::clock::nanos_since(origin, instant);
            while next_ask.is_some()
                && self.rows.iter().any(Row::asks)
                && now >= ((self.asked + 1) * SECOND).saturating_sub(self.pace.ask_ahead)
            {
                self.ask(self.asked + 1)?;
            }
            while now >= (told + 1) * SECOND + self.pace.tell_after {
                self.tell_second(told);
                told += 1;
            }
            if give_up.is_none()
                && let Some(end) = self.last_end(now)
            {
                // A run that is taken over may be long past its end.
                let ends = (origin + Duration::from_nanos(end)).max(began) + BLOCKED_AFTER;
                // A graceful stop of centuries never runs out.
                give_up = ends.checked_add(self.facts.graceful_stop);
            }
            if self.crew.stopped == Some(Stopped::AtOnce) {
                give_up =
                    Some(give_up.unwrap_or_else(|| clock::now() + BLOCKED_AFTER).min(clock::now() + BLOCKED_AFTER));
            }
            if let Some(worker) = self.crew.under_way().next()
                && give_up.is_some_and(|give_up| clock::now() >= give_up)
            {
                return Err(self.crew.blocked(worker.number));
            }
        }
        self.account().await?;
        // The seconds that are over and not told yet: the workers have told theirs.
        let now = crate::clock::nanos_since(origin, clock::now());
        while (told + 1) * SECOND <= now {
            self.tell_second(told);
            told += 1;
        }
        self.inquiry.workers.clear();
        self.answer_asked();
        Ok(())
    }

    /// Tells the workers of this process, and the runners of a cluster.
    fn tell_all(&self, command: impl Fn() -> Command) {
        let Some(remote) = &self.remote else { return self.crew.tell_all(command) };
        let told = command();
        // Workers of this process have no rows then.
        if !matches!(told, Command::Extend(..) | Command::Complete(_) | Command::Exhausted(_)) {
            self.crew.tell_all(command);
        }
        remote.tell(told);
    }

    /// Waits until the runners are so far, where there are any.
    async fn wait_for_runners(&mut self, is_so_far: impl Fn(&News) -> bool) -> Result<Option<News>, RunError> {
        while self.remote.is_some() && self.crew.stopped.is_none() {
            tokio::select! {
                biased;
                event = self.crew.event() => self.handle(event)?,
                news = news_of(&mut self.remote) => {
                    if is_so_far(&news) {
                        return Ok(Some(news));
                    }
                    self.take(news)?;
                }
            }
        }
        Ok(None)
    }

    /// Takes in what is told of the runners of a cluster, each of which is a worker to what adds up.
    fn take(&mut self, news: News) -> Result<(), RunError> {
        let Some(remote) = &mut self.remote else { return Ok(()) };
        match news {
            News::Joined { rid, from } => {
                remote.joined(rid);
                self.seconds.joined(rid, from);
                // Those of this process have no journeys, and nothing to tell of any second: until a runner has a share, seconds
                // wait for it.
                for worker in &self.crew.workers {
                    self.seconds.finished(worker.number);
                }
            }
            News::Told { rid, told } => match *told {
                Unpacked::Part => {}
                Unpacked::Second(OfSecond { second, figures }) => {
                    remote.heard(rid);
                    self.seconds.count(second.index, figures.measured.requests(), figures.measured.errors());
                    self.tally.add(second.index, figures);
                    self.seconds.add(rid, vec![second]);
                }
                Unpacked::End { result, differences, warnings } => {
                    remote.ended(rid, result, differences, warnings);
                    self.seconds.finished(rid);
                }
            },
            News::Lost { rid, why } => {
                remote.lost(rid, why);
                self.seconds.finished(rid);
            }
            News::Back { rid } => remote.heard(rid),
            News::Unaccounted { rid, reported, lists } => {
                let rows: Vec<_> = self.rows.iter().map(|row| (row.unit, &row.schedule)).collect();
                remote.results.push(unaccounted(rid, &reported, &lists, &rows, self.facts.warm_up));
            }
            News::Burned { pool, rid, range } => {
                let row = self.pools.get(pool).and_then(|pool| pool.rows.first()).copied().unwrap_or_default();
                let (first, last) = (range.start + 1, range.end);
                remote.warnings.push(format!(
                    "{}: items {first} to {last} of its data pool were with runner {rid} when it was lost, and nobody else was given \
                     them: those that it had not used yet were not used",
                    self.rows[row].name
                ));
            }
            News::NotUsed { pool, items } => {
                for row in self.pools.get(pool).map_or(&[][..], |pool| &pool.rows) {
                    self.rows[*row].not_used = Some(items);
                }
            }
            News::Recording { records, warnings } => {
                self.records = Some(records);
                remote.recorder_warnings = Some(warnings);
            }
            News::Warned(warning) => remote.warnings.push(warning),
            News::Relayed { sent_messages } => {
                remote.results.push(WorkerResult { sent_messages, ..WorkerResult::default() });
            }
            News::Accounted { generator } => remote.used = generator,
            News::Failed(error) => return Err(error.into()),
            News::Ordered(order) => self.recall(&order),
            News::Asked { now: false } => self.stop(),
            News::Asked { now: true } => self.abort(),
            News::Gathered | News::Prepared | News::Resumed { .. } => {}
        }
        Ok(())
    }

    /// Takes over what the controller before has planned as it went.
    fn recall(&mut self, order: &Order) {
        let row = |row: u32| row as usize - 1;
        match *order {
            Order::Extend { row: number, running, segment } => {
                let row = &mut self.rows[row(number)];
                row.unit = if running { Unit::Running } else { Unit::Rate };
                row.schedule.push(Segment::from_parts(segment));
            }
            Order::Complete { row: number } => self.rows[row(number)].complete = true,
            Order::Exhausted { row: number } => self.rows[row(number)].exhausted = true,
            Order::Asked { second } => self.asked = second,
        }
    }

    /// Asks what is known of the runners that have not told their ends.
    async fn account(&mut self) -> Result<(), RunError> {
        if let Some(remote) = &self.remote {
            remote.tell(Command::Account);
        }
        while self.remote.is_some() {
            tokio::select! {
                biased;
                event = self.crew.event() => self.handle(event)?,
                news = news_of(&mut self.remote) => {
                    let is_last = matches!(news, News::Accounted { .. });
                    self.take(news)?;
                    if is_last {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Asks the workers for what is new, for who asks for the run's figures.
    fn ask_workers(&mut self, answer: oneshot::Sender<Arc<Snapshot>>) {
        self.inquiry.answers.push(answer);
        if self.inquiry.until.is_none() {
            self.inquiry.workers = self.crew.under_way().map(|worker| worker.number).collect();
            self.inquiry.until = Some(clock::now() + MOST_ASKED);
            self.tell_all(|| Command::Tell);
        }
        self.answer_asked();
    }

    /// Answers who asked for the run's figures, once all workers that were asked have told theirs.
    fn answer_asked(&mut self) {
        if self.inquiry.workers.is_empty() && !self.inquiry.answers.is_empty() {
            let figures = Arc::new(self.snapshot());
            for answer in std::mem::take(&mut self.inquiry).answers {
                // Who does not wait any longer has asked in vain.
                let _ = answer.send(Arc::clone(&figures));
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let elapsed =
            if self.crew.driving { clock::now().saturating_duration_since(self.origin) } else { Duration::ZERO };
        let rows = self.progress.borrow().rows.clone();
        Snapshot { elapsed, rows, ..self.tally.snapshot(&self.facts.names) }
    }

    /// Looks for what disturbs the run: journeys that block their thread, and clocks that jump.
    fn look(&mut self, now: Instant) {
        for row in self.crew.watch.look(now) {
            let journey = self.facts.names.journey(row);
            tracing::warn!(journey, "a journey blocks its worker's thread");
        }
        self.gaps.look();
    }

    fn handle(&mut self, event: Event) -> Result<(), RunError> {
        match event {
            Event::Finished(number) => {
                self.crew.workers[number as usize].finished = true;
                if self.remote.is_none() {
                    self.seconds.finished(number);
                }
            }
            Event::Seconds(worker, seconds, told) => {
                if let Some(Second { index, .. }) = seconds.last() {
                    self.seconds.count(*index, told.measured.requests(), told.measured.errors());
                    self.tally.add(*index, *told);
                }
                if self.remote.is_none() {
                    self.seconds.add(worker, seconds);
                }
            }
            Event::Told(worker, told) => {
                let now = crate::clock::nanos_since(self.origin, clock::now());
                self.seconds.count(now / SECOND, told.measured.requests(), told.measured.errors());
                self.tally.add(now / SECOND, *told);
                self.inquiry.workers.retain(|asked| *asked != worker);
                self.answer_asked();
            }
            Event::Snapshot(answer) => self.ask_workers(answer),
            Event::Exhausted(row) => {
                self.rows[row.0 as usize - 1].exhausted = true;
                self.tell_all(|| Command::Exhausted(row));
            }
            Event::Stop => self.stop(),
            Event::Abort => self.abort(),
            Event::Died(message) => return Err(RunError::Panicked { message }),
            Event::SinkFailed => return Err(sink_failed()),
            Event::Ready(_) | Event::HookDone(..) => {}
        }
        Ok(())
    }

    /// No new starts; what runs may finish.
    fn stop(&mut self) {
        self.crew.stopped = self.crew.stopped.or(Some(Stopped::Gracefully));
        self.end_rows();
        self.tell_all(|| Command::Stop);
    }

    /// No new starts, and what runs is cancelled.
    fn abort(&mut self) {
        self.crew.stopped = Some(Stopped::AtOnce);
        self.end_rows();
        self.tell_all(|| Command::Abort);
    }

    fn end_rows(&mut self) {
        let now = crate::clock::nanos_since(self.origin, clock::now());
        for row in &mut self.rows {
            row.complete = true;
            row.schedule.cut(now + 1);
        }
    }

    /// The end of the last row, once all of them have ended.
    fn last_end(&self, now: u64) -> Option<u64> {
        self.rows
            .iter()
            .map(|row| match (row.exhausted, row.complete) {
                (true, _) => Some(now),
                (false, true) => Some(row.schedule.end()).filter(|end| now >= *end),
                (false, false) => None,
            })
            .try_fold(0, |latest, end| end.map(|end| latest.max(end)))
    }

    /// Asks the closures for one second to come.
    fn ask(&mut self, second: u64) -> Result<(), RunError> {
        self.asked = second;
        let (start, end) = (second * SECOND, (second + 1) * SECOND);
        for index in 0..self.rows.len() {
            if !self.rows[index].asks() {
                continue;
            }
            let id = RowId(index as u32 + 1);
            let row = &mut self.rows[index];
            let Some(ask) = &mut row.ask else { continue };
            let wrong = |message| RunError::Volume { row: id.0, journey: row.name.clone(), second, message };
            let past_the_cut = self.stop_after.is_some_and(|cut| start >= cut);
            let answer = if past_the_cut { Answer::Stop } else { ask.ask(second).map_err(wrong)? };
            let Answer::Segments(segments) = answer else {
                row.complete = true;
                self.tell_all(|| Command::Complete(id));
                continue;
            };
            row.unit = ask.unit();
            for segment in &segments {
                row.schedule.push(*segment);
            }
            row.complete = row.schedule.end() < end;
            let unit = row.unit;
            for segment in segments {
                self.tell_all(|| Command::Extend(id, unit, segment));
            }
        }
        if let Some(remote) = self.remote.as_ref().filter(|_| self.rows.iter().any(|row| row.ask.is_some())) {
            remote.tell(Command::Asked(second));
        }
        Ok(())
    }

    /// Tells what became of one second: progress, and the `controller_report` message.
    fn tell_second(&mut self, second: u64) {
        let (rows, response_time) = self.seconds.second(second);
        let fresh = self.tally.take_fresh(second);
        let progress = self.progress_of(second, &rows, response_time, &fresh);
        self.progress.send_replace(progress);
        if !self.figures.is_empty() {
            tell_figures(&self.figures, self.snapshot());
        }
        self.hold_against(second, fresh);
        let kind = self.names.kind("controller_report");
        let mut wanted = self.outbox.who_wants("controller_report").lanes;
        if second * SECOND < self.facts.warm_up {
            wanted &= !METRICS;
        }
        if self.follows {
            // Whoever leads sends it.
            wanted &= METRICS;
        }
        if wanted == 0 {
            return;
        }
        let mut own = Vec::new();
        let figures = |(row, of_row): (&Row, _)| row.wanted_and_actual(second, of_row);
        let figures: Vec<(u64, u64)> = self.rows.iter().zip(&rows).map(figures).collect();
        for (name, of) in [("required", 0), ("actual", 1)] {
            pack::write_str(&mut own, name);
            pack::write_map_len(&mut own, figures.len() as u32);
            for (index, (required, actual)) in figures.iter().enumerate() {
                pack::write_uint(&mut own, index as u64 + 1);
                pack::write_f64(&mut own, if of == 0 { *required } else { *actual } as f64);
            }
        }
        pack::write_str(&mut own, "num_runners");
        pack::write_uint(&mut own, self.remote.as_ref().map_or(1, Remote::count));
        let time = self.facts.wall.seconds_at(Moment::now());
        // Who does not wait for a sink that has failed is not told either.
        let _ = self.outbox.push(wanted, Head { kind, time, place: None, own: 3, end: 0 }, &own);
        self.outbox.tick();
        if wanted & METRICS != 0 {
            // What comes of it is told with the next second.
            let mut told = FiguresTold::default();
            told.measured.metrics = self.outbox.meter.tell();
            self.tally.add(second, told);
        }
    }

    fn progress_of(
        &mut self,
        second: u64,
        rows: &[SecondRow],
        response_time: SecondQuantiles,
        fresh: &[FiguresTold],
    ) -> Progress {
        let mut stats = PartFigures::new(self.rows.len() + 1);
        for told in fresh {
            stats.add(&told.measured);
        }
        let usage = Usage::now();
        let cpu_percent = usage.since(&self.usage).cpu_percent(Duration::from_nanos(SECOND));
        self.usage = usage;
        let ends = self.rows.iter().map(|row| (row.complete || row.exhausted).then(|| row.schedule.end()));
        let mut progress = Progress {
            seconds: second + 1,
            planned_seconds: ends
                .collect::<Option<Vec<_>>>()
                .and_then(|ends| Some(ends.into_iter().max()?.div_ceil(SECOND))),
            is_warm_up: second * SECOND < self.facts.warm_up,
            requests: self.tally.requests(&stats),
            errors: self.tally.errors(&stats),
            received: tally::received(&stats),
            cpu_percent,
            start_lag_p99: tally::start_lag_p99(&stats),
            response_time,
            ..Progress::default()
        };
        for (index, (row, of_row)) in self.rows.iter().zip(rows).enumerate() {
            // Summed up anew: what a worker told late is in the sums all the same.
            let sums = self.seconds.sums(index);
            progress.planned += match row.unit {
                Unit::Running => sums.planned,
                Unit::Rate if row.exhausted => sums.started,
                Unit::Rate => row.schedule.before((second + 1) * SECOND),
            };
            progress.started += sums.started;
            progress.completed += sums.completed;
            progress.failed += sums.failed;
            progress.running += of_row.running;
            let (wanted, actual) = row.wanted_and_actual(second, of_row);
            progress.rows.push(RowProgress {
                row: of_row.row,
                journey: row.name.clone(),
                is_closed: row.unit == Unit::Running,
                wanted,
                actual,
                started: of_row.started,
                completed: of_row.completed,
                failed: of_row.failed,
                running: of_row.running,
                response_time: of_row.response_time,
            });
        }
        progress
    }

    /// Holds a second that is over against what the run was told to look at, unless the plan had ended in it.
    fn hold_against(&mut self, second: u64, fresh: Vec<FiguresTold>) {
        let over = (second + 1) * SECOND;
        if self.crew.stopped.is_some() || self.last_end(over).is_some_and(|end| end < over) {
            return;
        }
        let names = Arc::clone(&self.facts.names);
        if let Some(why) = self.conditions.second(second, fresh, self.tally.measured(), &names) {
            self.aborted = Some(why);
            self.stop();
        }
    }
}
