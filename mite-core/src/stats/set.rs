//! Sets of metrics, and which of them a run has.
//!
//! They are apart from the metrics, since it is over all sets of a run that names must differ.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::kind::{Kind, MetricKind};
use super::metric::{Metric, Spec};
use super::name::taken;
use super::shape::Shape;
use crate::nearest::{did_you_mean, list};

/// A set of metrics, with a name by which it can be included and excluded.
///
/// It keeps its first mistake, and a run with it is refused before anything starts.
#[must_use = "a set does nothing until a scenario or a run has it, by `.stats(…)`"]
pub struct Stats {
    name: String,
    metrics: Vec<Spec>,
    mistake: Option<StatsError>,
}

impl Stats {
    /// A set without metrics.
    ///
    /// ```
    /// use mite_core::stats::{Counter, Stats, matcher_by_type};
    ///
    /// let shop = Stats::new("shop").with(Counter::new("shop_orders_total", matcher_by_type(["order"])));
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), metrics: Vec::new(), mistake: None }
    }

    /// Adds a metric. No two metrics of a run have the same name.
    pub fn with<K: Kind>(mut self, metric: Metric<K>) -> Self {
        match metric.checked() {
            Ok(spec) => self.metrics.push(spec),
            Err(mistake) => {
                self.mistake.get_or_insert(mistake);
            }
        }
        self
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stats").field("name", &self.name).field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

/// What makes no sense about the metrics of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// A metric cannot have this name.
    #[error("a metric cannot be named {name:?}: {why}")]
    MetricName {
        /// The name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A label cannot have this name.
    #[error("the metric {metric:?} cannot have a label named {label:?}: {why}")]
    LabelName {
        /// The metric's name.
        metric: String,
        /// The label's.
        label: String,
        /// Why not.
        why: &'static str,
    },
    /// Two metrics have the same name.
    #[error("two metrics are named {name:?}, in the sets {one:?} and {other:?}: one of them needs another name")]
    TwoMetrics {
        /// The name.
        name: String,
        /// The set that has it first.
        one: String,
        /// The set that has it again.
        other: String,
    },
    /// Two sets have the same name.
    #[error("two sets of metrics are named {name:?}: one of them needs another name")]
    TwoSets {
        /// The name.
        name: String,
    },
    /// The metric is of no messages.
    #[error("the metric {metric:?} is of no messages: name their types, as in `matcher_by_type([\"txn\"])`")]
    NoTypes {
        /// The metric's name.
        metric: String,
    },
    /// Nobody has said what the metric's value is.
    #[error("the metric {metric:?} has no value: say which field it is by `.value(\"…\")`, or give it by `.each(…)`")]
    NoValue {
        /// The metric's name.
        metric: String,
    },
    /// The metric's value was said twice.
    #[error("the metric {metric:?} has two values: leave out one of `.value(…)` and `.each(…)`")]
    TwoValues {
        /// The metric's name.
        metric: String,
    },
    /// The bounds of a histogram's buckets make no sense.
    #[error(
        "the buckets of the metric {metric:?} need bounds that are finite and rise, as in `.buckets([1.0, 5.0, 10.0])`"
    )]
    Buckets {
        /// The metric's name.
        metric: String,
    },
    /// There is no set of this name to be included or excluded.
    #[error("there is no set of metrics named {name:?}{meant}: there {there}")]
    NoSet {
        /// The name.
        name: String,
        /// The name that was probably meant, in words.
        meant: String,
        /// The sets that there are, in words.
        there: String,
    },
}

/// Which sets of metrics a run is to have.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// All of them unless some are named.
    pub(crate) included: Option<Vec<String>>,
    pub(crate) excluded: Vec<String>,
}

impl Chosen {
    fn has(&self, set: &str) -> bool {
        let is_in = |names: &[String]| names.iter().any(|name| name == set);
        self.included.as_deref().is_none_or(is_in) && !is_in(&self.excluded)
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.included.iter().flatten().chain(&self.excluded)
    }
}

/// The metrics that a run works out of messages.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    specs: Vec<Spec>,
    /// Those whose functions have panicked, on whichever worker.
    broken: Vec<AtomicBool>,
}

impl Metrics {
    /// Those of the chosen sets.
    ///
    /// # Errors
    /// What makes no sense, in a set that was not chosen too.
    pub(crate) fn of(sets: Vec<Stats>, chosen: &Chosen) -> Result<Self, StatsError> {
        let names: Vec<&str> = sets.iter().map(|set| &*set.name).collect();
        if let Some(twice) = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
            return Err(StatsError::TwoSets { name: (*twice.1).to_owned() });
        }
        if let Some(name) = chosen.names().find(|name| !names.contains(&name.as_str())) {
            let there = if names.is_empty() { "is none".to_owned() } else { format!("is {}", list(&names)) };
            return Err(StatsError::NoSet { name: name.clone(), meant: did_you_mean(name, &names), there });
        }
        let mut specs = Vec::new();
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for set in sets {
            if let Some(mistake) = set.mistake {
                return Err(mistake);
            }
            let is_chosen = chosen.has(&set.name);
            for spec in set.metrics {
                let names = taken(&spec.shape.name, spec.shape.kind == MetricKind::Histogram);
                if let Some((name, one)) = names.iter().find_map(|name| all.get_key_value(name)) {
                    return Err(StatsError::TwoMetrics { name: name.clone(), one: one.clone(), other: set.name });
                }
                all.extend(names.into_iter().map(|name| (name, set.name.clone())));
                if is_chosen {
                    specs.push(spec);
                }
            }
        }
        let broken = specs.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { specs, broken })
    }

    pub(super) fn specs(&self) -> &[Spec] {
        &self.specs
    }

    pub(super) fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.specs.iter().map(|spec| &spec.shape)
    }

    pub(super) fn is_broken(&self, index: usize) -> bool {
        self.broken[index].load(Ordering::Relaxed)
    }

    /// Leaves a metric out from now on, on all workers; whether it was the first time.
    pub(super) fn set_broken(&self, index: usize) -> bool {
        !self.broken[index].swap(true, Ordering::Relaxed)
    }

    /// The types that metrics ask for by name.
    pub(crate) fn types(&self) -> impl Iterator<Item = &str> {
        self.specs.iter().filter_map(|spec| spec.matcher.types()).flatten().map(String::as_str)
    }

    /// Whether a metric is of messages of this type.
    pub(crate) fn want(&self, kind: &str) -> bool {
        self.specs.iter().any(|spec| spec.matcher.is_of(kind))
    }

    /// Whether a metric is of messages of all types.
    pub(crate) fn want_everything(&self) -> bool {
        self.specs.iter().any(|spec| spec.matcher.types().is_none())
    }
}

#[cfg(test)]
mod tests;
