//! `scenario test NAME`: runs a scenario and prints its report.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use mite_core::{Config, Run, Verdict};

use crate::interrupt::Interrupts;
use crate::{FAILED, GENERATOR_LIMITED, INTERRUPTED, PASSED, Scenarios};

/// Runs the scenario that the arguments name; an error is one of usage or configuration.
pub(crate) fn run(scenarios: &Scenarios, arguments: &ArgMatches) -> Result<u8, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("failed to start the runtime: {error}"))?;
    runtime.block_on(test(scenarios, arguments))
}

async fn test(scenarios: &Scenarios, arguments: &ArgMatches) -> Result<u8, String> {
    let name = arguments.get_one::<String>("name").ok_or("which scenario?")?;
    let mut config = config(arguments);
    let scenario = scenarios
        .make(name, &mut config)
        .await
        .ok_or_else(|| format!("there is no scenario {name:?}"))?
        .map_err(|error| format!("scenario {name}: {error:?}"))?;
    // Opened before the run: an hour's figures must not be lost to a folder that is not there.
    let json = arguments.get_one::<PathBuf>("json").map(|path| {
        File::create(path)
            .map(|file| (path, file))
            .map_err(|error| format!("failed to create {}: {error}", path.display()))
    });
    let json = json.transpose()?;

    let workers = arguments.get_one::<u16>("workers").map_or_else(cores, |workers| usize::from(*workers));
    let mut run = Run::new(scenario).with_config(config).workers(workers);
    if let Some(folder) = arguments.get_one::<PathBuf>("recorder-dir") {
        run = run.recorder(folder);
    }
    if let Some(duration) = arguments.get_one::<Duration>("duration") {
        run = run.stop_after(*duration);
    }
    if let Some(duration) = arguments.get_one::<Duration>("graceful-stop") {
        run = run.graceful_stop(*duration);
    }
    if let Some(delay) = arguments.get_one::<Duration>("start-delay") {
        run = run.start_delay(*delay);
    }
    if let Some(warm_up) = arguments.get_one::<Duration>("warm-up") {
        run = run.warm_up(*warm_up);
    }
    if let Some(rate) = arguments.get_one::<f64>("spawn-rate") {
        run = run.spawn_rate(*rate);
    }
    if let Some(lag) = arguments.get_one::<Duration>("max-start-lag") {
        run = run.max_start_lag(*lag);
    }
    if let Some(part) = arguments.get_one::<f64>("min-achieved") {
        run = run.min_achieved(*part);
    }
    let interrupts = Interrupts::listen().map_err(|error| format!("failed to listen to Ctrl-C: {error}"))?;
    let ends = run.ends();
    if !ends {
        run = run.until_stopped();
    }
    // What is refused here has started nothing.
    let handle = run.start().map_err(|error| error.to_string())?;
    eprintln!("running {name}{}", if ends { "" } else { " until Ctrl-C" });
    let report = match interrupts.watch(handle).await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(FAILED);
        }
    };
    print!("{report}");
    if let Some((path, mut file)) = json {
        let written = file.write_all(report.to_json().as_bytes()).and_then(|()| file.write_all(b"\n"));
        written.map_err(|error| format!("failed to write {}: {error}", path.display()))?;
    }
    Ok(match report.verdict {
        Verdict::Passed => PASSED,
        Verdict::GeneratorLimited => GENERATOR_LIMITED,
        // Nothing but an interrupt stops a run of the command line before its end.
        Verdict::Aborted => INTERRUPTED,
        _ => FAILED,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The environment's `MITE_CONF_key` first, then `--add-to-config` and `--set`: the later wins.
fn config(arguments: &ArgMatches) -> Config {
    let mut config = Config::new();
    for (key, value) in std::env::vars_os() {
        // What is no Unicode is none of ours.
        let (Some(key), Some(value)) = (key.to_str(), value.to_str()) else { continue };
        if let Some(key) = key.strip_prefix("MITE_CONF_").filter(|key| !key.is_empty()) {
            config.set(key, value);
        }
    }
    for option in ["add-to-config", "set"] {
        for (key, value) in arguments.get_many::<(String, String)>(option).into_iter().flatten() {
            config.set(key.as_str(), value);
        }
    }
    config
}
