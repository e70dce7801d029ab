//! The command line behind mite's `main!`: runs the scenarios of a program by name.
//!
//! `PROGRAM scenario test NAME --set key=value --json FILE`; the exit code says how it went (see [`run`]).

mod args;
mod baseline;
mod block;
mod cat;
#[cfg(feature = "nats")]
mod cluster;
mod colour;
mod completions;
mod config;
mod fault;
mod interrupt;
mod journey;
mod log;
#[cfg(feature = "prometheus")]
mod metrics;
#[cfg(not(feature = "prometheus"))]
#[path = "metrics/absent.rs"]
mod metrics;
mod outputs;
mod preview;
mod progress;
mod report;
mod scenarios;
mod stdout;
mod stored;
mod test;
mod visible;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use block::Block;
use clap::ArgMatches;
use fault::Fault;

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
/// generator limited, 130 stopped by SIGINT after a clean end. `--help` tells the verbs.
///
/// The first SIGINT (Ctrl-C) stops the run: no new starts, and what runs may finish. The second one ends it at once. What was
/// recorded is on disk in either case.
///
/// What mite and the journeys say by `tracing` goes to standard error, unless the program has set a subscriber of its own.
///
/// ```no_run
/// # use mite_core::volume::{SECOND, constant};
/// # use mite_core::{Context, NoData, Result, Scenario};
/// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
/// fn visitors() -> Scenario {
///     Scenario::new().journey(visit, NoData, constant(10, SECOND))
/// }
///
/// fn main() -> std::process::ExitCode {
///     mite_cli::run(mite_cli::Scenarios::new().add("visitors", visitors))
/// }
/// ```
#[expect(clippy::needless_pass_by_value, reason = "a program hands its scenarios over once, in one expression")]
pub fn run(scenarios: Scenarios) -> ExitCode {
    run_with(&scenarios, std::env::args_os())
}

/// As [`run`], with arguments from elsewhere; the first one is the program's name.
///
/// ```
/// # use mite_core::volume::{SECOND, constant};
/// # use mite_core::{Context, NoData, Result, Scenario};
/// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
/// fn visitors() -> Scenario {
///     Scenario::new().journey(visit, NoData, constant(10, SECOND))
/// }
///
/// let scenarios = mite_cli::Scenarios::new().add("visitors", visitors);
/// // The program's name comes first, as in `std::env::args_os`.
/// let code = mite_cli::run_with(&scenarios, ["shop", "scenario", "list"]);
/// # assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::SUCCESS));
/// ```
pub fn run_with(scenarios: &Scenarios, arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let names: Vec<&str> = scenarios.names().collect();
    let matches = match args::command(&names, &[]).try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // clap has put help and version here too; nothing is left to say when that cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { USAGE.into() } else { PASSED.into() };
        }
    };
    let program = arguments.first().map(Path::new).and_then(Path::file_stem).unwrap_or_default();
    let outcome = carry_out(scenarios, &program.to_string_lossy(), &matches);
    let code = outcome.unwrap_or_else(|fault| {
        eprintln!("error: {}", fault.message());
        fault.code()
    });
    code.into()
}

fn carry_out(scenarios: &Scenarios, program: &str, matches: &ArgMatches) -> Result<u8, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::Failed(format!("failed to start the runtime: {error}")))?;
    runtime.block_on(dispatch(scenarios, program, matches))
}

async fn dispatch(scenarios: &Scenarios, program: &str, matches: &ArgMatches) -> Result<u8, Fault> {
    let Some((noun, arguments)) = matches.subcommand() else { return Err(unknown()) };
    let Some((verb, arguments)) = arguments.subcommand() else {
        return match noun {
            "cat" => cat::cat(arguments),
            "uncat" => cat::uncat(arguments),
            "completions" => completions::run(scenarios, program, arguments).await,
            #[cfg(feature = "nats")]
            "controller" => cluster::controller(scenarios, arguments, &logged(arguments)).await,
            #[cfg(feature = "nats")]
            "runner" => cluster::runner(scenarios, arguments, &logged(arguments)).await,
            #[cfg(feature = "nats")]
            "recorder" => cluster::recorder(arguments, &logged(arguments)).await,
            #[cfg(feature = "nats")]
            "collector" => cluster::collector(scenarios, arguments, &logged(arguments)).await,
            #[cfg(all(feature = "nats", feature = "prometheus"))]
            "prometheus-exporter" => cluster::exporter(scenarios, arguments, &logged(arguments)).await,
            _ => Err(unknown()),
        };
    };
    let block = logged(arguments);
    match (noun, verb) {
        ("scenario", "test") => test::scenario(scenarios, arguments, &block).await,
        ("scenario", "preview") => preview::run(scenarios, arguments).await,
        ("scenario", "list") => {
            stdout::write(|stdout| scenarios.names().try_for_each(|name| writeln!(stdout, "{name}")))?;
            Ok(PASSED)
        }
        ("journey", "test") => test::journey(scenarios, arguments, &block).await,
        ("journey", "run") => journey::run(scenarios, arguments).await,
        ("report", "show") => report::show(arguments),
        ("report", "compare") => report::compare(arguments),
        #[cfg(feature = "nats")]
        ("cluster", "status") => cluster::status(arguments).await,
        #[cfg(feature = "nats")]
        ("cluster", "stop") => cluster::stop(arguments).await,
        _ => Err(unknown()),
    }
}

/// Where the screen is, with what is logged above it.
fn logged(arguments: &ArgMatches) -> Block {
    let block = Block::of_stderr();
    log::start(arguments, &block);
    block
}

/// clap has refused what is no verb.
fn unknown() -> Fault {
    Fault::Usage("what should be done? See `--help`".to_owned())
}
