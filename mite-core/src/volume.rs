//! How much of a journey is wanted: a function of time, as a closure or put together from stages.
//!
//! Nothing here knows a clock: a model is resolved into straight [`Segment`]s once, when its row is made, and whatever
//! makes no sense is refused then.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Why a volume model makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VolumeError(String);

impl VolumeError {
    fn new(message: impl fmt::Display) -> Self {
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

/// A volume model put together from stages, each with a length.
///
/// Made by [`constant`], [`ramp`] and [`nothing`], joined by `+` or by chaining. A ramp reads its ends from its
/// neighbours.
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
    stages: Vec<Stage>,
    /// Numbers are rates unless this is set: see [`Stages::running`].
    running: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Stage {
    duration: Duration,
    /// `None` where a ramp takes its neighbour's.
    from: Option<Volume>,
    to: Option<Volume>,
}

/// Nothing, for so long.
pub fn nothing(duration: Duration) -> Stages {
    constant(0, duration)
}

/// The same volume for so long: a rate, or `Volume::running(n)`.
pub fn constant(volume: impl Into<Volume>, duration: Duration) -> Stages {
    let volume = Some(volume.into());
    Stages::of(Stage { duration, from: volume, to: volume })
}

/// A straight line from the end of the stage before to the beginning of the one after; at the edges of a model its ends
/// are given by [`Stages::from`] and [`Stages::to`].
pub fn ramp(duration: Duration) -> Stages {
    Stages::of(Stage { duration, from: None, to: None })
}

impl Stages {
    fn of(stage: Stage) -> Self {
        Self { stages: vec![stage], running: false }
    }

    /// Where the first stage begins.
    pub fn from(mut self, volume: impl Into<Volume>) -> Self {
        self.stages[0].from = Some(volume.into());
        self
    }

    /// Where the last stage ends.
    pub fn to(mut self, volume: impl Into<Volume>) -> Self {
        let last = self.stages.len() - 1;
        self.stages[last].to = Some(volume.into());
        self
    }

    /// Goes on with a ramp from where this ends to `volume`.
    pub fn ramp_to(self, volume: impl Into<Volume>, duration: Duration) -> Self {
        self + ramp(duration).to(volume)
    }

    /// Goes on with the volume with which this ends.
    pub fn hold(self, duration: Duration) -> Self {
        let volume = self.stages[self.stages.len() - 1].to;
        self + Stages::of(Stage { duration, from: volume, to: volume })
    }

    /// Takes the plain numbers of this model as journeys running at once, not as rates.
    pub fn running(mut self) -> Self {
        self.running = true;
        self
    }

    /// How long the model is.
    pub fn duration(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).fold(Duration::ZERO, Duration::saturating_add)
    }

    /// The unit and the straight pieces of this model, without gaps, from 0 on.
    ///
    /// # Errors
    /// A volume that is negative, no number, over 10⁹, or under a thousandth; rates and numbers running in one model; a
    /// ramp without an end; a length of zero or of over 100 years; a number running that is not whole.
    pub fn resolve(&self) -> Result<(Unit, Vec<Segment>), VolumeError> {
        let mut unit = None;
        let mut segments = Vec::with_capacity(self.stages.len());
        let mut at = 0;
        for (index, stage) in self.stages.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|index| self.stages[index].to);
            let after = self.stages.get(index + 1).and_then(|stage| stage.from);
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
        Ok((unit.unwrap_or(if self.running { Unit::Running } else { Unit::Rate }), segments))
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
}

const LONGEST_PLAN: u64 = 100 * 365 * 86_400 * 1_000_000_000;

pub(crate) fn nanos(duration: Duration) -> Option<u64> {
    u64::try_from(duration.as_nanos()).ok()
}

impl Add for Stages {
    type Output = Stages;

    /// One model after the other. A number stays what it was: a rate here, journeys running at once there.
    fn add(mut self, other: Stages) -> Stages {
        if self.running != other.running {
            // Each part's plain numbers are made explicit, so that resolving can tell what is mixed.
            self.make_explicit();
            let mut other = other;
            other.make_explicit();
            self.stages.extend(other.stages);
            self.running = false;
            return self;
        }
        self.stages.extend(other.stages);
        self
    }
}

impl Stages {
    fn make_explicit(&mut self) {
        if !self.running {
            return;
        }
        for end in self.stages.iter_mut().flat_map(|stage| [&mut stage.from, &mut stage.to]) {
            if let Some(Volume::Rate(rate)) = *end
                && rate >= 0.0
                && rate.fract() == 0.0
            {
                *end = Some(Volume::Running(rate as u64));
            }
        }
    }
}

/// What a closure is asked each second: the volume from the one time to the other, both since the start of the run.
pub(crate) type AskVolume = Box<dyn Fn(Duration, Duration) -> Volume + Send>;

/// A volume model as a row holds it.
pub(crate) enum Model {
    /// Resolved when the row was made.
    Resolved(Unit, Vec<Segment>),
    /// Asked once a second for the second to come.
    Asked(AskVolume),
}

/// What a row takes as its volume model: [`Stages`], or a closure `|start, end| …` that gives a rate, a [`Volume`] or an
/// `Option` of one.
///
/// You need not implement this yourself. The closure is given times since the start of the run and asked once a second,
/// for the second to come; one that calls a method on `start` names its type: `|start: Duration, _end|`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no volume model",
    label = "neither stages nor a closure of two times",
    note = "write `constant(50, 10 * SECOND)`, or a closure such as `|_start, _end| 50`"
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
        let (unit, segments) = self.resolve()?;
        Ok(IntoModel(Model::Resolved(unit, segments)))
    }
}

impl<F, V> VolumeModel for F
where
    F: Fn(Duration, Duration) -> V + Send + 'static,
    V: Into<Volume>,
{
    fn into_model(self) -> Result<IntoModel, VolumeError> {
        Ok(IntoModel(Model::Asked(Box::new(move |start, end| self(start, end).into()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn segment(start: u64, end: u64, from: u64, to: u64) -> Segment {
        Segment { start: start * S, end: end * S, from: from * 1000, to: to * 1000 }
    }

    #[test]
    fn ramps_read_their_ends_from_their_neighbours() {
        let model = constant(10, SECOND) + ramp(2 * SECOND) + constant(30, SECOND) + ramp(SECOND).to(0);
        let (unit, segments) = model.resolve().unwrap();
        assert_eq!(unit, Unit::Rate);
        assert_eq!(
            segments,
            [segment(0, 1, 10, 10), segment(1, 3, 10, 30), segment(3, 4, 30, 30), segment(4, 5, 30, 0)]
        );
    }

    #[test]
    fn numbers_running_are_asked_for_by_name() {
        let by_volume = constant(Volume::running(10), SECOND).resolve().unwrap();
        let by_model = constant(10, SECOND).running().resolve().unwrap();
        assert_eq!(by_volume, by_model);
        assert_eq!(by_volume, (Unit::Running, vec![segment(0, 1, 10, 10)]));
        let joined = (nothing(SECOND) + constant(Volume::running(2), SECOND)).resolve().unwrap();
        assert_eq!(joined.0, Unit::Running);
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
        ];
        for (model, message) in cases {
            assert_eq!(model.resolve().unwrap_err().to_string(), message, "{model:?}");
        }
    }

    #[test]
    fn closures_of_each_kind_are_models() {
        fn ask<V: VolumeModel>(model: V) -> Volume {
            match model.into_model().unwrap().0 {
                Model::Asked(ask) => ask(Duration::ZERO, SECOND),
                Model::Resolved(..) => unreachable!("a closure is asked"),
            }
        }
        assert_eq!(ask(|_start, _end| 100), Volume::Rate(100.0));
        assert_eq!(ask(|_start, _end| 0.5), Volume::Rate(0.5));
        assert_eq!(ask(|_start, _end| Volume::running(3)), Volume::Running(3));
        assert_eq!(ask(|start: Duration, _end| (start > SECOND).then_some(5)), Volume::Stop);
    }
}
