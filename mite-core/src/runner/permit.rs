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
    /// Up to which time of the plan the list is known to hold, in nanoseconds since the start of the run.
    limit: AtomicU64,
    /// How often it had expired before it was renewed.
    lapses: AtomicU64,
    /// For how long it had at the most, in nanoseconds.
    longest: AtomicU64,
    /// After so many nanoseconds without it others may have what this process had.
    keeps: AtomicU64,
    /// How often it had expired when it was renewed last after it had for longer than that.
    void: AtomicU64,
}

/// The list holds as long as no other comes.
pub(crate) const NO_LIMIT: u64 = u64::MAX;

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
        Self::new(ALWAYS)
    }

    /// One that has to be renewed before anything is started.
    pub(crate) fn none() -> Self {
        Self::new(0)
    }

    fn new(until: u64) -> Self {
        let [epoch, lapses, longest, void] = std::array::from_fn(|_| AtomicU64::new(0));
        let [limit, keeps] = std::array::from_fn(|_| AtomicU64::new(u64::MAX));
        Self { until: AtomicU64::new(until), epoch, limit, lapses, longest, keeps, void }
    }

    /// After how long without it, in nanoseconds, others may have what this process had.
    pub(crate) fn keep_for(&self, nanos: u64) {
        self.keeps.store(nanos, Ordering::Release);
    }

    /// Permits starts by this list of members until so many nanoseconds of the boot clock, of what is due before `limit`, in
    /// nanoseconds since the start of the run.
    pub(crate) fn renew(&self, epoch: u64, until: u64, limit: u64) {
        let before = self.until.load(Ordering::Acquire);
        let lapsed = boot_nanos().checked_sub(before).filter(|_| before > 0);
        if let Some(lapsed) = lapsed {
            let lapses = self.lapses.fetch_add(1, Ordering::Release) + 1;
            self.longest.fetch_max(lapsed, Ordering::Release);
            if lapsed >= self.keeps.load(Ordering::Acquire) {
                self.void.store(lapses, Ordering::Release);
            }
        }
        // In this order: who sees the time sees the limit and the list, or later ones, and what the permit was before.
        self.epoch.store(epoch, Ordering::Release);
        self.limit.store(limit, Ordering::Release);
        self.until.store(until, Ordering::Release);
    }

    /// How often it had expired before it was renewed: who stood still meanwhile does not see it expired, and has to know all the
    /// same.
    #[inline]
    pub(crate) fn lapses(&self) -> u64 {
        self.lapses.load(Ordering::Acquire)
    }

    /// For how many nanoseconds it has been expired, if it is.
    fn lapsed(&self) -> Option<u64> {
        match self.until.load(Ordering::Acquire) {
            ALWAYS => None,
            until => boot_nanos().checked_sub(until),
        }
    }

    /// For how many nanoseconds it was expired at the most, up to now, once there was one. Who stood still meanwhile is told, too.
    pub(crate) fn longest_lapse(&self) -> u64 {
        let until = self.until.load(Ordering::Acquire);
        let lapsed = if until == 0 { 0 } else { self.lapsed().unwrap_or_default() };
        lapsed.max(self.longest.load(Ordering::Acquire))
    }

    /// Whether what was taken when the permit had expired so often may be others' by now: see [`Self::keep_for`].
    pub(crate) fn is_void(&self, lapses: u64) -> bool {
        let keeps = self.keeps.load(Ordering::Acquire);
        // In this order: one that is renewed in between is seen as that.
        self.lapsed().is_some_and(|lapsed| lapsed >= keeps) || self.void.load(Ordering::Acquire) > lapses
    }

    /// Whether who knows the list of members with this number may start journeys that are due by `now`, in nanoseconds since the
    /// start of the run. A later list than the permit's is not in force before the permit has expired, or its limit is reached.
    #[inline]
    pub(crate) fn leave(&self, epoch: u64, now: u64) -> Leave {
        let until = self.until.load(Ordering::Acquire);
        if until == ALWAYS {
            Leave::Given
        } else if boot_nanos() >= until || now >= self.limit.load(Ordering::Acquire) {
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
        assert_eq!(permit.leave(0, 0), Leave::Expired);
        let later = boot_nanos() + 60_000_000_000;
        permit.renew(2, later, NO_LIMIT);
        assert_eq!([1, 2, 3].map(|epoch| permit.leave(epoch, 7)), [Leave::Behind, Leave::Given, Leave::Given]);
        permit.renew(2, boot_nanos(), NO_LIMIT);
        assert_eq!([1, 2, 3].map(|epoch| permit.leave(epoch, 7)), [Leave::Expired; 3]);
        assert_eq!(Permit::always().leave(0, 7), Leave::Given);
        // Nobody may have seen that it had expired.
        assert_eq!(permit.lapses(), 0);
        permit.renew(2, later, 8);
        assert_eq!((permit.lapses(), permit.leave(2, 7), permit.leave(2, 8)), (1, Leave::Given, Leave::Expired));
        permit.renew(3, later, NO_LIMIT);
        assert_eq!((permit.lapses(), permit.leave(2, 8), permit.leave(3, 8)), (1, Leave::Behind, Leave::Given));
    }

    #[test]
    fn what_was_taken_before_it_had_expired_for_too_long_is_void() {
        let permit = Permit::none();
        let later = || boot_nanos() + 60_000_000_000;
        permit.keep_for(u64::MAX);
        assert_eq!(permit.longest_lapse(), 0, "there was none yet");
        permit.renew(1, later(), NO_LIMIT);
        let first = permit.lapses();
        // It expires for a short time.
        permit.renew(1, boot_nanos(), NO_LIMIT);
        assert!(!permit.is_void(first));
        permit.renew(1, later(), NO_LIMIT);
        let second = permit.lapses();
        assert_eq!([first, second].map(|lapses| permit.is_void(lapses)), [false, false]);
        // And then for too long, which nobody has seen before it is renewed.
        permit.renew(1, boot_nanos(), NO_LIMIT);
        permit.keep_for(0);
        permit.renew(1, later(), NO_LIMIT);
        assert!(permit.longest_lapse() > 0);
        assert_eq!([first, second, permit.lapses()].map(|lapses| permit.is_void(lapses)), [true, true, false]);
        permit.renew(1, boot_nanos(), NO_LIMIT);
        assert!(permit.is_void(permit.lapses()), "it is expired for too long now");
        assert!(!Permit::always().is_void(0));
    }
}
