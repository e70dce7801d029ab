//! A thread with a runtime of its own, for what goes on beside the sink's.
//!
//! It is apart from what runs there: the runtime is made, and dropped, on its thread, since a run may be started within another runtime.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Carries out what `make` makes, within the runtime.
///
/// # Errors
/// There is no thread or no runtime to be had, or `make` has failed.
pub(crate) fn spawn<F: Future<Output = ()>>(
    name: &str,
    make: impl FnOnce() -> io::Result<F> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let made = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
            let within = runtime.enter();
            let work = make();
            drop(within);
            Ok((work?, runtime))
        });
        let (work, outcome) = match made {
            Ok((work, runtime)) => (Some((work, runtime)), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // Whoever has started it is waiting.
        let _ = tell.send(outcome);
        if let Some((work, runtime)) = work {
            runtime.block_on(work);
        }
    })?;
    told.recv().unwrap_or_else(|_| Err(io::Error::other("its thread has ended")))?;
    Ok(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_made_is_told_within_a_runtime_too() {
        let failed = spawn("none", || Err::<std::future::Ready<()>, _>(io::ErrorKind::AddrInUse.into()));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let (tell, told) = mpsc::channel();
        let thread = spawn("one", || Ok(async move { tell.send(7).unwrap() })).unwrap();
        assert_eq!(told.recv(), Ok(7));
        thread.join().unwrap();
    }
}
