//! One row of a scenario: a journey, the pool of its data, and how much of it is wanted.
//!
//! Mistakes in a row are kept with their place until the run is started, so that building one is a single expression.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::journey::{self, Journey};
use crate::pool_of::PoolOf;
use crate::runner::options::{Overload, RowOptions};
use crate::runner::state::RowSpec;
use crate::runner::visit::TypedRow;
use crate::schedule::{self, Schedule, Stripe};
use crate::volume::{Asking, IntoModel, Model, NOT_FOR_RATES, SpawnRate, Unit, VolumeModel, nanos};

/// One row of a scenario, with its options.
///
/// ```
/// use std::time::Duration;
/// use mite_core::volume::{constant, SECOND};
/// use mite_core::{Context, NoData, Row, Scenario};
///
/// let browse = async |_ctx: &mut Context| Ok(());
/// let row = Row::new(browse, NoData, constant(5, SECOND)).named("browse").timeout(Duration::from_secs(2));
/// let scenario = Scenario::new().row(row);
/// ```
#[must_use = "a row does nothing until it is added to a scenario"]
pub struct Row {
    pub(crate) name: Option<String>,
    pub(crate) spec: Box<dyn RowSpec>,
    pub(crate) volume: std::result::Result<Model, String>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) options: RowOptions,
    pub(crate) delay: Duration,
    pub(crate) spawn_rate: Option<f64>,
    /// In a mix: the part of the model that is this row's, and the number of the mix's first row.
    pub(crate) part: Option<(Stripe, usize)>,
}

impl Row {
    /// A row of a journey, the pool of its data, and a volume model; see [`Scenario::journey`](crate::Scenario::journey).
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn signin(_ctx: &mut Context, _name: String) -> Result { Ok(()) }
    /// use mite_core::RecyclableIterableDataPool;
    ///
    /// let names = RecyclableIterableDataPool::new(["ann", "bob"].map(|name| (name.to_owned(),)));
    /// let row = Row::new(signin, names, constant(10, MINUTE)).timeout(5 * SECOND);
    /// let scenario = Scenario::new().row(row);
    /// ```
    #[track_caller]
    pub fn new<Args, J, P, V>(journey: J, data: P, volume: V) -> Self
    where
        J: Journey<Args>,
        P: PoolOf<Args>,
        V: VolumeModel,
        Args: 'static,
    {
        Self {
            name: journey::name_of(std::any::type_name::<J>()),
            spec: Box::new(TypedRow::new(journey, data)),
            volume: volume.into_model().map(|IntoModel(model)| model).map_err(|error| error.to_string()),
            place: Location::caller(),
            options: RowOptions::default(),
            delay: Duration::ZERO,
            spawn_rate: None,
            part: None,
        }
    }

    /// A row whose volume comes from the mix that it is added to.
    #[track_caller]
    pub(crate) fn of_mix<Args, J, P>(journey: J, data: P) -> Self
    where
        J: Journey<Args>,
        P: PoolOf<Args>,
        Args: 'static,
    {
        Self::new(journey, data, |_start, _end| 0)
    }

    /// The row by itself at another volume: what is said of its time and of how its number rises and falls belongs to the old one.
    pub(crate) fn alone(self, volume: impl VolumeModel) -> Self {
        Self {
            volume: volume.into_model().map(|IntoModel(model)| model).map_err(|error| error.to_string()),
            options: RowOptions { ramp_down: None, ..self.options },
            delay: Duration::ZERO,
            spawn_rate: None,
            part: None,
            ..self
        }
    }

    /// The journey's name in messages and reports; needed for a closure, which has none of its own.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let row = Row::new(visit, NoData, at_once(1)).named("front page");
    /// assert_eq!(Scenario::new().row(row).journeys().collect::<Vec<_>>(), ["front page"]);
    /// ```
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Cancels a journey that has run for so long; it is counted as failed with an error that says so.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// async fn hang(_ctx: &mut Context) -> Result {
    ///     std::future::pending().await
    /// }
    ///
    /// let row = Row::new(hang, NoData, at_once(1)).timeout(SECOND / 50);
    /// let report = Run::new(Scenario::new().row(row)).run_blocking()?;
    /// assert_eq!(report.journey("hang").failed, 1);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Starts the row so long after the others. A closure is still asked about times since the start of the row; it is asked
    /// second by second, so that its delay is in whole seconds.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let row = Row::new(visit, NoData, constant(2, 3 * SECOND)).starting_at(10 * SECOND);
    /// let preview = mite_core::preview(Scenario::new().row(row))?;
    /// assert_eq!((preview.rows[0].points[9], preview.rows[0].points[10]), (0, 2));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn starting_at(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How fast the number running may rise in the closed model, in journeys per second from 0.001 to 10⁹: without a limit
    /// as fast as the model says, which is all at once for `constant(1000, …).running()`.
    ///
    /// The number then rises from 0, at the row's start, along a line of this slope until it meets the model; a fall of the
    /// model is followed at once. A mix is limited as a whole, by [`Mix::spawn_rate`](crate::Mix::spawn_rate).
    ///
    /// ```
    /// use mite_core::volume::{constant, MINUTE};
    /// use mite_core::{Context, NoData, Row, Run, Scenario};
    ///
    /// let visit = async |_ctx: &mut Context| Ok(());
    /// let row = Row::new(visit, NoData, constant(600, 2 * MINUTE).running()).named("visit").spawn_rate(10.0);
    /// let preview = Run::new(Scenario::new().row(row)).preview()?;
    /// // All of them run after a minute.
    /// assert_eq!(preview.rows[0].points[29], 299);
    /// assert_eq!(preview.rows[0].points[60], 600);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn spawn_rate(mut self, journeys_per_second: f64) -> Self {
        self.spawn_rate = Some(journeys_per_second);
        self
    }

    /// How many of the row's journeys may run at once in the open model, shared out among the workers, those of all runners of a
    /// [cluster](crate::cluster) included: each needs room for one at least. What then happens is [`Row::overload`]. Unless told
    /// otherwise, it is 100 000 in each process.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let row = Row::new(visit, NoData, constant(500, MINUTE)).max_running(2000);
    /// ```
    pub fn max_running(mut self, journeys: u64) -> Self {
        self.options.max_running = Some(journeys);
        self
    }

    /// What happens to a start that would exceed [`Row::max_running`].
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// use mite_core::Overload;
    ///
    /// async fn hang(_ctx: &mut Context) -> Result {
    ///     std::future::pending().await
    /// }
    ///
    /// let row = Row::new(hang, NoData, at_once(5)).max_running(2).overload(Overload::Drop).timeout(SECOND / 50);
    /// let report = Run::new(Scenario::new().row(row)).run_blocking()?;
    /// assert_eq!((report.journey("hang").started, report.journey("hang").dropped), (2, 3));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn overload(mut self, overload: Overload) -> Self {
        self.options.overload = overload;
        self
    }

    /// When the number running falls, the journeys that are too many may go on for so long and are then cancelled; unless
    /// told otherwise they finish. At the end of the plan the run's graceful stop holds. For the closed model only.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let model = (constant(20, MINUTE) + constant(5, MINUTE)).running();
    /// let row = Row::new(visit, NoData, model).graceful_ramp_down(10 * SECOND);
    /// ```
    pub fn graceful_ramp_down(mut self, duration: Duration) -> Self {
        self.options.ramp_down = Some(duration);
        self
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("name", &self.name).field("place", &self.place).finish_non_exhaustive()
    }
}

/// A row that has been checked.
pub(crate) struct CheckedRow {
    pub(crate) name: String,
    pub(crate) spec: Box<dyn RowSpec>,
    pub(crate) plan: Plan,
    pub(crate) options: RowOptions,
}

impl CheckedRow {
    /// How many journeys run at once at the most, where the plan says so.
    pub(crate) fn most_running(&self) -> u64 {
        match &self.plan {
            Plan::Known(schedule, Unit::Running, _) => schedule.most_running(),
            _ => 0,
        }
    }
}

/// How a row's volume is known.
pub(crate) enum Plan {
    /// All of it, from the start: also whether it is a rate, and how often each of the journeys that run at once is run.
    Known(Schedule, Unit, Option<u64>),
    /// A second at a time; in a mix also the part that is this row's.
    Asked(Asking, Option<Stripe>),
}

/// A mistake in a row, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row} ({journey}, at {file}:{line}): {message}")]
pub struct RowError {
    /// The row's number in its scenario, from 1.
    pub row: usize,
    /// The journey's name, or `a closure`.
    pub journey: String,
    /// Where the row was made.
    pub file: &'static str,
    /// The line in it.
    pub line: u32,
    /// What is wrong, and the mend.
    pub message: String,
}

impl Row {
    /// Whether the row ends by itself.
    pub(crate) fn ends(&self) -> bool {
        // A model that makes no sense ends the run before it starts.
        !matches!(self.volume, Ok(Model::Asked(_))) || self.spec.ends()
    }

    /// Checks what can be known before the run starts; `endless_ok` is whether something else ends the run, and `spawn_rate`
    /// the run's limit for rows that have none of their own.
    pub(crate) fn check(
        self,
        row: usize,
        workers: usize,
        endless_ok: bool,
        spawn_rate: Option<&SpawnRate>,
    ) -> std::result::Result<CheckedRow, RowError> {
        let (place, named, ends) = (self.place, self.name.clone(), self.ends());
        let wrong = |message: String| RowError {
            row,
            journey: named.unwrap_or_else(|| "a closure".to_owned()),
            file: place.file(),
            line: place.line(),
            message,
        };
        let Some(name) = self.name else {
            return Err(wrong("a closure has no name: give its row one with `Row::new(…).named(\"…\")`".into()));
        };
        let own_spawn_rate = match self.spawn_rate.map(SpawnRate::new).transpose() {
            Ok(own) => own,
            Err(error) => return Err(wrong(error.to_string())),
        };
        let plan = match self.volume {
            Err(message) => return Err(wrong(message)),
            Ok(Model::Resolved(shape)) if shape.unit == Unit::Rate && own_spawn_rate.is_some() => {
                return Err(wrong(NOT_FOR_RATES.to_owned()));
            }
            Ok(Model::Resolved(mut shape)) => {
                // The rows of a mix are parts of one plan, so that they draw the same arrivals.
                let drawn_for = self.part.as_ref().map_or(row, |(_, first_row)| *first_row);
                shape.arrivals = schedule::for_row(shape.arrivals, drawn_for as u64);
                let Some(shape) = nanos(self.delay).and_then(|delay| shape.later(delay)) else {
                    return Err(wrong("with `.starting_at(…)` it is a plan of over 100 years".into()));
                };
                let (unit, each) = (shape.unit, shape.iterations_each);
                let shape = match own_spawn_rate.or_else(|| spawn_rate.cloned()) {
                    Some(limit) if unit == Unit::Running => shape.spawned_at(limit),
                    _ => shape,
                };
                let schedule = Schedule::new(shape);
                let schedule = match self.part {
                    Some((stripe, _)) => schedule.part(stripe),
                    None => schedule,
                };
                Plan::Known(schedule, unit, each)
            }
            Ok(Model::Asked(_)) if !endless_ok && !ends => {
                return Err(wrong(
                    "nothing says when this ends: its volume model is a closure, and its data pool has no end. \
                     Give the run `.stop_after(…)`, or the row stages with a length"
                        .into(),
                ));
            }
            Ok(Model::Asked(_)) if self.delay.subsec_nanos() != 0 => {
                return Err(wrong(
                    "the volume is a closure, which `.starting_at(…)` can only delay by whole seconds".into(),
                ));
            }
            Ok(Model::Asked(asked)) => {
                let asking = Asking::new(asked, self.delay.as_secs(), own_spawn_rate, spawn_rate.cloned());
                Plan::Asked(asking, self.part.map(|(stripe, _)| stripe))
            }
        };
        let RowOptions { timeout, max_running: most, ramp_down, .. } = self.options;
        if most == Some(0) {
            return Err(wrong("`max_running(0)` lets no journey run".into()));
        }
        if let Some(most) = most
            && most < workers as u64
        {
            return Err(wrong(format!(
                "`max_running({most})` cannot be shared out among {workers} workers: each needs room for at least one \
                 journey. Raise it, or give the run fewer workers"
            )));
        }
        if timeout == Some(Duration::ZERO) {
            return Err(wrong("a timeout of zero lets no journey run".into()));
        }
        if ramp_down.is_some() && matches!(plan, Plan::Known(_, Unit::Rate, _)) {
            return Err(wrong(
                "`.graceful_ramp_down(…)` is for a number running at once, not for a rate: there is nothing to cancel when a \
                 rate falls"
                    .into(),
            ));
        }
        if let Err(error) = self.spec.check() {
            return Err(wrong(error.to_string()));
        }
        Ok(CheckedRow { name, spec: self.spec, plan, options: self.options })
    }
}
