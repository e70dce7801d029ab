//! The bus: messages that may be lost, and requests that are answered or fail.
//! It is apart from the register and the log, which may be relied on.

use std::fmt::{self, Debug};
use std::time::Duration;

use super::{BusError, Later};

/// Messages by subject, at most once each, and requests.
///
/// Nothing that is published can be relied on: what must arrive goes into a [`Log`](super::Log), and what must be known into
/// a [`Register`](super::Register).
pub trait Bus: Debug + Send + Sync + 'static {
    /// Sends a message to whoever has subscribed to a pattern that its subject is one of.
    ///
    /// That it succeeded says only that it was handed over.
    ///
    /// ```
    /// # use mite_core::bus::{Bus, BusError};
    /// async fn heartbeat(bus: &dyn Bus) -> Result<(), BusError> {
    ///     bus.publish("run7.heartbeat.3", b"alive".to_vec()).await
    /// }
    /// # use mite_core::bus::{Fabric, Local};
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// # runtime.block_on(heartbeat(&*Local::new().bus())).unwrap();
    /// ```
    ///
    /// # Errors
    /// A subject that is none, a payload that is too large for what carries it, or no connection.
    fn publish(&self, subject: &str, payload: Vec<u8>) -> Later<'_, ()>;

    /// Listens to all subjects that a pattern is about.
    ///
    /// Once it is there, what anybody publishes is delivered to it, as far as it can be.
    ///
    /// # Errors
    /// A pattern that is none, or no connection.
    fn subscribe(&self, pattern: &str) -> Later<'_, Box<dyn Subscription>>;

    /// Sends a message, and waits for the first answer to it.
    ///
    /// # Errors
    /// [`BusError::nobody_answers`] at once when nobody has subscribed, [`BusError::is_timeout`] when there is no answer
    /// `within` that time, [`BusError::is_disconnected`] when the connection breaks meanwhile or was not there in that time,
    /// and as [`Bus::publish`].
    fn request(&self, subject: &str, payload: Vec<u8>, within: Duration) -> Later<'_, Vec<u8>>;
}

/// What somebody has subscribed to. It ends when it is dropped.
pub trait Subscription: Debug + Send {
    /// The next message; none once there will be no more, because the connection was closed for good.
    ///
    /// Messages that nobody takes are kept up to a number (65 536), and then dropped. A future of it that is dropped loses none.
    ///
    /// # Errors
    /// What carries the messages has failed.
    fn next(&mut self) -> Later<'_, Option<Delivery>>;
}

/// What a bus does with an answer. For those who bring another form of it.
pub trait Respond: Send {
    /// Sends the answer.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    fn respond(self: Box<Self>, payload: Vec<u8>) -> Later<'static, ()>;
}

/// A message, as it is delivered.
pub struct Delivery {
    subject: String,
    payload: Vec<u8>,
    respond: Option<Box<dyn Respond>>,
}

impl Delivery {
    /// A message; with where its answer goes to if it is a request. For those who bring another form of the bus.
    pub fn new(subject: String, payload: Vec<u8>, respond: Option<Box<dyn Respond>>) -> Self {
        Self { subject, payload, respond }
    }

    /// What it was published on.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What was published.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What was published, to keep.
    pub fn into_payload(self) -> Vec<u8> {
        self.payload
    }

    /// Whether it was sent by [`Bus::request`], so that there is somebody who waits.
    pub fn is_request(&self) -> bool {
        self.respond.is_some()
    }

    /// Answers a request. An answer may be lost as any message may.
    ///
    /// # Errors
    /// It was published rather than asked ([`BusError::is_invalid`]), and as [`Bus::publish`].
    pub fn respond(self, payload: Vec<u8>) -> Later<'static, ()> {
        match self.respond {
            Some(respond) => respond.respond(payload),
            None => Box::pin(std::future::ready(Err(BusError::invalid(format_args!(
                "what came on {} was published, and nobody waits for an answer",
                self.subject
            ))))),
        }
    }
}

impl Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("subject", &self.subject)
            .field("bytes", &self.payload.len())
            .field("is_request", &self.is_request())
            .finish_non_exhaustive()
    }
}
