//! The sinks of a run on their strands: started, told the run's figures, and waited for.
//!
//! They are apart from the queue of each, which knows of no other.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tracing::Span;

use crate::names::Names;
use crate::report::SinkReport;
use crate::run::error::RunError;
use crate::runner::protocol::Event;
use crate::runner::strand::StrandKind;
use crate::sink::queue::{self, SinkQueue, SinkStrand, Spawned};
use crate::sink::{Sink, SinkError};
use crate::snapshot::Snapshot;

#[derive(Default)]
pub(crate) struct Sinks {
    pub(crate) queues: Vec<SinkQueue>,
    strands: Vec<SinkStrand>,
    /// To those that want the run's figures.
    pub(crate) figures: Vec<watch::Sender<Option<Arc<Snapshot>>>>,
}

pub(crate) fn start_sinks(
    sinks: Vec<Box<dyn Sink>>,
    names: &Arc<Names>,
    strands: StrandKind,
    span: &Span,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<Sinks, RunError> {
    let mut started = Sinks::default();
    for sink in sinks {
        let (events, name, is_essential) = (events.clone(), sink.name().to_owned(), sink.is_essential());
        let on_failure = move |error: &SinkError| {
            if is_essential {
                let _ = events.send(Event::SinkFailed);
            } else {
                tracing::error!("the {name} failed, and the run goes on without it: {error}");
            }
        };
        let spawned = queue::spawn(sink, Arc::clone(names), strands, span, on_failure);
        let Spawned { queue, strand, figures } = spawned.map_err(RunError::Thread)?;
        started.queues.push(queue);
        started.strands.push(strand);
        started.figures.extend(figures);
    }
    Ok(started)
}

/// Lets the sinks take what is queued and end; `sent` is how many messages were meant for each.
pub(crate) async fn finish_sinks(sinks: Sinks, sent: Vec<u64>) -> Result<Vec<SinkReport>, RunError> {
    let mut reports = Vec::new();
    let mut outcome = Ok(());
    for (strand, sent) in sinks.strands.into_iter().zip(sent) {
        let (sink, is_essential) = (strand.name.to_string(), strand.is_essential);
        let (taken, served) = strand.finish().await;
        let failure = served.as_ref().err().map(ToString::to_string);
        reports.push(SinkReport { sink: sink.clone(), taken, dropped: sent.saturating_sub(taken), failure });
        if let Err(cause) = served
            && is_essential
            && outcome.is_ok()
        {
            outcome = Err(RunError::Sink { sink, cause });
        }
    }
    outcome.map(|()| reports)
}

/// Hands figures to the sinks that want them.
pub(crate) fn tell_figures(figures: &[watch::Sender<Option<Arc<Snapshot>>>], snapshot: Snapshot) {
    let snapshot = Arc::new(snapshot);
    for sink in figures {
        sink.send_replace(Some(Arc::clone(&snapshot)));
    }
}
