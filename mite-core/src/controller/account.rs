//! What a run leaves behind, made into its report.
//!
//! It is apart from the controller's loop, which is over by then.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::SECOND;
use super::conditions::Conditions;
use super::rows::Row;
use super::tally::Tally;
use crate::cluster;
use crate::hooks::HookReport;
use crate::recordings::Records;
use crate::report::settings::{RowSettings, RunSettings};
use crate::report::{self, Facts, Generator, Report, RowFacts, SinkReport, Stopped};
use crate::runner::env::RunFacts;
use crate::runner::protocol::WorkerResult;
use crate::runner::watch::Blocked;
use crate::seconds::Seconds;
use crate::usage::Usage;

/// Adds up what the workers hand over at their ends, and gives what does not add up.
pub(crate) fn take_results(results: Vec<WorkerResult>, tally: &mut Tally, sent: &mut [u64]) -> Vec<String> {
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

/// What a run leaves behind, besides what its workers tell in the end.
pub(crate) struct Left {
    pub(crate) rows: Vec<Row>,
    pub(crate) seconds: Seconds,
    pub(crate) tally: Tally,
    pub(crate) sinks: Vec<SinkReport>,
    pub(crate) bugs: Vec<String>,
    pub(crate) conditions: Conditions,
    pub(crate) stopped: Option<Stopped>,
    pub(crate) aborted: Option<String>,
    /// By row.
    pub(crate) blocked: BTreeMap<u32, Blocked>,
    pub(crate) gaps: Vec<String>,
    pub(crate) hooks: Vec<HookReport>,
    pub(crate) stop_after: Option<u64>,
    /// What the runners of a cluster have used, in place of this process.
    pub(crate) used: Option<cluster::Usage>,
}

/// How a run ended, when it could be carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) duration: Duration,
    pub(crate) usage: Usage,
}

pub(crate) fn make_report(
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
            let unused = row.not_used.or_else(|| row.pool.left()).filter(|left| *left > 0 && row.pool.ends());
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
                workers: left.used.map_or(facts.workers, |used| used.workers),
                cpu_percent: left.used.map_or_else(|| ended.usage.cpu_percent(ended.duration), |used| used.cpu_percent),
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
