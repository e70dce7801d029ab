//! A sink at work on its own thread, and the bounded queue that leads to it.
//!
//! It is apart from the outboxes, of which each worker has one, and which meet here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;
use tracing::Span;

use super::{Sink, SinkError, Wants, WhenFull};
use crate::message::Batch;
use crate::names::Names;
use crate::panics;
use crate::runner::strand::{Lost, Strand, StrandKind};
use crate::snapshot::Snapshot;

/// How many batches may wait for a sink before its senders do: of 64 KiB each, about 2 MB.
const QUEUED_BATCHES: usize = 32;
/// How often a sink is asked to make durable what it took.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A sink's end that workers send to.
#[derive(Debug, Clone)]
pub(crate) struct SinkQueue {
    pub(super) name: Arc<str>,
    pub(super) wants: Wants,
    pub(super) when_full: WhenFull,
    pub(super) is_essential: bool,
    pub(super) sender: mpsc::Sender<Batch>,
    failure: Arc<Mutex<Option<String>>>,
}

impl SinkQueue {
    /// Hands over messages once there is room for them, those that the sink wants.
    ///
    /// # Errors
    /// An essential sink takes no more.
    pub(crate) async fn send(&self, batch: Batch) -> Result<(), SinkGone> {
        match self.sender.send(batch).await {
            Err(_) if self.is_essential => Err(self.failed()),
            _ => Ok(()),
        }
    }

    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.wants.includes(kind)
    }

    pub(super) fn failed(&self) -> SinkGone {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        SinkGone { sink: self.name.clone(), cause: failure.unwrap_or_else(|| "it has stopped".into()) }
    }
}

/// An essential sink takes no more messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {sink} takes no more messages: {cause}")]
pub(crate) struct SinkGone {
    sink: Arc<str>,
    cause: String,
}

/// A sink that takes messages.
#[derive(Debug)]
pub(crate) struct SinkStrand {
    pub(crate) name: Arc<str>,
    pub(crate) is_essential: bool,
    taken: Arc<AtomicU64>,
    strand: Strand<Result<(), SinkError>>,
    /// Dropped to say that nothing more is to come, whoever still has a queue: a worker that is blocked may keep its own.
    close: oneshot::Sender<()>,
}

impl SinkStrand {
    /// Lets the sink take what is queued, waits for its end, and gives how many messages it has taken, and why no more of them.
    pub(crate) async fn finish(self) -> (u64, Result<(), SinkError>) {
        drop(self.close);
        // A slow disk takes as long as it takes.
        let served = match self.strand.join(Duration::MAX).await {
            Ok(served) => served,
            Err(Lost::Panicked(payload)) => Err(panics::text(&*payload).into()),
            Err(Lost::Blocked) => Err("it did not end".into()),
        };
        (self.taken.load(Ordering::Relaxed), served)
    }
}

/// A sink that has been started.
pub(crate) struct Spawned {
    pub(crate) queue: SinkQueue,
    pub(crate) strand: SinkStrand,
    /// Where figures go, if they are wanted; it is dropped when there are no more.
    pub(crate) figures: Option<watch::Sender<Option<Arc<Snapshot>>>>,
}

/// Runs a sink, on a thread or as a task, until all queues to it are dropped; `on_failure` is called at once when it fails.
///
/// # Errors
/// No thread could be started.
pub(crate) fn spawn(
    mut sink: impl Sink,
    names: Arc<Names>,
    strands: StrandKind,
    span: &Span,
    on_failure: impl FnOnce(&SinkError) + Send + 'static,
) -> std::io::Result<Spawned> {
    let (sender, receiver) = mpsc::channel(QUEUED_BATCHES);
    let (close, closed) = oneshot::channel();
    let (figures, told) = watch::channel(None);
    let figures = sink.wants_snapshots().then_some(figures);
    let failure = Arc::new(Mutex::new(None));
    let taken = Arc::new(AtomicU64::new(0));
    let queue = SinkQueue {
        name: sink.name().into(),
        wants: sink.wants(),
        when_full: sink.when_full(),
        is_essential: sink.is_essential(),
        sender,
        failure: Arc::clone(&failure),
    };
    let (name, is_essential) = (Arc::clone(&queue.name), queue.is_essential);
    let counted = Arc::clone(&taken);
    let work = async move {
        let incoming = Incoming { batches: receiver, closed, told };
        // A user's sink may panic.
        let served = panics::caught_in(serve(&mut sink, incoming, &names, &counted)).await;
        let served = served.unwrap_or_else(|payload| Err(panics::text(&*payload).into()));
        if let Err(error) = &served {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            on_failure(error);
        }
        served
    };
    let strand = match strands {
        StrandKind::Thread => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            Strand::thread(format!("mite-{name}"), span.clone(), move || runtime.block_on(work))?
        }
        #[cfg(feature = "testing")]
        StrandKind::Task => Strand::task(work),
    };
    Ok(Spawned { queue, strand: SinkStrand { name, is_essential, taken, strand, close }, figures })
}

/// What comes to a sink.
struct Incoming {
    batches: mpsc::Receiver<Batch>,
    closed: oneshot::Receiver<()>,
    told: watch::Receiver<Option<Arc<Snapshot>>>,
}

async fn serve(
    sink: &mut impl Sink,
    Incoming { mut batches, mut closed, mut told }: Incoming,
    names: &Names,
    taken: &AtomicU64,
) -> Result<(), SinkError> {
    let mut sync = tokio::time::interval(SYNC_EVERY);
    sync.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Whether more figures may come.
    let mut telling = true;
    loop {
        tokio::select! {
            biased;
            _ = sync.tick() => sink.sync()?,
            changed = told.changed(), if telling => {
                telling = changed.is_ok();
                tell(sink, &mut told, false)?;
            }
            _ = &mut closed, if !closed.is_terminated() => batches.close(),
            batch = batches.recv() => {
                let Some(batch) = batch else { break };
                for message in batch.messages(names) {
                    sink.message(&message)?;
                }
                sink.flush()?;
                taken.fetch_add(batch.heads.len() as u64, Ordering::Relaxed);
            }
        }
    }
    // The figures of the whole run are told after its last message.
    while told.changed().await.is_ok() {}
    tell(sink, &mut told, true)?;
    sink.sync()?;
    sink.end()
}

/// Tells the figures that came last, if they are those of the whole run, or not.
fn tell(
    sink: &mut impl Sink,
    told: &mut watch::Receiver<Option<Arc<Snapshot>>>,
    is_last: bool,
) -> Result<(), SinkError> {
    let figures = told.borrow_and_update().clone();
    figures.filter(|figures| figures.is_last == is_last).map_or(Ok(()), |figures| sink.snapshot(&figures))
}
