//! The figures of the page, as tables: journeys, transactions, requests with their phases, checks and records.
//!
//! They are those of the text, in its order; what has no rows is left out.

use std::fmt;

use super::table::{Cell, Table, alarming, noted};
use crate::histogram::Histogram;
use crate::names::ROOT;
use crate::report::series::{in_journey, label_of};
use crate::report::units::{bytes, time};
use crate::report::{JourneyReport, Report, RequestReport};

pub(super) fn write(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    section(
        "Journeys",
        "Response time: from when a start was due to its end, of the journeys that completed.",
        &journeys(report),
        f,
    )?;
    section("Transactions", "", &transactions(report), f)?;
    section(
        "Requests",
        "From the start of a request to the end of its body, or to its failure.",
        &requests(report),
        f,
    )?;
    let phases_note = "The median of each phase, and its 99th percentile after it, over the requests that had the phase: one on \
                       a connection that was there has no lookup and no handshake.";
    section("Phases of requests", phases_note, &phases(report), f)?;
    section("Checks", "", &checks(report), f)?;
    section("Records", "", &records(report), f)
}

fn section(title: &str, note: &str, table: &Table, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if table.is_empty() {
        return Ok(());
    }
    write!(f, "<section><h2>{title}</h2>")?;
    if !note.is_empty() {
        write!(f, "<p class=\"note\">{note}</p>")?;
    }
    writeln!(f, "{table}</section>")
}

/// A column of counts that is shown where one of them is not zero.
type Rare = (&'static str, fn(&JourneyReport) -> u64);

const RARE: [Rare; 6] = [
    ("cancelled", |row| row.cancelled),
    ("dropped", |row| row.dropped),
    ("starved", |row| row.starved),
    ("unstarted", |row| row.unstarted),
    ("fenced", |row| row.fenced),
    ("lost", |row| row.lost),
];

fn journeys(report: &Report) -> Table {
    let rare: Vec<&Rare> = RARE.iter().filter(|(_, count)| report.journeys.iter().any(|row| count(row) > 0)).collect();
    let mut head = vec!["journey", "planned", "started", "completed", "failed"];
    head.extend(rare.iter().map(|(name, _)| *name));
    head.extend(["p50", "p95", "p99", "max"]);
    let mut table = Table::new(&head);
    for row in &report.journeys {
        let mut cells = vec![row.journey.clone().into(), row.planned.into(), row.started.into(), row.completed.into()];
        cells.push(alarming(row.failed));
        cells.extend(rare.iter().map(|(_, count)| alarming(count(row))));
        cells.extend(quantiles(&row.response_time));
        table.row(cells);
    }
    table
}

fn transactions(report: &Report) -> Table {
    let mut table = Table::new(&["transaction", "count", "errors", "p50", "p95", "p99", "max"]);
    // The root's time is the journey's service time.
    for row in report.transactions.iter().filter(|row| row.transaction != ROOT) {
        let mut cells = vec![in_journey(&row.transaction, &row.journey).into(), row.count.into(), alarming(row.errors)];
        cells.extend(quantiles(&row.time));
        table.row(cells);
    }
    table
}

fn requests(report: &Report) -> Table {
    let mut table = Table::new(&["request", "result", "count", "per second", "p50", "p95", "p99", "max", "received"]);
    let seconds = report.measured().as_secs_f64().max(f64::MIN_POSITIVE);
    for row in &report.requests {
        let result = row.error.clone().unwrap_or_else(|| row.code.to_string());
        let mut cells = vec![request_name(row).into(), result.into(), row.count.into()];
        cells.push(format!("{:.1}", row.count as f64 / seconds).into());
        cells.extend(quantiles(&row.time));
        cells.push(bytes(row.bytes).into());
        table.row(cells);
    }
    table
}

/// With its journey, which a request outside of any transaction has in its place already.
pub(super) fn request_name(row: &RequestReport) -> String {
    if row.transaction == ROOT { label_of(row) } else { in_journey(&label_of(row), &row.journey) }
}

fn phases(report: &Report) -> Table {
    let mut table = Table::new(&["request", "result", "dns", "connect", "tls", "first byte", "total"]);
    for row in &report.requests {
        let phases = [&row.dns, &row.connect, &row.tls, &row.first_byte];
        if phases.iter().all(|times| times.count() == 0) {
            continue;
        }
        let result = row.error.clone().unwrap_or_else(|| row.code.to_string());
        let mut cells = vec![request_name(row).into(), result.into()];
        cells.extend(phases.into_iter().chain([&row.time]).map(phase));
        table.row(cells);
    }
    table
}

fn phase(times: &Histogram) -> Cell {
    if times.count() == 0 {
        return "–".to_owned().into();
    }
    noted(time(times.percentile(50.0)), time(times.percentile(99.0)))
}

fn checks(report: &Report) -> Table {
    let mut table = Table::new(&["check", "passed", "failed"]);
    for row in &report.checks {
        table.row([in_journey(&row.name, &row.journey).into(), row.passed.into(), alarming(row.failed)]);
    }
    table
}

fn records(report: &Report) -> Table {
    let mut table = Table::new(&["recorded", "records"]);
    for (name, count) in &report.records {
        table.row([name.clone().into(), (*count).into()]);
    }
    table
}

fn quantiles(times: &Histogram) -> [Cell; 4] {
    if times.count() == 0 {
        return ["–"; 4].map(|none| none.to_owned().into());
    }
    let percentile = |percent| time(times.percentile(percent)).into();
    [percentile(50.0), percentile(95.0), percentile(99.0), time(times.max()).into()]
}
