//! What kinds of metric there are, and how the types in Rust and the figures at run time say which one is meant.
//!
//! It is apart from what is built of it, which all the rest of this module is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of metric one is: how values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MetricKind {
    /// How often something was.
    Counter,
    /// Values added up: of Prometheus' types a counter.
    Accumulator,
    /// The last value.
    Gauge,
    /// How values are spread.
    Histogram,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Accumulator => "accumulator",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

impl MetricKind {
    /// Why such a metric takes no such value; `None` for one that it does take.
    pub(super) fn refuses(self, value: f64) -> Option<&'static str> {
        match self {
            _ if !value.is_finite() => Some("which is no number"),
            Self::Counter | Self::Accumulator if value < 0.0 => Some("which is negative"),
            _ => None,
        }
    }
}

/// A kind of metric as a type: [`Counting`], [`Adding`], [`Setting`] or [`Spreading`].
pub trait Kind: sealed::Sealed {
    /// The same as a value.
    const KIND: MetricKind;
}

/// A kind of metric that is made of values.
pub trait OfValues: Kind {}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $kind:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl sealed::Sealed for $name {}

        impl Kind for $name {
            const KIND: MetricKind = MetricKind::$kind;
        }
    )* };
}

kinds! {
    /// Of a [`Counter`](super::Counter).
    Counting = Counter;
    /// Of an [`Accumulator`](super::Accumulator).
    Adding = Accumulator;
    /// Of a [`Gauge`](super::Gauge).
    Setting = Gauge;
    /// Of a [`Histogram`](super::Histogram).
    Spreading = Histogram;
}

impl OfValues for Adding {}
impl OfValues for Setting {}
impl OfValues for Spreading {}

mod sealed {
    pub trait Sealed {}
}
