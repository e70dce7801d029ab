//! Where messages go: the trait of all receivers, and what each of them may ask for.
//!
//! Each sink has a thread and a bounded queue of its own, so that a slow disk or a slow dashboard never holds a worker's thread.

pub(crate) mod outbox;
pub(crate) mod queue;

use std::error::Error as StdError;

use crate::live_figures::LiveFigures;
use crate::message::Message;
use crate::snapshot::Snapshot;

/// What a sink fails with.
pub type SinkError = Box<dyn StdError + Send + Sync>;

/// The types of messages that a sink takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wants {
    /// Every message.
    Everything,
    /// Messages of these types: `Wants::Types(&["txn"])`; without any, it takes none.
    Types(&'static [&'static str]),
}

impl Wants {
    fn includes(&self, kind: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Types(types) => types.contains(&kind),
        }
    }

    /// Whether this type is one that it is there for.
    fn names(&self, kind: &str) -> bool {
        matches!(self, Self::Types(types) if types.contains(&kind))
    }
}

/// What becomes of messages for a sink that does not keep up, once about 10 MB for each worker wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Journeys wait: with each message that they send, and at the end of each transaction. What they wait is taken out of their
    /// times, and no message is lost.
    Wait,
    /// Messages are dropped, and counted in the report: the load is never slowed by who watches it.
    Drop,
}

/// Receives the messages of a run, each whole and in the order in which its worker sent it, and its figures.
///
/// A sink runs on a thread of its own and may block. [`Recorder`](crate::Recorder) and [`Collector`](crate::Collector) are sinks.
///
/// One that fails or panics gets nothing more. It is named in the log at once, and in the report with the messages that it did not
/// take, and the run goes on without it, unless it is [essential](Sink::is_essential).
///
/// ```
/// use mite_core::{Message, Sink, SinkError, Wants};
///
/// /// Counts failed transactions.
/// struct Failures(u64);
///
/// impl Sink for Failures {
///     fn name(&self) -> &str {
///         "failures"
///     }
///
///     fn wants(&self) -> Wants {
///         Wants::Types(&["txn"])
///     }
///
///     fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
///         self.0 += u64::from(message.get("had_error")? == Some(true));
///         Ok(())
///     }
/// }
/// ```
pub trait Sink: Send + 'static {
    /// What errors, threads and the report name it by.
    fn name(&self) -> &str;

    /// Which messages it takes: asked once, before the run. A message that no sink and no [metric](crate::stats) wants
    /// is not even packed.
    fn wants(&self) -> Wants;

    /// What becomes of messages that it has no room for: asked once, before the run.
    fn when_full(&self) -> WhenFull {
        WhenFull::Drop
    }

    /// Whether the run ends with this sink's error rather than going on without it: asked once, before the run.
    fn is_essential(&self) -> bool {
        false
    }

    /// Whether it is told the run's figures once a second: asked once, before the run.
    fn wants_snapshots(&self) -> bool {
        false
    }

    /// Makes ready, before anything of the run has started. `live` gives the run's figures whenever they are asked for.
    ///
    /// # Errors
    /// The run is refused.
    fn open(&mut self, live: &LiveFigures) -> Result<(), SinkError> {
        let _ = live;
        Ok(())
    }

    /// Takes one message. Unless this is written anew, it is packed and handed to [`Sink::bytes`].
    ///
    /// # Errors
    /// This sink gets no more messages; the run ends if it is essential.
    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        let mut packed = Vec::new();
        message.pack(&mut packed);
        self.bytes(&packed)
    }

    /// Takes one message as the bytes of a MessagePack map: for who hands it on as it is.
    ///
    /// # Errors
    /// As for [`Sink::message`].
    fn bytes(&mut self, packed: &[u8]) -> Result<(), SinkError> {
        let _ = packed;
        Ok(())
    }

    /// Takes the run's figures: those of a whole second, about a quarter of a second after it, and those of the whole run at its
    /// end. Figures that come while it is busy are left out for later ones.
    ///
    /// # Errors
    /// As for [`Sink::message`].
    fn snapshot(&mut self, figures: &Snapshot) -> Result<(), SinkError> {
        let _ = figures;
        Ok(())
    }

    /// Called after each batch of messages, which is up to some hundreds, or what came in some milliseconds: the time to hand on
    /// what is buffered. Messages before it count as taken when it returns.
    ///
    /// # Errors
    /// As for [`Sink::message`].
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Called once a second, and before the end: the time to make durable what was taken.
    ///
    /// # Errors
    /// As for [`Sink::message`].
    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Called once, after all messages and figures. The run's report waits for its return.
    ///
    /// # Errors
    /// As for [`Sink::message`].
    fn end(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A boxed sink is one too, so that sinks of all types can be kept together.
impl Sink for Box<dyn Sink> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn wants(&self) -> Wants {
        (**self).wants()
    }

    fn when_full(&self) -> WhenFull {
        (**self).when_full()
    }

    fn is_essential(&self) -> bool {
        (**self).is_essential()
    }

    fn wants_snapshots(&self) -> bool {
        (**self).wants_snapshots()
    }

    fn open(&mut self, live: &LiveFigures) -> Result<(), SinkError> {
        (**self).open(live)
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        (**self).message(message)
    }

    fn bytes(&mut self, packed: &[u8]) -> Result<(), SinkError> {
        (**self).bytes(packed)
    }

    fn snapshot(&mut self, figures: &Snapshot) -> Result<(), SinkError> {
        (**self).snapshot(figures)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        (**self).flush()
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        (**self).sync()
    }

    fn end(&mut self) -> Result<(), SinkError> {
        (**self).end()
    }
}
