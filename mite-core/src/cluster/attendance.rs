//! Who attends a run besides its controller and its runners: a recorder, a collector, whoever follows its figures. Each has a key of
//! the run's register, by which the controller knows whom to wait for.
//!
//! It is apart from what they do, since for the controller they are all the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::ClusterError;
use super::places::{LOOK, WRITE_WITHIN, current, random};
use super::protocol::{EpochRecord, PlanRecord, State, VERSION, pack, unpack};
use crate::bus::{BusError, Fabric, Register};
use crate::clock;

/// How often a run is looked for that is not there yet, and how it stands.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(250);

/// The recorder of a run that its controller does not record.
pub(super) const RECORDER: &str = "recorder";
/// Who collects the messages of all runners.
pub(super) const COLLECTOR: &str = "collector";

/// Somebody who attends: key `attendant.<who>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attendant {
    v: u32,
    /// What people call it: host and process.
    pub(super) name: String,
    /// Drawn when it was started: another one is another process.
    boot: u64,
    /// It has done all that it had to do.
    pub(super) is_done: bool,
    /// Of a recorder that is done: how many records each name has.
    pub(super) records: BTreeMap<String, u64>,
    /// Of one that is done: what people should know.
    pub(super) warnings: Vec<String>,
}

fn key(who: &str) -> String {
    format!("attendant.{who}")
}

/// Somebody who attends, by what it is: `recorder`.
///
/// # Errors
/// The register cannot be read.
pub(super) async fn attendant(register: &dyn Register, who: &str) -> Result<Option<Attendant>, BusError> {
    let entry = register.get(&key(who)).await?;
    entry.map(|entry| unpack("who attends the run", &entry.value)).transpose()
}

/// All who attend, by what they are.
///
/// # Errors
/// The register cannot be read.
pub(super) async fn attendants(register: &dyn Register) -> Result<Vec<(String, Attendant)>, BusError> {
    let mut all = Vec::new();
    for key in register.keys("attendant.*").await? {
        let who = key.trim_start_matches("attendant.").to_owned();
        if let Some(attendant) = attendant(register, &who).await? {
            all.push((who, attendant));
        }
    }
    Ok(all)
}

/// A run that somebody attends.
pub(super) struct Attended {
    pub(super) run: String,
    pub(super) plan: PlanRecord,
    pub(super) register: Arc<dyn Register>,
    who: String,
    own: Attendant,
    revision: u64,
}

/// Waits for a run that has a place for whoever `is_wanted` says, and takes it. Where somebody has it already, that one is taken to
/// be gone.
///
/// # Errors
/// The cluster cannot be used.
pub(super) async fn attend(
    fabric: &dyn Fabric,
    (who, name): (&str, &str),
    is_wanted: impl Fn(&PlanRecord) -> Result<bool, ClusterError>,
) -> Result<Attended, ClusterError> {
    let own = Attendant { v: VERSION, name: name.to_owned(), boot: random() | 1, ..Attendant::default() };
    let mut passed_over = None;
    loop {
        match look(fabric, who, &own).await {
            Ok(Some(attended)) => {
                if is_wanted(&attended.plan)? {
                    if let Some(attended) = attended.take_place().await? {
                        return Ok(attended);
                    }
                } else if passed_over.replace(attended.run.clone()) != Some(attended.run.clone()) {
                    tracing::info!(run = attended.run, "waiting for another run: this one has no place for a {who}");
                }
            }
            Ok(None) => {}
            // It is not there yet, or has just gone, or there is no connection for now.
            Err(error) if error.is_passing() => tracing::debug!("looked for a run again: {error}"),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The run that is under way, and who has the place there.
async fn look(fabric: &dyn Fabric, who: &str, own: &Attendant) -> Result<Option<Attended>, ClusterError> {
    let failed = |cause| ClusterError::new("look for a run", cause);
    let Some(run) = current(fabric).await? else { return Ok(None) };
    let register = fabric.register(&run).await.map_err(failed)?;
    let Some(plan) = register.get("plan").await.map_err(failed)? else { return Ok(None) };
    let plan = unpack("the run's plan", &plan.value).map_err(failed)?;
    let before = register.get(&key(who)).await.map_err(failed)?;
    if let Some(entry) = &before {
        let theirs: Attendant = unpack("who attends the run", &entry.value).map_err(failed)?;
        if theirs.is_done {
            return Ok(None);
        }
        tracing::warn!(run, "taking the place of {}, which is taken to be gone", theirs.name);
    }
    let revision = before.map_or(0, |entry| entry.revision);
    Ok(Some(Attended { run, plan, register, who: who.to_owned(), own: own.clone(), revision }))
}

impl Attended {
    /// Writes down that this one attends; `None` where somebody else has just done so.
    async fn take_place(mut self) -> Result<Option<Self>, ClusterError> {
        let expected = Some(self.revision).filter(|revision| *revision > 0);
        match self.register.set_if(&key(&self.who), expected, pack(&self.own)).await {
            Ok(revision) => {
                self.revision = revision;
                Ok(Some(self))
            }
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(ClusterError::new("attend the run", error)),
        }
    }

    /// Waits until all runners have told all: then nothing more is to come. `None` where the run was taken away meanwhile.
    ///
    /// # Errors
    /// Somebody else attends in this one's place.
    pub(super) async fn over(&self) -> Result<Option<()>, ClusterError> {
        loop {
            match self.stands().await {
                Ok(Some(State::Over)) => return Ok(Some(())),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) if error.is_passing() => tracing::debug!("looked at the run again: {error}"),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How far the run is.
    async fn stands(&self) -> Result<Option<State>, ClusterError> {
        let failed = |cause| ClusterError::new("look at the run", cause);
        let entry = match self.register.get("epoch").await {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(None),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let epoch: EpochRecord = unpack("the run's epoch", &entry.value).map_err(failed)?;
        let place = attendant(&*self.register, &self.who).await.map_err(failed)?;
        if place.is_some_and(|place| place.boot != self.own.boot) {
            return Err(ClusterError::refused(format!("another {} has taken this one's place", self.who)));
        }
        Ok(Some(epoch.state))
    }

    /// Tells the controller that all is done here.
    ///
    /// # Errors
    /// It could not be told.
    pub(super) async fn done(
        mut self,
        records: BTreeMap<String, u64>,
        warnings: Vec<String>,
    ) -> Result<(), ClusterError> {
        (self.own.is_done, self.own.records, self.own.warnings) = (true, records, warnings);
        let since = clock::now();
        loop {
            match self.register.set_if(&key(&self.who), Some(self.revision), pack(&self.own)).await {
                Ok(_) => return Ok(()),
                // The answer to an earlier try was lost, or the controller did not wait.
                Err(error) if error.is_conflict() || error.is_not_found() => return Ok(()),
                Err(error) if clock::now() - since > WRITE_WITHIN => {
                    return Err(ClusterError::new("tell the controller that all is done", error));
                }
                Err(error) => tracing::debug!("told again: {error}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
