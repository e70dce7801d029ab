//! Metrics that a journey counts by itself, without a message.
//!
//! They are apart from the declared ones, whose names and labels are known before the run.

use std::fmt;
use std::marker::PhantomData;

use super::kind::{Counting, Kind, Setting, Spreading};
use super::meter::Meter;
use super::table::Sample;

/// Counts under one name, as [`Context::counter`](crate::Context::counter) gives it. It costs no message, and is not waited for.
///
/// Names and labels are those of [Prometheus](super::Metric::new). They can only be looked at when something is counted: what
/// has a name that cannot be, or that another kind of metric has, is left out, and the report has a warning that names it. So has
/// a number that is none.
#[must_use = "nothing is counted until it is told what, as in `.add(1)`"]
pub struct Handle<'a, K> {
    /// `None` where nothing is counted, as in the warm-up.
    meter: Option<&'a Meter>,
    name: &'a str,
    /// Unix seconds.
    time: f64,
    labels: Vec<(&'a str, &'a str)>,
    kind: PhantomData<fn() -> K>,
}

impl<'a, K: Kind> Handle<'a, K> {
    pub(crate) fn new(meter: Option<&'a Meter>, name: &'a str, time: f64) -> Self {
        Self { meter, name, time, labels: Vec::new(), kind: PhantomData }
    }

    /// Counts with this label too; without any it has none. What is counted with other labels is told apart, and a label that
    /// is absent is empty.
    ///
    /// ```
    /// # use mite_core::Context;
    /// # fn count(ctx: &Context) {
    /// ctx.counter("cart_items").label("shop", "berlin").label("kind", "tea").add(3);
    /// # }
    /// ```
    pub fn label(mut self, name: &'a str, value: &'a str) -> Self {
        self.labels.push((name, value));
        self
    }

    fn count(mut self, value: f64) {
        let Some(meter) = self.meter else { return };
        self.labels.sort_unstable();
        meter.direct(K::KIND, self.name, &self.labels, Sample { value, time: self.time });
    }
}

impl Handle<'_, Counting> {
    /// Counts so many more.
    ///
    /// ```
    /// # use mite_core::Context;
    /// # fn count(ctx: &Context) {
    /// ctx.counter("cart_items").add(3);
    /// # }
    /// ```
    pub fn add(self, more: u64) {
        self.count(more as f64);
    }
}

impl Handle<'_, Setting> {
    /// Sets the value. Of several workers' it is the latest that counts, and of two at the same time the greater.
    ///
    /// ```
    /// # use mite_core::Context;
    /// # fn count(ctx: &Context) {
    /// ctx.gauge("queue_depth").set(4.0);
    /// # }
    /// ```
    pub fn set(self, value: f64) {
        self.count(value);
    }
}

impl Handle<'_, Spreading> {
    /// Counts a value.
    ///
    /// ```
    /// # use mite_core::Context;
    /// # fn count(ctx: &Context) {
    /// ctx.histogram("basket_value").record(12.5);
    /// # }
    /// ```
    pub fn record(self, value: f64) {
        self.count(value);
    }
}

impl<K: Kind> fmt::Debug for Handle<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("kind", &K::KIND)
            .field("name", &self.name)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}
