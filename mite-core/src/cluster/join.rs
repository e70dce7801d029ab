//! Coming into a run of a cluster: finding it, being let in, and learning what it is about.
//!
//! It is apart from taking part, since a program has to make the scenario in between.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::clock_reading::{CLOCK_READINGS, read_clock};
use super::error::ClusterError;
use super::joined::Joined;
use super::places::{current, random};
use super::protocol::{Hello, PlanRecord, VERSION, Welcome, pack, unpack};
use super::records::messages::MessageSink;
use super::records::sink::RecordSink;
use super::runner::{self, TookPart};
use crate::Config;
use crate::bus::{BusError, Fabric};
use crate::run::error::RunError;
use crate::run::{Run, RunHandle};

/// How long the controller's answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How often a run is looked for that is not there yet, or has no controller.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a runner is, as it asks to take part.
#[derive(Debug, Clone)]
pub struct Join {
    /// What people should call it: `host (process 7)`.
    pub name: String,
    /// What tells this program from any other build of it: a hash of its file.
    pub binary: String,
    /// Its worker threads, which are also its part of the plan beside others'.
    pub workers: u32,
}

/// Waits for a run, asks to take part in it, and is let in.
///
/// It waits for as long as it takes: whoever starts runners before their controller drops the future when they have waited long
/// enough.
///
/// # Errors
/// [`ClusterError`]: it was refused, as another build of the program is, or the cluster cannot be used.
pub async fn join(fabric: Arc<dyn Fabric>, join: Join) -> Result<Joined, ClusterError> {
    let boot = random() | 1;
    let mut told = None;
    loop {
        match current(&*fabric).await {
            Ok(Some(run)) => match let_in(&fabric, &run, &join, boot).await {
                Ok(joined) => return Ok(joined),
                // It has gone, or its controller has, or it has only just begun.
                Err(Refusal::Later(why)) => {
                    if told.as_ref() != Some(&run) {
                        tracing::info!(run, "waiting for the run: {why}");
                        told = Some(run);
                    }
                }
                Err(Refusal::Never(error)) => return Err(error),
            },
            Ok(None) => {}
            Err(error) if error.is_passing() => tracing::debug!("looked for a run again: {error}"),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

enum Refusal {
    Later(BusError),
    Never(ClusterError),
}

async fn let_in(fabric: &Arc<dyn Fabric>, run: &str, join: &Join, boot: u64) -> Result<Joined, Refusal> {
    let register = fabric.register(run).await.map_err(Refusal::Later)?;
    let plan = register.get("plan").await.map_err(Refusal::Later)?;
    let plan = plan.ok_or_else(|| Refusal::Later(BusError::not_found("it has no plan yet")))?;
    let plan: PlanRecord = unpack("the run's plan", &plan.value)
        .map_err(|cause| Refusal::Never(ClusterError::new("read the run's plan", cause)))?;
    let bus = fabric.bus();
    let hello = Hello { v: VERSION, name: join.name.clone(), boot, binary: join.binary.clone(), weight: join.workers };
    let answer = bus.request(&format!("{run}.hello"), pack(&hello), ANSWER_WITHIN).await.map_err(Refusal::Later)?;
    let welcome = unpack("the controller's answer", &answer);
    let rid = match welcome.map_err(|cause| Refusal::Never(ClusterError::new("join the run", cause)))? {
        Welcome::Taken { rid } => rid,
        Welcome::Refused { why } => return Err(Refusal::Never(ClusterError::refused(why))),
    };
    let clock = read_clock(&*bus, &format!("{run}.clk"), CLOCK_READINGS).await.map_err(Refusal::Later)?;
    Ok(Joined { fabric: Arc::clone(fabric), run: run.to_owned(), rid, boot, plan, clock, workers: join.workers })
}

impl Joined {
    /// Takes part in the run with this scenario, which `run` was made of: its options are those of the controller, but for the
    /// workers and the sinks.
    ///
    /// # Errors
    /// As [`Run::start`], and [`RunError::Cluster`] where it is not the scenario that the controller has.
    pub fn start(self, run: Run) -> Result<RunHandle<TookPart>, RunError> {
        let plan = &self.plan;
        let mut run = planned(run, plan)?.workers(self.workers as usize);
        if let Some(most) = plan.max_running {
            run = run.max_running(most);
        }
        let name = Arc::new(OnceLock::from(self.run.clone()));
        run = forwarded(run, plan.is_recorded, plan.with_collector, &self.fabric, &name, (self.rid, self.boot));
        run.start_with(move |control| runner::run(control, self))
    }
}

/// A run whose process hands on what it records, and its messages, where that is wanted.
pub(super) fn forwarded(
    mut run: Run,
    is_recorded: bool,
    is_collected: bool,
    fabric: &Arc<dyn Fabric>,
    name: &Arc<OnceLock<String>>,
    (rid, boot): (u32, u64),
) -> Run {
    if is_recorded {
        run = run.first_sink(RecordSink::new(Arc::clone(fabric), Arc::clone(name), rid, boot));
    }
    if is_collected {
        run = run.sink(MessageSink::new(Arc::clone(fabric), Arc::clone(name), rid, boot));
    }
    run
}

/// A run with the options of the controller's.
///
/// # Errors
/// It is not of the scenario that the controller has.
pub(super) fn planned(run: Run, plan: &PlanRecord) -> Result<Run, RunError> {
    let nanos = Duration::from_nanos;
    let mut run = run
        .named(&plan.test)
        .with_config(Config::from_values(plan.config.clone()))
        .seed(plan.seed)
        .warm_up(nanos(plan.warm_up))
        .graceful_stop(nanos(plan.graceful_stop))
        .max_series_bytes(plan.max_series_bytes)
        .until_stopped();
    if let Some(end) = plan.stop_after {
        run = run.stop_after(nanos(end));
    }
    let rows = run.row_names();
    if rows != plan.rows {
        return Err(RunError::OtherScenario { here: rows.join(", "), there: plan.rows.join(", ") });
    }
    Ok(run)
}
