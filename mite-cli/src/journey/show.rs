//! What `journey run` prints: each exchange as `curl --verbose` shows it, then what was measured.
//!
//! It is apart from the run, and pure: what is printed is made of a report and of exchanges.

use std::fmt::Write as _;

use mite_core::units;
use mite_core::{CheckReport, ErrorReport, Exchange, Report, TransactionReport, Verdict};

use crate::visible::visible;

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
    let phases =
        phases.iter().filter_map(|(name, time)| Some(format!("{name} {}", units::time(time.as_ref().copied()?))));
    let phases: Vec<String> = phases.chain([format!("in all {}", units::time(sample.total))]).collect();
    let _ = writeln!(told, "  = {outcome}, {} of body; {}", units::counted(sample.bytes, "byte"), phases.join(", "));
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
            let _ = writeln!(told, "\n{}: {verdict} in {}", row.journey, units::time(time));
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
        (_, 1) => units::time(time.max()),
        _ => format!("{count} times, {} to {}", units::time(time.min()), units::time(time.max())),
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
    let mut told = format!("{name}: {}", units::counted(count, "record"));
    // They were there when they were counted, and what cannot be read now is not worth an error.
    for record in report.recorded::<rmpv::Value>(name).into_iter().flatten().take(RECORDS) {
        let _ = write!(told, "\n  {}", visible(&record.to_string()));
    }
    if count > RECORDS as u64 {
        told += "\n  …";
    }
    told
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use insta::assert_snapshot;
    use mite_core::volume::{HOUR, at_once};
    use mite_core::{Context, ExchangeText, NoData, RequestSample, Result, Row, Run, Scenario, ensure};

    use super::*;

    /// As a session of HTTP would tell of them.
    async fn visit(ctx: &mut Context) -> Result {
        let phase = |micros| Some(Duration::from_micros(micros));
        ctx.transaction("Log in", async |ctx| {
            let sample = RequestSample {
                method: "POST",
                name: Some("/users/{id}"),
                code: 201,
                bytes: 1,
                total: Duration::from_micros(1_234_567),
                dns: phase(999),
                connect: phase(1_500),
                tls: phase(20_000),
                first_byte: phase(1_000_000),
                ..RequestSample::default()
            };
            ctx.scope().show_exchange(&sample, || ExchangeText {
                url: "https://shop/users/7".to_owned(),
                request: "POST /users/7\nhost: shop\n\n{\"a\": 1}\n\t\u{1b}[2Jx\n".to_owned(),
                response: "HTTP/1.1 201 Created\n\n7".to_owned(),
                message: None,
            });
            Ok(())
        })
        .await?;
        let sample = RequestSample { method: "GET", error: Some("connect"), ..RequestSample::default() };
        ctx.scope().show_exchange(&sample, || ExchangeText {
            url: "https://shop/".to_owned(),
            request: "GET /\nhost: shop\n\n".to_owned(),
            message: Some("GET https://shop/: failed to connect".to_owned()),
            ..ExchangeText::default()
        });
        ctx.check("has a cart", true);
        ctx.check("is fast", false);
        for n in 0..7 {
            ctx.record("users", &n).await?;
        }
        ensure!(ctx.start_index() > 0, "no cart");
        Ok(())
    }

    #[test]
    fn both_sides_are_shown_with_their_times_and_then_what_came_of_it() {
        let shown = Arc::new(Mutex::new(String::new()));
        let (written, number) = (Arc::clone(&shown), Mutex::new(0));
        let run = Run::new(Scenario::new().row(Row::new(visit, NoData, at_once(1)).named("shop:visit")));
        let run = run.max_start_lag(HOUR).record_in_memory().on_exchange(move |next| {
            let mut number = number.lock().unwrap();
            *number += 1;
            written.lock().unwrap().push_str(&exchange(*number, next));
        });
        let report = run.run_blocking().unwrap();
        let mut told = shown.lock().unwrap().clone();
        told += &summary(&report, true);
        // These are others each time, or with each change of this file.
        let varying = ["  Log in: ", "shop:visit: failed in ", "  at mite-cli/src/journey/show.rs:"];
        let fixed = |line: &str| match varying.iter().find(|begins| line.starts_with(**begins)) {
            Some(begins) => format!("{begins}…"),
            None => line.to_owned(),
        };
        let told: Vec<String> = told.lines().map(fixed).collect();
        assert_snapshot!(told.join("\n"));
    }
}
