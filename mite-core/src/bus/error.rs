//! What a bus, a register or a log fails with: one opaque error, that is asked what it means for the caller.
//! It is separate because all three, in each of their forms, make the same.

use std::error::Error as StdError;
use std::fmt::{self, Display};

/// Why something could not be done, or why it is not known whether it was.
///
/// Its text is of this level; what led to it is in [`source`](StdError::source).
///
/// ```
/// use std::time::Duration;
///
/// use mite_core::bus::{Bus, Fabric, Local};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// let error = Local::new().bus().request("run7.hello", vec![], Duration::from_secs(1)).await.unwrap_err();
/// assert!(error.nobody_answers());
/// assert_eq!(error.to_string(), "nobody answers requests on run7.hello");
/// # });
/// ```
#[derive(Debug)]
pub struct BusError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Conflict,
    Timeout,
    Full,
    NobodyAnswers,
    Disconnected,
    NotFound,
    Gap,
    Invalid,
    Other,
}

impl BusError {
    fn new(kind: Kind, message: impl Display) -> Self {
        Self(Box::new(Inner { kind, message: message.to_string(), source: None }))
    }

    /// For [`BusError::is_conflict`].
    pub fn conflict(message: impl Display) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// For [`BusError::is_timeout`].
    pub fn timeout(message: impl Display) -> Self {
        Self::new(Kind::Timeout, message)
    }

    /// For [`BusError::is_full`].
    pub fn full(message: impl Display) -> Self {
        Self::new(Kind::Full, message)
    }

    /// For [`BusError::nobody_answers`].
    pub fn no_answer(message: impl Display) -> Self {
        Self::new(Kind::NobodyAnswers, message)
    }

    /// For [`BusError::is_disconnected`].
    pub fn disconnected(message: impl Display) -> Self {
        Self::new(Kind::Disconnected, message)
    }

    /// For [`BusError::is_not_found`].
    pub fn not_found(message: impl Display) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// For [`BusError::is_gap`].
    pub fn gap(message: impl Display) -> Self {
        Self::new(Kind::Gap, message)
    }

    /// For [`BusError::is_invalid`].
    pub fn invalid(message: impl Display) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// Of no kind that a caller could do something about.
    pub fn other(message: impl Display) -> Self {
        Self::new(Kind::Other, message)
    }

    /// The same error with what led to it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// A register's key has another revision than was expected: somebody else was quicker.
    pub fn is_conflict(&self) -> bool {
        self.0.kind == Kind::Conflict
    }

    /// There was no answer in time. It is not known whether what was asked for was done.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Kind::Timeout
    }

    /// A log takes no more: nothing was stored.
    pub fn is_full(&self) -> bool {
        self.0.kind == Kind::Full
    }

    /// Nobody has subscribed to the subject of a request: it was not made.
    pub fn nobody_answers(&self) -> bool {
        self.0.kind == Kind::NobodyAnswers
    }

    /// There is no connection, or it broke while an answer was awaited: then it is not known whether what was asked for was
    /// done.
    pub fn is_disconnected(&self) -> bool {
        self.0.kind == Kind::Disconnected
    }

    /// The register or the log is not there: it was deleted.
    pub fn is_not_found(&self) -> bool {
        self.0.kind == Kind::NotFound
    }

    /// Items of a log are missing that were never purged or forgotten.
    pub fn is_gap(&self) -> bool {
        self.0.kind == Kind::Gap
    }

    /// What was asked for makes no sense, and will not the next time: a name that is none, a payload that is too large.
    pub fn is_invalid(&self) -> bool {
        self.0.kind == Kind::Invalid
    }
}

impl Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for BusError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
