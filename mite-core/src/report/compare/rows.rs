//! The rows that two reports have in common, figure by figure, and those that only one of them has.
//!
//! It is apart from the noise, which knows no rows.

use std::collections::{BTreeMap, BTreeSet};

use super::noise::{self, Measured, in_micros};
use super::{ComparedFigure, ComparedRow, ComparedSeries, Figure, NoiseUnknown};
use crate::histogram::Histogram;
use crate::report::{HalfFigures, HalfTimes, Halves, Report};

pub(super) struct Found {
    pub(super) rows: Vec<ComparedRow>,
    pub(super) only_in_baseline: Vec<ComparedSeries>,
    pub(super) only_now: Vec<ComparedSeries>,
}

/// A row of one of the reports.
struct Side<'a> {
    count: u64,
    /// `None` where all have one result.
    errors: Option<u64>,
    times: Option<&'a Histogram>,
    halves: Option<Halves>,
}

/// How long a run could start something, and how much of it lies in even and in odd seconds; in seconds.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    whole: f64,
    halves: [f64; 2],
}

type OfHalf = fn(&HalfTimes) -> u64;

const QUANTILES: [(Figure, f64, OfHalf); 5] = [
    (Figure::P50, 50.0, |half| half.p50),
    (Figure::P90, 90.0, |half| half.p90),
    (Figure::P95, 95.0, |half| half.p95),
    (Figure::P99, 99.0, |half| half.p99),
    (Figure::P999, 99.9, |half| half.p999),
];

/// A rate of less is not told by the halves: at either end a half may have a tenth of a second too much.
const SHORTEST_HALF: f64 = 2.0;

pub(super) fn compared(baseline: &Report, now: &Report) -> Found {
    let lengths = [baseline, now].map(Lengths::of);
    let (mut was, is) = (sides(baseline), sides(now));
    let mut told = Found { rows: Vec::new(), only_in_baseline: Vec::new(), only_now: Vec::new() };
    let order: Vec<ComparedSeries> = was.iter().map(|(series, _)| series.clone()).collect();
    let mut was: BTreeMap<_, _> = was.drain(..).collect();
    for (series, now) in is {
        match was.remove(&series) {
            Some(baseline) => {
                let figures = figures(&series, [&baseline, &now], lengths);
                told.rows.push(ComparedRow { series, figures });
            }
            None => told.only_now.push(series),
        }
    }
    // In the order in which the report has them.
    let mut seen = BTreeSet::new();
    told.only_in_baseline =
        order.into_iter().filter(|series| was.contains_key(series) && seen.insert(series.clone())).collect();
    told
}

/// A report's rows, in its order.
fn sides(report: &Report) -> Vec<(ComparedSeries, Side<'_>)> {
    let mut sides = Vec::new();
    if !report.requests.is_empty() {
        sides.push((ComparedSeries::AllRequests, all_requests(report)));
    }
    let mut nth: BTreeMap<&str, u32> = BTreeMap::new();
    for row in &report.journeys {
        let nth = nth.entry(&row.journey).or_default();
        *nth += 1;
        let series = ComparedSeries::Journey { journey: row.journey.clone(), nth: *nth };
        let (count, errors, times) = (row.started, Some(row.failed), Some(&row.response_time));
        sides.push((series, Side { count, errors, times, halves: row.halves.clone() }));
    }
    for row in &report.transactions {
        let (journey, transaction) = (row.journey.clone(), row.transaction.clone());
        let series = ComparedSeries::Transaction { journey, transaction };
        let (errors, times) = (Some(row.errors), Some(&row.time));
        sides.push((series, Side { count: row.count, errors, times, halves: row.halves.clone() }));
    }
    for row in &report.requests {
        let series = ComparedSeries::Request {
            journey: row.journey.clone(),
            transaction: row.transaction.clone(),
            method: row.method.clone(),
            name: row.name.clone(),
            code: row.code,
            error: row.error.clone(),
        };
        let times = Some(&row.time);
        sides.push((series, Side { count: row.count, errors: None, times, halves: row.halves.clone() }));
    }
    sides
}

/// Requests of all results. Their times are not: the halves of a sum's quantiles do not follow from those of its parts.
fn all_requests(report: &Report) -> Side<'_> {
    let (mut count, mut errors) = (0, 0);
    let none = || HalfFigures { count: 0, errors: 0, time: HalfTimes::default() };
    let mut halves = Some(Halves { even: none(), odd: none() });
    for row in &report.requests {
        let failed = u64::from(row.code == 0 || row.code >= 400);
        // What was read from a file may be any number.
        count = row.count.saturating_add(count);
        errors = (failed * row.count).saturating_add(errors);
        match (&mut halves, &row.halves) {
            (Some(halves), Some(of_row)) => {
                for (half, of_row) in [(&mut halves.even, &of_row.even), (&mut halves.odd, &of_row.odd)] {
                    half.count = of_row.count.saturating_add(half.count);
                    half.errors = (failed * of_row.count).saturating_add(half.errors);
                }
            }
            _ => halves = None,
        }
    }
    Side { count, errors: Some(errors), times: None, halves }
}

impl Lengths {
    fn of(report: &Report) -> Self {
        let start = report.warm_up.as_ref().map_or(0.0, |part| part.duration.as_secs_f64());
        let planned = report.settings.rows.iter().map(|row| row.duration).max();
        let end = planned.filter(|end| !end.is_zero()).map_or(report.duration, |end| end.min(report.duration));
        let end = end.as_secs_f64();
        let even = even_before(end) - even_before(start.min(end));
        let whole = end - start.min(end);
        Self { whole, halves: [even, whole - even] }
    }
}

/// How much of a time from zero on lies in even seconds.
fn even_before(seconds: f64) -> f64 {
    let pairs = (seconds / 2.0).floor();
    pairs + (seconds - 2.0 * pairs).min(1.0)
}

fn figures(series: &ComparedSeries, sides: [&Side<'_>; 2], lengths: [Lengths; 2]) -> Vec<ComparedFigure> {
    let mut figures = Vec::new();
    if lengths.iter().all(|of| of.whole > 0.0) {
        let [was, is] = [0, 1].map(|at| rate(sides[at], lengths[at]));
        figures.push(figure(Figure::Rate, Some(was), Some(is), 0.0, series.is_failure()));
    }
    if let [Some(was), Some(is)] = sides.map(|side| side.errors)
        && sides.iter().all(|side| side.count > 0)
    {
        let in_both = (was as f64 + is as f64) / (sides[0].count as f64 + sides[1].count as f64);
        let [was, is] = [(sides[0], was), (sides[1], is)].map(|(side, errors)| share(side, errors, in_both));
        figures.push(figure(Figure::ErrorShare, Some(was), Some(is), 0.0, true));
    }
    let times = sides.map(|side| side.times.filter(|times| times.count() > 0));
    if times.iter().all(Option::is_none) {
        return figures;
    }
    let mut time = |which: Figure, measured: &dyn Fn(&Histogram, Option<&Halves>) -> Measured| {
        let [was, is] = [0, 1].map(|at| times[at].map(|times| measured(times, sides[at].halves.as_ref())));
        let value = |of: Option<Measured>| of.map_or(0.0, |of| of.value);
        figures.push(figure(which, was, is, noise::resolution(value(was), value(is)), true));
    };
    time(Figure::Mean, &|times, halves| Measured {
        value: in_micros(times.mean()),
        halves: of_halves(halves, noise::needed_for_mean(), |half| half.time.count, |half| half.time.mean as f64),
        error: noise::mean_error(times),
    });
    for (which, percent, of_half) in QUANTILES {
        time(which, &|times, halves| Measured {
            value: in_micros(times.percentile(percent)),
            halves: of_halves(
                halves,
                noise::needed(percent),
                |half| half.time.count,
                |half| of_half(&half.time) as f64,
            ),
            error: noise::quantile_error(times, percent),
        });
    }
    figures
}

fn rate(side: &Side<'_>, lengths: Lengths) -> Measured {
    let halves = match &side.halves {
        None => Err(NoiseUnknown::NoHalves),
        Some(_) if lengths.halves.iter().any(|length| *length < SHORTEST_HALF) => Err(NoiseUnknown::TooShort),
        Some(halves) => {
            let [even, odd] = lengths.halves;
            Ok([halves.even.count as f64 / even, halves.odd.count as f64 / odd])
        }
    };
    let value = side.count as f64 / lengths.whole;
    Measured { value, halves, error: noise::rate_error(side.count, lengths.whole) }
}

fn share(side: &Side<'_>, errors: u64, in_both: f64) -> Measured {
    let share = |half: &HalfFigures| half.errors as f64 / half.count as f64;
    Measured {
        value: errors as f64 / side.count as f64,
        halves: of_halves(side.halves.as_ref(), noise::needed_for_mean(), |half| half.count, share),
        error: noise::share_error(in_both, side.count),
    }
}

fn of_halves(
    halves: Option<&Halves>,
    needed: u64,
    count: impl Fn(&HalfFigures) -> u64,
    value: impl Fn(&HalfFigures) -> f64,
) -> Result<[f64; 2], NoiseUnknown> {
    let halves = halves.ok_or(NoiseUnknown::NoHalves)?;
    if [&halves.even, &halves.odd].into_iter().any(|half| count(half) < needed) {
        return Err(NoiseUnknown::TooFew { needed });
    }
    Ok([value(&halves.even), value(&halves.odd)])
}

fn figure(
    figure: Figure,
    was: Option<Measured>,
    is: Option<Measured>,
    least: f64,
    up_is_worse: bool,
) -> ComparedFigure {
    let noise = match (&was, &is) {
        (Some(was), Some(is)) => noise::noise(was, is, least),
        _ => Err(NoiseUnknown::NoTimes),
    };
    let [baseline, now] = [was, is].map(|of| of.map(|of| of.value));
    let change = noise::change(baseline.unwrap_or_default(), now.unwrap_or_default(), noise, up_is_worse);
    let change_percent = match (baseline, now) {
        (Some(was), Some(now)) if was > 0.0 => Some((now - was) / was * 100.0),
        (Some(_), Some(now)) if now <= 0.0 => Some(0.0),
        _ => None,
    };
    ComparedFigure { figure, baseline, now, change_percent, noise: noise.ok(), noise_unknown: noise.err(), change }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_time_lies_in_even_seconds() {
        let cases = [(0.0, 0.0), (0.4, 0.4), (1.0, 1.0), (1.7, 1.0), (2.5, 1.5), (3.2, 2.0), (61.0, 31.0)];
        for (seconds, even) in cases {
            assert!((even_before(seconds) - even).abs() < 1e-9, "{seconds}");
        }
    }
}
