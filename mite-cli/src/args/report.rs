//! `report show` and `compare`.
//!
//! They are apart from the verbs that run something: all they have is files.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

use super::{baseline, options};

pub(super) fn command() -> Command {
    let files = Arg::new("files")
        .value_name("FILE")
        .required(true)
        .action(ArgAction::Append)
        .value_parser(value_parser!(PathBuf))
        .help("What `--json` has written; `-` for standard input");
    let compared = files.clone().num_args(1).help("What `--json` has written; the first one is the baseline");
    let json = Arg::new("json")
        .long("json")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Writes the comparisons as JSON: a list with one for each report after the first");
    let compare = Command::new("compare")
        .about("Compares reports with an earlier one: what has changed by more than the noise between the halves of each run")
        .arg(compared)
        .args(baseline::held())
        .arg(json);
    let show = Command::new("show")
        .about("Prints reports that were written as JSON, or makes other files of one")
        .arg(files)
        .args(options::forms().map(|form| form.help_heading("Output")));
    Command::new("report")
        .about("Shows and compares reports of earlier runs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([show, compare])
}
