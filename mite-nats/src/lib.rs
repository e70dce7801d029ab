//! What the parts of a mite run say to each other, over [NATS](https://nats.io) with JetStream: the form of
//! [`mite_core::bus`] for processes on several machines.
//!
//! ```no_run
//! use mite_core::bus::{BusError, Fabric};
//! use mite_nats::{Nats, Options};
//!
//! async fn volume() -> Result<Option<Vec<u8>>, BusError> {
//!     let nats = Nats::connect(Options::new("nats://10.0.0.7:4222")).await?;
//!     let entry = nats.register("run7").await?.get("volume").await?;
//!     Ok(entry.map(|entry| entry.value))
//! }
//! ```
//!
//! # The server
//!
//! One `nats-server` of version 2.9.10 or newer, started with `-js`. Registers and logs are on its disk, once (replicas: 1):
//! what was acknowledged survives the death of the process, also by `kill -9`, and what it wrote in the last two minutes before a
//! power cut may be lost. A payload is at most the server's `max_payload`, 1 MB where it does not say otherwise.
//!
//! # What is there on the server
//!
//! With the prefix `mite` ([`Options::prefix`]), so that several users can share one:
//!
//! | of mite | on NATS |
//! |---|---|
//! | subject `run7.hello` of the bus | subject `mite.run7.hello` |
//! | register `run7` | key-value bucket `mite_run7`: `nats kv get mite_run7 volume` |
//! | log `run7_records` | stream `mite_run7_records` on `mite_log.run7_records.>`, the lane at the end |
//!
//! A user with restricted permissions needs to publish to `mite.>`, `mite_log.>`, `$KV.>`, `$JS.API.>` and `_INBOX.>`, and
//! to subscribe to `mite.>` and `_INBOX.>`.
//!
//! # When the server is not there
//!
//! A connection that has broken is made again for as long as the [`Nats`] is there, at first at once, then every half
//! second, with some chance in it so that a thousand processes do not come at the same time. One that only looks alive is
//! given up after three seconds. Meanwhile reads and appends wait and are tried again, each within
//! [`Options::request_timeout`]; what must not be done twice (`set_if`, `request`) is not tried again, and fails as
//! soon as the connection breaks. Readers go on where they were.
//!
//! Its tasks run in the runtime in which [`Nats::connect`] was called; it is of no use once that has ended.

mod ahead;
mod bus;
mod jetstream;
mod link;
mod log;
mod nats;
mod options;
mod program;
mod register;
mod tail;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

pub use nats::Nats;
pub use options::Options;
pub use program::program_hash;
