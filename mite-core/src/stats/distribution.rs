//! How the values of a metric are spread: counts in the buckets that were asked for, and percentiles within 0.1 %.
//!
//! It is apart from the [histogram](crate::Histogram) of durations, whose counters are laid out for whole microseconds up to an
//! hour: these values are of any size and sign.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many bits of a value's mantissa are left out of its slot's number at first: 10 are kept, which is three digits.
const FINEST: u32 = 42;
/// As many as leave nothing but the exponent, of which there are few enough for any limit.
const COARSEST: u32 = 52;
/// How many slots are told apart: with three digits those of sixteen powers of two. Values spread wider than that are told with
/// a bit less.
const MOST_SLOTS: usize = 16_384;
/// The most values that another process may tell at once: sums of what was told stay far from what their numbers can hold.
const MOST_TOLD: u64 = 1 << 48;
/// What a slot takes in a map, about.
const SLOT_BYTES: usize = 24;

/// The values that a histogram metric was given, of any size and sign.
///
/// ```
/// # use mite_core::volume::{SECOND, constant};
/// # use mite_core::{Context, NoData, Result, Run, Scenario};
/// async fn buy(ctx: &mut Context) -> Result {
///     ctx.histogram("basket_value").record(12.5 * (ctx.start_index() + 1) as f64);
///     Ok(())
/// }
///
/// let report = Run::new(Scenario::new().journey(buy, NoData, constant(40, SECOND / 10))).run_blocking()?;
/// let values = report.metric("basket_value").distribution().unwrap();
/// assert_eq!((values.count(), values.sum(), values.max()), (4, 125.0, 50.0));
/// assert_eq!(values.percentile(50.0), 25.0);
/// # Ok::<(), mite_core::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Distribution {
    bounds: Arc<[f64]>,
    /// By bound, those that are in no lower one; what is over the last is in none.
    within: Box<[u64]>,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// How many values fell into each slot.
    slots: BTreeMap<i64, u64>,
    left_out: u32,
}

impl Distribution {
    /// Without values; `bounds` are finite and rise.
    pub(crate) fn new(bounds: Arc<[f64]>) -> Self {
        let within = vec![0; bounds.len()].into();
        let slots = BTreeMap::new();
        Self { bounds, within, count: 0, sum: 0.0, min: 0.0, max: 0.0, slots, left_out: FINEST }
    }

    /// Counts a finite value. With `most_slots` at hand it is told as exactly as these allow.
    pub(crate) fn record(&mut self, value: f64, most_slots: usize) {
        if let Some(bucket) = self.within.get_mut(self.bounds.partition_point(|bound| *bound < value)) {
            *bucket += 1;
        }
        (self.min, self.max) = self.with_extremes(value, value);
        self.count += 1;
        self.sum = added(self.sum, value);
        *self.slots.entry(slot_of(value) >> (self.left_out - FINEST)).or_default() += 1;
        self.coarsen(most_slots);
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn merge(&mut self, other: &Self, most_slots: usize) {
        if other.count == 0 {
            return;
        }
        if self.bounds == other.bounds {
            self.within.iter_mut().zip(&other.within).for_each(|(own, theirs)| *own += theirs);
        }
        (self.min, self.max) = self.with_extremes(other.min, other.max);
        self.count += other.count;
        self.sum = added(self.sum, other.sum);
        self.leave_out(other.left_out);
        for (slot, count) in &other.slots {
            *self.slots.entry(slot >> (self.left_out - other.left_out)).or_default() += count;
        }
        self.coarsen(most_slots);
    }

    fn with_extremes(&self, min: f64, max: f64) -> (f64, f64) {
        if self.count == 0 { (min, max) } else { (self.min.min(min), self.max.max(max)) }
    }

    /// Leaves out so many bits of each slot's number, unless more are left out already.
    fn leave_out(&mut self, bits: u32) {
        let Some(more) = bits.checked_sub(self.left_out).filter(|more| *more > 0) else { return };
        self.left_out = bits;
        for (slot, count) in std::mem::take(&mut self.slots) {
            *self.slots.entry(slot >> more).or_default() += count;
        }
    }

    fn coarsen(&mut self, most_slots: usize) {
        while self.slots.len() > most_slots.min(MOST_SLOTS) && self.left_out < COARSEST {
            self.leave_out(self.left_out + 1);
        }
    }

    /// The bytes that it takes besides its own.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.within) + self.slots.len() * SLOT_BYTES
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All values added up.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The least value, exactly; zero when there was none.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The greatest value, exactly; zero when there was none.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The mean; zero when there was no value.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// The standard deviation (that of a population, not of a sample), of the values within 0.1 %; zero when there was none.
    pub fn stdev(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let mean = self.mean();
        let squares = |(slot, count): (&i64, &u64)| (self.value_of(*slot) - mean).powi(2) * *count as f64;
        (self.slots.iter().map(squares).sum::<f64>() / self.count as f64).sqrt()
    }

    /// The value that `percent` of all were not greater than, told within 0.1 %, and whole numbers up to 2048 exactly; zero when
    /// there was none.
    ///
    /// Values that are spread over more than sixteen powers of two may be told less exactly. `percent` is from 0 to 100 and
    /// taken as the nearer of the two when it is beyond.
    pub fn percentile(&self, percent: f64) -> f64 {
        let wanted = ((percent.clamp(0.0, 100.0) / 100.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (slot, count) in &self.slots {
            seen += count;
            if seen >= wanted {
                return self.value_of(*slot);
            }
        }
        self.max
    }

    /// The buckets' upper bounds, rising, and how many values were not over each: cumulative, as in Prometheus. All are
    /// [`count`](Distribution::count), the bucket `+Inf`.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.bounds.iter().zip(&self.within).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((*bound, *sum))
        })
    }

    /// The value that a slot stands for.
    fn value_of(&self, slot: i64) -> f64 {
        let size = (if slot < 0 { !slot } else { slot }).cast_unsigned() << self.left_out;
        let value = f64::from_bits(size.min(f64::MAX.to_bits()));
        (if slot < 0 { -value } else { value }).clamp(self.min, self.max)
    }

    /// The slots as text, as the report's JSON has them: `1047552:3`.
    fn counts(&self) -> String {
        let pairs = self.slots.iter().map(|(slot, count)| format!("{slot}:{count}"));
        pairs.collect::<Vec<_>>().join(" ")
    }
}

/// The slot of a finite value: its sign, its exponent and the first bits of its mantissa, rounded, in the order of values.
fn slot_of(value: f64) -> i64 {
    let size = ((value.abs().to_bits() + (1 << (FINEST - 1))) >> FINEST).cast_signed();
    // As many below zero as above, and with the same shift for both when bits are left out.
    if value < 0.0 { !size } else { size }
}

/// The sum, where no infinity comes of what is finite: it could not be told as JSON, nor be added to.
pub(crate) fn added(one: f64, other: f64) -> f64 {
    (one + other).clamp(f64::MIN, f64::MAX)
}

/// A distribution as another process is told of it; who reads it knows the bounds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ToldDistribution {
    within: Vec<u64>,
    sum: f64,
    min: f64,
    max: f64,
    left_out: u32,
    /// With how many values fell into each.
    slots: Vec<(i64, u64)>,
}

impl From<Distribution> for ToldDistribution {
    fn from(of: Distribution) -> Self {
        let Distribution { bounds: _, within, count: _, sum, min, max, slots, left_out } = of;
        Self { within: within.into(), sum, min, max, left_out, slots: slots.into_iter().collect() }
    }
}

impl ToldDistribution {
    /// The distribution, unless there is something in it that cannot be.
    pub(super) fn into_distribution(self, bounds: &Arc<[f64]>) -> Result<Distribution, &'static str> {
        let Self { within, sum, min, max, left_out, slots } = self;
        if !(FINEST..=COARSEST).contains(&left_out) {
            return Err("its slots leave out more bits than there are, or fewer than they always do");
        }
        if ![sum, min, max].iter().all(|value| value.is_finite()) || min > max {
            return Err("its extremes or its sum are no numbers, or its least value is over its greatest");
        }
        let add = |sum: u64, more: u64| sum.checked_add(more).filter(|sum| *sum <= MOST_TOLD);
        let count = slots.iter().map(|(_, count)| *count).try_fold(0, add);
        let up_to_last = within.iter().copied().try_fold(0, add);
        let Some((count, _)) = count.zip(up_to_last).filter(|(count, up_to_last)| up_to_last <= count) else {
            return Err("its counts do not add up");
        };
        if within.len() != bounds.len() {
            return Err("it has another number of buckets than bounds");
        }
        let most = slots.len();
        let slots: BTreeMap<i64, u64> = slots.into_iter().collect();
        if slots.len() != most || most > MOST_SLOTS {
            return Err("it has a slot twice, or more of them than are told apart");
        }
        Ok(Distribution { bounds: Arc::clone(bounds), within: within.into(), count, sum, min, max, slots, left_out })
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distribution")
            .field("count", &self.count)
            .field("sum", &self.sum)
            .field("min", &self.min)
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

/// One bucket in JSON: how many values were not over its bound.
#[derive(Serialize, Deserialize)]
struct Bucket {
    le: f64,
    count: u64,
}

impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let buckets: Vec<Bucket> = self.buckets().map(|(le, count)| Bucket { le, count }).collect();
        let mut fields = serializer.serialize_struct("Distribution", 15)?;
        fields.serialize_field("count", &self.count)?;
        fields.serialize_field("sum", &self.sum)?;
        fields.serialize_field("min", &self.min)?;
        fields.serialize_field("mean", &self.mean())?;
        fields.serialize_field("stdev", &self.stdev())?;
        for (name, percent) in
            [("p50", 50.0), ("p75", 75.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0), ("p999", 99.9)]
        {
            fields.serialize_field(name, &self.percentile(percent))?;
        }
        fields.serialize_field("max", &self.max)?;
        fields.serialize_field("buckets", &buckets)?;
        fields.serialize_field("left_out", &self.left_out)?;
        fields.serialize_field("counts", &self.counts())?;
        fields.end()
    }
}

/// What is read of a distribution's JSON.
#[derive(Deserialize)]
struct Stored {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    buckets: Vec<Bucket>,
    left_out: u32,
    counts: String,
}

impl TryFrom<Stored> for Distribution {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { count, sum, min, max, buckets, left_out, counts } = stored;
        if !(FINEST..=COARSEST).contains(&left_out) {
            return Err(format!("`left_out` is from {FINEST} to {COARSEST}, not {left_out}"));
        }
        if min > max {
            return Err(format!("its least value is {min}, and its greatest {max}"));
        }
        let (mut slots, mut all) = (BTreeMap::new(), 0_u64);
        for pair in counts.split_ascii_whitespace() {
            let wrong = || format!("its counts are pairs like `180:12`, not `{pair}`");
            let (slot, count) = pair.split_once(':').ok_or_else(wrong)?;
            let (slot, count) = (slot.parse().map_err(|_| wrong())?, count.parse().map_err(|_| wrong())?);
            all = all.checked_add(count).ok_or("its counts are too many to be added up")?;
            slots.insert(slot, count);
        }
        if all != count {
            return Err(format!("its counts are {all} in all, and its count is {count}"));
        }
        let (mut within, mut before) = (Vec::new(), 0);
        for Bucket { count, le } in &buckets {
            within
                .push(count.checked_sub(before).ok_or_else(|| format!("fewer values are up to {le} than before it"))?);
            before = *count;
        }
        let bounds = buckets.iter().map(|bucket| bucket.le).collect();
        Ok(Self { bounds, within: within.into(), count, sum, min, max, slots, left_out })
    }
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Stored::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
