//! A connection to NATS as a [`Fabric`]: it hands out the bus, registers and logs.
//! It is separate because it is what names things on the server.

use std::sync::Arc;

use mite_core::bus::{Bus, BusError, Discard, Fabric, Kept, Later, Log, Register, check_name};

use crate::bus::NatsBus;
use crate::jetstream::StreamConfig;
use crate::link::Link;
use crate::log::NatsLog;
use crate::options::Options;
use crate::register::NatsRegister;

/// A connection to a NATS server with JetStream. Its clones are the same connection.
#[derive(Debug, Clone)]
pub struct Nats {
    link: Arc<Link>,
}

impl Nats {
    /// Connects, and checks that the server will do.
    ///
    /// # Errors
    /// [`BusError::is_invalid`] for options that make no sense, a file that cannot be read, a login that the server refuses, a
    /// server that is older than 2.9.10, or one without JetStream; [`BusError::is_disconnected`] for one that is not there.
    /// The message names the URL, and what to do.
    pub async fn connect(options: Options) -> Result<Self, BusError> {
        Ok(Self { link: Arc::new(Link::connect(&options).await?) })
    }

    async fn open_register(&self, name: &str) -> Result<Arc<dyn Register>, BusError> {
        check_name(name)?;
        let bucket = format!("{}_{name}", self.link.prefix);
        let config = StreamConfig {
            max_msgs_per_subject: 1,
            duplicate_window: nanoseconds(std::time::Duration::from_secs(120)),
            ..stream(format!("KV_{bucket}"), format!("$KV.{bucket}.>"))
        };
        self.link.make_stream(&format!("to open the register {name}"), &config).await?;
        Ok(Arc::new(NatsRegister::new(Arc::clone(&self.link), name, &bucket)))
    }

    async fn open_log(&self, name: &str, kept: Kept) -> Result<Arc<dyn Log>, BusError> {
        check_name(name)?;
        kept.check()?;
        let prefix = &self.link.prefix;
        let config = StreamConfig {
            max_bytes: kept.most_bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            max_age: kept.age.map_or(0, nanoseconds),
            discard: match kept.discard {
                Discard::New => "new".to_owned(),
                Discard::Old => "old".to_owned(),
            },
            duplicate_window: nanoseconds(kept.dedupe),
            ..stream(format!("{prefix}_{name}"), format!("{prefix}_log.{name}.>"))
        };
        let info = self.link.make_stream(&format!("to open the log {name}"), &config).await?;
        Ok(Arc::new(NatsLog::new(Arc::clone(&self.link), name, info.created)))
    }
}

impl Fabric for Nats {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(NatsBus::new(Arc::clone(&self.link)))
    }

    fn register(&self, name: &str) -> Later<'_, Arc<dyn Register>> {
        let name = name.to_owned();
        Box::pin(async move { self.open_register(&name).await })
    }

    fn delete_register(&self, name: &str) -> Later<'_, ()> {
        let name = name.to_owned();
        Box::pin(async move {
            check_name(&name)?;
            let stream = format!("KV_{}_{name}", self.link.prefix);
            self.link.delete_stream(&format!("to delete the register {name}"), &stream).await
        })
    }

    fn log(&self, name: &str, kept: Kept) -> Later<'_, Arc<dyn Log>> {
        let name = name.to_owned();
        Box::pin(async move { self.open_log(&name, kept).await })
    }

    fn delete_log(&self, name: &str) -> Later<'_, ()> {
        let name = name.to_owned();
        Box::pin(async move {
            check_name(&name)?;
            let stream = format!("{}_{name}", self.link.prefix);
            self.link.delete_stream(&format!("to delete the log {name}"), &stream).await
        })
    }

    fn description(&self) -> String {
        self.link.description()
    }
}

/// What all streams of mite have.
fn stream(name: String, subject: String) -> StreamConfig {
    StreamConfig {
        name,
        subjects: vec![subject],
        retention: "limits".to_owned(),
        max_consumers: -1,
        max_msgs: -1,
        max_bytes: -1,
        max_age: 0,
        max_msgs_per_subject: -1,
        discard: "new".to_owned(),
        storage: "file".to_owned(),
        num_replicas: 1,
        duplicate_window: 0,
        deny_delete: true,
        allow_direct: false,
    }
}

/// At most a hundred years, as [`Kept::check`] has it.
fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
