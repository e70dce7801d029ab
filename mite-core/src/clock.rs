//! The run's clocks: a monotonic one that everything is measured on, and what it was by the wall when the run began.
//!
//! They are apart so that a virtual clock can stand in for both, and time pass at no cost.

#[cfg(feature = "testing")]
pub(crate) mod virtual_clock;

use std::time::{Duration, Instant, SystemTime};

/// What the run's monotonic clock says: the machine's, or the virtual one of the thread.
pub(crate) fn now() -> Instant {
    #[cfg(feature = "testing")]
    if virtual_clock::is_on() {
        return virtual_clock::now();
    }
    Instant::now()
}

/// What the run's monotonic clock says, in nanoseconds since some time before the run.
///
/// Journeys are timed by it and not by `Instant`: a clock is read four times for a journey in a transaction, and what lies between
/// two readings costs one instruction in the place of 55.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    #[inline]
    pub(crate) fn now() -> Self {
        #[cfg(feature = "testing")]
        if let Some(nanos) = virtual_clock::nanos() {
            return Self(nanos);
        }
        Self(system_nanos())
    }

    /// The moment of an instant: exact on a virtual clock, and within the time that reading two clocks takes otherwise.
    pub(crate) fn of(instant: Instant) -> Self {
        // One of the readings may be interrupted in between.
        let readings = std::array::from_fn::<_, 3, _>(|_| {
            let before = Self::now();
            let (now, after) = (now(), Self::now());
            (after.since(before), before, now)
        });
        let [first, others @ ..] = readings;
        let (_, moment, now) =
            others.into_iter().fold(first, |best, other| if other.0 < best.0 { other } else { best });
        match instant.checked_duration_since(now) {
            Some(after) => moment.after(after.as_nanos() as u64),
            None => Self(moment.0.saturating_sub((now - instant).as_nanos() as u64)),
        }
    }

    /// Nanoseconds from `earlier` to this; 0 when that is later.
    #[inline]
    pub(crate) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// So many nanoseconds later. What is centuries away never comes.
    #[inline]
    pub(crate) fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// So many nanoseconds earlier; not before the clock's own beginning.
    #[inline]
    pub(crate) fn before(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }

    /// Nanoseconds since the clock's own beginning.
    pub(crate) fn nanos(self) -> u64 {
        self.0
    }
}

#[cfg(target_os = "linux")]
#[inline]
fn system_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

#[cfg(not(target_os = "linux"))]
fn system_nanos() -> u64 {
    // Instants from before the first look must be told too.
    const BEFORE: u64 = 1 << 60;
    BEFORE + first_look().elapsed().as_nanos() as u64
}

#[cfg(not(target_os = "linux"))]
fn first_look() -> Instant {
    static FIRST: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    *FIRST
}

/// Whether this thread goes by a virtual clock.
pub(crate) fn is_virtual() -> bool {
    #[cfg(feature = "testing")]
    return virtual_clock::is_on();
    #[cfg(not(feature = "testing"))]
    false
}

/// Where the wall clock of a virtual run stands at its beginning, so that two such runs tell the same times: the year 2000.
const VIRTUAL_START: Duration = Duration::from_secs(946_684_800);

/// Turns monotonic instants into Unix seconds. The wall clock is read once: if somebody sets it during the run, the
/// messages of the run still follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    instant: Instant,
    moment: Moment,
    unix: Duration,
}

impl WallClock {
    pub(crate) fn now() -> Self {
        let unix = if is_virtual() {
            VIRTUAL_START
        } else {
            // A clock that stands before 1970 tells times from 1970 on.
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
        };
        let instant = now();
        Self { instant, moment: Moment::of(instant), unix }
    }

    /// Unix seconds at `moment`.
    pub(crate) fn seconds_at(&self, moment: Moment) -> f64 {
        let after = Duration::from_nanos(moment.since(self.moment));
        let before = Duration::from_nanos(self.moment.since(moment));
        (self.unix + after).saturating_sub(before).as_secs_f64()
    }

    /// Unix seconds at `instant`.
    pub(crate) fn unix_seconds(&self, instant: Instant) -> f64 {
        match instant.checked_duration_since(self.instant) {
            Some(after) => (self.unix + after).as_secs_f64(),
            None => (self.unix.saturating_sub(self.instant - instant)).as_secs_f64(),
        }
    }

    /// Unix time at which the clock was read.
    pub(crate) fn start(&self) -> Duration {
        self.unix
    }
}

/// What all clocks say at one moment, each from its own beginning.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// Runs on while the process is stopped, and stands while the machine is suspended.
    monotonic: Duration,
    /// Runs on while the machine is suspended too, where the system has such a clock.
    boot: Duration,
    /// Can be set.
    wall: Duration,
}

/// Looks for clocks that jump, which the figures do not notice, since they are taken from the monotonic clock alone.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    last: Option<Reading>,
    told: Vec<String>,
}

/// The gap from which on it is told.
const GAP: Duration = Duration::from_secs(1);
/// More gaps than this say nothing new.
const MOST_GAPS: usize = 20;

impl Gaps {
    /// To be called several times a second.
    pub(crate) fn look(&mut self) {
        let now = Reading::now();
        if let Some(last) = self.last.replace(now)
            && self.told.len() < MOST_GAPS
        {
            self.told.extend(gaps(last, now));
        }
    }

    /// What was found, in words.
    pub(crate) fn into_told(self) -> Vec<String> {
        self.told
    }
}

fn gaps(last: Reading, now: Reading) -> Vec<String> {
    let passed = now.monotonic.saturating_sub(last.monotonic);
    let suspended = now.boot.saturating_sub(last.boot).saturating_sub(passed);
    let mut told = Vec::new();
    if passed > GAP {
        told.push(format!(
            "the whole process stood still for {:.1} s: it was stopped, or the machine had no time for it. Journeys that \
             were under way look as if they had taken so much longer",
            passed.as_secs_f64()
        ));
    }
    if suspended > GAP {
        let seconds = suspended.as_secs_f64();
        told.push(format!("the machine was suspended for {seconds:.1} s: that time is in no figure"));
    }
    let expected = last.wall + passed + suspended;
    let by = now.wall.abs_diff(expected);
    if by > GAP {
        let set = if now.wall > expected { "forward" } else { "back" };
        told.push(format!(
            "the system's clock was set {set} by {:.1} s: figures do not depend on it, and the times in messages go on as if \
             it had not been",
            by.as_secs_f64()
        ));
    }
    told
}

impl Reading {
    #[cfg(target_os = "linux")]
    fn now() -> Self {
        use rustix::time::{ClockId, clock_gettime};
        let read = |clock| {
            let time = clock_gettime(clock);
            Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
        };
        let [monotonic, boot, wall] = [ClockId::Monotonic, ClockId::Boottime, ClockId::Realtime].map(read);
        Self { monotonic, boot, wall }
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Self {
        let monotonic = first_look().elapsed();
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { monotonic, boot: monotonic, wall }
    }
}

/// What the wall clock says, in nanoseconds since 1970.
pub(crate) fn unix_nanos() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock that stands before 1970 tells 1970.
    now.unwrap_or_default().as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Nanoseconds from `origin` to `instant`; 0 when that is before.
pub(crate) fn nanos_since(origin: Instant, instant: Instant) -> u64 {
    // 584 years fit.
    instant.saturating_duration_since(origin).as_nanos() as u64
}

/// A duration as the report's JSON has it: in whole microseconds.
pub(crate) mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.as_micros() as u64)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}

/// A duration as a report tells it, so that it says the same once it has been written and read again: in whole microseconds.
pub(crate) fn whole_micros(duration: Duration) -> Duration {
    Duration::from_micros(duration.as_micros() as u64)
}

/// A Unix time as RFC 3339 in UTC, to the millisecond.
pub(crate) fn rfc3339(unix: Duration) -> String {
    let (days, of_day) = (unix.as_secs() / 86_400, unix.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", unix.subsec_millis())
}

/// The Gregorian date that is so many days after 1970-01-01, by the algorithm `civil_from_days` of Howard Hinnant
/// (<https://howardhinnant.github.io/date_algorithms.html>) for days that are not negative.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            // The last second of a leap day in a year that is divided by 400.
            (951_868_799, "2000-02-29T23:59:59.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_798_761_599, "2026-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn clocks_that_jump_are_told() {
        let reading = |monotonic, boot, wall| {
            let [monotonic, boot, wall] = [monotonic, boot, wall].map(Duration::from_millis);
            Reading { monotonic, boot, wall }
        };
        let last = reading(5_000, 9_000, 1_000_000);
        let after = |monotonic: u64, boot: u64, wall: u64| {
            gaps(last, reading(5_000 + monotonic, 9_000 + boot, 1_000_000 + wall))
        };
        assert_eq!(after(100, 100, 100), [""; 0]);
        // A clock that is off by less than a second has been adjusted as clocks are.
        assert_eq!(after(100, 100, 900), [""; 0]);
        assert!(after(2_000, 2_000, 2_000).concat().starts_with("the whole process stood still for 2.0 s"));
        assert!(after(100, 7_100, 7_100).concat().starts_with("the machine was suspended for 7.0 s"));
        assert!(after(100, 100, 3_600_100).concat().starts_with("the system's clock was set forward by 3600.0 s"));
        let back = gaps(last, reading(5_100, 9_100, 990_000));
        assert!(back.concat().starts_with("the system's clock was set back by 10.1 s"), "{back:?}");
        assert_eq!(after(2_000, 9_000, 20_000).len(), 3);
    }

    #[test]
    fn instants_before_the_clock_was_read_are_before_it() {
        let clock = WallClock::now();
        let before = clock.instant.checked_sub(Duration::from_secs(2)).unwrap();
        assert!((clock.unix.as_secs_f64() - clock.unix_seconds(before) - 2.0).abs() < 1e-3);
    }
}
