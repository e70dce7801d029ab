//! What a report tells of each second of its run.
//!
//! It is apart from the seconds that are counted, whose figures are packed and of all workers.

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// One second of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PerSecond {
    /// The second, from 0.
    pub t: u64,
    /// Whether it began in the warm-up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
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
    /// Requests that ended in it, within a tenth of a second; not those that belong to the warm-up.
    pub requests: u64,
    /// Errors that were reported in it, likewise.
    pub errors: u64,
    /// The response times of the journeys that completed in it, of all rows.
    pub response_time: SecondQuantiles,
    /// The same for each row; empty where the scenario has only one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<SecondRow>,
}

/// One row in one second of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
