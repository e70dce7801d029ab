//! One call of a journey or of its helpers, with what it needs around it: config, fixtures, random numbers.
//!
//! It is carried out by an ordinary run with one start, so that a journey cannot tell the difference.

use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::journey_run::JourneyRun;
use super::sent::{Keeper, Messages};
use crate::journey;
use crate::volume::{SECOND, constant};
use crate::{Config, Context, Error, Journey, NoData, Report, Result, Row, Run, RunError, Scenario};

/// Runs a journey once on `data`, the tuple that its data pool would give (`()` for one that takes none), and tells what came
/// of it. Short for [`Harness::run`] without anything else.
///
/// # Errors
/// No thread could be started. What the journey did wrong is in [`JourneyRun`].
///
/// ```
/// # use mite_core::{Context, Result, ensure};
/// use mite_core::testing::run_journey;
///
/// async fn greet(_ctx: &mut Context, name: String) -> Result {
///     ensure!(!name.is_empty(), "there is nobody");
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result {
/// run_journey(greet, ("ann".to_owned(),)).await?.assert_ok();
/// run_journey(greet, (String::new(),)).await?.assert_failed("there is nobody");
/// # Ok(())
/// # }
/// ```
pub async fn run_journey<Args, J>(journey: J, data: Args) -> Result<JourneyRun, RunError>
where
    J: Journey<Args>,
    Args: Send + 'static,
{
    Harness::new().run(journey, data).await
}

/// As [`run_journey`], from code that is not async.
///
/// # Errors
/// As [`run_journey`].
///
/// ```
/// # use mite_core::{Context, Result, ensure};
/// use mite_core::testing::run_journey_blocking;
///
/// async fn visit(_ctx: &mut Context) -> Result {
///     Ok(())
/// }
///
/// run_journey_blocking(visit, ())?.assert_ok();
/// # Ok::<(), mite_core::Error>(())
/// ```
pub fn run_journey_blocking<Args, J>(journey: J, data: Args) -> Result<JourneyRun, RunError>
where
    J: Journey<Args>,
    Args: Send + 'static,
{
    Harness::new().run_blocking(journey, data)
}

/// Calls `body` with a context, as a journey has it: for testing functions that take one. Short for [`Harness::context`]
/// without anything else.
///
/// ```
/// use mite_core::{Context, Result};
///
/// async fn add_up(ctx: &mut Context, items: &[u32]) -> Result<u32> {
///     ctx.transaction("Add up", async |_| Ok(items.iter().sum())).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result {
/// let total = mite_core::testing::context(async |ctx| add_up(ctx, &[1, 2, 3]).await).await?;
/// assert_eq!(total, 6);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Harness::context`].
///
/// # Panics
/// As [`Harness::context`].
pub async fn context<T, F>(body: F) -> Result<T>
where
    F: AsyncFnOnce(&mut Context) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    Harness::new().context(body).await
}

/// As [`context`], from code that is not async.
///
/// # Errors
/// As [`Harness::context`].
///
/// # Panics
/// As [`Harness::context`].
///
/// ```
/// # use mite_core::{Context, Result, ensure};
/// use mite_core::testing::context_blocking;
///
/// let total = context_blocking(async |ctx| ctx.transaction("Add up", async |_ctx| Ok(1 + 2)).await)?;
/// assert_eq!(total, 3);
/// # Ok::<(), mite_core::Error>(())
/// ```
pub fn context_blocking<T, F>(body: F) -> Result<T>
where
    F: AsyncFnOnce(&mut Context) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    Harness::new().context_blocking(body)
}

/// Puts a fixture where journeys find it.
type Fixture = Box<dyn FnOnce(&Context) + Send>;

/// What stands around one call of a journey.
///
/// The journey runs on a thread of its own, as in any run, so that it may be awaited in any runtime, and may hold what is not
/// `Send`.
///
/// ```
/// use mite_core::testing::Harness;
/// use mite_core::{Context, Result};
///
/// struct Prices(Vec<u32>);
///
/// async fn buy(ctx: &mut Context, item: usize) -> Result {
///     let budget: u32 = ctx.config().get("budget")?;
///     let price = ctx.fixture::<Prices>()?.0[item];
///     mite_core::ensure!(price <= budget, "{price} is over the budget of {budget}");
///     Ok(())
/// }
///
/// let harness = || Harness::new().config("budget", 20).fixture(Prices(vec![10, 30]));
/// harness().run_blocking(buy, (0,))?.assert_ok();
/// let failed = harness().run_blocking(buy, (1,))?;
/// assert_eq!(failed.result().unwrap_err().to_string(), "30 is over the budget of 20");
/// # Ok::<(), mite_core::RunError>(())
/// ```
#[must_use = "a harness does nothing until something is run in it"]
#[derive(Default)]
pub struct Harness {
    config: Config,
    fixtures: Vec<Fixture>,
    seed: u64,
    name: Option<String>,
    timeout: Option<Duration>,
    virtually: bool,
}

impl Harness {
    /// An empty config, no fixtures, seed 0, the machine's clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key of the config.
    ///
    /// # Panics
    /// As [`Config::set`].
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// use mite_core::testing::Harness;
    ///
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     ensure!(ctx.config().get::<u32>("pages")? == 5);
    ///     Ok(())
    /// }
    ///
    /// Harness::new().config("pages", 5).run_blocking(visit, ())?.assert_ok();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn config(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.config.set(key, value);
        self
    }

    /// Sets all keys that `config` has.
    pub fn with_config(mut self, config: Config) -> Self {
        self.config.overlay(config);
        self
    }

    /// What the journey gets from [`ctx.fixture::<T>()`](Context::fixture): one of each type.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// use mite_core::testing::Harness;
    ///
    /// struct Prices(Vec<u32>);
    ///
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ensure!(ctx.fixture::<Prices>()?.0[1] == 7);
    ///     Ok(())
    /// }
    ///
    /// Harness::new().fixture(Prices(vec![5, 7])).run_blocking(buy, ())?.assert_ok();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn fixture<T: Send + 'static>(self, fixture: T) -> Self {
        self.fixture_with(move || fixture)
    }

    /// As [`Harness::fixture`], for what is not `Send`: `make` is called on the journey's thread.
    pub fn fixture_with<T: 'static>(mut self, make: impl FnOnce() -> T + Send + 'static) -> Self {
        self.fixtures.push(Box::new(move |ctx| ctx.set_fixture(Rc::new(make()))));
        self
    }

    /// Seeds [`ctx.rng()`](Context::rng): 0 unless told otherwise.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// use mite_core::testing::Harness;
    ///
    /// use rand::RngExt;
    ///
    /// let roll = |seed| Harness::new().seed(seed).context_blocking(async |ctx| Ok(ctx.rng().random_range(0..1_000_000)));
    /// assert_eq!(roll(1)?, roll(1)?);
    /// assert_ne!(roll(1)?, roll(2)?);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The journey's name in messages, and the scenario's: that of its function unless told otherwise.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Cancels the journey when it has run for so long, as [`Row::timeout`] does; it may take any time unless told otherwise.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// use mite_core::testing::Harness;
    ///
    /// use std::time::Duration;
    ///
    /// async fn hang(_ctx: &mut Context) -> Result {
    ///     std::future::pending().await
    /// }
    ///
    /// let run = Harness::new().timeout(Duration::from_millis(20)).run_blocking(hang, ())?;
    /// assert!(run.result().is_err());
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Goes by a virtual clock, on which the journey's sleeps take no time: see [`testing`](crate::testing). There are no
    /// sockets then.
    pub fn virtually(mut self) -> Self {
        self.virtually = true;
        self
    }

    /// Runs a journey once on `data`, the tuple that its data pool would give.
    ///
    /// # Errors
    /// No thread could be started. What the journey did wrong is in [`JourneyRun`].
    pub async fn run<Args, J>(self, journey: J, data: Args) -> Result<JourneyRun, RunError>
    where
        J: Journey<Args>,
        Args: Send + 'static,
    {
        let (run, told) = self.of_journey(journey, data);
        Ok(told.journey_run(run.run().await?))
    }

    /// As [`Harness::run`], from code that is not async.
    ///
    /// # Errors
    /// As [`Harness::run`].
    pub fn run_blocking<Args, J>(self, journey: J, data: Args) -> Result<JourneyRun, RunError>
    where
        J: Journey<Args>,
        Args: Send + 'static,
    {
        let (run, told) = self.of_journey(journey, data);
        Ok(told.journey_run(run.run_blocking()?))
    }

    /// Calls `body` with a context, on a thread of its own, and gives what it returns: for testing functions that take one.
    ///
    /// # Errors
    /// What `body` returns, or a [`RunError`] when no thread could be started.
    ///
    /// # Panics
    /// When `body` panics, as the assertions of a test do, with its words and its place.
    pub async fn context<T, F>(self, body: F) -> Result<T>
    where
        F: AsyncFnOnce(&mut Context) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (run, value) = self.of_body(body);
        value_of(&value, &run.run().await?)
    }

    /// As [`Harness::context`], from code that is not async.
    ///
    /// # Errors
    /// As [`Harness::context`].
    ///
    /// # Panics
    /// As [`Harness::context`].
    pub fn context_blocking<T, F>(self, body: F) -> Result<T>
    where
        F: AsyncFnOnce(&mut Context) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (run, value) = self.of_body(body);
        value_of(&value, &run.run_blocking()?)
    }

    fn of_journey<Args, J>(mut self, journey: J, data: Args) -> (Run, Told)
    where
        J: Journey<Args>,
        Args: Send + 'static,
    {
        let own_name = journey::name_of(std::any::type_name::<J>());
        self.name = self.name.or(own_name);
        let (data, result) = (Cell::new(data), Cell::default());
        let kept = result.clone();
        let call = async move |ctx: &mut Context| {
            // There is one start.
            let Some(data) = data.take() else { return Ok(()) };
            let outcome = journey.call(ctx, data).await;
            let outcome = outcome.map_err(|mut error| {
                // Told here, as it would be a moment later, since whoever runs the journey gets the error itself.
                ctx.scope().report(&mut error);
                error
            });
            let told = if outcome.is_ok() { Ok(()) } else { Err(reported()) };
            kept.set(outcome);
            told
        };
        let messages = Messages::default();
        let run = self.into_run(call, &messages);
        (run, Told { result, messages })
    }

    fn of_body<T, F>(self, body: F) -> (Run, Cell<Result<T>>)
    where
        F: AsyncFnOnce(&mut Context) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (body, value) = (Cell::new(body), Cell::default());
        let kept = value.clone();
        let call = async move |ctx: &mut Context| {
            if let Some(body) = body.take() {
                kept.set(body(ctx).await);
            }
            Ok(())
        };
        (self.into_run(call, &Messages::default()), value)
    }

    fn into_run(self, call: impl AsyncFn(&mut Context) -> Result + Clone + Send + 'static, messages: &Messages) -> Run {
        let name = self.name.unwrap_or_else(|| "journey".to_owned());
        let fixtures = Cell::new(self.fixtures);
        let call = async move |ctx: &mut Context| {
            for fixture in fixtures.take().unwrap_or_default() {
                fixture(ctx);
            }
            call(ctx).await
        };
        let mut row = Row::new(call, NoData, constant(1, SECOND).iterations(1)).named(&name);
        if let Some(timeout) = self.timeout {
            row = row.timeout(timeout);
        }
        let scenario = Scenario::new().named(name).row(row);
        let run = Run::new(scenario).with_config(self.config).seed(self.seed).graceful_stop(Duration::MAX);
        let run = run.sink(Keeper::new(messages)).record_in_memory();
        if self.virtually { run.virtually() } else { run }
    }
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("config", &self.config).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// What stands in for an error that has been reported and is kept elsewhere.
fn reported() -> Error {
    let mut error = Error::msg("the journey failed");
    error.set_reported();
    error
}

/// What one run of a journey leaves behind beside its report.
struct Told {
    result: Cell<Result>,
    messages: Messages,
}

impl Told {
    fn journey_run(self, report: Report) -> JourneyRun {
        // None where the journey did not return: it panicked, or its timeout was over.
        let result = self.result.take().unwrap_or_else(|| Err(cut_off(&report)));
        JourneyRun::new(result, report, self.messages.take())
    }
}

fn value_of<T>(value: &Cell<Result<T>>, report: &Report) -> Result<T> {
    value.take().unwrap_or_else(|| panic!("{}", cut_off(report)))
}

/// What ended a journey that did not return, in the report's words.
fn cut_off(report: &Report) -> Error {
    let told = report.errors.first().map(|error| {
        let place = error.location.rsplit_once(':').map_or(&*error.location, |(place, _function)| place);
        format!("{} (at {place})", error.message)
    });
    Error::msg(told.unwrap_or_else(|| "the journey was cancelled".to_owned()))
}

/// One value on its way from one thread to another.
struct Cell<T>(Arc<Mutex<Option<T>>>);

impl<T> Cell<T> {
    fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(Some(value))))
    }

    fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
