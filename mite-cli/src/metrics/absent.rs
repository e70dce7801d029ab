//! What stands for the sinks of Prometheus in a build that is without them.
//!
//! It is apart so that a run is made by the same lines in either.

use clap::ArgMatches;
use mite_core::Run;

/// Nothing is told.
#[derive(Debug)]
pub(crate) struct Metrics;

#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the signatures of what it stands for")]
impl Metrics {
    pub(crate) fn open(_: &ArgMatches) -> Result<Self, String> {
        Ok(Self)
    }

    pub(crate) fn line(&self) -> Option<String> {
        None
    }

    pub(crate) fn add_to(self, run: Run) -> Run {
        run
    }
}
