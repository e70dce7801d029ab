//! What a journey's panic leaves behind: its message, place and stack, which only a panic hook gets to see.
//!
//! The hook is installed once for the process and hands on whatever does not come from a journey; two runs at once do not
//! disturb each other, since what it keeps is kept for each thread.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Once;
use std::task::Poll;
use std::thread;

/// A panic that was caught.
#[derive(Debug, Clone)]
pub(crate) struct Panic {
    /// `file:line`.
    pub(crate) place: String,
    stack: Rc<Backtrace>,
}

impl Panic {
    /// The stack with its names. Resolving them holds the thread for up to hundreds of milliseconds, so that it is done once
    /// for each place, and only for who wants to read it.
    pub(crate) fn stack(&self) -> Rc<str> {
        STACKS.with_borrow_mut(|stacks| {
            Rc::clone(stacks.entry(self.place.clone()).or_insert_with(|| self.stack.to_string().into()))
        })
    }
}

thread_local! {
    /// Whether this thread is within a journey's poll.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
    static STACKS: RefCell<HashMap<String, Rc<str>>> = RefCell::new(HashMap::new());
}

/// Installs the hook; only the first call does anything.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| if WATCHED.get() { keep(info) } else { before(info) }));
    });
}

fn keep(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map_or_else(|| "unknown:0".to_owned(), |location| format!("{}:{}", location.file(), location.line()));
    LAST.set(Some(Panic { place, stack: Rc::new(Backtrace::force_capture()) }));
}

/// Calls `poll`, so that a panic within it is kept and not printed.
pub(crate) fn watched<T>(poll: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            WATCHED.set(self.0);
        }
    }
    let _restore = Restore(WATCHED.replace(true));
    poll()
}

/// Calls `poll`, and gives its panic in the place of what it would have answered. A future must not be polled again after it.
pub(crate) fn caught<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<thread::Result<T>> {
    match panic::catch_unwind(AssertUnwindSafe(poll)) {
        Ok(polled) => polled.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    }
}

/// As [`caught`], for all polls of a future.
pub(crate) async fn caught_in<T>(future: impl Future<Output = T>) -> thread::Result<T> {
    let mut future = pin!(future);
    poll_fn(|cx| caught(|| future.as_mut().poll(cx))).await
}

/// Calls code of a user that belongs to no journey, wherever this is: gives the text of its panic and where that was. A panic of
/// the journey around it, which may be going on, stays the last one.
pub(crate) fn caught_apart<T>(call: impl FnOnce() -> T) -> Result<T, (String, String)> {
    let outer = LAST.take();
    let called = panic::catch_unwind(AssertUnwindSafe(|| watched(call)));
    let inner = LAST.replace(outer);
    called
        .map_err(|payload| (text(&*payload), inner.map_or_else(|| "an unknown place".to_owned(), |panic| panic.place)))
}

/// Whether this thread is within a journey's poll.
pub(crate) fn is_watched() -> bool {
    WATCHED.get()
}

/// The last panic on this thread that was kept.
pub(crate) fn take_last() -> Option<Panic> {
    LAST.take()
}

/// The text of a panic, from what it was raised with.
pub(crate) fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a value that is no text".to_owned())
}
