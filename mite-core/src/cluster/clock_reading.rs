//! Asking what the run's clock says.
//!
//! It is apart from [`clock`](super::clock), which works out what the answers mean.

use std::time::Duration;

use super::clock::{Exchange, RunClock};
use super::protocol::{ClockReading, unpack};
use crate::bus::{Bus, BusError};
use crate::runner::permit::boot_nanos;

/// How often the clock is asked for to know it at first, and to see how far it has gone since: each is a message more of each runner.
pub(super) const CLOCK_READINGS: usize = 16;
pub(super) const CLOCK_AGAIN: usize = 4;
/// How long an answer is waited for.
const CLOCK_WITHIN: Duration = Duration::from_millis(500);

/// What the run's clock says, of so many readings.
///
/// # Errors
/// Nobody answers.
pub(super) async fn read_clock(bus: &dyn Bus, subject: &str, readings: usize) -> Result<RunClock, BusError> {
    let mut exchanges = Vec::new();
    let mut failed = None;
    for _ in 0..readings {
        let asked = boot_nanos();
        match bus.request(subject, Vec::new(), CLOCK_WITHIN).await {
            Ok(answer) => {
                let answered = boot_nanos();
                let ClockReading { now } = unpack("the run's clock", &answer)?;
                exchanges.push(Exchange { asked, told: now, answered });
            }
            Err(error) => failed = Some(error),
        }
    }
    RunClock::of(&exchanges).ok_or_else(|| failed.unwrap_or_else(|| BusError::other("the run's clock did not answer")))
}
