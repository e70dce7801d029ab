//! `completions SHELL`.
//!
//! It is apart from the scripts themselves, which clap writes.

use clap::{Arg, Command, value_parser};
use clap_complete::Shell;

pub(super) fn command() -> Command {
    Command::new("completions")
        .about("Prints a script that completes verbs, options, scenarios and journeys in a shell")
        .after_help(
            "For bash: source <(PROGRAM completions bash). The script completes what is typed for the program that made it, \
             found by its name in the PATH or by its path.",
        )
        .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell)).help("The shell"))
}
