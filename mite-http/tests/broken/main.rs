//! Servers that break the rules, one row for each: what comes of the request, that the session works on, and that nothing
//! of the broken connection is left.

#[path = "../common/mod.rs"]
mod common;
mod flood;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod row;
#[cfg(feature = "tls")]
mod tls;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Descriptors are those of the process: what counts them is alone in it.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    common::open_what_stays_open();
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
