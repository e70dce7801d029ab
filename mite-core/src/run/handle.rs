//! A run that is under way: what it has done so far, stopping it, and waiting for its report.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::{blocking, error::RunError};
use crate::report::{Report, SecondQuantiles};
use crate::runner::protocol::Event;

/// How long dropping a run waits for its threads.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// What a run has done so far; brought up to date once a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Whole seconds since the start of the run.
    pub seconds: u64,
    /// Starts that were due.
    pub planned: u64,
    /// Journeys started.
    pub started: u64,
    /// Journeys that succeeded.
    pub completed: u64,
    /// Journeys that failed.
    pub failed: u64,
    /// Journeys that are under way.
    pub running: u64,
    /// The response times of the journeys that completed in the last whole second.
    pub response_time: SecondQuantiles,
}

/// A run that is under way; await it for its report.
///
/// Dropping it cancels the journeys and waits for the run's threads, for one second at the most.
#[must_use = "dropping the handle cancels the run"]
pub struct RunHandle {
    events: mpsc::UnboundedSender<Event>,
    result: oneshot::Receiver<Result<Report, RunError>>,
    progress: Arc<Mutex<Progress>>,
    done: Arc<Done>,
    finished: bool,
}

impl RunHandle {
    pub(super) fn new(
        events: mpsc::UnboundedSender<Event>,
        result: oneshot::Receiver<Result<Report, RunError>>,
        progress: Arc<Mutex<Progress>>,
        done: Arc<Done>,
    ) -> Self {
        Self { events, result, progress, done, finished: false }
    }

    /// What the run has done so far.
    pub fn progress(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops: no new starts from now on; what runs may finish within the graceful stop.
    pub fn stop(&self) {
        // A run that is over needs no stop.
        let _ = self.events.send(Event::Stop);
    }

    /// Stops now: what runs is cancelled. What was recorded is written all the same.
    pub fn abort(&self) {
        let _ = self.events.send(Event::Abort);
    }

    /// Waits for the run's end, in code that is not async.
    ///
    /// # Errors
    /// As [`Run::run`](crate::Run::run).
    pub fn wait(self) -> Result<Report, RunError> {
        blocking::wait_for(self)
    }

    /// Something to stop the run with from elsewhere, a signal handler for instance.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.events.clone())
    }
}

/// Stops a run: see [`RunHandle::stopper`].
#[derive(Debug, Clone)]
pub struct Stopper(mpsc::UnboundedSender<Event>);

impl Stopper {
    /// As [`RunHandle::stop`].
    pub fn stop(&self) {
        let _ = self.0.send(Event::Stop);
    }

    /// As [`RunHandle::abort`].
    pub fn abort(&self) {
        let _ = self.0.send(Event::Abort);
    }
}

impl Future for RunHandle {
    type Output = Result<Report, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(cx).map(|result| {
            self.finished = true;
            // The sender is dropped without a result only when the controller itself panicked.
            result.unwrap_or(Err(RunError::Panicked { message: "the controller's thread has ended".to_owned() }))
        })
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        if !self.finished {
            self.abort();
        }
        if !self.done.wait(DROP_WAIT) {
            tracing::warn!("a run was dropped, and a worker is still blocked by a journey that does not await");
        }
    }
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunHandle").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

/// Set when all threads of a run have ended.
#[derive(Debug, Default)]
pub(super) struct Done {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Done {
    fn wait(&self, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while !*set {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            set = self.changed.wait_timeout(set, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

pub(super) struct SetDone(Arc<Done>);

impl SetDone {
    pub(super) fn new(done: &Arc<Done>) -> Self {
        Self(Arc::clone(done))
    }
}

impl Drop for SetDone {
    fn drop(&mut self) {
        *self.0.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}
