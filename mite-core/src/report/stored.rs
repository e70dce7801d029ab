//! A report that is read again from the JSON that was written of it, so that it can be shown and compared later.
//!
//! It is apart from how the JSON is written, since what is read may be broken, or another's.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::Report;

pub(super) const SCHEMA: &str = "mite.report/1";

/// What keeps a text from being a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// It is no JSON.
    #[error("it is no JSON: line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in bytes.
        column: usize,
        /// What serde says.
        source: serde_json::Error,
    },
    /// It is JSON, and no report of mite.
    #[error("it is no report of mite: at `{path}` {message}")]
    Report {
        /// Where in it: `journeys[0].planned`.
        path: String,
        /// What is wrong there.
        message: String,
    },
}

impl Report {
    /// Reads a report from the JSON that [`Report::to_json`] makes.
    ///
    /// All its figures are there again; what the run has recorded is not.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Report, Result, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # let report = Run::new(Scenario::new().journey(visit, NoData, constant(100, SECOND / 10))).run_blocking()?;
    /// let again = Report::from_json(&report.to_json())?;
    /// assert_eq!(again.to_string(), report.to_string());
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`StoredError`]: text that is no JSON, with its line and column, or no report, with the path of what is wrong.
    pub fn from_json(text: &str) -> Result<Self, StoredError> {
        let json = &mut serde_json::Deserializer::from_str(text);
        let mut report: Self = serde_path_to_error::deserialize(&mut *json).map_err(|error| {
            let path = error.path().to_string();
            let source = error.into_inner();
            if source.is_data() {
                // Its place in the text is told by the path.
                let message = source.to_string();
                let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message).to_owned();
                StoredError::Report { path, message }
            } else {
                no_json(source)
            }
        })?;
        json.end().map_err(no_json)?;
        report.request_rates = super::request_rates(&report.per_second, report.duration);
        Ok(report)
    }
}

fn no_json(source: serde_json::Error) -> StoredError {
    StoredError::Json { line: source.line(), column: source.column(), source }
}

/// Only what this version writes.
pub(super) fn schema<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let schema = String::deserialize(deserializer)?;
    if schema == SCHEMA {
        Ok(schema)
    } else {
        Err(D::Error::custom(format!("it says {schema:?}, and should say {SCHEMA:?}")))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::exchange::FailedExchange;
    use crate::report::{WarmUp, fixed};
    use crate::threshold::{error_rate, ms, p99, percent};

    fn full() -> Report {
        let mut report = fixed::running(3);
        report.warm_up = Some(WarmUp { duration: Duration::from_secs(1), planned: 5, ..WarmUp::default() });
        report.failed_exchanges.extend(fixed::shop().failed_exchanges().iter().map(FailedExchange::clone));
        report.transactions = fixed::shop().transactions;
        report.requests = fixed::shop().requests;
        let held = [p99("Log in").under(ms(300)), error_rate().under(percent(5.0)), p99("nobody").under(ms(1))];
        fixed::held(report, held)
    }

    #[test]
    fn what_is_read_again_says_the_same() {
        for report in [full(), fixed::shop(), fixed::named(), fixed::empty()] {
            let again = Report::from_json(&report.to_json()).unwrap();
            assert_eq!(again.to_json(), report.to_json());
            assert_eq!(again.to_string(), report.to_string());
            assert_eq!(again.html(), report.html());
            assert_eq!(again.junit(), report.junit());
            assert_eq!(again.csv(), report.csv());
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let json = full().to_json();
        let with = |pointer: &str, value: Value| {
            let mut report: Value = serde_json::from_str(&json).unwrap();
            *report.pointer_mut(pointer).unwrap() = value;
            report.to_string()
        };
        let cases = [
            (String::new(), "it is no JSON: line 1, column 0"),
            ("{\"schema\": \"mite.report/1\",\n x".to_owned(), "it is no JSON: line 2, column 2"),
            ("{}".to_owned(), "it is no report of mite: at `.` missing field `schema`"),
            (json[..json.len() / 2].to_owned(), "it is no JSON: line "),
            (format!("{json} {{}}"), "it is no JSON: line "),
            (
                with("/schema", "mite.report/2".into()),
                "at `schema` it says \"mite.report/2\", and should say \"mite.report/1\"",
            ),
            (with("/verdict", "well".into()), "at `verdict` unknown variant `well`"),
            (with("/journeys/0/planned", (-1).into()), "at `journeys[0].planned` invalid value: integer `-1`"),
            (
                with("/transactions/1/time/counts", "5".into()),
                "at `transactions[1].time` its counts are pairs like `180:12`, not `5`",
            ),
            (with("/transactions/1/time/count", 1.into()), "at `transactions[1].time` its counts are "),
            (with("/thresholds/0/threshold", "p99".into()), "at `thresholds[0]` `p99` is no threshold"),
            (with("/started_at", Value::Null), "at `started_at` invalid type: null, expected a string"),
        ];
        for (text, told) in cases {
            let error = Report::from_json(&text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}, and should be {told}");
        }
    }

    proptest! {
        /// One place in a report is something else.
        #[test]
        fn no_text_is_too_much(at in 0.0..1.0_f64, what in "\\PC{0,3}", length in 0..40_usize) {
            let json = full().to_json();
            let mut bytes = json.into_bytes();
            let start = (at * bytes.len() as f64) as usize;
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, what.bytes());
            if let Ok(report) = Report::from_json(&String::from_utf8_lossy(&bytes)) {
                // Whatever it says, it can be said.
                let _ = (report.to_string(), report.html(), report.junit(), report.csv(), report.to_json());
            }
        }
    }
}
