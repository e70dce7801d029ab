//! Values in and figures out: small tables, and what holds of any values.
#![expect(clippy::float_cmp, reason = "these values are told exactly")]

use proptest::prelude::*;

use super::*;

fn of(values: &[f64]) -> Distribution {
    let mut of = Distribution::new([1.0, 10.0, 100.0].into());
    for value in values {
        of.record(*value, usize::MAX);
    }
    of
}

#[test]
fn figures_are_those_of_the_values() {
    let values = of(&[0.5, 1.0, 12.5, 2.0, 250.0, -3.0]);
    assert_eq!((values.count(), values.sum(), values.min(), values.max()), (6, 263.0, -3.0, 250.0));
    // A value on a bound is within it.
    assert_eq!(values.buckets().collect::<Vec<_>>(), [(1.0, 3), (10.0, 4), (100.0, 5)]);
    let percentiles = [(0.0, -3.0), (16.0, -3.0), (17.0, 0.5), (50.0, 1.0), (67.0, 12.5), (100.0, 250.0)];
    for (percent, value) in percentiles {
        assert_eq!(values.percentile(percent), value, "p{percent}");
    }
    assert!((of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).stdev() - 2.0).abs() < 1e-9);
    let none = of(&[]);
    assert_eq!((none.percentile(50.0), none.mean(), none.stdev(), none.max()), (0.0, 0.0, 0.0, 0.0));
}

#[test]
fn whole_numbers_are_exact_as_far_as_three_digits_go() {
    for number in 0..=2048 {
        let values = of(&[-1e9, f64::from(number), 1e9]);
        assert_eq!(values.percentile(50.0), f64::from(number));
        let values = of(&[-1e9, -f64::from(number), 1e9]);
        assert_eq!(values.percentile(50.0), -f64::from(number));
    }
}

#[test]
fn values_of_all_sizes_take_bounded_room() {
    let mut values = of(&[]);
    for exponent in -300..300 {
        for mantissa in 0..200 {
            let value = (1.0 + f64::from(mantissa) / 200.0) * 10_f64.powi(exponent);
            values.record(if mantissa % 2 == 0 { value } else { -value }, usize::MAX);
        }
    }
    assert_eq!(values.count(), 120_000);
    assert!(values.slots.len() <= MOST_SLOTS && values.slots.len() > MOST_SLOTS / 4, "{}", values.slots.len());
    let told = values.percentile(75.0);
    assert!((0.1..10.0).contains(&told), "{told}");
    for most in [64, 1, 0] {
        let mut few = of(&[]);
        (0..2000).for_each(|value| few.record(f64::from(value), most));
        assert!(few.slots.len() <= most.max(13), "{most}: {}", few.slots.len());
    }
}

#[test]
fn a_sum_that_is_too_large_stays_a_number() {
    let values = of(&[f64::MAX, f64::MAX]);
    assert_eq!((values.sum(), values.percentile(99.0)), (f64::MAX, f64::MAX));
    assert_eq!(of(&[f64::MIN, f64::MIN, f64::MIN_POSITIVE]).sum(), f64::MIN);
}

#[test]
fn what_is_no_distribution_is_refused() {
    let json = serde_json::to_value(of(&[3.0, 4.0])).unwrap();
    let cases: [(&str, serde_json::Value, &str); 6] = [
        ("count", 3.into(), "its counts are 2 in all, and its count is 3"),
        ("counts", "5".into(), "its counts are pairs like `180:12`, not `5`"),
        ("left_out", 60.into(), "`left_out` is from 42 to 52, not 60"),
        ("max", 1.into(), "its least value is 3, and its greatest 1"),
        ("sum", "x".into(), "invalid type: string \"x\""),
        ("counts", format!("1:{} 2:1", u64::MAX).into(), "its counts are too many to be added up"),
    ];
    for (field, value, told) in cases {
        let mut json = json.clone();
        json[field] = value;
        let error = serde_json::from_value::<Distribution>(json).unwrap_err().to_string();
        assert!(error.contains(told), "{error}, and should be {told}");
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        -1e3..1e3,
        -1e300..1e300,
        Just(0.0),
        Just(-0.0),
        Just(f64::MIN_POSITIVE),
        (0..5000_i32).prop_map(f64::from)
    ]
}

proptest! {
    #[test]
    fn parts_are_the_whole(values in prop::collection::vec(value(), 0..300), parts in 1..5_usize, most in 1..400_usize) {
        let mut whole = Distribution::new([1.0, 1000.0].into());
        let mut of_parts = vec![whole.clone(); parts];
        for (index, value) in values.iter().enumerate() {
            whole.record(*value, most);
            of_parts[index % parts].record(*value, most);
        }
        let mut merged = Distribution::new([1.0, 1000.0].into());
        for part in &of_parts {
            merged.merge(part, most);
        }
        // What is added in another order may differ in its last digits.
        prop_assert!((merged.sum - whole.sum).abs() <= 1e-9 * values.iter().map(|value| value.abs()).sum::<f64>());
        merged.sum = whole.sum;
        prop_assert_eq!(merged, whole);
    }

    #[test]
    fn percentiles_are_within_a_thousandth(mut values in prop::collection::vec(value(), 1..200), percent in 0.0..100.0_f64) {
        let told = of(&values).percentile(percent);
        values.sort_by(f64::total_cmp);
        let exact = values[((percent / 100.0 * values.len() as f64).ceil() as usize).max(1) - 1];
        prop_assert!((told - exact).abs() <= exact.abs() / 1000.0, "{} and {}", told, exact);
    }

    #[test]
    fn what_is_read_again_is_the_same(values in prop::collection::vec(value(), 0..100)) {
        let values = of(&values);
        let json = serde_json::to_string(&values).unwrap();
        let mut again: Distribution = serde_json::from_str(&json).unwrap();
        // The last digit of a float may be lost on its way.
        for (read, told) in [(&mut again.sum, values.sum), (&mut again.min, values.min), (&mut again.max, values.max)] {
            prop_assert!((*read - told).abs() <= told.abs() * 1e-15);
            *read = told;
        }
        prop_assert_eq!(again, values);
    }
}
