//! Finding a run that is under way without a controller, and what there is to know of it.
//!
//! It is apart from leading: who takes over goes on as the one before did.

use std::sync::Arc;
use std::time::Duration;

use super::attendance::{RECORDER, attendant};
use super::clock::RunClock;
use super::error::ClusterError;
use super::keeper::{members_key, runner_key};
use super::places::current;
use super::places::{CURRENT, DIRECTORY};
use super::protocol::{EpochRecord, MembersRecord, PlanRecord, RunnerRecord, State, unpack};
use crate::bus::{Bus, BusError, Fabric, Register};
use crate::clock::unix_nanos;
use crate::runner::permit::boot_nanos;

/// How long a controller's answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// How often it is asked before it is taken to be gone.
const ASKED: u32 = 3;
/// How often somebody who stands by looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What the wall clocks of two machines may be apart by.
const APART: u64 = 100_000_000;

/// A run that has begun and has no controller.
pub(super) struct Left {
    pub(super) run: String,
    pub(super) register: Arc<dyn Register>,
    pub(super) epoch: EpochRecord,
    pub(super) revision: u64,
    pub(super) lists: Vec<MembersRecord>,
    /// All that were let in, by their numbers.
    pub(super) runners: Vec<(u32, RunnerRecord)>,
    pub(super) clock: RunClock,
}

/// Looks for a run that this controller should go on with; `None` where it should begin its own.
///
/// # Errors
/// Another run is under way, or was left behind by another program.
pub(super) async fn look(
    fabric: &dyn Fabric,
    plan: &PlanRecord,
    stands_by: bool,
) -> Result<Option<Left>, ClusterError> {
    let failed = |cause| ClusterError::new("look for a run that is under way", cause);
    let mut told = false;
    loop {
        let Some(run) = current(fabric).await? else {
            return if told { Err(ClusterError::stood_down()) } else { Ok(None) };
        };
        if is_led(&*fabric.bus(), &run).await {
            if !stands_by {
                return Err(ClusterError::refused(format!(
                    "a run is under way on {}: wait for its end, stop it with `cluster stop`, or let this controller stand by with \
                     `--standby`",
                    fabric.description()
                )));
            }
            if !std::mem::replace(&mut told, true) {
                tracing::info!(run, "standing by: another controller leads the run");
            }
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let register = fabric.register(&run).await.map_err(failed)?;
        let Some(entry) = register.get("epoch").await.map_err(failed)? else {
            forget(fabric, &run).await.map_err(failed)?;
            return Ok(None);
        };
        let epoch: EpochRecord = unpack("the run's epoch", &entry.value).map_err(failed)?;
        if epoch.state == State::Over
            && let Some(recorder) = attendant(&*register, RECORDER).await.map_err(failed)?
            && !recorder.is_done
        {
            return Err(ClusterError::refused(format!(
                "a run has ended on {}, and its recorder {} has not written all that was recorded: start `recorder` again with the folder \
                 that it had, or take the rest away with `cluster stop`",
                fabric.description(),
                recorder.name
            )));
        }
        if epoch.origin == 0 || epoch.state == State::Over {
            // It had not begun, or had ended: there is nothing to go on with.
            forget(fabric, &run).await.map_err(failed)?;
            return if told && epoch.state == State::Over { Err(ClusterError::stood_down()) } else { Ok(None) };
        }
        let theirs = register.get("plan").await.map_err(failed)?;
        let theirs = theirs.ok_or_else(|| failed(BusError::not_found("the run has no plan")))?;
        let theirs: PlanRecord = unpack("the run's plan", &theirs.value).map_err(failed)?;
        if (&theirs.scenario, &theirs.binary, &theirs.rows) != (&plan.scenario, &plan.binary, &plan.rows) {
            return Err(ClusterError::refused(format!(
                "a run of the scenario {:?} is under way on {} without its controller: start that one again with the same program, \
                 or stop the run with `cluster stop`",
                theirs.test,
                fabric.description()
            )));
        }
        let mut lists = Vec::new();
        for epoch in 1..=epoch.epoch {
            let list = register.get(&members_key(epoch)).await.map_err(failed)?;
            let list = list.ok_or_else(|| failed(BusError::not_found("a list of members is missing")))?;
            lists.push(unpack("a list of members", &list.value).map_err(failed)?);
        }
        let mut runners = Vec::new();
        // Numbers are given in order.
        for rid in 1.. {
            let Some(entry) = register.get(&runner_key(rid)).await.map_err(failed)? else { break };
            runners.push((rid, unpack("what is known of a runner", &entry.value).map_err(failed)?));
        }
        tracing::warn!(run, "taking over a run that has no controller");
        let clock = clock_of(&theirs, plan);
        return Ok(Some(Left { run, register, epoch, revision: entry.revision, lists, runners, clock }));
    }
}

/// Whether somebody answers for the run.
pub(super) async fn is_led(bus: &dyn Bus, run: &str) -> bool {
    for _ in 0..ASKED {
        match bus.request(&format!("{run}.clk"), Vec::new(), ANSWER_WITHIN).await {
            Ok(_) => return true,
            Err(error) if error.nobody_answers() => return false,
            Err(_) => {}
        }
    }
    false
}

/// The run's clock, as this machine finds it again.
fn clock_of(theirs: &PlanRecord, own: &PlanRecord) -> RunClock {
    if theirs.boot_id == own.boot_id && !own.boot_id.is_empty() {
        return RunClock::OWN;
    }
    // The wall clocks are all that both machines have.
    let now = theirs.boot_nanos.saturating_add(unix_nanos().saturating_sub(theirs.unix_nanos));
    RunClock::ahead_by(now.cast_signed().wrapping_sub(boot_nanos().cast_signed()), APART)
}

/// Takes away what a run has left in the cluster.
pub(super) async fn forget(fabric: &dyn Fabric, run: &str) -> Result<(), BusError> {
    let directory = fabric.register(DIRECTORY).await?;
    if directory.get(CURRENT).await?.is_some_and(|entry| entry.value == run.as_bytes()) {
        directory.delete(CURRENT).await?;
    }
    for of in ["stats", "orders", "pool", "records", "messages"] {
        fabric.delete_log(&format!("{run}_{of}")).await?;
    }
    fabric.delete_register(run).await
}
