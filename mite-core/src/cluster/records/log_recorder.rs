//! The recorder of a cluster: reads the log of a run's records, has them written, and purges from the log what is durable.
//!
//! It is apart from the files, of which it knows nothing but that what was taken becomes durable.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, sleep};

use super::store::RecordStore;
use super::{KEPT, is_transient, log_name};
use crate::bus::{BusError, Fabric, Log, Reader};
use crate::recorder::{Folder, RecorderError};
use crate::recordings::Records;

/// How often what was taken is made durable.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// How long to wait before the log is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// The lane of items by which a recorder finds out whether it reads the log from where it should.
const MARKS: &str = "recorder";

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
    /// An item that no runner of this version has written.
    #[error("item {sequence} of the log of the run's records cannot be read: {why}")]
    Unreadable { sequence: u64, why: String },
}

/// Takes a run's records from the log to `FOLDER/NAME.msgpack`, each once, whatever dies meanwhile.
#[derive(Debug)]
pub(crate) struct LogRecorder {
    log: Arc<dyn Log>,
    store: RecordStore,
}

impl LogRecorder {
    /// Opens the log, as soon as there is a connection, and the folder where a recorder before this one may have left off.
    ///
    /// # Errors
    /// The log or the folder cannot be opened.
    pub(crate) async fn open(
        fabric: &dyn Fabric,
        run: &str,
        folder: impl Into<PathBuf>,
    ) -> Result<Self, LogRecorderError> {
        let log = loop {
            match fabric.log(&log_name(run), KEPT).await {
                Ok(log) => break log,
                Err(error) if is_transient(&error) => wait(&error).await,
                Err(source) => return Err(LogRecorderError::Log { doing: "open", source }),
            }
        };
        let store = RecordStore::open(Folder::new(folder), run)?;
        Ok(Self { log, store })
    }

    /// The account of what is recorded, while it is.
    pub(crate) fn records(&self) -> Records {
        self.store.records().clone()
    }

    /// What people should know of the files.
    pub(crate) fn warnings(&self) -> Arc<Mutex<Vec<String>>> {
        self.store.folder().warnings()
    }

    /// Records until `last` says which item of the log is the last, when all runners are done, and that one was taken.
    ///
    /// It blocks while it writes to the disk, and so has a thread of its own. A future that is dropped leaves all as if the process
    /// had died: another recorder goes on.
    ///
    /// # Errors
    /// A file cannot be written, or the log was deleted or has lost something. The log keeps what is not durable.
    pub(crate) async fn run(mut self, last: impl Future<Output = u64>) -> Result<Finished, LogRecorderError> {
        let mut last = pin!(last);
        let mut until = None;
        let mut reader = self.read().await?;
        let mut purged = 0;
        let mut commit = tokio::time::interval(COMMIT_EVERY);
        commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while until.is_none_or(|until| self.store.taken() < until) {
            let is_behind = self.store.is_dirty() || purged < self.store.durable();
            tokio::select! {
                biased;
                _ = commit.tick(), if is_behind => {
                    if self.store.is_dirty() {
                        self.store.commit()?;
                    }
                    purged = self.purge(purged).await?;
                }
                told = &mut last, if until.is_none() => until = Some(told),
                item = reader.next() => self.store.take(item.map_err(|source| LogRecorderError::Log { doing: "read", source })?)?,
            }
        }
        self.store.finish()?;
        self.purge(purged).await?;
        Ok(Finished { store: self.store })
    }

    /// Reads on from what is durable; waits for the log where that is needed.
    async fn read(&self) -> Result<Box<dyn Reader>, LogRecorderError> {
        // All that this recorder and those before it have not made durable must still be there. The mark is an item that comes after
        // it: so there is one to look at, even if all the others are gone.
        let mark = format!("{:x}", crate::cluster::random());
        loop {
            match self.log.append(MARKS, &mark, Vec::new()).await {
                Ok(_) => break,
                // Then there is something to look at.
                Err(error) if error.is_full() => break,
                Err(error) if is_transient(&error) => wait(&error).await,
                Err(source) => return Err(LogRecorderError::Log { doing: "append to", source }),
            }
        }
        loop {
            match self.log.read(">", self.store.durable() + 1).await {
                Ok(reader) => return Ok(reader),
                Err(error) if is_transient(&error) => wait(&error).await,
                Err(source) => return Err(LogRecorderError::Log { doing: "read", source }),
            }
        }
    }

    /// Lets the log forget what is durable, and says up to where it has; what it does not do now it does the next time.
    async fn purge(&self, purged: u64) -> Result<u64, LogRecorderError> {
        let durable = self.store.durable();
        if purged == durable {
            return Ok(purged);
        }
        // The last one stays: a server that is killed finds the log's numbers again by its items.
        match self.log.purge_to(durable).await {
            Ok(()) => Ok(durable),
            Err(error) if is_transient(&error) => {
                tracing::debug!("the log of the run's records keeps what is recorded for now: {error}");
                Ok(purged)
            }
            Err(source) => Err(LogRecorderError::Log { doing: "purge", source }),
        }
    }
}

async fn wait(error: &BusError) {
    tracing::debug!("the log of the run's records is asked again soon: {error}");
    sleep(RETRY_AFTER).await;
}

/// All of a run's records are in their files.
#[derive(Debug)]
pub(crate) struct Finished {
    store: RecordStore,
}

impl Finished {
    /// The account of what was recorded.
    pub(crate) fn records(&self) -> Records {
        self.store.records().clone()
    }

    /// How many records each name has.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.store.records().counts()
    }

    /// What people should know of the files.
    pub(crate) fn warnings(&self) -> Arc<Mutex<Vec<String>>> {
        self.store.folder().warnings()
    }

    /// Deletes what another recorder would go on by. Until then one that is started for this run finds the account and that nothing is
    /// left to do: so it is called when the account is where it belongs.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub(crate) fn close(self) -> Result<(), RecorderError> {
        self.store.delete_cursor()
    }
}
