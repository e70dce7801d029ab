//! How far apart the figures of two runs may be by chance: see [`Comparison`](super::Comparison) for the reasons.
//!
//! It is apart from the rows, since it knows numbers only.

use std::time::Duration;

use super::{Change, NoiseUnknown};
use crate::histogram::Histogram;

/// Student's t of two degrees of freedom, for 19 of 20.
const T: f64 = 4.303;
/// How many standard errors by the number of samples alone are still taken for chance.
const Z: f64 = 3.0;
/// What a histogram tells is within 0.1 % of one run, and of the other.
const RESOLUTION: f64 = 0.002;
/// Two whole microseconds, likewise.
const LEAST: f64 = 2.0;
/// So many samples must lie beyond a quantile in each half.
const BEYOND: f64 = 10.0;

/// A figure of one run, and of its two halves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) value: f64,
    pub(super) halves: Result<[f64; 2], NoiseUnknown>,
    /// The standard error that it has by the number of its samples alone.
    pub(super) error: f64,
}

/// What two runs may differ by; no less than `least`.
pub(super) fn noise(baseline: &Measured, now: &Measured, least: f64) -> Result<f64, NoiseUnknown> {
    let apart = |[even, odd]: [f64; 2]| even - odd;
    let of_halves = T * apart(baseline.halves?).hypot(apart(now.halves?)) / 2.0;
    let of_samples = Z * baseline.error.hypot(now.error);
    Ok(of_halves.max(of_samples).max(least))
}

/// What the difference comes to; `up_is_worse` of times, and not of rates.
pub(super) fn change(baseline: f64, now: f64, noise: Result<f64, NoiseUnknown>, up_is_worse: bool) -> Change {
    let difference = now - baseline;
    match noise {
        Err(_) => Change::Unknown,
        Ok(noise) if difference.abs() <= noise => Change::Same,
        Ok(_) if (difference > 0.0) == up_is_worse => Change::Worse,
        Ok(_) => Change::Better,
    }
}

/// What two times may differ by for want of digits.
pub(super) fn resolution(baseline: f64, now: f64) -> f64 {
    (RESOLUTION * baseline.max(now)).max(LEAST)
}

/// The samples that a half needs for a quantile.
pub(super) fn needed(percent: f64) -> u64 {
    (BEYOND * 100.0 / (100.0 - percent)).round() as u64
}

/// The samples that a half needs for a mean or a share.
pub(super) fn needed_for_mean() -> u64 {
    BEYOND as u64
}

/// A quantile's standard error: a third of how far away the ranks are that lie three standard deviations beside its own.
pub(super) fn quantile_error(times: &Histogram, percent: f64) -> f64 {
    let part = percent / 100.0;
    let aside = 100.0 * Z * (part * (1.0 - part) / times.count().max(1) as f64).sqrt();
    let [lower, at, upper] =
        [percent - aside, percent, percent + aside].map(|percent| in_micros(times.percentile(percent)));
    (at - lower).max(upper - at) / Z
}

pub(super) fn mean_error(times: &Histogram) -> f64 {
    in_micros(times.stdev()) / (times.count().max(1) as f64).sqrt()
}

/// The standard error of a share that is so large in both runs together.
pub(super) fn share_error(in_both: f64, count: u64) -> f64 {
    (in_both * (1.0 - in_both) / count.max(1) as f64).sqrt()
}

/// That of a rate, as if each came by itself: where they come by a plan it is less.
pub(super) fn rate_error(count: u64, seconds: f64) -> f64 {
    (count as f64).sqrt() / seconds
}

pub(super) fn in_micros(duration: Duration) -> f64 {
    duration.as_micros() as f64
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;
    use crate::Rng;

    /// The formula alone, of runs whose halves' figures are normal: one pair in 20 is beyond it, half of them to the worse.
    #[test]
    fn one_pair_of_equal_runs_in_twenty_is_beyond_the_noise_of_its_halves() {
        const PAIRS: u32 = 20_000;
        let random = &mut Rng::seed_from_u64(1);
        // Nearly normal: the sum of twelve.
        let mut half = || 100.0 + (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let (mut worse, mut better) = (0, 0);
        for _ in 0..PAIRS {
            let [baseline, now] = [0, 1].map(|_| {
                let halves = [half(), half()];
                Measured { value: halves.iter().sum::<f64>() / 2.0, halves: Ok(halves), error: 0.0 }
            });
            match change(baseline.value, now.value, noise(&baseline, &now, 0.0), true) {
                Change::Worse => worse += 1,
                Change::Better => better += 1,
                _ => {}
            }
        }
        for found in [worse, better] {
            let part = f64::from(found) / f64::from(PAIRS);
            assert!((0.020..0.030).contains(&part), "{part}");
        }
    }

    #[test]
    fn the_larger_noise_counts() {
        let of = |halves, error| Measured { value: 100.0, halves: Ok(halves), error };
        let told = |one, other, least| noise(&one, &other, least).unwrap();
        assert!((told(of([100.0, 103.0], 0.0), of([100.0, 96.0], 0.0), 0.0) - 4.303 * 2.5).abs() < 1e-9);
        assert!((told(of([100.0, 100.0], 3.0), of([100.0, 100.0], 4.0), 0.0) - 15.0).abs() < 1e-9);
        assert!((told(of([100.0, 100.0], 0.0), of([100.0, 100.0], 0.0), 2.0) - 2.0).abs() < 1e-9);
        let few = Measured { halves: Err(NoiseUnknown::TooFew { needed: 20 }), ..of([1.0, 1.0], 0.0) };
        assert_eq!(noise(&of([1.0, 1.0], 0.0), &few, 0.0), Err(NoiseUnknown::TooFew { needed: 20 }));
    }

    #[test]
    fn a_quantile_needs_ten_samples_beyond_it() {
        assert_eq!([50.0, 90.0, 95.0, 99.0, 99.9].map(needed), [20, 100, 200, 1000, 10_000]);
    }
}
