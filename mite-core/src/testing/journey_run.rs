//! What came of one call of a journey: its own result, and all that was measured and sent meanwhile.
//!
//! It is apart from the harness, which makes it.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::sent::Sent;
use crate::report::exchanges::summary;
use crate::{CheckReport, Error, ErrorReport, RecordedError, Report, RequestReport, Result, TransactionReport};

/// One call of a journey, and what came of it: see [`run_journey`](super::run_journey).
///
/// `Debug` tells all of it, and so do the assertions when they fail.
///
/// ```
/// # use mite_core::{Context, Result, bail};
/// # use mite_core::testing::run_journey_blocking;
/// async fn buy(ctx: &mut Context) -> Result {
///     ctx.transaction("Pay", async |ctx| ctx.record("orders", "tea").await).await?;
///     ctx.check("is a bargain", true);
///     ctx.send("order", serde_json::json!({"total": 20})).await
/// }
///
/// let run = run_journey_blocking(buy, ())?;
/// run.assert_ok();
/// assert_eq!(run.recorded::<String>("orders")?, ["tea"]);
/// # Ok::<(), mite_core::Error>(())
/// ```
pub struct JourneyRun {
    result: Result,
    report: Report,
    messages: Vec<Sent>,
}

impl JourneyRun {
    pub(super) fn new(result: Result, report: Report, messages: Vec<Sent>) -> Self {
        Self { result, report, messages }
    }

    /// What the journey has returned. A panic, and a timeout, is an error with its words and its place.
    ///
    /// # Errors
    /// The journey failed.
    ///
    /// ```
    /// # use mite_core::{Context, Result, bail};
    /// # use mite_core::testing::run_journey_blocking;
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ctx.transaction("Pay", async |ctx| ctx.record("orders", "tea").await).await?;
    ///     ctx.check("is a bargain", true);
    ///     ctx.send("order", serde_json::json!({"total": 20})).await
    /// }
    ///
    /// let run = run_journey_blocking(buy, ())?;
    /// assert!(run.result().is_ok());
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn result(&self) -> Result<(), &Error> {
        self.result.as_ref().copied()
    }

    /// As [`JourneyRun::result`], by value: for a test that ends with `?`.
    ///
    /// # Errors
    /// The journey failed.
    pub fn into_result(self) -> Result {
        self.result
    }

    /// How long the journey took, on the clock that it ran by; zero where it was cut off.
    pub fn duration(&self) -> Duration {
        let row = self.report.journeys.first();
        row.map_or(Duration::ZERO, |row| row.service_time.max().max(row.failed_time.max()))
    }

    /// The messages of the journey in the order in which they were sent, `txn` and `error` among them.
    pub fn messages(&self) -> &[Sent] {
        &self.messages
    }

    /// The messages of one type.
    ///
    /// ```
    /// # use mite_core::{Context, Result, bail};
    /// # use mite_core::testing::run_journey_blocking;
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ctx.transaction("Pay", async |ctx| ctx.record("orders", "tea").await).await?;
    ///     ctx.check("is a bargain", true);
    ///     ctx.send("order", serde_json::json!({"total": 20})).await
    /// }
    ///
    /// let run = run_journey_blocking(buy, ())?;
    /// let order = run.messages_of("order").next().expect("it was sent");
    /// assert_eq!(order.field::<u32>("total")?, 20);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn messages_of(&self, kind: &str) -> impl Iterator<Item = &Sent> {
        self.messages.iter().filter(move |sent| sent.kind() == kind)
    }

    /// What the journey has recorded under `name`, in order.
    ///
    /// # Errors
    /// As [`Report::recorded`]: a record is of another type, or nothing was recorded under this name.
    ///
    /// ```
    /// # use mite_core::{Context, Result, bail};
    /// # use mite_core::testing::run_journey_blocking;
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ctx.transaction("Pay", async |ctx| ctx.record("orders", "tea").await).await?;
    ///     ctx.check("is a bargain", true);
    ///     ctx.send("order", serde_json::json!({"total": 20})).await
    /// }
    ///
    /// let run = run_journey_blocking(buy, ())?;
    /// assert_eq!(run.recorded::<String>("orders")?, ["tea"]);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn recorded<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, RecordedError> {
        self.report.recorded(name)
    }

    /// The journey's transactions; `__root__` is the whole.
    pub fn transactions(&self) -> &[TransactionReport] {
        &self.report.transactions
    }

    /// A transaction by its name, `outer :: inner`, if there was one.
    ///
    /// ```
    /// # use mite_core::{Context, Result, bail};
    /// # use mite_core::testing::run_journey_blocking;
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ctx.transaction("Pay", async |ctx| ctx.record("orders", "tea").await).await?;
    ///     ctx.check("is a bargain", true);
    ///     ctx.send("order", serde_json::json!({"total": 20})).await
    /// }
    ///
    /// let run = run_journey_blocking(buy, ())?;
    /// assert_eq!(run.transaction("Pay").map(|pay| (pay.count, pay.errors)), Some((1, 0)));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn transaction(&self, name: &str) -> Option<&TransactionReport> {
        self.report.transactions.iter().find(|transaction| transaction.transaction == name)
    }

    /// The requests of the journey, by transaction, method, name and outcome.
    pub fn requests(&self) -> &[RequestReport] {
        &self.report.requests
    }

    /// The errors that were reported, those that the journey went on after too.
    pub fn errors(&self) -> &[ErrorReport] {
        &self.report.errors
    }

    /// What was checked with [`Context::check`](crate::Context::check).
    ///
    /// ```
    /// # use mite_core::{Context, Result, bail};
    /// # use mite_core::testing::run_journey_blocking;
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ctx.transaction("Pay", async |ctx| ctx.record("orders", "tea").await).await?;
    ///     ctx.check("is a bargain", true);
    ///     ctx.send("order", serde_json::json!({"total": 20})).await
    /// }
    ///
    /// let run = run_journey_blocking(buy, ())?;
    /// assert_eq!((run.checks()[0].name.as_str(), run.checks()[0].passed), ("is a bargain", 1));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn checks(&self) -> &[CheckReport] {
        &self.report.checks
    }

    /// The report as a run of this one journey gives it.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Asserts that the journey returned `Ok`, that no error was reported and that all checks held.
    ///
    /// # Panics
    /// With all that happened, if it is not so.
    ///
    /// ```
    /// # use mite_core::{Context, Result, bail};
    /// # use mite_core::testing::run_journey_blocking;
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ctx.transaction("Pay", async |ctx| ctx.record("orders", "tea").await).await?;
    ///     ctx.check("is a bargain", true);
    ///     ctx.send("order", serde_json::json!({"total": 20})).await
    /// }
    ///
    /// let run = run_journey_blocking(buy, ())?;
    /// run.assert_ok();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn assert_ok(&self) {
        let held = self.report.checks.iter().all(|check| check.failed == 0);
        assert!(self.result.is_ok() && self.report.errors.is_empty() && held, "the journey is not ok\n{self:?}");
    }

    /// Asserts that the journey failed with an error whose type and words contain `words`, as in
    /// `HttpError: POST http://…`, and gives the error.
    ///
    /// # Panics
    /// With all that happened, if it did not fail so.
    ///
    /// ```
    /// # use mite_core::{Context, Result, bail};
    /// # use mite_core::testing::run_journey_blocking;
    /// async fn pay(_ctx: &mut Context) -> Result {
    ///     bail!("the bank is closed")
    /// }
    ///
    /// let error = run_journey_blocking(pay, ())?;
    /// error.assert_failed("is closed");
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn assert_failed(&self, words: &str) -> &Error {
        match &self.result {
            Err(error) if format!("{error:?}").contains(words) => error,
            _ => panic!("the journey did not fail with {words:?}\n{self:?}"),
        }
    }
}

impl fmt::Debug for JourneyRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(()) => writeln!(f, "{} returned Ok after {:?}", self.report.scenario, self.duration())?,
            Err(error) => writeln!(f, "{} failed after {:?}: {error:?}", self.report.scenario, self.duration())?,
        }
        for transaction in &self.report.transactions {
            let TransactionReport { transaction: name, count, errors, time, .. } = transaction;
            writeln!(f, "  transaction {name:?}: {count}, {errors} with an error, at most {:?}", time.max())?;
        }
        for request in &self.report.requests {
            let RequestReport { method, name, code, error, count, transaction, .. } = request;
            let outcome = error.clone().unwrap_or_else(|| code.to_string());
            let named = name.as_ref().map_or_else(String::new, |name| format!("{name} "));
            writeln!(f, "  request in {transaction:?}: {count} × {method} {named}{outcome}")?;
        }
        for exchange in self.report.failed_exchanges() {
            writeln!(f, "  failed exchange: {}", summary(exchange))?;
        }
        for error in &self.report.errors {
            let ErrorReport { transaction, message, location, count, .. } = error;
            writeln!(f, "  error in {transaction:?}: {count} × {message} (at {location})")?;
        }
        for check in &self.report.checks {
            writeln!(f, "  check {:?}: held {}, failed {}", check.name, check.passed, check.failed)?;
        }
        for message in &self.messages {
            writeln!(f, "  message {message:?}")?;
        }
        Ok(())
    }
}
