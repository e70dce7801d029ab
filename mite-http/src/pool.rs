//! The idle connections of a worker, by origin, the last used first.
//! It is separate because it alone decides how long a connection lives unused, and that a dead one is never handed out.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use crate::{keep_alive::KeepAlive, transport::Connection};

/// How long a connection is kept unused.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How late a worker that is short of CPU is taken to be in reading a response.
const MAX_LATE: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// What is known of one server, and the idle connections to it.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// The longest idle is first, to within [`MAX_LATE`].
    idle: RefCell<Vec<Idle>>,
    keep_alive: RefCell<KeepAlive>,
}

impl Origin {
    /// A connection that was open a moment ago, and for how long it has been idle. Those that turn out to be closed, or
    /// are about to be, are dropped.
    pub(crate) fn take(&self) -> Option<(Connection, Duration)> {
        let mut idle = self.idle.borrow_mut();
        let mut keep_alive = self.keep_alive.borrow_mut();
        let now = Instant::now();
        while let Some(Idle { mut connection, since }) = idle.pop() {
            let age = now.saturating_duration_since(since);
            if !connection.is_alive() {
                keep_alive.closed(age);
            } else if keep_alive.relies_on(age, now) {
                return Some((connection, age));
            }
        }
        None
    }

    /// Remembers that the server closed a connection which had been idle for `age`, when it was used again.
    pub(crate) fn closed(&self, age: Duration) {
        self.keep_alive.borrow_mut().closed(age);
    }

    /// Closes what has been idle for as long as `timeout` by `now`; answers since when the longest idle of the others is.
    fn close_expired(&self, timeout: Duration, now: Instant) -> Option<Instant> {
        let mut idle = self.idle.borrow_mut();
        let expired = idle.partition_point(|idle| now.duration_since(idle.since) >= timeout);
        idle.drain(..expired);
        idle.first().map(|oldest| oldest.since)
    }
}

/// The idle connections of one worker.
#[derive(Debug)]
pub(crate) struct Pool {
    /// By `scheme://host:port`.
    origins: RefCell<HashMap<Box<str>, Rc<Origin>>>,
    idle_timeout: Duration,
    sweeping: Cell<bool>,
}

impl Pool {
    pub(crate) fn new() -> Rc<Self> {
        Self::with_idle_timeout(IDLE_TIMEOUT)
    }

    pub(crate) fn with_idle_timeout(idle_timeout: Duration) -> Rc<Self> {
        Rc::new(Self { origins: RefCell::default(), idle_timeout, sweeping: Cell::new(false) })
    }

    /// The server at `origin`.
    pub(crate) fn origin(&self, origin: &str) -> Rc<Origin> {
        let mut origins = self.origins.borrow_mut();
        match origins.get(origin) {
            Some(known) => Rc::clone(known),
            None => Rc::clone(origins.entry(origin.into()).or_default()),
        }
    }

    /// Keeps `connection` for the next request to its origin.
    pub(crate) fn put(self: &Rc<Self>, origin: &Origin, connection: Connection) {
        let since = idle_since(connection.sent(), Instant::now());
        origin.idle.borrow_mut().push(Idle { connection, since });
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(Self::sweep(Rc::downgrade(self), self.idle_timeout));
        }
    }

    /// Closes connections when their time has come, and ends when none is left: an idle worker has no timer.
    async fn sweep(pool: Weak<Self>, mut pause: Duration) {
        loop {
            tokio::time::sleep(pause).await;
            let Some(pool) = pool.upgrade() else { return };
            let Some(next) = pool.close_expired(Instant::now()) else {
                pool.sweeping.set(false);
                return;
            };
            pause = next;
        }
    }

    /// Closes what has been idle for too long by `now`; answers how long it is until the next one will have been, or
    /// `None` if the pool is empty.
    fn close_expired(&self, now: Instant) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        self.origins.borrow_mut().retain(|_, origin| {
            let oldest = origin.close_expired(self.idle_timeout, now);
            if let Some(since) = oldest {
                let left = self.idle_timeout.saturating_sub(now.duration_since(since));
                next = Some(next.map_or(left, |next| next.min(left)));
            }
            // A request that is under way brings its connection back to the origin that it holds.
            oldest.is_some() || origin.keep_alive.borrow().is_known() || Rc::strong_count(origin) > 1
        });
        next
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.origins.borrow().values().map(|origin| origin.idle.borrow().len()).sum()
    }

    #[cfg(test)]
    pub(crate) fn is_sweeping(&self) -> bool {
        self.sweeping.get()
    }
}

/// From when a connection counts as idle whose response has been read by `now`. The server counts from when it wrote the
/// response, which is earlier by as much as this worker is late, but not earlier than the request was `sent`.
fn idle_since(sent: Option<Instant>, now: Instant) -> Instant {
    let late = sent.map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent));
    now.checked_sub(late.min(MAX_LATE)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_idle_from_when_its_response_may_have_been_written() {
        const fn ms(ms: u64) -> Duration {
            Duration::from_millis(ms)
        }
        let now = Instant::now() + Duration::from_secs(60);
        let table = [
            // Sent so long ago, idle for.
            (None, ms(0)),
            (Some(ms(0)), ms(0)),
            (Some(ms(7)), ms(7)),
            // Then it is the server that took its time.
            (Some(ms(5_000)), ms(100)),
        ];
        for (sent, idle) in table {
            let since = idle_since(sent.and_then(|ago| now.checked_sub(ago)), now);
            assert_eq!(now - since, idle, "sent {sent:?} ago");
        }
    }
}
