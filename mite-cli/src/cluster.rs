//! `controller`, `runner` and `cluster`: one run over many processes, on NATS.
//!
//! They are apart from the verbs of one process, of which the controller has all options and outputs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use mite_core::bus::Fabric;
use mite_core::cluster::{self, Join, Lead, LostItems, OnRunnerLoss};
use mite_core::{Config, Run, RunError};
use mite_nats::{Nats, Options, program_hash};

use crate::block::Block;
use crate::fault::Fault;
use crate::interrupt::Interrupts;
use crate::test::{collector, cores, run};
use crate::{PASSED, Scenarios, config, stdout};

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
    let title = format!("{name} on {}", fabric.description());
    run(&title, scenario, config, arguments, block, |run: Run| run.lead(lead)).await
}

/// Takes part in the run that is under way, or in the next one.
pub(crate) async fn runner(scenarios: &Scenarios, arguments: &ArgMatches, block: &Block) -> Result<u8, Fault> {
    let is_quiet = arguments.get_flag("quiet");
    let say = |what: &str| {
        if !is_quiet {
            block.say(what);
        }
    };
    let binary = own_hash()?;
    let fabric = connect(arguments, "runner").await?;
    let workers = arguments.get_one::<u16>("workers").map_or_else(cores, |workers| usize::from(*workers)) as u32;
    let name = arguments.get_one::<String>("name").cloned().unwrap_or_else(own_name);
    let mut interrupts = Interrupts::listen((!is_quiet).then(|| block.clone()))
        .map_err(|error| format!("failed to listen to Ctrl-C: {error}"))?;
    say(&format!("waiting for a run on {}", fabric.description()));
    let join = Join { name, binary, workers };
    let joined = tokio::select! {
        joined = cluster::join(Arc::clone(&fabric), join) => joined.map_err(|error| Fault::Failed(error.to_string()))?,
        () = interrupts.first() => {
            say("it has taken part in no run");
            return Ok(PASSED);
        }
    };
    let (number, test) = (joined.runner(), joined.scenario().to_owned());
    say(&format!("runner {number} of {test}, with {workers} workers"));
    let mut config: Config = joined.config();
    let made = scenarios.make(&test, &mut config).await;
    let made =
        made.ok_or_else(|| Fault::Failed(format!("this program has no scenario {test:?}: the controller's has")))?;
    let scenario = made.map_err(|error| Fault::Failed(format!("scenario {test}: {error:?}")))?;
    let mut run = Run::new(scenario);
    if let Some(folder) = arguments.get_one::<PathBuf>("collector-dir") {
        run = run.sink(collector(folder, arguments));
    }
    let failed = |error: RunError| Fault::Failed(error.to_string());
    let handle = joined.start(run).map_err(failed)?;
    let (took_part, _) = interrupts.watch(handle).await.map_err(failed)?;
    let how = if took_part.has_left { "left the run before its end" } else { "ended with the run" };
    say(&format!("runner {number} has {how}, and has started {} journeys", took_part.started));
    Ok(PASSED)
}

/// What a runner is called that was given no name.
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
