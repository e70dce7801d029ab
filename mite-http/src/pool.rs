//! The connections of a worker, or of one journey, by origin.
//! It is separate because it alone decides when an unused connection is closed.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use http::Version;
use rustc_hash::FxHashMap;
use tokio::task::AbortHandle;

use crate::{origin::Origin, policy::Policy, transport::Connection};

/// The connections that some sessions share.
#[derive(Debug)]
pub(crate) struct Pool {
    policy: Policy,
    /// By `scheme://host:port`.
    origins: RefCell<FxHashMap<Box<str>, Rc<Origin>>>,
    sweeping: Cell<bool>,
    sweeper: RefCell<Option<AbortHandle>>,
}

impl Pool {
    pub(crate) fn new(policy: Policy) -> Rc<Self> {
        Rc::new(Self { policy, origins: RefCell::default(), sweeping: Cell::new(false), sweeper: RefCell::default() })
    }

    /// The server at `name`; `version` tells in which version a new one answers, if that is known beforehand.
    pub(crate) fn origin(&self, name: &str, version: impl FnOnce() -> Option<Version>) -> Rc<Origin> {
        let mut origins = self.origins.borrow_mut();
        if let Some(known) = origins.get(name) {
            return Rc::clone(known);
        }
        let origin = Origin::new(self.policy, version());
        origins.insert(name.into(), Rc::clone(&origin));
        origin
    }

    /// Keeps a connection whose request is done `now` for the next one to its origin.
    pub(crate) fn put(self: &Rc<Self>, origin: &Origin, connection: Connection, now: Instant) {
        if origin.keep(connection, now) && !self.sweeping.replace(true) {
            let sweeper = tokio::task::spawn_local(Self::sweep(Rc::downgrade(self), self.policy.idle_timeout));
            *self.sweeper.borrow_mut() = Some(sweeper.abort_handle());
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
        let mut oldest: Option<Instant> = None;
        self.origins.borrow_mut().retain(|_, origin| {
            let since = origin.close_expired(now);
            oldest = oldest.into_iter().chain(since).min();
            // A request that is under way brings its connection back to the origin that it holds.
            since.is_some() || origin.is_in_use()
        });
        oldest.map(|since| self.policy.idle_timeout.saturating_sub(now.saturating_duration_since(since)))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.origins.borrow().values().map(|origin| origin.connections()).sum()
    }

    #[cfg(test)]
    pub(crate) fn is_sweeping(&self) -> bool {
        self.sweeping.get()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Pools of journeys come and go: each would leave a task behind that waits for its idle timeout.
        if let Some(sweeper) = self.sweeper.get_mut().take() {
            sweeper.abort();
        }
    }
}
