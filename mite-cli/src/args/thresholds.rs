//! The options by which a run passes or fails: thresholds as text, and those that Python's mite has.
//!
//! They are apart from the other options, since they are read together: all of them become the scenario's thresholds.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use mite_core::threshold::{Threshold, all_requests, errors, max, mean, percentile, request_rate_stdev, stdev};
use mite_core::{Scenario, threshold};

use super::values;

const MAX_ERRORS: &str = "max-errors-threshold";
const MAX_TIME: &str = "max-response-time-threshold";
const MEAN_TIME: &str = "mean-response-time-threshold";
const TIME_STDEV: &str = "standard-deviation-response-time-threshold";
const RATE_STDEV: &str = "standard-deviation-req-sec-threshold";
const PERCENTILES: &str = "benchmark-percentiles";

pub(super) fn options() -> Vec<Arg> {
    let text = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("THRESHOLD")
            .action(ArgAction::Append)
            .value_parser(|text: &str| text.parse::<Threshold>())
            .help(help)
    };
    let delay = Arg::new("abort-delay")
        .long("abort-delay")
        .value_name("TIME")
        .value_parser(values::duration_or_zero)
        .default_value("0s")
        .help("How much is measured before --abort-when is looked at");
    let number = |name: &'static str, value_name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value_name).value_parser(value_parser!(u64)).help(help)
    };
    let percentiles = Arg::new(PERCENTILES)
        .long(PERCENTILES)
        .value_name("P:MS,…")
        .value_parser(pairs)
        .help("Percentiles of the requests' times, each with what it must be under: `50:20,99:300`; 0 is no limit");
    let all = vec![
        text(
            "threshold",
            "What a figure must be: `p99(\"Log in\") < 300 ms`, `error_rate() <= 0.1 % in each 10 s`; may be given several times",
        ),
        text(
            "abort-when",
            "Ends the run once a figure is so: `error_rate() > 50 % in each 10 s`; may be given several times",
        ),
        delay,
        number(MAX_ERRORS, "N", "The most errors that may be"),
        number(MAX_TIME, "MS", "The longest that a request may take; 0 is no limit"),
        number(MEAN_TIME, "MS", "The most that requests may take in the mean; 0 is no limit"),
        number(TIME_STDEV, "MS", "The most that their standard deviation may be; 0 is no limit"),
        number(RATE_STDEV, "N", "The most that the standard deviation of requests per second may be; 0 is no limit"),
        percentiles,
    ];
    all.into_iter().map(|arg| arg.help_heading("Pass or fail")).collect()
}

/// `50:0,99:300`: percentiles with milliseconds.
fn pairs(text: &str) -> Result<Vec<(f64, u64)>, String> {
    let pair = |pair: &str| {
        let (percent, millis) = pair.split_once(':')?;
        let percent = percent.trim().parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent))?;
        Some((percent, millis.trim().parse().ok()?))
    };
    let wrong = || "write it as percentiles with milliseconds: `50:20,99:300`".to_owned();
    text.split(',').map(|text| pair(text).ok_or_else(wrong)).collect()
}

/// The scenario, held to what the arguments say.
pub(crate) fn hold(mut scenario: Scenario, arguments: &ArgMatches) -> Scenario {
    for threshold in arguments.get_many::<Threshold>("threshold").into_iter().flatten() {
        scenario = scenario.threshold(threshold.clone());
    }
    for threshold in of_python(arguments) {
        scenario = scenario.threshold(threshold);
    }
    let delay = arguments.get_one::<Duration>("abort-delay").copied().unwrap_or_default();
    for condition in arguments.get_many::<Threshold>("abort-when").into_iter().flatten() {
        scenario = scenario.abort_when(condition.clone(), delay);
    }
    scenario
}

/// What Python's options mean; there, no error is allowed unless something else is said.
fn of_python(arguments: &ArgMatches) -> Vec<Threshold> {
    let number = |name: &str| arguments.get_one::<u64>(name).copied();
    let limit = |name: &str| number(name).filter(|limit| *limit > 0);
    let mut thresholds = Vec::new();
    thresholds.extend(limit(MAX_TIME).map(|millis| max(all_requests()).at_most(threshold::ms(millis))));
    thresholds.extend(limit(MEAN_TIME).map(|millis| mean(all_requests()).at_most(threshold::ms(millis))));
    thresholds.extend(limit(TIME_STDEV).map(|millis| stdev(all_requests()).at_most(threshold::ms(millis))));
    thresholds.extend(limit(RATE_STDEV).map(|rate| request_rate_stdev().at_most(rate as f64)));
    let pairs = arguments.get_one::<Vec<(f64, u64)>>(PERCENTILES).into_iter().flatten();
    let pairs = pairs.filter(|(_, millis)| *millis > 0);
    thresholds
        .extend(pairs.map(|(percent, millis)| percentile(*percent, all_requests()).under(threshold::ms(*millis))));
    let errors = |most| errors().at_most(most);
    match number(MAX_ERRORS) {
        Some(most) => thresholds.insert(0, errors(most)),
        None if !thresholds.is_empty() => thresholds.insert(0, errors(0)),
        None => {}
    }
    thresholds
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    fn thresholds(line: &str) -> Vec<String> {
        let command = Command::new("test").args(options());
        let arguments = command.try_get_matches_from(line.split(';')).unwrap();
        of_python(&arguments).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn pythons_options_are_thresholds() {
        assert!(thresholds("test").is_empty());
        assert_eq!(thresholds("test;--max-errors-threshold;5"), ["the count of errors at most 5"]);
        assert_eq!(
            thresholds("test;--max-response-time-threshold;900;--mean-response-time-threshold;0"),
            ["the count of errors at most 0", "the maximum of all requests at most 900 ms"]
        );
        assert_eq!(
            thresholds("test;--max-errors-threshold=1;--benchmark-percentiles;50:0,99:300,99.9:400"),
            ["the count of errors at most 1", "p99 of all requests under 300 ms", "p99.9 of all requests under 400 ms"]
        );
        assert_eq!(
            thresholds("test;--standard-deviation-response-time-threshold=5;--standard-deviation-req-sec-threshold=2"),
            [
                "the count of errors at most 0",
                "the standard deviation of all requests at most 5 ms",
                "the standard deviation of requests per second at most 2 per second"
            ]
        );
    }

    #[test]
    fn pairs_are_percentiles_with_milliseconds() {
        assert_eq!(pairs("50:0, 99.9:300"), Ok(vec![(50.0, 0), (99.9, 300)]));
        for wrong in ["", "50", "50:", ":3", "50:1.5", "101:3", "50:1,", "x:1"] {
            assert!(pairs(wrong).is_err(), "{wrong:?}");
        }
    }
}
