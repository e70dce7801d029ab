//! A runner that was let into a run: what it knows of it, and where it finds the rest.
//!
//! It is apart from [`join`](super::join()), which lets it in, and from the [`runner`](super::runner) that it becomes.

use std::fmt;
use std::sync::Arc;

use super::clock::RunClock;
use super::places::kept;
use super::protocol::PlanRecord;
use crate::Config;
use crate::bus::{BusError, Fabric, Log, Register};

/// A runner that was let in, and has not begun.
pub struct Joined {
    pub(super) fabric: Arc<dyn Fabric>,
    pub(super) run: String,
    pub(super) rid: u32,
    pub(super) boot: u64,
    pub(super) plan: PlanRecord,
    pub(super) clock: RunClock,
    pub(super) workers: u32,
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined").field("run", &self.run).field("runner", &self.rid).finish_non_exhaustive()
    }
}

impl Joined {
    /// Its number in the run, from 1: `runner_id` in messages.
    pub fn runner(&self) -> u32 {
        self.rid
    }

    /// The name of the scenario that is run, which the program has to make.
    pub fn scenario(&self) -> &str {
        &self.plan.scenario
    }

    /// The config of the run, for the scenario function: what its controller was told, and what its scenario function has set.
    pub fn config(&self) -> Config {
        Config::from_values(self.plan.config.clone())
    }

    pub(super) fn subject(&self, of: &str) -> String {
        format!("{}.{of}", self.run)
    }

    pub(super) async fn log(&self, of: &str) -> Result<Arc<dyn Log>, BusError> {
        self.fabric.log(&format!("{}_{of}", self.run), kept()).await
    }

    pub(super) async fn register(&self) -> Result<Arc<dyn Register>, BusError> {
        self.fabric.register(&self.run).await
    }
}
