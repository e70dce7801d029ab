//! Shapes that come up often: steps, a spike, a wave.
//!
//! They are apart from stages, of which each is made.

use std::f64::consts::PI;
use std::time::Duration;

use super::{Stages, Volume, constant, ramp};

/// A staircase: `first`, then `by` more each time, `times` levels of length `each`.
///
/// ```
/// use mite_core::volume::{constant, steps, MINUTE};
///
/// let stairs = steps(10.0, 5.0, 3, MINUTE);
/// let by_hand = constant(10, MINUTE) + constant(15, MINUTE) + constant(20, MINUTE);
/// assert_eq!(stairs.resolve(), by_hand.resolve());
/// ```
pub fn steps(first: f64, by: f64, times: usize, each: Duration) -> Stages {
    if !(1..=100_000).contains(&times) {
        return Stages::mistaken("`steps(first, by, times, each)` takes from 1 to 100000 levels");
    }
    let level = |index: usize| constant(first + by * index as f64, each);
    (1..times).fold(level(0), |stairs, index| stairs + level(index))
}

/// A spike: from `base` straight up to `peak`, and straight down again, `width` from foot to foot.
///
/// ```
/// use mite_core::volume::{constant, spike, MINUTE, SECOND};
///
/// let model = constant(10, MINUTE) + spike(10, 200, 20 * SECOND) + constant(10, MINUTE);
/// assert_eq!(model.duration(), 140 * SECOND);
/// ```
pub fn spike(base: impl Into<Volume>, peak: impl Into<Volume>, width: Duration) -> Stages {
    let (base, peak) = (base.into(), peak.into());
    ramp(width / 2).from(base).to(peak) + ramp(width.saturating_sub(width / 2)).from(peak).to(base)
}

/// A wave around `mean`, `amplitude` up and down, beginning upwards at the mean: `mean + amplitude · sin(2π t / period)`.
///
/// It is drawn with 64 straight lines for each period, which are off by 0.12 % of the amplitude at the most.
///
/// ```text
/// mean + amplitude      ╭──╮              ╭──╮
/// mean               ╭──╯  ╰──╮        ╭──╯  ╰──╮
/// mean − amplitude            ╰──╮  ╭──╯        ╰──╮
/// ```
pub fn sine(mean: f64, amplitude: f64, period: Duration, duration: Duration) -> Stages {
    const LINES: u32 = 64;
    if !(amplitude.is_finite() && amplitude >= 0.0) {
        return Stages::mistaken("`sine(mean, amplitude, …)` takes an amplitude that is not negative");
    }
    if mean < amplitude {
        return Stages::mistaken("`sine(mean, amplitude, …)`: a mean below the amplitude makes the rate negative");
    }
    let line = period / LINES;
    if line.is_zero() || duration.is_zero() || duration.as_nanos() / line.as_nanos() > 1_000_000 {
        return Stages::mistaken("`sine(…, period, duration)` takes a period of over 64 ns, and at most 15000 of them");
    }
    let height = |time: Duration| {
        let turns = time.as_nanos() % period.as_nanos();
        let height = mean + amplitude * sine_of(turns as f64 / period.as_nanos() as f64);
        // In whole thousandths: the trough of a wave that comes down to nothing is neither less nor next to nothing.
        let height = (height * 1000.0).round() / 1000.0;
        // A mean that is no number stays none, and is refused with the others.
        if height < 0.0 { 0.0 } else { height }
    };
    let mut at = Duration::ZERO;
    let mut wave: Option<Stages> = None;
    while at < duration {
        let length = line.min(duration.saturating_sub(at));
        let piece = ramp(length).from(height(at)).to(height(at + length));
        wave = Some(match wave {
            Some(wave) => wave + piece,
            None => piece,
        });
        at += length;
    }
    wave.unwrap_or_else(|| constant(mean, duration))
}

/// sin(2π x) for x from 0 to 1, by its Taylor series on a quarter of a turn. The standard library's is not the same to the
/// last bit on every machine, and a plan must be.
fn sine_of(turn: f64) -> f64 {
    let (turn, sign) = if turn > 0.5 { (turn - 0.5, -1.0) } else { (turn, 1.0) };
    let turn = if turn > 0.25 { 0.5 - turn } else { turn };
    let x = 2.0 * PI * turn;
    let mut term = x;
    let mut sum = x;
    for n in 1..12 {
        let n = f64::from(n);
        term *= -x * x / ((2.0 * n) * (2.0 * n + 1.0));
        sum += term;
    }
    sign * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;
    use crate::volume::SECOND;

    #[test]
    fn the_series_is_the_sine() {
        for step in 0..=1000 {
            let turn = f64::from(step) / 1000.0;
            assert!((sine_of(turn) - (2.0 * PI * turn).sin()).abs() < 1e-12, "{turn}");
        }
    }

    #[test]
    fn whole_waves_have_their_mean() {
        let wave = Schedule::new(sine(100.0, 50.0, 10 * SECOND, 30 * SECOND).resolve().unwrap());
        assert!(wave.planned().abs_diff(3000) <= 1, "{}", wave.planned());
        let first_half = wave.before(5_000_000_000);
        // The area under half a wave: mean × 5 s + amplitude × period / π.
        assert!(first_half.abs_diff(659) <= 1, "{first_half}");
    }

    #[test]
    fn a_wave_may_come_down_to_nothing() {
        for mean in [0.001, 1.0, 7.3, 50.0] {
            let wave = sine(mean, mean, 10 * SECOND, 34 * SECOND).resolve();
            assert_eq!(wave.map(|shape| shape.end()), Ok(34_000_000_000), "{mean}");
        }
    }

    #[test]
    fn a_spike_has_its_area() {
        let spike = Schedule::new(spike(10, 110, 10 * SECOND).resolve().unwrap());
        assert_eq!(spike.planned(), 600);
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        let cases = [
            (sine(1.0, 2.0, SECOND, SECOND), "mean below the amplitude"),
            (sine(1.0, -1.0, SECOND, SECOND), "not negative"),
            (sine(1.0, f64::NAN, SECOND, SECOND), "not negative"),
            (sine(f64::NAN, 1.0, SECOND, SECOND), "NaN is no number"),
            (sine(1.0, 1.0, Duration::ZERO, SECOND), "a period of over 64 ns"),
            (sine(1.0, 1.0, SECOND, Duration::ZERO), "a period of over 64 ns"),
            (steps(1.0, 1.0, 0, SECOND), "from 1 to 100000 levels"),
            (steps(2.0, -1.0, 4, SECOND), "a rate of -1 is negative"),
            (spike(1, 5, Duration::ZERO), "no length"),
        ];
        for (model, words) in cases {
            let message = model.resolve().unwrap_err().to_string();
            assert!(message.contains(words), "{message:?} should have {words:?}");
        }
    }
}
