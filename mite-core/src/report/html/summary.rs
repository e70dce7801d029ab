//! What stands first on the page: the verdict and why, the thresholds, the figures that are asked for most, and warnings.
//!
//! It is apart from the rest, since many will read nothing else.

use std::fmt;
use std::time::Duration;

use super::axis::grouped;
use crate::histogram::Histogram;
use crate::report::markup::Escaped;
use crate::report::units::time;
use crate::report::{HeldToBaseline, Report, Verdict};
use crate::threshold::Checked;

pub(super) fn write(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let class = match report.verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::GeneratorLimited | Verdict::Aborted => "limited",
    };
    writeln!(
        f,
        "<header class=\"{class}\"><p class=\"verdict\">{}</p><h1>{}</h1><p class=\"note\">started <time>{}</time>, took {}</p>",
        report.verdict,
        Escaped(&report.scenario),
        Escaped(&report.started_at),
        time(report.duration)
    )?;
    list("reasons", report.reasons.iter().map(|reason| Escaped(reason)), f)?;
    writeln!(f, "</header>")?;
    tiles(report, f)?;
    checked(&report.thresholds, f)?;
    if let Some(held) = &report.baseline {
        held_to(held, f)?;
    }
    if !report.warnings.is_empty() {
        writeln!(f, "<section><h2>Warnings</h2>")?;
        list("warnings", report.warnings.iter().map(|warning| Escaped(warning)), f)?;
        writeln!(f, "</section>")?;
    }
    Ok(())
}

fn list(class: &str, items: impl Iterator<Item = impl fmt::Display>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return Ok(());
    }
    write!(f, "<ul class=\"{class}\">")?;
    items.try_for_each(|item| write!(f, "<li>{item}</li>"))?;
    writeln!(f, "</ul>")
}

fn tiles(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let sum = |of: fn(&crate::report::JourneyReport) -> u64| report.journeys.iter().map(of).sum::<u64>();
    let (planned, started, failed) = (sum(|row| row.planned), sum(|row| row.started), sum(|row| row.failed));
    let mut times = Histogram::new();
    report.journeys.iter().for_each(|row| times.merge(&row.response_time));
    let measured = report.measured().as_secs_f64();
    let rate = if measured > 0.0 { format!("{:.1} /s", started as f64 / measured) } else { "–".to_owned() };
    let ended = failed + sum(|row| row.completed);
    let percentile = |percent| if times.count() > 0 { time(times.percentile(percent)) } else { "–".to_owned() };
    let tiles = [
        ("journeys started", grouped(started), format!("of {} planned", grouped(planned))),
        ("mean rate of starts", rate, "over the measured time".to_owned()),
        ("journeys failed", grouped(failed), format!("of {} that ended", grouped(ended))),
        ("response time, p50", percentile(50.0), "of completed journeys".to_owned()),
        ("response time, p99", percentile(99.0), "of completed journeys".to_owned()),
        (
            "start lag, p99",
            time(Duration::from_micros(report.generator.start_lag_p99_us)),
            "of the generator".to_owned(),
        ),
    ];
    write!(f, "<dl class=\"tiles\">")?;
    for (name, value, note) in tiles {
        write!(f, "<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>")?;
    }
    writeln!(f, "</dl>")
}

fn checked(thresholds: &[Checked], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if thresholds.is_empty() {
        return Ok(());
    }
    writeln!(f, "<section><h2>Thresholds</h2><ul class=\"thresholds\">")?;
    for checked in thresholds {
        let (class, word) = if checked.passed() { ("good", "passed") } else { ("bad", "failed") };
        writeln!(f, "<li><b class=\"{class}\">{word}</b> <span>{}</span></li>", Escaped(&checked.to_string()))?;
    }
    writeln!(f, "</ul></section>")
}

fn held_to(held: &HeldToBaseline, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (class, word) = if held.passed() { ("good", "passed") } else { ("bad", "failed") };
    let (of, name) = (Escaped(&held.started_at), held.name());
    writeln!(f, "<section><h2>Held to the run of {of}</h2><ul class=\"thresholds\">")?;
    writeln!(f, "<li><b class=\"{class}\">{word}</b> <span>{}</span></li></ul>", Escaped(&name))?;
    list("reasons", held.regressions.iter().map(|regression| Escaped(regression)), f)?;
    writeln!(f, "</section>")
}
