//! What a cluster fails with, beside what a run in one process can.

use std::fmt;

use crate::bus::BusError;

/// Why a process cannot take part in a run of a cluster, lead it, or look at it.
#[derive(Debug)]
pub struct ClusterError {
    what: String,
    source: Option<BusError>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Something could not be done.
    Failed,
    /// Somebody else has refused it, or what was asked for makes no sense.
    Refused,
    /// Somebody else leads the run.
    TakenOver,
    /// There was nothing to do.
    Idle,
}

impl ClusterError {
    /// What could not be done, and why.
    pub(crate) fn new(doing: &str, cause: BusError) -> Self {
        Self { what: format!("failed to {doing}: {cause}"), source: Some(cause), kind: Kind::Failed }
    }

    /// Somebody else has refused it, or what was asked for makes no sense.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self { what: why.into(), source: None, kind: Kind::Refused }
    }

    /// Somebody else leads the run.
    pub(crate) fn taken_over() -> Self {
        let what = "another controller has taken over the run, and this one ends";
        Self { kind: Kind::TakenOver, ..Self::refused(what) }
    }

    /// The run that a controller stood by for has ended without it.
    pub(crate) fn stood_down() -> Self {
        let what = "the run that this controller stood by for has ended: there was nothing to take over";
        Self { kind: Kind::Idle, ..Self::refused(what) }
    }

    /// Whoever followed a run was told to end before it.
    pub(crate) fn left() -> Self {
        Self { kind: Kind::Idle, ..Self::refused("it has left the run before its end") }
    }

    /// The run that somebody wanted to follow has ended.
    pub(crate) fn ended_before() -> Self {
        Self { kind: Kind::Idle, ..Self::refused("the run has ended before it began") }
    }

    pub(crate) fn is_of_takeover(&self) -> bool {
        self.kind == Kind::TakenOver
    }

    /// Whether it may well succeed the next time: there is no connection for now, or what it is about has gone or is not there yet.
    pub(crate) fn is_passing(&self) -> bool {
        self.source.as_ref().is_some_and(|source| {
            source.is_timeout() || source.is_disconnected() || source.nobody_answers() || source.is_not_found()
        })
    }

    /// Whether the cluster works and has refused what was asked for: it would be in vain to ask again.
    pub fn is_refused(&self) -> bool {
        self.kind != Kind::Failed
    }

    /// Whether nothing is wrong: there was nothing to do, as for a controller that stood by while another one led a run to its end.
    pub fn is_idle(&self) -> bool {
        self.kind == Kind::Idle
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
