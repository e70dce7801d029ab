//! Stands in for mite, which depends on the macros and cannot be a dependency of their tests. It has what the expansion
//! calls, and counts the sessions that are open.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
    pin::{Pin, pin},
    task::{self, Poll, Waker},
    time::Duration,
};

pub type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

#[derive(Default)]
pub struct Context {
    pub base: Option<&'static str>,
    pub timeout: Option<Duration>,
}

thread_local! {
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Something happened that a test wants to see the order of.
pub fn log(what: &str) {
    LOG.with_borrow_mut(|log| log.push(what.to_owned()));
}

pub fn logged() -> Vec<String> {
    LOG.take()
}

pub fn poll<T>(journey: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    journey.poll(&mut task::Context::from_waker(Waker::noop()))
}

/// Runs a journey that never waits.
pub fn run<T>(journey: impl Future<Output = T>) -> T {
    match poll(pin!(journey)) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the journey waits"),
    }
}

#[doc(hidden)]
pub mod __private {
    use super::*;

    #[derive(Default)]
    pub struct Settings {
        base: Option<&'static str>,
        timeout: Option<Duration>,
    }

    impl Settings {
        pub fn new() -> Self {
            Self::default()
        }

        pub fn base(self, key: &'static str) -> Self {
            Settings { base: Some(key), ..self }
        }

        pub fn timeout(self, timeout: Duration) -> Self {
            Settings { timeout: Some(timeout), ..self }
        }
    }

    pub struct Attached<'a>(&'a mut Context);

    pub fn attach(context: &mut Context, settings: Settings) -> Attached<'_> {
        log("opened");
        context.base = settings.base;
        context.timeout = settings.timeout;
        Attached(context)
    }

    impl Deref for Attached<'_> {
        type Target = Context;

        fn deref(&self) -> &Context {
            self.0
        }
    }

    impl DerefMut for Attached<'_> {
        fn deref_mut(&mut self) -> &mut Context {
            self.0
        }
    }

    impl Drop for Attached<'_> {
        fn drop(&mut self) {
            log("closed");
        }
    }
}
