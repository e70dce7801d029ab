//! The report for people: aligned tables, units that fit, errors with their places.
//!
//! It is apart from the report itself, which judges nothing by how it looks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::series::{in_journey, label_of};
use super::units::{bytes, counted, number, time};
use super::{
    ErrorReport, JourneyReport, MetricKind, MetricReport, MetricValue, Report, RequestReport, TransactionReport,
    Verdict, WarmUp, exchanges,
};
use crate::histogram::Histogram;
use crate::hooks::HookKind;
use crate::names::ROOT;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::GeneratorLimited => "generator limited",
            Self::Aborted => "aborted",
        })
    }
}

/// A test log's report: the verdict and the thresholds first, then the tables that have rows.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} in {}", self.scenario, self.verdict, time(self.duration))?;
        for (index, reason) in reasons(self).iter().enumerate() {
            write!(f, "{}{reason}", if index == 0 { ": " } else { "; " })?;
        }
        writeln!(f)?;
        for checked in &self.thresholds {
            writeln!(f, "{} {checked}", if checked.passed() { '✓' } else { '✗' })?;
        }
        if let Some(held) = &self.baseline {
            writeln!(f, "{} {}", if held.passed() { '✓' } else { '✗' }, held.name())?;
        }
        journeys(&all(&self.journeys)).write(f)?;
        // The root's time is the journey's service time: it would only repeat the table above.
        let named: Vec<_> = self.transactions.iter().filter(|row| row.transaction != ROOT).collect();
        transactions(&named).write(f)?;
        requests(&all(&self.requests), self.measured()).write(f)?;
        all_requests(&self.requests, self.measured(), f)?;
        errors(&all(&self.errors), f)?;
        exchanges::write(&self.failed_exchanges, f)?;
        let mut checks = Table::new(["check", "passed", "failed"]);
        for row in &self.checks {
            checks.row([format!("{} · {}", row.journey, row.name), row.passed.to_string(), row.failed.to_string()]);
        }
        checks.write(f)?;
        metrics(&all(&self.metrics), self.measured(), f)?;
        let mut records = Table::new(["recorded", "records"]);
        for (name, count) in &self.records {
            records.row([name.clone(), count.to_string()]);
        }
        records.write(f)?;
        for row in &self.journeys {
            if let Some(unused) = row.unused_items {
                writeln!(f, "\n{}: {unused} items of its data pool were not used", row.journey)?;
            }
        }
        hooks(self, f)?;
        for warning in &self.warnings {
            writeln!(f, "\nwarning: {warning}")?;
        }
        if let Some(part) = &self.warm_up {
            warm_up(part, f)?;
        }
        let generator = &self.generator;
        writeln!(
            f,
            "\ngenerator: {} worker{}, {} % of a core, {} at its peak, start lag p99 {}",
            generator.workers,
            if generator.workers == 1 { "" } else { "s" },
            generator.cpu_percent,
            bytes(generator.peak_rss_bytes),
            time(Duration::from_micros(generator.start_lag_p99_us)),
        )
    }
}

/// Why the verdict is what it is; of the thresholds, which are told below it, only how many did not pass.
fn reasons(report: &Report) -> Vec<String> {
    let failed: Vec<String> =
        report.thresholds.iter().filter(|checked| !checked.passed()).map(ToString::to_string).collect();
    let mut reasons: Vec<String> = report.reasons.iter().filter(|reason| !failed.contains(reason)).cloned().collect();
    if !failed.is_empty() {
        reasons.push(format!(
            "{} of {} did not pass",
            failed.len(),
            counted(report.thresholds.len() as u64, "threshold")
        ));
    }
    reasons
}

fn all<R>(rows: &[R]) -> Vec<&R> {
    rows.iter().collect()
}

/// Some of a report's rows, as its text shows them: what an assertion that fails leads to.
#[derive(Debug, Default)]
pub(crate) struct Extract<'a> {
    pub(crate) journeys: Vec<&'a JourneyReport>,
    pub(crate) transactions: Vec<&'a TransactionReport>,
    pub(crate) requests: Vec<&'a RequestReport>,
    pub(crate) errors: Vec<&'a ErrorReport>,
    pub(crate) metrics: Vec<&'a MetricReport>,
    /// What the requests' rate is over.
    pub(crate) measured: Duration,
}

impl fmt::Display for Extract<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        journeys(&self.journeys).write(f)?;
        transactions(&self.transactions).write(f)?;
        requests(&self.requests, self.measured).write(f)?;
        metrics(&self.metrics, self.measured, f)?;
        errors(&self.errors, f)
    }
}

fn journeys(rows: &[&JourneyReport]) -> Table {
    let mut table = Table::new(["journey", "planned", "started", "completed", "failed", "p50", "p95", "p99", "max"]);
    let mut others = ["cancelled", "dropped", "starved", "unstarted", "fenced", "lost"].map(|name| (name, false));
    let other = |row: &JourneyReport| [row.cancelled, row.dropped, row.starved, row.unstarted, row.fenced, row.lost];
    for row in rows {
        for (shown, count) in others.iter_mut().zip(other(row)) {
            shown.1 |= count > 0;
        }
    }
    // Columns that are all zero say nothing.
    let extra: Vec<&str> = others.iter().filter(|(_, shown)| *shown).map(|(name, _)| *name).collect();
    table.insert(5, &extra);
    for row in rows {
        let mut cells = vec![row.journey.clone()];
        cells.extend([row.planned, row.started, row.completed, row.failed].map(|count| count.to_string()));
        let shown = others.iter().zip(other(row)).filter(|((_, shown), _)| *shown);
        cells.extend(shown.map(|(_, count)| count.to_string()));
        cells.extend(quantiles(&row.response_time));
        table.row(cells);
    }
    table
}

fn transactions(rows: &[&TransactionReport]) -> Table {
    let mut table = Table::new(["transaction", "count", "errors", "p50", "p95", "p99", "max"]);
    let names = told_apart(rows.iter().map(|row| (row.transaction.clone(), row.journey.as_str())));
    for (row, name) in rows.iter().zip(names) {
        let mut cells = vec![name, row.count.to_string(), row.errors.to_string()];
        cells.extend(quantiles(&row.time));
        table.row(cells);
    }
    table
}

fn requests(rows: &[&RequestReport], measured: Duration) -> Table {
    let mut table = Table::new(["request", "result", "count", "per second", "p50", "p95", "p99", "max", "received"]);
    let seconds = measured.as_secs_f64().max(f64::MIN_POSITIVE);
    let names = told_apart(rows.iter().map(|row| (label_of(row), row.journey.as_str())));
    for (row, name) in rows.iter().zip(names) {
        let result = row.error.clone().unwrap_or_else(|| row.code.to_string());
        let mut cells = vec![name, result, row.count.to_string()];
        cells.push(format!("{:.1}", row.count as f64 / seconds));
        cells.extend(quantiles(&row.time));
        cells.push(bytes(row.bytes));
        table.row(cells);
    }
    table
}

/// A line for all requests together, below those of each kind.
fn all_requests(rows: &[RequestReport], measured: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let seconds = measured.as_secs_f64().max(f64::MIN_POSITIVE);
    let count: u64 = rows.iter().map(|row| row.count).sum();
    let received: u64 = rows.iter().map(|row| row.bytes).sum();
    write!(f, "{}, {:.1} per second", counted(count, "request"), count as f64 / seconds)?;
    write!(f, "; {} received, {} per second", bytes(received), bytes((received as f64 / seconds).round() as u64))?;
    // As thresholds' error rates count them.
    let of = |is_meant: fn(&RequestReport) -> bool| -> u64 {
        rows.iter().filter(|row| is_meant(row)).map(|row| row.count).sum()
    };
    let (unanswered, refused) = (of(|row| row.code == 0), of(|row| row.code >= 400));
    let told = [(unanswered, "without an answer"), (refused, "of code 400 or over")];
    match told.into_iter().filter(|(count, _)| *count > 0).collect::<Vec<_>>().as_slice() {
        [] => writeln!(f, "; 0 errors"),
        [(count, what)] => writeln!(f, "; {} ({what})", counted(*count, "error")),
        all => {
            let each: Vec<String> = all.iter().map(|(count, what)| format!("{count} {what}")).collect();
            writeln!(f, "; {} ({})", counted(unanswered + refused, "error"), each.join(", "))
        }
    }
}

/// Names of what journeys have, with the journey's name where several have one of that name.
fn told_apart<'a>(names: impl Iterator<Item = (String, &'a str)> + Clone) -> Vec<String> {
    let mut journeys: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (name, journey) in names.clone() {
        journeys.entry(name).or_default().insert(journey);
    }
    let told = |(name, journey): (String, &str)| {
        if journeys.get(&name).is_some_and(|journeys| journeys.len() > 1) { in_journey(&name, journey) } else { name }
    };
    names.map(told).collect()
}

fn errors(rows: &[&ErrorReport], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const SHOWN: usize = 20;
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nerrors")?;
    for error in rows.iter().take(SHOWN) {
        writeln!(f, "{:>8} × {}", error.count, error.message)?;
        let place = if error.transaction == ROOT { String::new() } else { format!(" in {:?}", error.transaction) };
        writeln!(f, "           at {}{place}", error.location)?;
    }
    if rows.len() > SHOWN {
        writeln!(f, "           and {} kinds more", rows.len() - SHOWN)?;
    }
    Ok(())
}

/// Metrics of one's own: those that are a number, then those that are spread.
fn metrics(rows: &[&MetricReport], measured: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    /// So many series of each; the JSON has all.
    const SHOWN: usize = 20;
    let mut numbers = Table::new(["metric", "kind", "value", "per second"]);
    let mut spreads = Table::new(["histogram", "count", "mean", "p50", "p95", "p99", "max", "sum"]);
    let seconds = measured.as_secs_f64().max(f64::MIN_POSITIVE);
    let mut more = Vec::new();
    for metric in rows {
        for series in metric.series.iter().take(SHOWN) {
            let name = metric.label_of(series);
            match &series.value {
                MetricValue::Number(value) => {
                    let rate = value / seconds;
                    let rate = if metric.kind == MetricKind::Gauge { String::new() } else { format!("{rate:.1}") };
                    numbers.row([name, metric.kind.to_string(), number(*value), rate]);
                }
                MetricValue::Distribution(of) => {
                    let [p50, p95, p99] = [50.0, 95.0, 99.0].map(|percent| number(of.percentile(percent)));
                    let count = of.count().to_string();
                    spreads.row([name, count, number(of.mean()), p50, p95, p99, number(of.max()), number(of.sum())]);
                }
            }
        }
        match metric.series.len() {
            0 => more.push(format!("{}: it never occurred", metric.name)),
            series if series > SHOWN => more.push(format!("{}: and {} series more", metric.name, series - SHOWN)),
            _ => {}
        }
    }
    numbers.write(f)?;
    spreads.write(f)?;
    if !more.is_empty() {
        writeln!(f)?;
    }
    more.iter().try_for_each(|line| writeln!(f, "{line}"))
}

fn warm_up(part: &WarmUp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\nwarm-up: the first {} are left out above: {} starts planned", time(part.duration), part.planned)?;
    let always = [("started", part.started), ("completed", part.completed), ("failed", part.failed)];
    let others = [
        ("cancelled", part.cancelled),
        ("dropped", part.dropped),
        ("starved", part.starved),
        ("unstarted", part.unstarted),
        ("fenced", part.fenced),
        ("lost", part.lost),
    ];
    for (what, count) in always.into_iter().chain(others.into_iter().filter(|(_, count)| *count > 0)) {
        write!(f, ", {count} {what}")?;
    }
    if part.errors > 0 {
        write!(f, ", {}", counted(part.errors, "error"))?;
    }
    writeln!(f)
}

/// How long setup and teardown took: of those that each worker calls the longest.
fn hooks(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut told: Vec<(HookKind, Duration)> = Vec::new();
    for call in &report.hooks {
        match told.iter_mut().find(|(kind, _)| *kind == call.hook) {
            Some((_, longest)) => *longest = call.duration.max(*longest),
            None => told.push((call.hook, call.duration)),
        }
    }
    let told: Vec<String> = told.into_iter().map(|(kind, longest)| format!("{kind} {}", time(longest))).collect();
    if told.is_empty() { Ok(()) } else { writeln!(f, "\nbeside the journeys: {}", told.join(", ")) }
}

fn quantiles(histogram: &Histogram) -> [String; 4] {
    if histogram.count() == 0 {
        return ["-"; 4].map(str::to_owned);
    }
    let percentile = |percent| time(histogram.percentile(percent));
    [percentile(50.0), percentile(95.0), percentile(99.0), time(histogram.max())]
}

/// In a narrow terminal, the figures after a longer name would begin on the next line.
const LONGEST_IN_LINE: usize = 40;

/// Columns as wide as their widest cell; the first to the left, the others to the right. A name that is very long has a line
/// of its own, above its figures.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    fn insert(&mut self, at: usize, columns: &[&str]) {
        self.head.splice(at..at, columns.iter().map(|&column| column.to_owned()));
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn rows(&mut self, rows: impl Iterator<Item = Vec<String>>) {
        self.rows.extend(rows);
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut widths = vec![0; self.head.len()];
        for row in std::iter::once(&self.head).chain(&self.rows) {
            for (column, (width, cell)) in widths.iter_mut().zip(row).enumerate() {
                let chars = cell.chars().count();
                *width = if has_own_line(column, chars) { *width } else { chars.max(*width) };
            }
        }
        writeln!(f)?;
        for row in std::iter::once(&self.head).chain(&self.rows) {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let chars = cell.chars().count();
                let gap = " ".repeat(width.saturating_sub(chars));
                match column {
                    0 if has_own_line(column, chars) => line.extend([cell.as_str(), "\n", &" ".repeat(*width)]),
                    0 => line.extend([cell.as_str(), &gap]),
                    _ => line.extend(["  ", &gap, cell]),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn has_own_line(column: usize, chars: usize) -> bool {
    column == 0 && chars > LONGEST_IN_LINE
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::report::fixed;
    use crate::threshold::{errors, ms, p50, p99};

    struct Shown(Table);

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.write(f)
        }
    }

    #[test]
    fn a_warm_up_is_one_line() {
        struct Line(WarmUp);
        impl fmt::Display for Line {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                warm_up(&self.0, f)
            }
        }
        let duration = Duration::from_secs(2);
        let mut part = WarmUp { duration, planned: 200, started: 200, completed: 200, ..WarmUp::default() };
        let line = Line(part.clone()).to_string();
        assert_eq!(
            line,
            "\nwarm-up: the first 2.00 s are left out above: 200 starts planned, 200 started, 200 completed, 0 failed\n"
        );
        (part.planned, part.dropped, part.errors) = (205, 5, 1);
        assert!(Line(part).to_string().ends_with("0 failed, 5 dropped, 1 error\n"));
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["journey", "n"]);
        table.row(["ä".to_owned(), "100".to_owned()]);
        assert_eq!(Shown(table).to_string(), "\njourney    n\nä        100\n");
    }

    #[test]
    fn thresholds_stand_below_the_verdict() {
        let thresholds = [p99("Log in").under(ms(500)), p50("browse").under(ms(1)), errors().at_most(4)];
        let mut report = fixed::held(fixed::shop(), thresholds);
        report.reasons = vec!["stopped before its end".to_owned()];
        let failed = report.thresholds.iter().filter(|checked| !checked.passed());
        report.reasons.extend(failed.map(ToString::to_string));
        let text = report.to_string();
        assert_snapshot!(text.lines().take(4).collect::<Vec<_>>().join("\n"));
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn all_requests_are_one_line() {
        struct Line(Vec<RequestReport>);
        impl fmt::Display for Line {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                all_requests(&self.0, Duration::from_secs(10), f)
            }
        }
        let line = |rows: &[RequestReport]| Line(rows.to_vec()).to_string();
        let of = |code, count| fixed::request("shop:browse", ROOT, "GET", code, &[(5, count)]);
        assert_eq!(line(&[]), "");
        assert_eq!(line(&[of(200, 1)]), "1 request, 0.1 per second; 20 B received, 2 B per second; 0 errors\n");
        assert_eq!(
            line(&[of(200, 1000), of(404, 10), of(500, 2)]),
            "1012 requests, 101.2 per second; 19.8 KiB received, 1.98 KiB per second; 12 errors (of code 400 or over)\n"
        );
        assert!(line(&[of(200, 5), of(0, 1)]).ends_with("; 1 error (without an answer)\n"));
        assert!(
            line(&[of(0, 3), of(404, 10)]).ends_with("; 13 errors (3 without an answer, 10 of code 400 or over)\n")
        );
    }

    #[test]
    fn requests_are_told_by_their_names() {
        let mut report = fixed::named();
        let mut long = report.requests[4].clone();
        long.name = Some("/api/v2/organisations/{organisation}/users/{user}/settings".to_owned());
        report.requests.insert(4, long);
        assert_snapshot!(report);
    }
}
