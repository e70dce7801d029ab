//! What tests assert of a report: each panics with a sentence, and after it only the rows that lead to the fault.
//!
//! They are made of what anybody can ask a report, and so stand outside of it.

use std::fmt;

use crate::names::{JOINT, ROOT};
use crate::report::series::{Meant, Rows};
use crate::report::text::Extract;
use crate::report::units::counted;
use crate::report::{ErrorReport, Report, Verdict};
use crate::threshold::{Checked, Threshold};

impl Report {
    /// Checks that a figure is what it should be; see [`threshold`](crate::threshold).
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Scenario};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result {
    /// # async fn signin(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Log in", async |_ctx| Ok(())).await
    /// # }
    /// # let report = mite_core::run(Scenario::new().journey(signin, NoData, constant(100, SECOND / 10))).await?;
    /// use mite_core::threshold::{ms, p99};
    ///
    /// report.assert(p99("Log in").under(ms(300)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it is not: the message is the sentence, then the rows that the figure is from, with their requests and errors.
    #[track_caller]
    pub fn assert(&self, threshold: Threshold) {
        self.assert_all([threshold]);
    }

    /// Checks that several figures are what they should be, and tells all that are not.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Scenario};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result {
    /// # async fn signin(_ctx: &mut Context) -> Result { Ok(()) }
    /// # let report = mite_core::run(Scenario::new().journey(signin, NoData, constant(100, SECOND / 10))).await?;
    /// use mite_core::threshold::{count, error_rate, percent};
    ///
    /// report.assert_all([count("signin").at_least(10), error_rate().under(percent(0.1))]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// As [`Report::assert`].
    #[track_caller]
    pub fn assert_all(&self, thresholds: impl IntoIterator<Item = Threshold>) {
        let checked = thresholds.into_iter().map(|threshold| threshold.check(self));
        let failed: Vec<Checked> = checked.filter(|checked| !checked.passed()).collect();
        assert!(failed.is_empty(), "{}", Failed { report: self, failed: &failed });
    }

    /// Checks that no error was reported, one that a journey handled itself included. What was due in a warm-up does not
    /// count.
    ///
    /// # Panics
    /// When there was one: the message says how many, then tells each kind with its count, place and transaction.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let report = Run::new(Scenario::new().journey(visit, NoData, at_once(10))).run_blocking()?;
    /// report.assert_no_errors();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn assert_no_errors(&self) {
        let errors = Extract { errors: self.errors.iter().collect(), ..Extract::default() };
        let kinds = self.errors.len() as u64;
        let count = self.errors.iter().map(|error| error.count).sum();
        assert!(kinds == 0, "the run had {} of {}\n{errors}", counted(count, "error"), counted(kinds, "kind"));
    }

    /// Checks that the verdict is *passed*: no errors, no starts that were not made, and a generator that kept up.
    ///
    /// # Panics
    /// When it is another: the message gives the reasons, then the journeys that not all completed, and the errors.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().journey(visit, NoData, at_once(10));
    /// // Late starts are no matter here: the machine may be busy.
    /// Run::new(scenario).max_start_lag(HOUR).run_blocking()?.assert_passed();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn assert_passed(&self) {
        let journeys = self.journeys.iter().filter(|row| row.completed < row.planned).collect();
        let extract = Extract { journeys, errors: self.errors.iter().collect(), ..Extract::default() };
        assert!(
            self.passed(),
            "the verdict is {}, and should be passed: {}\n{extract}",
            self.verdict,
            self.reasons.join("; ")
        );
    }
}

/// What is said of thresholds that failed.
struct Failed<'a> {
    report: &'a Report,
    failed: &'a [Checked],
}

impl fmt::Display for Failed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for checked in self.failed {
            writeln!(f, "{checked}")?;
        }
        let mut leads = Leads::new(self.report);
        for checked in self.failed {
            leads.add(checked);
        }
        write!(f, "{}", leads.extract())?;
        if self.report.verdict == Verdict::GeneratorLimited {
            // The figures may then be its own fault, and not the system's.
            writeln!(f, "\nthe verdict is {}: {}", self.report.verdict, self.report.reasons.join("; "))?;
        }
        Ok(())
    }
}

/// The rows that lead to the fault, by their place in the report: one that several thresholds lead to is told once.
struct Leads<'a> {
    report: &'a Report,
    journeys: Vec<bool>,
    transactions: Vec<bool>,
    requests: Vec<bool>,
    errors: Vec<bool>,
    metrics: Vec<bool>,
}

impl<'a> Leads<'a> {
    fn new(report: &'a Report) -> Self {
        Self {
            report,
            journeys: vec![false; report.journeys.len()],
            transactions: vec![false; report.transactions.len()],
            requests: vec![false; report.requests.len()],
            errors: vec![false; report.errors.len()],
            metrics: vec![false; report.metrics.len()],
        }
    }

    fn add(&mut self, checked: &Checked) {
        let (report, threshold) = (self.report, checked.threshold());
        if threshold.mistake().is_err() {
            // The fault is in the test, and its sentence says all.
            return;
        }
        let Some(series) = threshold.series() else {
            mark(&mut self.journeys, &report.journeys, |row| row.failed > 0);
            mark(&mut self.errors, &report.errors, |_| true);
            return;
        };
        let rows = match series.find(report.tables()) {
            Ok(Meant::Rows(rows)) => rows,
            Ok(Meant::Metric(rows)) => {
                return mark(&mut self.metrics, &report.metrics, |row| row.name == rows.metric().name);
            }
            // What has no such name says so, and leads nowhere.
            Err(_) => return,
        };
        match &rows {
            Rows::Journeys(rows) => {
                let is_in = |journey: &str| rows.iter().any(|row| row.journey == journey);
                mark(&mut self.journeys, &report.journeys, |row| is_in(&row.journey));
                mark(&mut self.transactions, &report.transactions, |row| {
                    row.transaction != ROOT && is_in(&row.journey)
                });
            }
            Rows::Transactions(rows) => {
                let is_in = |journey: &str, transaction: &str| {
                    rows.iter().any(|row| row.journey == journey && is_within(transaction, &row.transaction))
                };
                mark(&mut self.transactions, &report.transactions, |row| is_in(&row.journey, &row.transaction));
                mark(&mut self.requests, &report.requests, |row| is_in(&row.journey, &row.transaction));
            }
            Rows::Requests(rows) => {
                mark(&mut self.requests, &report.requests, |row| rows.iter().any(|of| std::ptr::eq(*of, row)));
            }
        }
        // Where nothing was timed, the errors say why.
        if !threshold.is_of_time() || checked.figure().is_none() {
            let is_of = |error: &ErrorReport| match &rows {
                Rows::Journeys(rows) => rows.iter().any(|row| row.journey == error.journey),
                Rows::Transactions(rows) => rows
                    .iter()
                    .any(|row| row.journey == error.journey && is_within(&error.transaction, &row.transaction)),
                Rows::Requests(rows) => {
                    rows.iter().any(|row| row.journey == error.journey && row.transaction == error.transaction)
                }
            };
            mark(&mut self.errors, &report.errors, is_of);
        }
    }

    fn extract(&self) -> Extract<'a> {
        Extract {
            journeys: marked(&self.report.journeys, &self.journeys),
            transactions: marked(&self.report.transactions, &self.transactions),
            requests: marked(&self.report.requests, &self.requests),
            errors: marked(&self.report.errors, &self.errors),
            metrics: marked(&self.report.metrics, &self.metrics),
            measured: self.report.measured(),
        }
    }
}

/// Whether a transaction is this one or one within it.
fn is_within(transaction: &str, outer: &str) -> bool {
    transaction.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(JOINT))
}

fn mark<R>(marks: &mut [bool], rows: &[R], leads: impl Fn(&R) -> bool) {
    for (mark, row) in marks.iter_mut().zip(rows) {
        *mark |= leads(row);
    }
}

fn marked<'a, R>(rows: &'a [R], marks: &[bool]) -> Vec<&'a R> {
    rows.iter().zip(marks).filter(|(_, mark)| **mark).map(|(row, _)| row).collect()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use insta::assert_snapshot;

    use crate::panics;
    use crate::report::fixed;
    use crate::threshold::{count, error_rate, error_rate_of, journey, max, ms, p95, p99, percent, rate, request};
    use crate::{Report, Verdict};

    /// What is told of an assertion that does not hold.
    #[track_caller]
    fn told(assertion: impl FnOnce()) -> String {
        panics::text(&*catch_unwind(AssertUnwindSafe(assertion)).expect_err("the assertion does not hold"))
    }

    fn limited() -> Report {
        let mut report = fixed::shop();
        report.verdict = Verdict::GeneratorLimited;
        report.reasons =
            vec!["the generator was late: its start lag has a p99 of 80ms, and 10ms is the limit".to_owned()];
        report
    }

    #[test]
    fn what_holds_is_silent() {
        let report = fixed::shop();
        report.assert(p95("GET · shop:browse").under(ms(100)));
        report.assert_all([count("Log in").at_least(400), error_rate().under(percent(2.0))]);
        let report = fixed::empty();
        report.assert_no_errors();
        report.assert_passed();
        report.assert_all([]);
    }

    #[test]
    fn a_slow_transaction_leads_to_its_requests() {
        assert_snapshot!(told(|| fixed::shop().assert(p99("Log in").under(ms(300)))));
    }

    #[test]
    fn a_slow_journey_leads_to_its_transactions() {
        assert_snapshot!(told(|| fixed::shop().assert(p99("signin").under(ms(300)))));
    }

    #[test]
    fn slow_requests_are_told_by_outcome() {
        assert_snapshot!(told(|| fixed::shop().assert(max(request("POST", "Log in")).at_most(ms(300)))));
    }

    #[test]
    fn a_time_that_nobody_has_leads_to_the_errors() {
        let mut report = fixed::shop();
        report.journeys = vec![fixed::journey(1, "shop:pay", &[], 3)];
        report.errors = vec![fixed::error("shop:pay", "Pay", "StatusError: 402 Payment Required", 33, 3)];
        assert_snapshot!(told(|| report.assert(p99("pay").under(ms(300)))));
    }

    #[test]
    fn a_threshold_that_makes_no_sense_leads_nowhere() {
        assert_snapshot!(told(|| fixed::shop().assert(p99("signin").under(ms(0)))));
    }

    #[test]
    fn an_error_rate_leads_to_all_errors() {
        assert_snapshot!(told(|| fixed::shop().assert(error_rate().under(percent(0.1)))));
    }

    #[test]
    fn an_error_rate_of_a_transaction_leads_to_its_errors() {
        let threshold = error_rate_of("Log in :: Check password").at_most(percent(0.5));
        assert_snapshot!(told(|| fixed::shop().assert(threshold)));
    }

    #[test]
    fn a_count_of_journeys_leads_to_what_failed() {
        assert_snapshot!(told(|| fixed::shop().assert(count(journey("shop:signin")).at_least(300))));
    }

    #[test]
    fn several_are_told_at_once_and_each_row_once() {
        let thresholds = [
            p99("Log in").under(ms(300)),
            p95("Search box").under(ms(100)),
            count("signin").at_least(10),
            rate("POST · Log in").at_least(100.0),
        ];
        assert_snapshot!(told(|| fixed::shop().assert_all(thresholds)));
    }

    #[test]
    fn a_name_that_two_kinds_have_is_asked_after() {
        assert_snapshot!(told(|| fixed::shop().assert(p99("Search").under(ms(300)))));
    }

    #[test]
    fn a_limited_generator_is_told_besides() {
        assert_snapshot!(told(|| limited().assert(p99("signin").under(ms(300)))));
    }

    #[test]
    fn errors_are_told_with_their_places() {
        assert_snapshot!(told(|| fixed::shop().assert_no_errors()));
    }

    #[test]
    fn what_did_not_pass_says_why() {
        assert_snapshot!(told(|| fixed::shop().assert_passed()));
        let mut report = limited();
        report.errors.clear();
        report.journeys.retain(|row| row.failed == 0);
        assert_snapshot!(told(|| report.assert_passed()));
    }

    #[test]
    fn rows_that_are_not_there_are_told_with_those_that_are() {
        let report = fixed::shop();
        assert_snapshot!(told(|| drop(report.journey("sign_in").clone())));
        assert_snapshot!(told(|| drop(report.transaction("Login").clone())));
        assert_snapshot!(told(|| drop(report.request("GET", "Log in"))));
    }

    #[test]
    fn rows_have_short_cuts_to_their_times() {
        let report = fixed::shop();
        let row = report.journey("signin");
        assert!(row.p50().abs_diff(ms(20)) < ms(1) && row.p99() == ms(412) && row.max() == ms(412), "{row:?}");
        assert_eq!((row.p95(), row.mean()), (row.response_time.percentile(95.0), row.response_time.mean()));
        let row = report.transaction("Log in");
        assert_eq!((row.p99(), row.max()), (row.time.percentile(99.0), ms(410)));
        let requests = report.request("POST", "Log in");
        assert_eq!((requests.count(), requests.errors(), requests.answered(500)), (300, 5, 5));
        assert_eq!((requests.max(), requests.outcomes()[1].max()), (ms(409), ms(2)));
    }
}
