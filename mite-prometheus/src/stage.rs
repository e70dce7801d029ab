//! How far a run is, as the server's thread sees it: under way, or over with its last figures.
//!
//! It is apart from both threads that look at it, the sink's and the server's.

use std::sync::Arc;

use mite_core::{LiveFigures, Snapshot};
use tokio::sync::watch;

/// What a run has come to.
#[derive(Debug, Clone, Default)]
pub(crate) enum Stage {
    #[default]
    UnderWay,
    /// With the figures of all of it; none where it has failed.
    Over(Option<Arc<Snapshot>>),
}

/// Gives figures, while the run goes on and after it.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    live: LiveFigures,
    stage: watch::Receiver<Stage>,
}

impl Figures {
    pub(crate) fn new(live: LiveFigures, stage: watch::Receiver<Stage>) -> Self {
        Self { live, stage }
    }

    /// The figures as they are now; `None` where the run has failed.
    pub(crate) async fn now(&mut self) -> Option<Arc<Snapshot>> {
        if let Stage::Over(last) = &*self.stage.borrow() {
            return last.clone();
        }
        if let Some(figures) = self.live.now().await {
            return Some(figures);
        }
        // Those of the whole run are on their way.
        let over = self.stage.wait_for(|stage| matches!(stage, Stage::Over(_))).await.ok()?;
        match &*over {
            Stage::Over(last) => last.clone(),
            Stage::UnderWay => None,
        }
    }
}
