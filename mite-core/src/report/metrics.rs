//! What a run's own metrics are told as: one row for each of them, with a series for each set of label values.
//!
//! They are apart from the other rows, since a sink's snapshot has them too, while the run goes on.

use serde::{Deserialize, Serialize, Serializer};

use crate::nearest::{did_you_mean, list};
use crate::stats::{Amount, Distribution, MetricKind, Table, Tables, added};

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

impl MetricReport {
    /// A series as text shows it: `cart_items{shop="berlin"}`.
    pub(crate) fn label_of(&self, series: &MetricSeries) -> String {
        let labels: Vec<String> =
            self.labels.iter().zip(&series.labels).map(|(name, value)| format!("{name}={value:?}")).collect();
        if labels.is_empty() { self.name.clone() } else { format!("{}{{{}}}", self.name, labels.join(", ")) }
    }

    /// What all of it is, or what has these labels.
    ///
    /// # Errors
    /// It has no such label: a sentence's second half, with those that it has.
    pub(crate) fn select(&self, labels: &[(String, String)]) -> Result<MetricRows<'_>, String> {
        let all = MetricRows { metric: self, series: self.series.iter().collect() };
        labels.iter().try_fold(all, |rows, (name, value)| rows.with(name, value))
    }
}

/// Some of a metric's series, or all of them, as [`Report::metric`](crate::Report::metric) finds them.
///
/// ```
/// # use mite_core::volume::at_once;
/// # use mite_core::{Context, NoData, Result, Run, Scenario};
/// async fn fill_cart(ctx: &mut Context) -> Result {
///     let shop = if ctx.start_index() == 0 { "rome" } else { "berlin" };
///     ctx.counter("cart_items").label("shop", shop).add(3);
///     Ok(())
/// }
///
/// let report = Run::new(Scenario::new().journey(fill_cart, NoData, at_once(5))).run_blocking()?;
/// let items = report.metric("cart_items");
/// assert_eq!(items.number(), Some(15.0));
/// assert_eq!(items.label("shop", "rome").number(), Some(3.0));
/// assert_eq!(items.series().len(), 2);
/// # Ok::<(), mite_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MetricRows<'a> {
    metric: &'a MetricReport,
    series: Vec<&'a MetricSeries>,
}

impl<'a> MetricRows<'a> {
    /// The metric.
    pub fn metric(&self) -> &'a MetricReport {
        self.metric
    }

    /// The series, one for each set of label values.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn buy(ctx: &mut Context) -> Result {
    /// #     let shop = if ctx.start_index() % 2 == 0 { "berlin" } else { "paris" };
    /// #     ctx.counter("items").label("shop", shop).add(3);
    /// #     ctx.histogram("value").record(12.5);
    /// #     Ok(())
    /// # }
    /// # let report = Run::new(Scenario::new().journey(buy, NoData, at_once(10))).run_blocking()?;
    /// assert_eq!(report.metric("items").series().len(), 2);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn series(&self) -> &[&'a MetricSeries] {
        &self.series
    }

    /// Those of which a label has this value: none where there are none.
    ///
    /// # Panics
    /// When the metric has no such label: the message names those that it has.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn buy(ctx: &mut Context) -> Result {
    /// #     let shop = if ctx.start_index() % 2 == 0 { "berlin" } else { "paris" };
    /// #     ctx.counter("items").label("shop", shop).add(3);
    /// #     ctx.histogram("value").record(12.5);
    /// #     Ok(())
    /// # }
    /// # let report = Run::new(Scenario::new().journey(buy, NoData, at_once(10))).run_blocking()?;
    /// assert_eq!(report.metric("items").label("shop", "berlin").number(), Some(15.0));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn label(&self, name: &str, value: &str) -> Self {
        self.clone().with(name, value).unwrap_or_else(|unknown| panic!("{unknown}"))
    }

    fn with(mut self, name: &str, value: &str) -> Result<Self, String> {
        let MetricReport { name: metric, labels, .. } = self.metric;
        let Some(at) = labels.iter().position(|label| label == name) else {
            let there = if labels.is_empty() { "none".to_owned() } else { list(labels) };
            return Err(format!(
                "the metric {metric:?} has no label {name:?}{}: it has {there}",
                did_you_mean(name, labels)
            ));
        };
        self.series.retain(|series| series.labels.get(at).is_some_and(|of| of == value));
        Ok(self)
    }

    /// Of a counter or an accumulator what all of them are together, and of a gauge what its only series is. `None` where there
    /// are none, for a gauge with several, and for a histogram.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn buy(ctx: &mut Context) -> Result {
    /// #     let shop = if ctx.start_index() % 2 == 0 { "berlin" } else { "paris" };
    /// #     ctx.counter("items").label("shop", shop).add(3);
    /// #     ctx.histogram("value").record(12.5);
    /// #     Ok(())
    /// # }
    /// # let report = Run::new(Scenario::new().journey(buy, NoData, at_once(10))).run_blocking()?;
    /// assert_eq!(report.metric("items").number(), Some(30.0));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn number(&self) -> Option<f64> {
        let mut numbers = self.series.iter().map(|series| match series.value {
            MetricValue::Number(number) => Some(number),
            MetricValue::Distribution(_) => None,
        });
        let first = numbers.next()??;
        numbers.try_fold(first, |sum, number| (self.metric.kind != MetricKind::Gauge).then_some(added(sum, number?)))
    }

    /// Of a histogram all values together; `None` where there are none, and for other metrics.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn buy(ctx: &mut Context) -> Result {
    /// #     let shop = if ctx.start_index() % 2 == 0 { "berlin" } else { "paris" };
    /// #     ctx.counter("items").label("shop", shop).add(3);
    /// #     ctx.histogram("value").record(12.5);
    /// #     Ok(())
    /// # }
    /// # let report = Run::new(Scenario::new().journey(buy, NoData, at_once(10))).run_blocking()?;
    /// assert_eq!(report.metric("value").distribution().map(|values| values.count()), Some(10));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn distribution(&self) -> Option<Distribution> {
        let mut spreads = self.series.iter().map(|series| match &series.value {
            MetricValue::Number(_) => None,
            MetricValue::Distribution(spread) => Some(spread),
        });
        let first = spreads.next()??.clone();
        spreads.try_fold(first, |mut all, spread| {
            all.merge(spread?, usize::MAX);
            Some(all)
        })
    }
}

/// The rows of tables of metrics.
pub(crate) fn metrics(tables: &Tables) -> Vec<MetricReport> {
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
