//! All messages of a run on their way from its runners to who collects them elsewhere: through a log of their own.
//!
//! They are apart from what is recorded, which is never dropped: who collects only watches, and the load does not wait for that.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::appender::Manner;
use super::batch::{MOST_RECORD_BYTES, Producer, Unreadable, unpack};
use super::sink::{Destination, RecordSink};
use crate::bus::{BusError, Fabric, Item, Log};
use crate::message::{self, Batch};
use crate::names::NameCache;
use crate::recorder::Record;
use crate::sink::queue::{SinkGone, SinkQueue};
use crate::sink::{Sink, SinkError, Wants};

/// How long a runner tries to hand on a message before it gives up all of them.
const PATIENCE: Duration = Duration::from_secs(60);
/// The name that they have in batches.
const NAME: &str = "messages";
/// How many batches are taken before the log forgets them.
const PURGE_EVERY: u64 = 64;

/// The name of the log of a run's messages.
pub(crate) fn messages_log(run: &str) -> String {
    format!("{run}_messages")
}

/// Hands all messages of a runner to the run's log of them. While that takes nothing, messages are dropped, and counted.
#[derive(Debug)]
pub(crate) struct MessageSink {
    log: RecordSink,
    too_large: u64,
}

impl MessageSink {
    /// As [`RecordSink::new`].
    pub(crate) fn new(fabric: Arc<dyn Fabric>, run: Arc<OnceLock<String>>, rid: u32, boot: u64) -> Self {
        let how = Manner { what: "send to the collector", patience: Some(PATIENCE) };
        let log = RecordSink::to_log(fabric, Destination::new(run, messages_log), Producer { rid, boot }, how);
        Self { log, too_large: 0 }
    }
}

impl Sink for MessageSink {
    fn name(&self) -> &'static str {
        "cluster's collector"
    }

    fn wants(&self) -> Wants {
        Wants::Everything
    }

    fn bytes(&mut self, packed: &[u8]) -> Result<(), SinkError> {
        if packed.len() + NAME.len() > MOST_RECORD_BYTES {
            self.too_large += 1;
            return Ok(());
        }
        Ok(self.log.take(NAME, &Record::Created(packed))?)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(self.log.push()?)
    }

    fn end(&mut self) -> Result<(), SinkError> {
        self.log.drain()?;
        match self.too_large {
            0 => Ok(()),
            some => Err(format!("{some} messages had more than {MOST_RECORD_BYTES} bytes and were left out").into()),
        }
    }
}

/// Why messages cannot be handed to sinks any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error("failed to read the log of the run's messages: {0}")]
    Log(#[from] BusError),
    #[error("item {0} of the log of the run's messages cannot be read: {1}")]
    Unreadable(u64, Unreadable),
    #[error(transparent)]
    Sink(#[from] SinkGone),
}

/// Hands messages from the log to sinks of this process.
pub(crate) struct Relay {
    log: Arc<dyn Log>,
    queues: Vec<SinkQueue>,
    names: NameCache,
    /// For each sink how many messages were meant for it.
    sent: Vec<u64>,
    taken: u64,
    purged: u64,
}

impl Relay {
    pub(crate) fn new(log: Arc<dyn Log>, queues: Vec<SinkQueue>, names: NameCache) -> Self {
        let sent = vec![0; queues.len()];
        Self { log, queues, names, sent, taken: 0, purged: 0 }
    }

    /// Hands over all messages until the one is taken that `last` says is the last.
    ///
    /// # Errors
    /// The log or an essential sink cannot be used any more.
    pub(crate) async fn run(mut self, last: impl Future<Output = u64>) -> Result<Vec<u64>, RelayError> {
        let mut last = std::pin::pin!(last);
        let mut until = None;
        let mut reader = self.log.read(super::LANE, 0).await?;
        while until.is_none_or(|until| self.taken < until) {
            tokio::select! {
                biased;
                item = reader.next() => self.take(&item?).await?,
                told = &mut last, if until.is_none() => until = Some(told),
            }
        }
        self.purge().await;
        Ok(self.sent)
    }

    async fn take(&mut self, item: &Item) -> Result<(), RelayError> {
        let unreadable = |why| RelayError::Unreadable(item.sequence, why);
        let records = unpack(&item.payload).map_err(unreadable)?;
        let mut batches: Vec<Batch> = self.queues.iter().map(|_| Batch::default()).collect();
        for (_, record) in records {
            let Record::Created(packed) = record else { continue };
            let read = message::unpack(packed, &mut self.names);
            let (head, own) = read.ok_or_else(|| unreadable(Unreadable("it has what is no message")))?;
            let kind = self.names.kind_name(head.kind);
            for ((queue, batch), sent) in self.queues.iter().zip(&mut batches).zip(&mut self.sent) {
                if queue.wants(&kind) {
                    batch.push(head, own);
                    *sent += 1;
                }
            }
        }
        for (queue, batch) in self.queues.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
            queue.send(batch).await?;
        }
        self.taken = item.sequence;
        if self.taken - self.purged >= PURGE_EVERY {
            self.purge().await;
        }
        Ok(())
    }

    /// Lets the log forget what was taken; what it does not do now it does the next time.
    async fn purge(&mut self) {
        match self.log.purge_to(self.taken).await {
            Ok(()) => self.purged = self.taken,
            Err(error) => tracing::debug!("the log of messages keeps what was taken for now: {error}"),
        }
    }
}
