//! What the journeys of a cluster record, on its way from the runners to the recorder's files without loss: through a log.
//!
//! It is apart from the recorder of one process, with which it shares the files, since here each side may die and come back.
//!
//! A runner's [`RecordSink`](sink::RecordSink) packs records into numbered batches and appends them to the log; a batch that is not acknowledged is
//! appended again under the same id. The [`LogRecorder`](log_recorder::LogRecorder) reads the log, puts each runner's batches in the order of their numbers,
//! passes over those that it had, and writes the files. What it has made durable is purged from the log.

mod appender;
mod batch;
mod cursor;
pub(super) mod error;
pub(crate) mod log_recorder;
pub(crate) mod messages;
pub(crate) mod sink;
mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::bus::{BusError, Discard, Kept};

/// The lane of the log that records are on.
const LANE: &str = "records";

/// How many batches of a runner may be on their way at once: of two of them that are in the log, the later one may be there first,
/// and is kept until the other has come.
const WINDOW: u64 = 16;

/// How the log keeps its items. A retry after more than these ten minutes is in the log twice, which the recorder finds out.
pub(crate) const KEPT: Kept = Kept {
    dedupe: Duration::from_secs(600),
    // Some hundred thousand usual records: what comes while the recorder is not there. After that journeys wait.
    most_bytes: Some(256 << 20),
    discard: Discard::New,
    age: None,
};

/// The name of the log of a run.
pub(crate) fn log_name(run: &str) -> String {
    format!("{run}_records")
}

/// Whether what failed may well succeed the next time.
fn is_transient(error: &BusError) -> bool {
    error.is_timeout() || error.is_disconnected() || error.is_full() || error.nobody_answers()
}
