//! A comparison for people: what is worse comes first in words, then all figures in a table.
//!
//! It is apart from the comparison, which is a value that a program may judge by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Change, ComparedFigure, Comparison, Figure, NoiseUnknown};
use crate::report::text::Table;
use crate::report::units::{counted, time};

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |change| self.count(change);
        writeln!(
            f,
            "{}: compared with the run of {}: {} worse, {} better, {} the same within the noise{}",
            self.now.scenario,
            self.baseline.started_at,
            counted(count(Change::Worse) as u64, "figure"),
            count(Change::Better),
            count(Change::Same),
            match count(Change::Unknown) {
                0 => String::new(),
                unknown => format!(", {unknown} whose noise is not known"),
            }
        )?;
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        table(self).write(f)?;
        for (which, series) in [("only in the baseline", &self.only_in_baseline), ("only now", &self.only_now)] {
            if !series.is_empty() {
                writeln!(f, "\n{which}")?;
                series.iter().try_for_each(|series| writeln!(f, "  {series}"))?;
            }
        }
        unknown(self, f)
    }
}

fn table(comparison: &Comparison) -> Table {
    let mut table = Table::new(["", "baseline", "now", "change", "noise", ""]);
    for row in &comparison.rows {
        table.row([row.series.to_string()]);
        table.rows(row.figures.iter().map(cells));
    }
    table
}

fn cells(of: &ComparedFigure) -> Vec<String> {
    let noise = if of.noise.is_some() { format!("±{}", value(of.figure, of.noise)) } else { "?".to_owned() };
    let change = of.change_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:+.1} %"));
    let cells = [value(of.figure, of.baseline), value(of.figure, of.now), change, noise];
    let mut all = vec![format!("  {}", of.figure)];
    all.extend(cells);
    all.push(word(of).to_owned());
    all
}

fn word(of: &ComparedFigure) -> &'static str {
    match (of.change, of.figure.is_time()) {
        (Change::Same, _) => "same",
        (Change::Worse, true) => "slower",
        (Change::Worse, false) => "worse",
        (Change::Better, true) => "faster",
        (Change::Better, false) => "better",
        (Change::Unknown, _) => "?",
    }
}

/// A figure in its unit.
pub(super) fn value(figure: Figure, value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    match figure {
        Figure::Rate if value < 10.0 => format!("{value:.2}/s"),
        Figure::Rate => format!("{value:.1}/s"),
        Figure::ErrorShare => format!("{:.2} %", value * 100.0),
        _ => time(Duration::from_micros(value.round() as u64)),
    }
}

/// Which figures' noise is not known, by the reason.
fn unknown(comparison: &Comparison, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut by_reason: BTreeMap<NoiseUnknown, BTreeMap<Figure, u64>> = BTreeMap::new();
    for (_, of) in comparison.figures() {
        if let Some(why) = of.noise_unknown {
            *by_reason.entry(why).or_default().entry(of.figure).or_default() += 1;
        }
    }
    if !by_reason.is_empty() {
        writeln!(f)?;
    }
    for (why, figures) in by_reason {
        let figures: Vec<String> = figures
            .iter()
            .map(|(figure, count)| if *count > 1 { format!("{figure} ({count} times)") } else { figure.to_string() })
            .collect();
        writeln!(f, "? the noise of {} is not known: {why}", figures.join(", "))?;
    }
    Ok(())
}
