//! The thread that carries a run out: it works out the plan, asks closures for theirs second by second, starts and ends the
//! workers and sinks, and makes the report of what they hand over.

mod conditions;
mod tally;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::Span;

use crate::clock::{Gaps, Moment, WallClock};
use crate::exchange::OnExchange;
use crate::figures::{FiguresTold, PartFigures};
use crate::hooks::{Hook, HookKind, HookReport, Hooks, WorkerHook};
use crate::message::Head;
use crate::names::{NameCache, Names};
use crate::recordings::Records;
use crate::report::settings::{RowSettings, RunSettings};
use crate::report::{
    self, Facts, Generator, GeneratorLimits, Report, RowFacts, SecondQuantiles, SecondRow, SinkReport, Stopped,
};
use crate::row::{CheckedRow, Plan};
use crate::run::error::RunError;
use crate::run::progress::{Progress, RowProgress};
use crate::runner::env::RunFacts;
use crate::runner::options::RowOptions;
use crate::runner::protocol::{Command, Event, RowId, WorkerResult};
use crate::runner::state::{WorkerPlan, WorkerRowPlan};
use crate::runner::strand::{Lost, Strand, StrandKind};
use crate::runner::watch::{Blocked, Calling, LOOK, Watch};
use crate::runner::worker;
use crate::schedule::{Schedule, Stripe};
use crate::seconds::{Second, Seconds};
use crate::sink::outbox::{METRICS, Outbox};
use crate::sink::queue::{self, SinkQueue, SinkStrand, Spawned};
use crate::sink::{Sink, SinkError};
use crate::snapshot::Snapshot;
use crate::stats::Metrics;
use crate::threshold::Asked;
use crate::usage::Usage;
use crate::volume::{Answer, Asking, Unit};
use crate::{Config, clock, pack, panics};

use conditions::Conditions;
use tally::Tally;

const SECOND: u64 = 1_000_000_000;
/// From all being ready to the first start: for the workers to be told.
const LEAD: Duration = Duration::from_millis(5);
/// A closure is asked this long before the second that it is asked about.
const ASK_AHEAD: u64 = SECOND / 2;
/// How long after it should have ended a worker is taken to be blocked.
const BLOCKED_AFTER: Duration = Duration::from_secs(3);
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
}

/// Carries a run out on this thread.
pub(crate) fn run(control: Control) -> Result<Report, RunError> {
    panics::install();
    #[cfg(feature = "testing")]
    if control.strands == StrandKind::Task {
        let runtime = clock::virtual_clock::runtime().map_err(RunError::Thread)?;
        return clock::virtual_clock::run(&runtime, carry_out(control));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(RunError::Thread)?;
    runtime.block_on(carry_out(control))
}

/// One row as the controller sees it.
struct Row {
    name: String,
    unit: Unit,
    schedule: Schedule,
    /// A closure.
    ask: Option<Asking>,
    complete: bool,
    /// The row's data ran out.
    exhausted: bool,
    pool: Box<dyn crate::runner::state::RowSpec>,
}

struct Worker {
    number: u32,
    commands: mpsc::UnboundedSender<Command>,
    strand: Strand<Option<WorkerResult>>,
    finished: bool,
}

#[derive(Default)]
struct Sinks {
    queues: Vec<SinkQueue>,
    strands: Vec<SinkStrand>,
    /// To those that want the run's figures.
    figures: Vec<watch::Sender<Option<Arc<Snapshot>>>>,
}

async fn carry_out(control: Control) -> Result<Report, RunError> {
    let mut journeys = vec![HOOKS.to_owned()];
    journeys.extend(control.rows.iter().map(|row| row.name.clone()));
    let names = Arc::new(Names::new(control.name, journeys));
    let facts = Arc::new(RunFacts {
        names: Arc::clone(&names),
        config: control.config,
        wall: WallClock::now(),
        seed: control.seed,
        workers: control.workers,
        graceful_stop: control.graceful_stop,
        start_delay: control.start_delay,
        limits: control.limits,
        warm_up: control.warm_up,
        max_series_bytes: control.max_series_bytes,
        max_running: Some(control.max_running).filter(|most| *most != u64::MAX),
        on_exchange: control.on_exchange,
        metrics: Arc::new(control.metrics),
    });
    let mut sinks = start_sinks(control.sinks, &names, control.strands, &control.span, &control.events)?;
    let (row_plans, rows) = planned(control.rows, control.stop_after);
    let seconds = Seconds::new(control.workers, rows.len());
    let tally = Tally::new(rows.len() + 1, control.max_series_bytes / 2, &facts.metrics);
    let conditions = Conditions::new(control.asked, Duration::from_nanos(control.warm_up));
    let calling: Vec<Arc<Calling>> = (0..control.workers).map(|_| Arc::default()).collect();
    let mut run = Controller {
        strands: control.strands,
        span: control.span.clone(),
        outbox: Outbox::new(&sinks.queues, facts.meter()),
        figures: std::mem::take(&mut sinks.figures),
        inquiry: Inquiry::default(),
        names: NameCache::new(Arc::clone(&names)),
        facts,
        rows,
        workers: Vec::new(),
        received: control.received,
        stop_after: control.stop_after,
        progress: control.progress,
        tally,
        conditions,
        aborted: None,
        usage: Usage::now(),
        origin: clock::now(),
        stopped: None,
        driving: false,
        seconds,
        gaps: Gaps::default(),
        hooks: Vec::new(),
        watch: Watch::new(calling.clone()),
    };
    let started = run.start_workers(&row_plans, control.max_running, &calling, &sinks, &control.events);
    // From here on the workers are told to end, whatever happens.
    let outcome = match started {
        Ok(()) => run.conduct(control.hooks).await,
        Err(error) => Err(error),
    };
    // A sink that has failed ends the run with its own error.
    let _ = run.outbox.finish().await;
    let mut sent = run.outbox.sent();
    drop(run.outbox);
    let (results, joined) = join_workers(run.workers, outcome.is_err(), &run.facts, &run.watch).await;
    let bugs = take_results(results, &mut run.tally, &mut sent);
    // Who still asks for figures is told that the run is over, and has those of the whole run.
    drop(run.received);
    if let Ok(ended) = &outcome {
        let last = Snapshot { elapsed: ended.duration, is_last: true, ..run.tally.snapshot(&run.facts.names) };
        tell_figures(&run.figures, last);
    }
    drop(run.figures);
    let served = finish_sinks(sinks, sent).await;
    // The first cause is told: a failed sink makes journeys fail, and not the other way round.
    let sinks = served?;
    let ended = outcome?;
    joined?;
    let left = Left {
        rows: run.rows,
        seconds: run.seconds,
        tally: run.tally,
        sinks,
        bugs,
        conditions: run.conditions,
        stopped: run.stopped,
        aborted: run.aborted,
        blocked: run.watch.into_blocked(),
        gaps: run.gaps.into_told(),
        hooks: run.hooks,
        stop_after: run.stop_after,
    };
    Ok(make_report(&run.facts, left, ended, control.records, &control.warnings))
}

/// The rows as the workers are told of them, and as the controller sees them.
fn planned(checked: Vec<CheckedRow>, stop_after: Option<u64>) -> (Vec<RowPlan>, Vec<Row>) {
    let mut row_plans = Vec::new();
    let mut rows = Vec::new();
    for row in checked {
        let (unit, each, mut schedule, ask) = match row.plan {
            Plan::Known(schedule, unit, each) => (unit, each, schedule, None),
            Plan::Asked(asking, None) => (asking.unit(), None, Schedule::unknown(), Some(asking)),
            Plan::Asked(asking, Some(part)) => (asking.unit(), None, Schedule::unknown().part(part), Some(asking)),
        };
        if let Some(cut) = stop_after {
            schedule.cut(cut);
        }
        row_plans.push((each, row.options));
        rows.push(Row {
            name: row.name,
            unit,
            schedule,
            complete: ask.is_none(),
            ask,
            exhausted: false,
            pool: row.spec,
        });
    }
    (row_plans, rows)
}

fn start_sinks(
    sinks: Vec<Box<dyn Sink>>,
    names: &Arc<Names>,
    strands: StrandKind,
    span: &Span,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<Sinks, RunError> {
    let mut started = Sinks::default();
    for sink in sinks {
        let (events, name, is_essential) = (events.clone(), sink.name().to_owned(), sink.is_essential());
        let on_failure = move |error: &SinkError| {
            if is_essential {
                let _ = events.send(Event::SinkFailed);
            } else {
                tracing::error!("the {name} failed, and the run goes on without it: {error}");
            }
        };
        let spawned = queue::spawn(sink, Arc::clone(names), strands, span, on_failure);
        let Spawned { queue, strand, figures } = spawned.map_err(RunError::Thread)?;
        started.queues.push(queue);
        started.strands.push(strand);
        started.figures.extend(figures);
    }
    Ok(started)
}

/// Lets the sinks take what is queued and end; `sent` is how many messages were meant for each.
async fn finish_sinks(sinks: Sinks, sent: Vec<u64>) -> Result<Vec<SinkReport>, RunError> {
    let mut reports = Vec::new();
    let mut outcome = Ok(());
    for (strand, sent) in sinks.strands.into_iter().zip(sent) {
        let (sink, is_essential) = (strand.name.to_string(), strand.is_essential);
        let (taken, served) = strand.finish().await;
        let failure = served.as_ref().err().map(ToString::to_string);
        reports.push(SinkReport { sink: sink.clone(), taken, dropped: sent.saturating_sub(taken), failure });
        if let Err(cause) = served
            && is_essential
            && outcome.is_ok()
        {
            outcome = Err(RunError::Sink { sink, cause });
        }
    }
    outcome.map(|()| reports)
}

/// Hands figures to the sinks that want them.
fn tell_figures(figures: &[watch::Sender<Option<Arc<Snapshot>>>], snapshot: Snapshot) {
    let snapshot = Arc::new(snapshot);
    for sink in figures {
        sink.send_replace(Some(Arc::clone(&snapshot)));
    }
}

/// Adds up what the workers hand over at their ends, and gives what does not add up.
fn take_results(results: Vec<WorkerResult>, tally: &mut Tally, sent: &mut [u64]) -> Vec<String> {
    let mut bugs = Vec::new();
    for result in results {
        tally.add_last(&result.figures);
        for (sent, more) in sent.iter_mut().zip(result.sent_messages) {
            *sent += more;
        }
        for (row, planned, passed) in result.miscounted {
            bugs.push(format!("row {row}: a worker planned {planned} starts and passed over {passed}"));
        }
    }
    bugs
}

/// Tells the workers to exit and takes their figures; a worker that does not answer is left behind.
async fn join_workers(
    workers: Vec<Worker>,
    failed: bool,
    facts: &RunFacts,
    watch: &Watch,
) -> (Vec<WorkerResult>, Result<(), RunError>) {
    let mut results = Vec::new();
    let mut outcome = Ok(());
    for worker in &workers {
        if failed {
            let _ = worker.commands.send(Command::Abort);
        }
        let _ = worker.commands.send(Command::Exit);
    }
    for worker in workers {
        // A worker whose journeys have ended is not blocked: it may have to wait for a slow disk to take its last messages,
        // however long that is.
        let wait = if worker.finished { Duration::MAX } else { BLOCKED_AFTER };
        match worker.strand.join(wait).await {
            Ok(Some(result)) => results.push(result),
            Ok(None) => {}
            Err(Lost::Blocked) => {
                tracing::warn!(worker = worker.number, "the worker is blocked and was left behind");
                outcome = Err(blocked(facts, watch, worker.number));
            }
            Err(Lost::Panicked(payload)) => {
                outcome = Err(RunError::Panicked { message: panics::text(&*payload) });
            }
        }
    }
    (results, outcome)
}

/// The error that tells which worker is blocked, and by what.
fn blocked(facts: &RunFacts, watch: &Watch, worker: u32) -> RunError {
    let journey = match watch.calling(worker) {
        Some(0) => "setup or teardown".to_owned(),
        Some(row) => facts.names.journey(row).to_owned(),
        None => "a task that a journey has spawned".to_owned(),
    };
    RunError::Blocked { worker, journey }
}

/// Ends the run; the cause is told by the sink's thread when it is joined.
fn sink_failed() -> RunError {
    RunError::Sink { sink: "sink".to_owned(), cause: "it has stopped".into() }
}

/// What a run leaves behind, besides what its workers tell in the end.
struct Left {
    rows: Vec<Row>,
    seconds: Seconds,
    tally: Tally,
    sinks: Vec<SinkReport>,
    bugs: Vec<String>,
    conditions: Conditions,
    stopped: Option<Stopped>,
    aborted: Option<String>,
    /// By row.
    blocked: BTreeMap<u32, Blocked>,
    gaps: Vec<String>,
    hooks: Vec<HookReport>,
    stop_after: Option<u64>,
}

/// How a run ended, when it could be carried out.
#[derive(Debug, Clone, Copy)]
struct Ended {
    duration: Duration,
    usage: Usage,
}

struct Controller {
    strands: StrandKind,
    span: Span,
    facts: Arc<RunFacts>,
    rows: Vec<Row>,
    workers: Vec<Worker>,
    received: mpsc::UnboundedReceiver<Event>,
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
    stopped: Option<Stopped>,
    /// Whether the workers have been told to go.
    driving: bool,
    seconds: Seconds,
    watch: Watch,
    gaps: Gaps,
    hooks: Vec<HookReport>,
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

/// Starts of each slot, and how a row's journeys are run.
type RowPlan = (Option<u64>, RowOptions);

impl Controller {
    fn start_workers(
        &mut self,
        row_plans: &[RowPlan],
        max_running: u64,
        calling: &[Arc<Calling>],
        sinks: &Sinks,
        events: &mpsc::UnboundedSender<Event>,
    ) -> Result<(), RunError> {
        let stripes = Stripe::by_weights(&vec![1; self.facts.workers as usize]);
        for ((number, stripe), calling) in stripes.into_iter().enumerate().zip(calling) {
            let (commands, receiver) = mpsc::unbounded_channel();
            let rows = self.rows.iter().zip(row_plans).map(|(row, (iterations_each, options))| WorkerRowPlan {
                spec: row.pool.for_worker(),
                schedule: row.schedule.clone(),
                iterations_each: *iterations_each,
                unit: row.unit,
                complete: row.complete,
                // At least one each: less is refused before.
                options: RowOptions { max_running: stripe.share(options.max_running), ..*options },
            });
            let plan = WorkerPlan {
                number: number as u32,
                facts: Arc::clone(&self.facts),
                rows: rows.collect(),
                max_running: match max_running {
                    u64::MAX => u64::MAX,
                    most => stripe.share(most),
                },
                calling: Arc::clone(calling),
                stripe,
                queues: sinks.queues.clone(),
                commands: receiver,
                events: events.clone(),
            };
            let events = events.clone();
            let died = move |payload: Box<dyn Any + Send>| {
                let _ = events.send(Event::Died(panics::text(&*payload)));
                None
            };
            let strand = match self.strands {
                StrandKind::Thread => {
                    let span = tracing::info_span!(parent: &self.span, "worker", number);
                    Strand::thread(format!("mite-worker-{number}"), span, move || {
                        catch_unwind(AssertUnwindSafe(|| worker::run(plan))).unwrap_or_else(died)
                    })
                }
                #[cfg(feature = "testing")]
                StrandKind::Task => {
                    Ok(Strand::task(async move { panics::caught_in(worker::work(plan)).await.unwrap_or_else(died) }))
                }
            };
            let strand = strand.map_err(RunError::Thread)?;
            self.workers.push(Worker { number: number as u32, commands, strand, finished: false });
        }
        Ok(())
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        for worker in &self.workers {
            // A worker that has gone has told why.
            let _ = worker.commands.send(command());
        }
    }

    /// From the workers being ready to the end of teardown.
    async fn conduct(&mut self, hooks: Hooks) -> Result<Ended, RunError> {
        for _ in 0..self.workers.len() {
            self.wait_ready().await?;
        }
        let on_first = |hook: Option<Hook>| hook.map(|hook| (0, hook)).into_iter().collect();
        let failed = self.call(HookKind::Setup, on_first(hooks.setup)).await?;
        if let Some((_, message)) = failed.into_iter().next() {
            return Err(RunError::Setup { message });
        }
        let mut workers: Vec<u32> = self.workers.iter().map(|worker| worker.number).collect();
        let on_each = |hook: Option<WorkerHook>, workers: &[u32]| {
            hook.map_or_else(Vec::new, |hook| workers.iter().map(|worker| (*worker, hook())).collect())
        };
        let failed = self.call(HookKind::WorkerSetup, on_each(hooks.worker_setup, &workers)).await?;
        workers.retain(|worker| failed.iter().all(|(failed, _)| failed != worker));
        let usage = Usage::now();
        let ran = if let Some((worker, message)) = failed.into_iter().next() {
            Err(RunError::WorkerSetup { worker, message })
        } else if self.stopped.is_none() {
            self.go().await
        } else {
            self.origin = clock::now();
            self.end_rows();
            Ok(())
        };
        let ended =
            Ended { duration: clock::now().saturating_duration_since(self.origin), usage: Usage::now().since(&usage) };
        if ran.is_ok() || self.cut_off().await {
            // A stop that comes now has nothing left to stop.
            let stopped = self.stopped;
            let worker_hooks = on_each(hooks.worker_teardown, &workers);
            let torn_down = self.tear_down(worker_hooks, on_first(hooks.teardown)).await;
            self.stopped = stopped;
            ran?;
            torn_down?;
            return Ok(ended);
        }
        ran.map(|()| ended)
    }

    async fn tear_down(&mut self, workers: Vec<(u32, Hook)>, last: Vec<(u32, Hook)>) -> Result<(), RunError> {
        let failed = self.call(HookKind::WorkerTeardown, workers).await?;
        let failed_last = self.call(HookKind::Teardown, last).await?;
        if let Some((worker, message)) = failed.into_iter().next() {
            return Err(RunError::WorkerTeardown { worker, message });
        }
        failed_last.into_iter().next().map_or(Ok(()), |(_, message)| Err(RunError::Teardown { message }))
    }

    /// Cancels the journeys of a run that cannot go on, and says whether all of them have let go.
    async fn cut_off(&mut self) -> bool {
        if !self.driving {
            return true;
        }
        self.tell_all(|| Command::Abort);
        let deadline = clock::now() + BLOCKED_AFTER;
        while self.workers.iter().any(|worker| !worker.finished) {
            match tokio::time::timeout_at(deadline.into(), self.event()).await {
                Err(_) | Ok(Event::Died(_)) => return false,
                Ok(Event::Finished(number)) => self.workers[number as usize].finished = true,
                Ok(_) => {}
            }
        }
        true
    }

    async fn event(&mut self) -> Event {
        // The controller keeps no sender itself, but each worker and the handle do.
        self.received.recv().await.unwrap_or(Event::Abort)
    }

    async fn wait_ready(&mut self) -> Result<(), RunError> {
        loop {
            match self.event().await {
                Event::Ready(outcome) => return outcome.map_err(RunError::Worker),
                Event::Died(message) => return Err(RunError::Panicked { message }),
                Event::Stop => self.stopped = self.stopped.or(Some(Stopped::Gracefully)),
                Event::Abort => self.stopped = Some(Stopped::AtOnce),
                Event::SinkFailed => return Err(sink_failed()),
                Event::Snapshot(answer) => self.answer(answer),
                Event::HookDone(..)
                | Event::Seconds(..)
                | Event::Told(..)
                | Event::Exhausted(_)
                | Event::Finished(_) => {}
            }
        }
    }

    /// Calls hooks on their workers, all at once, and gives those that failed with their errors.
    ///
    /// A stop lets them finish within the graceful stop, an abort cuts them off.
    async fn call(&mut self, kind: HookKind, hooks: Vec<(u32, Hook)>) -> Result<Vec<(u32, String)>, RunError> {
        let mut called: Vec<u32> = Vec::new();
        for (worker, hook) in hooks {
            let _ = self.workers[worker as usize].commands.send(Command::Hook(hook));
            called.push(worker);
        }
        let mut failed = Vec::new();
        // When they are cut off, and when their workers are taken to be blocked.
        let (mut cut_off_at, mut give_up) = (None, None);
        if self.stopped == Some(Stopped::AtOnce) {
            cut_off_at = clock::now().checked_add(self.facts.graceful_stop);
        }
        while let Some(first) = called.first().copied() {
            let event = match give_up.or(cut_off_at) {
                Some(wake) => tokio::time::timeout_at(wake.into(), self.event()).await,
                None => Ok(self.event().await),
            };
            match event {
                Ok(Event::HookDone(worker, took, outcome)) => {
                    called.retain(|called| *called != worker);
                    self.hooks.push(HookReport::new(kind, worker, took));
                    failed.extend(outcome.err().map(|message| (worker, message)));
                }
                Ok(Event::Died(message)) => return Err(RunError::Panicked { message }),
                Ok(Event::SinkFailed) => return Err(sink_failed()),
                Ok(Event::Stop) => {
                    self.stopped = self.stopped.or(Some(Stopped::Gracefully));
                    cut_off_at = cut_off_at.or(clock::now().checked_add(self.facts.graceful_stop));
                }
                Ok(Event::Snapshot(answer)) => self.answer(answer),
                Ok(
                    Event::Ready(_) | Event::Seconds(..) | Event::Told(..) | Event::Exhausted(_) | Event::Finished(_),
                ) => {}
                Err(_) if give_up.is_some() => return Err(blocked(&self.facts, &self.watch, first)),
                Ok(Event::Abort) | Err(_) => {
                    self.stopped = Some(Stopped::AtOnce);
                    give_up = give_up.or(Some(clock::now() + BLOCKED_AFTER));
                    for worker in &called {
                        let _ = self.workers[*worker as usize].commands.send(Command::Abort);
                    }
                }
            }
        }
        failed.sort_by_key(|(worker, _)| *worker);
        Ok(failed)
    }

    /// The run proper: until all workers have finished.
    async fn go(&mut self) -> Result<(), RunError> {
        let mut asked = 0;
        self.ask(asked)?;
        self.origin = clock::now() + LEAD.max(self.facts.start_delay);
        let origin = self.origin;
        let start = Moment::of(origin);
        self.tell_all(|| Command::Go(start));
        self.driving = true;
        let mut told = 0;
        // On a virtual clock nothing is disturbed by what the machine does.
        let mut next_look = if clock::is_virtual() { None } else { Some(origin) };
        // A worker that has not ended by then is blocked.
        let mut give_up: Option<Instant> = None;
        while self.workers.iter().any(|worker| !worker.finished) {
            let next_ask = self.rows.iter().any(Row::asks).then(|| (asked + 1) * SECOND - ASK_AHEAD);
            let next_tell = (told + 1) * SECOND + SECOND / 4;
            let wake = origin + Duration::from_nanos(next_ask.unwrap_or(u64::MAX).min(next_tell));
            let wake = give_up.map_or(wake, |give_up| wake.min(give_up));
            let wake = next_look.map_or(wake, |next_look| wake.min(next_look));
            let wake = self.inquiry.until.map_or(wake, |until| wake.min(until));
            tokio::select! {
                biased;
                event = self.event() => self.handle(event)?,
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
            while next_ask.is_some() && self.rows.iter().any(Row::asks) && now >= (asked + 1) * SECOND - ASK_AHEAD {
                asked += 1;
                self.ask(asked)?;
            }
            while now >= (told + 1) * SECOND + SECOND / 4 {
                self.tell_second(told);
                told += 1;
            }
            if give_up.is_none()
                && let Some(end) = self.last_end(now)
            {
                let ends = origin + Duration::from_nanos(end) + BLOCKED_AFTER;
                // A graceful stop of centuries never runs out.
                give_up = ends.checked_add(self.facts.graceful_stop);
            }
            if self.stopped == Some(Stopped::AtOnce) {
                give_up =
                    Some(give_up.unwrap_or_else(|| clock::now() + BLOCKED_AFTER).min(clock::now() + BLOCKED_AFTER));
            }
            if let Some(worker) = self.workers.iter().find(|worker| !worker.finished)
                && give_up.is_some_and(|give_up| clock::now() >= give_up)
            {
                return Err(blocked(&self.facts, &self.watch, worker.number));
            }
        }
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

    /// Asks the workers for what is new, for who asks for the run's figures.
    fn ask_workers(&mut self, answer: oneshot::Sender<Arc<Snapshot>>) {
        self.inquiry.answers.push(answer);
        if self.inquiry.until.is_none() {
            let under_way = self.workers.iter().filter(|worker| !worker.finished);
            self.inquiry.workers = under_way.map(|worker| worker.number).collect();
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

    /// Answers with the figures that there are, while the workers cannot be asked.
    fn answer(&self, answer: oneshot::Sender<Arc<Snapshot>>) {
        let _ = answer.send(Arc::new(self.snapshot()));
    }

    fn snapshot(&self) -> Snapshot {
        let elapsed = if self.driving { clock::now().saturating_duration_since(self.origin) } else { Duration::ZERO };
        let rows = self.progress.borrow().rows.clone();
        Snapshot { elapsed, rows, ..self.tally.snapshot(&self.facts.names) }
    }

    /// Looks for what disturbs the run: journeys that block their thread, and clocks that jump.
    fn look(&mut self, now: Instant) {
        for row in self.watch.look(now) {
            let journey = self.facts.names.journey(row);
            tracing::warn!(journey, "a journey blocks its worker's thread");
        }
        self.gaps.look();
    }

    fn handle(&mut self, event: Event) -> Result<(), RunError> {
        match event {
            Event::Finished(number) => {
                self.workers[number as usize].finished = true;
                self.seconds.finished(number);
            }
            Event::Seconds(worker, seconds, told) => {
                if let Some(Second { index, .. }) = seconds.last() {
                    self.seconds.count(*index, told.measured.requests(), told.measured.errors());
                    self.tally.add(*index, *told);
                }
                self.seconds.add(worker, seconds);
            }
            Event::Told(worker, told) => {
                let now = crate::clock::nanos_since(self.origin, clock::now());
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
            Event::Abort => {
                self.stopped = Some(Stopped::AtOnce);
                self.end_rows();
                self.tell_all(|| Command::Abort);
            }
            Event::Died(message) => return Err(RunError::Panicked { message }),
            Event::SinkFailed => return Err(sink_failed()),
            Event::Ready(_) | Event::HookDone(..) => {}
        }
        Ok(())
    }

    /// No new starts; what runs may finish.
    fn stop(&mut self) {
        self.stopped = self.stopped.or(Some(Stopped::Gracefully));
        self.end_rows();
        self.tell_all(|| Command::Stop);
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
        pack::write_uint(&mut own, 1);
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
        if self.stopped.is_some() || self.last_end(over).is_some_and(|end| end < over) {
            return;
        }
        let names = Arc::clone(&self.facts.names);
        if let Some(why) = self.conditions.second(second, fresh, self.tally.measured(), &names) {
            self.aborted = Some(why);
            self.stop();
        }
    }
}

impl Row {
    /// As `controller_report` has it: of a rate the starts planned and made in one second, and in the closed model the journeys
    /// wanted and running at its end.
    fn wanted_and_actual(&self, second: u64, of_row: &SecondRow) -> (u64, u64) {
        match self.unit {
            Unit::Rate => (self.planned_in(second, of_row), of_row.started),
            Unit::Running => (self.schedule.running_at(second * SECOND + SECOND - 1), of_row.running),
        }
    }

    fn asks(&self) -> bool {
        self.ask.is_some() && !self.complete && !self.exhausted
    }

    /// Starts planned in one second: by the schedule, or, in the closed model, as slots became free.
    fn planned_in(&self, second: u64, counted: &SecondRow) -> u64 {
        match self.unit {
            Unit::Running => counted.planned,
            // What is due after the data ran out is not planned.
            Unit::Rate if self.exhausted => counted.started,
            Unit::Rate => self.schedule.between(second * SECOND, (second + 1) * SECOND),
        }
    }
}

fn make_report(
    facts: &RunFacts,
    left: Left,
    ended: Ended,
    records: Option<Records>,
    warnings: &Mutex<Vec<String>>,
) -> Report {
    let Left { rows, seconds, tally, conditions, .. } = left;
    let mut warnings = std::mem::take(&mut *warnings.lock().unwrap_or_else(PoisonError::into_inner));
    warnings.extend(left.gaps);
    warnings.extend(left.sinks.iter().filter_map(SinkReport::warning));
    if facts.names.overflowed() {
        warnings.push(
            "there were over 10000 different transaction names: those that came later are told as `__overflow__`. \
             A name should not hold what differs from user to user"
                .to_owned(),
        );
    }
    let last = ended.duration.as_nanos() as u64 / SECOND;
    let per_second =
        seconds.into_report(last, facts.warm_up, |row, second, counted| rows[row].planned_in(second, counted));
    let settings = settings(facts, left.stop_after, &rows);
    let row_facts = rows
        .into_iter()
        .map(|row| {
            // A pool that ends and did not: how much of it was not used.
            let unused = row.pool.left().filter(|left| *left > 0 && row.pool.ends());
            RowFacts { journey: row.name, unused_items: unused }
        })
        .collect();
    report::make(
        &facts.names,
        tally.into_figures(),
        |tables| conditions.into_checked(tables),
        Facts {
            scenario: facts.names.test.clone(),
            started_at: facts.wall.start(),
            duration: ended.duration,
            rows: row_facts,
            stopped: left.stopped,
            aborted: left.aborted,
            limits: facts.limits,
            warm_up: Duration::from_nanos(facts.warm_up),
            max_series_bytes: facts.max_series_bytes,
            bugs: left.bugs,
            warnings,
            sinks: left.sinks,
            blocked: left.blocked.iter().map(|(row, blocked)| blocked.told(facts.names.journey(*row))).collect(),
            records: records.map(|records| records.taken()).unwrap_or_default(),
            per_second,
            hooks: left.hooks,
            settings,
            generator: Generator {
                workers: facts.workers,
                cpu_percent: ended.usage.cpu_percent(ended.duration),
                peak_rss_bytes: ended.usage.peak_rss_bytes(),
                start_lag_p99_us: 0,
            },
        },
    )
}

fn settings(facts: &RunFacts, stop_after: Option<u64>, rows: &[Row]) -> RunSettings {
    let plan = |(number, row): (u32, &Row)| RowSettings::new(number, row.name.clone(), row.unit, &row.schedule);
    RunSettings {
        workers: facts.workers,
        seed: facts.seed,
        stop_after: stop_after.map(Duration::from_nanos),
        graceful_stop: facts.graceful_stop,
        start_delay: facts.start_delay,
        max_running: facts.max_running,
        max_start_lag: facts.limits.most_lag,
        min_achieved: facts.limits.least_achieved,
        config: facts.config.keys().map(str::to_owned).collect(),
        rows: (1..).zip(rows).map(plan).collect(),
    }
}
