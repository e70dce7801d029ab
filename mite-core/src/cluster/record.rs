//! The recorder of a run as a process of its own, on a machine that has the disk for it.
//!
//! It is apart from the recorder itself and from the controller, which has one of its own unless it was told that this one comes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::attendance::{RECORDER, attend};
use super::error::ClusterError;
use super::recording::{Recording, ended_early};
use super::records::{KEPT, log_name};
use crate::bus::Fabric;

/// What a recorder has written: see [`record`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The scenario's name.
    pub scenario: String,
    /// How many records each name has.
    pub records: BTreeMap<String, u64>,
    /// What people should know of the files.
    pub warnings: Vec<String>,
}

/// Waits for a run that is led with [`Lead::with_recorder`](super::Lead::with_recorder), writes what its journeys record to
/// `FOLDER/NAME.msgpack`, and ends with it. `name` is what people should call this process.
///
/// A recorder that was killed is started again with the folder that it had: each record that a journey was told is taken is in the
/// files once. The run's controller does not end before.
///
/// # Errors
/// [`ClusterError`]: a file cannot be written, the cluster cannot be used, or the run was taken away. What is not in files is in the
/// cluster still, until the run is taken away.
pub async fn record(fabric: Arc<dyn Fabric>, name: &str, folder: impl Into<PathBuf>) -> Result<Recorded, ClusterError> {
    let attended = attend(&*fabric, (RECORDER, name), |plan| Ok(plan.with_recorder)).await?;
    let log = fabric.log(&log_name(&attended.run), KEPT).await;
    let log = log.map_err(|cause| ClusterError::new("open the log of records", cause))?;
    let recording = Recording::start(Arc::clone(&fabric), attended.run.clone(), folder.into()).await?;
    let warnings = Arc::clone(&recording.warnings);
    let mut recording = Some(recording);
    let over = tokio::select! {
        over = attended.over() => over?,
        failed = ended_early(&mut recording) => return Err(failed),
    };
    let (Some(()), Some(recording)) = (over, recording) else {
        let why = "the run was taken away before its end, and with it what it has recorded that is in no file yet";
        return Err(ClusterError::refused(why));
    };
    let records = recording.finish(&*log).await?;
    let warnings = std::mem::take(&mut *warnings.lock().unwrap_or_else(PoisonError::into_inner));
    let scenario = attended.plan.test.clone();
    attended.done(records.clone(), warnings.clone()).await?;
    Ok(Recorded { scenario, records, warnings })
}
