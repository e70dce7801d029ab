//! What a task of the open model waits by between two starts, so that a start need not have a task made for it.
//!
//! Who hands out starts and the task that carries them out both hold it, and it knows of neither.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Hands one thing after another to a task.
pub(crate) struct Carrier<T> {
    next: Cell<Option<T>>,
    waker: Cell<Option<Waker>>,
}

impl<T> Carrier<T> {
    /// One that has something to begin with.
    pub(crate) fn with(first: T) -> Rc<Self> {
        Rc::new(Self { next: Cell::new(Some(first)), waker: Cell::new(None) })
    }

    /// Hands something to the task, which must have taken what it was handed before.
    pub(crate) fn hand(&self, next: T) {
        self.next.set(Some(next));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// What is handed to the task next.
    pub(crate) async fn next(&self) -> T {
        poll_fn(|cx| {
            let next = self.next.take();
            if next.is_none() {
                self.waker.set(Some(cx.waker().clone()));
            }
            next.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "local")]
    async fn what_is_handed_on_is_taken_once_and_in_order() {
        let carrier = Carrier::with(1);
        let of_task = Rc::clone(&carrier);
        let task = tokio::task::spawn_local(async move { [of_task.next().await, of_task.next().await] });
        tokio::task::yield_now().await;
        carrier.hand(2);
        assert_eq!(task.await.unwrap(), [1, 2]);
    }
}
