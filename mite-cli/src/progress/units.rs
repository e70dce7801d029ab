//! Figures of the progress as people read them: those of the report, and a clock.
//!
//! They are apart from the screen and the lines, which both have them.

use std::time::Duration;

pub(super) use mite_core::units::bytes;

/// Microseconds in the unit that fits.
pub(super) fn time(micros: u64) -> String {
    mite_core::units::time(Duration::from_micros(micros))
}

/// `0:42`, `1:00:00`.
pub(super) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_has_hours_where_there_are_some() {
        assert_eq!(
            [0, 59, 60, 3599, 3600, 90_061].map(clock),
            ["0:00", "0:59", "1:00", "59:59", "1:00:00", "25:01:01"]
        );
    }
}
