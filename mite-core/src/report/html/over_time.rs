//! Curves over the seconds of a run: its load, what was under way, its times and its errors.
//!
//! They are apart from the other charts, since they are thinned: an hour has more seconds than a screen has points.

use std::fmt;
use std::time::Duration;

use super::axis::{self, Axis, grouped};
use super::chart::{Band, Chart, Curve};
use super::path::{Point, thinned};
use super::{MOST_CHARTS, left_out};
use crate::report::markup::Escaped;
use crate::report::units::time;
use crate::report::{PerSecond, Report, SecondQuantiles, SecondRow};

/// As many points a curve has at most.
const MOST_POINTS: usize = 600;
/// As many the curves of all rows have together, of each kind.
const MOST_OF_ROWS: usize = 12_000;
/// The fewest that a row's curve is thinned to.
const FEWEST_POINTS: usize = 100;
/// As many stretches of a chart tell their figures.
const MOST_BANDS: usize = 120;
/// As many those of all rows do together, of each chart.
const MOST_BANDS_OF_ROWS: usize = 2000;
/// The fewest that a row's chart has.
const FEWEST_BANDS: usize = 20;

/// A second, of all rows or of one.
#[derive(Debug, Clone, Copy)]
struct Second<'a> {
    planned: u64,
    started: u64,
    failed: u64,
    running: u64,
    times: &'a SecondQuantiles,
}

impl<'a> Second<'a> {
    fn of_all(second: &'a PerSecond) -> Self {
        let PerSecond { planned, started, failed, running, .. } = *second;
        Self { planned, started, failed, running, times: &second.response_time }
    }

    fn of_row(row: &'a SecondRow) -> Self {
        let SecondRow { planned, started, failed, running, .. } = *row;
        Self { planned, started, failed, running, times: &row.response_time }
    }
}

/// The seconds of a run, or of one of its rows, from the first on.
struct Timeline<'a> {
    seconds: Vec<Second<'a>>,
    /// How many of them began in the warm-up.
    warm_up: usize,
    /// As many points a curve may have.
    points: usize,
    /// As many stretches tell their figures.
    bands: usize,
}

type Value = fn(&Second<'_>) -> Option<u64>;

const LOAD: [(&str, &str, Value); 2] =
    [("planned", "planned", |second| Some(second.planned)), ("started", "started", |second| Some(second.started))];
const RUNNING: [(&str, &str, Value); 1] = [("running", "running", |second| Some(second.running))];
const FAILED: [(&str, &str, Value); 1] = [("failed", "failed", |second| Some(second.failed))];
const TIMES: [(&str, &str, Value); 3] = [
    ("p99", "p99", |second| timed(second, second.times.p99)),
    ("p95", "p95", |second| timed(second, second.times.p95)),
    ("p50", "p50", |second| timed(second, second.times.p50)),
];

/// A second in which no journey completed has no times.
fn timed(second: &Second<'_>, micros: u64) -> Option<u64> {
    (second.times.count > 0).then_some(micros)
}

pub(super) fn write(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "<section><h2>Over time</h2>")?;
    let drawn = drawn(report);
    if drawn.is_empty() {
        return writeln!(f, "<p class=\"none\">The run has no seconds to show.</p></section>");
    }
    let warm_up = drawn.iter().take_while(|second| second.warm_up).count();
    let seconds: Vec<_> = drawn.iter().map(Second::of_all).collect();
    let all = Timeline { seconds, warm_up, points: MOST_POINTS, bands: MOST_BANDS };
    write!(f, "<div class=\"charts\">")?;
    for chart in all.charts() {
        write!(f, "{chart}")?;
    }
    writeln!(f, "</div>")?;
    notes(drawn.len(), warm_up, f)?;
    rows(report, drawn, warm_up, f)?;
    writeln!(f, "</section>")
}

fn notes(seconds: usize, warm_up: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if warm_up > 0 {
        writeln!(
            f,
            "<p class=\"note\">The shaded seconds are the warm-up, which is left out of all other figures.</p>"
        )?;
    }
    if seconds > MOST_POINTS {
        let stretch = seconds.div_ceil(MOST_POINTS / 2);
        writeln!(
            f,
            "<p class=\"note\">A run of {} seconds has more points than are drawn: of each {stretch} seconds the curves show \
             the least and the most. The CSV and the JSON have all.</p>",
            grouped(seconds as u64)
        )?;
    }
    Ok(())
}

/// The seconds whose curves are drawn: not the last one where the run ended at its beginning, which would look like a fall, unless
/// something failed in it.
fn drawn(report: &Report) -> &[PerSecond] {
    const SHORT: Duration = Duration::from_millis(100);
    match &*report.per_second {
        [before @ .., last] if !before.is_empty() && last.failed == 0 => {
            let lasted = report.duration.saturating_sub(Duration::from_secs(before.len() as u64));
            if lasted < SHORT { before } else { &report.per_second }
        }
        all => all,
    }
}

/// The curves of each row, folded, where there are several.
fn rows(report: &Report, drawn: &[PerSecond], warm_up: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let all = drawn.first().map_or(&[][..], |second| &second.rows);
    let told = &all[..all.len().min(MOST_CHARTS)];
    let points = (MOST_OF_ROWS / told.len().max(1)).clamp(FEWEST_POINTS, MOST_POINTS);
    let bands = (MOST_BANDS_OF_ROWS / told.len().max(1)).clamp(FEWEST_BANDS, MOST_BANDS);
    for row in told.iter().map(|row| row.row) {
        let of_row = |second| -> Option<Second<'_>> {
            let second: &PerSecond = second;
            second.rows.iter().find(|told| told.row == row).map(Second::of_row)
        };
        let seconds = Timeline { seconds: drawn.iter().filter_map(of_row).collect(), warm_up, points, bands };
        let journey = report.journeys.iter().find(|journey| journey.row == row);
        let name = journey.map_or("", |journey| &journey.journey);
        write!(f, "<details><summary>Row {row}: <b>{}</b></summary><div class=\"charts\">", Escaped(name))?;
        write!(f, "{}{}", seconds.load(), seconds.times())?;
        writeln!(f, "</div></details>")?;
    }
    let seconds = drawn.len();
    if seconds > points && !told.is_empty() {
        let stretch = seconds.div_ceil(points / 2);
        writeln!(f, "<p class=\"note\">The curves of rows show the least and the most of each {stretch} seconds.</p>")?;
    }
    left_out(all.len(), "the CSV has their seconds", f)
}

impl Timeline<'_> {
    fn charts(&self) -> [Chart; 4] {
        let running = self.chart("Journeys running", "", &RUNNING, counts("journeys"));
        let failed = self.chart("Journeys failed", "", &FAILED, counts("per second"));
        [self.load(), self.times(), running, failed]
    }

    fn load(&self) -> Chart {
        self.chart("Starts", "", &LOAD, counts("per second"))
    }

    fn times(&self) -> Chart {
        let nothing = "No journey completed: there are no response times.";
        self.chart("Response time", nothing, &TIMES, axis::times)
    }

    fn chart(
        &self,
        title: &str,
        nothing: &'static str,
        of: &[(&'static str, &'static str, Value)],
        axis: impl Fn(u64) -> Axis,
    ) -> Chart {
        let values: Vec<Vec<Option<u64>>> =
            of.iter().map(|(_, _, value)| self.seconds.iter().map(value).collect()).collect();
        let y = axis(values.iter().flatten().flatten().max().copied().unwrap_or(0));
        let length = self.seconds.len();
        let point = |(second, value): (usize, u64)| ((second as f64 + 0.5) / length as f64, value as f64 / y.end);
        let curves = of.iter().zip(&values).map(|((name, class, _), values)| {
            let points: Vec<Point> = thinned(values, self.points).into_iter().map(|known| known.map(point)).collect();
            Curve { name, class, points }
        });
        let names: Vec<&str> = of.iter().map(|(name, ..)| *name).collect();
        Chart {
            title: title.to_owned(),
            curves: curves.collect(),
            bands: bands(&names, &values, y.unit, self.bands),
            x: axis::seconds(length as u64),
            x_name: "since the start",
            y,
            warm_up: self.warm_up as f64 / length.max(1) as f64,
            nothing,
        }
    }
}

fn counts(unit: &'static str) -> impl Fn(u64) -> Axis {
    move |most| axis::counts(most, unit)
}

/// What each stretch of the seconds says: `3 s: p50 12.0 ms, p95 20.0 ms`.
fn bands(names: &[&str], values: &[Vec<Option<u64>>], unit: &str, most: usize) -> Vec<Band> {
    let length = values.first().map_or(0, Vec::len);
    let stretch = length.div_ceil(most).max(1);
    let band = |from: usize| {
        let to = (from + stretch).min(length);
        let figures: Vec<String> = names
            .iter()
            .zip(values)
            .map(|(name, values)| format!("{name} {}", range(&values[from..to], unit)))
            .collect();
        let seconds = if to - from == 1 { format!("{from} s") } else { format!("{from} to {to} s") };
        let (from, to) = (from as f64 / length as f64, to as f64 / length as f64);
        Band { from, to, text: format!("{seconds}: {}", figures.join(", ")) }
    };
    (0..length).step_by(stretch).map(band).collect()
}

/// One value, or the least and the most of several.
fn range(values: &[Option<u64>], unit: &str) -> String {
    let known = || values.iter().flatten().copied();
    let told = |value| match unit {
        "µs" | "ms" | "s" => time(Duration::from_micros(value)),
        _ => grouped(value),
    };
    match (known().min(), known().max()) {
        (Some(least), Some(most)) if least == most => told(least),
        (Some(least), Some(most)) => format!("{} to {}", told(least), told(most)),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_tells_the_least_and_the_most() {
        let cases = [
            (&[Some(3)][..], "per second", "3"),
            (&[Some(3), None, Some(12_000)], "per second", "3 to 12\u{202f}000"),
            (&[Some(3), Some(1200)], "ms", "3 µs to 1.20 ms"),
            (&[None], "ms", "–"),
        ];
        for (values, unit, told) in cases {
            assert_eq!(range(values, unit), told);
        }
        let values = [(0..240).map(Some).collect()];
        let bands = bands(&["started"], &values, "per second", 120);
        assert_eq!((bands.len(), bands[1].text.as_str()), (120, "2 to 4 s: started 2 to 3"));
        assert_eq!((bands[0].from, bands[119].to), (0.0, 1.0));
    }

    #[test]
    fn a_second_that_had_only_begun_is_not_drawn() {
        let drawn_of = |millis, failed| {
            let mut report = crate::report::fixed::running(4);
            report.duration = Duration::from_millis(millis);
            report.per_second[3].failed = failed;
            drawn(&report).len()
        };
        assert_eq!([drawn_of(4000, 0), drawn_of(3100, 0), drawn_of(3099, 0), drawn_of(3000, 0)], [4, 4, 3, 3]);
        assert_eq!(drawn_of(3000, 1), 4);
    }
}
