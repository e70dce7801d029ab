//! The recorder of a cluster: reads the log of a run's records, has them written, and purges from the log what is durable.
//!
//! It is apart from the files, of which it knows nothing but that what was taken becomes durable.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, sleep};

use super::error::LogRecorderError;
use super::store::RecordStore;
use super::{KEPT, is_transient, log_name};
use crate::bus::{BusError, Fabric, Log, Reader};
use crate::cluster::places::random;
use crate::recorder::{Folder, RecorderError};
use crate::recordings::Records;

/// How often what was taken is made durable.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// How often the log is told to forget what is durable. Seldom: a nats-server of version 2.9.10 that is killed while it does so may
/// lose all that is in a file of the log, what was acknowledged included.
const PURGE_EVERY: Duration = Duration::from_secs(2);
/// How long to wait before the log is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How long files that somebody holds may be those of a recorder that has ended: it lets go of one thing after the other.
const FREE_WITHIN: Duration = Duration::from_secs(5);
/// The lane of items by which a recorder finds out whether it reads the log from where it should.
const MARKS: &str = "recorder";

/// Takes a run's records from the log to `FOLDER/NAME.msgpack`, each once, whatever dies meanwhile.
#[derive(Debug)]
pub(crate) struct LogRecorder {
    log: Arc<dyn Log>,
    run: String,
    folder: Folder,
    records: Records,
    /// None while another process still holds the folder.
    store: Option<RecordStore>,
    /// Since when somebody holds a file of a run that nobody records any more.
    held_since: Option<Instant>,
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
        let mut recorder = Self {
            log,
            run: run.to_owned(),
            folder: Folder::new(folder),
            records: Records::default(),
            store: None,
            held_since: None,
        };
        // What can be known to be wrong by now is told now.
        recorder.store = recorder.open_store()?;
        Ok(recorder)
    }

    /// The files; none where another recorder of this run is at work, or has just ended. That may be one whose controller was stopped, and which ends
    /// as soon as it finds that another one leads: what comes meanwhile waits in the log.
    fn open_store(&mut self) -> Result<Option<RecordStore>, RecorderError> {
        match RecordStore::open(self.folder.clone(), &self.run, self.records.clone()) {
            Ok(store) => Ok(Some(store)),
            Err(RecorderError::Busy { .. }) => {
                self.held_since = None;
                Ok(None)
            }
            Err(RecorderError::Locked { .. })
                if self.held_since.get_or_insert_with(Instant::now).elapsed() < FREE_WITHIN =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The account of what is recorded, while it is.
    pub(crate) fn records(&self) -> Records {
        self.records.clone()
    }

    /// What people should know of the files.
    pub(crate) fn warnings(&self) -> Arc<Mutex<Vec<String>>> {
        self.folder.warnings()
    }

    /// Records until `last` says which item of the log is the last, when all runners are done, and that one was taken; or that nobody
    /// will say so any more.
    ///
    /// It blocks while it writes to the disk, and so has a thread of its own. A future that is dropped leaves all as if the process
    /// had died: another recorder goes on.
    ///
    /// # Errors
    /// A file cannot be written, or the log was deleted or has lost something. The log keeps what is not durable.
    pub(crate) async fn run(mut self, last: impl Future<Output = Option<u64>>) -> Result<Finished, LogRecorderError> {
        let mut last = pin!(last);
        let mut until = None;
        let mut store = self.store.take();
        if store.is_none() {
            let folder = self.folder.path().display();
            tracing::warn!("another recorder of this run is at work in {folder}: waiting for its end");
        }
        let store = loop {
            if let Some(store) = store {
                break store;
            }
            tokio::select! {
                told = &mut last, if until.is_none() => until = Some(told.ok_or(LogRecorderError::Abandoned)?),
                () = sleep(RETRY_AFTER) => {}
            }
            store = self.open_store()?;
        };
        Taking { log: self.log, store, purged: 0, purge_at: Instant::now() + PURGE_EVERY }.run(last, until).await
    }
}

/// A recorder that has its folder.
struct Taking {
    log: Arc<dyn Log>,
    store: RecordStore,
    /// Up to which item the log has forgotten what is durable.
    purged: u64,
    purge_at: Instant,
}

impl Taking {
    async fn run(
        mut self,
        mut last: Pin<&mut impl Future<Output = Option<u64>>>,
        mut until: Option<u64>,
    ) -> Result<Finished, LogRecorderError> {
        let mut reader = self.read().await?;
        let mut commit = tokio::time::interval(COMMIT_EVERY);
        commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while until.is_none_or(|until| self.store.taken() < until) {
            let is_behind = self.store.is_dirty() || self.purged < self.store.durable();
            tokio::select! {
                biased;
                _ = commit.tick(), if is_behind => {
                    if self.store.is_dirty() {
                        self.store.commit()?;
                    }
                    if Instant::now() >= self.purge_at {
                        self.purge().await?;
                        self.purge_at = Instant::now() + PURGE_EVERY;
                    }
                }
                told = &mut last, if until.is_none() => until = Some(told.ok_or(LogRecorderError::Abandoned)?),
                item = reader.next() => {
                    let item = item.map_err(|source| LogRecorderError::Log { doing: "read", source })?;
                    self.store.take(item)?;
                }
            }
        }
        self.store.finish()?;
        self.purge().await?;
        Ok(Finished { store: self.store })
    }

    /// Reads on from what is durable; waits for the log where that is needed.
    async fn read(&self) -> Result<Box<dyn Reader>, LogRecorderError> {
        // All that this recorder and those before it have not made durable must still be there. The mark is an item that comes after
        // it: so there is one to look at, even if all the others are gone.
        let mark = format!("{:x}", random());
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

    /// Lets the log forget what is durable; what it does not do now it does the next time.
    async fn purge(&mut self) -> Result<(), LogRecorderError> {
        let durable = self.store.durable();
        if self.purged == durable {
            return Ok(());
        }
        // The last one stays: a server that is killed finds the log's numbers again by its items.
        match self.log.purge_to(durable).await {
            Ok(()) => self.purged = durable,
            Err(error) if is_transient(&error) => {
                tracing::debug!("the log of the run's records keeps what is recorded for now: {error}");
            }
            Err(source) => return Err(LogRecorderError::Log { doing: "purge", source }),
        }
        Ok(())
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
    #[cfg(test)]
    pub(crate) fn records(&self) -> Records {
        self.store.records().clone()
    }

    /// How many records each name has.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.store.records().counts()
    }

    /// What people should know of the files.
    #[cfg(test)]
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
