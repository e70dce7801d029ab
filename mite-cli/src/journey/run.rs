//! `journey run`: a journey once, with all that it does shown.
//!
//! It is apart from `journey test`, which measures, and shows no exchange.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::ArgMatches;
use mite_core::volume::{HOUR, at_once};
use mite_core::{Report, Run};

use super::{find, show};
use crate::block::Block;
use crate::fault::Fault;
use crate::interrupt::Interrupts;
use crate::test::code;
use crate::{FAILED, Scenarios, config, stdout};

/// Whoever looks at a journey may take their time.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Runs the journey that the arguments name once, with one item of its data.
pub(crate) async fn run(scenarios: &Scenarios, arguments: &ArgMatches) -> Result<u8, Fault> {
    let found = find(scenarios, arguments, &config::of(arguments)?).await?;
    found.tell_skipped();
    let folder = arguments.get_one::<PathBuf>("recorder-dir");
    let number = AtomicU64::new(0);
    let run = Run::new(found.scenario.only(found.row, at_once(1)))
        .with_config(found.config)
        .graceful_stop(PATIENCE)
        // This is not about time.
        .max_start_lag(HOUR)
        .min_achieved(0.0)
        .on_exchange(move |exchange| {
            let number = number.fetch_add(1, Ordering::Relaxed) + 1;
            // A reader that is gone is met again at the end.
            let _ = stdout::print(&show::exchange(number, exchange));
        });
    let run = match folder {
        Some(folder) => run.recorder(folder),
        None => run.record_in_memory(),
    };
    let interrupts =
        Interrupts::listen(Some(Block::of_stderr())).map_err(|error| format!("failed to listen to Ctrl-C: {error}"))?;
    let handle = run.start().map_err(|error| error.to_string())?;
    eprintln!("running {} of {} once", found.journey, found.scenario_name);
    let (report, was_interrupted) = interrupts.watch(handle).await.map_err(|error| Fault::Failed(error.to_string()))?;
    stdout::print(&show::summary(&report, folder.is_none()))?;
    let code = code(&report, was_interrupted);
    was_run(&report, code)?;
    Ok(code)
}

/// Whether there was data to run it with.
fn was_run(report: &Report, code: u8) -> Result<(), Fault> {
    if report.journeys.iter().any(|row| row.started > 0) || code > FAILED {
        return Ok(());
    }
    Err(Fault::Failed("it was not started: its data pool has no item for it".to_owned()))
}

#[cfg(test)]
mod tests {
    use mite_core::{Checkout, Config, Context, DataPool, NoData, Result, Scenario};

    use super::*;
    use crate::PASSED;

    /// A pool that turns out to be empty when it is asked.
    struct Empty;

    impl DataPool for Empty {
        type Item = ();

        async fn checkout(&self, _config: &Config) -> Result<Checkout<()>> {
            Ok(Checkout::Exhausted)
        }
    }

    async fn visit(_ctx: &mut Context) -> Result {
        Ok(())
    }

    fn report(scenario: Scenario) -> Report {
        Run::new(scenario).max_start_lag(HOUR).run_blocking().expect("it can be run")
    }

    #[test]
    fn a_journey_without_data_was_not_run() {
        let fault = was_run(&report(Scenario::new().journey(visit, Empty, at_once(1))), PASSED).unwrap_err();
        assert_eq!((fault.code(), fault.message()), (1, "it was not started: its data pool has no item for it"));
        assert!(was_run(&report(Scenario::new().journey(visit, NoData, at_once(1))), PASSED).is_ok());
    }
}
