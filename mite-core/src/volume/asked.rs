//! A closure as a volume model: it is asked once a second for the second to come, and its answers are made straight segments.
//!
//! A run and a preview ask in the same way and get the same words where an answer makes no sense.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Segment, SpawnRate, Unit, Volume, thousandths};
use crate::panics;

const SECOND: u64 = 1_000_000_000;

/// What a closure is asked each second: the volume from the one time to the other, both since the start of the run.
pub(crate) type AskVolume = Box<dyn Fn(Duration, Duration) -> Volume + Send>;

/// A closure that is asked, shared by the rows of a mix: each second is asked about once.
#[derive(Clone)]
pub(crate) struct Asked(Arc<Mutex<AskedOnce>>);

struct AskedOnce {
    ask: AskVolume,
    /// The second that was last asked about, and the answer.
    last: Option<(Duration, Volume)>,
}

impl Asked {
    pub(super) fn new(ask: AskVolume) -> Self {
        Self(Arc::new(Mutex::new(AskedOnce { ask, last: None })))
    }

    /// The volume from one time to another, both since the start of the row.
    pub(crate) fn ask(&self, start: Duration, end: Duration) -> Volume {
        // After a panic in the closure the run ends, and nobody asks again.
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((about, answer)) = asked.last
            && about == start
        {
            return answer;
        }
        let answer = (asked.ask)(start, end);
        asked.last = Some((start, answer));
        answer
    }
}

/// A row's closure with what is known of its answers so far.
pub(crate) struct Asking {
    asked: Asked,
    /// The second from which on it is asked: nothing is wanted before.
    from: u64,
    /// `None` until it has wanted something.
    unit: Option<Unit>,
    /// The row's own limit, which must not meet a rate.
    own_limit: bool,
    limit: Option<SpawnRate>,
}

/// The answer for one second.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// One segment after another, without gaps; their unit is that of [`Asking::unit`].
    Segments(Vec<Segment>),
    /// The row has ended.
    Stop,
}

impl Asking {
    /// A closure that is asked from second `from` on. Where it answers with a number running, that rises no faster than the
    /// row's own limit, or else that of the run.
    pub(crate) fn new(asked: Asked, from: u64, own: Option<SpawnRate>, of_run: Option<SpawnRate>) -> Self {
        Self { asked, from, unit: None, own_limit: own.is_some(), limit: own.or(of_run) }
    }

    /// What its numbers mean, as far as it has said: a rate, until it has wanted something.
    pub(crate) fn unit(&self) -> Unit {
        self.unit.unwrap_or(Unit::Rate)
    }

    /// What is wanted in the second that begins `second` seconds after the start of the run; each call asks for the next one.
    ///
    /// # Errors
    /// In words, when the closure panics or its answer makes no sense.
    pub(crate) fn ask(&mut self, second: u64) -> Result<Answer, String> {
        let answer = catch_unwind(AssertUnwindSafe(|| match second.checked_sub(self.from) {
            Some(own) => panics::watched(|| self.asked.ask(Duration::from_secs(own), Duration::from_secs(own + 1))),
            None => Volume::Rate(0.0),
        }));
        let answer = answer.map_err(|payload| format!("the closure panicked: {}", panics::text(&*payload)))?;
        let Some((unit, volume)) = thousandths(answer).map_err(|error| error.to_string())? else {
            return Ok(Answer::Stop);
        };
        // Zero is zero in either unit.
        if volume > 0 && *self.unit.get_or_insert(unit) != unit {
            return Err("it was a rate before and is a number running now, or the other way round".to_owned());
        }
        if self.own_limit && self.unit == Some(Unit::Rate) {
            return Err(NOT_FOR_RATES.to_owned());
        }
        let segment = Segment { start: second * SECOND, end: (second + 1) * SECOND, from: volume, to: volume };
        Ok(Answer::Segments(match &mut self.limit {
            Some(limit) if self.unit != Some(Unit::Rate) => limit.limit(segment).collect(),
            _ => vec![segment],
        }))
    }
}

/// Why a row of the open model has no spawn rate.
pub(crate) const NOT_FOR_RATES: &str =
    "`.spawn_rate(…)` is for a number running at once: a rate itself says how fast journeys start";

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(of: impl Fn(u64) -> Volume + Send + 'static, own: Option<f64>, of_run: Option<f64>) -> Asking {
        let asked = Asked::new(Box::new(move |start, _end| of(start.as_secs())));
        let limit = |rate: Option<f64>| rate.map(|rate| SpawnRate::new(rate).unwrap());
        Asking::new(asked, 2, limit(own), limit(of_run))
    }

    fn lines(answer: Result<Answer, String>) -> Vec<(u64, u64, u64)> {
        match answer.unwrap() {
            Answer::Segments(segments) => {
                segments.iter().map(|segment| (segment.end - segment.start, segment.from, segment.to)).collect()
            }
            Answer::Stop => Vec::new(),
        }
    }

    #[test]
    fn answers_are_limited_as_they_come() {
        let model = |second| if second < 2 { Volume::running(3) } else { Volume::Stop };
        let mut asking = asking(model, Some(2.0), Some(1.0));
        // Nothing before the row's start, which uses up none of the limit.
        assert_eq!(lines(asking.ask(0)), [(SECOND, 0, 0)]);
        assert_eq!(lines(asking.ask(1)), [(SECOND, 0, 0)]);
        assert_eq!(lines(asking.ask(2)), [(SECOND, 0, 2000)]);
        assert_eq!(lines(asking.ask(3)), [(SECOND / 2, 2000, 3000), (SECOND / 2, 3000, 3000)]);
        assert_eq!((asking.unit(), asking.ask(4)), (Unit::Running, Ok(Answer::Stop)));
    }

    #[test]
    fn the_limit_of_a_run_leaves_rates_alone() {
        let mut free = asking(|_| Volume::Rate(7.0), None, Some(1.0));
        assert_eq!(lines(free.ask(2)), [(SECOND, 7000, 7000)]);
        let mut own = asking(|_| Volume::Rate(7.0), Some(1.0), None);
        assert_eq!(own.ask(2), Err(NOT_FOR_RATES.to_owned()));
    }
}
