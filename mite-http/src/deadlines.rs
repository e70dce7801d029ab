//! The time limits of requests. Nearly none of them runs out, and those of a worker have few lengths: those of one length run
//! out in the order in which they began, so that a list of them with one timer does for what would be a timer each. That takes
//! a tenth of the instructions.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use slab::Slab;
use tokio::time::{Sleep, sleep, sleep_until};

/// How many lengths have a list. Requests with others have timers of their own.
const MOST_LISTS: usize = 8;

/// The longest that is watched by a list: what is longer may be longer than an instant can tell.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The time limits of a worker's requests.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    lists: RefCell<Vec<List>>,
}

/// The limits of one length, the first to run out first.
#[derive(Debug)]
struct List {
    length: Duration,
    limits: Slab<Limit>,
    /// The first and the last, or [`NONE`].
    first: usize,
    last: usize,
    /// Whether a task waits for the first to run out.
    is_watched: bool,
}

#[derive(Debug)]
struct Limit {
    end: Instant,
    before: usize,
    after: usize,
    /// Who waits; nobody once it has run out.
    waker: Option<Waker>,
}

const NONE: usize = usize::MAX;

impl Deadlines {
    /// What `future` gives, unless it takes longer than `length`, counted from `start`.
    pub(crate) fn within<T>(
        self: &Rc<Self>,
        length: Duration,
        start: Instant,
        mut future: Pin<&mut impl Future<Output = T>>,
    ) -> impl Future<Output = Option<T>> {
        let mut watched = Watched::NotYet;
        // Not an `async` function, which would hold all that it is given twice.
        poll_fn(move |cx| {
            if let Poll::Ready(done) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            if let Watched::NotYet = watched {
                watched = self.watch_from(length, start, cx.waker());
            }
            match &mut watched {
                Watched::NotYet => Poll::Pending,
                Watched::InList(place) => place.poll(cx),
                Watched::ByTimer(timer) => timer.as_mut().poll(cx),
            }
            .map(|()| None)
        })
    }

    fn watch_from(self: &Rc<Self>, length: Duration, start: Instant, waker: &Waker) -> Watched<'_> {
        let Some(number) = self.list(length) else {
            // Boxed, because a timer is large, and few have one.
            return Watched::ByTimer(Box::pin(sleep(length.saturating_sub(start.elapsed()))));
        };
        let list = &mut self.lists.borrow_mut()[number];
        let key = list.push(start + length, waker.clone());
        if !list.is_watched {
            list.is_watched = true;
            tokio::task::spawn_local(Self::watch(Rc::downgrade(self), number));
        }
        Watched::InList(Place { deadlines: self, list: number, key })
    }

    /// The list for limits of this length, if there is room for one.
    fn list(&self, length: Duration) -> Option<usize> {
        let mut lists = self.lists.borrow_mut();
        if let Some(known) = lists.iter().position(|list| list.length == length) {
            return Some(known);
        }
        if length > LONGEST {
            return None;
        }
        if lists.len() < MOST_LISTS {
            lists.push(List::of(length));
            return Some(lists.len() - 1);
        }
        let unused = lists.iter().position(|list| list.limits.is_empty() && !list.is_watched)?;
        lists[unused] = List::of(length);
        Some(unused)
    }

    /// Wakes whoever's limit has run out, until there are no more limits in the list.
    async fn watch(deadlines: Weak<Self>, list: usize) {
        while let Some(end) = deadlines.upgrade().and_then(|deadlines| deadlines.lists.borrow_mut()[list].next_end()) {
            sleep_until(end.into()).await;
            let Some(deadlines) = deadlines.upgrade() else { return };
            loop {
                let run_out = deadlines.lists.borrow_mut()[list].next_run_out(Instant::now());
                let Some(waker) = run_out else { break };
                waker.wake();
            }
        }
    }
}

impl List {
    fn of(length: Duration) -> Self {
        Self { length, limits: Slab::new(), first: NONE, last: NONE, is_watched: false }
    }

    fn push(&mut self, end: Instant, waker: Waker) -> usize {
        // One that began a little earlier may come to its first wait a little later.
        let end = self.limits.get(self.last).map_or(end, |last| last.end.max(end));
        let key = self.limits.insert(Limit { end, before: self.last, after: NONE, waker: Some(waker) });
        match self.limits.get_mut(self.last) {
            Some(last) => last.after = key,
            None => self.first = key,
        }
        self.last = key;
        key
    }

    fn remove(&mut self, key: usize) -> Limit {
        let removed = self.limits.remove(key);
        let Limit { before, after, .. } = removed;
        match self.limits.get_mut(before) {
            Some(limit) => limit.after = after,
            None => self.first = after,
        }
        match self.limits.get_mut(after) {
            Some(limit) => limit.before = before,
            None => self.last = before,
        }
        removed
    }

    /// When the next limit runs out; with none the list is not watched any more.
    fn next_end(&mut self) -> Option<Instant> {
        let mut next = self.first;
        while let Some(limit) = self.limits.get(next) {
            if limit.waker.is_some() {
                return Some(limit.end);
            }
            // It has run out, and its request will be told when it has its turn.
            next = limit.after;
        }
        self.is_watched = false;
        None
    }

    /// Who is to be woken, since his limit has run out by `now`.
    fn next_run_out(&mut self, now: Instant) -> Option<Waker> {
        let mut next = self.first;
        while let Some(limit) = self.limits.get_mut(next).filter(|limit| limit.end <= now) {
            if limit.waker.is_some() {
                return limit.waker.take();
            }
            next = limit.after;
        }
        None
    }
}

/// What tells that a limit has run out.
enum Watched<'a> {
    /// The future has not waited for anything.
    NotYet,
    InList(Place<'a>),
    ByTimer(Pin<Box<Sleep>>),
}

/// A request's place in a list.
struct Place<'a> {
    deadlines: &'a Deadlines,
    list: usize,
    key: usize,
}

impl Place<'_> {
    /// Ready when the limit has run out.
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut lists = self.deadlines.lists.borrow_mut();
        let limit = lists[self.list].limits.get_mut(self.key);
        let Some(waker) = limit.and_then(|limit| limit.waker.as_mut()) else { return Poll::Ready(()) };
        if !waker.will_wake(cx.waker()) {
            let before = mem::replace(waker, cx.waker().clone());
            drop(lists);
            drop(before);
        }
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // The waker may be the last that keeps a task: it is dropped when nothing is borrowed any more.
        let _limit = self.deadlines.lists.borrow_mut()[self.list].remove(self.key);
    }
}

#[cfg(test)]
mod tests;
