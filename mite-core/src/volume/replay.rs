//! A load that was recorded elsewhere: rates over time, or single arrivals, from a CSV or JSON-lines file.
//!
//! It is apart from the other models, since it alone reads a file, which may be broken.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::{Arrivals, IntoModel, Model, Segment, Shape, Source, Unit, Volume, VolumeError, VolumeModel, thousandths};

/// A recorded load: see [`replay`].
#[derive(Debug, Clone)]
#[must_use = "a volume model does nothing until a row is given it"]
pub struct Replay {
    shape: Shape,
    speed: f64,
}

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("failed to read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A line makes no sense.
    #[error("{}:{line}: {message}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// There is nothing to replay.
    #[error("{}: {message}", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is missing.
        message: &'static str,
    },
}

/// Reads a load from a file: a production access log, for instance.
///
/// - One time in each line: single arrivals. `1700000000.25`, or as JSON `1700000000.25` or `{"time": 1700000000.25}`.
/// - A time and a rate in each line: that rate from then on, until the next line's time; the last line says when it ends.
///   `0,10.5`, or as JSON `{"time": 0, "rate": 10.5}`.
///
/// Times are seconds, Unix or any other, and never fall; the first one is the start of the run. A first line of a CSV file
/// that does not begin with a number is its heading. Empty lines are passed over.
///
/// # Errors
/// [`ReplayError`], which names the line.
///
/// ```no_run
/// use mite_core::volume::replay;
/// use mite_core::{Context, NoData, Result, Scenario};
///
/// async fn browse(_ctx: &mut Context) -> Result {
///     Ok(())
/// }
///
/// fn yesterday() -> Result<Scenario> {
///     Ok(Scenario::new().journey(browse, NoData, replay("access.csv")?.speed(2.0)))
/// }
/// ```
pub fn replay(path: impl AsRef<Path>) -> Result<Replay, ReplayError> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(|source| ReplayError::Io { path: path.to_owned(), source })?;
    let shape = parse(&text).map_err(|wrong| match wrong {
        Wrong::Line(line, message) => ReplayError::Line { path: path.to_owned(), line, message },
        Wrong::Empty(message) => ReplayError::Empty { path: path.to_owned(), message },
    })?;
    Ok(Replay { shape, speed: 1.0 })
}

impl Replay {
    /// So many times as fast: 2 makes an hour's load of half an hour, at twice the rate.
    pub fn speed(mut self, factor: f64) -> Self {
        self.speed *= factor;
        self
    }
}

impl VolumeModel for Replay {
    fn into_model(self) -> Result<IntoModel, VolumeError> {
        let Replay { mut shape, speed } = self;
        if !(speed.is_finite() && speed > 0.0) {
            return Err(VolumeError::new("`.speed(factor)` takes a factor above 0"));
        }
        // A factor of 1 changes nothing, and must not round anything either.
        if speed.total_cmp(&1.0).is_ne() {
            let sooner = |time: u64| (time as f64 / speed) as u64;
            match &mut shape.source {
                Source::Times(times, end) => {
                    *times = times.iter().map(|time| sooner(*time)).collect();
                    *end = times.last().map_or(0, |last| last + 1);
                }
                Source::Segments(segments) => {
                    for segment in segments {
                        let rate = thousandths(Volume::Rate(segment.from as f64 / 1000.0 * speed))?;
                        let rate = rate.map_or(0, |(_, rate)| rate);
                        (segment.start, segment.end) = (sooner(segment.start), sooner(segment.end));
                        (segment.from, segment.to) = (rate, rate);
                    }
                }
            }
        }
        Ok(IntoModel(Model::Resolved(shape)))
    }
}

#[derive(Debug, PartialEq)]
enum Wrong {
    Line(usize, String),
    Empty(&'static str),
}

/// A line's time in nanoseconds, and its rate where it has one.
type Row = (u64, Option<f64>);

fn parse(text: &str) -> Result<Shape, Wrong> {
    let mut rows: Vec<(usize, Row)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || (number == 1 && is_heading(line)) {
            continue;
        }
        let row = row(line).map_err(|message| Wrong::Line(number, message))?;
        if let Some((_, (before, rate))) = rows.last() {
            if row.0 < *before {
                return Err(Wrong::Line(number, "its time is before that of the line above".to_owned()));
            }
            if rate.is_some() != row.1.is_some() {
                return Err(Wrong::Line(number, "some lines have a rate and some have not".to_owned()));
            }
        }
        rows.push((number, row));
    }
    let Some((_, (start, first_rate))) = rows.first().copied() else {
        return Err(Wrong::Empty("it has no lines to replay"));
    };
    let source = if first_rate.is_some() {
        Source::Segments(segments(&rows, start)?)
    } else {
        let times: Arc<[u64]> = rows.iter().map(|(_, (time, _))| time - start).collect();
        let end = times.last().map_or(0, |last| last + 1);
        Source::Times(times, end)
    };
    Ok(Shape { unit: Unit::Rate, source, arrivals: Arrivals::Even, iterations: None, iterations_each: None })
}

fn segments(rows: &[(usize, Row)], start: u64) -> Result<Vec<Segment>, Wrong> {
    let mut segments = Vec::new();
    for pair in rows.windows(2) {
        let [(number, (from, rate)), (_, (to, _))] = pair else { continue };
        let rate = thousandths(Volume::Rate(rate.unwrap_or(0.0)));
        let rate = rate.map_err(|error| Wrong::Line(*number, error.to_string()))?.map_or(0, |(_, rate)| rate);
        if to > from {
            segments.push(Segment { start: from - start, end: to - start, from: rate, to: rate });
        }
    }
    if segments.is_empty() {
        return Err(Wrong::Empty("it has rates, but no time passes between its lines"));
    }
    Ok(segments)
}

fn is_heading(line: &str) -> bool {
    !line.starts_with(['{', '-', '+', '.']) && !line.starts_with(|c: char| c.is_ascii_digit())
}

fn row(line: &str) -> Result<Row, String> {
    if line.starts_with('{') {
        let object: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let number = |key: &str| match object.get(key) {
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(_) => Err(format!("its {key:?} is no number")),
            None => Ok(None),
        };
        let time = number("time")?.ok_or("it has no \"time\"")?;
        let rate = number("rate")?.and_then(serde_json::Number::as_f64);
        return Ok((nanos(&time.to_string())?, rate));
    }
    let mut fields = line.split(',').map(str::trim);
    let time = nanos(fields.next().unwrap_or(""))?;
    let rate = match fields.next() {
        Some(rate) => Some(rate.parse().map_err(|_| format!("its rate, {rate:?}, is no number"))?),
        None => None,
    };
    match fields.next() {
        Some(_) => Err("it has more than a time and a rate".to_owned()),
        None => Ok((time, rate)),
    }
}

/// Decimal seconds as whole nanoseconds, without the loss of a float: Unix times in microseconds have more digits than that.
fn nanos(text: &str) -> Result<u64, String> {
    let no_number = || format!("its time, {text:?}, is no number of seconds");
    if text.starts_with('-') {
        return Err(format!("its time, {text:?}, is negative"));
    }
    if let Some((mantissa, exponent)) = text.split_once(['e', 'E']) {
        let exponent: i32 = exponent.parse().map_err(|_| no_number())?;
        let seconds: f64 = mantissa.parse().map_err(|_| no_number())?;
        let nanos = seconds * 10f64.powi(exponent) * 1e9;
        return if nanos.is_finite() && nanos < 1.8e19 { Ok(nanos as u64) } else { Err(no_number()) };
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(no_number());
    }
    let seconds: u64 = whole.parse().map_err(|_| no_number())?;
    let below: u64 = format!("{fraction:0<9}")[..9].parse().map_err(|_| no_number())?;
    seconds.checked_mul(1_000_000_000).and_then(|nanos| nanos.checked_add(below)).ok_or_else(no_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    const S: u64 = 1_000_000_000;

    #[test]
    fn single_arrivals_come_when_they_came() {
        for text in [
            "1700000000.25\n1700000000.250001\n\n1700000002\n",
            "time\n1700000000.25\n1700000000.250001\n1700000002",
            "{\"time\": 1700000000.25}\n{\"time\": 1700000000.250001, \"url\": \"/\"}\n{\"time\": 1700000002}",
        ] {
            let schedule = Schedule::new(parse(text).unwrap());
            assert_eq!(schedule.planned(), 3);
            let due: Vec<_> = (0..4).map(|k| schedule.due(k)).collect();
            assert_eq!(due, [Some(0), Some(1000), Some(1_750_000_000), None]);
            assert_eq!(schedule.before(1001), 2);
        }
    }

    #[test]
    fn rates_hold_until_the_next_line() {
        for text in [
            "time,rate\n10,2\n15,0.5\n25,0\n",
            "{\"time\":10,\"rate\":2}\n{\"time\":15,\"rate\":0.5}\n{\"time\":25,\"rate\":0}",
        ] {
            let schedule = Schedule::new(parse(text).unwrap());
            assert_eq!(schedule.planned(), 15);
            assert_eq!(schedule.due(9), Some(4_500_000_000));
            assert_eq!(schedule.due(10), Some(5 * S));
            assert_eq!(schedule.end(), 15 * S);
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_by_its_line() {
        let cases = [
            ("1\n3\n2\n", 3, "its time is before that of the line above"),
            ("1\n-2\n", 2, "its time, \"-2\", is negative"),
            ("1\nx\n", 2, "its time, \"x\", is no number of seconds"),
            ("1,2\n2,x\n", 2, "its rate, \"x\", is no number"),
            ("1,2\n2\n", 2, "some lines have a rate and some have not"),
            ("1,-2\n2,0\n", 1, "a rate of -2 is negative"),
            ("1,2,3\n", 1, "it has more than a time and a rate"),
            ("{\"rate\": 1}\n", 1, "it has no \"time\""),
            ("{\"time\": \"now\"}\n", 1, "its \"time\" is no number"),
        ];
        for (text, line, message) in cases {
            assert_eq!(parse(text), Err(Wrong::Line(line, message.to_owned())), "{text:?}");
        }
        assert!(matches!(parse("{\n"), Err(Wrong::Line(1, _))));
        assert_eq!(parse("time\n"), Err(Wrong::Empty("it has no lines to replay")));
        assert_eq!(parse("1,2\n1,3\n"), Err(Wrong::Empty("it has rates, but no time passes between its lines")));
        let error = replay("no/such/file.csv").unwrap_err();
        assert!(error.to_string().starts_with("failed to read no/such/file.csv: "), "{error}");
    }

    #[test]
    fn it_may_go_faster() {
        let faster = |text: &str| {
            let replay = Replay { shape: parse(text).unwrap(), speed: 1.0 };
            let Ok(IntoModel(Model::Resolved(shape))) = replay.speed(2.0).into_model() else { unreachable!() };
            Schedule::new(shape)
        };
        assert_eq!(faster("0\n1\n4\n").due(2), Some(2 * S));
        let rates = faster("0,5\n10,0\n");
        assert_eq!((rates.planned(), rates.end()), (50, 5 * S));
    }
}
