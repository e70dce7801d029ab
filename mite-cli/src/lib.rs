//! The command line behind mite's `main!`: runs the scenarios of a program by name.
//!
//! `PROGRAM scenario test NAME --set key=value --json FILE`; the exit code says how it went (see [`run`]).

mod args;
mod interrupt;
mod scenarios;
mod test;

use std::process::ExitCode;

pub use interrupt::until_interrupted;
pub use scenarios::Scenarios;

/// The scenario passed.
const PASSED: u8 = 0;
/// Something failed: a journey, a threshold, the run itself.
const FAILED: u8 = 1;
/// Wrong usage or configuration: nothing was started.
const USAGE: u8 = 2;
/// The generator could not keep up with the plan.
const GENERATOR_LIMITED: u8 = 3;
/// Stopped by SIGINT.
const INTERRUPTED: u8 = 130;

/// Does what the process's arguments say, and gives the exit code: 0 passed, 1 failed, 2 wrong usage or configuration, 3
/// generator limited, 130 stopped by SIGINT after a clean end.
///
/// The first SIGINT (Ctrl-C) stops the run: no new starts, and what runs may finish. The second one ends it at once. What was
/// recorded is on disk in either case.
#[expect(clippy::needless_pass_by_value, reason = "a program hands its scenarios over once, in one expression")]
pub fn run(scenarios: Scenarios) -> ExitCode {
    run_with(&scenarios, std::env::args_os())
}

/// As [`run`], with arguments from elsewhere; the first one is the program's name.
pub fn run_with(
    scenarios: &Scenarios,
    arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
) -> ExitCode {
    let matches = match args::command(scenarios).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // clap has put help and version here too; nothing is left to say when that cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { USAGE.into() } else { PASSED.into() };
        }
    };
    let outcome = match matches.subcommand().and_then(|(_, verbs)| verbs.subcommand()) {
        Some(("test", arguments)) => test::run(scenarios, arguments),
        Some(("list", _)) => {
            for name in scenarios.names() {
                println!("{name}");
            }
            Ok(PASSED)
        }
        // clap has refused what is neither.
        _ => Err("what should be done? See `--help`".to_owned()),
    };
    outcome
        .unwrap_or_else(|message| {
            eprintln!("error: {message}");
            USAGE
        })
        .into()
}
