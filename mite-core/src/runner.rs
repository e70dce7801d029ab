//! Running a scenario: the options of a run, its handle, and what it can fail with.
//!
//! The run's work is done by threads of its own, so that it can be awaited inside any runtime: the
//! [controller](crate::controller) plans, [workers](worker) start journeys, sinks write.

pub(crate) mod env;
mod slots;
pub(crate) mod timer;
pub(crate) mod visit;
pub(crate) mod watch;
pub(crate) mod worker;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::controller::{self, Control};
use crate::limits;
use crate::preview::{self, Preview};
use crate::recorder::Recorder;
use crate::report::{GeneratorLimits, Report, SecondQuantiles};
use crate::scenario::{CheckedRow, Row, RowError, Scenario};
use crate::sink::{self, MOST_SINKS, Sink, SinkError};
use crate::volume::{HOUR, SpawnRate, VolumeError, nanos};
use crate::{Config, Error};

use worker::Event;

/// How long journeys may go on after the last start, unless the run says otherwise.
const GRACEFUL_STOP: Duration = Duration::from_secs(30);
/// What the figures of transactions and requests may take, unless the run says otherwise.
const MAX_SERIES_BYTES: u64 = 256 << 20;
/// How long dropping a run waits for its threads.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// Runs a scenario with one worker and no recorder, and gives its report.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mite_core::Result {
/// use mite_core::volume::{constant, SECOND};
/// use mite_core::{Context, NoData, Result, Scenario};
///
/// async fn browse(_ctx: &mut Context) -> Result {
///     Ok(())
/// }
///
/// let report = mite_core::run(Scenario::new().journey(browse, NoData, constant(100, SECOND / 10))).await?;
/// assert_eq!(report.journeys[0].completed, 10);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Run::run`].
pub async fn run(scenario: Scenario) -> Result<Report, RunError> {
    Run::new(scenario).run().await
}

/// A run of a scenario that is being prepared.
#[must_use = "a run does nothing until it is started"]
pub struct Run {
    scenario: Scenario,
    config: Config,
    workers: usize,
    recorder: Option<PathBuf>,
    sinks: Vec<Box<dyn Sink>>,
    stop_after: Option<Duration>,
    graceful_stop: Duration,
    start_delay: Duration,
    warm_up: Duration,
    max_series_bytes: u64,
    spawn_rate: Option<f64>,
    max_running: Option<u64>,
    seed: u64,
    limits: GeneratorLimits,
    endless: bool,
}

impl Run {
    /// Prepares a run with one worker, no recorder and an empty config.
    pub fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            config: Config::new(),
            workers: 1,
            recorder: None,
            sinks: Vec::new(),
            stop_after: None,
            graceful_stop: GRACEFUL_STOP,
            start_delay: Duration::ZERO,
            warm_up: Duration::ZERO,
            max_series_bytes: MAX_SERIES_BYTES,
            spawn_rate: None,
            max_running: None,
            seed: 0,
            limits: GeneratorLimits::default(),
            endless: false,
        }
    }

    /// Sets a key of the config.
    ///
    /// # Panics
    /// As [`Config::set`].
    pub fn config(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.config.set(key, value);
        self
    }

    /// Sets all keys that `config` has.
    pub fn with_config(mut self, config: Config) -> Self {
        self.config.overlay(config);
        self
    }

    /// How many worker threads start journeys: 1 unless told otherwise, 1024 at the most.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Activates the recorder, which writes what journeys record to `folder/NAME.msgpack`. The folder is made with the first
    /// record.
    pub fn recorder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.recorder = Some(folder.into());
        self
    }

    /// Adds a receiver of messages.
    pub fn sink(mut self, sink: impl Sink) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Ends the run after so long: no new starts, then the graceful stop.
    pub fn stop_after(mut self, duration: Duration) -> Self {
        self.stop_after = Some(duration);
        self
    }

    /// How long journeys may go on after the last start before they are cancelled: 30 s unless told otherwise.
    pub fn graceful_stop(mut self, duration: Duration) -> Self {
        self.graceful_stop = duration;
        self
    }

    /// Waits so long after setup before the first start: a day at the most.
    pub fn start_delay(mut self, delay: Duration) -> Self {
        self.start_delay = delay;
        self
    }

    /// Leaves what is due in the first part of the run out of the figures and the verdict, while caches fill and connections
    /// are made: none unless told otherwise, a day at the most.
    ///
    /// A start belongs to the warm-up when it was due in it (in the closed model: when its slot was free), however late it
    /// was made and whenever its journey ended. What became of it is told in [`Report::warm_up`], and its records are kept.
    /// [`Report::per_second`] is of the whole run.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::volume::{constant, SECOND};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// async fn browse(_ctx: &mut Context) -> Result {
    ///     Ok(())
    /// }
    ///
    /// let scenario = Scenario::new().journey(browse, NoData, constant(100, SECOND / 5));
    /// let report = Run::new(scenario).warm_up(SECOND / 10).run_blocking()?;
    /// assert_eq!((report.journeys[0].completed, report.warm_up.unwrap().completed), (10, 10));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn warm_up(mut self, duration: Duration) -> Self {
        self.warm_up = duration;
        self
    }

    /// How much memory the figures of all transactions and requests may take, in bytes, shared out over the workers: 256 MiB
    /// unless told otherwise, which is enough for some thousands of them.
    ///
    /// Beyond that, transactions and kinds of request that are new are counted together as `__overflow__`, and the report has
    /// a warning. What is there already goes on growing, so that a little more may be taken.
    pub fn max_series_bytes(mut self, bytes: u64) -> Self {
        self.max_series_bytes = bytes;
        self
    }

    /// How fast the number running may rise, in journeys per second from 0.001 to 10⁹, in each row of the closed model that
    /// has no [`Row::spawn_rate`] of its own.
    pub fn spawn_rate(mut self, journeys_per_second: f64) -> Self {
        self.spawn_rate = Some(journeys_per_second);
        self
    }

    /// How many journeys of all rows together may run at once in this process, shared out among the workers: as many as the
    /// rows allow unless told otherwise. A start of the open model that would exceed it waits or is dropped as its row's
    /// [`overload`](crate::Row::overload) says; the row whose start has been due for longest comes first. Journeys of the
    /// closed model count too, and are never held back.
    pub fn max_running(mut self, journeys: u64) -> Self {
        self.max_running = Some(journeys);
        self
    }

    /// Seeds the journeys' random numbers: 0 unless told otherwise.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The run is *generator limited* when the p99 of the lag with which mite itself started journeys is over this: 10 ms
    /// unless told otherwise.
    pub fn max_start_lag(mut self, lag: Duration) -> Self {
        self.limits.most_lag = lag;
        self
    }

    /// The run is *generator limited* when mite made less than this part of a row's planned starts: 0.99 unless told
    /// otherwise. Starts that waited at `max_running` or for data do not count against it.
    pub fn min_achieved(mut self, part: f64) -> Self {
        self.limits.least_achieved = part;
        self
    }

    /// Allows a scenario that does not end by itself: it runs until its handle is told to stop.
    pub fn until_stopped(mut self) -> Self {
        self.endless = true;
        self
    }

    /// Whether the run ends by itself: each row's plan or data has an end, or [`Run::stop_after`] gives one.
    pub fn ends(&self) -> bool {
        self.stop_after.is_some() || self.scenario.rows.iter().all(Row::ends)
    }

    /// What the run would start and when, without running anything: see [`Preview`].
    ///
    /// # Errors
    /// [`RunError`]: a row that makes no sense, or a closure's answer; [`RunError::Preview`] for a closure that does not stop
    /// within a week, and for a plan of over 4 · 10⁹ starts drawn at random: [`Run::stop_after`] ends either.
    pub fn preview(self) -> Result<Preview, RunError> {
        let stop_after = checked_end(self.stop_after)?;
        if self.scenario.rows.is_empty() {
            return Err(RunError::Empty);
        }
        let name = self.scenario.name.unwrap_or_else(|| "scenario".to_owned());
        // A closure that does not end is found by asking it.
        let rows = checked_rows(self.scenario.rows, 1, true, self.spawn_rate)?;
        preview::of(name, rows, stop_after)
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// [`RunError`]: the run could not be carried out. What journeys did wrong is in the report.
    pub async fn run(self) -> Result<Report, RunError> {
        self.start()?.await
    }

    /// Runs to the end, from code that is not async.
    ///
    /// # Errors
    /// As [`Run::run`].
    pub fn run_blocking(self) -> Result<Report, RunError> {
        futures::executor::block_on(self.run())
    }

    /// Starts the run and gives a handle on it. Everything that can be checked before is checked here.
    ///
    /// # Errors
    /// [`RunError`]: a row that makes no sense, a recorder folder that cannot be written, no threads.
    pub fn start(self) -> Result<RunHandle, RunError> {
        if self.scenario.rows.is_empty() {
            return Err(RunError::Empty);
        }
        if !(1..=1024).contains(&self.workers) {
            return Err(RunError::Workers { workers: self.workers });
        }
        let stop_after = checked_end(self.stop_after)?;
        if self.start_delay > 24 * HOUR {
            return Err(RunError::StartDelay);
        }
        if self.warm_up > 24 * HOUR
            || (!self.warm_up.is_zero() && self.stop_after.is_some_and(|end| self.warm_up >= end))
        {
            return Err(RunError::WarmUp);
        }
        let endless_ok = self.endless || stop_after.is_some();
        let Scenario { name, rows, hooks } = self.scenario;
        let rows = checked_rows(rows, self.workers, endless_ok, self.spawn_rate)?;
        let max_running = checked_max_running(self.max_running, self.workers, &rows)?;
        let mut sinks = self.sinks;
        let mut records = None;
        let mut warnings = Arc::default();
        if let Some(folder) = self.recorder {
            let recorder = Recorder::new(folder);
            (records, warnings) = (Some(recorder.records()), recorder.warnings());
            sinks.insert(0, Box::new(recorder));
        }
        if sinks.len() > MOST_SINKS {
            return Err(RunError::Sinks { sinks: sinks.len() });
        }
        for sink in &mut sinks {
            sink.open().map_err(|cause| RunError::Sink { sink: sink.name().to_owned(), cause })?;
        }
        if let Some(warning) = too_few_files(&rows) {
            tracing::warn!("{warning}");
            warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
        }
        let (events, received) = mpsc::unbounded_channel();
        let progress = Arc::new(Mutex::new(Progress::default()));
        let done = Arc::new(Done::default());
        let (outcome, result) = oneshot::channel();
        let control = Control {
            name: name.unwrap_or_else(|| "scenario".to_owned()),
            config: self.config,
            rows,
            hooks,
            workers: self.workers as u32,
            max_running,
            sinks,
            records,
            warnings,
            stop_after,
            graceful_stop: self.graceful_stop,
            start_delay: self.start_delay,
            // A day at the most, which fits.
            warm_up: self.warm_up.as_nanos() as u64,
            max_series_bytes: self.max_series_bytes,
            seed: self.seed,
            limits: self.limits,
            events: events.clone(),
            received,
            progress: Arc::clone(&progress),
        };
        let at_end = SetDone(Arc::clone(&done));
        let thread = std::thread::Builder::new().name("mite-controller".to_owned()).spawn(move || {
            let at_end = at_end;
            let result = controller::run(control);
            // The handle may have been dropped, and then nobody asks.
            let _ = outcome.send(result);
            drop(at_end);
        });
        thread.map_err(RunError::Thread)?;
        Ok(RunHandle { events, result, progress, done, finished: false })
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("scenario", &self.scenario).field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// The end that a run was given, in nanoseconds since its start.
fn checked_end(stop_after: Option<Duration>) -> Result<Option<u64>, RunError> {
    match stop_after.map(nanos) {
        Some(None | Some(0)) => Err(RunError::StopAfter),
        Some(Some(nanos)) => Ok(Some(nanos)),
        None => Ok(None),
    }
}

fn checked_rows(
    rows: Vec<Row>,
    workers: usize,
    endless_ok: bool,
    spawn_rate: Option<f64>,
) -> Result<Vec<CheckedRow>, RunError> {
    let spawn_rate = spawn_rate.map(SpawnRate::new).transpose().map_err(RunError::SpawnRate)?;
    let rows = rows.into_iter().enumerate();
    let rows = rows.map(|(index, row)| row.check(index + 1, workers, endless_ok, spawn_rate.as_ref()));
    Ok(rows.collect::<Result<_, RowError>>()?)
}

/// How many journeys may run at once in all, where that leaves room for each worker's.
fn checked_max_running(most: Option<u64>, workers: usize, rows: &[CheckedRow]) -> Result<u64, RunError> {
    let Some(most) = most else { return Ok(u64::MAX) };
    let closed: u64 = rows.iter().map(CheckedRow::most_running).sum();
    let open = rows.iter().any(|row| row.most_running() == 0);
    if most < workers as u64 || (open && most < closed + workers as u64) {
        return Err(RunError::MaxRunning { max_running: most, closed, workers });
    }
    Ok(most)
}

/// Raises the limit on open files, and says when it cannot carry the journeys that will run at once.
fn too_few_files(rows: &[CheckedRow]) -> Option<String> {
    let limit = limits::raise_open_files()?;
    let running: u64 = rows.iter().map(CheckedRow::most_running).sum();
    (running > limit).then(|| {
        format!(
            "{running} journeys will run at once, and this process may open {limit} files: if each has a connection of its \
             own, raise the limit with `ulimit -n {}`",
            running + running / 10 + 100
        )
    })
}

/// What a run has done so far; brought up to date once a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Whole seconds since the start of the run.
    pub seconds: u64,
    /// Starts that were due.
    pub planned: u64,
    /// Journeys started.
    pub started: u64,
    /// Journeys that succeeded.
    pub completed: u64,
    /// Journeys that failed.
    pub failed: u64,
    /// Journeys that are under way.
    pub running: u64,
    /// The response times of the journeys that completed in the last whole second.
    pub response_time: SecondQuantiles,
}

/// A run that is under way; await it for its report.
///
/// Dropping it cancels the journeys and waits for the run's threads, for one second at the most.
#[must_use = "dropping the handle cancels the run"]
pub struct RunHandle {
    events: mpsc::UnboundedSender<Event>,
    result: oneshot::Receiver<Result<Report, RunError>>,
    progress: Arc<Mutex<Progress>>,
    done: Arc<Done>,
    finished: bool,
}

impl RunHandle {
    /// What the run has done so far.
    pub fn progress(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops: no new starts from now on; what runs may finish within the graceful stop.
    pub fn stop(&self) {
        // A run that is over needs no stop.
        let _ = self.events.send(Event::Stop);
    }

    /// Stops now: what runs is cancelled. What was recorded is written all the same.
    pub fn abort(&self) {
        let _ = self.events.send(Event::Abort);
    }

    /// Waits for the run's end, in code that is not async.
    ///
    /// # Errors
    /// As [`Run::run`].
    pub fn wait(self) -> Result<Report, RunError> {
        futures::executor::block_on(self)
    }

    /// Something to stop the run with from elsewhere, a signal handler for instance.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.events.clone())
    }
}

/// Stops a run: see [`RunHandle::stopper`].
#[derive(Debug, Clone)]
pub struct Stopper(mpsc::UnboundedSender<Event>);

impl Stopper {
    /// As [`RunHandle::stop`].
    pub fn stop(&self) {
        let _ = self.0.send(Event::Stop);
    }

    /// As [`RunHandle::abort`].
    pub fn abort(&self) {
        let _ = self.0.send(Event::Abort);
    }
}

impl Future for RunHandle {
    type Output = Result<Report, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(cx).map(|result| {
            self.finished = true;
            // The sender is dropped without a result only when the controller itself panicked.
            result.unwrap_or(Err(RunError::Panicked { message: "the controller's thread has ended".to_owned() }))
        })
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        if !self.finished {
            self.abort();
        }
        if !self.done.wait(DROP_WAIT) {
            tracing::warn!("a run was dropped, and a worker is still blocked by a journey that does not await");
        }
    }
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunHandle").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

/// Set when all threads of a run have ended.
#[derive(Debug, Default)]
struct Done {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Done {
    fn wait(&self, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while !*set {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            set = self.changed.wait_timeout(set, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

struct SetDone(Arc<Done>);

impl Drop for SetDone {
    fn drop(&mut self) {
        *self.0.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

/// Why a run could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The scenario has no rows.
    #[error("the scenario has no rows: add a journey with `.journey(…)`")]
    Empty,
    /// A row makes no sense.
    #[error(transparent)]
    Row(#[from] RowError),
    /// `workers` is out of range.
    #[error("a run has from 1 to 1024 workers, not {workers}")]
    Workers {
        /// What was asked for.
        workers: usize,
    },
    /// There are more sinks than a run can have.
    #[error("a run has at most 64 sinks, not {sinks}")]
    Sinks {
        /// What was asked for.
        sinks: usize,
    },
    /// `max_running` leaves no room.
    #[error(
        "`max_running({max_running})` leaves no room: {closed} journeys run in the closed model, and each of {workers} workers \
         needs room for one more"
    )]
    MaxRunning {
        /// What was asked for.
        max_running: u64,
        /// How many run at once in rows of the closed model.
        closed: u64,
        /// The run's workers.
        workers: usize,
    },
    /// `stop_after` is zero, or centuries.
    #[error("`stop_after` needs a duration from a nanosecond to 500 years")]
    StopAfter,
    /// `start_delay` is over a day.
    #[error("`start_delay` is for a day at the most")]
    StartDelay,
    /// `warm_up` is over a day, or leaves nothing to be measured.
    #[error(
        "`warm_up` is for a day at the most, and must be shorter than `stop_after`, so that there is something to measure"
    )]
    WarmUp,
    /// `spawn_rate` is out of range.
    #[error(transparent)]
    SpawnRate(VolumeError),
    /// A closure gave a volume that makes no sense.
    #[error("row {row} ({journey}): its volume for second {second} makes no sense: {message}")]
    Volume {
        /// The row's number in its scenario, from 1.
        row: u32,
        /// The journey's name.
        journey: String,
        /// The second that the closure was asked about, from 0.
        second: u64,
        /// What is wrong with its answer.
        message: String,
    },
    /// A row's plan cannot be shown in a preview.
    #[error("row {row} ({journey}): {message}")]
    Preview {
        /// The row's number in its scenario, from 1.
        row: u32,
        /// The journey's name.
        journey: String,
        /// Why, and the mend.
        message: String,
    },
    /// The scenario's setup failed; no journey was started.
    #[error("setup failed: {message}")]
    Setup {
        /// The error, with its type and place.
        message: String,
    },
    /// The setup of a worker failed; no journey was started.
    #[error("setup of worker {worker} failed: {message}")]
    WorkerSetup {
        /// The worker's number, from 0.
        worker: u32,
        /// The error, with its type and place.
        message: String,
    },
    /// The teardown of a worker failed.
    #[error("teardown of worker {worker} failed: {message}")]
    WorkerTeardown {
        /// The worker's number, from 0.
        worker: u32,
        /// The error, with its type and place.
        message: String,
    },
    /// The scenario's teardown failed.
    #[error("teardown failed: {message}")]
    Teardown {
        /// The error, with its type and place.
        message: String,
    },
    /// The recorder or another sink cannot be used, or has failed.
    #[error("the {sink} failed: {cause}")]
    Sink {
        /// The sink's name.
        sink: String,
        /// What it failed with.
        cause: SinkError,
    },
    /// No thread could be started.
    #[error("failed to start a thread: {0}")]
    Thread(#[source] io::Error),
    /// A worker could not be made ready.
    #[error("failed to start a worker: {0}")]
    Worker(#[source] io::Error),
    /// A worker did not end: a journey does not let go of its thread.
    #[error(
        "worker {worker} is blocked by {journey}: it computes or waits without `.await`, so that neither other journeys nor \
         the end of the run get their turn. Move such work to `tokio::task::spawn_blocking`"
    )]
    Blocked {
        /// The worker's number, from 0.
        worker: u32,
        /// The name of the journey that does not let go.
        journey: String,
    },
    /// mite's own code has panicked.
    #[error("a thread of the run has panicked, which is a bug of mite: {message}")]
    Panicked {
        /// The panic's text.
        message: String,
    },
}

/// A boxed sink is one too, so that sinks of all types can be kept together.
impl Sink for Box<dyn Sink> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn wants(&self) -> sink::Wants {
        (**self).wants()
    }

    fn open(&mut self) -> Result<(), SinkError> {
        (**self).open()
    }

    fn message(&mut self, message: &crate::Message<'_>) -> Result<(), SinkError> {
        (**self).message(message)
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        (**self).idle()
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        (**self).sync()
    }
}

/// Kept to say at compile time what users rely on: a run can be awaited on any thread.
const _: fn() = || {
    fn send<T: Send>() {}
    send::<Run>();
    send::<RunHandle>();
    send::<Error>();
};
