//! `journey test` and `run`.
//!
//! They are apart from those of scenarios, since they have a volume of their own.

use clap::{Arg, Command};

use super::{baseline, one_of, options, thresholds, values};

pub(super) fn command(journeys: &[String]) -> Command {
    let mut name = Arg::new("name").value_name("[SCENARIO:]NAME").required(true).help(
        "The journey: its function's name, its whole name as in the report, or either after a scenario's name. Without a \
         scenario each is looked through in turn",
    );
    if !journeys.is_empty() {
        name = name.value_parser(one_of(journeys));
    }
    let volume = Arg::new("volume")
        .long("volume")
        .value_name("PER SECOND")
        .default_value("1")
        .value_parser(values::rate)
        .help("How many journeys are started in each second");
    let test = Command::new("test")
        .about("Runs one journey of a scenario, with its data, at a volume of its own")
        .args([name.clone(), volume])
        .args(options::config())
        // A journey is tested at a rate, which does not rise.
        .args(options::run().into_iter().filter(|arg| arg.get_id() != "spawn-rate"))
        .args(thresholds::options())
        .args(baseline::options())
        .args(options::collector())
        .args(options::metrics())
        .args(options::outputs());
    let run = Command::new("run")
        .about("Runs a journey once and shows each request and response: the way to debug it")
        .after_help(
            "What is secret is masked. What the journey records is kept in memory only, unless `--recorder-dir` says where.",
        )
        .arg(name)
        .args(options::config())
        .args([options::recorder_dir(), options::log_level()]);
    Command::new("journey")
        .about("Runs one journey of a scenario, many times or once")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([test, run])
}
