//! The families of a run: which metrics are told of it, with which labels.
//!
//! Names and labels are those of Python's mite, so that its dashboards go on working; it is pure, and no format is known here.

use std::time::Duration;

use mite_core::{Histogram, JourneyReport, RowProgress, Snapshot};

use crate::buckets::Buckets;
use crate::family::{Distribution, Family, Kind, Table, Value};
use crate::own;

/// What decides how families are told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shape {
    /// Of all histograms but the next.
    pub(crate) times: Buckets,
    pub(crate) dns: Buckets,
    /// Whether histograms are told by value besides, for native ones.
    pub(crate) by_value: bool,
}

/// The name of a family and what it is.
type Named = (&'static str, &'static str);

const ERRORS: Named = ("mite_journey_error_total", "Errors and panics of journeys.");
const TRANSACTIONS: Named = ("mite_transaction_total", "Transactions that ended, with or without an error.");
const RESPONSES: Named = ("mite_http_response_total", "HTTP responses by code.");
const RESPONSE_TIME: Named = (
    "mite_http_response_time_seconds",
    "From the start of a request to the end of its body, of the requests that had a response.",
);
const DNS_TIME: Named = ("mite_dns_time", "Finding the address, in seconds, of the requests that had to.");
const TRANSACTION_TIME: Named =
    ("mite_transaction_seconds", "How long transactions took, without those that were cut off.");
const JOURNEY_TIME: Named =
    ("mite_journey_response_seconds", "From when a journey was due to its end, of those that completed.");
const START_LAG: Named = ("mite_journey_start_lag_seconds", "How late mite itself started journeys.");
const ACTUAL: Named =
    ("mite_actual_count", "Journeys started in the last second, or running where a number running is asked for.");
const REQUIRED: Named = ("mite_required_count", "What the plan wanted of mite_actual_count.");
const RUNNING: Named = ("mite_running_count", "Journeys that are under way.");
const RUNNERS: Named = ("mite_runner_count", "Processes that carry the run out.");

/// All families of a run, of which those that have no series yet are left out; metrics of a user's own come last.
pub(crate) fn families(figures: &Snapshot, shape: &Shape) -> Vec<Family> {
    let families = [
        errors(figures),
        transactions(figures),
        responses(figures),
        response_times(figures, shape),
        dns_times(figures, shape),
        transaction_times(figures, shape),
        journey_times(figures, shape, JOURNEY_TIME, |row| &row.response_time),
        journey_times(figures, shape, START_LAG, |row| &row.start_lag),
        by_row(figures, ACTUAL, |row| row.actual),
        by_row(figures, REQUIRED, |row| row.wanted),
        by_row(figures, RUNNING, |row| row.running),
        runners(figures),
    ];
    let there = families.into_iter().filter(|family| !family.series.is_empty());
    there.chain(figures.metrics.iter().filter_map(own::family)).collect()
}

fn errors(figures: &Snapshot) -> Family {
    let mut table = Table::new();
    for row in &figures.errors {
        let transaction = full(&row.transaction);
        *table.at([&figures.scenario, &row.journey, &transaction, &row.location, &row.ex_type, &row.message]) +=
            row.count;
    }
    let labels = ["test", "journey", "transaction", "location", "ex_type", "message"];
    table.family(ERRORS, Kind::Counter, &labels, Value::Count)
}

fn transactions(figures: &Snapshot) -> Family {
    let mut table = Table::new();
    for row in &figures.transactions {
        let transaction = full(&row.transaction);
        // Both are told from the first on: a counter that begins with its first error would hide it from `rate`.
        for (had_error, count) in [("False", row.count.saturating_sub(row.errors)), ("True", row.errors)] {
            *table.at([&figures.scenario, &row.journey, &transaction, had_error]) += count;
        }
    }
    table.family(TRANSACTIONS, Kind::Counter, &["test", "journey", "transaction", "had_error"], Value::Count)
}

fn responses(figures: &Snapshot) -> Family {
    let mut table = Table::new();
    for row in figures.requests.iter().filter(|row| row.code > 0) {
        let (transaction, code) = (full(&row.transaction), row.code.to_string());
        *table.at([&figures.scenario, &row.journey, &transaction, &row.method, &code]) += row.count;
    }
    let labels = ["test", "journey", "transaction", "method", "response_code"];
    table.family(RESPONSES, Kind::Counter, &labels, Value::Count)
}

fn response_times(figures: &Snapshot, shape: &Shape) -> Family {
    let mut table = Table::<Histogram>::new();
    for row in figures.requests.iter().filter(|row| row.code > 0) {
        table.at([&full(&row.transaction)]).merge(&row.time);
    }
    histograms(table, RESPONSE_TIME, &["transaction"], &shape.times, shape.by_value)
}

fn dns_times(figures: &Snapshot, shape: &Shape) -> Family {
    let mut table = Table::<Histogram>::new();
    for row in figures.requests.iter().filter(|row| row.dns.count() > 0) {
        table.at([&full(&row.transaction)]).merge(&row.dns);
    }
    histograms(table, DNS_TIME, &["transaction"], &shape.dns, shape.by_value)
}

fn transaction_times(figures: &Snapshot, shape: &Shape) -> Family {
    let mut table = Table::<Histogram>::new();
    for row in &figures.transactions {
        table.at([&figures.scenario, &row.journey, &full(&row.transaction)]).merge(&row.time);
    }
    histograms(table, TRANSACTION_TIME, &["test", "journey", "transaction"], &shape.times, shape.by_value)
}

fn journey_times(
    figures: &Snapshot,
    shape: &Shape,
    named: Named,
    time: impl Fn(&JourneyReport) -> &Histogram,
) -> Family {
    let mut table = Table::<Histogram>::new();
    for row in &figures.journeys {
        table.at([&figures.scenario, &row.journey, &row.row.to_string()]).merge(time(row));
    }
    histograms(table, named, &["test", "journey", "scenario_id"], &shape.times, shape.by_value)
}

fn histograms(
    table: Table<Histogram>,
    named: Named,
    labels: &[&'static str],
    buckets: &Buckets,
    by_value: bool,
) -> Family {
    table.family(named, Kind::Histogram, labels, |histogram| {
        Value::Histogram(Distribution::of(&histogram, buckets, by_value))
    })
}

/// What each row of the scenario is doing; one that has ended, or that the run has no second of yet, does nothing.
fn by_row(figures: &Snapshot, named: Named, figure: impl Fn(&RowProgress) -> u64) -> Family {
    let mut table = Table::new();
    for row in &figures.journeys {
        let progress = figures.rows.iter().find(|progress| progress.row == row.row);
        *table.at([&figures.scenario, &row.row.to_string()]) = progress.map_or(0, &figure);
    }
    table.family(named, Kind::Untyped, &["test", "scenario_id"], Value::Count)
}

fn runners(figures: &Snapshot) -> Family {
    let mut table = Table::new();
    *table.at([&figures.scenario]) = u64::from(!figures.is_last && figures.elapsed > Duration::ZERO);
    table.family(RUNNERS, Kind::Untyped, &["test"], Value::Count)
}

/// A transaction's name as messages have it; the root is told as itself.
fn full(short: &str) -> String {
    const ROOT: &str = "__root__";
    if short == ROOT { short.to_owned() } else { format!("{ROOT} :: {short}") }
}

#[cfg(test)]
mod tests;
