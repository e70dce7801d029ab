//! Looking at a run of a cluster from outside, and ending it.
//!
//! It is apart from leading and taking part: whoever looks is neither controller nor runner.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::error::ClusterError;
use super::places::current;
use super::protocol::{EpochRecord, Heartbeat, PlanRecord, State, pack, unpack};
use super::takeover::{forget, is_led};
use crate::bus::Fabric;

/// How long heartbeats are listened to: several of each runner come in that time.
const LISTEN: Duration = Duration::from_millis(700);
/// How long the controller's answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A run of a cluster, as it was seen.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// The run's name in the cluster.
    pub run: String,
    /// The scenario's name.
    pub scenario: String,
    /// How far it is: `gathering`, `preparing`, `running`, `draining`, `aborted` or `over`.
    pub state: String,
    /// How often the list of its members has changed.
    pub epoch: u64,
    /// Whether a controller leads it.
    pub is_led: bool,
    /// The runners that were heard.
    pub runners: Vec<RunnerStatus>,
}

/// A runner, as it was heard.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunnerStatus {
    /// Its number in the run, from 1.
    pub runner: u32,
    /// `joined`, `ready`, `running`, `leaving`, `done` or `failed`.
    pub phase: String,
    /// Journeys under way.
    pub running: u64,
    /// CPU time of its process, in per cent of one core.
    pub cpu_percent: f64,
    /// By how much its idea of the run's clock may be wrong.
    pub clock_error: Duration,
    /// With what it has failed.
    pub why: Option<String>,
}

/// Looks at the run that is under way; `None` where there is none.
///
/// # Errors
/// The cluster cannot be used.
pub async fn status(fabric: &dyn Fabric) -> Result<Option<Status>, ClusterError> {
    let failed = |cause| ClusterError::new("look at the run", cause);
    let Some(run) = current(fabric).await? else { return Ok(None) };
    let register = fabric.register(&run).await.map_err(failed)?;
    let read = async |key: &str| register.get(key).await.map_err(failed);
    let (Some(epoch), Some(plan)) = (read("epoch").await?, read("plan").await?) else { return Ok(None) };
    let epoch: EpochRecord = unpack("the run's epoch", &epoch.value).map_err(failed)?;
    let plan: PlanRecord = unpack("the run's plan", &plan.value).map_err(failed)?;
    let bus = fabric.bus();
    let mut heard = bus.subscribe(&format!("{run}.hb.*")).await.map_err(failed)?;
    let mut beats: BTreeMap<u32, Heartbeat> = BTreeMap::new();
    let listening = async {
        while let Ok(Some(beat)) = heard.next().await {
            if let Ok(beat) = unpack::<Heartbeat>("a heartbeat", beat.payload()) {
                beats.insert(beat.rid, beat);
            }
        }
    };
    // They come again and again, until the time is over.
    let _ = tokio::time::timeout(LISTEN, listening).await;
    let runners = beats.into_values().filter(|beat| beat.rid > 0).map(|beat| RunnerStatus {
        runner: beat.rid,
        phase: word(&beat.phase),
        running: beat.running,
        cpu_percent: beat.cpu_percent,
        clock_error: Duration::from_nanos(beat.clock_error),
        why: beat.why,
    });
    Ok(Some(Status {
        scenario: plan.test,
        state: word(&epoch.state),
        epoch: epoch.epoch,
        is_led: is_led(&*bus, &run).await,
        runners: runners.collect(),
        run,
    }))
}

/// A value's name as it is packed.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Stops the run that is under way: no new starts, and what runs may finish; or, `now`, what runs is cancelled. One that has no
/// controller is ended and forgotten, with all that it has recorded and that is not in files yet.
///
/// It gives the run's name, and does not wait for its end; `None` where there is none.
///
/// # Errors
/// The cluster cannot be used.
pub async fn stop(fabric: &dyn Fabric, now: bool) -> Result<Option<String>, ClusterError> {
    let failed = |cause| ClusterError::new("stop the run", cause);
    let Some(run) = current(fabric).await? else { return Ok(None) };
    match fabric.bus().request(&format!("{run}.stop"), vec![u8::from(now)], ANSWER_WITHIN).await {
        Ok(_) => return Ok(Some(run)),
        Err(error) if error.nobody_answers() => {}
        Err(error) => return Err(failed(error)),
    }
    let register = fabric.register(&run).await.map_err(failed)?;
    if let Some(entry) = register.get("epoch").await.map_err(failed)? {
        let epoch: EpochRecord = unpack("the run's epoch", &entry.value).map_err(failed)?;
        let over = EpochRecord { state: State::Over, term: epoch.term + 1, ..epoch };
        register.set_if("epoch", Some(entry.revision), pack(&over)).await.map_err(failed)?;
    }
    forget(fabric, &run).await.map_err(failed)?;
    Ok(Some(run))
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, scenario, state, epoch, is_led, runners } = self;
        let led = if *is_led { "" } else { ", without a controller" };
        writeln!(f, "{scenario}: {state}{led} (run {run}, member list {epoch})")?;
        for of in runners {
            write!(
                f,
                "  runner {:<4} {:<8} {:>8} running  {:>5.1} % CPU",
                of.runner, of.phase, of.running, of.cpu_percent
            )?;
            write!(f, "  clock ± {:?}", of.clock_error)?;
            match &of.why {
                Some(why) => writeln!(f, "  {why}")?,
                None => writeln!(f)?,
            }
        }
        if runners.is_empty() {
            writeln!(f, "  no runners are heard")?;
        }
        Ok(())
    }
}
