//! `completions SHELL`: a script that knows this program's verbs, options and names.

use clap::ArgMatches;
use clap_complete::Shell;

use crate::fault::Fault;
use crate::{PASSED, Scenarios, args, config, journey, stdout};

/// Prints the script for the program of this name.
pub(crate) async fn run(scenarios: &Scenarios, program: &str, arguments: &ArgMatches) -> Result<u8, Fault> {
    let shell = *arguments.get_one::<Shell>("shell").ok_or_else(|| "which shell?".to_owned())?;
    let config = config::of_environment()?;
    let journeys = journey::names(scenarios, &config).await;
    let names: Vec<&str> = scenarios.names().collect();
    let mut command = args::command(&names, &journeys);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, program, &mut script);
    stdout::write(|stdout| stdout.write_all(&script))?;
    Ok(PASSED)
}
