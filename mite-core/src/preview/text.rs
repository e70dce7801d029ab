//! A preview for people: one curve for each row, drawn in block characters over one axis of time.
//!
//! It is apart from the figures, which a program may want without it.

use std::fmt;
use std::time::Duration;

use super::{COLUMNS, Preview, RowPreview};
use crate::volume::Unit;

/// The columns of a terminal.
const WIDTH: usize = 80;
/// The lines of a curve.
const LINES: u64 = 5;
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<String> = self.rows.iter().map(RowPreview::peak_label).collect();
        let margin = labels.iter().map(String::len).max().unwrap_or(0);
        for (index, (row, label)) in self.rows.iter().zip(&labels).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            row.draw(f, label, margin, self.duration)?;
        }
        Ok(())
    }
}

impl RowPreview {
    /// The greatest height with its unit.
    fn peak_label(&self) -> String {
        match self.unit {
            Unit::Rate => format!("{}/s", self.peak),
            Unit::Running => self.peak.to_string(),
        }
    }

    fn draw(&self, f: &mut fmt::Formatter<'_>, peak: &str, margin: usize, whole: Duration) -> fmt::Result {
        let of_what = match self.planned {
            Some(1) => format!("1 start, peak {peak}"),
            Some(planned) => format!("{planned} starts, peak {peak}"),
            None => format!("at most {peak} running"),
        };
        let rest = format!("{of_what}, {}", time(self.duration));
        // A name of many modules gets a line of its own.
        let fits = self.journey.chars().count() + 2 + rest.chars().count() <= WIDTH;
        writeln!(f, "{}:{}{rest}", self.journey, if fits { ' ' } else { '\n' })?;
        let highest = self.curve.iter().copied().max().unwrap_or(0).max(1);
        let eighths = |height: u64| {
            let eighths = (u128::from(height) * u128::from(LINES * 8) + u128::from(highest) / 2) / u128::from(highest);
            // Little is not nothing.
            if height > 0 { eighths.max(1) as u64 } else { 0 }
        };
        for line in (0..LINES).rev() {
            let column = |height: &u64| EIGHTHS[eighths(*height).saturating_sub(line * 8).min(8) as usize];
            let drawn: String = self.curve.iter().map(column).collect();
            let (label, tick) = if line == LINES - 1 { (peak, '┤') } else { ("", '│') };
            writeln!(f, "{}", format!("{label:>margin$} {tick}{drawn}").trim_end())?;
        }
        let half = COLUMNS as usize / 2;
        writeln!(f, "{:>margin$} └{}┬{}", "0", "─".repeat(half), "─".repeat(half - 1))?;
        // Each time begins below its place, but for the last, which ends there.
        let (middle, end) = (time(whole / 2), time(whole));
        let gap = " ".repeat(half.saturating_sub(middle.chars().count() + end.chars().count()));
        writeln!(f, "{:>margin$}  {:<half$}{middle}{gap}{end}", "", "0")
    }
}

/// A time in the largest unit of which it is more than one, with two decimals at the most.
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        ..1e-6 => (seconds * 1e9, "ns"),
        ..1e-3 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        ..120.0 => (seconds, "s"),
        ..3600.0 => (seconds / 60.0, "min"),
        ..172_800.0 => (seconds / 3600.0, "h"),
        _ => (seconds / 86_400.0, "days"),
    };
    format!("{} {unit}", (value * 100.0).round() / 100.0)
}
