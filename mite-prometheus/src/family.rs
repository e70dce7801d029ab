//! A metric with all of its series, in the form that each of the formats is written from.
//!
//! It is apart from what the families of a run are, so that metrics of a user's own are written by the same code.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mite_core::Histogram;

use crate::buckets::Buckets;

/// Labels are cut at so many bytes: a page of an error's text is no name of a series, and Prometheus may refuse the whole scrape.
pub(crate) const LONGEST_LABEL: usize = 1024;
/// What a label that was cut ends in.
const CUT: char = '…';

/// What the values of a family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
    /// A gauge whose name ends as those of histograms' parts do, as some of Python's mite do.
    Untyped,
}

/// A metric by its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: Cow<'static, str>,
    pub(crate) help: Cow<'static, str>,
    pub(crate) kind: Kind,
    /// The names of its labels.
    pub(crate) labels: Vec<Cow<'static, str>>,
    pub(crate) series: Vec<Series>,
    /// How many values of labels were cut.
    pub(crate) cut: u64,
}

/// One series of a family.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// The labels' values, in the order of their names.
    pub(crate) labels: Vec<String>,
    pub(crate) value: Value,
}

/// The value of a series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Count(u64),
    Number(f64),
    Histogram(Distribution),
}

/// The value of a histogram's series.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Distribution {
    /// The bounds of its buckets, and how many values were not over each; without that of all.
    pub(crate) classic: Vec<(f64, u64)>,
    /// Values by size, where they are to be told so: in rising order, with their counts.
    pub(crate) values: Vec<(f64, u64)>,
    pub(crate) sum: f64,
    pub(crate) count: u64,
}

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(u64),
    Float(f64),
}

/// One line of the text formats.
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    /// What follows the family's name.
    pub(crate) suffix: &'static str,
    pub(crate) labels: &'a [String],
    /// The bound of a bucket, as text.
    pub(crate) le: Option<String>,
    pub(crate) value: Number,
}

impl Number {
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            // Counts over 2^53 are of centuries.
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }
}

/// As the text formats have it.
impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(whole) => write!(f, "{whole}"),
            Self::Float(float) if float.is_nan() => f.write_str("NaN"),
            Self::Float(float) if float.is_infinite() => f.write_str(if *float > 0.0 { "+Inf" } else { "-Inf" }),
            Self::Float(float) => write!(f, "{float}"),
        }
    }
}

impl Distribution {
    /// Durations, in seconds; each by its size only where `by_value` says so.
    pub(crate) fn of(histogram: &Histogram, buckets: &Buckets, by_value: bool) -> Self {
        let counts = histogram.at_most(buckets.durations());
        let values = histogram.durations().map(|(duration, count)| (seconds(duration), count));
        Self {
            classic: buckets.bounds().iter().copied().zip(counts).collect(),
            values: if by_value { values.collect() } else { Vec::new() },
            sum: seconds(histogram.sum()),
            count: histogram.count(),
        }
    }
}

/// Whole microseconds as seconds: the nearest number, so that it is written with six digits at the most.
fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}

impl Family {
    /// The samples of all series, those of each together.
    pub(crate) fn samples<'a>(&'a self, mut tell: impl FnMut(Sample<'a>)) {
        for Series { labels, value } in &self.series {
            let mut sample = |suffix, le, value| tell(Sample { suffix, labels, le, value });
            match value {
                Value::Count(count) => sample("", None, Number::Whole(*count)),
                Value::Number(number) => sample("", None, Number::Float(*number)),
                Value::Histogram(of) => {
                    for (bound, count) in &of.classic {
                        sample("_bucket", Some(Number::Float(*bound).to_string()), Number::Whole(*count));
                    }
                    sample("_bucket", Some("+Inf".to_owned()), Number::Whole(of.count));
                    sample("_sum", None, Number::Float(of.sum));
                    sample("_count", None, Number::Whole(of.count));
                }
            }
        }
    }
}

/// Adds up what has the same labels, some of which may be the same only once they are cut.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: BTreeMap<Vec<String>, T>,
    cut: u64,
}

impl<T: Default> Table<T> {
    pub(crate) fn new() -> Self {
        Self { rows: BTreeMap::new(), cut: 0 }
    }

    /// What is told for these values of the labels.
    pub(crate) fn at<const N: usize>(&mut self, labels: [&str; N]) -> &mut T {
        let labels = labels.map(|label| {
            let told = cut(label);
            self.cut += u64::from(told.len() != label.len());
            told.into_owned()
        });
        self.rows.entry(labels.to_vec()).or_default()
    }

    pub(crate) fn family(
        self,
        (name, help): (&'static str, &'static str),
        kind: Kind,
        labels: &[&'static str],
        value: impl Fn(T) -> Value,
    ) -> Family {
        let series = self.rows.into_iter().map(|(labels, row)| Series { labels, value: value(row) });
        Family {
            name: name.into(),
            help: help.into(),
            kind,
            labels: labels.iter().map(|label| (*label).into()).collect(),
            series: series.collect(),
            cut: self.cut,
        }
    }
}

/// Tells in the log, once, that labels were cut: not all formats can say it.
#[derive(Debug, Default)]
pub(crate) struct CutTold(AtomicBool);

impl CutTold {
    pub(crate) fn look_at(&self, families: &[Family]) {
        let Some(family) = families.iter().find(|family| family.cut > 0) else { return };
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "label values of {} have over {LONGEST_LABEL} bytes: they are cut, end in {CUT}, and are told as one where they \
                 differ after it",
                family.name
            );
        }
    }
}

/// A label's value, as long as it may be.
pub(crate) fn cut(label: &str) -> Cow<'_, str> {
    if label.len() <= LONGEST_LABEL {
        return label.into();
    }
    let end = label.floor_char_boundary(LONGEST_LABEL - CUT.len_utf8());
    let mut told = label[..end].to_owned();
    told.push(CUT);
    told.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let rows = [
            // As long as it may be.
            ("x".repeat(1024), "x".repeat(1024)),
            ("x".repeat(1025), "x".repeat(1021) + "…"),
            // The cut would be within the last one.
            ("x".to_owned() + &"é".repeat(600), "x".to_owned() + &"é".repeat(510) + "…"),
            ("\u{1f600}".repeat(2560), "\u{1f600}".repeat(255) + "…"),
        ];
        for (long, told) in rows {
            assert_eq!(cut(&long), told);
            assert!(told.len() <= LONGEST_LABEL);
        }
    }

    #[test]
    fn what_is_the_same_once_cut_is_added_up() {
        let mut table = Table::<u64>::new();
        for last in ["a", "b", "b"] {
            *table.at([&*("x".repeat(1024) + last), "short"]) += 1;
        }
        let family = table.family(("a_total", "A"), Kind::Counter, &["long", "short"], Value::Count);
        assert_eq!((family.series.len(), family.cut), (1, 3));
        assert_eq!(family.series[0].value, Value::Count(3));
    }

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let written = [0.0, 1.0, 0.0001, 123.456_789, 1e21, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let written = written.map(|float| Number::Float(float).to_string());
        assert_eq!(written, ["0", "1", "0.0001", "123.456789", "1000000000000000000000", "+Inf", "-Inf", "NaN"]);
        assert_eq!(Number::Whole(u64::MAX).to_string(), "18446744073709551615");
        assert_eq!(seconds(Duration::from_micros(16_777_216_000_001)).to_string(), "16777216.000001");
    }
}
