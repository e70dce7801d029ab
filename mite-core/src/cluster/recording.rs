//! The recorder of a run that this process leads: on a thread of its own, since it waits for the disk.
//!
//! It is apart from the recorder itself, which knows of no thread, and from the leader, which never waits for it but at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::error::ClusterError;
use super::records::error::LogRecorderError;
use super::records::log_recorder::{Finished, LogRecorder};
use crate::bus::{Fabric, Log};
use crate::recordings::Records;

/// A recorder at work.
pub(super) struct Recording {
    /// The account of what it has written.
    pub(super) records: Records,
    /// What people should know of its files.
    pub(super) warnings: Arc<Mutex<Vec<String>>>,
    /// Tells it which item of the log is the last.
    last: Option<oneshot::Sender<u64>>,
    ended: oneshot::Receiver<Result<Finished, LogRecorderError>>,
}

impl Recording {
    /// Starts it, where another one may have left off.
    pub(super) async fn start(fabric: Arc<dyn Fabric>, run: String, folder: PathBuf) -> Result<Self, ClusterError> {
        let recorder = LogRecorder::open(&*fabric, &run, folder).await;
        let recorder = recorder.map_err(|error| failed(&error))?;
        let (records, warnings) = (recorder.records(), recorder.warnings());
        let (last, told) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let work = move || {
            // Where who leads is gone it ends, so that another recorder can go on, also in this process.
            let recorded = runtime.block_on(recorder.run(async { told.await.ok() }));
            // Who leads is gone, and nobody asks.
            let _ = end.send(recorded);
        };
        std::thread::Builder::new().name("mite-recorder".to_owned()).spawn(work).map_err(|error| failed(&error))?;
        Ok(Self { records, warnings, last: Some(last), ended })
    }

    /// Waits until all that is in the log is in files, and says how many records each name has.
    pub(super) async fn finish(mut self, log: &dyn Log) -> Result<BTreeMap<String, u64>, ClusterError> {
        let last = log.last().await.map_err(|cause| ClusterError::new("read the log of records", cause))?;
        if let Some(told) = self.last.take() {
            // One that has failed says so below.
            let _ = told.send(last);
        }
        match self.ended.await {
            Ok(Ok(finished)) => {
                let counts = finished.counts();
                finished.close().map_err(|error| failed(&error))?;
                Ok(counts)
            }
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(ClusterError::refused("the recorder's thread has ended, which is a bug of mite")),
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> ClusterError {
    ClusterError::refused(format!("the recorder failed: {error}"))
}

/// Waits until a recorder fails, which ends the run; where there is none that never happens.
pub(super) async fn ended_early(recording: &mut Option<Recording>) -> ClusterError {
    match recording {
        Some(recording) => match (&mut recording.ended).await {
            Ok(Err(error)) => failed(&error),
            _ => ClusterError::refused("the recorder has ended before the run, which is a bug of mite"),
        },
        None => std::future::pending().await,
    }
}
