//! The seconds of a run as CSV, for spreadsheets and notebooks.
//!
//! It is apart from the JSON, which has them too, since these programs read lines and no trees.

use std::fmt;

use super::{PerSecond, Report, SecondQuantiles};

const HEAD: &str =
    "t,row,journey,warm_up,planned,started,completed,failed,running,p50_us,p95_us,p99_us,max_us,requests,errors";

/// The lines of a report's seconds, as RFC 4180 has them.
pub(super) struct Lines<'a>(pub(super) &'a Report);

impl Report {
    /// The [seconds](Report::per_second) of the run as CSV (RFC 4180), with a head.
    ///
    /// For each second there is a line of all rows, in which `row` and `journey` are empty, and where the scenario has several
    /// rows, one line of each, without `requests` and `errors`. `t` is in seconds from the start of the run; what is counted in a second is a rate. Times are in
    /// microseconds, and empty where no journey completed.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let report = Run::new(Scenario::new().journey(visit, NoData, at_once(10))).run_blocking()?;
    /// assert!(report.csv().starts_with("t,row,journey,"));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn csv(&self) -> String {
        Lines(self).to_string()
    }
}

/// One line: of all rows, or of one of them.
struct Line<'a> {
    second: &'a PerSecond,
    /// Empty where it is of all rows.
    row: String,
    journey: &'a str,
    /// Planned, started, completed, failed, running.
    counts: [u64; 5],
    times: &'a SecondQuantiles,
    /// Requests and errors, which are not told by row.
    besides: Option<[u64; 2]>,
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HEAD}\r\n")?;
        for second in &self.0.per_second {
            all_rows(second).write(f)?;
            for line in rows(self.0, second) {
                line.write(f)?;
            }
        }
        Ok(())
    }
}

fn all_rows(second: &PerSecond) -> Line<'_> {
    let PerSecond { planned, started, completed, failed, running, .. } = *second;
    let counts = [planned, started, completed, failed, running];
    Line {
        second,
        row: String::new(),
        journey: "",
        counts,
        times: &second.response_time,
        besides: Some([second.requests, second.errors]),
    }
}

fn rows<'a>(report: &'a Report, second: &'a PerSecond) -> impl Iterator<Item = Line<'a>> {
    second.rows.iter().map(|row| {
        let journey = report.journeys.iter().find(|journey| journey.row == row.row);
        let counts = [row.planned, row.started, row.completed, row.failed, row.running];
        let journey = journey.map_or("", |journey| &journey.journey);
        Line { second, row: row.row.to_string(), journey, counts, times: &row.response_time, besides: None }
    })
}

impl Line<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { second, row, journey, counts, times, besides } = self;
        write!(f, "{},{row},{},{}", second.t, Quoted(journey), second.warm_up)?;
        for count in counts {
            write!(f, ",{count}")?;
        }
        for micros in [times.p50, times.p95, times.p99, times.max] {
            // A zero would be a time, and a very short one.
            if times.count == 0 { write!(f, ",")? } else { write!(f, ",{micros}")? }
        }
        match besides {
            Some([requests, errors]) => write!(f, ",{requests},{errors}\r\n"),
            None => write!(f, ",,\r\n"),
        }
    }
}

/// A field, in quotes where it needs them.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains([',', '"', '\r', '\n']) {
            write!(f, "\"{}\"", self.0.replace('"', "\"\""))
        } else {
            f.write_str(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::report::fixed;

    #[test]
    fn a_line_for_each_second_and_row() {
        let mut report = fixed::running(3);
        report.per_second[0].warm_up = true;
        report.per_second[2].response_time = SecondQuantiles::default();
        report.journeys[1].journey = "browse, \"fast\"".to_owned();
        // The carriage returns are told in the other test.
        assert_snapshot!(report.csv().replace("\r\n", "\n"));
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let cases = [
            ("shop:signin", "shop:signin"),
            ("", ""),
            ("a b", "a b"),
            ("a,b", "\"a,b\""),
            ("say \"so\"", "\"say \"\"so\"\"\""),
            ("two\nlines", "\"two\nlines\""),
        ];
        for (field, quoted) in cases {
            assert_eq!(Quoted(field).to_string(), quoted);
        }
    }

    #[test]
    fn a_report_without_seconds_has_a_head() {
        assert_eq!(fixed::empty().csv(), format!("{HEAD}\r\n"));
    }
}
