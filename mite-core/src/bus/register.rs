//! The register: values by key, each with a revision, written only over the revision that the writer knows.
//! It is apart from the bus and the log because it is the authority on what a run has decided.

use std::fmt::Debug;

use super::Later;

/// A linearizable register: each read that begins after a write has succeeded sees that write, or a later one.
///
/// ```
/// use mite_core::bus::{BusError, Register};
///
/// /// Adds one to a number, whoever else does so at the same time.
/// async fn count(register: &dyn Register) -> Result<u64, BusError> {
///     loop {
///         let (revision, number) = match register.get("visitors").await? {
///             Some(entry) => (Some(entry.revision), u64::from_be_bytes(entry.value.try_into().expect("written below"))),
///             None => (None, 0),
///         };
///         match register.set_if("visitors", revision, (number + 1).to_be_bytes().to_vec()).await {
///             Ok(_) => return Ok(number + 1),
///             Err(error) if error.is_conflict() => {} // somebody else was quicker
///             Err(error) => return Err(error),
///         }
///     }
/// }
/// # use mite_core::bus::{Fabric, Local};
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// # let register = Local::new().register("run7").await.unwrap();
/// # assert_eq!(count(&*register).await.unwrap(), 1);
/// # assert_eq!(count(&*register).await.unwrap(), 2);
/// # });
/// ```
pub trait Register: Debug + Send + Sync + 'static {
    /// The value of a key; none where it has none.
    ///
    /// # Errors
    /// A key that is none, no answer in time, no connection, or no such register any more.
    fn get(&self, key: &str) -> Later<'_, Option<Entry>>;

    /// Sets a key if its revision is the `expected` one, or with none, if it has no value. Returns the new revision.
    ///
    /// Revisions of a key only grow, and are not used again when it has been deleted.
    ///
    /// # Errors
    /// [`is_conflict`](super::BusError::is_conflict) when the revision is another one: nothing was written. A key that is
    /// none, or a value that is too large for what carries it. With no answer in time, or a connection that broke, it is not
    /// known whether it was written: `get` tells.
    fn set_if(&self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Later<'_, u64>;

    /// The keys that a pattern is about and that have a value, sorted.
    ///
    /// # Errors
    /// A pattern that is none, and as [`Register::get`].
    fn keys(&self, pattern: &str) -> Later<'_, Vec<String>>;

    /// Follows a key. This is a hint, which may come late: what must be known is read with [`Register::get`].
    ///
    /// # Errors
    /// As [`Register::get`].
    fn watch(&self, key: &str) -> Later<'_, Box<dyn Watch>>;

    /// Deletes a key, whatever its revision; one that has no value is no error.
    ///
    /// # Errors
    /// As [`Register::set_if`], but for the conflict.
    fn delete(&self, key: &str) -> Later<'_, ()>;
}

/// A value of a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Grows with each write of the key.
    pub revision: u64,
    /// What was written.
    pub value: Vec<u8>,
}

/// What follows a key. It ends when it is dropped.
///
/// ```
/// # use mite_core::bus::{Fabric, Local};
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// let register = Local::new().register("run7").await.unwrap();
/// let first = register.set_if("volume", None, b"1".to_vec()).await.unwrap();
/// let mut watch = register.watch("volume").await.unwrap();
/// assert_eq!(watch.next().await.unwrap().unwrap().value, b"1");
///
/// register.set_if("volume", Some(first), b"2".to_vec()).await.unwrap();
/// assert_eq!(watch.next().await.unwrap().unwrap().value, b"2");
///
/// register.delete("volume").await.unwrap();
/// assert_eq!(watch.next().await.unwrap(), None);
/// # });
/// ```
pub trait Watch: Debug + Send {
    /// The newest value that it has not told yet, at first the one that is there; none when the key was deleted.
    ///
    /// It waits for a change. Of changes that follow each other it may leave out all but the last. A future of it that is dropped
    /// loses nothing.
    ///
    /// # Errors
    /// The register was deleted, or what carries it has failed for good.
    fn next(&mut self) -> Later<'_, Option<Entry>>;
}

/// For errors: what a key has, or was expected to have.
pub(super) fn revision_text(revision: Option<u64>) -> String {
    revision.map_or_else(|| "no value".to_owned(), |revision| format!("revision {revision}"))
}
