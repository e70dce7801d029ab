//! Models that are told how many starts there are, and not how many per second: at once, evenly, as a bell.
//!
//! They are put together from constant rates whose areas add up to exactly that number, so that they join, scale and scatter
//! as any other stages do.

use std::time::Duration;

use super::{Stages, constant, nanos};

/// A rate of one thousandth per second over one nanosecond is this part of a start.
const PARTS: u128 = 1_000_000_000_000;

/// So many starts at once: one each ten nanoseconds, which is faster than any machine makes them.
///
/// ```
/// use mite_core::schedule::Schedule;
/// use mite_core::volume::{at_once, constant, SECOND};
///
/// let model = at_once(100) + constant(5, 10 * SECOND);
/// let schedule = Schedule::new(model.resolve()?);
/// assert_eq!((schedule.planned(), schedule.due(99)), (150, Some(990)));
/// # Ok::<(), mite_core::Error>(())
/// ```
pub fn at_once(starts: u64) -> Stages {
    if starts == 0 {
        return Stages::mistaken("`at_once(0)` starts nothing");
    }
    // A tenth of the highest rate that there is, so that the model can be scaled up.
    constant(1e8, Duration::from_nanos(starts.saturating_mul(10)))
}

/// So many starts, evenly over so long. `constant` is told their rate instead, and plans as many as that makes.
///
/// Rates are whole thousandths, and few numbers of starts are a whole rate over a given time: the plan goes to and fro between
/// the two rates next to it, once a minute or, in plans of over 1000 minutes, a thousand times in all. For that a start comes
/// earlier than its time by 1.5 % of the interval between two starts at the most where there is one in each minute and more.
///
/// ```
/// use mite_core::schedule::Schedule;
/// use mite_core::volume::{spread, SECOND};
///
/// let schedule = Schedule::new(spread(1000, 7 * SECOND).resolve()?);
/// assert_eq!(schedule.planned(), 1000);
/// assert_eq!(schedule.due(500).map(|due| due / 1_000_000), Some(3_500 - 1));
/// # Ok::<(), mite_core::Error>(())
/// ```
pub fn spread(starts: u64, duration: Duration) -> Stages {
    let parts = duration.as_secs().div_ceil(60).clamp(1, 1000);
    weighted(starts, duration, &vec![1; parts as usize])
}

/// So many starts as a bell over so long: few at first, most in the middle, and few at last, as a normal distribution that is
/// cut off at three standard deviations. The highest rate is 2.4 times the mean one.
///
/// It is drawn with 64 steps, which add up to exactly that number.
///
/// ```
/// use mite_core::schedule::Schedule;
/// use mite_core::volume::{bell, SECOND};
///
/// let schedule = Schedule::new(bell(1000, 60 * SECOND).resolve()?);
/// let within = |from: u64, to: u64| schedule.before(to * 1_000_000_000) - schedule.before(from * 1_000_000_000);
/// // One standard deviation to either side of the middle has two thirds of them.
/// assert_eq!((schedule.planned(), within(20, 40), within(0, 10)), (1000, 685, 22));
/// # Ok::<(), mite_core::Error>(())
/// ```
pub fn bell(starts: u64, duration: Duration) -> Stages {
    const STEPS: u32 = 64;
    let weight = |step: u32| {
        let deviations = 3.0 * (f64::from(2 * step + 1) / f64::from(STEPS) - 1.0);
        (4_294_967_296.0 / exp(deviations * deviations / 2.0)) as u64
    };
    let weights: Vec<u64> = (0..STEPS).map(weight).collect();
    weighted(starts, duration, &weights)
}

/// Parts of equal length that share the starts by weight.
fn weighted(starts: u64, duration: Duration, weights: &[u64]) -> Stages {
    let Some(length) = nanos(duration).filter(|nanos| *nanos >= weights.len() as u64) else {
        // Refused for its length, or so short that a part would have none.
        return constant(starts as f64 / duration.as_secs_f64(), duration);
    };
    let (whole, parts) = (weights.iter().map(|weight| u128::from(*weight)).sum::<u128>(), weights.len() as u128);
    let mut stages: Option<Stages> = None;
    let (mut weight, mut start, mut begun) = (0, 0, 0);
    for (part, own) in (1..).zip(weights) {
        weight += u128::from(*own);
        let end = (u128::from(length) * part / parts) as u64;
        let area = u128::from(starts) * PARTS;
        // Each part ends at a whole part of a start: what is rounded off here belongs to the next one.
        let ended = (area / whole) * weight + (area % whole) * weight / whole;
        for stage in exactly(ended - begun, end - start) {
            stages = Some(match stages {
                Some(stages) => stages + stage,
                None => stage,
            });
        }
        (start, begun) = (end, ended);
    }
    stages.unwrap_or_else(|| constant(0, duration))
}

/// Rates that are a thousandth apart, and make up exactly `area` in `length` nanoseconds: the higher one first.
fn exactly(area: u128, length: u64) -> impl Iterator<Item = Stages> {
    let (low, rest) = ((area / u128::from(length)) as f64, (area % u128::from(length)) as u64);
    let stages = [(low + 1.0, rest), (low, length - rest)];
    stages
        .into_iter()
        .filter(|(_, length)| *length > 0)
        .map(|(thousandths, length)| constant(thousandths / 1000.0, Duration::from_nanos(length)))
}

/// eˣ for x from 0 to 5 by its Taylor series. The standard library's is not the same to the last bit on every machine, and a
/// plan must be.
fn exp(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..40 {
        term *= x / f64::from(n);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::Schedule;
    use crate::volume::{MINUTE, SECOND, ramp};

    const S: u64 = 1_000_000_000;

    fn schedule(model: &Stages) -> Schedule {
        Schedule::new(model.resolve().unwrap())
    }

    #[test]
    fn the_series_is_the_exponential() {
        for step in 0..=50 {
            let x = f64::from(step) / 10.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-14, "{x}");
        }
    }

    #[test]
    fn tables_of_due_times() {
        let cases = [
            (at_once(3), vec![(0, 0), (2, 20)], 3),
            (at_once(3) + constant(1, SECOND), vec![(2, 20), (3, 30)], 4),
            // A whole rate: as `constant(0.3, …)`.
            (spread(3, 10 * SECOND), vec![(0, 0), (1, 3_333_333_334), (2, 6_666_666_667)], 3),
            // 3.334 per second for a second, and 3.333 for two.
            (spread(10, 3 * SECOND), vec![(0, 0), (5, 1_499_849_985), (9, 2_699_969_997)], 10),
            // A third of a thousandth per second.
            (spread(1, 3000 * SECOND), vec![(0, 0)], 1),
            (spread(2, 6000 * SECOND), vec![(0, 0), (1, 3_000 * S)], 2),
            (spread(0, SECOND), vec![], 0),
            (bell(1, SECOND), vec![(0, 0)], 1),
            // Half a start before the middle, where the rate is 3.78 per second.
            (bell(101, 64 * SECOND), vec![(0, 0), (50, 31_867_829_765)], 101),
        ];
        for (model, due, planned) in cases {
            let schedule = schedule(&model);
            for (k, time) in due {
                assert_eq!(schedule.due(k), Some(time), "start {k} of {planned}");
            }
            assert_eq!((schedule.planned(), schedule.due(planned)), (planned, None));
        }
    }

    #[test]
    fn they_join_and_scale_as_others_do() {
        let model = (at_once(10) + spread(100, 7 * SECOND) + bell(50, 3 * SECOND)).scale(2.0);
        assert_eq!(schedule(&model.clone().repeat(3)).planned(), 960);
        assert_eq!(model.duration(), 10 * SECOND + Duration::from_nanos(100));
        let drawn = schedule(&spread(10_000, MINUTE).poisson(4)).planned();
        assert!(drawn.abs_diff(10_000) < 500, "{drawn}");
        let after = schedule(&(spread(100, SECOND) + ramp(SECOND).to(0)));
        assert_eq!(after.planned(), 150);
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        let cases = [
            (at_once(0), "`at_once(0)` starts nothing"),
            (spread(1, Duration::ZERO), "a rate of inf is no number of starts per second"),
            (bell(1, Duration::MAX), "under a thousandth"),
            (spread(0, Duration::MAX), "a plan of over 100 years"),
            (spread(3_000_000_000, SECOND), "is over 1000000000 per second"),
        ];
        for (model, words) in cases {
            let message = model.resolve().unwrap_err().to_string();
            assert!(message.contains(words), "{message:?} should have {words:?}");
        }
    }

    proptest! {
        #[test]
        fn exactly_so_many_and_evenly(starts in 1u64..100_000, millis in 1u64..200_000_000, at in 0.0f64..1.0) {
            let schedule = schedule(&spread(starts, Duration::from_millis(millis)));
            prop_assert_eq!(schedule.planned(), starts);
            let k = (starts as f64 * at) as u64;
            let (due, length) = (schedule.due(k).unwrap(), u128::from(millis) * 1_000_000);
            let ideal = (u128::from(k) * length).div_ceil(u128::from(starts)) as u64;
            let part = millis * 1_000_000 / (millis / 1000).div_ceil(60).clamp(1, 1000) + 1;
            // Off by what a quarter of a part makes at a thousandth per second, or by a part where the rate is below that.
            let interval = length as f64 / starts as f64;
            let early = (part as f64 / 1e9 / 4.0 * 0.001 * interval) as u64;
            prop_assert!(due <= ideal + 1, "{} is late for {}", due, ideal);
            prop_assert!(ideal - due.min(ideal) <= early.min(part) + 1000, "{} is early for {}", due, ideal);
        }

        #[test]
        fn a_bell_is_its_own_mirror_image(starts in 1u64..100_000, millis in 1_000u64..10_000_000, at in 0.0f64..1.0) {
            let schedule = schedule(&bell(starts, Duration::from_millis(millis)));
            prop_assert_eq!(schedule.planned(), starts);
            let end = schedule.end();
            let time = (end as f64 * at) as u64;
            let mirrored = starts - schedule.before(end - time);
            prop_assert!(schedule.before(time).abs_diff(mirrored) <= 2 + starts / 50_000, "{} at {}", mirrored, time);
        }
    }
}
