//! That the items of a data pool are what a journey takes.
//!
//! It is apart from both, since it is there for what the compiler says where they do not go together.

use crate::datapool::DataPool;

/// A data pool whose items are `Args`, the tuple of a journey's data arguments.
///
/// You need not implement or name this trait: each [`DataPool`] has it for its items.
///
/// ```
/// # use mite_core::{IterableDataPool, NoData, PoolOf};
/// fn names(_: impl PoolOf<(String,)>) {}
/// fn nothing(_: impl PoolOf<()>) {}
///
/// names(IterableDataPool::new([("ann".to_owned(),)]));
/// nothing(NoData);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no data pool for a journey that takes `{Args}`",
    label = "its items are not `{Args}`",
    note = "a pool's items are tuples of the journey's arguments after its context: `(String,)`, with that comma, for one \
            that takes a `String`, as in `RecyclableIterableDataPool::new([(\"ann\".to_owned(),)])`",
    note = "`NoData` goes with a journey that takes `()`, which is nothing but its context"
)]
pub trait PoolOf<Args>: DataPool<Item = Args> {}

#[diagnostic::do_not_recommend]
impl<P, Args> PoolOf<Args> for P where P: DataPool<Item = Args> {}
