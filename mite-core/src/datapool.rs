//! Where the data of a journey comes from: a pool's items are checked out for one run of it, and checked in after.
//!
//! A pool is asked by every worker thread, so it is a cheap handle on something shared.

mod file;
mod iterable;
pub(crate) mod leases;
mod recyclable;
mod single;

use std::future::Future;
use std::time::Duration;

pub use file::{Csv, FileDataPool, FileRows, FileRowsError};
pub use iterable::IterableDataPool;
pub use recyclable::RecyclableIterableDataPool;
pub use single::SingleRunDataPool;

use crate::{Config, Result};

/// A pool of items, each the arguments of one call of a journey.
///
/// Items are tuples with one element for each data argument of the journey: `(String,)` for one that takes a user name.
/// mite has [`RecyclableIterableDataPool`], [`IterableDataPool`], [`SingleRunDataPool`] and [`NoData`], and [`FileDataPool`] for files
/// that are too large for memory; a pool of one's own may ask a database, since `checkout` is async.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// use mite_core::{Checkout, Config, DataPool, Result};
///
/// /// Endless order numbers, from where the config says.
/// struct Orders(AtomicU64);
///
/// impl DataPool for Orders {
///     type Item = (u64,);
///
///     async fn checkout(&self, config: &Config) -> Result<Checkout<(u64,)>> {
///         let id = self.0.fetch_add(1, Relaxed);
///         Ok(Checkout::Item { id, item: (config.get_or("first_order", 0)? + id,) })
///     }
/// }
/// ```
pub trait DataPool: Send + Sync + 'static {
    /// The arguments that one call of the journey takes besides its context, as a tuple.
    type Item: 'static;

    /// Hands out an item for one run of a journey. It is called on the worker's thread; while it waits, the journey's
    /// *data wait* grows. When the run ends while it waits, its future is dropped: what it holds by then it must give back by
    /// itself, since only an item that was handed out is checked in.
    ///
    /// # Errors
    /// The start for which it was called is counted as *starved*, and the error is reported like a journey's.
    fn checkout(&self, config: &Config) -> impl Future<Output = Result<Checkout<Self::Item>>>;

    /// Takes an item back: called once for each that was handed out, also after a panic or when the journey was cancelled.
    fn checkin(&self, id: u64) {
        let _ = id;
    }

    /// Waits until it may be worth asking again after [`Checkout::NoneFree`]; only journeys of the closed model wait.
    ///
    /// Unless a pool knows better, that is 10 ms.
    fn available(&self) -> impl Future<Output = ()> {
        tokio::time::sleep(Duration::from_millis(10))
    }

    /// Says before the run starts that this pool can be used.
    ///
    /// # Errors
    /// The run is refused with this error: an empty pool, for instance.
    fn check(&self) -> Result {
        Ok(())
    }

    /// How many items are left, where the pool knows it: told in the report when a row ends before its pool.
    fn left(&self) -> Option<u64> {
        None
    }

    /// Whether each item is handed out once, so that the row ends when there are no more.
    fn ends(&self) -> bool {
        false
    }

    /// How the pool is shared out among the runners of a cluster: by the numbers of its items, which are the same on all of them.
    ///
    /// Unless a pool says so each runner asks its own copy of it, as if it were alone: right for one that asks a database, which
    /// itself knows what is taken.
    fn numbered(&self) -> Option<Numbered> {
        None
    }

    /// As [`DataPool::checkout`], of the item with the number that `number` gives, from 0: it is asked once the pool is ready to hand
    /// it out, and not twice at the same time; numbers of items that come once rise. Where it gives none, none is free; where there
    /// is no item of that number, the pool is exhausted.
    ///
    /// # Errors
    /// As [`DataPool::checkout`].
    fn checkout_numbered(&self, number: &mut dyn FnMut() -> Option<u64>) -> Result<Checkout<Self::Item>> {
        let _ = number;
        Ok(Checkout::Exhausted)
    }
}

/// How a pool is shared out among the runners of a cluster: see [`DataPool::numbered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Numbered {
    /// How many items there are, where that is known beforehand.
    pub items: Option<u64>,
    /// What clones of the pool have in common, and no other pool of the process: the address of what they share.
    pub identity: usize,
    /// Whether numbers must rise, as those of an iterator: what a runner has left behind is then handed out by nobody.
    pub is_in_order: bool,
}

impl Numbered {
    /// That of a pool whose clones share what is at this address.
    pub fn new<T: ?Sized>(items: Option<u64>, shared: &std::sync::Arc<T>) -> Self {
        let identity = std::sync::Arc::as_ptr(shared).cast::<()>() as usize;
        Self { items, identity, is_in_order: false }
    }

    /// The same for a pool that cannot go back.
    #[must_use]
    pub fn in_order(self) -> Self {
        Self { is_in_order: true, ..self }
    }
}

/// What a pool answers to a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkout<T> {
    /// An item, and the number that names it: `scenario_data_id` in messages, and what it is checked in by.
    Item {
        /// The item's number.
        id: u64,
        /// The arguments of the call.
        item: T,
    },
    /// All items are out now: the start is *starved* (open model), or waits (closed model).
    NoneFree,
    /// There will never be another: the row ends.
    Exhausted,
}

/// The pool of a journey that takes no data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoData;

impl DataPool for NoData {
    type Item = ();

    async fn checkout(&self, _config: &Config) -> Result<Checkout<()>> {
        Ok(Checkout::Item { id: 0, item: () })
    }
}

/// So that one pool of one's own can be shared by several rows.
impl<P: DataPool> DataPool for std::sync::Arc<P> {
    type Item = P::Item;

    fn checkout(&self, config: &Config) -> impl Future<Output = Result<Checkout<P::Item>>> {
        P::checkout(self, config)
    }

    fn checkin(&self, id: u64) {
        P::checkin(self, id);
    }

    fn available(&self) -> impl Future<Output = ()> {
        P::available(self)
    }

    fn check(&self) -> Result {
        P::check(self)
    }

    fn left(&self) -> Option<u64> {
        P::left(self)
    }

    fn ends(&self) -> bool {
        P::ends(self)
    }

    fn numbered(&self) -> Option<Numbered> {
        P::numbered(self)
    }

    fn checkout_numbered(&self, number: &mut dyn FnMut() -> Option<u64>) -> Result<Checkout<P::Item>> {
        P::checkout_numbered(self, number)
    }
}
