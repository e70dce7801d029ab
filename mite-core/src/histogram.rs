//! Durations counted in constant memory: an HDR histogram whose counters are only allocated where something fell.
//!
//! It has the layout of HdrHistogram (1 µs to 1 h, three significant digits), so that percentiles are the same to the
//! bucket. The crate of that name allocates all of its 184 KB at once, which a run with hundreds of series cannot
//! afford.

use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// Counters come in blocks of this many: small, since a series seldom spreads over more than a few octaves.
const BLOCK: usize = 32;
/// Values below this have a counter each; above, each octave has half as many, so that three digits are kept.
const EXACT: u64 = 2048;
const HALF: usize = 1024;
/// The longest duration that is told apart: one hour. Longer ones count as this long, but keep their mean and maximum.
const LONGEST: u64 = 3_600_000_000;
const SLOTS: usize = slot_of(LONGEST) + 1;
const NO_BLOCK: u16 = u16::MAX;

/// Counts durations in microseconds.
///
/// ```
/// use std::time::Duration;
/// use mite_core::Histogram;
///
/// let mut histogram = Histogram::new();
/// for ms in 1..=1000 {
///     histogram.record(Duration::from_millis(ms));
/// }
/// assert_eq!(histogram.count(), 1000);
/// // Three significant digits: each value is told within 0.1 %.
/// assert!(histogram.percentile(99.0).abs_diff(Duration::from_millis(990)) < Duration::from_micros(990));
/// assert_eq!(histogram.max(), Duration::from_secs(1));
/// ```
#[derive(Clone, Default)]
pub struct Histogram {
    /// For each block of slots the place of its counters in `blocks`, or `NO_BLOCK`.
    directory: Vec<u16>,
    blocks: Vec<[u64; BLOCK]>,
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    sum_of_squares: f64,
}

const fn slot_of(micros: u64) -> usize {
    if micros < EXACT {
        return micros as usize;
    }
    // The octave above the exact part: 1 for 2048…4095, 2 for 4096…8191, and so on.
    let octave = micros.ilog2() as usize - 10;
    octave * HALF + (micros >> octave) as usize
}

/// The highest value that falls into a slot: what HdrHistogram tells for it.
fn highest_of(slot: usize) -> u64 {
    if slot < EXACT as usize {
        return slot as u64;
    }
    let octave = slot / HALF - 1;
    let within = (slot - octave * HALF) as u64;
    ((within + 1) << octave) - 1
}

impl Histogram {
    /// An empty histogram; it allocates nothing until something is recorded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one duration, rounded down to whole microseconds; one under a microsecond counts as 0.
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.record_micros(micros, 1);
    }

    /// Counts a duration in microseconds `times` times.
    pub(crate) fn record_micros(&mut self, micros: u64, times: u64) {
        if times == 0 {
            return;
        }
        *self.counter(slot_of(micros.min(LONGEST))) += times;
        self.min = if self.count == 0 { micros } else { self.min.min(micros) };
        self.max = self.max.max(micros);
        self.count += times;
        self.sum += u128::from(micros) * u128::from(times);
        self.sum_of_squares += (micros as f64) * (micros as f64) * times as f64;
    }

    /// Forgets what was counted, and keeps the room for as much again.
    pub(crate) fn clear(&mut self) {
        self.directory.fill(NO_BLOCK);
        self.blocks.clear();
        (self.count, self.min, self.max, self.sum, self.sum_of_squares) = (0, 0, 0, 0, 0.0);
    }

    fn counter(&mut self, slot: usize) -> &mut u64 {
        if self.directory.is_empty() {
            self.directory = vec![NO_BLOCK; SLOTS.div_ceil(BLOCK)];
        }
        let entry = &mut self.directory[slot / BLOCK];
        if *entry == NO_BLOCK {
            // There are fewer blocks than `NO_BLOCK`, so that the cast holds.
            *entry = self.blocks.len() as u16;
            self.blocks.push([0; BLOCK]);
        }
        &mut self.blocks[usize::from(*entry)][slot % BLOCK]
    }

    /// Adds all that `other` has counted: the result is that of one histogram which had counted both.
    pub fn merge(&mut self, other: &Histogram) {
        if other.count == 0 {
            return;
        }
        for (slot, count) in other.slots() {
            *self.counter(slot) += count;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
    }

    /// The slots that are not zero, in rising order.
    fn slots(&self) -> impl Iterator<Item = (usize, u64)> {
        self.directory.iter().enumerate().filter(|(_, entry)| **entry != NO_BLOCK).flat_map(|(index, entry)| {
            let block = &self.blocks[usize::from(*entry)];
            block
                .iter()
                .enumerate()
                .filter(|(_, count)| **count > 0)
                .map(move |(at, count)| (index * BLOCK + at, *count))
        })
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shortest duration, exactly; zero when nothing was counted.
    pub fn min(&self) -> Duration {
        Duration::from_micros(self.min)
    }

    /// The longest duration, exactly; zero when nothing was counted.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max)
    }

    /// The mean, exactly; zero when nothing was counted.
    pub fn mean(&self) -> Duration {
        Duration::from_micros(self.mean_micros().round() as u64)
    }

    fn mean_micros(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The standard deviation of what was counted (that of a population, not of a sample).
    pub fn stdev(&self) -> Duration {
        if self.count == 0 {
            return Duration::ZERO;
        }
        let mean = self.mean_micros();
        let variance = (self.sum_of_squares / self.count as f64 - mean * mean).max(0.0);
        Duration::from_micros(variance.sqrt().round() as u64)
    }

    /// The duration that `percent` of all were not longer than, told within 0.1 %; zero when nothing was counted.
    ///
    /// It is never longer than [`Histogram::max`]. `percent` is from 0 to 100 and taken as the nearer of the two when it
    /// is beyond.
    pub fn percentile(&self, percent: f64) -> Duration {
        let wanted = ((percent.clamp(0.0, 100.0) / 100.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (slot, count) in self.slots() {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros(highest_of(slot).min(self.max).max(self.min));
            }
        }
        self.max()
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("min", &self.min())
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

/// The `H` of the report's JSON: whole microseconds.
impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let micros = |duration: Duration| duration.as_micros() as u64;
        let mut fields = serializer.serialize_struct("Histogram", 11)?;
        fields.serialize_field("count", &self.count)?;
        fields.serialize_field("min", &micros(self.min()))?;
        fields.serialize_field("mean", &micros(self.mean()))?;
        fields.serialize_field("stdev", &micros(self.stdev()))?;
        for (name, percent) in
            [("p50", 50.0), ("p75", 75.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0), ("p999", 99.9)]
        {
            fields.serialize_field(name, &micros(self.percentile(percent)))?;
        }
        fields.serialize_field("max", &micros(self.max()))?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slots_tile_the_whole_range() {
        let mut next = 0;
        for slot in 0..SLOTS {
            assert_eq!(slot_of(next), slot);
            assert_eq!(slot_of(highest_of(slot)), slot);
            next = highest_of(slot) + 1;
        }
        assert!(next > LONGEST);
    }

    #[test]
    fn beyond_the_range_the_maximum_is_still_exact() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_secs(7200));
        assert_eq!(histogram.max(), Duration::from_secs(7200));
        assert_eq!(histogram.count(), 1);
    }

    #[test]
    fn an_empty_one_tells_zeros() {
        let histogram = Histogram::new();
        assert_eq!(histogram.percentile(99.0), Duration::ZERO);
        assert_eq!((histogram.directory.capacity(), histogram.blocks.capacity()), (0, 0));
        let json = serde_json::to_value(&histogram).unwrap();
        assert_eq!(json["count"], 0);
        assert_eq!(json["p999"], 0);
    }

    proptest! {
        /// Bucket for bucket that of HdrHistogram, also when the values were counted in two parts and merged.
        #[test]
        fn it_agrees_with_hdrhistogram(values in prop::collection::vec(0u64..LONGEST, 1..300), cut in 0usize..300) {
            let mut reference = hdrhistogram::Histogram::<u64>::new_with_bounds(1, LONGEST, 3).unwrap();
            let (mut ours, mut rest) = (Histogram::new(), Histogram::new());
            for (index, value) in values.iter().enumerate() {
                reference.record(*value).unwrap();
                if index < cut { &mut ours } else { &mut rest }.record_micros(*value, 1);
            }
            ours.merge(&rest);
            prop_assert_eq!(ours.count(), reference.len());
            for percent in [1.0, 50.0, 90.0, 99.0, 99.9] {
                let told = reference.value_at_percentile(percent).min(*values.iter().max().unwrap());
                prop_assert_eq!(ours.percentile(percent).as_micros() as u64, told.max(*values.iter().min().unwrap()));
            }
            prop_assert_eq!(ours.max().as_micros() as u64, *values.iter().max().unwrap());
            prop_assert!((ours.mean().as_micros() as f64 - values.iter().sum::<u64>() as f64 / values.len() as f64).abs() <= 1.0);
        }
    }
}
