//! A run that is under way: what it has done so far, stopping it, and waiting for its report.
//!
//! It is apart from the run as it is told, which ends where this begins.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::blocking;
use super::error::RunError;
use super::progress::Progress;
use crate::report::Report;
use crate::runner::protocol::Event;

/// How long dropping a run waits for its threads.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// A run that is under way; await it for its report. A runner of a cluster gives what it was
/// ([`TookPart`](crate::cluster::TookPart)).
///
/// Dropping it cancels the journeys and waits for the run's threads, for one second at the most.
#[must_use = "dropping the handle cancels the run"]
pub struct RunHandle<T = Report> {
    events: mpsc::UnboundedSender<Event>,
    result: oneshot::Receiver<Result<T, RunError>>,
    progress: watch::Receiver<Progress>,
    done: Arc<Done>,
    finished: bool,
}

impl<T> RunHandle<T> {
    pub(super) fn new(
        events: mpsc::UnboundedSender<Event>,
        result: oneshot::Receiver<Result<T, RunError>>,
        progress: watch::Receiver<Progress>,
        done: Arc<Done>,
    ) -> Self {
        Self { events, result, progress, done, finished: false }
    }

    /// What the run has done so far.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let handle = Run::new(Scenario::new().journey(visit, NoData, constant(100, SECOND / 10))).start()?;
    /// println!("{:?}", handle.progress());
    /// handle.wait()?.assert_no_errors();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Tells what the run has done, second by second.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result {
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let handle = Run::new(Scenario::new().journey(visit, NoData, constant(100, SECOND))).start()?;
    /// let mut seconds = handle.follow();
    /// while let Some(progress) = seconds.next().await {
    ///     println!("{progress:?}");
    /// }
    /// let report = handle.await?;
    /// # report.assert_no_errors();
    /// # Ok(())
    /// # }
    /// ```
    pub fn follow(&self) -> Follow {
        Follow(self.progress.clone())
    }

    /// Stops: no new starts from now on; what runs may finish within the graceful stop.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario, Verdict};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let handle = Run::new(Scenario::new().journey(visit, NoData, |_start, _end| 100)).until_stopped().start()?;
    /// handle.stop();
    /// assert_eq!(handle.wait()?.verdict, Verdict::Aborted);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn stop(&self) {
        // A run that is over needs no stop.
        let _ = self.events.send(Event::Stop);
    }

    /// Stops now: what runs is cancelled. What was recorded is written all the same.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario, Verdict};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let handle = Run::new(Scenario::new().journey(visit, NoData, |_start, _end| 100)).until_stopped().start()?;
    /// handle.abort();
    /// assert_eq!(handle.wait()?.verdict, Verdict::Aborted);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn abort(&self) {
        let _ = self.events.send(Event::Abort);
    }

    /// Waits for the run's end, in code that is not async.
    ///
    /// # Errors
    /// As [`Run::run`](crate::Run::run).
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let handle = Run::new(Scenario::new().journey(visit, NoData, constant(100, SECOND / 10))).start()?;
    /// let report = handle.wait()?;
    /// assert_eq!(report.journey("visit").completed, 10);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn wait(self) -> Result<T, RunError> {
        blocking::wait_for(self)
    }

    /// Something to stop the run with from elsewhere, a signal handler for instance.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Run, Scenario, Verdict};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let handle = Run::new(Scenario::new().journey(visit, NoData, |_start, _end| 100)).until_stopped().start()?;
    /// let stopper = handle.stopper();
    /// std::thread::spawn(move || stopper.stop());
    /// assert_eq!(handle.wait()?.verdict, Verdict::Aborted);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn stopper(&self) -> Stopper {
        Stopper(self.events.clone())
    }
}

/// What a run does, second by second: see [`RunHandle::follow`].
#[derive(Debug, Clone)]
pub struct Follow(watch::Receiver<Progress>);

impl Follow {
    /// Waits until another second has been told; `None` once there will be no more. A second that was told while nobody waited
    /// is left out for the one after it.
    pub async fn next(&mut self) -> Option<Progress> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
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

impl<T> Future for RunHandle<T> {
    type Output = Result<T, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(cx).map(|result| {
            self.finished = true;
            // The sender is dropped without a result only when the controller itself panicked.
            result.unwrap_or(Err(RunError::Panicked { message: "the controller's thread has ended".to_owned() }))
        })
    }
}

impl<T> Drop for RunHandle<T> {
    fn drop(&mut self) {
        if !self.finished {
            self.abort();
        }
        if !self.done.wait(DROP_WAIT) {
            tracing::warn!("a run was dropped, and a worker is still blocked by a journey that does not await");
        }
    }
}

impl<T> fmt::Debug for RunHandle<T> {
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
