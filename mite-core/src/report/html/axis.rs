//! Axes: where the ticks of a scale are, and what stands beside them.
//!
//! They are apart from what is drawn along them, since they are numbers alone: steps of 1, 2 and 5, and units that fit.

/// From nothing to a round number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// What the ticks' labels are in, where they do not say it themselves.
    pub(super) unit: &'static str,
    /// The value at its end, in what is drawn.
    pub(super) end: f64,
    pub(super) ticks: Vec<Tick>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// From 0 at the axis' begin to 1 at its end.
    pub(super) at: f64,
    pub(super) label: String,
}

/// No more steps than these are made of an axis.
const STEPS: f64 = 5.0;

/// Of numbers up to this one, in steps of whole ones.
pub(super) fn counts(most: u64, unit: &'static str) -> Axis {
    rising(most as f64, 1.0, unit, |value| grouped(value.round() as u64))
}

/// Of times in microseconds up to this one, in the unit that fits.
pub(super) fn times(most: u64) -> Axis {
    // Nothing is told in parts of a microsecond.
    let (size, unit, least) = match most {
        0..1000 => (1.0, "µs", 1.0),
        1000..1_000_000 => (1e3, "ms", 0.0),
        _ => (1e6, "s", 0.0),
    };
    let most = most as f64 / size;
    let decimals = decimals_of(step(most, least));
    let axis = rising(most, least, unit, |value| format!("{value:.decimals$}"));
    Axis { end: axis.end * size, ..axis }
}

/// Of a run's seconds from its start on.
pub(super) fn seconds(length: u64) -> Axis {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 3600;
    let length = length.max(1);
    let (step, size, unit) = match length {
        0..=120 => (fitting(length, &[1, 2, 5, 10, 20]), 1, "s"),
        121..=7200 => (fitting(length, &[MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE]), MINUTE, "min"),
        _ => (fitting(length, &[HOUR / 2, HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR]), HOUR, "h"),
    };
    // It ends where the run does: what would come after it did not happen.
    let ticks = (0..=length / step).map(|index| {
        let value = index * step;
        let label = if value % size == 0 {
            format!("{} {unit}", value / size)
        } else {
            format!("{} {unit}", value as f64 / size as f64)
        };
        Tick { at: value as f64 / length as f64, label }
    });
    Axis { unit: "", end: length as f64, ticks: ticks.collect() }
}

/// Of percentiles up to that which so many values tell: each nine takes as much room as the one before.
pub(super) fn percentiles(count: u64) -> Axis {
    const LABELS: [&str; 6] = ["0", "90", "99", "99.9", "99.99", "99.999"];
    // With fewer than a hundred values there is more room than they need.
    let nines = (count.max(1) as f64).log10().ceil().clamp(2.0, 5.0);
    let mut ticks =
        vec![Tick { at: 0.0, label: "0".to_owned() }, Tick { at: 2_f64.log10() / nines, label: "50".to_owned() }];
    for (index, label) in LABELS.iter().enumerate().skip(1).take(nines as usize) {
        ticks.push(Tick { at: index as f64 / nines, label: (*label).to_owned() });
    }
    Axis { unit: "%", end: nines, ticks }
}

/// The first of these steps that makes no more than six of the length; of very long ones so many days.
fn fitting(length: u64, steps: &[u64]) -> u64 {
    let last = steps.last().copied().unwrap_or(1);
    let most = length.div_ceil(6);
    steps.iter().copied().find(|step| *step >= most).unwrap_or_else(|| most.div_ceil(last) * last)
}

fn rising(most: f64, least_step: f64, unit: &'static str, label: impl Fn(f64) -> String) -> Axis {
    let step = step(most, least_step);
    let steps = (most / step - 1e-9).ceil().max(1.0);
    let ticks = (0..=steps as u64).map(|index| Tick { at: index as f64 / steps, label: label(index as f64 * step) });
    Axis { unit, end: steps * step, ticks: ticks.collect() }
}

/// The smallest of …, 0.1, 0.2, 0.5, 1, 2, 5, 10, … of which no more than [`STEPS`] are needed.
fn step(most: f64, least: f64) -> f64 {
    let wanted = (most / STEPS).max(least);
    if wanted <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(wanted.log10().floor());
    // A little less than the step itself may come of the division.
    let fits = |step: f64| step * power >= wanted * (1.0 - 1e-9);
    [1.0, 2.0, 5.0].into_iter().find(|step| fits(*step)).unwrap_or(10.0) * power
}

fn decimals_of(step: f64) -> usize {
    (-(step * (1.0 + 1e-9)).log10().floor()).max(0.0) as usize
}

/// With narrow spaces between the thousands of what has five digits or more.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let first = digits.len() % 3;
    let mut told = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 3 == first {
            told.push('\u{202f}');
        }
        told.push(digit);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> String {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn counts_are_in_steps_of_one_two_and_five() {
        let cases = [
            (0, "0 1", 1.0),
            (1, "0 1", 1.0),
            (3, "0 1 2 3", 3.0),
            (5, "0 1 2 3 4 5", 5.0),
            (6, "0 2 4 6", 6.0),
            (11, "0 5 10 15", 15.0),
            (50, "0 10 20 30 40 50", 50.0),
            (51, "0 20 40 60", 60.0),
            (101, "0 50 100 150", 150.0),
            (1000, "0 200 400 600 800 1000", 1000.0),
            (48_000, "0 10\u{202f}000 20\u{202f}000 30\u{202f}000 40\u{202f}000 50\u{202f}000", 50_000.0),
        ];
        for (most, told, end) in cases {
            let axis = counts(most, "per second");
            assert_eq!((labels(&axis).as_str(), axis.end), (told, end), "{most}");
        }
    }

    #[test]
    fn times_are_in_the_unit_that_fits() {
        let cases = [
            (0, "µs", "0 1", 1.0),
            (3, "µs", "0 1 2 3", 3.0),
            (873, "µs", "0 200 400 600 800 1000", 1000.0),
            (1000, "ms", "0.0 0.2 0.4 0.6 0.8 1.0", 1000.0),
            (1240, "ms", "0.0 0.5 1.0 1.5", 1500.0),
            (42_000, "ms", "0 10 20 30 40 50", 50_000.0),
            (999_999, "ms", "0 200 400 600 800 1000", 1_000_000.0),
            (1_200_000, "s", "0.0 0.5 1.0 1.5", 1_500_000.0),
            (60_000_000, "s", "0 20 40 60", 60_000_000.0),
        ];
        for (most, unit, told, end) in cases {
            let axis = times(most);
            assert_eq!((axis.unit, labels(&axis).as_str(), axis.end.round()), (unit, told, end), "{most}");
        }
    }

    #[test]
    fn seconds_become_minutes_and_hours() {
        let cases = [
            (0, "0 s 1 s"),
            (3, "0 s 1 s 2 s 3 s"),
            (10, "0 s 2 s 4 s 6 s 8 s 10 s"),
            (61, "0 s 20 s 40 s 60 s"),
            (300, "0 min 1 min 2 min 3 min 4 min 5 min"),
            (3600, "0 min 10 min 20 min 30 min 40 min 50 min 60 min"),
            (9000, "0 h 0.5 h 1 h 1.5 h 2 h 2.5 h"),
            (86_400, "0 h 4 h 8 h 12 h 16 h 20 h 24 h"),
            (10 * 86_400, "0 h 48 h 96 h 144 h 192 h 240 h"),
        ];
        for (length, told) in cases {
            assert_eq!(labels(&seconds(length)), told, "{length}");
        }
        assert_eq!((seconds(61).ticks[3].at * 61.0).round() as u64, 60);
    }

    #[test]
    fn percentiles_go_as_far_as_they_are_told() {
        let cases = [
            (1, "0 50 90 99"),
            (100, "0 50 90 99"),
            (101, "0 50 90 99 99.9"),
            (10_000, "0 50 90 99 99.9 99.99"),
            (u64::MAX, "0 50 90 99 99.9 99.99 99.999"),
        ];
        for (count, told) in cases {
            assert_eq!(labels(&percentiles(count)), told, "{count}");
        }
        let at: Vec<f64> = percentiles(100).ticks.iter().map(|tick| (tick.at * 1000.0).round()).collect();
        assert_eq!(at, [0.0, 151.0, 500.0, 1000.0]);
    }

    #[test]
    fn thousands_are_apart() {
        let cases = [(0, "0"), (9999, "9999"), (10_000, "10\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")];
        for (number, told) in cases {
            assert_eq!(grouped(number), told);
        }
    }
}
