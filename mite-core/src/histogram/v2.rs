//! A histogram as bytes: HdrHistogram's V2 encoding, with the figures that are not in it beside it.
//!
//! It is apart from the histogram itself, which knows of no format: this is what runners tell each other, and what any library
//! of HdrHistogram reads.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Histogram, LONGEST, SLOTS, slot_of};

/// What a V2 encoding begins with.
const COOKIE: u32 = 0x1c84_9313;
/// Cookie, length of the payload, normalizing index offset, digits, lowest and highest value, ratio of integers to doubles.
const HEADER: usize = 40;
const DIGITS: u32 = 3;
const LOWEST: u64 = 1;
/// So many bytes of a number hold seven bits each; the one after them holds eight.
const SEVENS: u32 = 8;
/// The most durations that one histogram is read with: a million a second for nine years. Sums of what was read stay far from
/// what their numbers can hold.
pub(crate) const MOST: u64 = 1 << 48;

/// Why bytes are no histogram of this layout: what is wrong, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of the histogram: {why}")]
pub(crate) struct BrokenHistogram {
    at: usize,
    why: &'static str,
}

impl Histogram {
    /// Whether nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The counts in HdrHistogram's V2 encoding, not compressed. Counts over 2⁶³ − 1, which would take centuries, are told as so
    /// many.
    pub(crate) fn to_v2(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + 64);
        bytes.extend_from_slice(&COOKIE.to_be_bytes());
        // The length of what comes after the header is filled in when it is known.
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&DIGITS.to_be_bytes());
        bytes.extend_from_slice(&LOWEST.to_be_bytes());
        bytes.extend_from_slice(&LONGEST.to_be_bytes());
        bytes.extend_from_slice(&1f64.to_be_bytes());
        let mut next = 0;
        for (slot, count) in self.slots() {
            match slot - next {
                0 => {}
                // One zero is a count, more are a run.
                1 => write(&mut bytes, 0),
                zeros => write(&mut bytes, -(zeros.cast_signed() as i64)),
            }
            write(&mut bytes, i64::try_from(count).unwrap_or(i64::MAX));
            next = slot + 1;
        }
        if next == 0 {
            // What others write for an empty one: no count of the lowest value.
            write(&mut bytes, 0);
        }
        let length = (bytes.len() - HEADER) as u32;
        bytes[4..8].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// The histogram of a V2 encoding with the layout that [`Histogram::to_v2`] writes. Its extremes and sums are left for others
    /// to say.
    fn of_v2(bytes: &[u8]) -> Result<Self, BrokenHistogram> {
        let broken = |at, why| Err(BrokenHistogram { at, why });
        let Some((header, payload)) = bytes.split_at_checked(HEADER) else {
            return broken(bytes.len(), "it ends within the header, which is 40 bytes");
        };
        let length = (payload.len() as u32).to_be_bytes();
        let [ratio, highest, lowest] = [1f64.to_be_bytes(), LONGEST.to_be_bytes(), LOWEST.to_be_bytes()];
        let fields: [(usize, &[u8], &str); 7] = [
            (0, &COOKIE.to_be_bytes(), "it is not HdrHistogram's V2 encoding, which begins with 1c849313"),
            (4, &length, "the payload is not as long as the header says"),
            (8, &[0; 4], "its indices are shifted, and ours are not"),
            (12, &DIGITS.to_be_bytes(), "it has not three significant digits"),
            (16, &lowest, "its lowest value is not 1"),
            (24, &highest, "its highest value is not an hour in microseconds"),
            (32, &ratio, "its values are no whole numbers"),
        ];
        for (at, wanted, why) in fields {
            if header[at..][..wanted.len()] != *wanted {
                return broken(at, why);
            }
        }
        let mut histogram = Self::new();
        let (mut slot, mut at) = (0, 0);
        while at < payload.len() {
            let from = HEADER + at;
            let Some(number) = read(payload, &mut at) else {
                return broken(from, "the number that begins here is cut off");
            };
            if number < 0 {
                let left = SLOTS - slot;
                let Some(zeros) = usize::try_from(number.unsigned_abs()).ok().filter(|zeros| *zeros <= left) else {
                    return broken(from, "the run of zeros goes beyond the highest value");
                };
                slot += zeros;
                continue;
            }
            if slot >= SLOTS {
                return broken(from, "the count is of a value beyond the highest");
            }
            if number > 0 {
                let number = number.unsigned_abs();
                if number > MOST - histogram.count {
                    return broken(from, "more durations than are counted in nine years");
                }
                histogram.count += number;
                histogram.add_to(slot, number);
            }
            slot += 1;
        }
        Ok(histogram)
    }
}

/// Writes a number as `ZigZag`, seven bits to a byte and the lowest first, in nine bytes at the most (LEB128-64b9B).
fn write(bytes: &mut Vec<u8>, number: i64) {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    for _ in 0..SEVENS {
        if left < 0x80 {
            break;
        }
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
}

/// Reads such a number; `None` when it is cut off.
fn read(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut number = 0;
    for index in 0..=SEVENS {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let has_more = byte & 0x80 != 0 && index < SEVENS;
        number |= u64::from(if has_more { byte & 0x7f } else { byte }) << (7 * index);
        if !has_more {
            break;
        }
    }
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

/// A number that may have more than the 64 bits of MessagePack's: 16 bytes then, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wide(u128);

impl Serialize for Wide {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(self.0) {
            Ok(narrow) => serializer.serialize_u64(narrow),
            Err(_) => serializer.serialize_bytes(&self.0.to_be_bytes()),
        }
    }
}

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WideVisitor;
        impl Visitor<'_> for WideVisitor {
            type Value = Wide;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number that is not negative, or 16 bytes of one")
            }

            fn visit_u64<E: de::Error>(self, narrow: u64) -> Result<Wide, E> {
                Ok(Wide(narrow.into()))
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Wide, E> {
                let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(Wide(u128::from_be_bytes(bytes)))
            }
        }
        deserializer.deserialize_any(WideVisitor)
    }
}

/// The counts in V2.
struct Counts<T>(T);

impl Serialize for Counts<&Histogram> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.to_v2())
    }
}

impl<'de> Deserialize<'de> for Counts<Histogram> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V2Visitor;
        impl Visitor<'_> for V2Visitor {
            type Value = Histogram;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a histogram in HdrHistogram's V2 encoding")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Histogram, E> {
                Histogram::of_v2(bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_bytes(V2Visitor).map(Self)
    }
}

/// The counts, and what is known exactly, in microseconds.
#[derive(Serialize, Deserialize)]
struct Whole<C> {
    v2: C,
    min: u64,
    max: u64,
    sum: Wide,
    squares: Wide,
}

/// For `#[serde(with = …)]`, since the report's JSON has another form.
pub(crate) fn serialize<S: Serializer>(histogram: &Histogram, serializer: S) -> Result<S::Ok, S::Error> {
    let (sum, squares) = (Wide(histogram.sum), Wide(histogram.sum_of_squares));
    let whole = Whole { v2: Counts(histogram), min: histogram.min, max: histogram.max, sum, squares };
    whole.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Histogram, D::Error> {
    Whole::<Counts<Histogram>>::deserialize(deserializer)?.checked().map_err(de::Error::custom)
}

impl Whole<Counts<Histogram>> {
    /// The histogram, unless what is said of it cannot be true of these counts.
    fn checked(self) -> Result<Histogram, &'static str> {
        let Self { v2: Counts(mut histogram), min, max, sum: Wide(sum), squares: Wide(squares) } = self;
        let mut slots = histogram.slots().map(|(slot, _)| slot);
        let least = slots.next();
        let greatest = slots.last().or(least);
        let Some((least, greatest)) = least.zip(greatest) else {
            let all_zero = (min, max, sum, squares) == (0, 0, 0, 0);
            return if all_zero { Ok(histogram) } else { Err("a histogram of nothing has extremes and sums") };
        };
        let slot_of = |micros: u64| slot_of(micros.min(LONGEST));
        if slot_of(min) != least || slot_of(max) != greatest || min > max {
            return Err("a histogram's extremes are not where its first and last counts are");
        }
        let count = u128::from(histogram.count);
        if !(u128::from(min) * count..=u128::from(max) * count).contains(&sum) {
            return Err("a histogram's mean is not between its extremes");
        }
        (histogram.min, histogram.max) = (min, max);
        (histogram.sum, histogram.sum_of_squares) = (sum, squares);
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests;
