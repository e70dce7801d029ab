//! How the journeys of a row are run: what a worker goes by besides the plan.
//!
//! They are apart from the row, which has a journey, a pool and a plan besides, of any types.

use std::time::Duration;

/// How many journeys of one row run at once at the most in each process, unless the row says otherwise.
pub(super) const MAX_RUNNING: u64 = 100_000;

/// What happens to a start for which there is no room below [`Row::max_running`](crate::Row::max_running).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overload {
    /// It waits, and is counted from when it was due; what still waits at the row's end is counted as *unstarted*.
    #[default]
    Queue,
    /// It is left out, and counted as *dropped*.
    Drop,
}

/// How a row's journeys are run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowOptions {
    pub(crate) timeout: Option<Duration>,
    /// Of the open model, in all processes together.
    pub(crate) max_running: Option<u64>,
    pub(crate) overload: Overload,
    /// Of the closed model: how long journeys may go on that are too many.
    pub(crate) ramp_down: Option<Duration>,
}
