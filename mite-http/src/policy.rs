//! How a session's requests come by their connections: plain settings, compared and copied.
//! It is separate from the pool because sessions with different policies must not share one.

use std::{num::NonZeroU32, time::Duration};

/// How long a connection is kept unused, unless told otherwise.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Who shares connections with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connections {
    /// All sessions of a worker, as the requests of one service to another do: connections are kept open between journeys.
    #[default]
    Shared,
    /// Each journey has its own, as a browser has: a new user resolves, connects and shakes hands anew, and everything is
    /// closed when the journey ends.
    PerJourney,
    /// Each request has its own, which is closed after it; over HTTP/1.1 the server is told so by `Connection: close`.
    PerRequest,
}

/// The policy of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) connections: Connections,
    /// Connections to one origin at the same time.
    pub(crate) most_per_origin: Option<NonZeroU32>,
    /// Requests over one connection before it is closed.
    pub(crate) most_requests: Option<NonZeroU32>,
    pub(crate) idle_timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            connections: Connections::default(),
            most_per_origin: None,
            most_requests: None,
            idle_timeout: IDLE_TIMEOUT,
        }
    }
}

impl Policy {
    pub(crate) fn seats(&self) -> usize {
        self.most_per_origin.map_or(usize::MAX, |most| most.get() as usize)
    }

    /// Whether a connection that has served so many requests may serve another.
    pub(crate) fn allows_another(&self, served: u32) -> bool {
        self.connections != Connections::PerRequest && self.most_requests.is_none_or(|most| served < most.get())
    }
}
