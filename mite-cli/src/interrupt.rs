//! Ctrl-C: once to stop gracefully, twice to stop now. The library never touches signals; the command line does.

use std::convert::Infallible;

use mite_core::{Report, Run, RunError, Stopper};

/// Carries a run out, which Ctrl-C (SIGINT) stops: once, and no new journeys start while what runs may finish; twice, and it
/// ends now. Either way the report's verdict is then *aborted*, and what was recorded is on disk.
///
/// It must be awaited in a tokio runtime that has I/O.
///
/// # Errors
/// As [`Run::run`].
pub async fn until_interrupted(run: Run) -> Result<Report, RunError> {
    let handle = run.start()?;
    let stopper = handle.stopper();
    tokio::select! {
        outcome = handle => outcome,
        never = stop_on_interrupt(&stopper) => match never {},
    }
}

async fn stop_on_interrupt(stopper: &Stopper) -> Infallible {
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("warning: Ctrl-C will not stop the run gracefully: {error}");
        return std::future::pending().await;
    }
    eprintln!("stopping: no new starts; what runs may finish. Ctrl-C again ends it now");
    stopper.stop();
    while tokio::signal::ctrl_c().await.is_ok() {
        eprintln!("ending now");
        stopper.abort();
    }
    std::future::pending().await
}
