//! The two halves of a run: the even and the odd seconds of what was measured.
//!
//! They are apart from the rows that have them, since only a comparison asks for them: what they differ by is noise.

use serde::{Deserialize, Serialize};

use crate::figures::Half;
use crate::histogram::Histogram;

/// The figures of a row of the report in the run's even seconds (from 0) and in its odd ones: what lies between them is noise.
///
/// They are no first and second half, since between those lies what the plan changes, a ramp above all: every other second
/// both have the same plan. What happened in a second is that which ended or was started in it. Old reports have no halves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Halves {
    /// The seconds 0, 2, 4, …
    pub even: HalfFigures,
    /// The seconds 1, 3, 5, …
    pub odd: HalfFigures,
}

/// One half of [`Halves`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HalfFigures {
    /// Of a journey its starts, of a transaction and a request how often it ended.
    pub count: u64,
    /// Of a journey how often it failed, of a transaction how often it ended with an error; 0 for a request, whose row has one
    /// result.
    pub errors: u64,
    /// The row's times: of a journey the response times.
    pub time: HalfTimes,
}

/// The times of one half: whole microseconds, told within 0.1 %; zeros when there were none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HalfTimes {
    /// How many there were.
    pub count: u64,
    /// Their mean.
    pub mean: u64,
    /// What half of them were not longer than.
    pub p50: u64,
    /// What 90 of 100 were not longer than.
    pub p90: u64,
    /// What 95 of 100 were not longer than.
    pub p95: u64,
    /// What 99 of 100 were not longer than.
    pub p99: u64,
    /// What 999 of 1000 were not longer than.
    pub p999: u64,
}

impl HalfTimes {
    fn of(times: &Histogram) -> Self {
        let micros = |percent| times.percentile(percent).as_micros() as u64;
        Self {
            count: times.count(),
            mean: times.mean().as_micros() as u64,
            p50: micros(50.0),
            p90: micros(90.0),
            p95: micros(95.0),
            p99: micros(99.0),
            p999: micros(99.9),
        }
    }
}

impl Halves {
    /// Of a row and what the even seconds have of it.
    pub(crate) fn of(count: u64, errors: u64, time: &Histogram, even: &Half) -> Self {
        Self {
            even: HalfFigures { count: even.count, errors: even.errors, time: HalfTimes::of(&even.time) },
            odd: HalfFigures {
                count: count.saturating_sub(even.count),
                errors: errors.saturating_sub(even.errors),
                time: HalfTimes::of(&time.without(&even.time)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixed::times;

    #[test]
    fn the_odd_seconds_have_what_the_even_ones_have_not() {
        let (even, odd) = (times(&[(3, 700), (40, 12)]), times(&[(3, 20), (9, 30), (800, 1)]));
        let mut all = even.clone();
        all.merge(&odd);
        let half = Half { count: 720, errors: 3, time: even };
        let halves = Halves::of(780, 3, &all, &half);
        assert_eq!((halves.odd.count, halves.odd.errors), (60, 0));
        assert_eq!(halves.odd.time, HalfTimes::of(&odd));
        assert_eq!(halves.even.time, HalfTimes::of(&half.time));
        let none = Halves::of(780, 3, &half.time, &half).odd.time;
        assert_eq!(none, HalfTimes::default());
    }
}
