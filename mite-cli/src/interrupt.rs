//! Ctrl-C, or SIGTERM: once to stop gracefully, twice to stop now. The library never touches signals; the command line does.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;

use mite_core::{Report, Run, RunError, RunHandle, Stopper};

use crate::block::Block;

/// Carries a run out, which Ctrl-C (SIGINT) stops, as does SIGTERM: once, and no new journeys start while what runs may finish; twice, and it
/// ends now. Either way the report's verdict is then *aborted*, and what was recorded is on disk.
///
/// It must be awaited in a tokio runtime that has I/O.
///
/// # Errors
/// As [`Run::run`]; [`RunError::Thread`] where signals cannot be listened to.
///
/// ```
/// # use mite_core::volume::{SECOND, constant};
/// # use mite_core::{Context, NoData, Result, Run, Scenario};
/// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
/// # async fn demonstrate() -> Result {
/// let run = Run::new(Scenario::new().journey(visit, NoData, constant(100, SECOND / 10)));
/// let report = mite_cli::until_interrupted(run).await?;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
pub async fn until_interrupted(run: Run) -> Result<Report, RunError> {
    let interrupts = Interrupts::listen(Some(Block::of_stderr())).map_err(RunError::Thread)?;
    interrupts.watch(run.start()?).await.map(|(report, _)| report)
}

/// The process's interrupts from now on: they end it no longer.
pub(crate) struct Interrupts {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
    #[cfg(windows)]
    signal: tokio::signal::windows::CtrlC,
    /// Where it is said what they do; nowhere for who is quiet.
    told: Option<Block>,
}

impl Interrupts {
    /// Listens from now on, and says what they do above the block, if at all.
    pub(crate) fn listen(told: Option<Block>) -> io::Result<Self> {
        Ok(Self {
            told,
            #[cfg(unix)]
            signals: {
                use tokio::signal::unix::{SignalKind, signal};
                [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]
            },
            #[cfg(windows)]
            signal: tokio::signal::windows::ctrl_c()?,
        })
    }

    /// See [`until_interrupted`]; the report, and whether the run was stopped.
    pub(crate) async fn watch<T>(self, handle: RunHandle<T>) -> Result<(T, bool), RunError> {
        let stopper = handle.stopper();
        let was_interrupted = Cell::new(false);
        let outcome = tokio::select! {
            outcome = handle => outcome,
            never = self.stop(&stopper, &was_interrupted) => match never {},
        };
        outcome.map(|report| (report, was_interrupted.get()))
    }

    async fn stop(mut self, stopper: &Stopper, was_interrupted: &Cell<bool>) -> Infallible {
        self.first().await;
        was_interrupted.set(true);
        self.say("stopping: no new starts; what runs may finish. Ctrl-C again ends it now");
        stopper.stop();
        loop {
            self.first().await;
            self.say("ending now");
            stopper.abort();
        }
    }

    /// Waits for an interrupt.
    pub(crate) async fn first(&mut self) {
        #[cfg(unix)]
        let came = {
            let [interrupt, terminate] = &mut self.signals;
            tokio::select! {
                came = interrupt.recv() => came,
                came = terminate.recv() => came,
            }
        };
        #[cfg(windows)]
        let came = self.signal.recv().await;
        if came.is_none() {
            // The runtime is going down, and the run with it.
            std::future::pending::<()>().await;
        }
    }

    fn say(&self, what: &str) {
        if let Some(told) = &self.told {
            told.say(what);
        }
    }
}
