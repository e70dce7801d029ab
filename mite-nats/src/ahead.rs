//! What is waited for beside other things: it is read by a task of its own, so that a step that takes several questions goes on
//! while nobody waits.
//! It is separate because a future that is dropped whenever something else is there first may never come to the end of such a step.

use mite_core::bus::BusError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How many may wait to be taken.
const AHEAD: usize = 16;

/// What a task reads, until this is dropped.
#[derive(Debug)]
pub(crate) struct Ahead<T> {
    read: mpsc::Receiver<Result<T, BusError>>,
    task: JoinHandle<()>,
}

impl<T: Send + 'static> Ahead<T> {
    /// Begins to read, up to the first error.
    pub(crate) fn of<S: Next<Told = T>>(mut source: S) -> Self {
        let (sender, read) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move {
            loop {
                let told = source.next().await;
                let is_last = told.is_err();
                if sender.send(told).await.is_err() || is_last {
                    return;
                }
            }
        });
        Self { read, task }
    }

    /// The next one. A future of it that is dropped loses nothing, no time either.
    ///
    /// # Errors
    /// Whatever has ended it.
    pub(crate) async fn next(&mut self) -> Result<T, BusError> {
        self.read.recv().await.unwrap_or_else(|| Err(BusError::other("it has ended already, with an error")))
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What can be read on and on.
pub(crate) trait Next: Send + 'static {
    type Told;

    fn next(&mut self) -> impl Future<Output = Result<Self::Told, BusError>> + Send;
}
