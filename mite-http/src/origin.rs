//! One server as a pool sees it: the connections to it, and what its behaviour has taught.
//! It is separate from the pool because a request finds it once, and then chooses its connection here alone.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use http::Version;

use crate::{
    keep_alive::KeepAlive,
    policy::Policy,
    room::{Room, Seat},
    timing::Timings,
    transport::Connection,
};

/// How late a worker that is short of CPU is taken to be in reading a response.
const MAX_LATE: Duration = Duration::from_millis(100);

/// For how long a connection is taken to be open without a look at its socket, which costs 5 % of a plain request. A
/// server that closes without a word does so after its first answer, or when nothing has come for a while; and each look is one
/// moment too early all the same.
const TRUSTED: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
    trusted_until: Instant,
}

impl Idle {
    /// Whether its server may have closed it before `now`, unheard by the runtime.
    fn needs_a_look(&self, now: Instant) -> bool {
        self.connection.served() == 1 || now >= self.trusted_until
    }
}

/// What is known of one server, and the connections to it that may be used.
#[derive(Debug)]
pub(crate) struct Origin {
    policy: Policy,
    /// In which version the server answers, once it is known.
    version: Cell<Option<Version>>,
    /// HTTP/1.1: a connection that carries a request is not here. The longest idle is first, to within [`MAX_LATE`].
    idle: RefCell<Vec<Idle>>,
    /// HTTP/2: those that carry requests are here too.
    #[cfg(feature = "http2")]
    shared: RefCell<Vec<crate::transport::Shared>>,
    /// Whether a connection is being opened that others may be able to share.
    opening: Cell<bool>,
    /// Whether the last one could not be opened: then nobody waits for another's attempt, each request has its own.
    fails: Cell<bool>,
    keep_alive: RefCell<KeepAlive>,
    room: Rc<Room>,
}

/// A request's way to its server.
#[derive(Debug)]
pub(crate) enum Way {
    /// A connection that was open a moment ago, and for how long it has been idle.
    Open(Connection, Duration),
    /// One is to be opened.
    Opening(Opening),
}

impl Origin {
    /// A server that answers in `version`, if that is known beforehand.
    pub(crate) fn new(policy: Policy, version: Option<Version>) -> Rc<Self> {
        Rc::new(Self {
            policy,
            version: Cell::new(version),
            idle: RefCell::default(),
            #[cfg(feature = "http2")]
            shared: RefCell::default(),
            opening: Cell::new(false),
            fails: Cell::new(false),
            keep_alive: RefCell::default(),
            room: Room::new(policy.seats()),
        })
    }

    /// The way for a request, which waits where the policy has no more room.
    pub(crate) async fn way(self: &Rc<Self>, timings: &mut Timings) -> Way {
        if !self.room.has_queue()
            && let Some(way) = self.find(timings.start())
        {
            return way;
        }
        // Boxed, because few requests wait, and all would be as large.
        let way = Box::pin(self.way_in_turn()).await;
        timings.transferring(Instant::now());
        way
    }

    async fn way_in_turn(self: &Rc<Self>) -> Way {
        let mut turn = self.room.wait(None).await;
        loop {
            if let Some(way) = self.find(Instant::now()) {
                return way;
            }
            turn = self.room.wait(Some(turn)).await;
        }
    }

    fn find(self: &Rc<Self>, now: Instant) -> Option<Way> {
        if let Some((connection, age)) = self.idle(now) {
            return Some(Way::Open(connection, age));
        }
        #[cfg(feature = "http2")]
        if let Some(connection) = self.shared() {
            return Some(Way::Open(connection, Duration::ZERO));
        }
        // Where one connection may serve all, or may turn out to, the others wait for it.
        let is_shareable = self.version.get() != Some(Version::HTTP_11) && !self.fails.get();
        if is_shareable && self.opening.get() {
            return None;
        }
        let seat = self.room.seat()?;
        self.opening.set(is_shareable);
        Some(Way::Opening(Opening { origin: Rc::clone(self), seat: Some(seat), is_shareable, is_open: false }))
    }

    /// An idle connection. Those that turn out to be closed, or are about to be, are dropped.
    fn idle(&self, now: Instant) -> Option<(Connection, Duration)> {
        let mut idle = self.idle.borrow_mut();
        let mut keep_alive = self.keep_alive.borrow_mut();
        while let Some(candidate) = idle.pop() {
            let looks = candidate.needs_a_look(now) || keep_alive.is_known();
            let Idle { mut connection, since, .. } = candidate;
            let age = now.saturating_duration_since(since);
            let is_open = if looks { connection.is_alive() } else { connection.is_open() };
            if !is_open {
                keep_alive.closed(age);
            } else if keep_alive.relies_on(age, now) {
                return Some((connection, age));
            }
        }
        None
    }

    /// A place among the streams of a connection. Connections that take no more are dropped, and end with their last stream.
    #[cfg(feature = "http2")]
    fn shared(&self) -> Option<Connection> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|shared| shared.is_open() && self.policy.allows_another(shared.served()));
        shared.iter().find_map(crate::transport::Shared::stream)
    }

    /// Remembers that the server closed a connection which had been idle for `age`, when it was used again.
    pub(crate) fn closed(&self, age: Duration) {
        self.keep_alive.borrow_mut().closed(age);
    }

    /// Keeps a connection whose request is done for the next one, if the policy allows that; answers whether it did.
    pub(crate) fn keep(&self, connection: Connection, now: Instant) -> bool {
        if !self.policy.allows_another(connection.served()) {
            return false;
        }
        // A shared one is kept already, and has one stream less when this is dropped.
        if !connection.is_shared() {
            let since = idle_since(connection.sent(), now);
            self.idle.borrow_mut().push(Idle { connection, since, trusted_until: now + TRUSTED });
            self.room.call_next();
        }
        true
    }

    /// Whether an answer has taught something worth keeping, or somebody waits for a connection.
    pub(crate) fn is_in_use(self: &Rc<Self>) -> bool {
        Rc::strong_count(self) > 1 || self.keep_alive.borrow().is_known()
    }

    /// Closes what has been idle for too long by `now`; answers since when the longest idle of the others is.
    pub(crate) fn close_expired(&self, now: Instant) -> Option<Instant> {
        let timeout = self.policy.idle_timeout;
        let is_expired = |since: Instant| now.saturating_duration_since(since) >= timeout;
        let mut idle = self.idle.borrow_mut();
        let expired = idle.partition_point(|idle| is_expired(idle.since));
        idle.drain(..expired);
        if idle.len() < idle.capacity() / 4 {
            // What a burst has left behind: the room for some thousands of connections.
            let room = 2 * idle.len();
            idle.shrink_to(room);
        }
        let oldest = idle.first().map(|oldest| oldest.since);
        #[cfg(feature = "http2")]
        let oldest = {
            let mut shared = self.shared.borrow_mut();
            shared.retain(|shared| shared.is_open() && !shared.idle_since(now).is_some_and(is_expired));
            // One that is busy now cannot expire earlier than one that has just become idle.
            shared.iter().map(|shared| shared.idle_since(now).unwrap_or(now)).chain(oldest).min()
        };
        oldest
    }

    #[cfg(test)]
    pub(crate) fn connections(&self) -> usize {
        let idle = self.idle.borrow().len();
        #[cfg(feature = "http2")]
        let idle = idle + self.shared.borrow().len();
        idle
    }
}

/// A connection that is being opened. Whoever waits for it is called when this is dropped, whatever came of it.
#[derive(Debug)]
pub(crate) struct Opening {
    origin: Rc<Origin>,
    seat: Option<Seat>,
    is_shareable: bool,
    is_open: bool,
}

impl Opening {
    /// It is open: the connection for the request that opened it.
    pub(crate) fn opened(mut self, mut connection: Connection) -> Connection {
        self.is_open = true;
        connection.sit(self.seat.take());
        self.origin.version.set(Some(connection.version()));
        #[cfg(feature = "http2")]
        if let Some(shared) = connection.shared()
            && self.origin.policy.allows_another(connection.served())
        {
            self.origin.shared.borrow_mut().push(shared);
        }
        connection
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if self.is_shareable {
            self.origin.opening.set(false);
        }
        self.origin.fails.set(!self.is_open);
        self.origin.room.call_next();
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
