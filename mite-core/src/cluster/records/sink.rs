//! The sink of a runner in a cluster that takes what its journeys record, in the recorder's place.
//!
//! It is apart from who appends its batches, since it is called as any sink is, and waits where a recorder waits for its disk.

use std::io;
use std::sync::{Arc, OnceLock};

use super::appender::{Appender, Failed, Manner};
use super::batch::{Batch, MOST_RECORD_BYTES, Producer};
use super::log_name;
use crate::bus::{BusError, Fabric};
use crate::message::Message;
use crate::recorder::{NAME, NameError, Record, RecorderError, WANTS, check_name, record};
use crate::sink::{Sink, SinkError, Wants, WhenFull};

/// What a [`RecordSink`] fails with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RecordSinkError {
    /// A message that is no record.
    #[error(transparent)]
    Message(#[from] RecorderError),
    /// A record that is too large to be handed on.
    #[error("a record of {name:?} has {bytes} bytes, and in a cluster one has at most {MOST_RECORD_BYTES}")]
    TooLarge { name: String, bytes: usize },
    /// The run has not begun.
    #[error("nothing can be recorded before the run is known to the cluster")]
    NoRun,
    /// No thread could be started.
    #[error("failed to start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The log takes nothing more.
    #[error("{records} records were not handed on, since the log of the run's records takes no more: {source}")]
    Log { records: u64, source: Arc<BusError> },
}

impl From<NameError> for RecordSinkError {
    fn from(error: NameError) -> Self {
        Self::Message(error.into())
    }
}

/// Which log it is. A controller has sinks before it knows what its run is called.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    run: Arc<OnceLock<String>>,
    /// The name of the log of a run.
    log_of: fn(&str) -> String,
}

impl Destination {
    pub(super) fn new(run: Arc<OnceLock<String>>, log_of: fn(&str) -> String) -> Self {
        Self { run, log_of }
    }
}

/// Hands what journeys record to the run's log, from which a [`LogRecorder`](super::log_recorder::LogRecorder) takes it.
///
/// While the log takes nothing, because there is no connection or it is full, this waits, and with it journeys that record: nothing is
/// dropped. `sync` and `end` return once all is acknowledged. A `rid` and a `boot` are those of one sink only.
#[derive(Debug)]
pub(crate) struct RecordSink {
    fabric: Arc<dyn Fabric>,
    to: Destination,
    producer: Producer,
    how: Manner,
    batch: Batch,
    /// There once something was recorded.
    appender: Option<Appender>,
}

impl RecordSink {
    /// For a process of the run that `run` says, or will say before anything is recorded; `rid` is 0 for its controller.
    pub(crate) fn new(fabric: Arc<dyn Fabric>, run: Arc<OnceLock<String>>, rid: u32, boot: u64) -> Self {
        let how = Manner { what: "record", patience: None };
        Self::to_log(fabric, Destination::new(run, log_name), Producer { rid, boot }, how)
    }

    /// One that hands on what it takes to another log.
    pub(super) fn to_log(fabric: Arc<dyn Fabric>, to: Destination, producer: Producer, how: Manner) -> Self {
        Self { fabric, to, producer, how, batch: Batch::default(), appender: None }
    }

    pub(crate) fn take(&mut self, name: &str, record: &Record<'_>) -> Result<(), RecordSinkError> {
        check_name(name)?;
        let bytes = name.len() + if let Record::Created(data) = record { data.len() } else { 0 };
        if bytes > MOST_RECORD_BYTES {
            return Err(RecordSinkError::TooLarge { name: name.to_owned(), bytes });
        }
        if self.batch.is_full_for(bytes) {
            self.push()?;
        }
        self.batch.push(name, record);
        Ok(())
    }

    pub(super) fn push(&mut self) -> Result<(), RecordSinkError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let appender = if let Some(appender) = self.appender.take() {
            appender
        } else {
            let run = self.to.run.get().ok_or(RecordSinkError::NoRun)?;
            let log = (self.to.log_of)(run);
            Appender::start(Arc::clone(&self.fabric), log, self.producer, self.how).map_err(RecordSinkError::Thread)?
        };
        let pushed = appender.push(std::mem::take(&mut self.batch));
        self.appender = Some(appender);
        Ok(pushed?)
    }

    pub(crate) fn drain(&mut self) -> Result<(), RecordSinkError> {
        self.push()?;
        Ok(self.appender.as_ref().map_or(Ok(()), Appender::drain)?)
    }
}

impl From<Failed> for RecordSinkError {
    fn from(Failed { records, source }: Failed) -> Self {
        Self::Log { records, source }
    }
}

impl Sink for RecordSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn wants(&self) -> Wants {
        WANTS
    }

    fn when_full(&self) -> WhenFull {
        WhenFull::Wait
    }

    fn is_essential(&self) -> bool {
        true
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        let (name, record) = record(message)?;
        Ok(self.take(name, &record)?)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(self.push()?)
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(self.drain()?)
    }

    fn end(&mut self) -> Result<(), SinkError> {
        self.drain()?;
        self.appender = None;
        Ok(())
    }
}
