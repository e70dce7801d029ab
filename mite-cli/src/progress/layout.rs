//! The screen's lines, for a terminal of any size: a pure function of what has been seen.
//!
//! What there is no room for is left out, the least important first.

use std::collections::VecDeque;

use mite_core::{Progress, RowProgress};

use super::Size;
use super::chart;
use super::line::{Line, Tint, head, tail, width};
use super::seen::{MINUTE, Phase, Seen};
use super::units;

/// What stands before a line's figures.
const LABEL: usize = 15;

/// In fewer columns than this, labels take only what they need, or are left out where the figures have names.
const NARROW: usize = 60;

/// Lines that stay for logs above the block, where the terminal is high enough.
const LEFT_FOR_LOGS: usize = 4;

/// A row that has made less than this part of what was wanted is pointed out.
const ACHIEVED: f64 = 0.99;

/// How much is shown.
#[derive(Debug, Clone, Copy)]
struct Detail {
    /// The least lines that the table of the rows may have; none where it has none.
    table: Option<usize>,
    /// How high a curve is; 0 where there is none.
    curve: usize,
    requests: bool,
    /// Kinds of error, at the most.
    errors: usize,
    gaps: bool,
    generator: bool,
}

const ALL: Detail = Detail { table: Some(12), curve: 3, requests: true, errors: 5, gaps: true, generator: true };

const FEW: Detail = Detail { table: None, curve: 1, errors: 2, gaps: false, ..ALL };

/// From all to what is told anyway.
const DETAILS: [Detail; 8] = [
    ALL,
    Detail { table: Some(6), curve: 2, ..ALL },
    Detail { table: Some(4), curve: 1, errors: 3, ..ALL },
    Detail { table: Some(3), ..FEW },
    FEW,
    Detail { errors: 1, generator: false, ..FEW },
    Detail { errors: 1, generator: false, curve: 0, ..FEW },
    Detail { errors: 1, generator: false, curve: 0, requests: false, ..FEW },
];

/// A bar that is longer tells no more.
const WIDEST_TITLE: usize = 120;

/// In fewer lines than this, curves are no higher than two: there should be something left of what was there before.
const HIGH: usize = 32;

/// The lines, none of which is wider than the terminal, and fewer than it has rows.
pub(super) fn lines(seen: &Seen, size: Size) -> Vec<Line> {
    // The last column stays empty: some terminals break the line once it is full.
    let columns = size.width.saturating_sub(1);
    let left = if size.height >= 4 * LEFT_FOR_LOGS { LEFT_FOR_LOGS } else { 1 };
    let room = size.height.saturating_sub(left);
    let mut lines = fitting(seen, columns, room);
    lines.truncate(room);
    lines.into_iter().map(|line| line.cut(columns)).collect()
}

fn fitting(seen: &Seen, columns: usize, room: usize) -> Vec<Line> {
    let title = title(seen, columns);
    let Some(now) = &seen.now else { return vec![title] };
    let mut lines = Vec::new();
    for detail in DETAILS.into_iter().filter(|detail| detail.curve < 3 || room >= HIGH) {
        lines = vec![title.clone()];
        let gap = |lines: &mut Vec<Line>| {
            if detail.gaps {
                lines.push(Line::new());
            }
        };
        gap(&mut lines);
        lines.push(journeys(now, columns));
        lines.push(response_time(now, columns));
        if detail.requests {
            lines.push(requests(now, columns));
        }
        lines.extend(errors(now, columns, detail.errors));
        if detail.generator {
            lines.push(generator(now, columns));
        }
        if detail.curve > 0 {
            gap(&mut lines);
            lines.extend(curves(seen, columns, detail));
        }
        let wanted = if now.rows.len() > 1 { detail.table } else { None };
        let Some(least) = wanted else {
            if lines.len() <= room {
                break;
            }
            continue;
        };
        gap(&mut lines);
        // Its head, and a line for each row.
        if lines.len() + least.min(now.rows.len() + 1) <= room {
            let left = room - lines.len();
            lines.extend(table(&now.rows, columns, left));
            break;
        }
    }
    lines
}

/// The run's name and phase, and how far it is.
fn title(seen: &Seen, columns: usize) -> Line {
    let (tint, phase) = match seen.phase() {
        Phase::Starting => (Tint::Warning, "starting"),
        Phase::WarmUp => (Tint::Warning, "warm-up"),
        Phase::Running => (Tint::Good, "running"),
        Phase::Stopping => (Tint::Warning, "stopping gracefully"),
        Phase::Ending => (Tint::Warning, "ending"),
    };
    let seconds = seen.now.as_ref().map_or(0, |now| now.seconds);
    let mut time = Line::new().and(Tint::Plain, units::clock(seconds));
    if let Some(planned) = seen.planned {
        time = time.and(Tint::Dim, " of ").and(Tint::Plain, units::clock(planned));
    }
    if columns < NARROW && seen.phase() == Phase::Running {
        return Line::new().and(Tint::Bold, head(&seen.title, columns / 2)).and(tint, "  ").then(time);
    }
    let name_room = (columns / 2).max(columns.saturating_sub(phase.len() + time.width() + 6));
    let line = Line::new()
        .and(Tint::Bold, head(&seen.title, name_room))
        .and(Tint::Plain, "  ")
        .and(tint, phase)
        .and(Tint::Plain, "  ")
        .then(time);
    let Some(planned) = seen.planned.filter(|planned| *planned > 0) else { return line };
    let part = seconds as f64 / planned as f64;
    let percent = format!("{:>4.0} %", (part * 100.0).min(100.0).floor());
    // Each second looks like the one before: the clock grows, and the bar does not move for it.
    let begins = (line.width().div_ceil(4) * 4 + 2).max(LABEL);
    let Some(room) = columns.min(WIDEST_TITLE).checked_sub(begins + percent.len()).filter(|room| *room >= 5) else {
        return line;
    };
    let (done, rest) = chart::bar(part, room);
    line.padded(begins).and(Tint::Good, done).and(Tint::Dim, rest).and(Tint::Plain, percent)
}

fn journeys(now: &Progress, columns: usize) -> Line {
    let sum = |is_closed: bool, of: fn(&RowProgress) -> u64| {
        now.rows.iter().filter(|row| row.is_closed == is_closed).map(of).sum::<u64>()
    };
    let has = |is_closed: bool| now.rows.iter().any(|row| row.is_closed == is_closed);
    let mut figures = Vec::new();
    if has(false) {
        let (wanted, actual) = (sum(false, |row| row.wanted), sum(false, |row| row.actual));
        figures.push(of(behind(actual, wanted), &format!("{actual}/s"), &format!("{wanted}/s wanted")));
    }
    if has(true) {
        let (wanted, actual) = (sum(true, |row| row.wanted), sum(true, |row| row.actual));
        figures.push(of(behind(actual, wanted), &actual.to_string(), &format!("{wanted} at once")));
        if !has(false) {
            let started = sum(true, |row| row.started);
            figures.push(figure("started", &format!("{started}/s"), Tint::Plain));
        }
    }
    figures.push(figure("running", &now.running.to_string(), Tint::Plain));
    figures.push(figure("failed", &now.failed.to_string(), if now.failed > 0 { Tint::Bad } else { Tint::Plain }));
    figures.push(figure("completed", &now.completed.to_string(), Tint::Plain));
    labelled(if columns < NARROW { "" } else { "journeys" }, figures, columns)
}

fn response_time(now: &Progress, columns: usize) -> Line {
    let times = &now.response_time;
    let figures = [("p50", times.p50), ("p95", times.p95), ("p99", times.p99), ("max", times.max)];
    let told = figures.map(|(name, micros)| {
        let time = if times.count == 0 { "-".to_owned() } else { units::time(micros) };
        // So wide that the figures stand still.
        figure(name, &format!("{time:<7}"), Tint::Plain)
    });
    let [p50, p95, p99, max] = told;
    if columns < NARROW {
        return labelled("", vec![p99, p50, max, p95], columns);
    }
    labelled("response time", vec![p50, p95, p99, max], columns)
}

fn requests(now: &Progress, columns: usize) -> Line {
    let all: u64 = now.requests.iter().map(|of| of.in_last_second).sum();
    let mut figures = vec![
        figure("", &format!("{all}/s"), Tint::Bold),
        Line::new().and(Tint::Plain, format!("{}/s", units::bytes(now.received))).and(Tint::Dim, " received"),
    ];
    for of in &now.requests {
        let (name, tint) = match of.error {
            Some(error) => (error.to_owned(), Tint::Bad),
            None if of.code >= 500 => (of.code.to_string(), Tint::Bad),
            None if of.code >= 400 => (of.code.to_string(), Tint::Warning),
            None => (of.code.to_string(), Tint::Good),
        };
        let count = format!(" {}/s", of.in_last_second);
        figures.push(Line::new().and(tint, name).and(Tint::Plain, count));
    }
    labelled("requests", figures, columns)
}

/// A line for each kind, the rest added up in the last.
fn errors(now: &Progress, columns: usize, most: usize) -> Vec<Line> {
    let total = |of: &[mite_core::ErrorProgress]| {
        of.iter().fold((0, 0), |(count, fresh), of| (count + of.count, fresh + of.in_last_second))
    };
    let digits = now.errors.iter().map(|of| of.count.to_string().len()).max().unwrap_or(1);
    let line = |label: &str, (count, fresh): (u64, u64), name: &str| {
        let tint = if count > 0 { Tint::Bad } else { Tint::Good };
        let mut told = Line::new().and(tint, format!("{count:>digits$}"));
        if count > 0 {
            let room = columns.saturating_sub(LABEL + told.width() + 14).max(4);
            told = told.and(Tint::Plain, format!(" {}", head(name, room)));
        }
        let mut figures = vec![told];
        if count > 0 {
            let tint = if fresh > 0 { Tint::Bad } else { Tint::Dim };
            figures.push(Line::new().and(tint, format!("{fresh}/s")));
        }
        labelled(label, figures, columns)
    };
    match now.errors.as_slice() {
        [] => vec![line("errors", (0, 0), "")],
        [one] => vec![line("errors", (one.count, one.in_last_second), &one.ex_type)],
        several if most < 2 => vec![line("errors", total(several), &format!("of {} kinds", several.len()))],
        several => {
            let shown = if several.len() > most { most - 1 } else { several.len() };
            let (told, others) = several.split_at(shown);
            let mut lines = Vec::new();
            for (index, of) in told.iter().enumerate() {
                let label = if index == 0 { "errors" } else { NEXT };
                lines.push(line(label, (of.count, of.in_last_second), &of.ex_type));
            }
            if !others.is_empty() {
                lines.push(line(NEXT, total(others), &format!("of {} other kinds", others.len())));
            }
            lines
        }
    }
}

fn generator(now: &Progress, columns: usize) -> Line {
    let cpu = figure("CPU", &format!("{:.0} % of a core", now.cpu_percent), Tint::Plain);
    let lag = figure("start lag p99", &units::time(now.start_lag_p99.as_micros() as u64), Tint::Plain);
    labelled(if columns < NARROW { "" } else { "generator" }, vec![cpu, lag], columns)
}

/// The last minute, side by side where the terminal is wide.
fn curves(seen: &Seen, columns: usize, detail: Detail) -> Vec<Line> {
    let rows = detail.curve;
    let rates: VecDeque<_> = seen.rates.iter().copied().map(Some).collect();
    let rate = |micros: u64| format!("{micros}/s");
    let rates = Curve { label: "rate, 1 min", values: &rates, tint: Tint::Good, told: &rate };
    let times = Curve { label: "p99, 1 min", values: &seen.p99s, tint: Tint::Curve, told: &units::time };
    let half = columns / 2;
    if half >= LABEL + MINUTE + TOP {
        let (left, right) = (times.lines(half, rows), rates.lines(columns - half, rows));
        return left.into_iter().zip(right).map(|(left, right)| left.padded(half).then(right)).collect();
    }
    let mut lines = times.lines(columns, rows);
    if detail.gaps && rows > 1 {
        lines.push(Line::new());
    }
    lines.extend(rates.lines(columns, rows));
    lines
}

/// What a curve's highest value takes.
const TOP: usize = 9;

struct Curve<'a> {
    label: &'a str,
    values: &'a VecDeque<Option<u64>>,
    tint: Tint,
    told: &'a dyn Fn(u64) -> String,
}

impl Curve<'_> {
    fn lines(&self, columns: usize, rows: usize) -> Vec<Line> {
        let room = columns.saturating_sub(LABEL + TOP).min(MINUTE);
        let missing = room.saturating_sub(self.values.len());
        let shown: Vec<_> = self.values.iter().copied().skip(self.values.len().saturating_sub(room)).collect();
        let top = shown.iter().copied().flatten().max();
        let drawn = chart::columns(&shown, top.unwrap_or(0), rows);
        let line = |(index, drawn): (usize, &String)| {
            let label = if index == 0 { self.label } else { "" };
            // What has not been yet is on the left, and now on the right.
            let empty = if index == rows - 1 { "▁" } else { " " }.repeat(missing);
            let line = label_of(label).and(Tint::Dim, empty).and(self.tint, drawn);
            match top {
                Some(top) if index == 0 => line.and(Tint::Dim, format!(" {}", (self.told)(top))),
                Some(_) if index == rows - 1 => line.and(Tint::Dim, " 0"),
                _ => line,
            }
        };
        drawn.iter().enumerate().map(line).collect()
    }
}

/// A column of the rows' table: its head, how wide it is, and what a row has in it.
type Column = (&'static str, usize, fn(&RowProgress) -> (Tint, String));

/// The most important first: those at the end are left out first.
const COLUMNS: [Column; 8] = [
    ("wanted", 9, |row| (Tint::Plain, of_rate(row, row.wanted))),
    ("actual", 9, |row| (behind(row.actual, row.wanted), of_rate(row, row.actual))),
    ("running", 8, |row| (Tint::Plain, row.running.to_string())),
    ("p50", 9, |row| (Tint::Plain, time_of(row, row.response_time.p50))),
    ("p99", 9, |row| (Tint::Plain, time_of(row, row.response_time.p99))),
    ("failed/s", 9, |row| (if row.failed > 0 { Tint::Bad } else { Tint::Plain }, row.failed.to_string())),
    ("max", 9, |row| (Tint::Plain, time_of(row, row.response_time.max))),
    ("p95", 9, |row| (Tint::Plain, time_of(row, row.response_time.p95))),
];

/// A name in less than this says little.
const LEAST_NAME: usize = 12;

/// In a table that is wider, the eye loses its line.
const MOST_NAME: usize = 60;

/// The rows, as many as fit in so many lines; the others are added up in the last.
fn table(rows: &[RowProgress], columns: usize, room: usize) -> Vec<Line> {
    let mut left = columns.saturating_sub(LEAST_NAME);
    let shown: Vec<&Column> = COLUMNS
        .iter()
        .take_while(|(_, width, _)| {
            let rest = left.checked_sub(*width);
            left = rest.unwrap_or(left);
            rest.is_some()
        })
        .collect();
    let longest = rows.iter().map(|row| width(&row.journey)).max().unwrap_or(0);
    let name_room = (LEAST_NAME + left).min(longest.max(LEAST_NAME)).min(MOST_NAME);
    let mut lines = Vec::new();
    let mut head_line = Line::new().and(Tint::Dim, head("journey", name_room)).padded(name_room);
    for (name, width, _) in &shown {
        head_line = head_line.and(Tint::Dim, format!("{name:>width$}"));
    }
    lines.push(head_line);
    let fitting = if rows.len() < room { rows.len() } else { room.saturating_sub(2) };
    let (told, others) = rows.split_at(fitting);
    let mut put = |name: Line, row: &RowProgress| {
        let mut line = name.padded(name_room);
        for (_, width, cell) in &shown {
            let (tint, text) = cell(row);
            line = line.and(tint, format!("{text:>width$}"));
        }
        lines.push(line);
    };
    for row in told {
        put(Line::new().and(Tint::Plain, tail(&row.journey, name_room)), row);
    }
    if !others.is_empty() {
        let name = format!("{} others", others.len());
        put(Line::new().and(Tint::Dim, head(&name, name_room)), &sum(others));
    }
    lines
}

/// Rows added up; no percentile is ever made of percentiles.
fn sum(rows: &[RowProgress]) -> RowProgress {
    let mut sum = RowProgress::default();
    sum.is_closed = rows.iter().all(|row| row.is_closed);
    for row in rows {
        // A rate and a number running cannot be added: where there are both, the rate is told.
        if row.is_closed == sum.is_closed {
            sum.wanted += row.wanted;
            sum.actual += row.actual;
        }
        sum.running += row.running;
        sum.failed += row.failed;
    }
    sum
}

fn of_rate(row: &RowProgress, figure: u64) -> String {
    if row.is_closed { figure.to_string() } else { format!("{figure}/s") }
}

fn time_of(row: &RowProgress, micros: u64) -> String {
    if row.response_time.count == 0 { "-".to_owned() } else { units::time(micros) }
}

/// How a figure that should be as large as another is shown.
fn behind(actual: u64, wanted: u64) -> Tint {
    if (actual as f64) < wanted as f64 * ACHIEVED && wanted - actual > 1 { Tint::Warning } else { Tint::Plain }
}

/// The label of a line that goes on with what the one before it has.
const NEXT: &str = " ";

fn label_of(label: &str) -> Line {
    Line::new().and(Tint::Dim, label).padded(LABEL)
}

/// `98/s of 100/s wanted`
fn of(tint: Tint, actual: &str, wanted: &str) -> Line {
    Line::new().and(tint, actual).and(Tint::Dim, format!(" of {wanted}"))
}

fn figure(name: &str, value: &str, tint: Tint) -> Line {
    let line = if name.is_empty() { Line::new() } else { Line::new().and(Tint::Dim, format!("{name} ")) };
    line.and(tint, value)
}

/// A label and its figures: as many as there is room for, whole.
fn labelled(label: &str, figures: Vec<Line>, columns: usize) -> Line {
    let mut line = match label {
        "" => Line::new(),
        _ if columns < NARROW => Line::new().and(Tint::Dim, label).and(Tint::Plain, " "),
        _ => label_of(label),
    };
    for (index, figure) in figures.into_iter().enumerate() {
        let gap = if index == 0 { "" } else { "   " };
        if index > 0 && line.width() + gap.len() + figure.width() > columns {
            break;
        }
        line = line.and(Tint::Plain, gap).then(figure);
    }
    line
}
