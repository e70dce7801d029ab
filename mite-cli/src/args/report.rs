//! `report show`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

use super::options;

pub(super) fn command() -> Command {
    let files = Arg::new("files")
        .value_name("FILE")
        .required(true)
        .action(ArgAction::Append)
        .value_parser(value_parser!(PathBuf))
        .help("What `--json` has written; `-` for standard input");
    let show = Command::new("show")
        .about("Prints reports that were written as JSON, or makes other files of one")
        .arg(files)
        .args(options::forms().map(|form| form.help_heading("Output")));
    Command::new("report")
        .about("Shows reports of earlier runs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(show)
}
