//! One kind of request in all of its outcomes: a report has a row for each, and a test asks of the kind.

use std::time::Duration;

use super::RequestReport;
use crate::histogram::Histogram;

/// The requests of one method in one transaction, as [`Report::request`](crate::Report::request) finds them.
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
    /// The rows, one for each outcome in each journey that has such a transaction.
    pub fn outcomes(&self) -> &[&'a RequestReport] {
        &self.outcomes
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.outcomes.iter().map(|row| row.count).sum()
    }

    /// How many were answered with this code; 0 for those without an answer.
    pub fn answered(&self, code: u16) -> u64 {
        self.outcomes.iter().filter(|row| row.code == code).map(|row| row.count).sum()
    }

    /// How many had no answer, or one with a code from 400 on.
    pub fn errors(&self) -> u64 {
        self.outcomes.iter().filter(|row| row.is_error()).map(|row| row.count).sum()
    }

    /// The times of all outcomes.
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
