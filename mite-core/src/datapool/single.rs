//! A pool with one item that is handed out once.
//!
//! It is apart from a pool of one item, since it is for what must happen once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Checkout, DataPool, Numbered};
use crate::{Config, Error, Result};

/// One run of a journey on one item, after which the row ends.
///
/// ```
/// use mite_core::SingleRunDataPool;
///
/// let admin = SingleRunDataPool::new(("admin".to_string(), 42));
/// ```
#[derive(Debug)]
pub struct SingleRunDataPool<T> {
    shared: Arc<(T, AtomicBool)>,
}

impl<T> SingleRunDataPool<T> {
    /// A pool of `item` alone; its number is 1.
    pub fn new(item: T) -> Self {
        Self { shared: Arc::new((item, AtomicBool::new(false))) }
    }
}

impl<T> Clone for SingleRunDataPool<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Clone + Send + Sync + 'static> DataPool for SingleRunDataPool<T> {
    type Item = T;

    async fn checkout(&self, _config: &Config) -> Result<Checkout<T>> {
        let (item, used) = &*self.shared;
        Ok(if used.swap(true, Ordering::Relaxed) {
            Checkout::Exhausted
        } else {
            Checkout::Item { id: 1, item: item.clone() }
        })
    }

    fn numbered(&self) -> Option<Numbered> {
        Some(Numbered::new(Some(1), &self.shared))
    }

    fn checkout_numbered(&self, number: &mut dyn FnMut() -> Option<u64>) -> Result<Checkout<T>> {
        Ok(match number() {
            None => Checkout::NoneFree,
            Some(0) => Checkout::Item { id: 1, item: self.shared.0.clone() },
            Some(_) => Checkout::Exhausted,
        })
    }

    fn check(&self) -> Result {
        if self.shared.1.load(Ordering::Relaxed) {
            return Err(Error::msg("the data pool's one item was used by an earlier run"));
        }
        Ok(())
    }

    fn left(&self) -> Option<u64> {
        Some(u64::from(!self.shared.1.load(Ordering::Relaxed)))
    }

    fn ends(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_item_comes_once() {
        let pool = SingleRunDataPool::new((7,));
        let config = Config::new();
        assert_eq!(pool.clone().checkout(&config).await.unwrap(), Checkout::Item { id: 1, item: (7,) });
        assert_eq!(pool.checkout(&config).await.unwrap(), Checkout::Exhausted);
        assert!(pool.check().is_err());
    }
}
