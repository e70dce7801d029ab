//! Durations counted in constant memory: an HDR histogram whose counters are only allocated where something fell, and are no
//! wider than they have to be.
//!
//! It has the layout of HdrHistogram (1 µs to 1 h, three significant digits), so that percentiles are the same to the
//! bucket. The crate of that name allocates all of its 184 KB at once, which a run with hundreds of series cannot
//! afford.

pub(crate) mod v2;

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Deserializer};

/// Counters come in blocks of this many: small, since a series seldom spreads over more than a few octaves.
const BLOCK: usize = 32;
/// Values below this have a counter each; above, each octave has half as many, so that three digits are kept.
const EXACT: u64 = 2048;
const HALF: usize = 1024;
/// The longest duration that is told apart: one hour. Longer ones count as this long, but keep their mean and maximum.
const LONGEST: u64 = 3_600_000_000;
const SLOTS: usize = slot_of(LONGEST) + 1;
/// As many slots as an octave has share a page of the directory.
const PAGE: usize = HALF / BLOCK;
const PAGES: usize = SLOTS.div_ceil(HALF);
const NO_PAGE: u8 = u8::MAX;
const NO_BLOCK: u16 = u16::MAX;
/// The width of a counter as a power of two bits: at first a nibble, a whole word at the most.
const NARROWEST: u32 = 2;
const WIDEST: u32 = 6;

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
#[derive(Clone)]
pub struct Histogram {
    /// For each octave the place of its page in `directory`, or `NO_PAGE`.
    pages: [u8; PAGES],
    /// For each block of slots the place of its counters among the blocks, or `NO_BLOCK`.
    directory: Vec<[u16; PAGE]>,
    /// The blocks, one after another; all counters have the same width.
    words: Vec<u64>,
    width: u32,
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    sum_of_squares: u128,
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

/// The lowest value that falls into a slot.
fn lowest_of(slot: usize) -> u64 {
    slot.checked_sub(1).map_or(0, |before| highest_of(before) + 1)
}

/// The words that a block of counters takes.
const fn words_of(width: u32) -> usize {
    (BLOCK << width) / 64
}

/// The highest number that a counter can hold.
const fn most(width: u32) -> u64 {
    u64::MAX >> (64 - (1 << width))
}

/// The word in which a counter lies, by its number among those of a block or of all, and how far it is shifted.
#[inline]
const fn place_of(counter: usize, width: u32) -> (usize, u32) {
    let bit = counter << width;
    (bit / 64, (bit % 64) as u32)
}

/// The highest bit of each counter in a word.
const fn tops(width: u32) -> u64 {
    let mut tops = 0;
    let mut at = 1 << width;
    while at <= 64 {
        tops |= 1 << (at - 1);
        at += 1 << width;
    }
    tops
}

/// Adds counters that lie side by side in `N` words; when one of them overflows, nothing is changed and the answer is no.
fn add_words<const N: usize>(own: &mut [u64], theirs: &[u64], tops: u64) -> bool {
    let (Some(own), Some(theirs)) = (own.first_chunk_mut::<N>(), theirs.first_chunk::<N>()) else {
        unreachable!("a block of this width has {N} words")
    };
    let (mut sums, mut carried) = ([0; N], 0);
    for at in 0..N {
        let (one, other) = (own[at], theirs[at]);
        // Without their highest bits the counters cannot carry into each other.
        sums[at] = ((one & !tops) + (other & !tops)) ^ ((one ^ other) & tops);
        carried |= ((one & other) | ((one | other) & !sums[at])) & tops;
    }
    if carried == 0 {
        *own = sums;
    }
    carried == 0
}

/// A block of counters with so much wider ones, both as powers of two bits.
fn spread(narrow: &[u64], from: u32, to: u32) -> [u64; words_of(WIDEST)] {
    let mut words = [0; words_of(WIDEST)];
    words[..narrow.len()].copy_from_slice(narrow);
    for width in from..to {
        // From the end, since each word becomes two.
        for index in (0..words_of(width)).rev() {
            let word = words[index];
            words[2 * index + 1] = doubled(word >> 32, width);
            words[2 * index] = doubled(word & u64::from(u32::MAX), width);
        }
    }
    words
}

/// Half a word of counters as a whole one of counters twice as wide.
fn doubled(mut half: u64, width: u32) -> u64 {
    let mut shift = 16;
    while shift >= 1 << width {
        // Each group of fields parts in two, with as much room between them: 0x0000ffff0000ffff, 0x00ff00ff…
        half = (half | (half << shift)) & (u64::MAX / ((1 << shift) + 1));
        shift /= 2;
    }
    half
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty histogram; it allocates nothing until something is recorded.
    pub fn new() -> Self {
        Self {
            pages: [NO_PAGE; PAGES],
            directory: Vec::new(),
            words: Vec::new(),
            width: NARROWEST,
            count: 0,
            min: 0,
            max: 0,
            sum: 0,
            sum_of_squares: 0,
        }
    }

    /// Counts one duration, rounded down to whole microseconds; one under a microsecond counts as 0.
    pub fn record(&mut self, duration: Duration) {
        let micros = duration.as_secs().saturating_mul(1_000_000).saturating_add(duration.subsec_micros().into());
        self.record_micros(micros, 1);
    }

    /// As [`Histogram::record`], of so many nanoseconds.
    pub(crate) fn record_nanos(&mut self, nanos: u64) {
        self.record_micros(nanos / 1000, 1);
    }

    /// Counts a duration in microseconds `times` times. Inlined, since that is nearly always once, and a journey with one request
    /// records six: each takes half as many instructions without the multiplications.
    #[inline]
    pub(crate) fn record_micros(&mut self, micros: u64, times: u64) {
        if times == 0 {
            return;
        }
        self.min = if self.count == 0 { micros } else { self.min.min(micros) };
        self.max = self.max.max(micros);
        self.count += times;
        self.sum += u128::from(micros) * u128::from(times);
        // Exact, and cheaper than as a float. What is too much for 128 bits are durations of thousands of years.
        let square = (u128::from(micros) * u128::from(micros)).saturating_mul(u128::from(times));
        self.sum_of_squares = self.sum_of_squares.saturating_add(square);
        // Last, so that what is rare is no call within, for which registers would be saved each time.
        let slot = slot_of(micros.min(LONGEST));
        if !self.add_in_place(slot, times) {
            self.add_to(slot, times);
        }
    }

    /// Forgets what was counted, and keeps the room for as much again.
    pub fn clear(&mut self) {
        self.pages = [NO_PAGE; PAGES];
        self.directory.clear();
        self.words.clear();
        (self.count, self.min, self.max, self.sum, self.sum_of_squares) = (0, 0, 0, 0, 0);
    }

    /// The bytes that it takes besides itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.directory.capacity() * size_of::<[u16; PAGE]>() + self.words.capacity() * size_of::<u64>()
    }

    /// Adds to a counter that is there and has room, as nearly all are; says whether it was one.
    #[inline]
    fn add_in_place(&mut self, slot: usize, times: u64) -> bool {
        let Some(page) = self.directory.get(usize::from(self.pages[slot / HALF])) else { return false };
        let block = page[slot / BLOCK % PAGE];
        // The blocks lie one after another; that of `NO_BLOCK` lies beyond them.
        let (word, shift) = place_of(usize::from(block) * BLOCK + slot % BLOCK, self.width);
        let Some(word) = self.words.get_mut(word) else { return false };
        let most = most(self.width);
        let fits = times <= most - ((*word >> shift) & most);
        if fits {
            *word += times << shift;
        }
        fits
    }

    #[cold]
    #[inline(never)]
    fn add_to(&mut self, slot: usize, times: u64) {
        let page = self.page(slot / HALF);
        if self.directory[page][slot / BLOCK % PAGE] == NO_BLOCK {
            self.make_block(page, slot / BLOCK % PAGE);
        }
        while !self.add_in_place(slot, times) {
            if self.width == WIDEST {
                // Never over 64 bits: as many durations would take centuries.
                let block = usize::from(self.directory[page][slot / BLOCK % PAGE]);
                self.words[block * BLOCK + slot % BLOCK] = u64::MAX;
                return;
            }
            self.widen(self.width + 1);
        }
    }

    /// The place of an octave's page in the directory; it is made when there is none.
    fn page(&mut self, number: usize) -> usize {
        if self.pages[number] == NO_PAGE {
            // There are fewer pages than `NO_PAGE`, so that the cast holds.
            self.pages[number] = self.directory.len() as u8;
            self.directory.reserve_exact(1);
            self.directory.push([NO_BLOCK; PAGE]);
        }
        usize::from(self.pages[number])
    }

    #[cold]
    fn make_block(&mut self, page: usize, at: usize) -> usize {
        let block = self.words.len() / words_of(self.width);
        self.append_block(page, at, &[0; words_of(WIDEST)][..words_of(self.width)]);
        block
    }

    fn append_block(&mut self, page: usize, at: usize, counters: &[u64]) {
        let (words, new) = (self.words.len(), counters.len());
        // There are fewer blocks than `NO_BLOCK`, so that the cast holds.
        self.directory[page][at] = (words / new) as u16;
        if words + new > self.words.capacity() {
            // Not twice as much: with thousands of series what is not used adds up.
            self.words.reserve_exact(new.max(words / 8).next_multiple_of(new));
        }
        self.words.extend_from_slice(counters);
    }

    /// Gives each counter so many bits, as a power of two.
    fn widen(&mut self, width: u32) {
        let (from, to) = (words_of(self.width), words_of(width));
        let mut words = Vec::with_capacity(self.words.len() / from * to);
        for block in self.words.chunks_exact(from) {
            words.extend_from_slice(&spread(block, self.width, width)[..to]);
        }
        (self.words, self.width) = (words, width);
    }

    /// Adds all that `other` has counted: the result is that of one histogram which had counted both.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::Histogram;
    /// let (mut one, mut other) = (Histogram::new(), Histogram::new());
    /// one.record(Duration::from_millis(1));
    /// other.record(Duration::from_millis(3));
    /// one.merge(&other);
    /// assert_eq!((one.count(), one.mean()), (2, Duration::from_millis(2)));
    /// ```
    pub fn merge(&mut self, other: &Histogram) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            // In the room that there is.
            self.pages = other.pages;
            self.directory.clone_from(&other.directory);
            self.words.clone_from(&other.words);
            (self.width, self.min) = (other.width, other.min);
        } else {
            if self.width < other.width {
                self.widen(other.width);
            }
            let words = words_of(other.width);
            // Where no counter has its highest bit set, none can overflow. To look through both in order also fetches them from
            // memory sooner than the blocks' order, that of their first use, would.
            let any = |words: &[u64]| words.iter().fold(0, |any, word| any | word);
            let fits = self.width == other.width && (any(&self.words) | any(&other.words)) & tops(self.width) == 0;
            // Plain loops, since this is what takes the time when thousands are merged.
            for (number, page) in other.pages.iter().enumerate().filter(|(_, page)| **page != NO_PAGE) {
                let own_page = self.page(number);
                for (at, entry) in other.directory[usize::from(*page)].iter().enumerate() {
                    if *entry == NO_BLOCK {
                        continue;
                    }
                    let theirs = &other.words[usize::from(*entry) * words..][..words];
                    let own = self.directory[own_page][at];
                    if own == NO_BLOCK && self.width == other.width {
                        self.append_block(own_page, at, theirs);
                        continue;
                    }
                    let block = if own == NO_BLOCK { self.make_block(own_page, at) } else { usize::from(own) };
                    if fits {
                        for (own, theirs) in self.words[block * words..][..words].iter_mut().zip(theirs) {
                            *own += theirs;
                        }
                    } else {
                        self.add_block(block, theirs, other.width);
                    }
                }
            }
            self.min = self.min.min(other.min);
        }
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum += other.sum;
        self.sum_of_squares = self.sum_of_squares.saturating_add(other.sum_of_squares);
    }

    /// What is left without a part of it; the minimum and the maximum are told within 0.1 %.
    pub(crate) fn without(&self, part: &Histogram) -> Self {
        let mut left = Self::new();
        let mut taken = part.slots().peekable();
        for (slot, count) in self.slots() {
            let of_part = taken.next_if(|(of_part, _)| *of_part == slot).map_or(0, |(_, count)| count);
            let count = count.saturating_sub(of_part);
            if count > 0 {
                left.add_to(slot, count);
                let micros = highest_of(slot).clamp(self.min, self.max);
                left.min = if left.count == 0 { micros } else { left.min };
                left.max = micros;
                left.count += count;
            }
        }
        left.sum = self.sum.saturating_sub(part.sum);
        left.sum_of_squares = self.sum_of_squares.saturating_sub(part.sum_of_squares);
        left
    }

    /// Adds a block of counters, no wider than its own, to one of its blocks.
    fn add_block(&mut self, block: usize, theirs: &[u64], width: u32) {
        loop {
            let wide;
            let theirs = if width == self.width {
                theirs
            } else {
                wide = spread(theirs, width, self.width);
                &wide[..words_of(self.width)]
            };
            let own = &mut self.words[block * words_of(self.width)..][..words_of(self.width)];
            // By width, so that the compiler knows how many words there are.
            let added = match self.width {
                2 => add_words::<{ words_of(2) }>(own, theirs, const { tops(2) }),
                3 => add_words::<{ words_of(3) }>(own, theirs, const { tops(3) }),
                4 => add_words::<{ words_of(4) }>(own, theirs, const { tops(4) }),
                5 => add_words::<{ words_of(5) }>(own, theirs, const { tops(5) }),
                _ => {
                    for (own, theirs) in own.iter_mut().zip(theirs) {
                        *own = own.saturating_add(*theirs);
                    }
                    true
                }
            };
            if added {
                return;
            }
            self.widen(self.width + 1);
        }
    }

    /// The blocks with their counters, in rising order of what fell into them.
    fn blocks(&self) -> impl Iterator<Item = (usize, &[u64])> {
        let pages = self.pages.iter().enumerate().filter(|(_, page)| **page != NO_PAGE);
        let entries = pages.flat_map(|(number, page)| {
            self.directory[usize::from(*page)].iter().enumerate().map(move |(at, entry)| (number * PAGE + at, *entry))
        });
        let words = words_of(self.width);
        entries
            .filter(|(_, entry)| *entry != NO_BLOCK)
            .map(move |(index, entry)| (index, &self.words[usize::from(entry) * words..][..words]))
    }

    /// The slots that are not zero, in rising order.
    fn slots(&self) -> impl Iterator<Item = (usize, u64)> {
        self.blocks().flat_map(move |(index, words)| {
            (0..BLOCK).filter_map(move |within| {
                let (word, shift) = place_of(within, self.width);
                let count = (words[word] >> shift) & most(self.width);
                (count > 0).then_some((index * BLOCK + within, count))
            })
        })
    }

    /// How many durations were counted.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::Histogram;
    /// let mut histogram = Histogram::new();
    /// for ms in [1, 2, 3, 10] {
    ///     histogram.record(Duration::from_millis(ms));
    /// }
    /// assert_eq!(histogram.count(), 4);
    /// ```
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shortest duration, exactly; zero when nothing was counted.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::Histogram;
    /// let mut histogram = Histogram::new();
    /// for ms in [1, 2, 3, 10] {
    ///     histogram.record(Duration::from_millis(ms));
    /// }
    /// assert_eq!(histogram.min(), Duration::from_millis(1));
    /// ```
    pub fn min(&self) -> Duration {
        Duration::from_micros(self.min)
    }

    /// The longest duration, exactly; zero when nothing was counted.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::Histogram;
    /// let mut histogram = Histogram::new();
    /// for ms in [1, 2, 3, 10] {
    ///     histogram.record(Duration::from_millis(ms));
    /// }
    /// assert_eq!(histogram.max(), Duration::from_millis(10));
    /// ```
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max)
    }

    /// The mean, exactly; zero when nothing was counted.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::Histogram;
    /// let mut histogram = Histogram::new();
    /// for ms in [1, 2, 3, 10] {
    ///     histogram.record(Duration::from_millis(ms));
    /// }
    /// assert_eq!(histogram.mean(), Duration::from_millis(4));
    /// ```
    pub fn mean(&self) -> Duration {
        Duration::from_micros(self.mean_micros().round() as u64)
    }

    fn mean_micros(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// All durations together, exactly; zero when nothing was counted. A report that was read from JSON tells the mean times the count.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::Histogram;
    /// let mut histogram = Histogram::new();
    /// for ms in [1, 2, 3, 10] {
    ///     histogram.record(Duration::from_millis(ms));
    /// }
    /// assert_eq!(histogram.sum(), Duration::from_millis(16));
    /// ```
    pub fn sum(&self) -> Duration {
        // More than 64 bits of microseconds are half a million years.
        Duration::from_micros(u64::try_from(self.sum).unwrap_or(u64::MAX))
    }

    /// How many durations were not longer than each of `bounds`, which rise.
    ///
    /// A duration that is exactly a bound is within it. What is told apart decides for the others: one that is up to 0.1 % longer
    /// than a bound may count as within it, and one of over an hour counts as an hour.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mite_core::Histogram;
    ///
    /// let mut histogram = Histogram::new();
    /// for ms in [5, 10, 11, 400] {
    ///     histogram.record(Duration::from_millis(ms));
    /// }
    /// assert_eq!(histogram.at_most(&[10, 20, 1000].map(Duration::from_millis)), [2, 3, 4]);
    /// ```
    pub fn at_most(&self, bounds: &[Duration]) -> Vec<u64> {
        let mut counts = self.slots().peekable();
        let mut seen = 0;
        let within = |bound: &Duration| {
            let bound = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX).min(LONGEST);
            while let Some((_, count)) = counts.next_if(|(slot, _)| *slot <= slot_of(bound)) {
                seen += count;
            }
            seen
        };
        bounds.iter().map(within).collect()
    }

    /// The durations that were counted, in rising order, each with how often: of those that are not told apart (0.1 % of one
    /// another), and of all over an hour, the shortest that there might have been.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::Histogram;
    /// let mut histogram = Histogram::new();
    /// for ms in [1, 2, 3, 10] {
    ///     histogram.record(Duration::from_millis(ms));
    /// }
    /// let counted: Vec<u64> = histogram.durations().map(|(_, count)| count).collect();
    /// assert_eq!(counted, [1, 1, 1, 1]);
    /// ```
    pub fn durations(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.slots().map(|(slot, count)| (Duration::from_micros(lowest_of(slot)), count))
    }

    /// The standard deviation of what was counted (that of a population, not of a sample).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::Histogram;
    /// let mut histogram = Histogram::new();
    /// for ms in [1, 2, 3, 10] {
    ///     histogram.record(Duration::from_millis(ms));
    /// }
    /// assert!(histogram.stdev().abs_diff(Duration::from_micros(3536)) < Duration::from_micros(10));
    /// ```
    pub fn stdev(&self) -> Duration {
        if self.count == 0 {
            return Duration::ZERO;
        }
        let mean = self.mean_micros();
        let variance = (self.sum_of_squares as f64 / self.count as f64 - mean * mean).max(0.0);
        Duration::from_micros(variance.sqrt().round() as u64)
    }

    /// The duration that `percent` of all were not longer than, told within 0.1 %; zero when nothing was counted.
    ///
    /// It is never longer than [`Histogram::max`]. `percent` is from 0 to 100 and taken as the nearer of the two when it
    /// is beyond.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::Histogram;
    /// let mut histogram = Histogram::new();
    /// for ms in [1, 2, 3, 10] {
    ///     histogram.record(Duration::from_millis(ms));
    /// }
    /// assert!(histogram.percentile(50.0).abs_diff(Duration::from_millis(2)) <= Duration::from_micros(2));
    /// assert_eq!(histogram.percentile(100.0), histogram.max());
    /// ```
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
        let mut fields = serializer.serialize_struct("Histogram", 12)?;
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
        fields.serialize_field("counts", &self.counts())?;
        fields.end()
    }
}

impl Histogram {
    /// All that is needed to have it again: `180:12 181:40` are twelve of 180 µs and forty of 181. Of what is told within 0.1 % it
    /// is the longest.
    fn counts(&self) -> String {
        let mut text = String::new();
        for (slot, count) in self.slots() {
            let space = if text.is_empty() { "" } else { " " };
            // Text takes what is written to it.
            let _ = write!(text, "{space}{}:{count}", highest_of(slot));
        }
        text
    }

    fn of_counts(stored: &Stored) -> Result<Self, String> {
        let mut histogram = Self::new();
        let mut all = 0_u64;
        for pair in stored.counts.split_ascii_whitespace() {
            let wrong = || format!("its counts are pairs like `180:12`, not `{pair}`");
            let (micros, count) = pair.split_once(':').ok_or_else(wrong)?;
            let (micros, count) = (micros.parse().map_err(|_| wrong())?, count.parse().map_err(|_| wrong())?);
            all = all.checked_add(count).ok_or("its counts are too many to be added up")?;
            if count > 0 {
                // Its sums are told, and need not be made again.
                histogram.add_to(slot_of(u64::min(micros, LONGEST)), count);
            }
        }
        let Stored { count, min, max, mean, stdev, .. } = *stored;
        if all != count {
            return Err(format!("its counts are {all} in all, and its count is {count}"));
        }
        if count > 0 {
            let [mean, stdev] = [mean, stdev].map(u128::from);
            (histogram.count, histogram.min, histogram.max) = (count, min, max.max(min));
            histogram.sum = mean * u128::from(count);
            let squares = (mean * mean).saturating_add(stdev * stdev);
            histogram.sum_of_squares = squares.saturating_mul(u128::from(count));
        }
        Ok(histogram)
    }
}

/// What is read of a histogram's JSON; the quantiles follow from it.
#[derive(Deserialize)]
struct Stored {
    count: u64,
    min: u64,
    mean: u64,
    stdev: u64,
    max: u64,
    counts: String,
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        Self::of_counts(&stored).map_err(serde::de::Error::custom)
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
            assert_eq!(lowest_of(slot), next);
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
    fn a_duration_that_is_a_bound_is_within_it() {
        let mut histogram = Histogram::new();
        // Up to 2048 µs each is told apart; a second is told with those up to half a millisecond longer.
        for micros in [0, 99, 100, 101, 1_000_000, 1_000_400, 1_000_500, 7_200_000_000] {
            histogram.record_micros(micros, 1);
        }
        let rows =
            [(0, 1), (99, 2), (100, 3), (101, 4), (999_000, 4), (1_000_000, 6), (3_590_000_000, 7), (u64::MAX, 8)];
        let bounds = rows.map(|(micros, _)| Duration::from_micros(micros));
        assert_eq!(histogram.at_most(&bounds), rows.map(|(_, within)| within));
        assert_eq!(histogram.sum(), Duration::from_micros(7_203_001_200));
        assert_eq!(Histogram::new().at_most(&bounds), [0; 8]);
        assert_eq!(histogram.durations().map(|(_, count)| count).sum::<u64>(), 8);
    }

    #[test]
    fn an_empty_one_tells_zeros() {
        let histogram = Histogram::new();
        assert_eq!(histogram.percentile(99.0), Duration::ZERO);
        assert_eq!(histogram.heap_bytes(), 0);
        let json = serde_json::to_value(&histogram).unwrap();
        assert_eq!(json["count"], 0);
        assert_eq!(json["p999"], 0);
    }

    #[test]
    fn counters_widen_as_they_have_to() {
        for times in [1, 15, 16, 255, 256, 65_535, 65_536, u64::from(u32::MAX), u64::from(u32::MAX) + 1, 1 << 60] {
            let mut histogram = Histogram::new();
            for micros in 0..3000 {
                histogram.record_micros(micros, 1 + micros % 3);
            }
            histogram.record_micros(7, times - 1);
            histogram.record_micros(7, 1);
            let mut expected: Vec<_> = (0..EXACT).map(|micros| (micros as usize, 1 + micros % 3)).collect();
            expected[7].1 += times;
            assert!(histogram.slots().take(EXACT as usize).eq(expected), "{times}");
            assert_eq!(histogram.slots().map(|(_, count)| count).sum::<u64>(), histogram.count());
        }
        assert_eq!(most(WIDEST), u64::MAX);
    }

    #[test]
    fn a_full_one_and_a_usual_one_take_what_is_said() {
        let mut full = Histogram::new();
        let mut usual = Histogram::new();
        for slot in 0..SLOTS {
            full.record_micros(highest_of(slot), u64::MAX >> 20);
        }
        // A thousand samples within two octaves.
        for sample in 0..1000 {
            usual.record_micros(8192 + sample * 7919 % 24_576, 1);
        }
        assert!(full.heap_bytes() <= 190_000, "{}", full.heap_bytes());
        assert!(usual.heap_bytes() <= 1300, "{}", usual.heap_bytes());
    }

    #[test]
    fn one_that_was_cleared_is_empty() {
        let mut histogram = Histogram::new();
        (0..5000).for_each(|micros| histogram.record_micros(micros, 300));
        histogram.clear();
        assert_eq!((histogram.count(), histogram.max(), histogram.slots().count()), (0, Duration::ZERO, 0));
        histogram.record_micros(5, 1);
        assert_eq!(histogram.slots().collect::<Vec<_>>(), [(5, 1)]);
    }

    proptest! {
        #[test]
        fn what_is_left_without_a_part_is_the_rest(
            values in prop::collection::vec((0u32..32, 0u64..LONGEST, 1..1000_u64), 0..200),
            cut in 0usize..200,
        ) {
            let (mut part, mut rest) = (Histogram::new(), Histogram::new());
            for (index, (shift, value, times)) in values.iter().enumerate() {
                (if index < cut { &mut part } else { &mut rest }).record_micros(value >> shift, *times);
            }
            let mut all = part.clone();
            all.merge(&rest);
            let left = all.without(&part);
            prop_assert!(left.slots().eq(rest.slots()));
            prop_assert_eq!((left.count, left.sum, left.sum_of_squares), (rest.count, rest.sum, rest.sum_of_squares));
            for percent in [1.0, 50.0, 99.9] {
                let (left, rest) = (left.percentile(percent), rest.percentile(percent));
                prop_assert!(left.abs_diff(rest) <= rest / 1000 + Duration::from_micros(1), "{:?} and {:?}", left, rest);
            }
        }

        /// Bucket for bucket that of HdrHistogram, also when the values were counted in two parts and merged, each as often
        /// as needs counters of another width.
        #[test]
        fn it_agrees_with_hdrhistogram(
            values in prop::collection::vec((0u32..32, 0u64..LONGEST), 1..300),
            cut in 0usize..300,
            times in (0u32..33, 0u32..33),
        ) {
            let mut reference = hdrhistogram::Histogram::<u64>::new_with_bounds(1, LONGEST, 3).unwrap();
            let (mut ours, mut rest) = (Histogram::new(), Histogram::new());
            // Of all lengths, so that some fall into the same buckets.
            let values: Vec<u64> = values.iter().map(|(shift, value)| value >> shift).collect();
            for (index, value) in values.iter().enumerate() {
                let (part, times) = if index < cut { (&mut ours, times.0) } else { (&mut rest, times.1) };
                reference.record_n(*value, 1 << times).unwrap();
                part.record_micros(*value, 1 << times);
            }
            ours.merge(&rest);
            let counted: Vec<_> = ours.slots().collect();
            let counts: Vec<_> =
                reference.iter_recorded().map(|it| (slot_of(it.value_iterated_to()), it.count_at_value())).collect();
            prop_assert_eq!(counted, counts);
            prop_assert_eq!(ours.count(), reference.len());
            for percent in [1.0, 50.0, 90.0, 99.0, 99.9] {
                let told = reference.value_at_percentile(percent).min(*values.iter().max().unwrap());
                prop_assert_eq!(ours.percentile(percent).as_micros() as u64, told.max(*values.iter().min().unwrap()));
            }
            prop_assert_eq!(ours.max().as_micros() as u64, *values.iter().max().unwrap());
            prop_assert!((ours.mean().as_micros() as f64 - reference.mean()).abs() <= 1.0 + reference.mean() / 500.0);
        }
    }
}
