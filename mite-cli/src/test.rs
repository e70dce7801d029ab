//! `scenario test NAME` and `journey test NAME`: runs a scenario, or one row of it, and prints its report.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use mite_core::{Config, Report, Run, Scenario, Verdict};

use crate::args::thresholds;
use crate::block::Block;
use crate::fault::Fault;
use crate::interrupt::Interrupts;
use crate::metrics::Metrics;
use crate::outputs::Outputs;
use crate::progress::Shown;
use crate::{FAILED, GENERATOR_LIMITED, INTERRUPTED, PASSED, Scenarios, colour, config, journey, stdout};

/// Runs the scenario that the arguments name.
pub(crate) async fn scenario(scenarios: &Scenarios, arguments: &ArgMatches, block: &Block) -> Result<u8, Fault> {
    let mut config = config::of(arguments)?;
    let scenario = scenarios.named_in(arguments, &mut config).await?;
    let name = arguments.get_one::<String>("name").map_or("", String::as_str);
    run(name, scenario, config, arguments, block).await
}

/// Runs the journey that the arguments name, at their volume.
pub(crate) async fn journey(scenarios: &Scenarios, arguments: &ArgMatches, block: &Block) -> Result<u8, Fault> {
    let found = journey::find(scenarios, arguments, &config::of(arguments)?).await?;
    if !arguments.get_flag("quiet") {
        found.tell_skipped();
    }
    // clap has a default.
    let volume = arguments.get_one::<f64>("volume").copied().unwrap_or(1.0);
    let title = format!("{} of {} at {volume} per second", found.journey, found.scenario_name);
    let scenario = found.scenario.only(found.row, move |_start: Duration, _end: Duration| volume);
    run(&title, scenario, found.config, arguments, block).await
}

/// Runs a scenario as the arguments say; `title` is what stands for it in the first line.
async fn run(
    title: &str,
    scenario: Scenario,
    config: Config,
    arguments: &ArgMatches,
    block: &Block,
) -> Result<u8, Fault> {
    let shown = Shown::new(title, arguments, block)?;
    let outputs = Outputs::open(arguments)?;
    let metrics = Metrics::open(arguments)?;
    let is_quiet = arguments.get_flag("quiet");
    let mut run = prepared(Run::new(thresholds::hold(scenario, arguments)).with_config(config), arguments);
    let interrupts = Interrupts::listen((!is_quiet).then(|| block.clone()))
        .map_err(|error| format!("failed to listen to Ctrl-C: {error}"))?;
    let metrics_line = metrics.line();
    run = metrics.add_to(run);
    let ends = run.ends();
    if !ends {
        run = run.until_stopped();
    }
    // What is refused here has started nothing.
    let handle = run.start().map_err(|error| error.to_string())?;
    if !is_quiet {
        eprintln!("running {title}{}", if ends { "" } else { " until Ctrl-C: nothing else ends it" });
        if let Some(line) = metrics_line {
            eprintln!("{line}");
        }
    }
    let told = handle.follow();
    let ended = tokio::select! {
        ended = interrupts.watch(handle) => ended,
        never = shown.follow(told) => match never {},
    };
    let (report, was_interrupted) = ended.map_err(|error| Fault::Failed(error.to_string()))?;
    let printed = if is_quiet { Ok(()) } else { stdout::print(&colour::for_stdout(&report)) };
    // The files first of all: who reads the other end may be gone.
    outputs.write(&report).map_err(Fault::Failed)?;
    printed?;
    Ok(code(&report, was_interrupted))
}

/// The run with the options that it was given.
fn prepared(mut run: Run, arguments: &ArgMatches) -> Run {
    let duration = |option: &str| arguments.get_one::<Duration>(option).copied();
    run = run.workers(arguments.get_one::<u16>("workers").map_or_else(cores, |workers| usize::from(*workers)));
    if let Some(folder) = arguments.get_one::<PathBuf>("recorder-dir") {
        run = run.recorder(folder);
    }
    if let Some(duration) = duration("duration") {
        run = run.stop_after(duration);
    }
    if let Some(duration) = duration("graceful-stop") {
        run = run.graceful_stop(duration);
    }
    if let Some(delay) = duration("start-delay") {
        run = run.start_delay(delay);
    }
    if let Some(warm_up) = duration("warm-up") {
        run = run.warm_up(warm_up);
    }
    if let Some(rate) = arguments.get_one::<f64>("spawn-rate") {
        run = run.spawn_rate(*rate);
    }
    if let Some(lag) = duration("max-start-lag") {
        run = run.max_start_lag(lag);
    }
    if let Some(part) = arguments.get_one::<f64>("min-achieved") {
        run = run.min_achieved(*part);
    }
    run
}

/// The exit code that tells how a run went.
pub(crate) fn code(report: &Report, was_interrupted: bool) -> u8 {
    match report.verdict {
        Verdict::Passed => PASSED,
        Verdict::GeneratorLimited => GENERATOR_LIMITED,
        Verdict::Aborted if was_interrupted => INTERRUPTED,
        _ => FAILED,
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
