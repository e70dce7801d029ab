//! What a run has found: figures by journey, transaction and request, its errors, and a verdict.
//!
//! The JSON is a contract (`"schema": "mite.report/1"`, times in whole microseconds); the text is for people.

pub(crate) mod compare;
mod csv;
pub(crate) mod exchanges;
#[cfg(test)]
pub(crate) mod fixed;
mod halves;
mod html;
mod junit;
mod markup;
pub(crate) mod metrics;
mod per_second;
mod requests;
pub(crate) mod rows;
pub(crate) mod series;
pub(crate) mod settings;
mod sinks;
mod stored;
pub(crate) mod tabulate;
pub(crate) mod text;
mod times;
pub mod units;
pub(crate) mod verdict;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::{micros, rfc3339, whole_micros};
use crate::exchange::FailedExchange;
use crate::figures::{Figures, PartFigures};
use crate::histogram::Histogram;
use crate::hooks::HookReport;
use crate::names::Names;
use crate::recorded::RecordedError;
use crate::recordings::Recordings;
use crate::stats::MetricKind;
use crate::threshold::{Checked, Threshold};

pub use compare::{
    Change, CompareError, ComparedFigure, ComparedRow, ComparedRun, ComparedSeries, Comparison, Figure, HeldToBaseline,
    NoiseUnknown, Regression,
};
pub use halves::{HalfFigures, HalfTimes, Halves};
pub use metrics::{MetricReport, MetricRows, MetricSeries, MetricValue};
pub use per_second::{PerSecond, SecondQuantiles, SecondRow};
pub use requests::Requests;
use rows::Tables;
pub use rows::{CheckReport, ErrorReport, JourneyReport, RequestReport, TransactionReport};
pub use settings::{RowSettings, RunSettings};
pub use sinks::SinkReport;
pub use stored::StoredError;
use tabulate::{checks, errors, requests, transactions};
use units::counted;
pub use verdict::Verdict;
use verdict::{Found, Inside, broken_sums, generator_limits, judge};
pub(crate) use verdict::{GeneratorLimits, Stopped};

/// The report of a run.
///
/// ```
/// # use mite_core::volume::at_once;
/// # use mite_core::{Context, NoData, Result, Run, Scenario};
/// # async fn signin(ctx: &mut Context) -> Result {
/// #     ctx.transaction("Log in", async |_ctx| Ok(())).await
/// # }
/// # let scenario = Scenario::new().journey(signin, NoData, at_once(10));
/// let report = Run::new(scenario).run_blocking()?;
/// assert_eq!(report.journey("signin").completed, 10);
/// assert_eq!(report.transaction("Log in").errors, 0);
/// println!("{report}");
/// std::fs::write(std::env::temp_dir().join("report.json"), report.to_json())?;
/// # Ok::<(), mite_core::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// `mite.report/1`.
    #[serde(deserialize_with = "stored::schema")]
    pub schema: String,
    /// The scenario's name.
    pub scenario: String,
    /// When the run began, in RFC 3339.
    pub started_at: String,
    /// From the first start to the end of the last journey.
    #[serde(rename = "duration_us", with = "micros")]
    pub duration: Duration,
    /// Whether the system kept its promises.
    pub verdict: Verdict,
    /// Why the verdict is not `passed`.
    pub reasons: Vec<String>,
    /// What its figures should be, where the run was told, and whether they are.
    pub thresholds: Vec<Checked>,
    /// What came of holding it against an earlier run, where it was: see [`Report::hold_to_baseline`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<HeldToBaseline>,
    /// What was left out of the figures that follow, where the run had a warm-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUp>,
    /// One for each row of the scenario.
    pub journeys: Vec<JourneyReport>,
    /// One for each transaction of each journey.
    pub transactions: Vec<TransactionReport>,
    /// One for each method, name and outcome in each transaction.
    pub requests: Vec<RequestReport>,
    /// One for each different error, the most frequent first.
    pub errors: Vec<ErrorReport>,
    failed_exchanges: Vec<FailedExchange>,
    /// One for each name that was checked.
    pub checks: Vec<CheckReport>,
    /// Metrics of one's own: those of [`Stats`](crate::stats::Stats), then by name what journeys counted.
    #[serde(default)]
    pub metrics: Vec<MetricReport>,
    /// How many records each name got, counted where they were written; what was purged since is left out.
    pub records: BTreeMap<String, u64>,
    /// One for each second of the run.
    pub per_second: Vec<PerSecond>,
    /// How long setup and teardown took.
    pub hooks: Vec<HookReport>,
    /// How the load generator itself did.
    pub generator: Generator,
    /// What it was told.
    pub settings: RunSettings,
    /// One for each receiver of its messages.
    pub sinks: Vec<SinkReport>,
    /// What the reader should know besides.
    pub warnings: Vec<String>,
    #[serde(skip)]
    request_rates: Vec<u64>,
    #[serde(skip)]
    recordings: Recordings,
}

/// What became of the starts that were due in the warm-up, of all rows: both sums of [`JourneyReport`] hold for them too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WarmUp {
    /// From the start of the run on: what was due before its end is left out of the figures.
    #[serde(rename = "duration_us", with = "micros")]
    pub duration: Duration,
    /// Starts that the plan had in it.
    pub planned: u64,
    /// Starts that were made.
    pub started: u64,
    /// Journeys that returned `Ok`, in the warm-up or after it.
    pub completed: u64,
    /// Journeys that returned an error, panicked or took longer than their row's timeout.
    pub failed: u64,
    /// Journeys that were still running when the graceful stop ran out.
    pub cancelled: u64,
    /// Starts left out at `max_running`.
    pub dropped: u64,
    /// Starts for which the data pool had no item.
    pub starved: u64,
    /// Starts that were still waiting when the row ended.
    pub unstarted: u64,
    /// Starts that were due while their runner was cut off from its cluster.
    #[serde(default)]
    pub fenced: u64,
    /// Starts of runners that are gone and did not tell what became of them.
    #[serde(default)]
    pub lost: u64,
    /// Errors that were reported.
    pub errors: u64,
}

impl WarmUp {
    fn of(duration: Duration, stats: &PartFigures) -> Self {
        let mut sum = Self { duration: whole_micros(duration), errors: stats.errors.values().sum(), ..Self::default() };
        for row in &stats.rows {
            sum.planned += row.planned;
            sum.started += row.started;
            sum.completed += row.completed;
            sum.failed += row.failed;
            sum.cancelled += row.cancelled;
            sum.dropped += row.dropped;
            sum.starved += row.starved;
            sum.unstarted += row.unstarted;
            sum.fenced += row.fenced;
            sum.lost += row.lost;
        }
        sum
    }
}

/// How the load generator itself did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Generator {
    /// Worker threads.
    pub workers: u32,
    /// CPU time of the whole process during the run, in per cent of one core.
    pub cpu_percent: f64,
    /// The most memory that the process had so far; 0 where the system does not tell.
    pub peak_rss_bytes: u64,
    /// How late mite itself started the slowest hundredth of all journeys.
    pub start_lag_p99_us: u64,
}

impl Report {
    /// What its figures are asked of.
    pub(crate) fn tables(&self) -> Tables<'_> {
        Tables {
            journeys: &self.journeys,
            transactions: &self.transactions,
            requests: &self.requests,
            errors: self.errors.iter().map(|error| error.count).sum(),
            metrics: &self.metrics,
            request_rates: &self.request_rates,
            measured: self.measured(),
        }
    }

    /// The row of the journey with this name: `signup:signin`, or `signin` alone; the first one where it has several.
    ///
    /// # Panics
    /// When no journey has this name, or different ones have it as their last part: the message names those that there are.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn signin(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Log in", async |_ctx| Ok(())).await
    /// # }
    /// # let scenario = Scenario::new().journey(signin, NoData, at_once(10));
    /// let report = Run::new(scenario).run_blocking()?;
    /// let row = report.journey("signin");
    /// assert_eq!((row.planned, row.started, row.completed), (10, 10, 10));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn journey(&self, name: &str) -> &JourneyReport {
        first(series::journeys(self.tables(), name))
    }

    /// The transaction with this name, in whichever journey comes first; one within another has both names, joined by
    /// ` :: `.
    ///
    /// # Panics
    /// When no transaction has this name: the message names those that there are.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn signin(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Log in", async |_ctx| Ok(())).await
    /// # }
    /// # let scenario = Scenario::new().journey(signin, NoData, at_once(10));
    /// let report = Run::new(scenario).run_blocking()?;
    /// assert_eq!(report.transaction("Log in").count, 10);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn transaction(&self, name: &str) -> &TransactionReport {
        first(series::transactions(self.tables(), name))
    }

    /// The requests with this method in this transaction, of all outcomes, and of all names unless
    /// [`named`](Requests::named) asks for one; those that were made outside of any transaction stand under their journey's
    /// name, as in the text.
    ///
    /// # Panics
    /// When there were none: the message names those that there are.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, RequestSample, Result, Run, Scenario};
    /// # async fn signin(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Log in", async |ctx| {
    /// #         // What `ctx.http().post("/login").await?` counts.
    /// #         ctx.scope().request(&RequestSample { method: "POST", code: 200, ..RequestSample::default() });
    /// #         Ok(())
    /// #     })
    /// #     .await
    /// # }
    /// # let scenario = Scenario::new().journey(signin, NoData, at_once(10));
    /// let report = Run::new(scenario).run_blocking()?;
    /// let logins = report.request("POST", "Log in");
    /// assert_eq!((logins.count(), logins.answered(200), logins.errors()), (10, 10, 0));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn request(&self, method: &str, transaction: &str) -> Requests<'_> {
        match series::requests(self.tables(), &series::request_label(method, None, transaction)) {
            Ok(outcomes) => Requests { outcomes },
            Err(unknown) => panic!("{unknown}"),
        }
    }

    /// The metric of one's own with this name, with all its series: see [`stats`](crate::stats).
    ///
    /// # Panics
    /// When no metric has this name: the message names those that there are. One that was declared and never occurred is there,
    /// without series.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn buy(ctx: &mut Context) -> Result {
    /// #     ctx.counter("cart_items").label("shop", "berlin").add(3);
    /// #     Ok(())
    /// # }
    /// # let scenario = Scenario::new().journey(buy, NoData, at_once(10));
    /// let report = Run::new(scenario).run_blocking()?;
    /// assert_eq!(report.metric("cart_items").number(), Some(30.0));
    /// assert_eq!(report.metric("cart_items").label("shop", "berlin").number(), Some(30.0));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn metric(&self, name: &str) -> MetricRows<'_> {
        series::metric(self.tables(), name, &[]).unwrap_or_else(|unknown| panic!("{unknown}"))
    }

    /// A sample of the requests that failed, with what was sent and what came back, in the order in which they failed: the
    /// first 32, and no more than two of the same journey, transaction, method, name and outcome.
    ///
    /// It is a sample: how many failed is told by [`requests`](Report::requests). What is left out of the figures, since it
    /// was due in a warm-up, is left out here too. Whether a journey took it for an error does not matter: one that expects
    /// a `404` has it here.
    pub fn failed_exchanges(&self) -> &[FailedExchange] {
        &self.failed_exchanges
    }

    /// How long was measured: the run's duration, without its warm-up.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, constant(100, SECOND / 5));
    /// let report = Run::new(scenario).warm_up(SECOND / 10).run_blocking()?;
    /// assert_eq!(report.measured(), report.duration - SECOND / 10);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn measured(&self) -> Duration {
        self.duration.saturating_sub(self.warm_up.as_ref().map_or(Duration::ZERO, |part| part.duration))
    }

    /// What this run has recorded under a name, in memory or in its recorder's folder: as many rows as
    /// [`Report::records`] tells, and none of an earlier run.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct User {
    ///     username: String,
    /// }
    ///
    /// async fn create_user(ctx: &mut Context) -> Result {
    ///     ctx.record("users", User { username: format!("user{}", ctx.start_index()) }).await
    /// }
    ///
    /// let scenario = Scenario::new().journey(create_user, NoData, constant(100, SECOND / 10));
    /// let report = Run::new(scenario).record_in_memory().run_blocking()?;
    /// let users = report.recorded::<User>("users")?;
    /// assert_eq!(users.len(), 10);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`RecordedError`]: as [`recorded`](crate::recorded), for the first row that is not right; for a folder's file also
    /// that it is not as the run has left it. A name that the run did not record, or has purged, is an error and no empty
    /// list: a misspelt one would otherwise pass for data that were never created. [`Report::records`] tells which names
    /// there are.
    pub fn recorded<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, RecordedError> {
        self.recordings.read(name)
    }

    /// Whether the verdict is *passed*.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, at_once};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn signin(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Log in", async |_ctx| Ok(())).await
    /// # }
    /// # let scenario = Scenario::new().journey(signin, NoData, at_once(10));
    /// // A machine that is busy must not fail this.
    /// let report = Run::new(scenario).max_start_lag(MINUTE).run_blocking()?;
    /// assert!(report.passed(), "{report}");
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }

    /// The report as JSON, indented.
    ///
    /// # Panics
    /// Never: a report has only text as keys.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn signin(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Log in", async |_ctx| Ok(())).await
    /// # }
    /// # let scenario = Scenario::new().journey(signin, NoData, at_once(10));
    /// let report = Run::new(scenario).run_blocking()?;
    /// let again = mite_core::Report::from_json(&report.to_json())?;
    /// assert_eq!(again.journey("signin").completed, 10);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has only text as keys")
    }
}

impl Threshold {
    /// Compares the report's figure with the limit.
    ///
    /// A figure that the report does not have (nothing has the name, nothing of it was timed) does not pass, nor does a
    /// threshold that makes no sense: [`Checked`] says so in words.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// use mite_core::threshold::{ms, p99};
    ///
    /// # async fn signin(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Log in", async |_ctx| Ok(())).await
    /// # }
    /// # let scenario = Scenario::new().journey(signin, NoData, at_once(10));
    /// let report = Run::new(scenario).run_blocking()?;
    /// let checked = p99("Log in").under(ms(300)).check(&report);
    /// assert!(checked.passed(), "{checked}");
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn check(&self, report: &Report) -> Checked {
        if self.window_seconds().is_none() {
            return self.check_tables(report.tables());
        }
        let told = report.thresholds.iter().find(|checked| checked.threshold() == self);
        told.cloned()
            .unwrap_or_else(|| self.not_told("only the run itself can tell: give it to `Run::threshold`".to_owned()))
    }
}

#[track_caller]
fn first<R>(rows: Result<Vec<&R>, String>) -> &R {
    match rows {
        // There is at least one where there is no error.
        Ok(rows) => rows[0],
        Err(unknown) => panic!("{unknown}"),
    }
}

/// How many requests ended in each whole second that was measured.
fn request_rates(per_second: &[PerSecond], duration: Duration) -> Vec<u64> {
    let measured = per_second.iter().filter(|second| !second.warm_up && second.t < duration.as_secs());
    measured.map(|second| second.requests).collect()
}

/// What a run has left behind besides its statistics.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) scenario: String,
    /// Unix time.
    pub(crate) started_at: Duration,
    pub(crate) duration: Duration,
    pub(crate) rows: Vec<RowFacts>,
    pub(crate) stopped: Option<Stopped>,
    /// Why it was stopped, where that was what it was told to abort when.
    pub(crate) aborted: Option<String>,
    pub(crate) limits: GeneratorLimits,
    pub(crate) warm_up: Duration,
    pub(crate) max_series_bytes: u64,
    /// What does not add up in mite itself.
    pub(crate) bugs: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// Journeys that blocked their workers' threads, in words.
    pub(crate) blocked: Vec<String>,
    pub(crate) records: Recordings,
    pub(crate) per_second: Vec<PerSecond>,
    pub(crate) hooks: Vec<HookReport>,
    pub(crate) settings: RunSettings,
    pub(crate) sinks: Vec<SinkReport>,
    pub(crate) generator: Generator,
}

#[derive(Debug)]
pub(crate) struct RowFacts {
    pub(crate) journey: String,
    pub(crate) unused_items: Option<u64>,
}

/// Makes the report of the merged statistics.
pub(crate) fn make(
    names: &Names,
    figures: Figures,
    check: impl FnOnce(Tables<'_>) -> Vec<Checked>,
    facts: Facts,
) -> Report {
    let Figures { measured: stats, warm_up } = figures;
    // What the system has no more of is missing in either part.
    let mut ran_out = stats.ran_out;
    ran_out.extend(&warm_up.ran_out);
    let (mut bugs, mut warnings) = (facts.bugs, facts.warnings);
    for (part, rows) in [("", &stats.rows), (" in the warm-up", &warm_up.rows)] {
        bugs.extend(rows.iter().enumerate().flat_map(|(row, stats)| broken_sums(row, part, stats)));
    }
    let warm_up = (!facts.warm_up.is_zero()).then(|| WarmUp::of(facts.warm_up, &warm_up));
    if warm_up.is_some() && stats.rows.iter().all(|row| row.planned == 0) {
        warnings.push("nothing was measured: all starts were due in the warm-up".to_owned());
    }
    if stats.out_of_room {
        warnings.push(format!(
            "the figures of transactions and requests took all of the {} that they may: those that came later are told as \
             `__overflow__`. Use fewer different names, or raise `Run::max_series_bytes`",
            units::bytes(facts.max_series_bytes)
        ));
    }
    if stats.out_of_kinds {
        warnings.push(
            "a transaction had more kinds of request than are told apart: those that came later are told with the method \
             `__overflow__`. Methods and names of requests should be few: what differs from user to user belongs in neither"
                .to_owned(),
        );
    }
    warnings.extend(stats.metrics.warnings());
    let mut start_lag = Histogram::new();
    let mut journeys = Vec::new();
    let mut inside = Vec::new();
    for ((index, row), facts) in stats.rows.into_iter().enumerate().skip(1).zip(facts.rows) {
        start_lag.merge(&row.start_lag);
        inside.push(Inside { too_late: row.too_late, ramped_down: row.ramped_down });
        let told = tabulate::journey(index as u32, facts.journey, row);
        journeys.push(JourneyReport { unused_items: facts.unused_items, ..told });
    }
    let place = |path| tabulate::place(names, path);
    let mut generator = facts.generator;
    generator.start_lag_p99_us = start_lag.percentile(99.0).as_micros() as u64;
    let mut report = Report {
        schema: stored::SCHEMA.to_owned(),
        scenario: facts.scenario,
        started_at: rfc3339(facts.started_at),
        duration: whole_micros(facts.duration),
        verdict: Verdict::Passed,
        reasons: Vec::new(),
        thresholds: Vec::new(),
        baseline: None,
        transactions: transactions(stats.transactions, place),
        requests: requests(stats.requests, place),
        errors: errors(&stats.errors, place),
        failed_exchanges: stats.failed_exchanges.told(place),
        checks: checks(&stats.checks, place),
        metrics: metrics::metrics(&stats.metrics),
        records: facts.records.counts(),
        recordings: facts.records,
        request_rates: request_rates(&facts.per_second, whole_micros(facts.duration)),
        per_second: facts.per_second,
        hooks: facts.hooks,
        settings: facts.settings,
        sinks: facts.sinks,
        generator,
        warnings,
        warm_up,
        journeys,
    };
    let mut limited = generator_limits(&report.journeys, facts.limits, &inside, &ran_out, &start_lag);
    if limited.is_empty() {
        report.warnings.extend(facts.blocked);
        for (row, inside) in report.journeys.iter().zip(&inside).filter(|(_, inside)| inside.too_late > 0) {
            let starts = counted(inside.too_late, "start");
            report
                .warnings
                .push(format!("{}: {starts} not made, since the generator was too late for them", row.journey));
        }
    } else {
        // There is the cause, then, or one of several.
        limited.extend(facts.blocked);
    }
    report.thresholds = check(report.tables());
    (report.verdict, report.reasons) = judge(
        Found { journeys: &report.journeys, errors: &report.errors, thresholds: &report.thresholds },
        &inside,
        facts.stopped,
        facts.aborted,
        limited,
        bugs,
    );
    report
}
