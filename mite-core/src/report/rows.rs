//! The rows of a report's tables: journeys, transactions, requests, errors and checks.
//!
//! They are apart from the report, since a threshold is held against the rows of some seconds, too.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Halves;
use super::metrics::MetricReport;
use crate::histogram::Histogram;

/// The tables that figures are asked of, over so much time: those of a run, or of a part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables<'a> {
    pub(crate) journeys: &'a [JourneyReport],
    pub(crate) transactions: &'a [TransactionReport],
    pub(crate) requests: &'a [RequestReport],
    /// Errors that were reported.
    pub(crate) errors: u64,
    pub(crate) metrics: &'a [MetricReport],
    /// How many requests ended in each second.
    pub(crate) request_rates: &'a [u64],
    pub(crate) measured: Duration,
}

/// The figures of one row. Both sums hold in each report: `planned = started + dropped + starved + unstarted + fenced + lost`, and
/// `started = completed + failed + cancelled`; of what a runner of a cluster had under way when it was lost, the second one does not
/// tell the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// Starts that were due while their runner was cut off from its cluster, and could not know whether another one had its share; 0
    /// in one process.
    #[serde(default)]
    pub fenced: u64,
    /// Starts of runners that are gone and did not tell what became of them; 0 in one process.
    #[serde(default)]
    pub lost: u64,
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
    /// The run's even and odd seconds; old reports do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halves: Option<Halves>,
}

/// The figures of one transaction.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// The run's even and odd seconds; old reports do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halves: Option<Halves>,
}

/// The figures of one kind of request.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// The run's even and odd seconds; old reports do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halves: Option<Halves>,
}

/// One kind of error.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
