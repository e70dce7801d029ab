//! `cat` and `uncat`.
//!
//! They are apart from the other verbs, which run something or show a report.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

const FORMAT: &str = "What JSON cannot say is written as an object with one key: {\"$bin\": \"text\"}, {\"$bin64\": \"base64\"}, \
    {\"$str64\": \"base64\"} for text that is not UTF-8, {\"$ext\": [type, \"base64\"]}, {\"$f32\": 1.5}, {\"$f64\": \"NaN\"}, \
    {\"$raw\": \"hex\"}. A key that is no text is `$` and its JSON (\"$1\"), and one that begins with `$` has it twice.";

pub(super) fn commands() -> [Command; 2] {
    let file = Arg::new("file").value_name("FILE").value_parser(value_parser!(PathBuf));
    let prettify = Arg::new("prettify-timestamps")
        .long("prettify-timestamps")
        .action(ArgAction::SetTrue)
        .help("Writes `time`, `start_time` and `end_time` as dates; uncat does not turn them back");
    let cat = Command::new("cat")
        .about("Prints a file of MessagePack as lines of JSON")
        .after_help(FORMAT)
        .arg(file.clone().required(true).help("The file, recorded data for instance; `-` for standard input"))
        .arg(prettify);
    let uncat = Command::new("uncat")
        .about("Makes MessagePack of lines of JSON: the way back from cat")
        .after_help(FORMAT)
        .arg(file.default_value("-").help("The lines; `-` for standard input"));
    [cat, uncat]
}
