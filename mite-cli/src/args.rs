//! The arguments that the command line takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};

use crate::scenarios::Scenarios;

/// The whole command line, with the names of the scenarios in it.
pub(crate) fn command(scenarios: &Scenarios) -> Command {
    let name = Arg::new("name")
        .value_name("NAME")
        .required(true)
        .help("The scenario")
        .value_parser(PossibleValuesParser::new(scenarios.names().map(str::to_owned).collect::<Vec<_>>()));
    let set = Arg::new("set")
        .long("set")
        .value_name("KEY=VALUE")
        .action(ArgAction::Append)
        .value_parser(|text: &str| key_value(text, '='))
        .help("Sets a key of the config; may be given several times");
    let add = Arg::new("add-to-config")
        .long("add-to-config")
        .value_name("KEY:VALUE")
        .action(ArgAction::Append)
        .value_parser(|text: &str| key_value(text, ':'))
        .help("The same in the form that Python's mite has");
    let json = Arg::new("json")
        .long("json")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Writes the report as JSON");
    let workers = Arg::new("workers")
        .long("workers")
        .value_name("N")
        .value_parser(value_parser!(u16).range(1..=1024))
        .help("Worker threads [default: one for each core]");
    let recorder = Arg::new("recorder-dir")
        .long("recorder-dir")
        .value_name("DIR")
        .default_value("recorder-data")
        .value_parser(value_parser!(PathBuf))
        .help("Where journeys' data is recorded");
    let length = Arg::new("duration")
        .long("duration")
        .value_name("TIME")
        .value_parser(duration)
        .help("Ends the run after so long: `30s`, `5m`, `1h`");
    let graceful = Arg::new("graceful-stop")
        .long("graceful-stop")
        .value_name("TIME")
        .value_parser(duration_or_zero)
        .default_value("30s")
        .help("How long journeys may go on after the last start");
    let delay = Arg::new("start-delay")
        .long("start-delay")
        .value_name("TIME")
        .value_parser(duration_or_zero)
        .help("Waits so long before the first start");
    let warm_up = Arg::new("warm-up")
        .long("warm-up")
        .value_name("TIME")
        .value_parser(duration_or_zero)
        .help("Leaves what is due in so long from the start out of the figures");
    let spawn_rate = Arg::new("spawn-rate")
        .long("spawn-rate")
        .value_name("PER SECOND")
        .value_parser(value_parser!(f64))
        .help("How fast a number running at once may rise");
    let lag = Arg::new("max-start-lag")
        .long("max-start-lag")
        .value_name("TIME")
        .value_parser(duration)
        .default_value("10ms")
        .help("The run is generator limited when the p99 of the start lag is over this");
    let achieved = Arg::new("min-achieved")
        .long("min-achieved")
        .value_name("PART")
        .value_parser(part)
        .default_value("0.99")
        .help("The run is generator limited when it made less than this part of a row's starts");
    let test = Command::new("test")
        .about("Runs a scenario and prints its report")
        .args([name, set, add, json, workers, recorder, length, graceful, delay, warm_up, spawn_rate, lag, achieved]);
    let list = Command::new("list").about("Lists the scenarios");
    let scenario = Command::new("scenario")
        .about("Runs or lists scenarios")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([test, list]);
    Command::new("mite")
        .about("Runs this program's load test scenarios")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(scenario)
}

fn key_value(text: &str, separator: char) -> Result<(String, String), String> {
    match text.split_once(separator) {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("write it as KEY{separator}VALUE")),
    }
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "write it as a number from 0 to 1".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text)? {
        Duration::ZERO => Err("it is zero".to_owned()),
        duration => Ok(duration),
    }
}

/// `250ms`, `30s`, `1.5m`, `2h`, or plain seconds.
fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as a number and a unit: `250ms`, `30s`, `5m`, `1h`".to_owned();
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command(&Scenarios::new()).debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration_or_zero("0s"), Ok(Duration::ZERO));
        for wrong in ["", "s", "1d", "-1s", "1..s", "0s", "99999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn parts_are_from_none_to_all() {
        assert_eq!((part("0"), part("0.95"), part("1")), (Ok(0.0), Ok(0.95), Ok(1.0)));
        for wrong in ["", "95%", "1.01", "-0.1", "NaN"] {
            assert!(part(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_value_may_hold_the_separator() {
        assert_eq!(key_value("url=http://a/?b=c", '='), Ok(("url".into(), "http://a/?b=c".into())));
        assert_eq!(key_value("url:http://a", ':'), Ok(("url".into(), "http://a".into())));
        assert!(key_value("url", '=').is_err());
        assert!(key_value("=x", '=').is_err());
    }
}
