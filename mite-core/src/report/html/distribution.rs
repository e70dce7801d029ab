//! Distributions: the percentiles of journeys, transactions and requests, on the scale that HdrHistogram's plots have.
//!
//! They are apart from the curves over time: their x is a percentile, and each nine has as much room as the one before.

use std::fmt;
use std::time::Duration;

use super::axis;
use super::chart::{Band, Chart, Curve};
use super::figures::request_name;
use super::path::Point;
use super::{MOST_CHARTS, left_out};
use crate::histogram::Histogram;
use crate::names::ROOT;
use crate::report::Report;
use crate::report::series::in_journey;
use crate::report::units::time;

/// As many points as there are between two nines.
const POINTS: u32 = 16;
/// What a chart tells where it is pointed at, and from where on.
const TOLD: [(f64, &str); 8] = [
    (0.0, "0"),
    (50.0, "50"),
    (75.0, "75"),
    (90.0, "90"),
    (95.0, "95"),
    (99.0, "99"),
    (99.9, "99.9"),
    (99.99, "99.99"),
];

pub(super) fn write(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "<section><h2>Distributions</h2><p class=\"note\">How long the fastest so many of 100 took: each nine of the \
         percentile has as much room as the one before.</p>"
    )?;
    let journeys = report.journeys.iter().map(|row| (row.journey.clone(), &row.response_time));
    group("Journeys: response time", journeys, f)?;
    let named = report.transactions.iter().filter(|row| row.transaction != ROOT);
    group("Transactions", named.map(|row| (in_journey(&row.transaction, &row.journey), &row.time)), f)?;
    let requests = report.requests.iter().map(|row| {
        let outcome = row.error.clone().unwrap_or_else(|| row.code.to_string());
        (format!("{} → {outcome}", request_name(row)), &row.time)
    });
    group("Requests", requests, f)?;
    writeln!(f, "</section>")
}

fn group<'a>(
    title: &str,
    series: impl Iterator<Item = (String, &'a Histogram)>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let charts: Vec<Chart> = series.map(|(name, times)| chart(name, times)).collect();
    if charts.is_empty() {
        return Ok(());
    }
    writeln!(f, "<h3>{title}</h3><div class=\"charts small\">")?;
    charts.iter().take(MOST_CHARTS).try_for_each(|chart| write!(f, "{chart}"))?;
    writeln!(f, "</div>")?;
    left_out(charts.len(), "the tables have their figures", f)
}

fn chart(title: String, times: &Histogram) -> Chart {
    let x = axis::percentiles(times.count());
    let y = axis::times(times.max().as_micros() as u64);
    let curve = Curve { name: "time", class: "started", points: points(times, x.end, y.end) };
    let bands = bands(times, x.end);
    Chart { title, x, x_name: "percentile", y, curves: vec![curve], bands, warm_up: 0.0, nothing: "None was timed." }
}

/// From the shortest to the longest, which is where the nines of so many values end.
fn points(times: &Histogram, nines: f64, end: f64) -> Vec<Point> {
    if times.count() == 0 {
        return Vec::new();
    }
    let last = (times.count() as f64).log10().min(nines);
    let steps = (0..).map(|step| f64::from(step) / f64::from(POINTS)).take_while(|at| *at < last);
    let point = |at: f64, time: Duration| Some((at / nines, time.as_micros() as f64 / end));
    let mut points: Vec<Point> =
        steps.map(|at| point(at, times.percentile(100.0 * (1.0 - 10_f64.powf(-at))))).collect();
    points.push(point(last, times.max()));
    if last == 0.0 {
        // A single value is all percentiles.
        points.push(point(nines, times.max()));
    }
    points
}

fn bands(times: &Histogram, nines: f64) -> Vec<Band> {
    let at = |percent: f64| (-(1.0 - percent / 100.0).log10() / nines).min(1.0);
    let mut bands = Vec::new();
    for (index, (percent, label)) in TOLD.iter().enumerate() {
        let to = TOLD.get(index + 1).map_or(1.0, |(next, _)| at(*next));
        // The last one of them may lie at the end, but for what rounding leaves.
        if to - at(*percent) > 1e-3 {
            let text = format!("p{label}: {}", time(times.percentile(*percent)));
            bands.push(Band { from: at(*percent), to, text });
        }
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixed::times;

    #[test]
    fn a_curve_rises_from_the_shortest_to_the_longest() {
        let points = points(&times(&[(1, 90), (50, 10)]), 2.0, 100_000.0);
        assert_eq!((points.first(), points.last()), (Some(&Some((0.0, 0.01))), Some(&Some((1.0, 0.5)))));
        assert!(points.iter().flatten().is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1));
    }

    #[test]
    fn few_values_have_a_curve_too() {
        assert!(points(&Histogram::new(), 2.0, 1.0).is_empty());
        assert_eq!(points(&times(&[(1, 1)]), 2.0, 1000.0), [Some((0.0, 1.0)), Some((1.0, 1.0))]);
        // With ten values, the longest is the 90th percentile and all that follow.
        assert_eq!(points(&times(&[(1, 10)]), 2.0, 1000.0).last(), Some(&Some((0.5, 1.0))));
    }

    #[test]
    fn a_chart_tells_the_percentiles_that_it_shows() {
        let told: Vec<_> = bands(&times(&[(1, 90), (50, 10)]), 2.0).into_iter().map(|band| band.text).collect();
        assert_eq!(told[..4], ["p0: 1.00 ms", "p50: 1.00 ms", "p75: 1.00 ms", "p90: 1.00 ms"]);
        assert_eq!(told[4..], ["p95: 50.0 ms"]);
    }
}
