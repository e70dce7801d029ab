//! Metrics that are worked out of messages: what they are called, which messages they are of, and what is taken from these.
//!
//! They are apart from the sets that they are put into, and from the tables that hold what became of them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::kind::{Adding, Counting, Kind, MetricKind, OfValues, Setting, Spreading};
use super::name::{label_mistake, metric_mistake};
use super::shape::Shape;
use super::{Matcher, StatsError};
use crate::message::Message;

/// Counts messages: for Prometheus a counter.
pub type Counter = Metric<Counting>;

/// Adds up a value of each message: for Prometheus a counter.
pub type Accumulator = Metric<Adding>;

/// Keeps the last value. Of several workers' it is the latest by the time of its message, and of two at the same time the
/// greater.
pub type Gauge = Metric<Setting>;

/// Tells how values are spread: how many are in each bucket, their sum, and their percentiles.
pub type Histogram = Metric<Spreading>;

/// What is wanted of each message: sets of label values with a value each.
type EachFn = dyn Fn(&Message<'_>) -> Vec<(Vec<String>, f64)> + Send + Sync;

/// A metric that is worked out of messages: a [`Counter`], an [`Accumulator`], a [`Gauge`] or a [`Histogram`].
///
/// ```
/// use mite_core::stats::{Accumulator, Counter, Gauge, Histogram, Stats, matcher_by_type};
///
/// let orders = || matcher_by_type(["order"]);
/// let stats = Stats::new("shop")
///     .with(Counter::new("shop_orders_total", orders()).labels(["journey", "country"]))
///     .with(Accumulator::new("shop_revenue_total", orders()).labels(["country"]).value("total"))
///     .with(Gauge::new("shop_stock", orders()).value("stock").help("How many are left."))
///     .with(Histogram::new("shop_basket_value", orders()).value("total").buckets([10.0, 50.0, 100.0]));
/// ```
#[must_use = "a metric does nothing until it is put into a set, by `Stats::with`"]
pub struct Metric<K> {
    pub(super) spec: Spec,
    /// The first one.
    pub(super) mistake: Option<StatsError>,
    kind: PhantomData<fn() -> K>,
}

/// A metric of any kind, checked but for its value.
pub(crate) struct Spec {
    pub(crate) shape: Shape,
    pub(crate) matcher: Matcher,
    pub(crate) take: Take,
}

/// What is taken from a message that matches.
pub(crate) enum Take {
    /// So much as a counter does: that it was there.
    One,
    /// The value of a field.
    Field(String),
    /// What a function gives.
    Each(Box<EachFn>),
    /// Nobody has said.
    Nothing,
}

impl<K: Kind> Metric<K> {
    /// A metric of the messages that match, without labels. Names are as Prometheus wants them: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    pub fn new(name: impl Into<String>, matcher: Matcher) -> Self {
        let name = name.into();
        let mut mistake = metric_mistake(&name).map(|why| StatsError::MetricName { name: name.clone(), why });
        if matcher.matches_nothing() {
            mistake.get_or_insert(StatsError::NoTypes { metric: name.clone() });
        }
        let take = if K::KIND == MetricKind::Counter { Take::One } else { Take::Nothing };
        let spec = Spec { shape: Shape::new(name.into(), K::KIND), matcher, take };
        Self { spec, mistake, kind: PhantomData }
    }

    /// The fields of the message that are its labels, in their order: its own, and `type`, `test`, `journey`, `transaction`,
    /// `scenario_id` and the others of [`RESERVED`](crate::RESERVED). Names are `[a-zA-Z_][a-zA-Z0-9_]*`, and neither `le` nor
    /// begin with `__`.
    ///
    /// A field that a message does not have is told as an empty text, and what is no text as Python's `str` tells it: `True`,
    /// `200`, `None`. A value of over 256 bytes is cut, and the report has a warning.
    ///
    /// ```
    /// use mite_core::stats::{Counter, Gauge, Histogram, matcher_by_type};
    ///
    /// let orders = Counter::new("shop_orders_total", matcher_by_type(["order"])).labels(["journey", "country"]);
    /// ```
    pub fn labels<L: Into<String>>(mut self, names: impl IntoIterator<Item = L>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        for (index, label) in names.iter().enumerate() {
            let twice = names[..index].contains(label).then_some("there is one of that name");
            if let Some(why) = label_mistake(label).or(twice) {
                let metric = self.spec.shape.name.to_string();
                self.mistake.get_or_insert(StatsError::LabelName { metric, label: label.clone(), why });
            }
        }
        self.spec.shape.labels = Some(names);
        self
    }

    /// What the metric is, in a sentence: Prometheus' `HELP`.
    ///
    /// ```
    /// use mite_core::stats::{Counter, Gauge, Histogram, matcher_by_type};
    ///
    /// let orders = Counter::new("shop_orders_total", matcher_by_type(["order"])).help("Orders that were sent.");
    /// ```
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.spec.shape.help = text.into();
        self
    }

    fn take(mut self, take: Take) -> Self {
        if !matches!(self.spec.take, Take::One | Take::Nothing) {
            let metric = self.spec.shape.name.to_string();
            self.mistake.get_or_insert(StatsError::TwoValues { metric });
        }
        self.spec.take = take;
        self
    }

    /// The metric, whatever its kind.
    pub(super) fn checked(mut self) -> Result<Spec, StatsError> {
        if matches!(self.spec.take, Take::Nothing) {
            let metric = self.spec.shape.name.to_string();
            self.mistake.get_or_insert(StatsError::NoValue { metric });
        }
        // What is declared has the labels that were said, and no others.
        self.spec.shape.labels.get_or_insert_default();
        self.mistake.map_or(Ok(self.spec), Err)
    }
}

impl Metric<Counting> {
    /// Counts several things for one message: `count` gives a set of label values for each, in the order of
    /// [`labels`](Metric::labels).
    ///
    /// ```
    /// use mite_core::Message;
    /// use mite_core::stats::{Counter, matcher_by_type};
    ///
    /// let parity = |message: &Message<'_>| {
    ///     let items = message.number("items").unwrap_or(0.0) as u64;
    ///     (0..items).map(|item| [if item % 2 == 0 { "even" } else { "odd" }]).collect::<Vec<_>>()
    /// };
    /// let counter = Counter::new("cart_items_total", matcher_by_type(["cart"])).labels(["parity"]).each(parity);
    /// ```
    pub fn each<S, V>(self, count: impl Fn(&Message<'_>) -> S + Send + Sync + 'static) -> Self
    where
        S: IntoIterator<Item = V>,
        V: IntoIterator<Item: Into<String>>,
    {
        let all = move |message: &Message<'_>| count(message).into_iter().map(|labels| (texts(labels), 1.0)).collect();
        self.take(Take::Each(Box::new(all)))
    }
}

impl<K: OfValues> Metric<K> {
    /// The field of the message that is its value: a number. What is none is left out, and the report has a warning.
    ///
    /// ```
    /// use mite_core::stats::{Counter, Gauge, Histogram, matcher_by_type};
    ///
    /// let stock = Gauge::new("shop_stock", matcher_by_type(["order"])).value("stock");
    /// ```
    pub fn value(self, field: impl Into<String>) -> Self {
        self.take(Take::Field(field.into()))
    }

    /// Takes several values of one message: `values` gives each with a set of label values, in the order of
    /// [`labels`](Metric::labels).
    ///
    /// ```
    /// use mite_core::Message;
    /// use mite_core::stats::{Gauge, matcher_by_type};
    ///
    /// let queues = |message: &Message<'_>| {
    ///     ["in", "out"].into_iter().filter_map(|name| Some(([name], message.number(name)?))).collect::<Vec<_>>()
    /// };
    /// let gauge = Gauge::new("queue_depth", matcher_by_type(["queues"])).labels(["queue"]).each(queues);
    /// ```
    pub fn each<S, V>(self, values: impl Fn(&Message<'_>) -> S + Send + Sync + 'static) -> Self
    where
        S: IntoIterator<Item = (V, f64)>,
        V: IntoIterator<Item: Into<String>>,
    {
        let all = move |message: &Message<'_>| {
            values(message).into_iter().map(|(labels, value)| (texts(labels), value)).collect()
        };
        self.take(Take::Each(Box::new(all)))
    }
}

impl Metric<Spreading> {
    /// The upper bounds of the buckets: finite and rising. Unless told otherwise they are from 0.0001 to 64, those of
    /// `mite_http_response_time_seconds`.
    ///
    /// ```
    /// use mite_core::stats::{Counter, Gauge, Histogram, matcher_by_type};
    ///
    /// let values = Histogram::new("shop_basket_value", matcher_by_type(["order"])).value("total").buckets([10.0, 50.0, 100.0]);
    /// ```
    pub fn buckets(mut self, bounds: impl IntoIterator<Item = f64>) -> Self {
        let bounds: Arc<[f64]> = bounds.into_iter().collect();
        let rise = bounds.windows(2).all(|two| two[0] < two[1]);
        if bounds.is_empty() || !rise || bounds.iter().any(|bound| !bound.is_finite()) {
            let metric = self.spec.shape.name.to_string();
            self.mistake.get_or_insert(StatsError::Buckets { metric });
        }
        self.spec.shape.bounds = bounds;
        self
    }
}

fn texts<V: IntoIterator<Item: Into<String>>>(labels: V) -> Vec<String> {
    labels.into_iter().map(Into::into).collect()
}

impl<K> fmt::Debug for Metric<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metric").field("shape", &self.shape).field("matcher", &self.matcher).finish_non_exhaustive()
    }
}
