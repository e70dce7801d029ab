//! One kind of request in all of its outcomes: a report has a row for each, and a test asks of the kind.
//!
//! It is apart from the rows, since a test does not care how many outcomes there were.

use std::time::Duration;

use super::RequestReport;
use super::series::{distinct, place_of, request_label};
use crate::histogram::Histogram;
use crate::nearest::{did_you_mean, list};

/// The requests of one method in one transaction, or those of one name among them, as [`Report::request`](crate::Report::request) finds them.
///
/// Its times are from the start of a request to the end of its body, or to its failure, of all outcomes together.
///
/// ```
/// # use std::time::Duration;
/// # use mite_core::volume::{SECOND, constant};
/// # use mite_core::{Context, NoData, RequestSample, Result, Scenario};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result {
/// # async fn signin(ctx: &mut Context) -> Result {
/// #     ctx.transaction("Log in", async |ctx| {
/// #         let code = if ctx.start_index() == 3 { 503 } else { 200 };
/// #         let total = Duration::from_millis(2);
/// #         ctx.scope().request(&RequestSample { method: "POST", code, total, ..RequestSample::default() });
/// #         Ok(())
/// #     })
/// #     .await
/// # }
/// # let report = mite_core::run(Scenario::new().journey(signin, NoData, constant(100, SECOND / 10))).await?;
/// let logins = report.request("POST", "Log in");
/// assert_eq!((logins.count(), logins.answered(200), logins.errors()), (10, 9, 1));
/// assert_eq!(logins.max(), Duration::from_millis(2));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Requests<'a> {
    /// There is at least one.
    pub(super) outcomes: Vec<&'a RequestReport>,
}

impl<'a> Requests<'a> {
    /// The rows, one for each name and outcome in each journey that has such a transaction.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, RequestSample, Result, Run, Scenario};
    /// # async fn look(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Look", async |ctx| {
    /// #         let code = if ctx.start_index() == 0 { 503 } else { 200 };
    /// #         let sample = RequestSample { method: "GET", name: Some("/users/{id}"), code, ..RequestSample::default() };
    /// #         ctx.scope().request(&sample);
    /// #         Ok(())
    /// #     })
    /// #     .await
    /// # }
    /// # let report = Run::new(Scenario::new().journey(look, NoData, at_once(10))).run_blocking()?;
    /// let requests = report.request("GET", "Look");
    /// let codes: Vec<u16> = requests.outcomes().iter().map(|outcome| outcome.code).collect();
    /// assert!(codes.contains(&200) && codes.contains(&503));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn outcomes(&self) -> &[&'a RequestReport] {
        &self.outcomes
    }

    /// Those that the journey gave this name: `report.request("GET", "Log in").named("/users/{id}")`.
    ///
    /// # Panics
    /// When none of them has it: the message tells the names that they have.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, RequestSample, Result, Run, Scenario};
    /// # async fn look(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Look", async |ctx| {
    /// #         let code = if ctx.start_index() == 0 { 503 } else { 200 };
    /// #         let sample = RequestSample { method: "GET", name: Some("/users/{id}"), code, ..RequestSample::default() };
    /// #         ctx.scope().request(&sample);
    /// #         Ok(())
    /// #     })
    /// #     .await
    /// # }
    /// # let report = Run::new(Scenario::new().journey(look, NoData, at_once(10))).run_blocking()?;
    /// let requests = report.request("GET", "Look");
    /// assert_eq!(requests.named("/users/{id}").count(), 10);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn named(&self, name: &str) -> Self {
        let named = |row: &&&RequestReport| row.name.as_deref() == Some(name);
        let outcomes: Vec<_> = self.outcomes.iter().filter(named).copied().collect();
        assert!(!outcomes.is_empty(), "{}", self.without(name));
        Self { outcomes }
    }

    /// What is said of a name that none of them has.
    fn without(&self, name: &str) -> String {
        let kind = self.outcomes.first().map(|row| request_label(&row.method, None, place_of(row))).unwrap_or_default();
        let names = distinct(self.outcomes.iter().filter_map(|row| row.name.clone()));
        let there = if names.is_empty() { "none".to_owned() } else { list(&names) };
        format!("no request {kind:?} has the name {name:?}{}: they have {there}", did_you_mean(name, &names))
    }

    /// How many there were.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, RequestSample, Result, Run, Scenario};
    /// # async fn look(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Look", async |ctx| {
    /// #         let code = if ctx.start_index() == 0 { 503 } else { 200 };
    /// #         let sample = RequestSample { method: "GET", name: Some("/users/{id}"), code, ..RequestSample::default() };
    /// #         ctx.scope().request(&sample);
    /// #         Ok(())
    /// #     })
    /// #     .await
    /// # }
    /// # let report = Run::new(Scenario::new().journey(look, NoData, at_once(10))).run_blocking()?;
    /// let requests = report.request("GET", "Look");
    /// assert_eq!(requests.count(), 10);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn count(&self) -> u64 {
        self.outcomes.iter().map(|row| row.count).sum()
    }

    /// How many were answered with this code; 0 for those without an answer.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, RequestSample, Result, Run, Scenario};
    /// # async fn look(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Look", async |ctx| {
    /// #         let code = if ctx.start_index() == 0 { 503 } else { 200 };
    /// #         let sample = RequestSample { method: "GET", name: Some("/users/{id}"), code, ..RequestSample::default() };
    /// #         ctx.scope().request(&sample);
    /// #         Ok(())
    /// #     })
    /// #     .await
    /// # }
    /// # let report = Run::new(Scenario::new().journey(look, NoData, at_once(10))).run_blocking()?;
    /// let requests = report.request("GET", "Look");
    /// assert_eq!((requests.answered(200), requests.answered(503)), (9, 1));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn answered(&self, code: u16) -> u64 {
        self.outcomes.iter().filter(|row| row.code == code).map(|row| row.count).sum()
    }

    /// How many had no answer, or one with a code from 400 on.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, RequestSample, Result, Run, Scenario};
    /// # async fn look(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Look", async |ctx| {
    /// #         let code = if ctx.start_index() == 0 { 503 } else { 200 };
    /// #         let sample = RequestSample { method: "GET", name: Some("/users/{id}"), code, ..RequestSample::default() };
    /// #         ctx.scope().request(&sample);
    /// #         Ok(())
    /// #     })
    /// #     .await
    /// # }
    /// # let report = Run::new(Scenario::new().journey(look, NoData, at_once(10))).run_blocking()?;
    /// let requests = report.request("GET", "Look");
    /// assert_eq!(requests.errors(), 1);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn errors(&self) -> u64 {
        self.outcomes.iter().filter(|row| row.is_error()).map(|row| row.count).sum()
    }

    /// The times of all outcomes.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, RequestSample, Result, Run, Scenario};
    /// # async fn look(ctx: &mut Context) -> Result {
    /// #     ctx.transaction("Look", async |ctx| {
    /// #         let code = if ctx.start_index() == 0 { 503 } else { 200 };
    /// #         let sample = RequestSample { method: "GET", name: Some("/users/{id}"), code, ..RequestSample::default() };
    /// #         ctx.scope().request(&sample);
    /// #         Ok(())
    /// #     })
    /// #     .await
    /// # }
    /// # let report = Run::new(Scenario::new().journey(look, NoData, at_once(10))).run_blocking()?;
    /// let requests = report.request("GET", "Look");
    /// assert_eq!(requests.time().count(), 10);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn time(&self) -> Histogram {
        let mut times = Histogram::new();
        for row in &self.outcomes {
            times.merge(&row.time);
        }
        times
    }

    /// What half of them were not longer than, told within 0.1 %.
    pub fn p50(&self) -> Duration {
        self.time().percentile(50.0)
    }

    /// What 95 of 100 were not longer than, told within 0.1 %.
    pub fn p95(&self) -> Duration {
        self.time().percentile(95.0)
    }

    /// What 99 of 100 were not longer than, told within 0.1 %.
    pub fn p99(&self) -> Duration {
        self.time().percentile(99.0)
    }

    /// The longest, exactly.
    pub fn max(&self) -> Duration {
        self.time().max()
    }

    /// The mean, exactly.
    pub fn mean(&self) -> Duration {
        self.time().mean()
    }
}

impl RequestReport {
    /// Whether these requests had no answer, or one with a code from 400 on, as in HTTP.
    pub fn is_error(&self) -> bool {
        self.code == 0 || self.code >= 400
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::panics;
    use crate::report::fixed;

    #[test]
    fn those_of_one_name_are_asked_for() {
        let report = fixed::named();
        let all = report.request("GET", "Look");
        let users = all.named("/users/{id}");
        assert_eq!((all.count(), all.outcomes().len()), (210, 5));
        assert_eq!((users.count(), users.answered(503), users.errors()), (120, 10, 10));
        assert_eq!(all.named("/carts/{id}").max(), std::time::Duration::from_millis(30));
    }

    #[test]
    fn a_name_that_none_has_is_told_with_those_that_there_are() {
        let told = |method: &str, place: &str, name: &str| {
            let requests = fixed::named();
            let requests = requests.request(method, place);
            let failed = catch_unwind(AssertUnwindSafe(|| requests.named(name).count()));
            panics::text(&*failed.expect_err("no request has the name"))
        };
        assert_eq!(
            told("GET", "Look", "/user/{id}"),
            "no request \"GET · Look\" has the name \"/user/{id}\" (did you mean \"/users/{id}\"?): they have \
             \"/users/{id}\", \"/carts/{id}\""
        );
        let mut unnamed = fixed::shop();
        unnamed.requests.truncate(1);
        let failed = catch_unwind(AssertUnwindSafe(|| unnamed.request("POST", "Log in").named("x").count()));
        let told = panics::text(&*failed.expect_err("no request has a name"));
        assert_eq!(told, "no request \"POST · Log in\" has the name \"x\": they have none");
    }
}
