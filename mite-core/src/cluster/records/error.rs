//! Why a run's records cannot be recorded any more.

use std::path::PathBuf;

use crate::bus::BusError;
use crate::recorder::RecorderError;

/// Why a cluster's records cannot be recorded any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LogRecorderError {
    /// A file cannot be written.
    #[error(transparent)]
    Files(#[from] RecorderError),
    /// The log cannot be read.
    #[error("failed to {doing} the log of the run's records: {source}")]
    Log { doing: &'static str, source: BusError },
    /// What was in the log is not, and was not taken by this recorder or one before it.
    #[error(
        "items {from} to {to} of the log of the run's records are gone, and no recorder has taken them to {}: a recorder that \
         goes on after another one needs its folder",
        .folder.display()
    )]
    Lost { from: u64, to: u64, folder: PathBuf },
    /// A batch is not in the log, and its runner has gone on as if it were.
    #[error("batch {batch} of runner {runner}'s records is not in the log, and later ones are")]
    BatchLost { runner: u32, batch: u64 },
    /// Nobody says any more when the run is over.
    #[error("whoever leads the run is gone: another recorder goes on where this one was")]
    Abandoned,
    /// An item that no runner of this version has written.
    #[error("item {sequence} of the log of the run's records cannot be read: {why}")]
    Unreadable { sequence: u64, why: String },
}
