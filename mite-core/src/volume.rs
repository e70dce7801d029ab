//! How much of a journey is wanted: a function of time, as a closure or put together from stages.
//!
//! Nothing here knows a clock: a model is resolved into straight [`Segment`]s once, when its row is made, and whatever
//! makes no sense is refused then.

mod asked;
mod replay;
mod shapes;
mod spawn_rate;
mod stages;
mod totals;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use asked::{Answer, Asked, Asking, NOT_FOR_RATES};
pub use replay::{Replay, ReplayError, replay};
pub use shapes::{sine, spike, steps};
pub(crate) use spawn_rate::SpawnRate;
pub(crate) use stages::nanos;
pub use stages::{Stages, constant, nothing, ramp};
pub use totals::{at_once, bell, spread};

/// One second, for `10 * SECOND`.
pub const SECOND: Duration = Duration::from_secs(1);
/// One minute.
pub const MINUTE: Duration = Duration::from_secs(60);
/// One hour.
pub const HOUR: Duration = Duration::from_secs(3600);

/// The highest rate that can be asked for, in starts per second, and the highest number running.
pub const HIGHEST: f64 = 1e9;

/// How much is wanted at a time: a plain number is a rate.
///
/// ```
/// # use mite_core::Volume;
/// assert_eq!(Volume::from(100), Volume::Rate(100.0));
/// assert_eq!(Volume::from(None::<u32>), Volume::Stop);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Volume {
    /// Journeys started per second, whole thousandths of one (the open model): from 0 to 10⁹.
    Rate(f64),
    /// Journeys running at once (the closed model).
    Running(u64),
    /// The row has ended.
    Stop,
}

impl Volume {
    /// A number of journeys that run at once: each that finishes is replaced (the closed model).
    ///
    /// ```
    /// use mite_core::Volume;
    /// use mite_core::volume::{MINUTE, constant};
    ///
    /// assert_eq!(constant(Volume::running(20), MINUTE).resolve(), constant(20, MINUTE).running().resolve());
    /// ```
    pub fn running(journeys: u64) -> Self {
        Self::Running(journeys)
    }
}

macro_rules! rate_from {
    ($($ty:ty)*) => { $(
        impl From<$ty> for Volume {
            fn from(rate: $ty) -> Self {
                #[expect(clippy::allow_attributes, reason = "which casts lose nothing depends on the type")]
                #[allow(clippy::cast_lossless, trivial_numeric_casts, reason = "the same for each type")]
                Self::Rate(rate as f64)
            }
        }
    )* };
}
rate_from!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize f32 f64);

impl<T: Into<Volume>> From<Option<T>> for Volume {
    fn from(volume: Option<T>) -> Self {
        volume.map_or(Self::Stop, Into::into)
    }
}

/// What a number means: a rate in thousandths of a start per second, or thousandths of a running journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The open model.
    Rate,
    /// The closed model.
    Running,
}

/// A straight piece of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Nanoseconds since the start of the run.
    pub start: u64,
    /// Nanoseconds since the start of the run; after `start`.
    pub end: u64,
    /// The volume at `start`, in thousandths.
    pub from: u64,
    /// The volume at `end`, in thousandths.
    pub to: u64,
}

impl Segment {
    /// As [`Segment::into_parts`] gives it.
    pub(crate) fn from_parts((start, end, from, to): (u64, u64, u64, u64)) -> Self {
        Self { start, end, from, to }
    }

    /// Start, end, and the volumes at them.
    pub(crate) fn into_parts(self) -> (u64, u64, u64, u64) {
        (self.start, self.end, self.from, self.to)
    }

    /// The volume at `time`, which is not outside of the segment, in thousandths, rounded down.
    pub(crate) fn at(self, time: u64) -> u64 {
        let (elapsed, length) = (u128::from(time - self.start), u128::from(self.end - self.start));
        let change = u128::from(self.from.abs_diff(self.to)) * elapsed;
        if self.to >= self.from {
            self.from + (change / length) as u64
        } else {
            self.from - change.div_ceil(length) as u64
        }
    }
}

/// A volume model that has been worked out: what a [`Schedule`](crate::schedule::Schedule) is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub(crate) unit: Unit,
    pub(crate) source: Source,
    pub(crate) arrivals: Arrivals,
    /// No more starts than this in all.
    pub(crate) iterations: Option<u64>,
    /// No more starts than this by each of those that run at once.
    pub(crate) iterations_each: Option<u64>,
}

/// How starts are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Arrivals {
    /// Start k at T_k.
    #[default]
    Even,
    /// Start k at random within a part of the interval from T_k to the next start.
    Jitter {
        /// The part of the interval, in 2⁻³².
        fraction: u64,
        seed: u64,
    },
    /// A Poisson process of the plan's rate.
    Poisson { seed: u64 },
}

/// Where the starts of a shape come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Segments(Vec<Segment>),
    /// Single times in nanoseconds, in rising order, and the end of the plan.
    Times(Arc<[u64]>, u64),
}

impl Shape {
    /// Whether its numbers are rates or journeys running at once.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The same shape, later by so many nanoseconds; `None` where that is centuries away.
    pub(crate) fn later(mut self, by: u64) -> Option<Self> {
        self.end().checked_add(by).filter(|end| *end <= stages::LONGEST_PLAN)?;
        match &mut self.source {
            Source::Segments(segments) => {
                for segment in segments {
                    segment.start += by;
                    segment.end += by;
                }
            }
            Source::Times(times, end) => {
                *times = times.iter().map(|time| time + by).collect();
                *end += by;
            }
        }
        Some(self)
    }

    /// The end of its last segment, in nanoseconds since the start of the run.
    pub fn end(&self) -> u64 {
        match &self.source {
            Source::Segments(segments) => segments.last().map_or(0, |segment| segment.end),
            Source::Times(_, end) => *end,
        }
    }
}

/// Why a volume model makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VolumeError(String);

impl VolumeError {
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

/// A volume as thousandths, or why it is none.
pub(crate) fn thousandths(volume: Volume) -> Result<Option<(Unit, u64)>, VolumeError> {
    match volume {
        Volume::Stop => Ok(None),
        Volume::Running(journeys) if journeys as f64 > HIGHEST => {
            Err(VolumeError::new(format_args!("{journeys} running at once are more than 1000000000")))
        }
        Volume::Running(journeys) => Ok(Some((Unit::Running, journeys * 1000))),
        Volume::Rate(rate) => {
            if !rate.is_finite() {
                return Err(VolumeError::new(format_args!("a rate of {rate} is no number of starts per second")));
            }
            if rate < 0.0 {
                return Err(VolumeError::new(format_args!("a rate of {rate} is negative")));
            }
            if rate > HIGHEST {
                return Err(VolumeError::new(format_args!("a rate of {rate} is over 1000000000 per second")));
            }
            let thousandths = (rate * 1000.0).round() as u64;
            if thousandths == 0 && rate > 0.0 {
                return Err(VolumeError::new(format_args!(
                    "a rate of {rate} is under a thousandth of a start per second"
                )));
            }
            Ok(Some((Unit::Rate, thousandths)))
        }
    }
}

/// A volume model as a row holds it.
#[derive(Clone)]
pub(crate) enum Model {
    /// Resolved when the row was made.
    Resolved(Shape),
    /// Asked once a second for the second to come.
    Asked(Asked),
}

/// What a row takes as its volume model: [`Stages`], or a closure `|start, end| …` that gives a rate, a [`Volume`] or an
/// `Option` of one.
///
/// You need not implement this yourself. The closure is given times since the start of the run and asked once a second,
/// for the second to come; one that calls a method on `start` names its type: `|start: Duration, _end|`.
///
/// ```
/// # use std::time::Duration;
/// use mite_core::volume::{MINUTE, SECOND, constant};
/// use mite_core::{Volume, VolumeModel};
///
/// fn is_one(_: impl VolumeModel) {}
///
/// is_one(constant(50, MINUTE));
/// is_one(|_start, _end| 50);
/// is_one(|_start, _end| Volume::running(20));
/// // It ends after a minute.
/// is_one(|start: Duration, _end| (start < MINUTE).then_some(50));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no volume model",
    label = "neither stages nor a closure that gives a rate",
    note = "write `constant(50, 10 * SECOND)`, or a closure of two times such as `|_start, _end| 50`",
    note = "a closure gives a number, which is a rate, a `Volume`, or an `Option` of either"
)]
pub trait VolumeModel {
    #[doc(hidden)]
    fn into_model(self) -> Result<IntoModel, VolumeError>;
}

/// Keeps the inside of a model out of the public trait.
#[doc(hidden)]
pub struct IntoModel(pub(crate) Model);

impl fmt::Debug for IntoModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntoModel")
    }
}

impl VolumeModel for Stages {
    fn into_model(self) -> Result<IntoModel, VolumeError> {
        Ok(IntoModel(Model::Resolved(self.resolve()?)))
    }
}

#[diagnostic::do_not_recommend]
impl<F, V> VolumeModel for F
where
    F: Fn(Duration, Duration) -> V + Send + 'static,
    V: Into<Volume>,
{
    fn into_model(self) -> Result<IntoModel, VolumeError> {
        Ok(IntoModel(Model::Asked(Asked::new(Box::new(move |start, end| self(start, end).into())))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn segment(start: u64, end: u64, from: u64, to: u64) -> Segment {
        Segment { start: start * S, end: end * S, from: from * 1000, to: to * 1000 }
    }

    fn worked_out(model: &Stages) -> (Unit, Vec<Segment>) {
        let shape = model.resolve().unwrap();
        match shape.source {
            Source::Segments(segments) => (shape.unit, segments),
            Source::Times(..) => unreachable!("stages are segments"),
        }
    }

    #[test]
    fn models_are_repeated_and_scaled() {
        let twice = (constant(1, SECOND) + constant(2, SECOND)).repeat(2).scale(10.0);
        let by_hand = constant(10, SECOND) + constant(20, SECOND) + constant(10, SECOND) + constant(20, SECOND);
        assert_eq!(twice.resolve(), by_hand.resolve());
    }

    #[test]
    fn ramps_read_their_ends_from_their_neighbours() {
        let model = constant(10, SECOND) + ramp(2 * SECOND) + constant(30, SECOND) + ramp(SECOND).to(0);
        assert_eq!(
            worked_out(&model),
            (
                Unit::Rate,
                vec![segment(0, 1, 10, 10), segment(1, 3, 10, 30), segment(3, 4, 30, 30), segment(4, 5, 30, 0)]
            )
        );
    }

    #[test]
    fn numbers_running_are_asked_for_by_name() {
        let by_volume = worked_out(&constant(Volume::running(10), SECOND));
        assert_eq!(by_volume, worked_out(&constant(10, SECOND).running()));
        assert_eq!(by_volume, (Unit::Running, vec![segment(0, 1, 10, 10)]));
        assert_eq!(worked_out(&(nothing(SECOND) + constant(Volume::running(2), SECOND))).0, Unit::Running);
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        let cases = [
            (constant(-1, SECOND), "a rate of -1 is negative"),
            (constant(f64::NAN, SECOND), "a rate of NaN is no number of starts per second"),
            (constant(f64::INFINITY, SECOND), "a rate of inf is no number of starts per second"),
            (constant(2e9, SECOND), "a rate of 2000000000 is over 1000000000 per second"),
            (constant(0.0001, SECOND), "a rate of 0.0001 is under a thousandth of a start per second"),
            (constant(1, Duration::ZERO), "the stage in place 1 has no length"),
            (constant(1, Duration::MAX), "a plan of over 100 years"),
            (
                ramp(SECOND).to(5),
                "the ramp in place 1 begins nowhere: put a stage with a volume before it, or give it `.from(…)`",
            ),
            (
                constant(1, SECOND) + ramp(SECOND),
                "the ramp in place 2 ends nowhere: put a stage with a volume after it, or give it `.to(…)`",
            ),
            (
                constant(1, SECOND) + ramp(SECOND) + ramp(SECOND).to(3),
                "the ramp in place 2 ends nowhere: put a stage with a volume after it, or give it `.to(…)`",
            ),
            (
                constant(1, SECOND) + constant(1, SECOND).running(),
                "one model cannot have both rates and numbers of journeys running at once",
            ),
            (constant(0.5, SECOND).running(), "a number of journeys running at once is whole"),
            (constant(0, SECOND).running(), "a number of 0 running at once runs no journey"),
            (constant(Volume::running(0), SECOND), "a number of 0 running at once runs no journey"),
            (constant(1, SECOND).repeat(0), "`.repeat(n)` is for 1 to 1000000 stages in all"),
            (constant(1, SECOND).scale(-1.0), "`.scale(f)` takes a factor that is not negative"),
            (constant(1, SECOND).jitter(1.5, 0), "`.jitter(fraction, seed)` takes a fraction from 0 to 1"),
            (constant(1, SECOND).iterations(0), "`.iterations(0)` starts nothing"),
            (
                constant(1, SECOND).iterations_each(1),
                "`.iterations_each(n)` is for a number running at once, not for a rate",
            ),
            (
                constant(1, SECOND).running().iterations_each(1 << 32),
                "`.iterations_each(n)` is for 4294967295 at the most",
            ),
            (
                constant(1, SECOND).running().poisson(1),
                "`.poisson(…)` and `.jitter(…)` spread a rate, not a number running at once",
            ),
            (
                constant(1, SECOND).poisson(1) + constant(1, SECOND),
                "`.poisson(…)`, `.jitter(…)` and `.iterations(…)` hold for a whole model: write `(a + b).poisson(1)`",
            ),
        ];
        for (model, message) in cases {
            assert_eq!(model.resolve().unwrap_err().to_string(), message, "{model:?}");
        }
    }

    #[test]
    fn closures_of_each_kind_are_models() {
        fn ask<V: VolumeModel>(model: V) -> Volume {
            match model.into_model().unwrap().0 {
                Model::Asked(asked) => asked.ask(Duration::ZERO, SECOND),
                Model::Resolved(_) => unreachable!("a closure is asked"),
            }
        }
        assert_eq!(ask(|_start, _end| 100), Volume::Rate(100.0));
        assert_eq!(ask(|_start, _end| 0.5), Volume::Rate(0.5));
        assert_eq!(ask(|_start, _end| Volume::running(3)), Volume::Running(3));
        assert_eq!(ask(|start: Duration, _end| (start > SECOND).then_some(5)), Volume::Stop);
    }
}
