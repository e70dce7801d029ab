//! What has been seen of how long a server keeps idle connections.
//! It is separate because it is pure: ages go in, and whether to rely on a connection comes out.

use std::time::{Duration, Instant};

/// The most that is kept clear of the server's time.
const MAX_MARGIN: Duration = Duration::from_secs(1);

/// How often in a row connections are found open long after their time before it is no longer believed in. Once is not
/// enough, with however many connections at that moment: a server that is short of CPU is late to close all of them.
const DOUBTS: u32 = 16;

/// How long one server keeps connections that nobody uses.
///
/// A connection that the server closes at the moment of its reuse loses the request, and no check before it can prevent
/// that. But most servers close after a fixed time: once it has been seen, connections of about that age are left alone.
#[derive(Debug, Default)]
pub(crate) struct KeepAlive {
    /// The shortest time after which a connection was found closed.
    closed_after: Option<Duration>,
    /// How often some have been found open long after that since the last one that was closed.
    doubts: u32,
    /// When the last doubt arose: the next one does so no earlier than another such time later.
    doubted: Option<Instant>,
}

impl KeepAlive {
    /// A connection that had been idle for `age` was found closed.
    pub(crate) fn closed(&mut self, age: Duration) {
        self.closed_after = Some(self.closed_after.map_or(age, |known| known.min(age)));
        (self.doubts, self.doubted) = (0, None);
    }

    /// Whether to use a connection that has been idle for `age` by `now`, and is open yet.
    pub(crate) fn relies_on(&mut self, age: Duration, now: Instant) -> bool {
        let Some(closed_after) = self.closed_after else {
            return true;
        };
        let is_new = |doubted| now.saturating_duration_since(doubted) >= closed_after;
        if age > closed_after + closed_after / 2 && self.doubted.is_none_or(is_new) {
            self.doubted = Some(now);
            self.doubts += 1;
            if self.doubts >= DOUBTS {
                // Those that were closed had another reason, such as a restart of the server.
                *self = Self::default();
            }
        }
        age + (closed_after / 8).min(MAX_MARGIN) < closed_after
    }

    /// Whether there is anything to remember.
    pub(crate) fn is_known(&self) -> bool {
        self.closed_after.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn connections_of_about_the_servers_age_are_left_alone() {
        let table = [
            // Closed after, asked for, relied on.
            (&[][..], ms(80_000), true),
            (&[ms(50)], ms(43), true),
            (&[ms(50)], ms(44), false),
            (&[ms(50)], ms(55), false),
            // The shortest counts: the others may have been closed long before they were looked at.
            (&[ms(90), ms(50), ms(70)], ms(44), false),
            // A server that keeps its connections for long has no need of a wide margin.
            (&[ms(60_000)], ms(58_999), true),
            (&[ms(60_000)], ms(59_001), false),
        ];
        for (closed, age, relied_on) in table {
            let mut seen = KeepAlive::default();
            for &age in closed {
                seen.closed(age);
            }
            assert_eq!(seen.relies_on(age, Instant::now()), relied_on, "{age:?} after {closed:?}");
        }
    }

    #[test]
    fn a_closing_that_has_another_reason_is_forgotten() {
        let mut seen = KeepAlive::default();
        seen.closed(ms(1));
        let mut now = Instant::now();
        for _ in 0..DOUBTS {
            assert!(!seen.relies_on(ms(2), now));
            now += ms(1);
        }
        assert!(seen.relies_on(ms(2), now) && !seen.is_known());
    }

    #[test]
    fn a_server_that_is_late_at_times_is_not_doubted() {
        let mut seen = KeepAlive::default();
        let mut now = Instant::now();
        for _ in 0..DOUBTS {
            seen.closed(ms(50));
            assert!(!seen.relies_on(ms(80), now));
            now += ms(50);
        }
        assert!(!seen.relies_on(ms(50), now));
    }

    #[test]
    fn many_connections_at_one_moment_are_one_doubt() {
        let mut seen = KeepAlive::default();
        seen.closed(ms(50));
        let now = Instant::now();
        for late in 0..20 * DOUBTS {
            assert!(!seen.relies_on(ms(80), now + ms(u64::from(late / 10))));
        }
        assert!(seen.is_known());
    }
}
