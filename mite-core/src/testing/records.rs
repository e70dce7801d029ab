//! The two ends of the way that a cluster's records go, for tests of it on a fabric that may fail.
//!
//! They are apart from what tests of journeys use: it is crates that bring a fabric which need them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use crate::bus::Fabric;
use crate::cluster::records::log_recorder::LogRecorder;
use crate::cluster::records::sink::RecordSink;
use crate::cluster::records::{KEPT, log_name};
use crate::pack;
use crate::recorder::Record;
use crate::sink::SinkError;

/// What a runner of a cluster has in the place of a recorder.
pub struct RecordProducer(RecordSink);

impl RecordProducer {
    /// The producer of a runner's records: `rid` is the runner's number in the run, and `boot` that of the process.
    pub fn new(fabric: Arc<dyn Fabric>, run: &str, rid: u32, boot: u64) -> Self {
        Self(RecordSink::new(fabric, Arc::new(OnceLock::from(run.to_owned())), rid, boot))
    }

    /// Records a value under a name. It waits, without a runtime, while too much is on its way.
    ///
    /// # Errors
    /// The name or the value cannot be recorded, or the log takes no more.
    pub fn record<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), SinkError> {
        let data = pack::to_vec(value)?;
        Ok(self.0.take(name, &Record::Created(&data))?)
    }

    /// Deletes what was recorded under a name.
    ///
    /// # Errors
    /// As [`RecordProducer::record`].
    pub fn purge(&mut self, name: &str) -> Result<(), SinkError> {
        Ok(self.0.take(name, &Record::Purged)?)
    }

    /// Waits until all is acknowledged.
    ///
    /// # Errors
    /// The log takes no more: the message says how many records were not acknowledged.
    pub fn drain(&mut self) -> Result<(), SinkError> {
        Ok(self.0.drain()?)
    }
}

impl fmt::Debug for RecordProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordProducer").finish_non_exhaustive()
    }
}

/// Writes a run's records from its log to files in a folder, until the item of the log that `last` gives, and says how many there
/// are of each name. It blocks while it writes.
///
/// # Errors
/// A file cannot be written, or the log cannot be read.
pub async fn record_from_log(
    fabric: Arc<dyn Fabric>,
    run: &str,
    folder: impl Into<PathBuf>,
    last: impl Future<Output = u64>,
) -> Result<BTreeMap<String, u64>, SinkError> {
    let recorder = LogRecorder::open(&*fabric, run, folder).await?;
    let finished = recorder.run(async { Some(last.await) }).await?;
    let counts = finished.counts();
    finished.close()?;
    Ok(counts)
}

/// The number of the last item of a run's log of records, once all runners are done: what [`record_from_log`] is told.
///
/// # Errors
/// The log cannot be read.
pub async fn last_item(fabric: &dyn Fabric, run: &str) -> Result<u64, SinkError> {
    Ok(fabric.log(&log_name(run), KEPT).await?.last().await?)
}
