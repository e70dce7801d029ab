//! What the parts of a run that is spread over processes say to each other: messages, a register and logs.
//!
//! Three small traits, so that nothing else of mite knows what carries them. [`Local`] is their form within one process;
//! the crate `mite-nats` is their form on a NATS server with JetStream. All three are handed out by a [`Fabric`]:
//!
//! | trait | what it is | what may be relied on |
//! |---|---|---|
//! | [`Bus`] | messages by subject, and requests | nothing: what is published may be lost; a request is answered or fails |
//! | [`Register`] | values by key, compared and swapped | a write that succeeded is seen by each read that begins after it |
//! | [`Log`] | items appended under an id, in order, read by number | an item whose append succeeded is there, once |
//!
//! Names are made of tokens that are joined by dots: `run7.heartbeat.3`. A token has letters, digits, `-`, `_`, `=` and `/`
//! of ASCII. In a *pattern* `*` stands for one token, and `>` as the last one for one or more of them.
//!
//! What these traits return is boxed ([`Later`]), so that they can be used as `dyn`. A future that is dropped before it is
//! done gives up waiting; what was asked for may still happen.
//!
//! ```
//! use std::time::Duration;
//!
//! use mite_core::bus::{BusError, Fabric, Local};
//!
//! async fn greet(fabric: &dyn Fabric) -> Result<Vec<u8>, BusError> {
//!     let bus = fabric.bus();
//!     let mut greetings = bus.subscribe("greet.*").await?;
//!     let (answer, asked) = tokio::join!(bus.request("greet.ada", b"hello".to_vec(), Duration::from_secs(1)), async {
//!         let greeting = greetings.next().await?.expect("the bus is there");
//!         assert_eq!(greeting.subject(), "greet.ada");
//!         greeting.respond(b"hello yourself".to_vec()).await
//!     });
//!     asked?;
//!     answer
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! let answer = runtime.block_on(greet(&Local::new())).unwrap();
//! assert_eq!(answer, b"hello yourself");
//! ```

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod error;
mod local;
mod log;
mod messages;
mod register;
mod subject;

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

pub use error::BusError;
pub use local::Local;
pub use log::{Discard, Item, Kept, Log, Reader, check_id};
pub use messages::{Bus, Delivery, Respond, Subscription};
pub use register::{Entry, Register, Watch};
pub use subject::{check_name, check_pattern, check_subject, matches};

/// What is there later, or an error: the future that each of the traits' methods returns.
///
/// It does nothing until it is awaited.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, BusError>> + Send + 'a>>;

/// Where a bus, registers and logs come from: one process's connection to what carries them.
///
/// ```
/// use mite_core::bus::{BusError, Fabric, Local};
///
/// async fn take_the_lead(fabric: &dyn Fabric, me: &str) -> Result<bool, BusError> {
///     let register = fabric.register("run7").await?;
///     match register.set_if("leader", None, me.into()).await {
///         Ok(_) => Ok(true),
///         Err(error) if error.is_conflict() => Ok(false),
///         Err(error) => Err(error),
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// let fabric = Local::new();
/// assert!(take_the_lead(&fabric, "ada").await.unwrap());
/// assert!(!take_the_lead(&fabric, "grace").await.unwrap());
/// # });
/// ```
pub trait Fabric: Debug + Send + Sync + 'static {
    /// Messages and requests.
    fn bus(&self) -> Arc<dyn Bus>;

    /// The register of a name, which is made where it is not there.
    ///
    /// # Errors
    /// A name that is none ([`check_name`]), or no connection.
    fn register(&self, name: &str) -> Later<'_, Arc<dyn Register>>;

    /// Deletes a register with all that is in it; one that is not there is no error. Whoever still holds it has errors from it.
    ///
    /// # Errors
    /// As [`Fabric::register`].
    fn delete_register(&self, name: &str) -> Later<'_, ()>;

    /// The log of a name, which is made where it is not there.
    ///
    /// # Errors
    /// A name that is none ([`check_name`]), a `kept` that makes no sense ([`Kept::check`]) or is not that of the log that is
    /// there ([`BusError::is_invalid`]), or no connection.
    fn log(&self, name: &str, kept: Kept) -> Later<'_, Arc<dyn Log>>;

    /// Deletes a log with all that is in it; one that is not there is no error. Whoever still holds it has errors from it.
    ///
    /// # Errors
    /// As [`Fabric::register`].
    fn delete_log(&self, name: &str) -> Later<'_, ()>;

    /// What is connected to, for errors and reports: `nats://127.0.0.1:4222 (nats-server 2.9.10)`.
    fn description(&self) -> String;
}
