//! Volume models put together from stages, and what can be said of a whole one.
//!
//! They are apart from the trait of models, since closures and users' own models have none.

use std::ops::Add;
use std::time::Duration;

use super::{Arrivals, Segment, Shape, Source, Unit, Volume, VolumeError, thousandths};

/// A volume model put together from stages, each with a length.
///
/// Made by [`constant`], [`ramp`], [`nothing`] and the shapes beside them, joined by `+` or by chaining. A ramp reads its ends
/// from its neighbours.
///
/// ```
/// use mite_core::volume::{constant, nothing, ramp, MINUTE};
///
/// let joined = nothing(MINUTE) + ramp(MINUTE) + constant(50, 2 * MINUTE) + ramp(MINUTE).to(0);
/// let chained = nothing(MINUTE).ramp_to(50, MINUTE).hold(2 * MINUTE).ramp_to(0, MINUTE);
/// assert_eq!(joined.resolve(), chained.resolve());
/// assert_eq!(joined.duration(), 5 * MINUTE);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a volume model does nothing until a row is given it"]
pub struct Stages {
    parts: Vec<Stage>,
    /// Numbers are rates unless this is set: see [`Stages::running`].
    running: bool,
    arrivals: Arrivals,
    iterations: Option<u64>,
    iterations_each: Option<u64>,
    /// The first thing that made no sense while it was put together.
    mistake: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Stage {
    duration: Duration,
    /// `None` where a ramp takes its neighbour's.
    from: Option<Volume>,
    to: Option<Volume>,
}

/// Nothing, for so long.
///
/// ```
/// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
/// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
/// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
/// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
/// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
/// # }
/// // Half a minute later than the other rows.
/// let model = nothing(30 * SECOND) + constant(50, MINUTE);
/// assert_eq!((model.duration(), planned(model)?), (90 * SECOND, Some(3000)));
/// # Ok::<(), mite_core::Error>(())
/// ```
pub fn nothing(duration: Duration) -> Stages {
    constant(0, duration)
}

/// The same volume for so long: a rate, or `Volume::running(n)`.
///
/// ```
/// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
/// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
/// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
/// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
/// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
/// # }
/// assert_eq!(planned(constant(50, MINUTE))?, Some(3000));
/// assert_eq!(planned(constant(0.5, MINUTE))?, Some(30));
/// // 20 at once, and however many starts that makes.
/// assert_eq!(planned(constant(Volume::running(20), MINUTE))?, None);
/// # Ok::<(), mite_core::Error>(())
/// ```
pub fn constant(volume: impl Into<Volume>, duration: Duration) -> Stages {
    let volume = Some(volume.into());
    Stages::of(Stage { duration, from: volume, to: volume })
}

/// A straight line from the end of the stage before to the beginning of the one after; at the edges of a model its ends
/// are given by [`Stages::from`] and [`Stages::to`].
///
/// ```
/// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
/// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
/// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
/// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
/// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
/// # }
/// let model = ramp(MINUTE).from(0).to(100);
/// assert_eq!(planned(model)?, Some(3000));
/// // It reads its ends from its neighbours.
/// let model = constant(50, MINUTE) + ramp(MINUTE) + constant(100, MINUTE);
/// assert_eq!(planned(model)?, Some(3000 + 4500 + 6000));
/// # Ok::<(), mite_core::Error>(())
/// ```
pub fn ramp(duration: Duration) -> Stages {
    Stages::of(Stage { duration, from: None, to: None })
}

impl Stages {
    fn of(stage: Stage) -> Self {
        Self {
            parts: vec![stage],
            running: false,
            arrivals: Arrivals::Even,
            iterations: None,
            iterations_each: None,
            mistake: None,
        }
    }

    /// A model that is refused, in these words, when a row is given it.
    pub(super) fn mistaken(mistake: &'static str) -> Self {
        let mut stages = nothing(Duration::from_secs(1));
        stages.mistake = Some(mistake);
        stages
    }

    fn or_mistake(mut self, holds: bool, mistake: &'static str) -> Self {
        if !holds {
            self.mistake.get_or_insert(mistake);
        }
        self
    }

    /// Where the first stage begins.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// assert_eq!(planned(ramp(MINUTE).from(20) + constant(20, MINUTE))?, Some(2400));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn from(mut self, volume: impl Into<Volume>) -> Self {
        self.parts[0].from = Some(volume.into());
        self
    }

    /// Where the last stage ends.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// assert_eq!(planned(constant(20, MINUTE) + ramp(MINUTE).to(0))?, Some(1800));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn to(mut self, volume: impl Into<Volume>) -> Self {
        let last = self.parts.len() - 1;
        self.parts[last].to = Some(volume.into());
        self
    }

    /// Goes on with a ramp from where this ends to `volume`.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// let model = constant(10, MINUTE).ramp_to(50, MINUTE);
    /// assert_eq!(model.resolve(), (constant(10, MINUTE) + ramp(MINUTE).to(50)).resolve());
    /// ```
    pub fn ramp_to(self, volume: impl Into<Volume>, duration: Duration) -> Self {
        self + ramp(duration).to(volume)
    }

    /// Goes on with the volume with which this ends.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// let model = ramp(MINUTE).from(0).to(50).hold(MINUTE);
    /// assert_eq!(model.resolve(), (ramp(MINUTE).from(0) + constant(50, MINUTE)).resolve());
    /// ```
    pub fn hold(self, duration: Duration) -> Self {
        let volume = self.parts[self.parts.len() - 1].to;
        self + Stages::of(Stage { duration, from: volume, to: volume })
    }

    /// The whole model so many times, one after the other.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// let model = (constant(20, 10 * SECOND) + nothing(10 * SECOND)).repeat(3);
    /// assert_eq!((model.duration(), planned(model)?), (MINUTE, Some(600)));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn repeat(mut self, times: usize) -> Self {
        const MOST: usize = 1_000_000;
        let fits = (1..=MOST).contains(&times) && self.parts.len().saturating_mul(times) <= MOST;
        if fits {
            self.parts = self.parts.repeat(times);
        }
        self.or_mistake(fits, "`.repeat(n)` is for 1 to 1000000 stages in all")
    }

    /// Puts a ramp of this length between each two stages of the model, from the end of the one to the beginning of the next.
    ///
    /// ```
    /// use mite_core::volume::{constant, ramp, steps, MINUTE, SECOND};
    ///
    /// let stairs = steps(10.0, 5.0, 2, MINUTE).ramps_between(10 * SECOND);
    /// let by_hand = constant(10, MINUTE) + ramp(10 * SECOND) + constant(15, MINUTE);
    /// assert_eq!(stairs, by_hand);
    /// ```
    pub fn ramps_between(mut self, duration: Duration) -> Self {
        let ramp = Stage { duration, from: None, to: None };
        let first = self.parts[0];
        let rest = self.parts[1..].iter().flat_map(|stage| [ramp, *stage]);
        self.parts = std::iter::once(first).chain(rest).collect();
        self
    }

    /// All volumes of the model so many times as large.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// let model = ramp(MINUTE).from(0) + constant(50, MINUTE);
    /// assert_eq!(planned(model.scale(2.5))?, Some(11_250));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn scale(mut self, factor: f64) -> Self {
        for end in self.parts.iter_mut().flat_map(|stage| [&mut stage.from, &mut stage.to]) {
            *end = match *end {
                Some(Volume::Rate(rate)) => Some(Volume::Rate(rate * factor)),
                Some(Volume::Running(journeys)) => Some(Volume::Running((journeys as f64 * factor).round() as u64)),
                other => other,
            };
        }
        self.or_mistake(factor.is_finite() && factor >= 0.0, "`.scale(f)` takes a factor that is not negative")
    }

    /// Takes the plain numbers of this model as journeys running at once, not as rates.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// let model = (ramp(20 * SECOND).from(0) + constant(8, 40 * SECOND)).running();
    /// let preview = mite_core::preview(Scenario::new().journey(visit, NoData, model))?;
    /// assert_eq!((preview.rows[0].planned, preview.rows[0].points[30]), (None, 8));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn running(mut self) -> Self {
        self.running = true;
        self
    }

    /// Starts come at random, as those of independent users do: a Poisson process of the model's rate. How many there are in
    /// all then varies from seed to seed; with the same seed it is the same plan.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// let model = || constant(50, MINUTE).poisson(1);
    /// assert_eq!(planned(model())?, planned(model())?);
    /// assert_ne!(planned(model())?, planned(constant(50, MINUTE).poisson(2))?);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn poisson(mut self, seed: u64) -> Self {
        self.arrivals = Arrivals::Poisson { seed };
        self
    }

    /// Each start comes at random within a part of the interval to the next one: 0 is evenly, 1 anywhere in it. Their number
    /// and order stay the same.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// assert_eq!(planned(constant(50, MINUTE).jitter(0.5, 1))?, Some(3000));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn jitter(mut self, fraction: f64, seed: u64) -> Self {
        let fits = (0.0..=1.0).contains(&fraction);
        if fits {
            self.arrivals = Arrivals::Jitter { fraction: (fraction * 4_294_967_296.0) as u64, seed };
        }
        self.or_mistake(fits, "`.jitter(fraction, seed)` takes a fraction from 0 to 1")
    }

    /// Ends the row after so many starts in all, if the model has not ended it before.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// assert_eq!(planned(constant(50, MINUTE).iterations(23))?, Some(23));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn iterations(mut self, starts: u64) -> Self {
        self.iterations = Some(starts);
        self.or_mistake(starts > 0, "`.iterations(0)` starts nothing")
    }

    /// Each of the journeys that run at once is run so many times, one after the other; for numbers running only.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// // Each of five runs its journey four times.
    /// let model = constant(5, MINUTE).running().iterations_each(4);
    /// # let scenario = Scenario::new().journey(visit, NoData, model);
    /// # let report = mite_core::Run::new(scenario).run_blocking()?;
    /// assert_eq!(report.journey("visit").started, 20);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn iterations_each(mut self, starts: u64) -> Self {
        self.iterations_each = Some(starts);
        let fits = u32::try_from(starts).is_ok();
        self.or_mistake(starts > 0, "`.iterations_each(0)` starts nothing")
            .or_mistake(fits, "`.iterations_each(n)` is for 4294967295 at the most")
    }

    /// How long the model is.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// assert_eq!((nothing(MINUTE) + constant(50, 2 * MINUTE)).duration(), 3 * MINUTE);
    /// ```
    pub fn duration(&self) -> Duration {
        self.parts.iter().map(|stage| stage.duration).fold(Duration::ZERO, Duration::saturating_add)
    }

    /// The model worked out, without gaps, from 0 on.
    ///
    /// # Errors
    /// A volume that is negative, no number, over 10⁹, or under a thousandth; rates and numbers running in one model; a
    /// ramp without an end; a length of zero or of over 100 years; a number running that is not whole, or that is zero
    /// throughout; arrivals or limits that do not go with the rest.
    ///
    /// ```
    /// # use mite_core::volume::{MINUTE, SECOND, constant, nothing, ramp};
    /// # use mite_core::{Context, NoData, Result, Scenario, Volume, VolumeModel};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// # fn planned(model: impl VolumeModel) -> Result<Option<u64>> {
    /// #     Ok(mite_core::preview(Scenario::new().journey(visit, NoData, model))?.rows[0].planned)
    /// # }
    /// assert!(constant(50, MINUTE).resolve().is_ok());
    /// let error = (ramp(MINUTE) + constant(50, MINUTE)).resolve().unwrap_err().to_string();
    /// assert!(error.contains(".from("), "{error}");
    /// ```
    pub fn resolve(&self) -> Result<Shape, VolumeError> {
        if let Some(mistake) = self.mistake {
            return Err(VolumeError::new(mistake));
        }
        let mut unit = None;
        let mut segments = Vec::with_capacity(self.parts.len());
        let mut at = 0;
        for (index, stage) in self.parts.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|index| self.parts[index].to);
            let after = self.parts.get(index + 1).and_then(|stage| stage.from);
            let place = index + 1;
            let from = stage.from.or(before).ok_or_else(|| {
                VolumeError::new(format_args!(
                    "the ramp in place {place} begins nowhere: put a stage with a volume before it, or give it `.from(…)`"
                ))
            })?;
            let to = stage.to.or(after).ok_or_else(|| {
                VolumeError::new(format_args!(
                    "the ramp in place {place} ends nowhere: put a stage with a volume after it, or give it `.to(…)`"
                ))
            })?;
            let from = self.number(from, &mut unit)?;
            let to = self.number(to, &mut unit)?;
            let end = nanos(stage.duration).and_then(|nanos| nanos.checked_add(at)).filter(|end| *end <= LONGEST_PLAN);
            let end = end.ok_or_else(|| VolumeError::new("a plan of over 100 years"))?;
            if end == at {
                return Err(VolumeError::new(format_args!("the stage in place {place} has no length")));
            }
            segments.push(Segment { start: at, end, from, to });
            at = end;
        }
        let explicitly_running = |volume: &Option<Volume>| matches!(volume, Some(Volume::Running(_)));
        let asks_for_running =
            self.running || self.parts.iter().any(|s| explicitly_running(&s.from) || explicitly_running(&s.to));
        let unit = unit.unwrap_or(if asks_for_running { Unit::Running } else { Unit::Rate });
        match unit {
            Unit::Running if segments.iter().all(|segment| segment.from.max(segment.to) < 1000) => {
                return Err(VolumeError::new("a number of 0 running at once runs no journey"));
            }
            Unit::Running if self.arrivals != Arrivals::Even => {
                return Err(VolumeError::new(
                    "`.poisson(…)` and `.jitter(…)` spread a rate, not a number running at once",
                ));
            }
            Unit::Rate if self.iterations_each.is_some() => {
                return Err(VolumeError::new("`.iterations_each(n)` is for a number running at once, not for a rate"));
            }
            Unit::Running | Unit::Rate => {}
        }
        Ok(Shape {
            unit,
            source: Source::Segments(segments),
            arrivals: self.arrivals,
            iterations: self.iterations,
            iterations_each: self.iterations_each,
        })
    }

    fn number(&self, volume: Volume, unit: &mut Option<Unit>) -> Result<u64, VolumeError> {
        let Some((mut own, number)) = thousandths(volume)? else {
            return Err(VolumeError::new(
                "`Volume::Stop` is for closures: a model put together from stages has a length",
            ));
        };
        if self.running && own == Unit::Rate {
            if number % 1000 != 0 {
                return Err(VolumeError::new("a number of journeys running at once is whole"));
            }
            own = Unit::Running;
        }
        // Zero is zero in either unit: `nothing(…)` goes with both.
        if number > 0 && *unit.get_or_insert(own) != own {
            return Err(VolumeError::new("one model cannot have both rates and numbers of journeys running at once"));
        }
        Ok(number)
    }

    /// Whether something holds for the model as a whole, so that it cannot be a part of another.
    fn is_finished(&self) -> bool {
        self.arrivals != Arrivals::Even || self.iterations.is_some() || self.iterations_each.is_some()
    }

    /// Turns plain numbers that mean journeys running into ones that say so.
    fn make_explicit(&mut self) {
        if !std::mem::take(&mut self.running) {
            return;
        }
        for end in self.parts.iter_mut().flat_map(|stage| [&mut stage.from, &mut stage.to]) {
            if let Some(Volume::Rate(rate)) = *end
                && rate >= 0.0
                && rate.fract() == 0.0
            {
                *end = Some(Volume::Running(rate as u64));
            }
        }
    }
}

impl Add for Stages {
    type Output = Stages;

    /// One model after the other. A number stays what it was: a rate here, journeys running at once there.
    fn add(mut self, mut other: Stages) -> Stages {
        let finished = self.is_finished() || other.is_finished();
        if self.running != other.running {
            self.make_explicit();
            other.make_explicit();
        }
        self.parts.extend(other.parts);
        self.mistake = self.mistake.or(other.mistake);
        self.or_mistake(
            !finished,
            "`.poisson(…)`, `.jitter(…)` and `.iterations(…)` hold for a whole model: write `(a + b).poisson(1)`",
        )
    }
}

pub(super) const LONGEST_PLAN: u64 = 100 * 365 * 86_400 * 1_000_000_000;

pub(crate) fn nanos(duration: Duration) -> Option<u64> {
    u64::try_from(duration.as_nanos()).ok()
}
