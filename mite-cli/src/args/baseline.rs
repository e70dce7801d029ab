//! The options that hold a run against an earlier one.
//!
//! They are apart from thresholds, which judge a run by itself.

use std::path::PathBuf;

use clap::{Arg, ArgAction, value_parser};

use super::values;

/// Of a run.
pub(super) fn options() -> [Arg; 3] {
    let baseline = Arg::new("baseline")
        .long("baseline")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Compares the run with an earlier one, of which `--json` has written the report");
    let [regression, anyway] = held();
    [baseline, regression.requires("baseline"), anyway.requires("baseline")].map(|arg| arg.help_heading("Pass or fail"))
}

/// Of reports too.
pub(super) fn held() -> [Arg; 2] {
    let regression = Arg::new("fail-on-regression")
        .long("fail-on-regression")
        .value_name("PERCENT")
        .value_parser(values::percent)
        .help("Fails when a figure is worse than in the baseline by more than this, and by more than the noise: `5%`");
    let anyway = Arg::new("compare-anyway")
        .long("compare-anyway")
        .action(ArgAction::SetTrue)
        .help("Compares runs of different plans too");
    [regression, anyway]
}
