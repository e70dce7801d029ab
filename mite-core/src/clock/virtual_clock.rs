//! The virtual clock: it stands while anything can be done, and jumps to the next thing that is waited for when nothing can.
//!
//! It is tokio's paused clock, whose timers tick in whole milliseconds, and beside it waits that are exact to the nanosecond,
//! so that a start is made when it is due and not up to a millisecond later. The two never disagree on what time it is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::LocalRuntime;

thread_local! {
    /// When the clock of this thread's runtime began, where it is a virtual one.
    static START: Cell<Option<Instant>> = const { Cell::new(None) };
    static WAITS: RefCell<Waits> = const { RefCell::new(Waits { next: 0, by_time: BTreeMap::new() }) };
}

/// Who waits for a time within the tick that tokio's timers stand at, in the order in which it is reached.
struct Waits {
    /// Those that wait for the same time are woken in the order in which they came.
    next: u64,
    by_time: BTreeMap<(Instant, u64), Waker>,
}

/// A runtime whose clock is virtual for all that is done in it by way of [`run`].
///
/// It has no I/O: a socket is answered by the world, which takes its time, and virtual hours would pass before.
pub(crate) fn runtime() -> io::Result<LocalRuntime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_thread_park(at_idle)
        .build_local(tokio::runtime::LocalOptions::default())
}

/// Runs `work` on this thread, which goes by the virtual clock of `runtime` until it has ended.
pub(crate) fn run<T>(runtime: &LocalRuntime, work: impl Future<Output = T>) -> T {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            START.set(None);
        }
    }
    let _off = Off;
    runtime.block_on(async {
        START.set(Some(now()));
        work.await
    })
}

pub(crate) fn is_on() -> bool {
    START.get().is_some()
}

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What this thread's virtual clock says, in nanoseconds since it began; `None` where it has none.
pub(crate) fn nanos() -> Option<u64> {
    START.get().map(|start| (now() - start).as_nanos() as u64)
}

/// Waits until exactly `at`, in nanoseconds since the clock began; at once when that is past. Who waits so comes before whoever
/// waits for the same time by tokio's timers.
pub(crate) async fn sleep_until(at: u64) {
    let Some(start) = START.get() else { return };
    let at = start + Duration::from_nanos(at);
    // The last tick before it.
    let nanos = at.saturating_duration_since(start).as_nanos().saturating_sub(1);
    let tick = start + Duration::from_millis((nanos / TICK.as_nanos()) as u64);
    if tick > now() {
        tokio::time::sleep_until(tick.into()).await;
    }
    if at > now() {
        until_idle(at).await;
    }
}

/// Waits until nothing else can be done at this time.
pub(crate) async fn settled() {
    until_idle(now()).await;
}

/// Waits until nothing else can be done before `at`, which is not later than the next tick.
async fn until_idle(at: Instant) {
    let mut wait = Wait(None);
    poll_fn(|cx| wait.poll(at, cx)).await;
}

/// A place among those who wait, given up when this is dropped.
struct Wait(Option<(Instant, u64)>);

impl Wait {
    fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        WAITS.with_borrow_mut(|waits| {
            let key = *self.0.get_or_insert_with(|| {
                waits.next += 1;
                waits.by_time.insert((at, waits.next), cx.waker().clone());
                (at, waits.next)
            });
            match waits.by_time.get_mut(&key) {
                Some(waker) => {
                    waker.clone_from(cx.waker());
                    Poll::Pending
                }
                // It was taken out when its time had come.
                None => Poll::Ready(()),
            }
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(key) = self.0 {
            WAITS.with_borrow_mut(|waits| waits.by_time.remove(&key));
        }
    }
}

/// Called when nothing can be done at this time: goes on to the next exact time within the tick, or to the tick's end, before
/// tokio goes on by whole ticks.
fn at_idle() {
    let Some(start) = START.get() else { return };
    let now = now();
    let into_tick = Duration::from_nanos((now - start).as_nanos() as u64 % TICK.as_nanos() as u64);
    let rest = TICK.saturating_sub(into_tick);
    let next_tick = now + rest;
    let due = WAITS.with_borrow_mut(|waits| {
        let at = waits.by_time.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= next_tick)?;
        let later = waits.by_time.split_off(&(at, u64::MAX));
        Some((at, std::mem::replace(&mut waits.by_time, later)))
    });
    match due {
        Some((at, due)) => {
            advance(at.saturating_duration_since(now));
            for waker in due.into_values() {
                waker.wake();
            }
        }
        // A clock that is between two ticks would stay so: tokio adds whole ones.
        None if !into_tick.is_zero() => advance(rest),
        None => {}
    }
}

/// What tokio's timers are rounded up to.
const TICK: Duration = Duration::from_millis(1);

fn advance(by: Duration) {
    // It advances the clock when it is first polled, and then only gives others their turn.
    let _ = pin!(tokio::time::advance(by)).poll(&mut Context::from_waker(Waker::noop()));
}
