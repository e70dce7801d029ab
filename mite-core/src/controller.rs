//! The thread that carries a run out: it works out the plan, asks closures for theirs second by second, starts and ends the
//! workers and sinks, and makes the report of what they hand over.

mod account;
mod conditions;
pub(crate) mod crew;
mod remote;
pub(crate) mod rows;
mod runners;
pub(crate) mod sinks;
mod tally;
mod telling;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tracing::Span;

use crate::clock::{Gaps, Moment, WallClock};
use crate::cluster::{News, Part};
use crate::exchange::OnExchange;
use crate::hooks::{Hook, HookKind, Hooks, WorkerHook};
use crate::names::{NameCache, Names};
use crate::recordings::Records;
use crate::report::{GeneratorLimits, Report, Stopped};
use crate::row::CheckedRow;
use crate::run::error::RunError;
use crate::run::progress::Progress;
use crate::runner::env::RunFacts;
use crate::runner::permit::Permit;
use crate::runner::protocol::{Command, Event, RowId};
use crate::runner::strand::StrandKind;
use crate::runner::watch::LOOK;
use crate::seconds::{Second, Seconds};
use crate::sink::Sink;
use crate::sink::outbox::Outbox;
use crate::snapshot::Snapshot;
use crate::stats::Metrics;
use crate::threshold::Asked;
use crate::usage::Usage;
use crate::volume::Answer;
use crate::{Config, clock, panics};

use account::{Ended, Left, make_report, take_results};
use conditions::Conditions;
use crew::{BLOCKED_AFTER, Crew, Making, sink_failed};
use remote::Remote;
use rows::{Row, SharedPool, planned, shared_pools};
use runners::{news_of, plan_of};
use sinks::{finish_sinks, start_sinks, tell_figures};
use tally::Tally;
use telling::Inquiry;

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
    pub(crate) max_running: Option<u64>,
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
        max_running: control.max_running,
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
    let follows = control.part.as_ref().is_some_and(|part| part.follows);
    let remote = control.part.take().map(|part| {
        pools = shared_pools(&rows, &row_plans, control.graceful_stop);
        let kinds = pools.iter().map(|pool| pool.kind).collect();
        let plan = plan_of(&control, &facts, &rows, &row_plans);
        Remote::new((part.begin)(plan, Arc::clone(&names), kinds, &sinks.queues))
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
    let aborted = run.crew.hang_up();
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
    // Who asks for figures now has those of the whole run.
    if let Ok(ended) = &outcome {
        let last = Snapshot { elapsed: ended.duration, is_last: true, ..run.tally.snapshot(&run.facts.names) };
        tell_figures(&run.figures, last);
    }
    drop(run.figures);
    let served = finish_sinks(sinks, sent).await;
    // What this process has sent is taken before the run is over.
    if let Some(mut remote) = apart {
        finished = remote.finish(aborted).await;
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
            let give_up_at = give_up.filter(|_| self.crew.under_way().next().is_some());
            let wake = give_up_at.map_or(wake, |give_up| wake.min(give_up));
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
            let now = clock::nanos_since(origin, instant);
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
        self.account_for_runners().await?;
        // The seconds that are over and not told yet: the workers have told theirs.
        let now = clock::nanos_since(origin, clock::now());
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
                let now = clock::nanos_since(self.origin, clock::now());
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
        let now = clock::nanos_since(self.origin, clock::now());
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
}
