#![doc = "core"]
pub mod config; pub mod error; pub mod histogram; pub mod pack; pub mod volume; pub mod schedule;
mod scan; mod names; mod message; mod datapool; mod sink; mod recorder; mod recorded;
pub use config::{Config, ConfigError}; pub use error::{Error, Result}; pub use histogram::Histogram; pub use volume::Volume;
pub use datapool::*; pub use message::*; pub use sink::*; pub use recorder::*; pub use recorded::*;
