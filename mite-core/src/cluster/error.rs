//! What a cluster fails with, beside what a run in one process can.

use std::fmt;

use crate::bus::BusError;

/// Why a process cannot take part in a run of a cluster, lead it, or look at it.
#[derive(Debug)]
pub struct ClusterError {
    what: String,
    source: Option<BusError>,
    is_refused: bool,
    is_of_takeover: bool,
}

impl ClusterError {
    /// What could not be done, and why.
    pub(crate) fn new(doing: &str, cause: BusError) -> Self {
        Self {
            what: format!("failed to {doing}: {cause}"),
            source: Some(cause),
            is_refused: false,
            is_of_takeover: false,
        }
    }

    /// Somebody else has refused it, or what was asked for makes no sense.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self { what: why.into(), source: None, is_refused: true, is_of_takeover: false }
    }

    /// Somebody else leads the run.
    pub(crate) fn taken_over() -> Self {
        Self { is_of_takeover: true, ..Self::refused("another controller has taken over the run, and this one ends") }
    }

    pub(crate) fn is_of_takeover(&self) -> bool {
        self.is_of_takeover
    }

    /// Whether the cluster works and has refused what was asked for: it would be in vain to ask again.
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for ClusterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
