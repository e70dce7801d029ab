//! What a run has done so far, as it is told once a second while the run goes on.
//!
//! It is apart from the report, which is made once and knows everything.

use std::time::Duration;

use crate::report::SecondQuantiles;

/// What a run has done so far; brought up to date once a second, a quarter of a second after each whole one.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Whole seconds since the start of the run.
    pub seconds: u64,
    /// Seconds from the start of the run to its planned end; `None` where a row has none that is known.
    pub planned_seconds: Option<u64>,
    /// Whether the last whole second began in the warm-up, whose requests, errors and lag are not told.
    pub is_warm_up: bool,
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
    /// One for each row of the scenario.
    pub rows: Vec<RowProgress>,
    /// One for each outcome of requests: first the codes in rising order, then what went without an answer.
    pub requests: Vec<RequestProgress>,
    /// One for each kind of error, the most frequent first; empty where there was none.
    pub errors: Vec<ErrorProgress>,
    /// Bytes of body received in the last whole second.
    pub received: u64,
    /// CPU time of the whole process in the last whole second, in per cent of one core.
    pub cpu_percent: f64,
    /// What 99 of 100 journeys that were started in the last whole second were not started later than by mite's own fault.
    pub start_lag_p99: Duration,
}

/// What one row has done in the last whole second.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RowProgress {
    /// The row's number, from 1.
    pub row: u32,
    /// The journey's name, `module:function`.
    pub journey: String,
    /// Whether a number of journeys is kept running (the closed model), rather than started at a rate.
    pub is_closed: bool,
    /// What the plan wants: journeys started in the second, or in the closed model the number running.
    pub wanted: u64,
    /// What there was of it.
    pub actual: u64,
    /// Journeys started.
    pub started: u64,
    /// Journeys that completed.
    pub completed: u64,
    /// Journeys that failed.
    pub failed: u64,
    /// Journeys under way at the second's end.
    pub running: u64,
    /// The response times of those that completed.
    pub response_time: SecondQuantiles,
}

/// The requests of one outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestProgress {
    /// The response's code; 0 when there was none.
    pub code: u16,
    /// Without a response, the class of its error: `connect`, `timeout`, …
    pub error: Option<&'static str>,
    /// How many there were.
    pub count: u64,
    /// How many of them in the last whole second.
    pub in_last_second: u64,
}

/// The errors of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorProgress {
    /// The bare name of the error's type; `panic` for a panic.
    pub ex_type: String,
    /// How many there were.
    pub count: u64,
    /// How many of them in the last whole second.
    pub in_last_second: u64,
}
