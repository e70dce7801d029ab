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

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::common::{descriptors, descriptors_after};

/// A test that is alone in this process, whose descriptors it counts.
struct Alone {
    /// How many the process has open while no test has any.
    descriptors: usize,
    _guard: MutexGuard<'static, ()>,
}

#[cfg(feature = "hyper")]
#[test]
fn all_of_it_on_hyper_too() {
    // Whoever is started here shares the descriptors for a moment.
    let _alone = alone();
    common::on_hyper_too("all_of_it_on_hyper_too");
}

/// Waits until no other test is at work, nor any server of an earlier one.
fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    static AT_REST: OnceLock<usize> = OnceLock::new();
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let at_rest = *AT_REST.get_or_init(|| {
        common::open_what_stays_open();
        descriptors()
    });
    assert_eq!(descriptors_after(at_rest), at_rest, "an earlier test has left descriptors open");
    Alone { descriptors: at_rest, _guard: guard }
}
