//! What the controller and its workers say to each other.
//!
//! It is apart from both, which know each other by these messages alone.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::Moment;
use crate::figures::FiguresTold;
use crate::hooks::Hook;
use crate::schedule::Stripe;
use crate::seconds::Second;
use crate::snapshot::Snapshot;
use crate::volume::{Segment, Unit};

/// A row's number: 0 for setup and teardown, from 1 for the scenario's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowId(pub(crate) u32);

/// What the controller tells a worker.
pub(crate) enum Command {
    /// Calls setup or teardown.
    Hook(Hook),
    /// The run starts at this moment.
    Go(Moment),
    /// By the list of members with this number, this process has that stripe of all starts from a time on, in nanoseconds since
    /// the start of the run.
    Share(u64, u64, Stripe),
    /// A row that is asked second by second goes on.
    Extend(RowId, Unit, Segment),
    /// A row that is asked second by second has no more.
    Complete(RowId),
    /// A row has used up its data, on another worker.
    Exhausted(RowId),
    /// The run's clock is found to be so many nanoseconds ahead of what was thought.
    Slew(i64),
    /// To the runners of a cluster: workers are to be made ready.
    Prepare,
    /// To what leads them: closures were asked about the seconds up to this one.
    Asked(u64),
    /// To what leads them: who has not told its end is to be told of.
    Account,
    /// Tells what is new in the figures.
    Tell,
    /// No new starts; what runs may finish within the graceful stop.
    Stop,
    /// No new starts, and what runs is cancelled.
    Abort,
    /// All is done: hand over the figures.
    Exit,
}

/// What a worker, or another thread of the run, tells the controller.
#[derive(Debug)]
pub(crate) enum Event {
    /// Ready to start, or why not.
    Ready(io::Result<()>),
    /// Setup or teardown has ended on this worker after so long; what it failed with is told with its type and place.
    HookDone(u32, Duration, Result<(), String>),
    /// A worker's seconds that are over, and what is new in its figures.
    Seconds(u32, Vec<Second>, Box<FiguresTold>),
    Exhausted(RowId),
    /// All rows have ended and nothing runs any more.
    Finished(u32),
    /// A worker's own code has panicked.
    Died(String),
    /// What is new in a worker's figures, since it was asked for it.
    Told(u32, Box<FiguresTold>),
    /// Somebody asks for the figures so far.
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    /// A sink without which the run does not go on.
    SinkFailed,
    /// The run's handle asks for a graceful stop.
    Stop,
    /// The run's handle asks for an end now, or was dropped.
    Abort,
}

/// What a worker hands over at its end.
#[derive(Debug, Default)]
pub(crate) struct WorkerResult {
    pub(crate) figures: FiguresTold,
    /// For each sink how many messages were meant for it.
    pub(crate) sent_messages: Vec<u64>,
    /// Rows, by number, whose starts do not add up: planned by the schedule, and passed over by the worker.
    pub(crate) miscounted: Vec<(u32, u64, u64)>,
}
