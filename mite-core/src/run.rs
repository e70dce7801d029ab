//! Running a scenario: the options of a run, and what is checked before it starts.
//!
//! The run's work is done by threads of its own, so that it can be awaited inside any runtime: the
//! [controller](crate::controller) plans, [workers](crate::runner) start journeys, sinks write.

mod blocking;
pub(crate) mod error;
pub(crate) mod handle;
pub(crate) mod progress;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use crate::cluster::Part;
use crate::controller::{self, Control};
use crate::exchange::{Exchange, OnExchange};
use crate::limits;
use crate::live_figures::LiveFigures;
use crate::preview::{self, Preview};
use crate::recorder::{MemoryRecorder, Recorder};
use crate::report::compare::Planned;
use crate::report::{GeneratorLimits, Report};
use crate::row::{CheckedRow, Row, RowError};
use crate::runner::strand::{StrandKind, traced};
use crate::scenario::Scenario;
use crate::sink::Sink;
use crate::sink::outbox::MOST_SINKS;
use crate::stats::{Chosen, Metrics, Stats};
use crate::threshold::Threshold;
use crate::volume::{HOUR, SpawnRate, nanos};
use crate::{Config, Error};

pub use error::RunError;
use handle::{Done, SetDone};
pub use handle::{Follow, RunHandle, Stopper};
pub use progress::{ErrorProgress, Progress, RequestProgress, RowProgress};

/// How long journeys may go on after the last start, unless the run says otherwise.
const GRACEFUL_STOP: Duration = Duration::from_secs(30);
/// What the figures of transactions and requests may take, unless the run says otherwise.
const MAX_SERIES_BYTES: u64 = 256 << 20;

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

/// Works out what a run of `scenario` would start, without running anything: short for `Run::new(scenario).preview()`.
///
/// ```
/// use mite_core::volume::{constant, ramp, SECOND};
/// use mite_core::{Context, NoData, Row, Scenario};
///
/// let browse = async |_ctx: &mut Context| Ok(());
/// let model = ramp(20 * SECOND).from(0) + constant(50, 40 * SECOND);
/// let preview = mite_core::preview(Scenario::new().row(Row::new(browse, NoData, model).named("browse")))?;
/// assert_eq!(preview.rows[0].planned, Some(2500));
/// assert_eq!(preview.rows[0].points[30], 50);
/// println!("{preview}");
/// # Ok::<(), mite_core::Error>(())
/// ```
///
/// # Errors
/// As [`Run::preview`].
pub fn preview(scenario: Scenario) -> Result<Preview, RunError> {
    Run::new(scenario).preview()
}

/// A run of a scenario that is being prepared.
///
/// ```
/// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
/// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
/// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
/// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
/// let report = Run::new(scenario).config("app_url", "http://localhost:8080").workers(2).run_blocking()?;
/// assert_eq!(report.journey("visit").completed, 10);
/// # Ok::<(), mite_core::Error>(())
/// ```
#[must_use = "a run does nothing until it is started"]
pub struct Run {
    scenario: Scenario,
    config: Config,
    workers: usize,
    recorder: Option<PathBuf>,
    record_in_memory: bool,
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
    on_exchange: Option<OnExchange>,
    planned_as: Option<Planned>,
    chosen_stats: Chosen,
    strands: StrandKind,
    part: Option<Part>,
}

impl Run {
    /// Prepares a run with one worker, no recorder and an empty config.
    pub fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            config: Config::new(),
            workers: 1,
            recorder: None,
            record_in_memory: false,
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
            on_exchange: None,
            planned_as: None,
            chosen_stats: Chosen::default(),
            strands: StrandKind::Thread,
            part: None,
        }
    }

    /// Sets a key of the config.
    ///
    /// # Panics
    /// As [`Config::set`].
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     mite_core::ensure!(ctx.config().get::<u32>("pages")? == 5);
    ///     Ok(())
    /// }
    ///
    /// let report = Run::new(Scenario::new().journey(visit, NoData, at_once(1))).config("pages", 5).run_blocking()?;
    /// report.assert_no_errors();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn config(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.config.set(key, value);
        self
    }

    /// Sets all keys that `config` has.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let mut config = mite_core::Config::new();
    /// config.set("pages", 5);
    /// let report = Run::new(scenario).with_config(config).run_blocking()?;
    /// # report.assert_no_errors();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn with_config(mut self, config: Config) -> Self {
        self.config.overlay(config);
        self
    }

    /// How many worker threads start journeys: 1 unless told otherwise, 1024 at the most.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let report = Run::new(scenario).workers(2).run_blocking()?;
    /// assert_eq!(report.generator.workers, 2);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Activates the recorder, which writes what journeys record to `folder/NAME.msgpack`. The folder is made with the first
    /// record. [`Report::recorded`] reads what this run has recorded, [`recorded`](crate::recorded) a whole file.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// async fn create_user(ctx: &mut Context) -> Result {
    ///     ctx.record("users", format!("user{}", ctx.start_index())).await
    /// }
    ///
    /// let folder = tempfile::tempdir()?;
    /// let scenario = Scenario::new().journey(create_user, NoData, at_once(3));
    /// let report = Run::new(scenario).recorder(folder.path()).run_blocking()?;
    /// assert_eq!(report.records["users"], 3);
    /// let users = mite_core::recorded::<String>(folder.path().join("users.msgpack"))?;
    /// assert!(users.contains(&"user2".to_owned()));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn recorder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.recorder = Some(folder.into());
        self
    }

    /// Keeps what journeys record in memory, for as long as the report and its clones are there, and writes no files: for
    /// tests, where [`Report::recorded`] reads it. There is either this or [`Run::recorder`].
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// async fn create_user(ctx: &mut Context) -> Result {
    ///     ctx.record("users", format!("user{}", ctx.start_index())).await
    /// }
    ///
    /// let scenario = Scenario::new().journey(create_user, NoData, at_once(3));
    /// let report = Run::new(scenario).record_in_memory().run_blocking()?;
    /// assert_eq!(report.recorded::<String>("users")?.len(), 3);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn record_in_memory(mut self) -> Self {
        self.record_in_memory = true;
        self
    }

    /// Adds a receiver of messages.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let folder = tempfile::tempdir()?;
    /// let report = Run::new(scenario).sink(mite_core::Collector::new(folder.path())).run_blocking()?;
    /// assert_eq!((report.sinks.len(), report.sinks[0].dropped), (1, 0));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn sink(mut self, sink: impl Sink) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Ends the run after so long: no new starts, then the graceful stop.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, |_start, _end| 100);
    /// let report = Run::new(scenario).stop_after(SECOND / 10).run_blocking()?;
    /// assert_eq!(report.journey("visit").planned, 10);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn stop_after(mut self, duration: Duration) -> Self {
        self.stop_after = Some(duration);
        self
    }

    /// How long journeys may go on after the last start before they are cancelled: 30 s unless told otherwise.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// async fn hang(_ctx: &mut Context) -> Result {
    ///     std::future::pending().await
    /// }
    ///
    /// let scenario = Scenario::new().journey(hang, NoData, at_once(2));
    /// let report = Run::new(scenario).graceful_stop(SECOND / 50).run_blocking()?;
    /// assert_eq!(report.journey("hang").cancelled, 2);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn graceful_stop(mut self, duration: Duration) -> Self {
        self.graceful_stop = duration;
        self
    }

    /// Waits so long after setup before the first start: a day at the most.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let report = Run::new(scenario).start_delay(SECOND / 20).run_blocking()?;
    /// # report.assert_no_errors();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
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

    /// How much memory the figures of all transactions and requests may take, in bytes: 256 MiB unless told otherwise, which is
    /// enough for some thousands of them. Half of it is for the workers, shared out evenly, and half for what they have told,
    /// the share of the even seconds included, which is kept apart for [`Halves`](crate::Halves); [metrics of one's own](crate::stats)
    /// may take a quarter as much besides.
    ///
    /// Beyond that, transactions and kinds of request that are new are counted together as `__overflow__`, and the report has
    /// a warning. What is there already goes on growing, so that a little more may be taken.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let report = Run::new(scenario).max_series_bytes(64 * 1024 * 1024).run_blocking()?;
    /// # report.assert_no_errors();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn max_series_bytes(mut self, bytes: u64) -> Self {
        self.max_series_bytes = bytes;
        self
    }

    /// How fast the number running may rise, in journeys per second from 0.001 to 10⁹, in each row of the closed model that
    /// has no [`Row::spawn_rate`] of its own.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, MINUTE).running());
    /// let preview = Run::new(scenario).spawn_rate(10.0).preview()?;
    /// // At the end of the fifth second, and once all of them run.
    /// assert_eq!((preview.rows[0].points[4], preview.rows[0].points[20]), (49, 100));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn spawn_rate(mut self, journeys_per_second: f64) -> Self {
        self.spawn_rate = Some(journeys_per_second);
        self
    }

    /// How many journeys of all rows together may run at once in this process, shared out among the workers: as many as the
    /// rows allow unless told otherwise. A start of the open model that would exceed it waits or is dropped as its row's
    /// [`overload`](crate::Row::overload) says; the row whose start has been due for longest comes first. Journeys of the
    /// closed model count too, and are never held back.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let report = Run::new(scenario).max_running(5000).run_blocking()?;
    /// assert_eq!(report.journey("visit").completed, 10);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn max_running(mut self, journeys: u64) -> Self {
        self.max_running = Some(journeys);
        self
    }

    /// Seeds the journeys' random numbers: 0 unless told otherwise.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// use rand::RngExt;
    ///
    /// async fn roll(ctx: &mut Context) -> Result {
    ///     let dice = ctx.rng().random_range(1..=1_000_000);
    ///     ctx.record("dice", dice).await
    /// }
    ///
    /// let roll = |seed| {
    ///     let run = Run::new(Scenario::new().journey(roll, NoData, at_once(1))).seed(seed).record_in_memory();
    ///     Ok::<_, mite_core::Error>(run.run_blocking()?.recorded::<u32>("dice")?)
    /// };
    /// assert_eq!(roll(1)?, roll(1)?);
    /// assert_ne!(roll(1)?, roll(2)?);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The run is *generator limited* when the p99 of the lag with which mite itself started journeys is over this: 10 ms
    /// unless told otherwise.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// // A test on a busy machine, which is not about time.
    /// let report = Run::new(scenario).max_start_lag(HOUR).run_blocking()?;
    /// report.assert_passed();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn max_start_lag(mut self, lag: Duration) -> Self {
        self.limits.most_lag = lag;
        self
    }

    /// The run is *generator limited* when mite made less than this part of a row's planned starts, from 0 to 1: 0.99
    /// unless told otherwise. Starts that waited at `max_running` or for data do not count against it.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let report = Run::new(scenario).min_achieved(0.95).run_blocking()?;
    /// # report.assert_no_errors();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn min_achieved(mut self, part: f64) -> Self {
        self.limits.least_achieved = part;
        self
    }

    /// Says what a figure of the run should be: the run fails where it is not.
    ///
    /// With thresholds it is they that say how many errors are too many: without any, each error fails the run.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// use mite_core::threshold::{error_rate, ms, p99, percent};
    ///
    /// async fn browse(_ctx: &mut Context) -> Result {
    ///     Ok(())
    /// }
    ///
    /// let scenario = Scenario::new().journey(browse, NoData, constant(100, 2 * SECOND));
    /// let run = Run::new(scenario)
    ///     .threshold(error_rate().at_most(percent(0.1)))
    ///     .threshold(p99("browse").under(ms(300)).in_each(SECOND));
    /// # let run = run.max_start_lag(60 * SECOND);
    /// let report = run.run_blocking()?;
    /// assert!(report.passed());
    /// assert_eq!(report.thresholds.len(), 2);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn threshold(mut self, threshold: Threshold) -> Self {
        self.scenario = self.scenario.threshold(threshold);
        self
    }

    /// Ends the run early, as [`RunHandle::stop`] does, once a figure is so: the verdict is *aborted*.
    ///
    /// It is looked at once a second, after the warm-up and so much time more, over all that was measured so far or in the last
    /// [window](Threshold::in_each).
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario, Verdict, bail};
    /// use std::time::Duration;
    /// use mite_core::threshold::{error_rate, percent};
    ///
    /// async fn fail(_ctx: &mut Context) -> Result {
    ///     bail!("the system is down")
    /// }
    ///
    /// let run = Run::new(Scenario::new().journey(fail, NoData, constant(100, HOUR)));
    /// let report = run.abort_when(error_rate().over(percent(50.0)), Duration::ZERO).run_blocking()?;
    /// assert_eq!(report.verdict, Verdict::Aborted);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn abort_when(mut self, condition: Threshold, delay: Duration) -> Self {
        self.scenario = self.scenario.abort_when(condition, delay);
        self
    }

    /// Adds a set of metrics: see [`stats`](crate::stats).
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// use mite_core::stats::{Counter, Stats, matcher_by_type};
    ///
    /// let stats = Stats::new("shop").with(Counter::new("shop_transactions_total", matcher_by_type(["txn"])));
    /// let report = Run::new(scenario).stats(stats).run_blocking()?;
    /// assert_eq!(report.metric("shop_transactions_total").number(), Some(10.0));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn stats(mut self, stats: Stats) -> Self {
        self.scenario = self.scenario.stats(stats);
        self
    }

    /// Works out only the sets of metrics with these names: all unless told otherwise. What journeys count themselves is in
    /// none, and counted all the same. A name that no set has is refused when the run starts.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// use mite_core::stats::{Counter, Stats, matcher_by_type};
    ///
    /// # async fn browse(_ctx: &mut Context) -> Result { Ok(()) }
    /// let set = |name: &str| Stats::new(name).with(Counter::new(format!("{name}_total"), matcher_by_type(["txn"])));
    /// let scenario = Scenario::new().journey(browse, NoData, at_once(1)).stats(set("shop")).stats(set("bank"));
    /// let report = Run::new(scenario).include_stats(["shop"]).run_blocking()?;
    /// assert_eq!(report.metrics.iter().map(|metric| &*metric.name).collect::<Vec<_>>(), ["shop_total"]);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn include_stats<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.chosen_stats.included.get_or_insert_default().extend(names.into_iter().map(Into::into));
        self
    }

    /// Leaves out the sets of metrics with these names, those among them that are included too. A name that no set has is
    /// refused when the run starts.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// use mite_core::stats::{Counter, Stats, matcher_by_type};
    ///
    /// let stats = Stats::new("shop").with(Counter::new("shop_transactions_total", matcher_by_type(["txn"])));
    /// let report = Run::new(scenario).stats(stats).exclude_stats(["shop"]).run_blocking()?;
    /// assert!(report.metrics.is_empty());
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn exclude_stats<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.chosen_stats.excluded.extend(names.into_iter().map(Into::into));
        self
    }

    /// Shows each request with what was sent and what came back, as it ends and on its worker's thread: to look at what a journey
    /// does. A run that is asked for this is slow, since it writes out every exchange.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, ExchangeText, NoData, RequestSample, Result, Run, Scenario};
    /// async fn browse(ctx: &mut Context) -> Result {
    ///     // What the session of a protocol does with each request.
    ///     let sample = RequestSample { method: "GET", code: 200, ..RequestSample::default() };
    ///     ctx.scope().request(&sample);
    ///     ctx.scope().show_exchange(&sample, || ExchangeText { request: "GET / HTTP/1.1".to_owned(), ..Default::default() });
    ///     Ok(())
    /// }
    ///
    /// let scenario = Scenario::new().journey(browse, NoData, at_once(1));
    /// let run = Run::new(scenario).on_exchange(|exchange| println!("{}: {}", exchange.sample.code, exchange.text.request));
    /// # assert!(run.max_start_lag(mite_core::volume::MINUTE).run_blocking()?.passed());
    /// # Ok::<(), mite_core::RunError>(())
    /// ```
    pub fn on_exchange(mut self, show: impl Fn(&Exchange<'_>) + Send + Sync + 'static) -> Self {
        self.on_exchange = Some(OnExchange::new(show));
        self
    }

    /// Refuses to start where the plan is not that of an earlier run, so that [`Report::compare`] will not refuse the report of
    /// an hour. Of rows whose volume is a closure only the journeys are known before.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = |rate| Scenario::new().journey(visit, NoData, constant(rate, SECOND / 10));
    /// let baseline = Run::new(scenario(100)).run_blocking()?;
    /// assert!(Run::new(scenario(100)).planned_as(&baseline).start().is_ok());
    /// assert!(Run::new(scenario(50)).planned_as(&baseline).start().is_err());
    /// # Ok::<(), mite_core::RunError>(())
    /// ```
    pub fn planned_as(mut self, baseline: &Report) -> Self {
        self.planned_as = Some(Planned::of(baseline));
        self
    }

    /// Allows a scenario that does not end by itself: it runs until its handle is told to stop.
    ///
    /// ```
    /// # use mite_core::volume::SECOND;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario, Verdict};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, |_start, _end| 100);
    /// assert!(!Run::new(Scenario::new().journey(visit, NoData, |_start, _end| 100)).ends());
    /// let handle = Run::new(scenario).until_stopped().start()?;
    /// // …, and when it has been enough:
    /// handle.stop();
    /// assert_eq!(handle.wait()?.verdict, Verdict::Aborted);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn until_stopped(mut self) -> Self {
        self.endless = true;
        self
    }

    /// Goes by a virtual clock, so that an hour's plan is carried out in milliseconds: see [`testing`](crate::testing).
    ///
    /// ```
    /// # use mite_core::volume::{constant, HOUR, SECOND};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// async fn browse(_ctx: &mut Context) -> Result {
    ///     tokio::time::sleep(90 * SECOND).await;
    ///     Ok(())
    /// }
    ///
    /// let scenario = Scenario::new().journey(browse, NoData, constant(0.1, HOUR));
    /// let report = Run::new(scenario).graceful_stop(2 * 60 * SECOND).virtually().run_blocking()?;
    /// assert_eq!(report.journeys[0].completed, 360);
    /// assert_eq!(report.journeys[0].response_time.max(), 90 * SECOND);
    /// # Ok::<(), mite_core::RunError>(())
    /// ```
    #[cfg(feature = "testing")]
    pub fn virtually(mut self) -> Self {
        self.strands = StrandKind::Task;
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
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, |_start, _end| 100);
    /// let preview = Run::new(scenario).stop_after(MINUTE).preview()?;
    /// assert_eq!(preview.rows[0].planned, Some(6000));
    /// println!("{preview}");
    /// # Ok::<(), mite_core::Error>(())
    /// ```
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
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result {
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let report = Run::new(scenario).run().await?;
    /// report.assert_no_errors();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run(self) -> Result<Report, RunError> {
        self.start()?.await
    }

    /// Runs to the end, from code that is not async.
    ///
    /// # Errors
    /// As [`Run::run`].
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let report = Run::new(scenario).run_blocking()?;
    /// report.assert_no_errors();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn run_blocking(self) -> Result<Report, RunError> {
        blocking::wait_for(self.run())
    }

    /// Starts the run and gives a handle on it. Everything that can be checked before is checked here.
    ///
    /// What is told by `tracing` goes to the subscriber of the thread that calls this, in a span `mite_run` with the field
    /// `scenario`, and on a worker's thread in a span `worker` within it, with its `number`.
    ///
    /// # Errors
    /// [`RunError`]: a row that makes no sense, a recorder folder that cannot be written, no threads.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result {
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 10));
    /// let handle = Run::new(scenario).start()?;
    /// println!("{:?}", handle.progress());
    /// let report = handle.await?;
    /// # report.assert_no_errors();
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(self) -> Result<RunHandle, RunError> {
        self.start_with(controller::run)
    }

    /// Adds a receiver of messages before all others.
    pub(crate) fn first_sink(mut self, sink: impl Sink) -> Self {
        self.sinks.insert(0, Box::new(sink));
        self
    }

    /// Whether what journeys record is kept in memory.
    pub(crate) fn records_in_memory(&self) -> bool {
        self.record_in_memory
    }

    /// The folder that is recorded to, which is not from now on.
    pub(crate) fn take_recorder(&mut self) -> Option<PathBuf> {
        self.recorder.take()
    }

    /// A run whose journeys are started by other processes: this one needs one worker, for setup and teardown.
    pub(crate) fn elsewhere(mut self, part: Part) -> Self {
        self.workers = 1;
        self.part = Some(part);
        self
    }

    /// Without anything that is called or judged.
    pub(crate) fn only_watched(mut self) -> Self {
        (self.scenario.hooks, self.scenario.asked) = Default::default();
        self
    }

    /// Names the scenario.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.scenario.name = Some(name.to_owned());
        self
    }

    /// The names of the rows' journeys.
    pub(crate) fn row_names(&self) -> Vec<String> {
        self.scenario.rows.iter().map(|row| row.name.clone().unwrap_or_default()).collect()
    }

    /// Checks the options that have to do with nothing else, and gives the end of the run, where it has one.
    fn checked_options(&self) -> Result<Option<u64>, RunError> {
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
        if !(0.0..=1.0).contains(&self.limits.least_achieved) {
            return Err(RunError::MinAchieved { part: self.limits.least_achieved });
        }
        Ok(stop_after)
    }

    /// Starts the run on a thread of its own, on which `carry_out` does so.
    pub(crate) fn start_with<T: Send + 'static>(
        self,
        carry_out: impl FnOnce(Control) -> Result<T, RunError> + Send + 'static,
    ) -> Result<RunHandle<T>, RunError> {
        let stop_after = self.checked_options()?;
        let endless_ok = self.endless || stop_after.is_some();
        let Scenario { name, rows, hooks, asked, stats } = self.scenario;
        let metrics = Metrics::of(stats, &self.chosen_stats)?;
        if let Some((threshold, why)) = asked.mistake() {
            return Err(RunError::Threshold { threshold, why });
        }
        let rows = checked_rows(rows, self.workers, endless_ok, self.spawn_rate)?;
        if let Some(planned) = &self.planned_as {
            planned.is_planned_in(&rows, stop_after, self.warm_up)?;
        }
        let max_running = checked_max_running(self.max_running, self.workers, &rows)?;
        let mut sinks = self.sinks;
        let mut records = None;
        let mut warnings = Arc::default();
        if self.record_in_memory {
            if let Some(folder) = self.recorder {
                return Err(RunError::TwoRecorders { folder });
            }
            let recorder = MemoryRecorder::default();
            records = Some(recorder.records());
            sinks.insert(0, Box::new(recorder));
        } else if let Some(folder) = self.recorder {
            let recorder = Recorder::new(folder);
            (records, warnings) = (Some(recorder.records()), recorder.warnings());
            sinks.insert(0, Box::new(recorder));
        }
        if sinks.len() > MOST_SINKS {
            return Err(RunError::Sinks { sinks: sinks.len() });
        }
        let (events, received) = mpsc::unbounded_channel();
        let live = LiveFigures::new(events.clone());
        for sink in &mut sinks {
            sink.open(&live).map_err(|cause| RunError::Sink { sink: sink.name().to_owned(), cause })?;
        }
        if self.strands == StrandKind::Thread
            && let Some(warning) = too_few_files(&rows)
        {
            tracing::warn!("{warning}");
            warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
        }
        let (progress, told) = watch::channel(Progress::default());
        let done = Arc::new(Done::default());
        let (outcome, result) = oneshot::channel();
        let name = name.unwrap_or_else(|| "scenario".to_owned());
        let control = Control {
            span: tracing::info_span!("mite_run", scenario = name),
            name,
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
            on_exchange: self.on_exchange,
            metrics,
            events: events.clone(),
            received,
            progress,
            asked,
            strands: self.strands,
            part: self.part,
        };
        let at_end = SetDone::new(&done);
        let carry_out = traced(control.span.clone(), move || {
            let at_end = at_end;
            let result = carry_out(control);
            // The handle may have been dropped, and then nobody asks.
            let _ = outcome.send(result);
            drop(at_end);
        });
        let thread = std::thread::Builder::new().name("mite-controller".to_owned()).spawn(carry_out);
        thread.map_err(RunError::Thread)?;
        Ok(RunHandle::new(events, result, told, done))
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
fn checked_max_running(most: Option<u64>, workers: usize, rows: &[CheckedRow]) -> Result<Option<u64>, RunError> {
    let Some(most) = most else { return Ok(None) };
    let closed: u64 = rows.iter().map(CheckedRow::most_running).sum();
    let open = rows.iter().any(|row| row.most_running() == 0);
    if most < workers as u64 || (open && most < closed + workers as u64) {
        return Err(RunError::MaxRunning { max_running: most, closed, workers });
    }
    Ok(Some(most))
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

/// Kept to say at compile time what users rely on: a run can be awaited on any thread.
const _: fn() = || {
    fn send<T: Send>() {}
    send::<Run>();
    send::<RunHandle>();
    send::<Error>();
};
