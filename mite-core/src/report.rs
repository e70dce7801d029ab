//! What a run has found: figures by journey, transaction and request, its errors, and a verdict.
//!
//! The JSON is a contract (`"schema": "mite.report/1"`, times in whole microseconds); the text is for people.

mod csv;
pub(crate) mod exchanges;
#[cfg(test)]
pub(crate) mod fixed;
mod html;
mod junit;
mod markup;
mod requests;
pub(crate) mod series;
pub(crate) mod text;
mod times;
pub(crate) mod units;

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::{micros, rfc3339};
use crate::exchange::FailedExchange;
use crate::histogram::Histogram;
use crate::hooks::HookReport;
use crate::limits::RanOut;
use crate::names::{Names, PathId};
use crate::recorded::RecordedError;
use crate::recordings::Recordings;
use crate::stats::{Figures, RequestStats, RowStats, Stats, TransactionStats};
use crate::threshold::Checked;

pub use requests::Requests;

/// The report of a run.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// `mite.report/1`.
    pub schema: &'static str,
    /// The scenario's name.
    pub scenario: String,
    /// When the run began, in RFC 3339.
    pub started_at: String,
    /// From the first start to the end of the last journey.
    #[serde(rename = "duration_us", serialize_with = "micros")]
    pub duration: Duration,
    /// Whether the system kept its promises.
    pub verdict: Verdict,
    /// Why the verdict is not `passed`.
    pub reasons: Vec<String>,
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
    /// How many records each name got, counted where they were written; what was purged since is left out.
    pub records: BTreeMap<String, u64>,
    /// One for each second of the run.
    pub per_second: Vec<PerSecond>,
    /// How long setup and teardown took.
    pub hooks: Vec<HookReport>,
    /// How the load generator itself did.
    pub generator: Generator,
    /// What the reader should know besides.
    pub warnings: Vec<String>,
    #[serde(skip)]
    recordings: Recordings,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Without any error.
    Passed,
    /// With errors, or with starts that could not be made.
    Failed,
    /// The generator could not keep up with the plan.
    GeneratorLimited,
    /// It was stopped before its end.
    Aborted,
}

/// What became of the starts that were due in the warm-up, of all rows: both sums of [`JourneyReport`] hold for them too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WarmUp {
    /// From the start of the run on: what was due before its end is left out of the figures.
    #[serde(rename = "duration_us", serialize_with = "micros")]
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
    /// Errors that were reported.
    pub errors: u64,
}

impl WarmUp {
    fn of(duration: Duration, stats: &Stats) -> Self {
        let mut sum = Self { duration, errors: stats.errors.values().sum(), ..Self::default() };
        for row in &stats.rows {
            sum.planned += row.planned;
            sum.started += row.started;
            sum.completed += row.completed;
            sum.failed += row.failed;
            sum.cancelled += row.cancelled;
            sum.dropped += row.dropped;
            sum.starved += row.starved;
            sum.unstarted += row.unstarted;
        }
        sum
    }
}

/// The figures of one row. Both sums hold in each report: `planned = started + dropped + starved + unstarted`, and
/// `started = completed + failed + cancelled`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct JourneyReport {
    /// The row's number, from 1.
    pub row: u32,
    /// The journey's name, `module:function`.
    pub journey: String,
    /// Starts that the plan had: for a rate its integral, in the closed model one each time that a slot was free.
    pub planned: u64,
    /// Starts that were made.
    pub started: u64,
    /// Journeys that returned `Ok`.
    pub completed: u64,
    /// Journeys that returned an error, panicked or took longer than their row's timeout.
    pub failed: u64,
    /// Journeys that were still running when the graceful stop ran out, or their row's graceful ramp-down.
    pub cancelled: u64,
    /// Starts left out at `max_running`.
    pub dropped: u64,
    /// Starts for which the data pool had no item.
    pub starved: u64,
    /// Starts that were still waiting when the row ended.
    pub unstarted: u64,
    /// Due to ended, of the journeys that completed.
    pub response_time: Histogram,
    /// Started to ended, of the journeys that completed.
    pub service_time: Histogram,
    /// How late mite itself was.
    pub start_lag: Histogram,
    /// How long starts waited at `max_running`.
    pub queue_wait: Histogram,
    /// How long starts waited for data.
    pub data_wait: Histogram,
    /// Due to ended, of the journeys that failed.
    pub failed_time: Histogram,
    /// Items that the pool still had when the row ended, where it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused_items: Option<u64>,
}

/// The figures of one transaction.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TransactionReport {
    /// The journey's name.
    pub journey: String,
    /// The transaction's name without `__root__ :: `.
    pub transaction: String,
    /// How often it ended, cut off or not.
    pub count: u64,
    /// How often with an error.
    pub errors: u64,
    /// How long it took, with or without an error; not of those that were cut off.
    pub time: Histogram,
}

/// The figures of one kind of request.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RequestReport {
    /// The journey's name.
    pub journey: String,
    /// The transaction's name without `__root__ :: `.
    pub transaction: String,
    /// `POST`.
    pub method: String,
    /// What the journey calls it, where it has a name: `/users/{id}`.
    pub name: Option<String>,
    /// The response's code; 0 when there was none.
    pub code: u16,
    /// Without a response, the class of its error: `connect`, `timeout`, …
    pub error: Option<String>,
    /// How many there were.
    pub count: u64,
    /// Bytes of body received.
    pub bytes: u64,
    /// From the start of the request to the end of its body, or to its failure.
    pub time: Histogram,
    /// Finding the address, of the requests that had to.
    pub dns: Histogram,
    /// Connecting, of the requests that had to.
    pub connect: Histogram,
    /// The handshake of TLS, of the requests that had one.
    pub tls: Histogram,
    /// From the request having been sent to the first byte of the response.
    pub first_byte: Histogram,
}

/// One kind of error.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ErrorReport {
    /// The journey's name.
    pub journey: String,
    /// The innermost transaction that the error passed through, without `__root__ :: `.
    pub transaction: String,
    /// The bare name of the error's type; `panic` for a panic.
    pub ex_type: String,
    /// The type, then what it said.
    pub message: String,
    /// `file:line:function`.
    pub location: String,
    /// How often it happened.
    pub count: u64,
}

/// One name that was checked with [`Context::check`](crate::Context::check).
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// The journey's name.
    pub journey: String,
    /// What was checked.
    pub name: String,
    /// How often it held.
    pub passed: u64,
    /// How often it did not.
    pub failed: u64,
}

/// One second of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PerSecond {
    /// The second, from 0.
    pub t: u64,
    /// Whether it began in the warm-up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub warm_up: bool,
    /// Starts that were due in it.
    pub planned: u64,
    /// Journeys started in it.
    pub started: u64,
    /// Journeys that completed in it.
    pub completed: u64,
    /// Journeys that failed in it.
    pub failed: u64,
    /// Journeys under way at its end.
    pub running: u64,
    /// The response times of the journeys that completed in it, of all rows.
    pub response_time: SecondQuantiles,
    /// The same for each row; empty where the scenario has only one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<SecondRow>,
}

/// One row in one second of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SecondRow {
    /// The row's number, from 1.
    pub row: u32,
    /// Starts that were due in the second.
    pub planned: u64,
    /// Journeys started in it.
    pub started: u64,
    /// Journeys that completed in it.
    pub completed: u64,
    /// Journeys that failed in it.
    pub failed: u64,
    /// Journeys under way at its end.
    pub running: u64,
    /// The response times of the journeys that completed in it.
    pub response_time: SecondQuantiles,
}

/// The response times of the journeys that completed in one second, on all workers: whole microseconds, told within 0.1 %;
/// zeros when there were none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SecondQuantiles {
    /// How many journeys completed.
    pub count: u64,
    /// What half of them were not longer than.
    pub p50: u64,
    /// What 95 of 100 were not longer than.
    pub p95: u64,
    /// What 99 of 100 were not longer than.
    pub p99: u64,
    /// The longest, exactly.
    pub max: u64,
}

impl SecondQuantiles {
    pub(crate) fn of(times: &Histogram) -> Self {
        let micros = |percent| times.percentile(percent).as_micros() as u64;
        Self {
            count: times.count(),
            p50: micros(50.0),
            p95: micros(95.0),
            p99: micros(99.0),
            max: times.max().as_micros() as u64,
        }
    }
}

/// How the load generator itself did.
#[derive(Debug, Clone, Default, Serialize)]
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
    /// The row of the journey with this name: `signup:signin`, or `signin` alone; the first one where it has several.
    ///
    /// # Panics
    /// When no journey has this name, or different ones have it as their last part: the message names those that there are.
    #[track_caller]
    pub fn journey(&self, name: &str) -> &JourneyReport {
        first(series::journeys(self, name))
    }

    /// The transaction with this name, in whichever journey comes first; one within another has both names, joined by
    /// ` :: `.
    ///
    /// # Panics
    /// When no transaction has this name: the message names those that there are.
    #[track_caller]
    pub fn transaction(&self, name: &str) -> &TransactionReport {
        first(series::transactions(self, name))
    }

    /// The requests with this method in this transaction, of all outcomes, and of all names unless
    /// [`named`](Requests::named) asks for one; those that were made outside of any transaction stand under their journey's
    /// name, as in the text.
    ///
    /// # Panics
    /// When there were none: the message names those that there are.
    #[track_caller]
    pub fn request(&self, method: &str, transaction: &str) -> Requests<'_> {
        match series::requests(self, &series::request_label(method, None, transaction)) {
            Ok(outcomes) => Requests { outcomes },
            Err(unknown) => panic!("{unknown}"),
        }
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
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }

    /// The report as JSON, indented.
    ///
    /// # Panics
    /// Never: a report has only text as keys.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has only text as keys")
    }

    /// The report as one HTML page for people: the verdict, curves over time, distributions, tables and errors.
    ///
    /// It needs nothing else, asks no network for anything and runs no script, so that it can be kept and mailed. The
    /// thresholds are those that the report was held against; there may be none. Curves of runs over ten minutes are thinned,
    /// which the page says, so that it stays small.
    ///
    /// ```
    /// # use mite_core::threshold::{ms, p99};
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # let report = Run::new(Scenario::new().journey(visit, NoData, constant(100, SECOND / 10))).run_blocking()?;
    /// let page = report.html(&[p99("visit").under(ms(300)).check(&report)]);
    /// assert!(page.starts_with("<!doctype html>"));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn html(&self, thresholds: &[Checked]) -> String {
        html::Page { report: self, thresholds }.to_string()
    }

    /// The report as JUnit XML, for CI systems: a case for the run's verdict, for each threshold and for each journey.
    ///
    /// A run that tells nothing of the system, since the generator was limited or the run was aborted, is an `error`. Without
    /// thresholds a journey's case fails by any error of it, and by any start that was not made; with thresholds they judge,
    /// and the journeys' cases only tell their figures.
    pub fn junit(&self, thresholds: &[Checked]) -> String {
        junit::Suite { report: self, thresholds }.to_string()
    }

    /// The [seconds](Report::per_second) of the run as CSV (RFC 4180), with a head.
    ///
    /// For each second there is a line of all rows, in which `row` and `journey` are empty, and where the scenario has several
    /// rows, one line of each. `t` is in seconds from the start of the run; what is counted in a second is a rate. Times are in
    /// microseconds, and empty where no journey completed.
    pub fn csv(&self) -> String {
        csv::Lines(self).to_string()
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

/// Why a run ended before its plan did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Gracefully,
    AtOnce,
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
    pub(crate) generator: Generator,
}

#[derive(Debug)]
pub(crate) struct RowFacts {
    pub(crate) journey: String,
    pub(crate) unused_items: Option<u64>,
}

/// From when on the generator itself is taken to have been the limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GeneratorLimits {
    /// The least part of the planned starts that must have been made on time enough to be made at all.
    pub(crate) least_achieved: f64,
    /// The most that the start lag's p99 may be.
    pub(crate) most_lag: Duration,
}

impl Default for GeneratorLimits {
    fn default() -> Self {
        Self { least_achieved: 0.99, most_lag: Duration::from_millis(10) }
    }
}

/// What the verdict needs to know of a row besides its report.
#[derive(Debug, Clone, Copy)]
struct Inside {
    /// Starts that mite itself was too late for.
    too_late: u64,
    /// Journeys cancelled since they were too many when the number running fell.
    ramped_down: u64,
}

/// Makes the report of the merged statistics.
pub(crate) fn make(names: &Names, figures: Figures, facts: Facts) -> Report {
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
    let mut start_lag = Histogram::new();
    let mut journeys = Vec::new();
    let mut inside = Vec::new();
    for ((index, row), facts) in stats.rows.into_iter().enumerate().skip(1).zip(facts.rows) {
        start_lag.merge(&row.start_lag);
        inside.push(Inside { too_late: row.too_late, ramped_down: row.ramped_down });
        journeys.push(JourneyReport {
            row: index as u32,
            journey: facts.journey,
            planned: row.planned,
            started: row.started,
            completed: row.completed,
            failed: row.failed,
            cancelled: row.cancelled,
            dropped: row.dropped,
            starved: row.starved,
            unstarted: row.unstarted,
            response_time: row.response_time,
            service_time: row.service_time,
            start_lag: row.start_lag,
            queue_wait: row.queue_wait,
            data_wait: row.data_wait,
            failed_time: row.failed_time,
            unused_items: facts.unused_items,
        });
    }
    let place = |path: PathId| {
        let path = names.path(path);
        (path.row, names.journey(path.row).to_owned(), path.short().to_owned())
    };
    let mut generator = facts.generator;
    generator.start_lag_p99_us = start_lag.percentile(99.0).as_micros() as u64;
    let mut report = Report {
        schema: "mite.report/1",
        scenario: facts.scenario,
        started_at: rfc3339(facts.started_at),
        duration: facts.duration,
        verdict: Verdict::Passed,
        reasons: Vec::new(),
        transactions: transactions(stats.transactions, place),
        requests: requests(stats.requests, place),
        errors: errors(&stats.errors, place),
        failed_exchanges: stats.failed_exchanges.told(place),
        checks: checks(&stats.checks, place),
        records: facts.records.counts(),
        recordings: facts.records,
        per_second: facts.per_second,
        hooks: facts.hooks,
        generator,
        warnings,
        warm_up,
        journeys,
    };
    let mut limited = generator_limits(&report, facts.limits, &inside, &ran_out, &start_lag);
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
    (report.verdict, report.reasons) = judge(&report, &inside, facts.stopped, limited, bugs);
    report
}

/// Rows of the same name, as when a journey stands in two rows of the scenario, are told as one.
type Named<T> = BTreeMap<(u32, String, String, T), usize>;

fn merged<T: Ord, R>(
    rows: &mut Vec<R>,
    index: &mut Named<T>,
    key: (u32, String, String, T),
    row: R,
    merge: impl FnOnce(&mut R, R),
) {
    if let Some(at) = index.get(&key) {
        merge(&mut rows[*at], row);
    } else {
        index.insert(key, rows.len());
        rows.push(row);
    }
}

fn transactions(
    stats: Vec<TransactionStats>,
    place: impl Fn(PathId) -> (u32, String, String),
) -> Vec<TransactionReport> {
    let (mut rows, mut index) = (Vec::new(), Named::new());
    for (path, stats) in stats.into_iter().enumerate().filter(|(_, stats)| stats.count > 0) {
        let (row, journey, transaction) = place(PathId(path as u32));
        let key = (u32::from(row > 0), journey.clone(), transaction.clone(), ());
        let TransactionStats { count, errors, time } = stats;
        let row = TransactionReport { journey, transaction, count, errors, time };
        merged(&mut rows, &mut index, key, row, |told, row| {
            told.count += row.count;
            told.errors += row.errors;
            told.time.merge(&row.time);
        });
    }
    rows
}

fn requests(stats: Vec<Vec<RequestStats>>, place: impl Fn(PathId) -> (u32, String, String)) -> Vec<RequestReport> {
    let (mut rows, mut index) = (Vec::new(), Named::new());
    let stats = stats.into_iter().enumerate().flat_map(|(path, stats)| stats.into_iter().map(move |of| (path, of)));
    for (path, stats) in stats {
        let (row, journey, transaction) = place(PathId(path as u32));
        let kind = (stats.method.clone(), stats.name.clone(), stats.code, stats.error);
        let key = (u32::from(row > 0), journey.clone(), transaction.clone(), kind);
        let row = RequestReport {
            journey,
            transaction,
            method: stats.method.into(),
            name: stats.name.map(Into::into),
            code: stats.code,
            error: stats.error.map(str::to_owned),
            count: stats.count,
            bytes: stats.bytes,
            time: stats.time,
            dns: stats.dns,
            connect: stats.connect,
            tls: stats.tls,
            first_byte: stats.first_byte,
        };
        merged(&mut rows, &mut index, key, row, |told, row| {
            told.count += row.count;
            told.bytes += row.bytes;
            told.time.merge(&row.time);
            told.dns.merge(&row.dns);
            told.connect.merge(&row.connect);
            told.tls.merge(&row.tls);
            told.first_byte.merge(&row.first_byte);
        });
    }
    rows
}

fn errors(
    stats: &std::collections::HashMap<crate::stats::ErrorKey, u64>,
    place: impl Fn(PathId) -> (u32, String, String),
) -> Vec<ErrorReport> {
    let mut rows: Vec<ErrorReport> = stats
        .iter()
        .map(|(key, count)| {
            let (_, journey, transaction) = place(key.path);
            ErrorReport {
                journey,
                transaction,
                ex_type: key.ex_type.clone(),
                message: key.message.clone(),
                location: key.location.clone(),
                count: *count,
            }
        })
        .collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.journey, &a.message).cmp(&(&b.journey, &b.message))));
    rows
}

fn checks(
    stats: &FxHashMap<PathId, FxHashMap<String, crate::stats::CheckStats>>,
    place: impl Fn(PathId) -> (u32, String, String),
) -> Vec<CheckReport> {
    let mut rows = BTreeMap::new();
    for (path, name, stats) in stats.iter().flat_map(|(path, of)| of.iter().map(move |(name, of)| (path, name, of))) {
        let (_, journey, _) = place(*path);
        let told = rows.entry((journey.clone(), name.clone()));
        let told = told.or_insert_with(|| CheckReport { journey, name: name.clone(), passed: 0, failed: 0 });
        told.passed += stats.passed;
        told.failed += stats.failed;
    }
    rows.into_values().collect()
}

/// The two sums that must hold for each row in each part of the run; where one does not, mite has lost count.
fn broken_sums(row: usize, part: &str, stats: &RowStats) -> Vec<String> {
    let mut broken = Vec::new();
    let (planned, started) = (stats.planned, stats.started);
    let became = started + stats.dropped + stats.starved + stats.unstarted;
    if planned != became {
        broken.push(format!("row {row}: {planned} starts were planned{part}, and {became} are accounted for"));
    }
    let ended = stats.completed + stats.failed + stats.cancelled;
    if started != ended {
        broken.push(format!("row {row}: {started} journeys were started{part}, and {ended} are accounted for"));
    }
    broken
}

/// In what ways the generator itself was the limit. Waiting at `max_running` and for data does not count: that is what the
/// run was told to do, or what the system made of it.
fn generator_limits(
    report: &Report,
    limits: GeneratorLimits,
    inside: &[Inside],
    ran_out: &BTreeMap<RanOut, u64>,
    start_lag: &Histogram,
) -> Vec<String> {
    const MEND: &str = "use more workers or another machine, or ask for less";
    let mut reasons = Vec::new();
    for (row, inside) in report.journeys.iter().zip(inside) {
        let achieved = 1.0 - inside.too_late as f64 / row.planned.max(1) as f64;
        if achieved < limits.least_achieved {
            reasons.push(format!(
                "{}: the generator made only {:.1} % of the planned starts: {MEND}",
                row.journey,
                achieved * 100.0
            ));
        }
    }
    let lag = start_lag.percentile(99.0);
    if lag > limits.most_lag {
        reasons.push(format!(
            "the generator was late: its start lag has a p99 of {lag:?}, and {:?} is the limit: {MEND}",
            limits.most_lag
        ));
    }
    reasons.extend(ran_out.keys().map(|what| what.reason().to_owned()));
    reasons
}

/// The verdict, and its reasons in words.
fn judge(
    report: &Report,
    inside: &[Inside],
    stopped: Option<Stopped>,
    limited: Vec<String>,
    bugs: Vec<String>,
) -> (Verdict, Vec<String>) {
    let is_limited = !limited.is_empty();
    let mut reasons = limited;
    let errors: u64 = report.errors.iter().map(|error| error.count).sum();
    if errors > 0 {
        let kinds = report.errors.len();
        reasons.push(format!("{} of {}", counted(errors, "error"), counted(kinds as u64, "kind")));
    }
    for (row, inside) in report.journeys.iter().zip(inside) {
        let name = &row.journey;
        if row.starved > 0 {
            reasons.push(format!("{name}: its data pool had no item for {}", counted(row.starved, "start")));
        }
        if row.dropped > 0 {
            reasons.push(format!("{name}: {} dropped at max_running", counted(row.dropped, "start")));
        }
        // What mite was too late for is the generator's limit, or within what is allowed it.
        let waiting = row.unstarted - inside.too_late;
        if waiting > 0 && stopped.is_none() {
            reasons.push(format!("{name}: {} still waiting at the end", counted(waiting, "start")));
        }
        // To cancel what is too many when the number running falls is what the row asks for.
        let cancelled = row.cancelled - inside.ramped_down;
        if cancelled > 0 && stopped != Some(Stopped::AtOnce) {
            let journeys = counted(cancelled, "journey");
            reasons.push(format!("{name}: {journeys} still running when the graceful stop ran out"));
        }
    }
    reasons.extend(bugs.into_iter().map(|bug| format!("{bug} (a bug of mite)")));
    let verdict = if stopped.is_some() {
        reasons.insert(0, "stopped before its end".to_owned());
        Verdict::Aborted
    } else if is_limited {
        Verdict::GeneratorLimited
    } else if reasons.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Failed
    };
    (verdict, reasons)
}

pub(crate) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
