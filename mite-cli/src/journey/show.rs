//! What `journey run` prints: each exchange as `curl --verbose` shows it, then what was measured.

use std::fmt::Write as _;
use std::time::Duration;

use mite_core::{CheckReport, ErrorReport, Exchange, Report, TransactionReport, Verdict};

/// The outermost transaction, which is the journey itself.
const ROOT: &str = "__root__";
/// How many records of each name are shown.
const RECORDS: usize = 5;

/// One exchange: what came of it, its times, and both sides.
pub(super) fn exchange(number: u64, exchange: &Exchange<'_>) -> String {
    let Exchange { transaction, sample, text, .. } = exchange;
    let outcome = sample.error.map_or_else(|| sample.code.to_string(), str::to_owned);
    let name = sample.name.filter(|name| !name.is_empty()).map(|name| format!(" as {name}")).unwrap_or_default();
    let place = if *transaction == ROOT { String::new() } else { format!(", in {transaction:?}") };
    let mut told = format!("\n{number}. {} {}{name}{place}\n", sample.method, visible(&text.url));
    lines(&mut told, '>', &text.request);
    lines(&mut told, '<', &text.response);
    if let Some(message) = &text.message {
        lines(&mut told, '!', message);
    }
    let phases =
        [("dns", sample.dns), ("connect", sample.connect), ("tls", sample.tls), ("first byte", sample.first_byte)];
    let phases = phases.iter().filter_map(|(name, time)| Some(format!("{name} {}", units(time.as_ref().copied()?))));
    let phases: Vec<String> = phases.chain([format!("in all {}", units(sample.total))]).collect();
    let _ = writeln!(told, "  = {outcome}, {} of body; {}", counted(sample.bytes, "byte"), phases.join(", "));
    told
}

/// A text's lines, each after a mark that says whose they are.
fn lines(told: &mut String, mark: char, text: &str) {
    for line in text.trim_end_matches('\n').lines() {
        let line = format!("  {mark} {}", visible(line));
        let _ = writeln!(told, "{}", line.trim_end());
    }
}

/// What was measured, recorded and found wrong; `in_memory` is whether records are nowhere else.
pub(super) fn summary(report: &Report, in_memory: bool) -> String {
    let mut told = String::new();
    let named = report.transactions.iter().filter(|row| row.transaction != ROOT);
    section(&mut told, "transactions", named.map(transaction));
    section(&mut told, "checks", report.checks.iter().map(check));
    section(&mut told, "errors", report.errors.iter().map(error));
    let title = if in_memory { "recorded, in memory only (`--recorder-dir` keeps it)" } else { "recorded" };
    section(&mut told, title, report.records.iter().map(|(name, count)| records(report, name, *count)));
    section(&mut told, "warnings", report.warnings.iter().cloned());
    let Some(row) = report.journeys.first() else { return told };
    let verdict = if report.verdict == Verdict::Passed { "passed" } else { "failed" };
    let time = row.service_time.max().max(row.failed_time.max());
    match report.verdict {
        _ if row.started == 0 => {}
        Verdict::Aborted => {
            let _ = writeln!(told, "\n{}: stopped", row.journey);
        }
        _ => {
            let _ = writeln!(told, "\n{}: {verdict} in {}", row.journey, units(time));
        }
    }
    told
}

fn section(told: &mut String, title: &str, rows: impl Iterator<Item = String>) {
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(told, "\n{title}");
    for row in rows {
        let _ = writeln!(told, "  {}", row.replace('\n', "\n  "));
    }
}

fn transaction(row: &TransactionReport) -> String {
    let TransactionReport { transaction, count, errors, time, .. } = row;
    let times = match (time.count(), *count) {
        (0, _) => "cut off".to_owned(),
        (_, 1) => units(time.max()),
        _ => format!("{count} times, {} to {}", units(time.min()), units(time.max())),
    };
    let failed = match (*errors, *count) {
        (0, _) => String::new(),
        (_, 1) => ", failed".to_owned(),
        _ => format!(", {errors} failed"),
    };
    format!("{}: {times}{failed}", visible(transaction))
}

fn check(row: &CheckReport) -> String {
    let told = match (row.passed, row.failed) {
        (_, 0) => "held".to_owned(),
        (0, _) => "did not hold".to_owned(),
        (passed, failed) => format!("held {passed} times, did not {failed} times"),
    };
    format!("{}: {told}", visible(&row.name))
}

fn error(row: &ErrorReport) -> String {
    let ErrorReport { transaction, message, location, count, .. } = row;
    let times = if *count > 1 { format!("{count} × ") } else { String::new() };
    let place = if transaction == ROOT { String::new() } else { format!(" in {transaction:?}") };
    format!("{times}{}\nat {location}{place}", visible(message))
}

fn records(report: &Report, name: &str, count: u64) -> String {
    let mut told = format!("{name}: {}", counted(count, "record"));
    // They were there when they were counted, and what cannot be read now is not worth an error.
    for record in report.recorded::<rmpv::Value>(name).into_iter().flatten().take(RECORDS) {
        let _ = write!(told, "\n  {}", visible(&record.to_string()));
    }
    if count > RECORDS as u64 {
        told += "\n  …";
    }
    told
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A time in the unit that fits, with three digits or so.
fn units(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..999.5 => format!("{micros:.0} µs"),
        ..999_500.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// A terminal would obey some characters: these are written as their numbers.
fn visible(line: &str) -> String {
    let mut told = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\t' => told.push(' '),
            _ if c.is_control() => told.extend(c.escape_default()),
            _ => told.push(c),
        }
    }
    told
}
