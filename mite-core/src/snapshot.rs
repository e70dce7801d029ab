//! The figures of a run at one moment of it: for who shows them elsewhere while it goes on.
//!
//! They are apart from the report, which is made once and judges, and from the progress, which tells one second.

use std::time::Duration;

use crate::report::{ErrorReport, JourneyReport, MetricReport, RequestReport, TransactionReport};
use crate::run::progress::RowProgress;

/// The figures of a run up to one moment, counted since its start: what its report would tell of it had it ended then.
///
/// As in the report, what was due in the warm-up is in no figures but in `rows`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The scenario's name, which messages have as `test`.
    pub scenario: String,
    /// Since the start of the run; zero before it.
    pub elapsed: Duration,
    /// Whether these are the figures of the whole run, after its end.
    pub is_last: bool,
    /// What each row did in the last whole second; after the run's end, nothing.
    pub rows: Vec<RowProgress>,
    /// One for each row of the scenario.
    pub journeys: Vec<JourneyReport>,
    /// One for each transaction of each journey.
    pub transactions: Vec<TransactionReport>,
    /// One for each kind of request.
    pub requests: Vec<RequestReport>,
    /// One for each kind of error.
    pub errors: Vec<ErrorReport>,
    /// One for each [metric of one's own](crate::stats).
    pub metrics: Vec<MetricReport>,
}
