//! A run over processes: a server of NATS, a target, a controller and runners, and what is known of the run from outside.
//!
//! It is apart from the tests, which say what happens to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mite_core::Report;
use mite_core::bus::{Fabric as _, Register};
use mite_core::schedule::{Schedule, Stripe};
use mite_nats::testing::Server;
use mite_nats::{Nats, Options};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::process::Process;
use crate::roles::{Data, Plan};
use crate::table::Findings;
use crate::target::{Arrival, Counted, Target, boot_nanos, count};

pub(crate) const SECOND: u64 = 1_000_000_000;
/// Longer than anything here takes that goes well.
const LONG: Duration = Duration::from_secs(60);

/// How late a start may arrive that counts for the second in which it was due.
const IN_TIME: u64 = SECOND / 2;

/// A number of some range that nobody can foresee.
pub(crate) fn random(range: std::ops::Range<u64>) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    range.start + RandomState::new().hash_one(0) % (range.end - range.start)
}

/// How a run is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) plan: Plan,
    pub(crate) runners: usize,
    pub(crate) lease: Duration,
    /// Where a runner finds the server, if not at its own address.
    pub(crate) ways: Vec<Option<String>>,
    /// Where the controller does.
    pub(crate) controller_way: Option<String>,
}

impl Setting {
    pub(crate) fn new(rate: u64, seconds: u64) -> Self {
        let plan = Plan { rate, seconds, series: 1, data: Data::None };
        Self { plan, runners: 3, lease: Duration::from_millis(800), ways: Vec::new(), controller_way: None }
    }
}

/// A run that is under way.
pub(crate) struct Cluster {
    pub(crate) setting: Setting,
    pub(crate) server: Server,
    pub(crate) nats: Nats,
    pub(crate) target: Target,
    pub(crate) controller: Process,
    /// By their numbers in the run, from 1.
    pub(crate) runners: BTreeMap<u32, Process>,
    /// How many of them were ever started.
    started: usize,
    /// The start of the run, in nanoseconds of the boot clock.
    pub(crate) origin: u64,
    register: Arc<dyn Register>,
}

/// What holds of the run, as far as tests look at it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[expect(clippy::struct_field_names, reason = "as the register has it")]
pub(crate) struct Epoch {
    pub(crate) epoch: u64,
    pub(crate) term: u64,
    origin: u64,
}

/// A list of members.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Members {
    /// From when on, in nanoseconds since the start.
    pub(crate) at: u64,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Member {
    pub(crate) rid: u32,
}

impl Members {
    pub(crate) fn has(&self, rid: u32) -> bool {
        self.members.iter().any(|member| member.rid == rid)
    }

    /// Whose a start is, where all weigh the same.
    pub(crate) fn owner(&self, k: u64) -> Option<u32> {
        let stripes = Stripe::by_weights(&vec![1; self.members.len()]);
        let owner = stripes.iter().position(|stripe| stripe.before(k + 1) > stripe.before(k))?;
        Some(self.members[owner].rid)
    }
}

/// What a test comes to, or why it could not be carried out.
pub(crate) type Outcome<T = ()> = Result<T, String>;

pub(crate) fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Cluster {
    /// Starts all processes, and waits until it is known when the run begins.
    pub(crate) async fn start(server: Server, setting: Setting) -> Outcome<Self> {
        let nats = Nats::connect(Options::new(server.url())).await.map_err(told)?;
        let target = Target::start().await;
        let way = setting.controller_way.clone().unwrap_or_else(|| server.url());
        let controller = Process::start("controller", &controller_arguments(&setting, &target, &way, false));
        let mut runners = BTreeMap::new();
        for number in 0..setting.runners {
            let way = setting.ways.get(number).cloned().flatten().unwrap_or_else(|| server.url());
            // One after the other, so that a runner's number is that of its way.
            let (rid, process) = start_runner(&setting, &way, number + 1).await?;
            runners.insert(rid, process);
        }
        let begun = started(&nats).await;
        let (run, origin) = begun.map_err(|error| format!("{error}\n{}", controller.log()))?;
        let register = nats.register(&run).await.map_err(told)?;
        let started = runners.len();
        Ok(Self { setting, server, nats, target, controller, runners, started, origin, register })
    }

    /// One more runner.
    pub(crate) async fn add_runner(&mut self, way: &str) -> Outcome<u32> {
        self.started += 1;
        let (rid, process) = start_runner(&self.setting, way, self.started).await?;
        self.runners.insert(rid, process);
        Ok(rid)
    }

    /// One of the runners that are there, at random.
    pub(crate) fn one(&self) -> u32 {
        let nth = random(0..self.runners.len() as u64) as usize;
        *self.runners.keys().nth(nth).expect("there are runners")
    }

    /// `kill -9` of a runner, which is none of them any more.
    pub(crate) fn kill(&mut self, runner: u32) {
        self.runners.remove(&runner).expect("it is a runner").kill9();
    }

    /// The same of one at random; its number.
    pub(crate) fn kill_one(&mut self) -> u32 {
        let runner = self.one();
        self.kill(runner);
        runner
    }

    /// `kill -9` of the server of NATS, which is started again at once.
    pub(crate) fn restart_server(&mut self) {
        tokio::task::block_in_place(|| {
            self.server.kill9();
            self.server.restart();
        });
    }

    /// Another controller, in the place of the first or beside it.
    pub(crate) fn start_controller(&self, stands_by: bool) -> Process {
        Process::start("controller", &controller_arguments(&self.setting, &self.target, &self.server.url(), stands_by))
    }

    /// Waits until so many nanoseconds have passed since the start of the run.
    pub(crate) async fn until(&self, since_start: u64) {
        let at = self.origin + since_start;
        sleep(Duration::from_nanos(at.saturating_sub(boot_nanos()))).await;
    }

    /// Nanoseconds since the start of the run.
    pub(crate) fn now(&self) -> u64 {
        boot_nanos().saturating_sub(self.origin)
    }

    pub(crate) async fn epoch(&self) -> Outcome<Epoch> {
        read(&*self.register, "epoch").await?.ok_or_else(|| "the run is over".to_owned())
    }

    pub(crate) async fn members(&self, epoch: u64) -> Outcome<Members> {
        read(&*self.register, &format!("members.{epoch}")).await?.ok_or_else(|| format!("there is no list {epoch}"))
    }

    /// Waits for a list of members after `epoch` which is so, and gives its number.
    pub(crate) async fn wait_for_list(&self, after: u64, is_so: impl Fn(&Members) -> bool) -> Outcome<(u64, Members)> {
        let (mut number, until) = (after + 1, boot_nanos() + 30 * SECOND);
        while boot_nanos() < until {
            if self.epoch().await?.epoch >= number {
                let list = self.members(number).await?;
                if is_so(&list) {
                    return Ok((number, list));
                }
                number += 1;
            } else {
                sleep(Duration::from_millis(10)).await;
            }
        }
        Err(format!("no such list of members came after number {after}"))
    }

    /// Waits for the report of a controller.
    pub(crate) async fn report(controller: &mut Process, setting: &Setting) -> Outcome<Report> {
        let within = Duration::from_secs(setting.plan.seconds) + LONG;
        let told = controller.says(&["report", "failed"], within).await;
        match told.map_err(|error| format!("{error}\n{}", controller.log()))? {
            (word, report) if word == "report" => serde_json::from_str(&report).map_err(|error| error.to_string()),
            (_, why) => Err(format!("the controller has failed: {why}\n{}", controller.log())),
        }
    }

    /// The report of the controller that began, once the run is over.
    pub(crate) async fn end(&mut self) -> Outcome<Report> {
        let setting = self.setting.clone();
        Self::report(&mut self.controller, &setting).await
    }

    /// The same, and what has arrived, with what has to hold of all runs held.
    pub(crate) async fn end_held(&mut self, findings: &mut Findings) -> Outcome<(Report, Arrived)> {
        let report = self.end().await?;
        let arrived = self.arrived();
        arrived.hold(findings, &report);
        Ok((report, arrived))
    }

    pub(crate) fn schedule(&self) -> Schedule {
        Schedule::new(self.setting.plan.model().resolve().expect("the plan makes sense"))
    }

    /// What has arrived, by the plan.
    pub(crate) fn arrived(&self) -> Arrived {
        let mut arrivals = self.target.arrivals();
        for arrival in &mut arrivals {
            arrival.at = arrival.at.saturating_sub(self.origin);
        }
        let planned = self.setting.plan.planned();
        let counted = count(&arrivals, planned);
        Arrived { arrivals, counted, schedule: self.schedule(), rate: self.setting.plan.rate, planned }
    }
}

/// What the target has seen, by times since the start of the run.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) counted: Counted,
    schedule: Schedule,
    rate: u64,
    planned: u64,
}

impl Arrived {
    pub(crate) fn due(&self, k: u64) -> u64 {
        self.schedule.due(k).unwrap_or(u64::MAX)
    }

    /// How many per cent of the starts that are due in some second between two times have not arrived in time, at the most. How late
    /// a busy machine makes a start is no matter of the plan, as long as it stays below [`IN_TIME`].
    pub(crate) fn off_plan(&self, from: u64, to: u64) -> f64 {
        let mut counts = vec![0_u64; (to.saturating_sub(from) / SECOND) as usize];
        for arrival in &self.arrivals {
            let due = self.due(arrival.k);
            if due >= from
                && arrival.at <= due + IN_TIME
                && let Some(count) = counts.get_mut(((due - from) / SECOND) as usize)
            {
                *count += 1;
            }
        }
        let off = |count: &u64| 100.0 * (*count as f64 - self.rate as f64).abs() / self.rate as f64;
        counts.iter().map(off).fold(0.0, f64::max)
    }

    /// How many of the starts that are missing are due between two times.
    pub(crate) fn missing_between(&self, from: u64, to: u64) -> u64 {
        self.counted.missing.iter().filter(|k| (from..to).contains(&self.due(**k))).count() as u64
    }

    /// How late starts that are due between two times arrived, in nanoseconds, in rising order.
    pub(crate) fn lateness(&self, from: u64, to: u64, runner: Option<u32>) -> Vec<u64> {
        let is_meant = |arrival: &&Arrival| {
            (from..to).contains(&self.due(arrival.k)) && runner.is_none_or(|runner| runner == arrival.runner)
        };
        let late = |arrival: &Arrival| arrival.at.saturating_sub(self.due(arrival.k));
        let mut lateness: Vec<u64> = self.arrivals.iter().filter(is_meant).map(late).collect();
        lateness.sort_unstable();
        lateness
    }

    /// By how much a runner's starts that are due between two times were off their due times, in the middle: nanoseconds, below
    /// zero where they were early.
    pub(crate) fn middle_offset(&self, from: u64, to: u64, runner: u32) -> i64 {
        let is_meant = |arrival: &&Arrival| arrival.runner == runner && (from..to).contains(&self.due(arrival.k));
        let off = |arrival: &Arrival| arrival.at.cast_signed() - self.due(arrival.k).cast_signed();
        let mut offsets: Vec<i64> = self.arrivals.iter().filter(is_meant).map(off).collect();
        offsets.sort_unstable();
        offsets.get(offsets.len() / 2).copied().unwrap_or(i64::MAX)
    }

    /// That nothing is missing.
    pub(crate) fn hold_whole(&self, findings: &mut Findings, report: &Report) {
        self.hold_missing(findings, report);
        findings.equal_in_time("missing starts", self.counted.missing.len(), 0);
        findings.equal_in_time("started by the report", report.journeys[0].started, self.planned);
    }

    /// That what is missing is what the report says was not started.
    pub(crate) fn hold_missing(&self, findings: &mut Findings, report: &Report) {
        let (row, missing) = (&report.journeys[0], self.counted.missing.len() as u64);
        findings.equal("missing starts are those reported", missing, row.fenced + row.lost + row.unstarted);
    }

    /// That each second between two times is within so many per cent of the plan.
    pub(crate) fn hold_off_plan(&self, findings: &mut Findings, from: u64, to: u64, most: f64) {
        findings.at_most("off the plan in some second", self.off_plan(from, to), most, "%");
    }

    /// That none came twice, and none from nowhere; and that the report's sums are those of the target.
    pub(crate) fn hold(&self, findings: &mut Findings, report: &Report) {
        self.hold_counts(findings, report);
        let (row, missing) = (&report.journeys[0], &self.counted.missing);
        findings.equal("planned by the report", row.planned, self.arrivals.len() as u64 + missing.len() as u64);
        findings.note(
            "missing | fenced, lost, unstarted by the report",
            format!("{} | {}, {}, {}", missing.len(), row.fenced, row.lost, row.unstarted),
        );
    }

    /// The same where data may run out, so that it is not known beforehand what is planned.
    pub(crate) fn hold_counts(&self, findings: &mut Findings, report: &Report) {
        let row = &report.journeys[0];
        findings.equal("starts that came twice", self.counted.doubles.len(), 0);
        findings.equal("starts that are not in the plan", self.counted.strange.len(), 0);
        let not_started = row.fenced + row.lost + row.unstarted + row.dropped + row.starved;
        findings.equal(
            "planned - (started + not started), by the report",
            row.planned.abs_diff(row.started + not_started),
            0,
        );
        let bugs: Vec<&String> = report.reasons.iter().filter(|reason| reason.contains("a bug of mite")).collect();
        findings.holds("the report names no bug", format!("{bugs:?}"), bugs.is_empty());
    }
}

fn controller_arguments(setting: &Setting, target: &Target, url: &str, stands_by: bool) -> Vec<String> {
    let mut arguments = setting.plan.arguments();
    arguments.extend([
        format!("nats={url}"),
        format!("target={}", target.address),
        format!("expect={}", setting.runners),
        format!("lease={}", setting.lease.as_millis()),
    ]);
    if stands_by {
        arguments.push("standby=yes".to_owned());
    }
    arguments
}

async fn start_runner(setting: &Setting, url: &str, number: usize) -> Outcome<(u32, Process)> {
    let mut arguments = setting.plan.arguments();
    arguments.extend([format!("nats={url}"), format!("name=runner-{number}")]);
    let mut process = Process::start("runner", &arguments);
    let (word, rest) =
        process.says(&["joined", "failed"], LONG).await.map_err(|error| format!("{error}\n{}", process.log()))?;
    if word == "failed" {
        return Err(format!("a runner has failed: {rest}"));
    }
    Ok((rest.parse().map_err(told)?, process))
}

async fn read<T: DeserializeOwned>(register: &dyn Register, key: &str) -> Outcome<Option<T>> {
    let entry = register.get(key).await.map_err(told)?;
    entry.map(|entry| rmp_serde::from_slice(&entry.value).map_err(told)).transpose()
}

/// The run that is under way, once it is known when it begins.
async fn started(nats: &Nats) -> Outcome<(String, u64)> {
    let directory = nats.register("mite").await.map_err(told)?;
    let until = boot_nanos() + 60 * SECOND;
    while boot_nanos() < until {
        if let Some(entry) = directory.get("run").await.map_err(told)? {
            let run = String::from_utf8_lossy(&entry.value).into_owned();
            let register = nats.register(&run).await.map_err(told)?;
            if let Some(Epoch { origin: origin @ 1.., .. }) = read(&*register, "epoch").await? {
                return Ok((run, origin));
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err("the run has not begun".to_owned())
}
