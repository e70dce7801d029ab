//! Figures of the progress as people read them: three digits, in the unit that fits.

/// Microseconds: `873 µs`, `1.24 ms`, `12.3 s`.
pub(super) fn time(micros: u64) -> String {
    let micros = micros as f64;
    // The limits are where rounding to three digits reaches the next unit.
    match micros {
        ..999.5 => format!("{micros:.0} µs"),
        ..999_500.0 => digits(micros / 1e3, "ms"),
        _ => digits(micros / 1e6, "s"),
    }
}

/// `512 B`, `1.50 KiB`, `64.0 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        ..1024.0 => format!("{bytes} B"),
        ..1_048_576.0 => digits(bytes / 1024.0, "KiB"),
        ..1_073_741_824.0 => digits(bytes / 1_048_576.0, "MiB"),
        _ => digits(bytes / 1_073_741_824.0, "GiB"),
    }
}

/// `0:42`, `1:00:00`.
pub(super) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn digits(value: f64, unit: &str) -> String {
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fit_and_have_three_digits() {
        let cases = [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_240, "1.24 ms"),
            (99_960, "100 ms"),
            (999_499, "999 ms"),
            (999_500, "1.00 s"),
            (3_600_000_000, "3600 s"),
        ];
        for (micros, text) in cases {
            assert_eq!(time(micros), text);
        }
        assert_eq!(
            [0, 1023, 1536, 64 << 20, 3 << 30].map(bytes),
            ["0 B", "1023 B", "1.50 KiB", "64.0 MiB", "3.00 GiB"]
        );
        assert_eq!(
            [0, 59, 60, 3599, 3600, 90_061].map(clock),
            ["0:00", "0:59", "1:00", "59:59", "1:00:00", "25:01:01"]
        );
    }
}
