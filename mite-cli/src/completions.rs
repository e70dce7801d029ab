//! `completions SHELL`: a script that knows this program's verbs, options and names.
//!
//! It is apart from the arguments, whose tree of commands it only reads.

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
    if shell == Shell::Fish {
        script.extend_from_slice(fish_names(program, &names, &journeys).as_bytes());
    }
    stdout::write(|stdout| stdout.write_all(&script))?;
    Ok(PASSED)
}

/// What clap's script for fish leaves out: the names that are no options.
fn fish_names(program: &str, scenarios: &[&str], journeys: &[String]) -> String {
    let line = |noun: &str, verbs: &str, names: String| {
        format!(
            "complete -c {program} -n \"__fish_seen_subcommand_from {noun}; and __fish_seen_subcommand_from {verbs}\" \
             -f -a \"{names}\"\n"
        )
    };
    line("scenario", "test preview", scenarios.join(" ")) + &line("journey", "test run", journeys.join(" "))
}
