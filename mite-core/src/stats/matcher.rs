//! Which messages a metric is of.
//!
//! It is apart from the metric, since the types alone decide what is packed at all.

use std::fmt;
use std::sync::Arc;

use crate::message::Message;

type Condition = dyn Fn(&Message<'_>) -> bool + Send + Sync;

/// Which messages a metric is of: those of some types, or of all, for which a condition holds.
#[derive(Clone)]
#[must_use = "a matcher does nothing until a metric is made of it"]
pub struct Matcher {
    /// `None` for all.
    types: Option<Vec<String>>,
    condition: Option<Arc<Condition>>,
}

/// The messages of these types: `txn`, `http_metrics`, `error`, or one of one's own.
///
/// ```
/// use mite_core::stats::{Counter, matcher_by_type};
///
/// let ended = Counter::new("shop_ended_total", matcher_by_type(["txn", "error"])).labels(["type"]);
/// ```
pub fn matcher_by_type<T: Into<String>>(types: impl IntoIterator<Item = T>) -> Matcher {
    Matcher { types: Some(types.into_iter().map(Into::into).collect()), condition: None }
}

/// The messages of all types. Each message of the run is packed for it, which costs more than the few that a metric is of: say
/// which types are meant where they are known.
///
/// ```
/// use mite_core::stats::{Counter, every_message};
///
/// let failed = every_message().only_if(|message| message.number("had_error") == Some(1.0));
/// let failed = Counter::new("shop_failed_total", failed);
/// ```
pub fn every_message() -> Matcher {
    Matcher { types: None, condition: None }
}

impl Matcher {
    /// Only those for which this holds.
    ///
    /// It is called on the workers' threads for each message that may match. When it panics, the metric is left out from then
    /// on, and the report has a warning.
    ///
    /// ```
    /// use mite_core::stats::matcher_by_type;
    ///
    /// let failed = matcher_by_type(["txn"]).only_if(|message| message.number("had_error") == Some(1.0));
    /// ```
    pub fn only_if(mut self, condition: impl Fn(&Message<'_>) -> bool + Send + Sync + 'static) -> Self {
        let before = self.condition.take();
        self.condition =
            Some(Arc::new(move |message| before.as_ref().is_none_or(|before| before(message)) && condition(message)));
        self
    }

    pub(super) fn matches_nothing(&self) -> bool {
        self.types.as_ref().is_some_and(Vec::is_empty)
    }

    /// Its types; `None` for all.
    pub(super) fn types(&self) -> Option<&[String]> {
        self.types.as_deref()
    }

    pub(super) fn is_of(&self, kind: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.iter().any(|of| of == kind))
    }

    /// Whether the condition holds; the type has been looked at.
    pub(super) fn holds(&self, message: &Message<'_>) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition(message))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").field("types", &self.types).finish_non_exhaustive()
    }
}
