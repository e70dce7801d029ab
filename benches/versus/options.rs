//! What the command line says.
//! It is separate because cargo puts an option of its own among them.

use std::{path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, Command, value_parser};

/// What is measured, how often and for how long.
#[derive(Debug)]
pub(crate) struct Options {
    /// None for those that take some minutes.
    pub(crate) sections: Vec<String>,
    pub(crate) rounds: u32,
    /// Of one tool in one round.
    pub(crate) seconds: u32,
    /// How long the section `soak` is.
    pub(crate) soak: Duration,
    pub(crate) json: Option<PathBuf>,
    /// The page that is renewed.
    pub(crate) page: Option<PathBuf>,
    /// Nothing but the tables.
    pub(crate) quiet: bool,
}

impl Options {
    /// Ends the program where the command line is wrong, and says what is. `sections` tells which there are.
    pub(crate) fn from_command_line(sections: String) -> Self {
        let mut matches = command(sections).get_matches();
        let markdown = matches.remove_one::<PathBuf>("markdown");
        let number = |name: &str| matches.get_one::<u32>(name).copied().unwrap_or_default();
        Self {
            rounds: number("rounds"),
            seconds: number("seconds"),
            soak: Duration::from_secs(60) * number("minutes"),
            quiet: markdown.is_some(),
            page: markdown.filter(|page| !page.as_os_str().is_empty()),
            json: matches.get_one::<PathBuf>("json").cloned(),
            sections: matches.get_many::<String>("section").unwrap_or_default().cloned().collect(),
        }
    }
}

fn command(sections: String) -> Command {
    let number = |name: &'static str, default: &'static str, least: i64, help: &'static str| {
        let numbers = value_parser!(u32).range(least..);
        Arg::new(name).long(name).value_name("N").default_value(default).value_parser(numbers).help(help)
    };
    let path = |name: &'static str| Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf));
    Command::new("versus")
        .about("Compares mite with other load generators")
        .arg(Arg::new("section").value_name("SECTION").action(ArgAction::Append).help(sections))
        .arg(number("rounds", "5", 1, "How often each tool has its turn"))
        .arg(number("seconds", "4", 1, "How long a turn is"))
        .arg(number("minutes", "5", 2, "How long the section soak is"))
        .arg(path("json").help("Writes each round as JSON"))
        .arg(
            path("markdown")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("")
                .help("Prints the tables alone; with a file, renews what is between its marks"),
        )
        .arg(Arg::new("bench").long("bench").action(ArgAction::SetTrue).hide(true).help("Cargo says it"))
}
