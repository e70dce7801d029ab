//! Whether this process may start journeys now: always, where it is alone, and in a cluster for as long as it is sure that nobody
//! else has its share.
//!
//! It is apart from whoever renews it, and from the workers, who look at it before they start anything.

use std::sync::atomic::{AtomicU64, Ordering};

/// Until when, and by which list of members, this process may start journeys.
///
/// It goes by the clock that runs on while the machine is suspended: who wakes up after a minute must not believe that a second
/// has passed.
#[derive(Debug)]
pub(crate) struct Permit {
    /// Nanoseconds of the boot clock.
    until: AtomicU64,
    /// The number of the list: a worker that does not know it yet waits.
    epoch: AtomicU64,
}

const ALWAYS: u64 = u64::MAX;

/// What a permit says to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// What is due may be started.
    Given,
    /// There is a later list of members than the worker knows, which it is about to be told.
    Behind,
    /// Nothing may be started: somebody else may have this process's share by now.
    Expired,
}

impl Permit {
    /// That of a process which is alone.
    pub(crate) fn always() -> Self {
        Self { until: AtomicU64::new(ALWAYS), epoch: AtomicU64::new(0) }
    }

    /// One that has to be renewed before anything is started.
    pub(crate) fn none() -> Self {
        Self { until: AtomicU64::new(0), epoch: AtomicU64::new(0) }
    }

    /// Permits starts by this list of members until so many nanoseconds of the boot clock.
    pub(crate) fn renew(&self, epoch: u64, until: u64) {
        // In this order: who sees the time sees the list, or a later one, by which it does not start anything yet.
        self.epoch.store(epoch, Ordering::Release);
        self.until.store(until, Ordering::Release);
    }

    /// Whether who knows the list of members with this number may start journeys now. A later list than the permit's is not in
    /// force before the permit has expired.
    #[inline]
    pub(crate) fn leave(&self, epoch: u64) -> Leave {
        let until = self.until.load(Ordering::Acquire);
        if until == ALWAYS {
            Leave::Given
        } else if boot_nanos() >= until {
            Leave::Expired
        } else if epoch < self.epoch.load(Ordering::Acquire) {
            Leave::Behind
        } else {
            Leave::Given
        }
    }
}

/// What the boot clock says, in nanoseconds.
pub(crate) fn boot_nanos() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    // Elsewhere the monotonic clock is the nearest thing to it.
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_for_a_time_and_for_a_list_of_members() {
        let permit = Permit::none();
        assert_eq!(permit.leave(0), Leave::Expired);
        permit.renew(2, boot_nanos() + 60_000_000_000);
        assert_eq!([1, 2, 3].map(|epoch| permit.leave(epoch)), [Leave::Behind, Leave::Given, Leave::Given]);
        permit.renew(2, boot_nanos());
        assert_eq!([1, 2, 3].map(|epoch| permit.leave(epoch)), [Leave::Expired; 3]);
        assert_eq!(Permit::always().leave(0), Leave::Given);
    }
}
