//! The part of a run that something belongs to: its warm-up, or what is measured.
//!
//! It is apart from the figures, since messages know it too.

/// The part of a run that a start belongs to, by when it was due: each has figures of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Counted, and left out of the figures.
    WarmUp,
    Measured,
}
