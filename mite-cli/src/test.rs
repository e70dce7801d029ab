//! `scenario test NAME` and `journey test NAME`: runs a scenario, or one row of it, and prints its report.
//!
//! Both are one thing once the scenario is there: options become a run, and its report an exit code.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use mite_core::{Collector, Config, Report, Run, RunError, RunHandle, Scenario, Verdict};

use crate::args::thresholds;
use crate::baseline::Baseline;
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
    run(name, scenario, config, arguments, block, Run::start).await
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
    run(&title, scenario, found.config, arguments, block, Run::start).await
}

/// Runs a scenario as the arguments say; `title` is what stands for it in the first line, and `start` starts the run here or on a
/// cluster.
pub(crate) async fn run(
    title: &str,
    scenario: Scenario,
    config: Config,
    arguments: &ArgMatches,
    block: &Block,
    start: impl FnOnce(Run) -> Result<RunHandle, RunError>,
) -> Result<u8, Fault> {
    let baseline = Baseline::of(arguments)?;
    let shown = Shown::new(title, arguments, block)?;
    let outputs = Outputs::open(arguments)?;
    let metrics = Metrics::open(arguments)?;
    let is_quiet = arguments.get_flag("quiet");
    let mut run = prepared(Run::new(thresholds::hold(scenario, arguments)).with_config(config), arguments);
    if let Some(baseline) = &baseline {
        run = baseline.planned(run);
    }
    let interrupts = Interrupts::listen((!is_quiet).then(|| block.clone()))
        .map_err(|error| format!("failed to listen to Ctrl-C: {error}"))?;
    let metrics_line = metrics.line();
    run = metrics.add_to(run);
    let ends = run.ends();
    if !ends {
        run = run.until_stopped();
    }
    // What is refused here has started nothing.
    let handle = start(run).map_err(|error| match &baseline {
        Some(baseline) => baseline.told_of_start(&error),
        None => error.to_string(),
    })?;
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
    let (mut report, was_interrupted) = match ended {
        // A controller that stood by, and whose run has ended well without it.
        Err(RunError::Cluster(error)) if error.is_idle() => {
            if !is_quiet {
                block.say(&error.to_string());
            }
            return Ok(PASSED);
        }
        ended => ended.map_err(|error| Fault::Failed(error.to_string()))?,
    };
    let held = baseline.and_then(|baseline| baseline.hold(&mut report).map(|comparison| baseline.told(&comparison)));
    let mut text = colour::for_stdout(&report);
    if let Some(held) = held {
        text.extend(["\n", &held]);
    }
    let printed = if is_quiet { Ok(()) } else { stdout::print(&text) };
    // The files first of all: who reads the other end may be gone.
    outputs.write(&report).map_err(Fault::Failed)?;
    printed?;
    Ok(code(&report, was_interrupted))
}

/// The run with the options that it was given.
fn prepared(mut run: Run, arguments: &ArgMatches) -> Run {
    let duration = |option: &str| arguments.get_one::<Duration>(option).copied();
    // A controller of a cluster has no such option, nor the collector's.
    let workers = arguments.try_get_one::<u16>("workers").ok().flatten();
    run = run.workers(workers.map_or_else(cores, |workers| usize::from(*workers)));
    if let Some(folder) = arguments.get_one::<PathBuf>("recorder-dir") {
        run = run.recorder(folder);
    }
    if let Ok(Some(folder)) = arguments.try_get_one::<PathBuf>("collector-dir") {
        run = run.sink(collector(folder, arguments));
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
    // `journey test` has no such option.
    if let Ok(Some(rate)) = arguments.try_get_one::<f64>("spawn-rate") {
        run = run.spawn_rate(*rate);
    }
    if let Some(lag) = duration("max-start-lag") {
        run = run.max_start_lag(lag);
    }
    if let Some(part) = arguments.get_one::<f64>("min-achieved") {
        run = run.min_achieved(*part);
    }
    if let Some(sets) = arguments.get_many::<String>("include-stats") {
        run = run.include_stats(sets);
    }
    if let Some(sets) = arguments.get_many::<String>("exclude-stats") {
        run = run.exclude_stats(sets);
    }
    run
}

pub(crate) fn collector(folder: &Path, arguments: &ArgMatches) -> Collector {
    let mut collector = Collector::new(folder);
    if let Some(messages) = arguments.get_one::<u64>("collector-roll") {
        collector = collector.roll_after(*messages);
    }
    if arguments.get_flag("collector-use-json") { collector.json_lines() } else { collector }
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

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use mite_core::stats::{Counter, Stats, matcher_by_type};
    use mite_core::volume::{MINUTE, at_once};
    use mite_core::{Context, NoData, Row};

    use super::*;
    use crate::args::command;

    /// The metrics that are left, by these options.
    fn metrics(options: &str) -> Result<Vec<String>, RunError> {
        let set = |name: &str| Stats::new(name).with(Counter::new(name, matcher_by_type(["txn"])));
        let row = Row::new(async |_ctx: &mut Context| Ok(()), NoData, at_once(1)).named("browse");
        let scenario = Scenario::new().row(row).stats(set("shop")).stats(set("bank")).stats(set("queue"));
        let line = format!("mite scenario test visits {options}");
        let matches = command(&["visits"], &[]).try_get_matches_from(line.split_whitespace()).unwrap();
        let Some((_, scenarios)) = matches.subcommand() else { panic!("no verb in {line}") };
        let Some((_, arguments)) = scenarios.subcommand() else { panic!("no verb in {line}") };
        let run = prepared(Run::new(scenario), arguments).max_start_lag(MINUTE);
        Ok(run.run_blocking()?.metrics.into_iter().map(|metric| metric.name).collect())
    }

    #[test]
    fn sets_of_metrics_are_chosen_by_name() {
        let cases = [
            ("", Ok(vec!["shop", "bank", "queue"])),
            ("--include-stats shop,queue", Ok(vec!["shop", "queue"])),
            ("--include-stats shop --include-stats bank", Ok(vec!["shop", "bank"])),
            ("--exclude-stats shop,bank", Ok(vec!["queue"])),
            ("--include-stats shop,bank --exclude-stats bank", Ok(vec!["shop"])),
            // As Python's mite has them.
            ("--stats-include-processors shop,bank --stats-exclude-processors bank", Ok(vec!["shop"])),
            (
                "--include-stats shops",
                Err(
                    "there is no set of metrics named \"shops\" (did you mean \"shop\"?): there is \"shop\", \"bank\", \"queue\"",
                ),
            ),
        ];
        for (options, expected) in cases {
            let told = metrics(options).map_err(|error| error.to_string());
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(told, expected.map_err(str::to_owned), "{options}");
        }
    }
}
