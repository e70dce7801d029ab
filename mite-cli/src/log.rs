//! What is logged to standard error: mite's own events, and those of whatever the journeys use.
//!
//! It is apart from the screen, which it must not write into: lines of the log stand above it.

use clap::ArgMatches;
use clap::parser::ValueSource;
use tracing::level_filters::LevelFilter;

use crate::block::Block;

/// Logs from now on at the level that was asked for, above the block. A program that has a subscriber of its own keeps it.
pub(crate) fn start(arguments: &ArgMatches, block: &Block) {
    let block = block.clone();
    let Ok(Some(asked)) = arguments.try_get_one::<String>("log-level") else { return };
    let is_asked = arguments.value_source("log-level") == Some(ValueSource::CommandLine);
    let is_quiet = matches!(arguments.try_get_one::<bool>("quiet"), Ok(Some(true)));
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level(asked, is_asked, is_quiet))
        .with_writer(move || block.clone())
        .with_ansi(false)
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() && is_asked {
        eprintln!("warning: this program has a log of its own, and --log-level does not change it");
    }
}

fn level(asked: &str, is_asked: bool, is_quiet: bool) -> LevelFilter {
    if is_quiet && !is_asked {
        return LevelFilter::ERROR;
    }
    // clap takes no other words than these.
    asked.parse().unwrap_or(LevelFilter::WARN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_quiet_hears_of_errors_unless_asked_otherwise() {
        assert_eq!(level("warn", false, false), LevelFilter::WARN);
        assert_eq!(level("warn", false, true), LevelFilter::ERROR);
        assert_eq!(level("debug", true, true), LevelFilter::DEBUG);
        assert_eq!(level("off", true, false), LevelFilter::OFF);
    }
}
