//! What a run's own metrics are told as: one row for each of them, with a series for each set of label values.
//!
//! They are apart from the other rows, since a sink's snapshot has them too, while the run goes on.

use serde::{Deserialize, Serialize, Serializer};

use crate::stats::{Amount, Distribution, MetricKind, Table, Tables};

/// A metric of one's own: see [`stats`](crate::stats).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MetricReport {
    /// Its name: `cart_items`.
    pub name: String,
    /// How its values became one.
    pub kind: MetricKind,
    /// What it was said to be; empty where nothing was said.
    pub help: String,
    /// The names of its labels, in their order.
    pub labels: Vec<String>,
    /// One for each set of label values, in the order of these; none where it never occurred.
    pub series: Vec<MetricSeries>,
}

/// What a metric is for one set of label values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MetricSeries {
    /// The labels' values, in the order of their names; what was absent is empty.
    pub labels: Vec<String>,
    /// What its values have become.
    #[serde(flatten)]
    pub value: MetricValue,
}

/// What values have become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MetricValue {
    /// Of a counter, an accumulator or a gauge.
    #[serde(rename = "value", serialize_with = "number")]
    Number(f64),
    /// Of a histogram.
    #[serde(rename = "histogram")]
    Distribution(Distribution),
}

/// Whole numbers without a point, as far as each of them can be told.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn number<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= MOST {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}

/// The rows of tables of metrics.
pub(super) fn metrics(tables: &Tables) -> Vec<MetricReport> {
    let told = |table: &Table| MetricReport {
        name: table.shape.name.to_string(),
        kind: table.shape.kind,
        help: table.shape.help.clone(),
        labels: table.labels(),
        series: table
            .series()
            .into_iter()
            .map(|(labels, amount)| MetricSeries { labels, value: told(amount) })
            .collect(),
    };
    tables.tables().map(told).collect()
}

fn told(amount: &Amount) -> MetricValue {
    match amount {
        Amount::Sum(value) | Amount::Last { value, .. } => MetricValue::Number(*value),
        Amount::Spread(spread) => MetricValue::Distribution((**spread).clone()),
    }
}
