//! Ctrl-C: once to stop gracefully, twice to stop now. The library never touches signals; the command line does.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;

use mite_core::{Report, Run, RunError, RunHandle, Stopper};

use crate::block::Block;

/// Carries a run out, which Ctrl-C (SIGINT) stops: once, and no new journeys start while what runs may finish; twice, and it
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
    signal: tokio::signal::unix::Signal,
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
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?,
            #[cfg(windows)]
            signal: tokio::signal::windows::ctrl_c()?,
        })
    }

    /// See [`until_interrupted`]; the report, and whether the run was stopped.
    pub(crate) async fn watch(self, handle: RunHandle) -> Result<(Report, bool), RunError> {
        let stopper = handle.stopper();
        let was_interrupted = Cell::new(false);
        let outcome = tokio::select! {
            outcome = handle => outcome,
            never = self.stop(&stopper, &was_interrupted) => match never {},
        };
        outcome.map(|report| (report, was_interrupted.get()))
    }

    async fn stop(mut self, stopper: &Stopper, was_interrupted: &Cell<bool>) -> Infallible {
        if self.signal.recv().await.is_some() {
            was_interrupted.set(true);
            self.say("stopping: no new starts; what runs may finish. Ctrl-C again ends it now");
            stopper.stop();
        }
        while self.signal.recv().await.is_some() {
            self.say("ending now");
            stopper.abort();
        }
        // The runtime is going down, and the run with it.
        std::future::pending().await
    }

    fn say(&self, what: &str) {
        if let Some(told) = &self.told {
            told.say(what);
        }
    }
}
