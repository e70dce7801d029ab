//! How a session comes by its connections, as settings.
//!
//! It is apart from the other settings, since it decides nothing about a request.

use std::{num::NonZeroU32, time::Duration};

use super::Settings;
use crate::policy::Connections;

impl Settings {
    /// Who shares connections with whom. Unless told otherwise, all sessions of a worker share them.
    ///
    /// # Examples
    ///
    /// A user who comes for the first time, with a browser that opens six connections to a server at the most:
    ///
    /// ```
    /// use mite_http::{Connections, Settings};
    ///
    /// let settings = Settings::new().connections(Connections::PerJourney).max_connections_per_origin(6);
    /// # let _ = settings;
    /// ```
    pub fn connections(mut self, connections: Connections) -> Self {
        self.policy.connections = connections;
        self
    }

    /// How many connections there may be to one origin (scheme, host and port) at the same time: of one worker, or of one
    /// journey that has its own. From 1; no limit unless told otherwise.
    ///
    /// A request for which there is none waits, the first come first served, and its time counts the wait. Over HTTP/2 many
    /// requests share a connection: another one is opened when the server takes no more on those that there are.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().max_connections_per_origin(6);
    /// ```
    pub fn max_connections_per_origin(mut self, most: u32) -> Self {
        match NonZeroU32::new(most) {
            Some(most) => self.policy.most_per_origin = Some(most),
            None => self.mistaken("max_connections_per_origin is 0: no request could be sent"),
        }
        self
    }

    /// After how many requests a connection is closed, as many servers and balancers do. From 1; no limit unless told
    /// otherwise.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().max_requests_per_connection(100);
    /// ```
    pub fn max_requests_per_connection(mut self, most: u32) -> Self {
        match NonZeroU32::new(most) {
            Some(most) => self.policy.most_requests = Some(most),
            None => self.mistaken("max_requests_per_connection is 0: no request could be sent"),
        }
        self
    }

    /// How long a connection is kept unused before it is closed. 90 s unless told otherwise.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// use std::time::Duration;
    ///
    /// let settings = Settings::new().idle_timeout(Duration::from_secs(30));
    /// ```
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.policy.idle_timeout = timeout;
        self
    }

    fn mistaken(&mut self, mistake: &str) {
        self.mistake.get_or_insert_with(|| format!("the session's settings: {mistake}"));
    }
}
