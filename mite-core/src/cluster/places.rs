//! Where a run's processes look for it, and how long they try: what all of them have to have alike.
//!
//! It is apart from each of them, and knows none.

use std::time::Duration;

use super::error::ClusterError;
use crate::bus::{Discard, Fabric, Kept};

/// The register that says which run is under way, and its key for that.
pub(super) const DIRECTORY: &str = "mite";
pub(super) const CURRENT: &str = "run";

/// How often it is looked for what was not there, and tried again what could not be done.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// For how long that is done before the run is given up.
pub(super) const WRITE_WITHIN: Duration = Duration::from_secs(60);

/// A number that no other process has drawn: what the system seeds the standard library's maps with.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// What the logs of a run keep, but for that of records. Figures and orders stay until the run is over, so that a controller that
/// takes over knows all of them.
pub(super) fn kept() -> Kept {
    let dedupe = Duration::from_secs(600);
    Kept { dedupe, most_bytes: None, discard: Discard::New, age: None }
}

/// The run that is under way or about to be, if there is one.
pub(super) async fn current(fabric: &dyn Fabric) -> Result<Option<String>, ClusterError> {
    let failed = |cause| ClusterError::new("look for a run", cause);
    let directory = fabric.register(DIRECTORY).await.map_err(failed)?;
    let entry = directory.get(CURRENT).await.map_err(failed)?;
    Ok(entry.map(|entry| String::from_utf8_lossy(&entry.value).into_owned()))
}
