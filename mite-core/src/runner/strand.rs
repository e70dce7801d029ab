//! A strand of a run, which goes on beside the controller, a worker or a sink: on a thread of its own, or, in a run on a virtual
//! clock, as a task on the controller's.

use std::any::Any;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Span, dispatcher};

/// `work` for another thread, where what it tells by `tracing` goes to the subscriber of this one, within `span`.
pub(crate) fn traced<T>(span: Span, work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let subscriber = dispatcher::get_default(Dispatch::clone);
    move || {
        // A thread with a subscriber of its own is a little slower: not where nobody listens.
        let _heard = (!subscriber.is::<NoSubscriber>()).then(|| dispatcher::set_default(&subscriber));
        span.in_scope(work)
    }
}

/// Where the strands of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum StrandKind {
    /// Each on a thread of its own, by the machine's clock.
    #[default]
    Thread,
    /// All on the controller's thread, by its virtual clock.
    #[cfg(feature = "testing")]
    Task,
}

/// A strand that has been started.
#[derive(Debug)]
pub(crate) enum Strand<T> {
    Thread {
        thread: JoinHandle<T>,
        /// Its sender is dropped when the thread has done its work.
        ended: oneshot::Receiver<()>,
    },
    #[cfg(feature = "testing")]
    Task(tokio::task::JoinHandle<T>),
}

/// Why a strand has given nothing.
#[derive(Debug)]
pub(crate) enum Lost {
    /// It did not end in time, and was left behind.
    Blocked,
    Panicked(Box<dyn Any + Send>),
}

impl<T: Send + 'static> Strand<T> {
    pub(crate) fn thread(name: String, span: Span, work: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        let (at_end, ended) = oneshot::channel();
        let body = traced(span, move || {
            let _at_end: oneshot::Sender<()> = at_end;
            work()
        });
        let thread = std::thread::Builder::new().name(name).spawn(body)?;
        Ok(Self::Thread { thread, ended })
    }

    #[cfg(feature = "testing")]
    pub(crate) fn task(work: impl Future<Output = T> + 'static) -> Self {
        Self::Task(tokio::task::spawn_local(work))
    }

    /// What it has given, once it has ended; it is waited for so long at the most, and what else there is on this thread goes on: in
    /// a cluster others listen for this process all the while.
    pub(crate) async fn join(self, at_most: Duration) -> Result<T, Lost> {
        match self {
            Self::Thread { thread, ended } => {
                // Nothing is ever sent: that its end was dropped tells that the thread's work is done, so that joining it blocks nobody.
                match timeout(at_most, ended).await {
                    Err(_) => Err(Lost::Blocked),
                    Ok(_) => thread.join().map_err(Lost::Panicked),
                }
            }
            #[cfg(feature = "testing")]
            Self::Task(task) => match timeout(at_most, task).await {
                Err(_) => Err(Lost::Blocked),
                Ok(joined) => joined.map_err(|error| match error.try_into_panic() {
                    Ok(payload) => Lost::Panicked(payload),
                    Err(error) => Lost::Panicked(Box::new(error.to_string())),
                }),
            },
        }
    }
}
