//! `scenario preview NAME`: the plan, drawn.

use std::time::Duration;

use clap::ArgMatches;
use mite_core::Run;

use crate::fault::Fault;
use crate::{PASSED, Scenarios, config, stdout};

/// Draws what the scenario that the arguments name would start.
pub(crate) async fn run(scenarios: &Scenarios, arguments: &ArgMatches) -> Result<u8, Fault> {
    let mut config = config::of(arguments)?;
    let scenario = scenarios.named_in(arguments, &mut config).await?;
    let mut run = Run::new(scenario);
    if let Some(duration) = arguments.get_one::<Duration>("duration") {
        run = run.stop_after(*duration);
    }
    if let Some(rate) = arguments.get_one::<f64>("spawn-rate") {
        run = run.spawn_rate(*rate);
    }
    let preview = run.preview().map_err(|error| error.to_string())?;
    stdout::print(&preview.to_string())?;
    Ok(PASSED)
}
