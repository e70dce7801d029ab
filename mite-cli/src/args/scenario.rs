//! `scenario test`, `list` and `preview`.
//!
//! They are apart from those of journeys, since a scenario has its volume.

use clap::{Arg, Command};

use super::{baseline, one_of, options, thresholds};

pub(super) fn command(scenarios: &[&str]) -> Command {
    let name = Arg::new("name").value_name("NAME").required(true).help("The scenario").value_parser(one_of(scenarios));
    let test = Command::new("test")
        .about("Runs a scenario and prints its report")
        .arg(name.clone())
        .args(options::config())
        .args(options::run())
        .args(thresholds::options())
        .args(baseline::options())
        .args(options::collector())
        .args(options::metrics())
        .args(options::outputs());
    let preview = Command::new("preview")
        .about("Draws what a scenario would start and when, without running it")
        .arg(name)
        .args(options::config())
        .args([options::duration(), options::spawn_rate(), options::log_level()]);
    Command::new("scenario")
        .about("Runs, previews or lists scenarios")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([test, Command::new("list").about("Lists the scenarios"), preview])
}
