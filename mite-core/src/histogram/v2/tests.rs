use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2Serializer};
use proptest::prelude::*;
use serde::de::value::Error;

use super::*;

/// As `#[serde(with = …)]` uses it.
#[derive(Debug, Serialize, Deserialize)]
struct Holder(#[serde(with = "super")] Histogram);

fn of_values(values: &[(u64, u64)]) -> Histogram {
    let mut histogram = Histogram::new();
    for (micros, times) in values {
        histogram.record_micros(*micros, *times);
    }
    histogram
}

fn reference(values: &[(u64, u64)]) -> hdrhistogram::Histogram<u64> {
    let mut reference = hdrhistogram::Histogram::new_with_bounds(LOWEST, LONGEST, 3).unwrap();
    for (micros, times) in values {
        reference.record_n(*micros, *times).unwrap();
    }
    reference
}

fn written_by_reference(histogram: &hdrhistogram::Histogram<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(histogram, &mut bytes).unwrap();
    bytes
}

fn facts(of: &Histogram) -> (Vec<(usize, u64)>, [u64; 3], [u128; 2]) {
    (of.slots().collect(), [of.count, of.min, of.max], [of.sum, of.sum_of_squares])
}

#[test]
fn numbers_take_what_they_should() {
    // The bytes of LEB128-64b9B: seven bits each, and all eight of the ninth.
    let cases: [(i64, &[u8]); 8] = [
        (0, &[0]),
        (-1, &[1]),
        (1, &[2]),
        (63, &[0x7e]),
        (64, &[0x80, 1]),
        (-23_552, &[0xff, 0xef, 2]),
        (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (i64::MIN, &[0xff; 9]),
    ];
    for (number, expected) in cases {
        let mut bytes = Vec::new();
        write(&mut bytes, number);
        assert_eq!(bytes, expected, "{number}");
        let mut at = 0;
        assert_eq!((read(&bytes, &mut at), at), (Some(number), bytes.len()));
        assert_eq!(read(&bytes[..bytes.len() - 1], &mut 0), None);
    }
}

#[test]
fn an_empty_one_is_written_as_others_do_and_read() {
    let bytes = Histogram::new().to_v2();
    assert_eq!(bytes, written_by_reference(&reference(&[])));
    assert_eq!(facts(&Histogram::of_v2(&bytes).unwrap()), facts(&Histogram::new()));
}

#[test]
fn what_is_wrong_is_told_with_its_byte() {
    let good = of_values(&[(5, 1), (4000, 2)]).to_v2();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let with_payload = |payload: &[u8]| {
        let mut bytes = good[..HEADER].to_vec();
        bytes[7] = payload.len() as u8;
        bytes.extend_from_slice(payload);
        bytes
    };
    let cut = good[..good.len() - 1].to_vec();
    let mut zeros_and_a_count = Vec::new();
    write(&mut zeros_and_a_count, -(SLOTS.cast_signed() as i64));
    write(&mut zeros_and_a_count, 1);
    let cases = [
        (Vec::new(), 0, "within the header"),
        (good[..39].to_vec(), 39, "within the header"),
        (with(3, 4), 0, "1c849313"),
        (cut, 4, "not as long"),
        (with(11, 1), 8, "shifted"),
        (with(15, 2), 12, "three significant digits"),
        (with(23, 2), 16, "lowest"),
        (with(30, 0), 24, "an hour"),
        (with(32, 0), 32, "no whole numbers"),
        (with_payload(&[0x02, 0x80]), 41, "cut off"),
        // A run of 2²⁰ zeros.
        (with_payload(&[0x02, 0xff, 0xff, 0x7f]), 41, "beyond the highest"),
        // As many zeros as there are values, then a count.
        (with_payload(&zeros_and_a_count), 43, "beyond the highest"),
        (with_payload(&[0xff; 9]), 40, "beyond the highest"),
        (with_payload(&[0x02, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), 41, "nine years"),
    ];
    for (bytes, at, why) in cases {
        let error = Histogram::of_v2(&bytes).unwrap_err();
        assert_eq!(error.at, at, "{error}");
        assert!(error.to_string().contains(why), "{error}, and not {why}");
    }
}

#[test]
fn extremes_and_sums_that_cannot_be_are_refused() {
    let read = |min, max, sum, squares| {
        let histogram = of_values(&[(5, 1), (4_000_000_000_000, 2)]);
        let whole = Whole { v2: Counts(histogram), min, max, sum: Wide(sum), squares: Wide(squares) };
        whole.checked()
    };
    let max = 4_000_000_000_000;
    assert!(read(5, max, 8_000_000_000_005, 1).is_ok());
    for (min, max, sum) in [(6, max, 8_000_000_000_005), (5, 2000, 4005), (5, max, 14), (5, max, 12_000_000_000_001)] {
        assert!(read(min, max, sum, 1).is_err(), "{min} {max} {sum}");
    }
    let nothing = Whole { v2: Counts(Histogram::new()), min: 0, max: 1, sum: Wide(0), squares: Wide(0) };
    assert!(nothing.checked().is_err());
}

#[test]
fn wide_numbers_are_read_back() {
    for number in [0, 1, u128::from(u64::MAX), u128::from(u64::MAX) + 1, u128::MAX] {
        let bytes = crate::pack::to_vec(&Wide(number)).unwrap();
        assert_eq!(rmp_serde::from_slice::<Wide>(&bytes).unwrap(), Wide(number));
    }
    let error: Error =
        Deserialize::deserialize(de::value::BytesDeserializer::new(&[1; 15])).map(|_: Wide| ()).unwrap_err();
    assert!(error.to_string().contains("16 bytes"), "{error}");
}

proptest! {
    /// Byte for byte what the library writes, and read by it.
    #[test]
    fn it_is_what_hdrhistogram_writes(
        values in prop::collection::vec((0u32..32, 0u64..=LONGEST, 1u64..1 << 40), 0..300),
    ) {
        let values: Vec<_> = values.iter().map(|(shift, value, times)| (value >> shift, *times)).collect();
        let (ours, theirs) = (of_values(&values), reference(&values));
        let bytes = ours.to_v2();
        prop_assert_eq!(&bytes, &written_by_reference(&theirs));
        let read: hdrhistogram::Histogram<u64> = HdrDeserializer::new().deserialize(&mut &bytes[..]).unwrap();
        prop_assert_eq!(read, theirs);
        prop_assert_eq!(facts(&Histogram::of_v2(&bytes).unwrap()).0, facts(&ours).0);
    }

    /// Over an hour too.
    #[test]
    fn what_was_written_is_read_exactly(
        values in prop::collection::vec((0u32..64, any::<u64>(), 1u64..1 << 40), 0..300),
    ) {
        let values: Vec<_> = values.iter().map(|(shift, value, times)| (value >> shift, *times)).collect();
        let ours = of_values(&values);
        let bytes = crate::pack::to_vec(&Holder(ours.clone())).unwrap();
        let Holder(read) = rmp_serde::from_slice(&bytes).unwrap();
        prop_assert_eq!(facts(&read), facts(&ours));
        // It goes on as the one that was written does.
        let (mut read, mut ours) = (read, ours);
        let more = of_values(&[(3, 7), (70_000, 300)]);
        read.merge(&more);
        ours.merge(&more);
        prop_assert_eq!(facts(&read), facts(&ours));
    }

    /// Broken bytes never make it panic, nor take more memory than a full histogram has.
    #[test]
    fn bytes_that_are_broken_do_no_harm(
        values in prop::collection::vec((0u32..32, 0u64..LONGEST, 1u64..1000), 0..50),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        tail in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let values: Vec<_> = values.iter().map(|(shift, value, times)| (value >> shift, *times)).collect();
        let mut bytes = of_values(&values).to_v2();
        bytes.extend(tail);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // So that what comes after the header is looked at, whatever its length has become.
        let length = ((bytes.len() - HEADER) as u32).to_be_bytes();
        bytes[4..8].copy_from_slice(&length);
        match Histogram::of_v2(&bytes) {
            Ok(read) => {
                prop_assert_eq!(read.slots().map(|(_, count)| count).sum::<u64>(), read.count);
                prop_assert!(read.heap_bytes() <= 400_000);
            }
            Err(error) => prop_assert!(error.at <= bytes.len(), "{}", error),
        }
    }
}
