//! `controller`, `runner`, those who attend a run besides, and `cluster`: one run over many processes, on NATS.
//!
//! They are apart from the verbs of one process, of which the controller has all options and outputs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use mite_core::bus::Fabric;
use mite_core::cluster::{self, ClusterError, Follow, Join, Lead, LostItems, OnRunnerLoss};
use mite_core::{Config, Run, RunError, Scenario, SinkReport};
use mite_nats::{Nats, Options, program_hash};

use crate::block::Block;
use crate::fault::Fault;
use crate::interrupt::Interrupts;
use crate::test::{self, cores, run};
use crate::{FAILED, PASSED, Scenarios, config, stdout};

/// Connects as the arguments say; `role` is what the server calls the connection.
async fn connect(arguments: &ArgMatches, role: &str) -> Result<Arc<dyn Fabric>, Fault> {
    let file = |name: &str| arguments.get_one::<PathBuf>(name);
    // clap asks for a URL, and has a default for the prefix.
    let text = |name: &str| arguments.get_one::<String>(name).map_or("", String::as_str);
    let mut options = Options::new(text("nats")).prefix(text("cluster")).name(format!("mite {role}"));
    if let Some(file) = file("nats-creds") {
        options = options.credentials_file(file);
    }
    if let Some(file) = file("nats-nkey") {
        options = options.nkey_file(file);
    }
    if let Some(file) = file("nats-ca") {
        options = options.tls_roots(file);
    }
    if let (Some(certificate), Some(key)) = (file("nats-cert"), file("nats-key")) {
        options = options.client_certificate(certificate, key);
    }
    let nats = Nats::connect(options).await.map_err(|error| Fault::Usage(with_cause(&error)))?;
    Ok(Arc::new(nats))
}

/// An error with what led to it.
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn own_hash() -> Result<String, Fault> {
    program_hash().map_err(|error| Fault::Failed(format!("failed to read this program's own file: {error}")))
}

/// Leads a run of the scenario that the arguments name.
pub(crate) async fn controller(scenarios: &Scenarios, arguments: &ArgMatches, block: &Block) -> Result<u8, Fault> {
    let mut config = config::of(arguments)?;
    let scenario = scenarios.named_in(arguments, &mut config).await?;
    let name = arguments.get_one::<String>("name").map_or("", String::as_str);
    let binary = own_hash()?;
    let fabric = connect(arguments, "controller").await?;
    let number = |option: &str| arguments.get_one::<u32>(option).copied();
    let duration = |option: &str| arguments.get_one::<Duration>(option).copied();
    let mut lead = Lead::new(Arc::clone(&fabric), binary).scenario(name).expect(number("expect").unwrap_or(1));
    if let Some(least) = number("min") {
        lead = lead.at_least(least);
    }
    if let Some(timeout) = duration("timeout") {
        lead = lead.within(timeout);
    }
    if let Some(lease) = duration("lease") {
        lead = lead.lease(lease);
    }
    if let Some(policy) = arguments.get_one::<OnRunnerLoss>("on-runner-loss") {
        lead = lead.on_runner_loss(*policy);
    }
    if let Some(policy) = arguments.get_one::<LostItems>("lost-items") {
        lead = lead.lost_items(*policy);
    }
    lead = lead.standby(arguments.get_flag("standby"));
    lead = lead.with_recorder(arguments.get_flag("with-recorder")).with_collector(arguments.get_flag("with-collector"));
    let title = format!("{name} on {}", fabric.description());
    run(&title, scenario, config, arguments, block, |run: Run| run.lead(lead)).await
}

/// A process that attends runs: what all roles but the controller have in common.
struct Attending<'a> {
    scenarios: &'a Scenarios,
    fabric: Arc<dyn Fabric>,
    /// What the controller calls it.
    name: String,
    block: &'a Block,
    is_quiet: bool,
}

impl<'a> Attending<'a> {
    async fn open(
        scenarios: &'a Scenarios,
        arguments: &ArgMatches,
        block: &'a Block,
        role: &str,
    ) -> Result<Self, Fault> {
        let fabric = connect(arguments, role).await?;
        let name = arguments.get_one::<String>("name").cloned().unwrap_or_else(own_name);
        let attending = Self { scenarios, fabric, name, block, is_quiet: arguments.get_flag("quiet") };
        attending.say(&format!("waiting for a run on {}", attending.fabric.description()));
        Ok(attending)
    }

    fn say(&self, what: &str) {
        if !self.is_quiet {
            self.block.say(what);
        }
    }

    fn interrupts(&self) -> Result<Interrupts, Fault> {
        let told = (!self.is_quiet).then(|| self.block.clone());
        Ok(Interrupts::listen(told).map_err(|error| format!("failed to listen to Ctrl-C: {error}"))?)
    }

    /// Waits for a run; `None` where this process was told to end before one came.
    async fn find<T>(
        &self,
        found: impl Future<Output = Result<T, ClusterError>>,
        interrupts: &mut Interrupts,
    ) -> Result<Option<T>, Fault> {
        tokio::select! {
            found = found => found.map(Some).map_err(|error| Fault::Failed(error.to_string())),
            () = interrupts.first() => {
                self.say("it has taken part in no run");
                Ok(None)
            }
        }
    }

    /// The scenario of a run, made with the config of its controller.
    async fn scenario(&self, name: &str, mut config: Config) -> Result<Scenario, Fault> {
        let made = self.scenarios.make(name, &mut config).await;
        let made =
            made.ok_or_else(|| Fault::Failed(format!("this program has no scenario {name:?}: the controller's has")))?;
        made.map_err(|error| Fault::Failed(format!("scenario {name}: {error:?}")))
    }

    /// Follows a run with what `add` gives it.
    async fn follow(&self, collects: bool, add: impl FnOnce(Run) -> Run) -> Result<u8, Fault> {
        let mut interrupts = self.interrupts()?;
        let follow = Follow { name: self.name.clone(), binary: own_hash()?, collects };
        let following = cluster::follow(Arc::clone(&self.fabric), follow);
        let Some(following) = self.find(following, &mut interrupts).await? else { return Ok(PASSED) };
        let name = following.scenario().to_owned();
        self.say(&format!("following {name}"));
        let scenario = self.scenario(&name, following.config()).await?;
        let failed = |error: RunError| Fault::Failed(error.to_string());
        let handle = following.start(add(Run::new(scenario))).map_err(failed)?;
        match interrupts.watch(handle).await {
            Ok((report, _)) => {
                // One that wants figures alone has no messages to tell of.
                let told = report.sinks.iter().filter(|sink| sink.taken + sink.dropped > 0 || sink.failure.is_some());
                for SinkReport { sink, taken, dropped, failure, .. } in told {
                    let failure = failure.as_ref().map(|why| format!(", and failed: {why}"));
                    self.say(&format!(
                        "the {sink} has taken {taken} messages and dropped {dropped}{}",
                        failure.unwrap_or_default()
                    ));
                }
                self.say(&format!("{name} has ended"));
                Ok(if report.sinks.iter().all(|sink| sink.failure.is_none()) { PASSED } else { FAILED })
            }
            Err(RunError::Cluster(error)) if error.is_idle() => {
                self.say(&error.to_string());
                Ok(PASSED)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// Takes part in the run that is under way, or in the next one.
pub(crate) async fn runner(scenarios: &Scenarios, arguments: &ArgMatches, block: &Block) -> Result<u8, Fault> {
    let binary = own_hash()?;
    let attending = Attending::open(scenarios, arguments, block, "runner").await?;
    let workers = arguments.get_one::<u16>("workers").map_or_else(cores, |workers| usize::from(*workers)) as u32;
    loop {
        let mut interrupts = attending.interrupts()?;
        let join = Join { name: attending.name.clone(), binary: binary.clone(), workers };
        let joined = cluster::join(Arc::clone(&attending.fabric), join);
        let Some(joined) = attending.find(joined, &mut interrupts).await? else { return Ok(PASSED) };
        let (number, test) = (joined.runner(), joined.scenario().to_owned());
        attending.say(&format!("runner {number} of {test}, with {workers} workers"));
        let mut run = Run::new(attending.scenario(&test, joined.config()).await?);
        if let Some(folder) = arguments.get_one::<PathBuf>("collector-dir") {
            run = run.sink(test::collector(folder, arguments));
        }
        let failed = |error: RunError| Fault::Failed(error.to_string());
        let handle = joined.start(run).map_err(failed)?;
        let (took_part, was_interrupted) = interrupts.watch(handle).await.map_err(failed)?;
        if !took_part.has_begun && !was_interrupted {
            attending.say(&format!("runner {number}: the run has ended before it began. Waiting for another one"));
            continue;
        }
        let how = if took_part.has_left { "left the run before its end" } else { "ended with the run" };
        attending.say(&format!("runner {number} has {how}, and has started {} journeys", took_part.started));
        return Ok(PASSED);
    }
}

/// Records a run whose controller leaves that to it.
pub(crate) async fn recorder(arguments: &ArgMatches, block: &Block) -> Result<u8, Fault> {
    let none = Scenarios::default();
    let attending = Attending::open(&none, arguments, block, "recorder").await?;
    let folder = arguments.get_one::<PathBuf>("recorder-dir").cloned().unwrap_or_default();
    let mut interrupts = attending.interrupts()?;
    let recording = cluster::record(Arc::clone(&attending.fabric), &attending.name, folder);
    let Some(recorded) = attending.find(recording, &mut interrupts).await? else { return Ok(PASSED) };
    for warning in &recorded.warnings {
        attending.say(warning);
    }
    for (name, records) in &recorded.records {
        attending.say(&format!("{records} records of {name}"));
    }
    attending.say(&format!("{} has ended", recorded.scenario));
    Ok(PASSED)
}

/// Collects the messages of a run whose controller has runners hand them on.
pub(crate) async fn collector(scenarios: &Scenarios, arguments: &ArgMatches, block: &Block) -> Result<u8, Fault> {
    let attending = Attending::open(scenarios, arguments, block, "collector").await?;
    let folder = arguments.get_one::<PathBuf>("collector-dir").cloned().unwrap_or_default();
    attending.follow(true, |run| run.sink(test::collector(&folder, arguments))).await
}

/// Tells Prometheus of a run.
#[cfg(feature = "prometheus")]
pub(crate) async fn exporter(scenarios: &Scenarios, arguments: &ArgMatches, block: &Block) -> Result<u8, Fault> {
    let metrics = crate::metrics::Metrics::open(arguments)?;
    let attending = Attending::open(scenarios, arguments, block, "prometheus-exporter").await?;
    if let Some(line) = metrics.line() {
        attending.say(&line);
    }
    attending.follow(false, |run| metrics.add_to(run)).await
}

/// What a process is called that was given no name.
fn own_name() -> String {
    let host = std::fs::read_to_string("/etc/hostname").map(|name| name.trim().to_owned()).unwrap_or_default();
    let host = if host.is_empty() { "a host".to_owned() } else { host };
    format!("{host} (process {})", std::process::id())
}

/// Shows the run that is under way.
pub(crate) async fn status(arguments: &ArgMatches) -> Result<u8, Fault> {
    let fabric = connect(arguments, "status").await?;
    let status = cluster::status(&*fabric).await.map_err(|error| Fault::Failed(error.to_string()))?;
    let text = status.map_or_else(|| no_run(&*fabric), |status| status.to_string());
    stdout::print(&text)?;
    Ok(PASSED)
}

fn no_run(fabric: &dyn Fabric) -> String {
    format!("no run is under way on {}\n", fabric.description())
}

/// Stops the run that is under way.
pub(crate) async fn stop(arguments: &ArgMatches) -> Result<u8, Fault> {
    let fabric = connect(arguments, "stop").await?;
    let now = arguments.get_one::<String>("how").is_some_and(|how| how == "now");
    let stopped = cluster::stop(&*fabric, now).await.map_err(|error| Fault::Failed(error.to_string()))?;
    let text = stopped.map_or_else(|| no_run(&*fabric), |run| format!("run {run} was told to stop\n"));
    stdout::print(&text)?;
    Ok(PASSED)
}
