//! The protocol buffers of exposition, with native histograms: only they have these.
//!
//! It is apart from the text formats, since it is given only where native histograms were asked for.

use crate::family::{Distribution, Family, Kind, Series, Value};
use crate::protobuf::Message;

/// What it is in HTTP's terms.
pub(crate) const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Each power of two is parted into 2 to the power of this: buckets are 4.4 % wide.
const SCHEMA: u32 = 4;
/// What is under this, in seconds, is told as zero: nothing that is a microsecond long.
const ZERO: f64 = 5e-7;

/// `io.prometheus.client.MetricFamily`, one after another.
pub(crate) fn encode(families: &[Family]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for family in families {
        let mut message = Message::default();
        message.text(1, &*family.name);
        message.text(2, &*family.help);
        let kind = match family.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Untyped => 3,
            Kind::Histogram => 4,
        };
        message.uint(3, kind);
        for series in &family.series {
            message.message(4, |metric| write_series(metric, family, series));
        }
        message.delimited(&mut bytes);
    }
    bytes
}

fn write_series(metric: &mut Message, family: &Family, series: &Series) {
    for (name, value) in family.labels.iter().zip(&series.labels) {
        metric.message(1, |label| {
            label.text(1, &**name);
            label.text(2, value);
        });
    }
    let field = match family.kind {
        Kind::Gauge => 2,
        Kind::Counter => 3,
        Kind::Untyped => 5,
        Kind::Histogram => 7,
    };
    metric.message(field, |value| match &series.value {
        Value::Count(count) => value.double(1, *count as f64),
        Value::Number(number) => value.double(1, *number),
        Value::Histogram(of) => write_histogram(value, of),
    });
}

/// Both kinds of buckets: which of them are kept is up to whoever scrapes.
fn write_histogram(histogram: &mut Message, of: &Distribution) {
    histogram.uint(1, of.count);
    histogram.double(2, of.sum);
    for (bound, count) in &of.classic {
        histogram.message(3, |bucket| {
            bucket.uint(1, *count);
            bucket.double(2, *bound);
        });
    }
    // What is told by classic buckets alone.
    if of.values.is_empty() && of.count > 0 {
        return;
    }
    let Buckets { zero, spans, deltas } = buckets(&of.values);
    histogram.sint(5, i64::from(SCHEMA));
    histogram.double(6, ZERO);
    histogram.uint(7, zero);
    // Without a span there would be no telling that a histogram without values is a native one.
    let spans = if spans.is_empty() { vec![(0, 0)] } else { spans };
    for (offset, length) in spans {
        histogram.message(12, |span| {
            span.sint(1, i64::from(offset));
            span.uint(2, u64::from(length));
        });
    }
    histogram.packed_sints(13, deltas);
}

/// The buckets of a native histogram: how many values are zero, which buckets there are (how many are left out before those that
/// follow one another, and how many these are), and how much each has more than the one before.
#[derive(Debug, PartialEq)]
struct Buckets {
    zero: u64,
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
}

/// `values` are in rising order.
fn buckets(values: &[(f64, u64)]) -> Buckets {
    let mut zero = 0;
    let mut counts: Vec<(i32, u64)> = Vec::new();
    for (value, count) in values {
        match counts.last_mut() {
            _ if *value <= ZERO => zero += count,
            Some((bucket, counted)) if *bucket == bucket_of(*value) => *counted += count,
            _ => counts.push((bucket_of(*value), *count)),
        }
    }
    let (mut spans, mut deltas) = (Vec::<(i32, u32)>::new(), Vec::new());
    let (mut next, mut last) = (0, 0);
    for (bucket, count) in counts {
        match spans.last_mut() {
            Some((_, length)) if bucket == next => *length += 1,
            _ => spans.push((bucket - next, 1)),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        deltas.push(count - last);
        (next, last) = (bucket + 1, count);
    }
    Buckets { zero, spans, deltas }
}

/// The bucket whose upper bound, 2 to the power of its number divided by 16, is the first that is not under the value.
fn bucket_of(value: f64) -> i32 {
    (value.log2() * f64::from(1 << SCHEMA)).ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_a_bound_is_within_it() {
        let rows = [(1.0, 0), (1.000_001, 1), (2.0, 16), (0.5, -16), (0.499, -16), (1.0f64 + 0.044, 1), (1.05, 2)];
        for (value, bucket) in rows {
            assert_eq!(bucket_of(value), bucket, "{value}");
        }
    }

    #[test]
    fn buckets_that_are_empty_are_left_out() {
        let of = |values: &[(f64, u64)]| buckets(values);
        assert_eq!(of(&[]), Buckets { zero: 0, spans: vec![], deltas: vec![] });
        assert_eq!(
            of(&[(0.0, 7), (0.5, 3), (1.0, 1), (1.001, 2), (1.002, 4), (2.0, 9)]),
            Buckets { zero: 7, spans: vec![(-16, 1), (15, 2), (14, 1)], deltas: vec![3, -2, 5, 3] }
        );
    }
}
