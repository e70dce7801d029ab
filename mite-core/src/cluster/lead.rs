//! Leading a run: what its controller is told of the cluster, and how the run is begun there.
//!
//! It is apart from the [`leader`](super::leader), which carries this out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::error::ClusterError;
use super::join::forwarded;
use super::leader::{self, Options};
use super::news::{Begun, Part};
use super::places::random;
use super::pools::{LostItems, PoolKind};
use super::protocol::{PlanRecord, VERSION};
use crate::bus::Fabric;
use crate::clock::unix_nanos;
use crate::names::Names;
use crate::run::error::RunError;
use crate::run::{Run, RunHandle};
use crate::runner::permit::boot_nanos;
use crate::sink::queue::SinkQueue;

/// How long a permit lasts unless told otherwise.
const LEASE: Duration = Duration::from_millis(800);
/// How long runners are waited for unless told otherwise.
const WITHIN: Duration = Duration::from_secs(60);

/// What happens when a runner is lost: it is not heard any more, or has failed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum OnRunnerLoss {
    /// Its share goes to those that are left.
    #[default]
    Rebalance,
    /// The run fails.
    Fail,
    /// The run goes on as with [`OnRunnerLoss::Rebalance`] until more than so many per cent of its runners are lost.
    Tolerate(f64),
}

/// How a run is led on a cluster: see [`Run::lead`](crate::Run::lead).
#[derive(Debug, Clone)]
#[must_use = "it does nothing until a run is led by it"]
pub struct Lead {
    fabric: Arc<dyn Fabric>,
    binary: String,
    options: Options,
    lease: Duration,
    scenario: Option<String>,
}

impl Lead {
    /// One that waits for a single runner. `binary` is what tells this program from any other build of it, which is refused.
    pub fn new(fabric: Arc<dyn Fabric>, binary: impl Into<String>) -> Self {
        let options = Options {
            expect: 1,
            least: 1,
            within: WITHIN,
            on_loss: OnRunnerLoss::default(),
            stands_by: false,
            lost_items: LostItems::default(),
            record_to: None,
            with_recorder: false,
            with_collector: false,
            name: Arc::default(),
        };
        Self { fabric, binary: binary.into(), options, lease: LEASE, scenario: None }
    }

    /// The name by which runners make the scenario, where it is not the scenario's own: that of its function.
    pub fn scenario(mut self, name: impl Into<String>) -> Self {
        self.scenario = Some(name.into());
        self
    }

    /// How many runners are waited for: 1 unless told otherwise. The run begins once they are there.
    pub fn expect(mut self, runners: u32) -> Self {
        self.options.least = if self.options.least == self.options.expect { runners } else { self.options.least };
        self.options.expect = runners;
        self
    }

    /// With how many of them the run begins when the time for waiting is over: with all unless told otherwise.
    pub fn at_least(mut self, runners: u32) -> Self {
        self.options.least = runners;
        self
    }

    /// How long runners are waited for: a minute unless told otherwise.
    pub fn within(mut self, time: Duration) -> Self {
        self.options.within = time;
        self
    }

    /// Whether this controller stands by while another one leads a run of the same scenario, and takes over when that is gone. One
    /// that does not stand by takes over a run only if nobody leads it.
    pub fn standby(mut self, stands_by: bool) -> Self {
        self.options.stands_by = stands_by;
        self
    }

    /// What happens when a runner is lost.
    pub fn on_runner_loss(mut self, policy: OnRunnerLoss) -> Self {
        self.options.on_loss = policy;
        self
    }

    /// What becomes of the items that a lost runner had, of pools whose items are handed out once.
    pub fn lost_items(mut self, policy: LostItems) -> Self {
        self.options.lost_items = policy;
        self
    }

    /// Whether what journeys record is written by a recorder that is a process of its own, see [`record`](super::record), which is
    /// waited for as runners are. Without, the controller writes it where [`Run::recorder`](crate::Run::recorder) says.
    pub fn with_recorder(mut self, is_recorded: bool) -> Self {
        self.options.with_recorder = is_recorded;
        self
    }

    /// Whether runners hand on all messages to a collector that is a process of its own, see [`follow`](super::follow), which is
    /// waited for as runners are. The load does not wait for it: messages that it does not take in time are dropped, and the report
    /// tells how many.
    pub fn with_collector(mut self, is_collected: bool) -> Self {
        self.options.with_collector = is_collected;
        self
    }

    /// For how long a runner goes on that cannot reach the cluster: 800 ms unless told otherwise. The share of one that is lost goes
    /// to others so much later.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// A run that is led so, and what journeys record is written to this folder, if to any. What setup and teardown send, which are
    /// called in this process, goes where all goes that runners send.
    fn prepare(&mut self, run: Run, folder: Option<PathBuf>) -> Run {
        let Options { with_recorder, with_collector, name, .. } = &self.options;
        let is_recorded = *with_recorder || folder.is_some();
        let run = forwarded(run, is_recorded, *with_collector, &self.fabric, name, (0, random() | 1));
        self.options.record_to = folder.filter(|_| !self.options.with_recorder);
        run
    }

    /// What makes no sense in it, in words.
    fn mistake(&self) -> Option<String> {
        let Options { expect, least, on_loss, .. } = &self.options;
        if *least == 0 || least > expect {
            return Some(format!("a run begins with from 1 to all of its {expect} runners, not with {least}"));
        }
        if let OnRunnerLoss::Tolerate(percent) = on_loss
            && !(0.0..=100.0).contains(percent)
        {
            return Some(format!("`tolerate` takes from 0 to 100 per cent, not {percent}"));
        }
        if !(Duration::from_millis(300)..=Duration::from_secs(600)).contains(&self.lease) {
            return Some(format!("a lease is from 300 ms to 10 minutes, not {:?}", self.lease));
        }
        None
    }

    /// Begins a run; its plan is this one but for what only the cluster knows.
    fn begin(self, plan: PlanRecord, names: Arc<Names>, pools: Vec<PoolKind>) -> Begun {
        let (commands, commanded) = mpsc::unbounded_channel();
        let (news, told) = mpsc::unbounded_channel();
        let plan = PlanRecord {
            v: VERSION,
            binary: self.binary,
            scenario: self.scenario.unwrap_or_else(|| plan.test.clone()),
            // Ten minutes at the most, which fits.
            lease: self.lease.as_nanos() as u64,
            boot_id: boot_id(),
            boot_nanos: boot_nanos(),
            unix_nanos: unix_nanos(),
            is_recorded: self.options.record_to.is_some() || self.options.with_recorder,
            with_recorder: self.options.with_recorder,
            with_collector: self.options.with_collector,
            ..plan
        };
        let leader = tokio::spawn(leader::lead(self.fabric, (plan, pools), names, self.options, commanded, news));
        (commands, told, leader)
    }
}

impl Run {
    /// Starts the run with others than this process's own workers: it becomes the controller of a cluster, waits for runners, and
    /// adds up what they tell. The report, thresholds, sinks that watch, and the recorder's files are those of a run in one process.
    ///
    /// See [`cluster`](crate::cluster).
    ///
    /// # Errors
    /// As [`Run::start`]; [`RunError::Cluster`] where the cluster was told something that makes no sense.
    pub fn lead(mut self, mut lead: Lead) -> Result<RunHandle, RunError> {
        if let Some(mistake) = lead.mistake() {
            return Err(ClusterError::refused(mistake).into());
        }
        if self.records_in_memory() {
            let why =
                "a cluster's records go to files: give the run `recorder(…)` in the place of `record_in_memory()`";
            return Err(ClusterError::refused(why).into());
        }
        let folder = self.take_recorder();
        let run = lead.prepare(self, folder);
        let begin = Box::new(move |plan, names, pools, _: &[SinkQueue]| lead.begin(plan, names, pools));
        run.elsewhere(Part { follows: false, begin }).start()
    }
}

/// What tells one boot of one machine from any other, where the system has that.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}
