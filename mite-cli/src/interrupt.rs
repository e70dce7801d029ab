//! Ctrl-C: once to stop gracefully, twice to stop now. The library never touches signals; the command line does.

use std::cell::Cell;
use std::convert::Infallible;

use mite_core::Stopper;

/// Waits for interrupts and stops the run accordingly; never returns, so that it is raced against the run.
pub(crate) async fn stop_on_interrupt(stopper: &Stopper, interrupted: &Cell<bool>) -> Infallible {
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("warning: Ctrl-C will not stop the run gracefully: {error}");
        return std::future::pending().await;
    }
    interrupted.set(true);
    eprintln!("stopping: no new starts; what runs may finish. Ctrl-C again ends it now");
    stopper.stop();
    loop {
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
        eprintln!("ending now");
        stopper.abort();
    }
}
