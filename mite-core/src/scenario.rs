//! What is run: rows, and what stands around them.
//!
//! It is apart from the run, which has the same scenario with other options.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::hooks::{self, Hooks};
use crate::journey::Journey;
use crate::mix::Mix;
use crate::pool_of::PoolOf;
use crate::row::Row;
use crate::stats::Stats;
use crate::threshold::{Asked, Threshold};
use crate::volume::{IntoModel, VolumeModel};
use crate::{Context, Error, Result};

/// Which journeys run, on what data, at what volume.
///
/// ```
/// use mite_core::volume::{constant, SECOND};
/// use mite_core::{Context, NoData, Result, Scenario};
///
/// async fn browse(_ctx: &mut Context) -> Result {
///     Ok(())
/// }
///
/// let scenario = Scenario::new().journey(browse, NoData, constant(50, 10 * SECOND));
/// ```
#[derive(Default)]
#[must_use = "a scenario does nothing until it is run"]
pub struct Scenario {
    pub(crate) name: Option<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) hooks: Hooks,
    pub(crate) asked: Asked,
    pub(crate) stats: Vec<Stats>,
}

impl Scenario {
    /// A scenario without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scenario's name: `test` in messages. Without one it is that of its function in `main!`, or `scenario`.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new().named("peak").journey(visit, NoData, at_once(1));
    /// assert_eq!(Run::new(scenario).run_blocking()?.scenario, "peak");
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Names the scenario unless it has a name: after the function that made it.
    pub fn named_if_unnamed(mut self, name: &str) -> Self {
        self.name.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Adds a row: a journey, the pool of its data, and a volume model.
    ///
    /// The pool's items are tuples of the journey's data arguments; [`NoData`](crate::NoData) goes with a journey that takes
    /// none. A plain number from a volume model is a rate. [`Row`] has what else can be said of a row.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # async fn signin(_ctx: &mut Context, _name: String) -> Result { Ok(()) }
    /// use mite_core::RecyclableIterableDataPool;
    ///
    /// let names = RecyclableIterableDataPool::new(["ann", "bob"].map(|name| (name.to_owned(),)));
    /// let scenario = Scenario::new()
    ///     .journey(visit, NoData, constant(50, MINUTE))
    ///     .journey(signin, names, |_start, _end| 10);
    /// ```
    #[track_caller]
    pub fn journey<Args, J, P, V>(self, journey: J, data: P, volume: V) -> Self
    where
        J: Journey<Args>,
        P: PoolOf<Args>,
        V: VolumeModel,
        Args: 'static,
    {
        self.row(Row::new(journey, data, volume))
    }

    /// Adds several journeys that share one model by their weights: start for start, as evenly as whole numbers allow.
    ///
    /// ```
    /// # use mite_core::volume::{constant, SECOND};
    /// # use mite_core::{Context, Mix, NoData, Result, Scenario};
    /// # async fn browse(_ctx: &mut Context) -> Result { Ok(()) }
    /// # async fn buy(_ctx: &mut Context) -> Result { Ok(()) }
    /// // Of each 100 starts 70 browse and 30 buy.
    /// let mix = Mix::new().journey(7, browse, NoData).journey(3, buy, NoData);
    /// let scenario = Scenario::new().mix(constant(100, 10 * SECOND), mix);
    /// ```
    #[track_caller]
    pub fn mix(mut self, volume: impl VolumeModel, mix: Mix) -> Self {
        let model = volume.into_model().map(|IntoModel(model)| model).map_err(|error| error.to_string());
        if mix.is_empty() {
            let mut row = Row::of_mix(async |_ctx: &mut Context| Ok(()), crate::NoData).named("a mix");
            row.volume = Err("it has no journeys: add some with `.journey(weight, …)`".to_owned());
            return self.row(row);
        }
        let first_row = self.rows.len() + 1;
        self.rows.extend(mix.into_rows(&model, first_row));
        self
    }

    /// Adds a row with its options.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let row = Row::new(visit, NoData, constant(50, MINUTE)).timeout(10 * SECOND).starting_at(5 * SECOND);
    /// let scenario = Scenario::new().row(row);
    /// ```
    pub fn row(mut self, row: Row) -> Self {
        self.rows.push(row);
        self
    }

    /// Says what a figure should be in each run of the scenario: see [`Run::threshold`](crate::Run::threshold).
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// use mite_core::threshold::{p99, secs};
    ///
    /// let scenario = Scenario::new()
    ///     .journey(visit, NoData, at_once(10))
    ///     .threshold(p99("visit").under(secs(10)));
    /// assert!(Run::new(scenario).run_blocking()?.thresholds[0].passed());
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn threshold(mut self, threshold: Threshold) -> Self {
        self.asked.thresholds.push(threshold);
        self
    }

    /// Ends each run of the scenario early once a figure is so: see [`Run::abort_when`](crate::Run::abort_when).
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// use mite_core::threshold::{error_rate, percent, secs};
    ///
    /// let scenario = Scenario::new()
    ///     .journey(visit, NoData, constant(100, HOUR))
    ///     .abort_when(error_rate().over(percent(50.0)).in_each(secs(10)), secs(30));
    /// ```
    pub fn abort_when(mut self, condition: Threshold, delay: Duration) -> Self {
        self.asked.aborts.push((condition, delay));
        self
    }

    /// Adds a set of metrics, which each run of the scenario has: see [`stats`](crate::stats).
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// use mite_core::stats::{Counter, Stats, matcher_by_type};
    ///
    /// let stats = Stats::new("shop").with(Counter::new("shop_transactions_total", matcher_by_type(["txn"])));
    /// let scenario = Scenario::new().journey(visit, NoData, at_once(5)).stats(stats);
    /// assert_eq!(Run::new(scenario).run_blocking()?.metric("shop_transactions_total").number(), Some(5.0));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn stats(mut self, stats: Stats) -> Self {
        self.stats.push(stats);
        self
    }

    /// The names of the rows' journeys in their order: `module:function`, or what `.named("…")` says. A closure that has none is
    /// an empty text, and such a row is refused when it is run.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let closure = Row::new(async |_ctx: &mut Context| Ok(()), NoData, at_once(1)).named("by itself");
    /// let scenario = Scenario::new().journey(visit, NoData, at_once(1)).row(closure);
    /// let names: Vec<&str> = scenario.journeys().collect();
    /// assert!(names[0].ends_with(":visit") && names[1] == "by itself");
    /// ```
    pub fn journeys(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| row.name.as_deref().unwrap_or_default())
    }

    /// The same scenario with one of its rows alone, at another volume: to try out a journey with its data and with what stands
    /// around it. `row` is its number, from 1. A row of a mix stands for itself, and one that begins later begins at once. What the
    /// scenario is held to is left out, since it is about other volumes, and perhaps other rows.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn browse(_ctx: &mut Context) -> Result { Ok(()) }
    /// # async fn buy(_ctx: &mut Context) -> Result { Ok(()) }
    /// let scenario = Scenario::new()
    ///     .journey(browse, NoData, constant(1000, HOUR))
    ///     .journey(buy, NoData, constant(50, HOUR));
    /// let row = scenario.journeys().position(|journey| journey.ends_with(":buy")).unwrap() + 1;
    /// let report = Run::new(scenario.only(row, at_once(1))).run_blocking()?;
    /// assert_eq!((report.journeys.len(), report.journey("buy").planned), (1, 1));
    /// # Ok::<(), mite_core::RunError>(())
    /// ```
    pub fn only(mut self, row: usize, volume: impl VolumeModel) -> Self {
        let index = row.wrapping_sub(1);
        self.rows = self.rows.into_iter().nth(index).map(|row| row.alone(volume)).into_iter().collect();
        self.asked = Asked::default();
        self
    }

    /// What is done once before any journey starts, on the first worker's thread. If it fails, nothing is started and the
    /// run fails with its error.
    ///
    /// ```
    /// # use mite_core::Scenario;
    /// let scenario = Scenario::new().setup(async |ctx| {
    ///     ctx.send("purge_data", serde_json::json!({"name": "users"})).await
    /// });
    /// ```
    pub fn setup(mut self, setup: impl AsyncFnOnce(&mut Context) -> Result + Send + 'static) -> Self {
        self.hooks.setup = Some(hooks::once(setup));
        self
    }

    /// What is done once on each worker's thread after setup and before any journey starts, on all of them at once. What it
    /// returns stays on that thread, need not be `Send`, and is what journeys are given by
    /// [`ctx.fixture::<T>()`](Context::fixture). If it fails on any worker, nothing is started and the run fails with its
    /// error.
    ///
    /// ```
    /// # use mite_core::volume::{constant, SECOND};
    /// # use mite_core::{Context, NoData, Result, Scenario};
    /// struct Tokens(Vec<String>);
    ///
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     let tokens = ctx.fixture::<Tokens>()?;
    ///     let token = &tokens.0[ctx.start_index() as usize % tokens.0.len()];
    ///     # let _ = token;
    ///     Ok(())
    /// }
    ///
    /// let scenario = Scenario::new()
    ///     .worker_setup(async |_ctx| Ok(Tokens(vec!["one".to_owned(), "two".to_owned()])))
    ///     .journey(buy, NoData, constant(10, SECOND));
    /// # let report = mite_core::Run::new(scenario).max_start_lag(60 * SECOND).run_blocking()?;
    /// # assert!(report.passed(), "{report}");
    /// # Ok::<(), mite_core::RunError>(())
    /// ```
    pub fn worker_setup<T: 'static>(
        mut self,
        setup: impl AsyncFn(&mut Context) -> Result<T> + Clone + Send + 'static,
    ) -> Self {
        let keep = async move |ctx: &mut Context| {
            let fixture = setup(ctx).await?;
            ctx.set_fixture(Rc::new(fixture));
            Ok(())
        };
        self.hooks.worker_setup = Some(hooks::on_each_worker(keep));
        self
    }

    /// What is done once on each worker's thread after all journeys have ended and before teardown, whatever became of them;
    /// not where the worker's setup failed. If it fails, the run fails with its error.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// let scenario = Scenario::new().worker_teardown(async |_ctx| {
    ///     println!("a worker has ended");
    ///     Ok(())
    /// });
    /// ```
    pub fn worker_teardown(mut self, teardown: impl AsyncFn(&mut Context) -> Result + Clone + Send + 'static) -> Self {
        self.hooks.worker_teardown = Some(hooks::on_each_worker(teardown));
        self
    }

    /// What is done once after all journeys have ended, whatever became of them; not when setup failed. If it fails, the run
    /// fails with its error.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// let scenario = Scenario::new().teardown(async |ctx| {
    ///     let app: String = ctx.config().get("app_url")?;
    ///     println!("take back what was made at {app}");
    ///     Ok(())
    /// });
    /// ```
    pub fn teardown(mut self, teardown: impl AsyncFnOnce(&mut Context) -> Result + Send + 'static) -> Self {
        self.hooks.teardown = Some(hooks::once(teardown));
        self
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// What a scenario function may return.
///
/// You need not implement this: [`Scenario`] and `Result<Scenario>` have it.
pub trait IntoScenario {
    /// The scenario, or why there is none.
    ///
    /// # Errors
    /// What the scenario function returned.
    fn into_scenario(self) -> Result<Scenario>;
}

impl IntoScenario for Scenario {
    fn into_scenario(self) -> Result<Scenario> {
        Ok(self)
    }
}

impl<E: Into<Error>> IntoScenario for std::result::Result<Scenario, E> {
    fn into_scenario(self) -> Result<Scenario> {
        self.map_err(Into::into)
    }
}
