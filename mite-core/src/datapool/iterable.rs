//! A pool that hands out each item once, and then ends its row.
//!
//! It is apart from the recyclable one, since what is handed out never comes back.

use std::fmt;
use std::iter::Peekable;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Checkout, DataPool, Numbered};
use crate::{Config, Error, Result};

type Items<T> = Peekable<Box<dyn Iterator<Item = T> + Send>>;

/// Hands out each item once, in order, and ends the row when there are no more: for a precise number of runs.
///
/// One item is pulled from the iterator for each checkout, so it may be endless, and lazy. Clones share the iterator.
///
/// ```
/// use mite_core::IterableDataPool;
///
/// let names = IterableDataPool::new((0..1000).map(|n| (format!("user{n}"),)));
/// let endless = IterableDataPool::new((0u64..).map(|n| (n,)));
/// ```
pub struct IterableDataPool<T> {
    shared: Arc<Mutex<State<T>>>,
}

struct State<T> {
    items: Items<T>,
    taken: u64,
}

impl<T: Send + 'static> IterableDataPool<T> {
    /// A pool of the items of `items`. Item numbers count from 1.
    pub fn new<I>(items: I) -> Self
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + 'static,
    {
        let items: Box<dyn Iterator<Item = T> + Send> = Box::new(items.into_iter());
        Self { shared: Arc::new(Mutex::new(State { items: items.peekable(), taken: 0 })) }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // After a panic in the user's iterator the next item is asked for as before.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for IterableDataPool<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for IterableDataPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IterableDataPool").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> DataPool for IterableDataPool<T> {
    type Item = T;

    async fn checkout(&self, _config: &Config) -> Result<Checkout<T>> {
        let mut state = self.state();
        Ok(match state.items.next() {
            Some(item) => {
                state.taken += 1;
                Checkout::Item { id: state.taken, item }
            }
            None => Checkout::Exhausted,
        })
    }

    fn numbered(&self) -> Option<Numbered> {
        let items = match self.state().items.size_hint() {
            (least, Some(most)) if least == most => Some(least as u64),
            _ => None,
        };
        Some(Numbered::new(items, &self.shared).in_order())
    }

    /// What others have is pulled too, and left out.
    fn checkout_numbered(&self, number: &mut dyn FnMut() -> Option<u64>) -> Result<Checkout<T>> {
        let mut state = self.state();
        let Some(number) = number() else { return Ok(Checkout::NoneFree) };
        if number < state.taken {
            return Err(Error::msg(format_args!(
                "item {} of an iterator has passed, and does not come again",
                number + 1
            )));
        }
        while state.taken < number {
            if state.items.next().is_none() {
                return Ok(Checkout::Exhausted);
            }
            state.taken += 1;
        }
        Ok(match state.items.next() {
            Some(item) => {
                state.taken += 1;
                Checkout::Item { id: number + 1, item }
            }
            None => Checkout::Exhausted,
        })
    }

    fn check(&self) -> Result {
        let mut state = self.state();
        if state.items.peek().is_some() {
            return Ok(());
        }
        Err(match state.taken {
            0 => Error::msg("the data pool has no items: journeys would have nothing to run on"),
            taken => Error::msg(format_args!("all {taken} items of the data pool were used by an earlier run")),
        })
    }

    fn left(&self) -> Option<u64> {
        let state = self.state();
        match state.items.size_hint() {
            (least, Some(most)) if least == most => Some(least as u64),
            _ => None,
        }
    }

    fn ends(&self) -> bool {
        // An iterator that says it has no end, as `0..` does, does not end a row either.
        self.state().items.size_hint() != (usize::MAX, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_item_comes_once_and_one_at_a_time() {
        let pulled = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&pulled);
        let pool = IterableDataPool::new((0u64..).map(move |n| {
            *counter.lock().unwrap() += 1;
            (n,)
        }));
        let other = pool.clone();
        let config = Config::new();
        assert_eq!(pool.checkout(&config).await.unwrap(), Checkout::Item { id: 1, item: (0,) });
        assert_eq!(other.checkout(&config).await.unwrap(), Checkout::Item { id: 2, item: (1,) });
        assert_eq!(*pulled.lock().unwrap(), 2);
        assert!(!pool.ends());
    }

    #[tokio::test]
    async fn it_ends_and_knows_what_is_left() {
        let pool = IterableDataPool::new(vec![("a",), ("b",)]);
        pool.check().unwrap();
        assert_eq!(pool.left(), Some(2));
        assert!(pool.ends());
        let config = Config::new();
        for id in 1..=2 {
            assert!(matches!(pool.checkout(&config).await.unwrap(), Checkout::Item { id: got, .. } if got == id));
        }
        assert_eq!(pool.checkout(&config).await.unwrap(), Checkout::Exhausted);
        assert!(pool.check().unwrap_err().to_string().contains("all 2 items"));
    }

    #[test]
    fn an_empty_one_is_refused() {
        assert!(IterableDataPool::<(u8,)>::new([]).check().unwrap_err().to_string().contains("no items"));
    }
}
