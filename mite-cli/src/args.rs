//! The command line as clap knows it: verbs, and the names in them.
//!
//! It is apart from what the verbs do, so that help, errors and completions can be looked at without doing anything.

mod baseline;
mod cat;
#[cfg(feature = "nats")]
mod cluster;
mod completions;
mod journey;
#[cfg(feature = "prometheus")]
mod metrics;
mod options;
mod report;
mod scenario;
pub(crate) mod thresholds;
mod values;

use clap::Command;
use clap::builder::PossibleValuesParser;

/// As wide as help gets on a wide terminal, where long lines are hard to read.
const WIDEST: usize = 100;

/// The whole command line. `journeys` are the names that completions know; where there are none, any name is taken and looked
/// for later, since scenarios are not made before one is asked for.
pub(crate) fn command(scenarios: &[&str], journeys: &[String]) -> Command {
    let command = Command::new("mite")
        .about("Runs this program's load test scenarios")
        .after_help(
            "Exit codes: 0 passed, 1 failed, 2 wrong usage or configuration, 3 the generator could not keep up, 130 stopped \
             by Ctrl-C.",
        )
        .max_term_width(WIDEST)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([scenario::command(scenarios), journey::command(journeys)])
        .subcommand(report::command())
        .subcommands(cat::commands())
        .subcommand(completions::command());
    #[cfg(feature = "nats")]
    let command = command.subcommands(cluster::commands(scenarios));
    command
}

fn one_of<S: AsRef<str>>(names: &[S]) -> PossibleValuesParser {
    PossibleValuesParser::new(names.iter().map(|name| name.as_ref().to_owned()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
