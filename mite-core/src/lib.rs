#![doc = "core"]
pub mod config; pub mod error; pub mod histogram; pub mod pack; pub mod volume; pub mod schedule;
pub use config::{Config, ConfigError}; pub use error::{Error, Result}; pub use histogram::Histogram; pub use volume::Volume;
