//! The options that verbs share: of the config, of the run, and of what is told of it.
//!
//! They are apart from the verbs, so that an option has one form and one help.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, value_parser};

use super::values;

/// What `--log-level` takes.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What `--progress` takes.
const PROGRESS: [&str; 4] = ["auto", "screen", "lines", "none"];

/// Where the config comes from.
pub(super) fn config() -> [Arg; 3] {
    let set = Arg::new("set")
        .long("set")
        .value_name("KEY=VALUE")
        .action(ArgAction::Append)
        .value_parser(|text: &str| values::key_value(text, '='))
        .help("Sets a key of the config; may be given several times");
    let add = Arg::new("add-to-config")
        .long("add-to-config")
        .value_name("KEY:VALUE")
        .action(ArgAction::Append)
        .value_parser(|text: &str| values::key_value(text, ':'))
        .help("The same in the form that Python's mite has");
    let file =
        Arg::new("config").long("config").value_name("FILE").value_parser(value_parser!(PathBuf)).help(
            "Sets the keys of a TOML file; MITE_CONF_key in the environment and the two options above win over it",
        );
    [set, add, file].map(|arg| arg.help_heading("Config"))
}

/// How the run goes.
pub(super) fn run() -> [Arg; 11] {
    let graceful = Arg::new("graceful-stop")
        .long("graceful-stop")
        .value_name("TIME")
        .value_parser(values::duration_or_zero)
        .default_value("30s")
        .help("How long journeys may go on after the last start");
    let delay = Arg::new("start-delay")
        .long("start-delay")
        .value_name("TIME")
        .value_parser(values::duration_or_zero)
        .help("Waits so long before the first start");
    let warm_up = Arg::new("warm-up")
        .long("warm-up")
        .value_name("TIME")
        .value_parser(values::duration_or_zero)
        .help("Leaves what is due in so long from the start out of the figures");
    let lag = Arg::new("max-start-lag")
        .long("max-start-lag")
        .value_name("TIME")
        .value_parser(values::duration)
        .default_value("10ms")
        .help("The run is generator limited when the p99 of the start lag is over this");
    let achieved = Arg::new("min-achieved")
        .long("min-achieved")
        .value_name("PART")
        .value_parser(values::part)
        .default_value("0.99")
        .help("The run is generator limited when it made less than this part of a row's starts");
    let recorder = recorder_dir().default_value("recorder-data");
    let sets = |name: &'static str, in_python: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).alias(in_python).value_name("NAME,…");
        arg.value_delimiter(',').action(ArgAction::Append).help(help)
    };
    let include =
        sets("include-stats", "stats-include-processors", "Works out only these sets of the scenario's metrics");
    let exclude = sets("exclude-stats", "stats-exclude-processors", "Leaves these sets of the scenario's metrics out");
    [duration(), graceful, delay, warm_up, spawn_rate(), workers(), recorder, lag, achieved, include, exclude]
        .map(|arg| arg.help_heading("Run"))
}

/// Where every message of the run goes besides, if anywhere.
pub(super) fn collector() -> [Arg; 3] {
    let folder = Arg::new("collector-dir")
        .long("collector-dir")
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .help("Writes every message of the run to files in this folder");
    let roll = Arg::new("collector-roll")
        .long("collector-roll")
        .value_name("MESSAGES")
        .value_parser(value_parser!(u64).range(1..))
        .default_value("100000")
        .help("Begins another file after so many");
    let json = Arg::new("collector-use-json")
        .long("collector-use-json")
        .action(ArgAction::SetTrue)
        .requires("collector-dir")
        .help("Writes lines of JSON in the place of MessagePack");
    [folder, roll, json].map(|arg| arg.help_heading("Messages"))
}

pub(super) fn workers() -> Arg {
    Arg::new("workers")
        .long("workers")
        .value_name("N")
        .value_parser(value_parser!(u16).range(1..=1024))
        .help("Worker threads [default: one for each core]")
}

pub(super) fn quiet() -> Arg {
    Arg::new("quiet")
        .long("quiet")
        .short('q')
        .action(ArgAction::SetTrue)
        .help("Prints nothing but errors: the exit code tells how it went")
}

pub(super) fn duration() -> Arg {
    Arg::new("duration")
        .long("duration")
        .value_name("TIME")
        .value_parser(values::duration)
        .help("Ends the run after so long: `30s`, `5m`, `1h`")
}

pub(super) fn spawn_rate() -> Arg {
    Arg::new("spawn-rate")
        .long("spawn-rate")
        .value_name("PER SECOND")
        .value_parser(values::rate)
        .help("How fast a number running at once may rise")
}

pub(super) fn recorder_dir() -> Arg {
    Arg::new("recorder-dir")
        .long("recorder-dir")
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .help("Where journeys' data is recorded")
}

/// To whom figures are told while it runs.
pub(super) fn metrics() -> impl IntoIterator<Item = Arg> {
    #[cfg(feature = "prometheus")]
    return super::metrics::options();
    #[cfg(not(feature = "prometheus"))]
    return [];
}

/// What is told of the run, and where.
pub(super) fn outputs() -> [Arg; 7] {
    let json = file("json", "Writes the report as JSON");
    let [html, junit, csv] = forms();
    let progress = Arg::new("progress")
        .long("progress")
        .value_name("HOW")
        .default_value("auto")
        .value_parser(PossibleValuesParser::new(PROGRESS))
        .help("What is shown on standard error while it runs; `auto`: a screen on a terminal, and lines elsewhere");
    [json, html, junit, csv, progress, quiet(), log_level()].map(|arg| arg.help_heading("Output"))
}

/// What can be made of a report, besides the JSON that holds all of it.
pub(super) fn forms() -> [Arg; 3] {
    let html = file("html", "Writes the report as a page for people");
    let junit = file("junit", "Writes the report as JUnit XML, for CI");
    let csv = file("csv", "Writes the report's seconds as CSV");
    [html, junit, csv]
}

fn file(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
}

pub(super) fn log_level() -> Arg {
    Arg::new("log-level")
        .long("log-level")
        .value_name("LEVEL")
        .default_value("warn")
        .value_parser(PossibleValuesParser::new(LEVELS))
        .help("What is logged to standard error")
}
