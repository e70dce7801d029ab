//! What an option's text means: keys with values, parts, rates and durations.
//!
//! It is apart from the options, of which several have values of one kind.

use std::time::Duration;

pub(super) fn key_value(text: &str, separator: char) -> Result<(String, String), String> {
    match text.split_once(separator) {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("write it as KEY{separator}VALUE")),
    }
}

pub(super) fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "write it as a number from 0 to 1".to_owned())
}

/// `5%`, or plain `5`.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let percent = number.parse().ok().filter(|percent: &f64| percent.is_finite() && *percent >= 0.0);
    percent.ok_or_else(|| "write it as a percentage, from 0 on: `5%`".to_owned())
}

/// Journeys per second, within the bounds that a volume has.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1e9).contains(rate));
    rate.ok_or_else(|| "write it as journeys per second, from 0.001 to 1000000000".to_owned())
}

/// `rebalance`, `fail` or `tolerate:PERCENT`.
#[cfg(feature = "nats")]
pub(super) fn on_runner_loss(text: &str) -> Result<mite_core::cluster::OnRunnerLoss, String> {
    use mite_core::cluster::OnRunnerLoss;
    match text.split_once(':') {
        None if text == "rebalance" => Ok(OnRunnerLoss::Rebalance),
        None if text == "fail" => Ok(OnRunnerLoss::Fail),
        Some(("tolerate", percent_text)) => percent(percent_text).map(OnRunnerLoss::Tolerate),
        _ => Err("write it as `rebalance`, `fail` or `tolerate:5%`".to_owned()),
    }
}

/// `burn` or `again`.
#[cfg(feature = "nats")]
pub(super) fn lost_items(text: &str) -> Result<mite_core::cluster::LostItems, String> {
    use mite_core::cluster::LostItems;
    match text {
        "burn" => Ok(LostItems::Burn),
        "again" => Ok(LostItems::Again),
        _ => Err("write it as `burn` or `again`".to_owned()),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text)? {
        Duration::ZERO => Err("it must be more than zero".to_owned()),
        duration => Ok(duration),
    }
}

/// `250ms`, `30s`, `1.5m`, `2h`, or plain seconds.
pub(super) fn duration_or_zero(text: &str) -> Result<Duration, String> {
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
    fn percentages_are_from_nothing_on() {
        assert_eq!(
            (percent("5%"), percent("0.5 %"), percent("0"), percent("250")),
            (Ok(5.0), Ok(0.5), Ok(0.0), Ok(250.0))
        );
        for wrong in ["", "%", "-1%", "NaN", "inf%", "5%%", "5 per cent"] {
            assert!(percent(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rates_are_more_than_nothing() {
        assert_eq!((rate("0.5"), rate("1000")), (Ok(0.5), Ok(1000.0)));
        for wrong in ["", "0", "-1", "NaN", "inf", "1/s"] {
            assert!(rate(wrong).is_err(), "{wrong:?}");
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
