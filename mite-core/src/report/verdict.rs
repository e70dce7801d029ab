//! Whether a run has passed, and why not: by its rows, by what the generator itself was too late for, and by thresholds.
//!
//! It is apart from the rows and pure, so that tables test it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rows::{ErrorReport, JourneyReport};
use super::units::counted;
use crate::figures::RowStats;
use crate::histogram::Histogram;
use crate::limits::RanOut;
use crate::threshold::Checked;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Why a run ended before its plan did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Gracefully,
    AtOnce,
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
pub(super) struct Inside {
    /// Starts that mite itself was too late for.
    pub(super) too_late: u64,
    /// Journeys cancelled since they were too many when the number running fell.
    pub(super) ramped_down: u64,
}

/// The two sums that must hold for each row in each part of the run; where one does not, mite has lost count.
pub(super) fn broken_sums(row: usize, part: &str, stats: &RowStats) -> Vec<String> {
    let mut broken = Vec::new();
    let (planned, started) = (stats.planned, stats.started);
    let became = started + stats.dropped + stats.starved + stats.unstarted + stats.fenced + stats.lost;
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
pub(super) fn generator_limits(
    journeys: &[JourneyReport],
    limits: GeneratorLimits,
    inside: &[Inside],
    ran_out: &BTreeMap<RanOut, u64>,
    start_lag: &Histogram,
) -> Vec<String> {
    const MEND: &str = "use more workers or another machine, or ask for less";
    let mut reasons = Vec::new();
    for (row, inside) in journeys.iter().zip(inside) {
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

/// What the verdict is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) journeys: &'a [JourneyReport],
    pub(super) errors: &'a [ErrorReport],
    pub(super) thresholds: &'a [Checked],
}

/// The verdict, and its reasons in words.
pub(super) fn judge(
    found: Found<'_>,
    inside: &[Inside],
    stopped: Option<Stopped>,
    aborted: Option<String>,
    limited: Vec<String>,
    bugs: Vec<String>,
) -> (Verdict, Vec<String>) {
    let is_limited = !limited.is_empty();
    let mut reasons = limited;
    let Found { journeys, errors, thresholds } = found;
    reasons.extend(thresholds.iter().filter(|checked| !checked.passed()).map(ToString::to_string));
    let count: u64 = errors.iter().map(|error| error.count).sum();
    // Where there are thresholds, they say how many are too many.
    if count > 0 && thresholds.is_empty() {
        let kinds = errors.len();
        reasons.push(format!("{} of {}", counted(count, "error"), counted(kinds as u64, "kind")));
    }
    for (row, inside) in journeys.iter().zip(inside) {
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
        if row.fenced > 0 {
            let starts = counted(row.fenced, "start");
            reasons.push(format!("{name}: {starts} not made while a runner was cut off from the others"));
        }
        if row.lost > 0 {
            let starts = counted(row.lost, "start");
            reasons.push(format!("{name}: {starts} lost with a runner, which has not told what became of them"));
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
        reasons.insert(0, aborted.map_or("stopped before its end".to_owned(), |why| format!("aborted, since {why}")));
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
