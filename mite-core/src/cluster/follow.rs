//! Following a run from a process of its own: what it is about, and how its sinks are fed.
//!
//! It is apart from the [`follower`](super::follower), which carries this out, since a program has to make the scenario in between.

use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::attendance::{Attended, COLLECTOR, attend};
use super::error::ClusterError;
use super::follower;
use super::join::planned;
use super::members::other_build;
use super::news::{Begun, Part};
use super::places::random;
use crate::Config;
use crate::bus::Fabric;
use crate::names::Names;
use crate::report::Report;
use crate::run::error::RunError;
use crate::run::{Run, RunHandle};
use crate::sink::queue::SinkQueue;

/// Somebody who follows a run, as it asks to.
#[derive(Debug, Clone)]
pub struct Follow {
    /// What people should call it: `host (process 7)`.
    pub name: String,
    /// What tells this program from any other build of it: a hash of its file.
    pub binary: String,
    /// Whether its sinks take the messages of all journeys, as a collector does; it waits for a run that is led with
    /// [`Lead::with_collector`](super::Lead::with_collector) then. The figures they have in any case.
    pub collects: bool,
}

/// A run that is followed.
pub struct Following {
    fabric: Arc<dyn Fabric>,
    attended: Attended,
    collects: bool,
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").field("run", &self.attended.run).finish_non_exhaustive()
    }
}

/// Waits for a run and follows it: what its runners tell goes to sinks of this process, as a
/// [`Collector`](crate::Collector) or an exporter, and comes to the same figures as its controller has.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use mite_core::bus::Fabric;
/// use mite_core::cluster::{Follow, follow};
/// use mite_core::{Collector, Result, Run, Scenario};
///
/// async fn collect(fabric: Arc<dyn Fabric>, scenario: impl Fn() -> Scenario) -> Result {
///     let me = Follow { name: "collector".to_owned(), binary: "build 7".to_owned(), collects: true };
///     let following = follow(fabric, me).await?;
///     let run = Run::new(scenario()).sink(Collector::new("collector-data"));
///     println!("{}", following.start(run)?.await?);
///     Ok(())
/// }
/// ```
///
/// # Errors
/// [`ClusterError`]: the run is of another build of the program, or the cluster cannot be used.
pub async fn follow(fabric: Arc<dyn Fabric>, follow: Follow) -> Result<Following, ClusterError> {
    let Follow { name, binary, collects } = follow;
    let own = format!("follower-{:x}", random());
    let who = if collects { COLLECTOR } else { &own };
    let attended = attend(&*fabric, (who, &name), |plan| {
        if plan.binary != binary {
            return Err(ClusterError::refused(other_build(&name, &binary, &plan.binary)));
        }
        Ok(plan.with_collector || !collects)
    });
    let attended = attended.await?;
    Ok(Following { fabric, attended, collects })
}

impl Following {
    /// The name of the scenario that is run, which the program has to make.
    pub fn scenario(&self) -> &str {
        &self.attended.plan.scenario
    }

    /// The config of the run, for the scenario function.
    pub fn config(&self) -> Config {
        Config::from_values(self.attended.plan.config.clone())
    }

    /// Feeds the sinks of this run, which was made of the scenario, and ends with the run that is followed. No journey, setup or
    /// teardown is called here, and nothing is judged. To stop this one ends it, not the run.
    ///
    /// # Errors
    /// As [`Run::start`], and [`RunError::Cluster`] where it is not the scenario that the controller has.
    pub fn start(self, run: Run) -> Result<RunHandle<Report>, RunError> {
        let mut run = planned(run, &self.attended.plan)?;
        if run.records_in_memory() || run.take_recorder().is_some() {
            let why =
                "what a run of a cluster records is written by its controller or its recorder, not by who follows it";
            return Err(ClusterError::refused(why).into());
        }
        let begin = Box::new(move |_, names, _, queues: &[SinkQueue]| self.begin(names, queues.to_vec()));
        run.only_watched().elsewhere(Part { follows: true, begin }).start()
    }

    fn begin(self, names: Arc<Names>, queues: Vec<SinkQueue>) -> Begun {
        let of = (self.fabric, self.attended, self.collects);
        let (commands, commanded) = mpsc::unbounded_channel();
        let (news, told) = mpsc::unbounded_channel();
        (commands, told, tokio::spawn(follower::follow(of, names, queues, commanded, news)))
    }
}
