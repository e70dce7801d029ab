//! What a metric is called and made of, which its tables and reports have with them.
//!
//! It is apart from how it is worked out, which only the workers know.

use std::sync::Arc;

use super::kind::MetricKind;

/// In seconds, as Python's mite has them for `mite_http_response_time_seconds`.
pub(super) const DEFAULT_BUCKETS: [f64; 15] =
    [0.0001, 0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// What a metric is called and made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    pub(crate) name: Arc<str>,
    pub(crate) kind: MetricKind,
    pub(crate) help: String,
    /// In their order; `None` where each value brings its own.
    pub(crate) labels: Option<Vec<String>>,
    /// Of a histogram's buckets.
    pub(crate) bounds: Arc<[f64]>,
}

impl Shape {
    pub(super) fn new(name: Arc<str>, kind: MetricKind) -> Self {
        let bounds = if kind == MetricKind::Histogram { DEFAULT_BUCKETS.into() } else { Arc::default() };
        Self { name, kind, help: String::new(), labels: None, bounds }
    }
}
