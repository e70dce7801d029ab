//! A run's figures for who asks: a handle that other threads may keep.
//!
//! It is apart from the figures themselves, which the controller and its workers speak of too.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::runner::protocol::Event;
use crate::snapshot::Snapshot;

/// Gives a run's figures whenever they are asked for: each worker is asked for what is new, and all of it is added up.
#[derive(Debug, Clone)]
pub struct LiveFigures(mpsc::UnboundedSender<Event>);

impl LiveFigures {
    pub(crate) fn new(events: mpsc::UnboundedSender<Event>) -> Self {
        Self(events)
    }

    /// The figures as they are now; `None` once the run is over. A worker that is blocked for longer than a quarter of a second
    /// is not waited for: what it has counted since it last told is in the figures after these.
    pub async fn now(&self) -> Option<Arc<Snapshot>> {
        let (answer, figures) = oneshot::channel();
        self.0.send(Event::Snapshot(answer)).ok()?;
        figures.await.ok()
    }
}
