//! Metrics of a user's own as families.
//!
//! They are apart from those that each run has, whose names and labels are mite's.

use mite_core::{MetricKind, MetricReport, MetricSeries, MetricValue};

use crate::family::{Distribution, Family, Kind, Series, Value, cut};

/// What is said of a metric that says nothing of itself.
const NO_HELP: &str = "A metric of the scenario's own.";

/// A metric as it is exposed; `None` where it has not occurred.
pub(crate) fn family(metric: &MetricReport) -> Option<Family> {
    let kind = match metric.kind {
        MetricKind::Counter | MetricKind::Accumulator => Kind::Counter,
        MetricKind::Gauge if is_like_a_part(&metric.name) => Kind::Untyped,
        MetricKind::Gauge => Kind::Gauge,
        MetricKind::Histogram => Kind::Histogram,
        // Prometheus has no others.
        _ => return None,
    };
    let mut cuts = 0;
    let mut told = |label: &String| {
        let told = cut(label);
        cuts += u64::from(told.len() != label.len());
        told.into_owned()
    };
    let of = |MetricSeries { labels, value: amount, .. }: &MetricSeries| {
        Some(Series { labels: labels.iter().map(&mut told).collect(), value: value(amount)? })
    };
    let series: Vec<Series> = metric.series.iter().filter_map(of).collect();
    let help = if metric.help.is_empty() { NO_HELP } else { &metric.help };
    (!series.is_empty()).then(|| Family {
        name: metric.name.clone().into(),
        help: help.to_owned().into(),
        kind,
        labels: metric.labels.iter().map(|label| label.clone().into()).collect(),
        series,
        cut: cuts,
    })
}

/// Whether a scraper would take a metric of this name for a part of a histogram.
fn is_like_a_part(name: &str) -> bool {
    ["_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end))
}

fn value(amount: &MetricValue) -> Option<Value> {
    match amount {
        MetricValue::Number(number) => Some(Value::Number(*number)),
        MetricValue::Distribution(of) => Some(Value::Histogram(Distribution {
            classic: of.buckets().collect(),
            // They may be of any size and below zero: classic buckets alone are told.
            values: Vec::new(),
            sum: of.sum(),
            count: of.count(),
        })),
        _ => None,
    }
}
