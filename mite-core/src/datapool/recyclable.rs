//! A pool whose items are used again: first in, first out.
//!
//! It is apart from the others, since it alone has a queue of what came back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Checkout, DataPool, Numbered};
use crate::{Config, Error, Result};

/// Hands out each item to one journey at a time, and again when it has come back; the one that has been back longest
/// comes first.
///
/// Clones share their items, so that two rows can draw from one pool.
///
/// ```
/// use mite_core::RecyclableIterableDataPool;
///
/// let users = RecyclableIterableDataPool::new([("ann",), ("bob",)]);
/// assert_eq!(users.len(), 2);
/// ```
#[derive(Debug)]
pub struct RecyclableIterableDataPool<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    items: Vec<T>,
    free: Mutex<VecDeque<usize>>,
    returned: Notify,
}

impl<T> RecyclableIterableDataPool<T> {
    /// A pool of all `items`, which are read at once. Item numbers count from 0.
    pub fn new(items: impl IntoIterator<Item = T>) -> Self {
        let items: Vec<T> = items.into_iter().collect();
        let free = Mutex::new((0..items.len()).collect());
        Self { shared: Arc::new(Shared { items, free, returned: Notify::new() }) }
    }

    /// How many items there are, whether they are free or not.
    pub fn len(&self) -> usize {
        self.shared.items.len()
    }

    /// Whether there are no items at all. A run with such a pool is refused.
    pub fn is_empty(&self) -> bool {
        self.shared.items.is_empty()
    }

    fn free(&self) -> MutexGuard<'_, VecDeque<usize>> {
        // A panic elsewhere cannot leave the queue half changed: its operations do not call user code.
        self.shared.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for RecyclableIterableDataPool<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Clone + Send + Sync + 'static> DataPool for RecyclableIterableDataPool<T> {
    type Item = T;

    async fn checkout(&self, _config: &Config) -> Result<Checkout<T>> {
        let (next, more) = {
            let mut free = self.free();
            (free.pop_front(), !free.is_empty())
        };
        if next.is_some() && more {
            // Two items may have come back for one wake-up: whoever else waits is told that there is another.
            self.shared.returned.notify_one();
        }
        Ok(match next {
            Some(id) => Checkout::Item { id: id as u64, item: self.shared.items[id].clone() },
            None => Checkout::NoneFree,
        })
    }

    fn checkin(&self, id: u64) {
        self.free().push_back(id as usize);
        self.shared.returned.notify_one();
    }

    async fn available(&self) {
        // A permit that nobody took may be old, and then the caller only asks once more than it had to.
        self.shared.returned.notified().await;
    }

    fn numbered(&self) -> Option<Numbered> {
        Some(Numbered::new(Some(self.len() as u64), &self.shared))
    }

    fn checkout_numbered(&self, number: &mut dyn FnMut() -> Option<u64>) -> Result<Checkout<T>> {
        let Some(id) = number() else { return Ok(Checkout::NoneFree) };
        let item = usize::try_from(id).ok().and_then(|id| self.shared.items.get(id));
        Ok(item.map_or(Checkout::Exhausted, |item| Checkout::Item { id, item: item.clone() }))
    }

    fn check(&self) -> Result {
        if self.is_empty() {
            return Err(Error::msg("the data pool has no items: journeys would have nothing to run on"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn take(pool: &RecyclableIterableDataPool<(&'static str,)>) -> Checkout<(&'static str,)> {
        pool.checkout(&Config::new()).await.unwrap()
    }

    #[tokio::test]
    async fn first_in_first_out_and_shared_by_clones() {
        let pool = RecyclableIterableDataPool::new([("a",), ("b",), ("c",)]);
        let other = pool.clone();
        assert_eq!(take(&pool).await, Checkout::Item { id: 0, item: ("a",) });
        assert_eq!(take(&other).await, Checkout::Item { id: 1, item: ("b",) });
        pool.checkin(1);
        pool.checkin(0);
        assert_eq!(take(&pool).await, Checkout::Item { id: 2, item: ("c",) });
        assert_eq!(take(&pool).await, Checkout::Item { id: 1, item: ("b",) });
        assert_eq!(take(&pool).await, Checkout::Item { id: 0, item: ("a",) });
        assert_eq!(take(&pool).await, Checkout::NoneFree);
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_a_return() {
        let pool = RecyclableIterableDataPool::new([("a",)]);
        assert!(matches!(take(&pool).await, Checkout::Item { .. }));
        let mut waiting = tokio_test_poll(pool.available());
        assert!(!waiting.poll_once());
        pool.checkin(0);
        assert!(waiting.poll_once());
    }

    /// Polls a future once at a time, with a waker that does nothing.
    fn tokio_test_poll<F: Future<Output = ()>>(future: F) -> Polled<F> {
        Polled(Box::pin(future))
    }

    struct Polled<F>(std::pin::Pin<Box<F>>);

    impl<F: Future<Output = ()>> Polled<F> {
        fn poll_once(&mut self) -> bool {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            self.0.as_mut().poll(&mut context).is_ready()
        }
    }

    #[test]
    fn an_empty_pool_is_refused() {
        let pool = RecyclableIterableDataPool::<(u8,)>::new([]);
        assert!(pool.check().unwrap_err().to_string().contains("no items"));
    }
}
