//! Times, sizes and counts for people, as the report tells them: three digits, in the unit that fits.
//!
//! They are apart from the texts that have them in them, which are several, and not all of this crate.

use std::time::Duration;

/// Three significant digits in the unit that fits: `873 µs`, `1.24 ms`, `12.3 s`, `2.50 min`, `1.00 h`. Seconds go up to two
/// minutes.
///
/// ```
/// # use std::time::Duration;
/// assert_eq!(mite_core::units::time(Duration::from_micros(1_240)), "1.24 ms");
/// ```
pub fn time(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    // The limits are where rounding to three digits reaches the next unit.
    let (value, unit) = match micros {
        0.0..999.5 => (micros, "µs"),
        999.5..999_500.0 => (micros / 1e3, "ms"),
        999_500.0..119_500_000.0 => (micros / 1e6, "s"),
        119_500_000.0..3_597_000_000.0 => (micros / 60e6, "min"),
        _ => (micros / 3600e6, "h"),
    };
    digits(value, unit)
}

/// Three significant digits in the unit that fits, of which each is 1024 of the one before: `512 B`, `1.50 KiB`, `64.0 MiB`.
pub fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        0.0..1024.0 => format!("{bytes} B"),
        1024.0..1_048_576.0 => digits(bytes / 1024.0, "KiB"),
        1_048_576.0..1_073_741_824.0 => digits(bytes / 1_048_576.0, "MiB"),
        _ => digits(bytes / 1_073_741_824.0, "GiB"),
    }
}

fn digits(value: f64, unit: &str) -> String {
    let decimals = match value {
        _ if unit == "µs" => 0,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// A number of any size: whole ones in full up to 10¹⁵, others with three significant digits.
pub fn number(number: f64) -> String {
    let size = number.abs();
    if size < 1e15 && number.fract() == 0.0 {
        return format!("{number:.0}");
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{number:.2e}");
    }
    // As many as make three with those before the point.
    let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
    format!("{number:.decimals$}")
}

/// `1 start`, `2 starts`.
pub fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fit_and_have_three_digits() {
        let cases = [
            (0, "0 µs"),
            (873, "873 µs"),
            (1_240, "1.24 ms"),
            (12_345, "12.3 ms"),
            (999_499, "999 ms"),
            (999_500, "1.00 s"),
            (12_300_000, "12.3 s"),
            (119_499_000, "119 s"),
            (120_000_000, "2.00 min"),
            (3_596_000_000, "59.9 min"),
            (3_600_000_000, "1.00 h"),
            (45_000_000_000, "12.5 h"),
        ];
        for (micros, text) in cases {
            assert_eq!(time(Duration::from_micros(micros)), text);
        }
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.50 KiB");
        assert_eq!(bytes(64 << 20), "64.0 MiB");
    }
}
