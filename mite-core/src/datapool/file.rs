//! A pool over a file of any length, which is not read into memory: who gets which of its rows, and when.
//!
//! It is apart from the pools of what is in memory, since its items are numbers until somebody needs one.

mod csv;
mod error;
mod format;
mod permutation;
mod rows;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use tokio::sync::Notify;

pub use self::csv::Csv;
pub use error::FileRowsError;
use permutation::Permutation;
pub use rows::FileRows;

use super::{Checkout, DataPool, Numbered};
use crate::{Config, Error, Result};

/// Hands out the rows of a file, which stays on the disk: each once and in order, unless told otherwise.
///
/// With [`FileDataPool::recyclable`] rows are handed out again and again, with [`FileDataPool::shuffled`] in an order that a seed
/// draws. Item numbers are those of the rows, from 1. Clones share the pool, so that two rows of a scenario can draw from one.
///
/// A file is opened, gone through and checked as [`FileRows`] says; ten million rows take some seconds and twenty megabytes.
/// A checkout reads a row, and so waits for the disk where the system does not have the file in memory. A row that turns out not to
/// be of its type is an error of that start, which names the row; [`FileRows::check_all`] looks at each one before.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("users.csv");
/// # std::fs::write(&path, "name,password\nann,one\nbob,two\n")?;
/// use mite_core::volume::at_once;
/// use mite_core::{Context, FileDataPool, Result, Run, Scenario};
///
/// async fn sign_in(_ctx: &mut Context, name: String, password: String) -> Result {
///     mite_core::ensure!(!name.is_empty() && !password.is_empty());
///     Ok(())
/// }
///
/// let users = FileDataPool::csv::<(String, String)>(&path)?.shuffled(42);
/// let report = Run::new(Scenario::new().journey(sign_in, users, at_once(2))).run_blocking()?;
/// assert_eq!(report.journey("sign_in").completed, 2);
/// # Ok::<(), mite_core::Error>(())
/// ```
pub struct FileDataPool<T> {
    rows: FileRows<T>,
    order: Order,
    shared: Arc<Shared>,
}

/// In which order the rows come.
#[derive(Debug, Clone, Copy)]
enum Order {
    AsWritten,
    Shuffled(Permutation),
}

/// What all clones share: places in the order, not rows.
#[derive(Debug)]
struct Shared {
    turns: Mutex<Turns>,
    returned: Notify,
}

/// What comes next.
#[derive(Debug)]
enum Turns {
    /// Each row once: the place of the next one.
    Once(u64),
    Again(Round),
}

/// Going round: each place in turn, but for those that are out.
#[derive(Debug)]
struct Round {
    next: u64,
    len: u64,
    /// How many are out, and for each place a bit which of them.
    out: u64,
    is_out: Box<[u64]>,
}

impl FileDataPool<()> {
    /// A pool of a file of MessagePack values one after another, such as `recorder-data/users.msgpack`.
    ///
    /// What was recorded is mostly a struct, and a journey's arguments are a tuple: see [`FileDataPool::map`].
    ///
    /// # Errors
    /// [`FileRowsError`]: the file cannot be read, is torn or broken, or a row is not of type `T`.
    pub fn msgpack<T: DeserializeOwned + 'static>(path: impl AsRef<Path>) -> Result<FileDataPool<T>, FileRowsError> {
        FileRows::msgpack(path).map(FileDataPool::new)
    }

    /// A pool of a file with a JSON value on each line: `["ann", 7]` is read as `(String, u32)`, `{"name": "ann"}` as a struct.
    ///
    /// # Errors
    /// As [`FileDataPool::msgpack`].
    pub fn json_lines<T: DeserializeOwned + 'static>(path: impl AsRef<Path>) -> Result<FileDataPool<T>, FileRowsError> {
        FileRows::json_lines(path).map(FileDataPool::new)
    }

    /// A pool of a file of comma-separated values, whose first row names the columns. A tuple takes the columns in their order, a
    /// struct takes them by name.
    ///
    /// # Errors
    /// As [`FileDataPool::msgpack`].
    pub fn csv<T: DeserializeOwned + 'static>(path: impl AsRef<Path>) -> Result<FileDataPool<T>, FileRowsError> {
        FileRows::csv(path).map(FileDataPool::new)
    }

    /// As [`FileDataPool::csv`], for files with another delimiter or without a heading.
    ///
    /// # Errors
    /// As [`FileDataPool::msgpack`]; or the delimiter makes no sense.
    pub fn csv_with<T: DeserializeOwned + 'static>(
        path: impl AsRef<Path>,
        csv: Csv,
    ) -> Result<FileDataPool<T>, FileRowsError> {
        FileRows::csv_with(path, csv).map(FileDataPool::new)
    }
}

impl<T> FileDataPool<T> {
    /// A pool of the rows of a file that is open already.
    pub fn new(rows: FileRows<T>) -> Self {
        Self { rows, order: Order::AsWritten, shared: Shared::new(Turns::Once(0)) }
    }

    /// Hands out each row to one journey at a time, and again once it has come back: in its order, and then from the first again,
    /// but for those that are still out.
    ///
    /// A pool that has clones already is left as it is; so with [`FileDataPool::shuffled`].
    #[must_use]
    pub fn recyclable(self) -> Self {
        let shared = Shared::new(Turns::Again(Round::new(self.rows.len())));
        Self { shared, ..self }
    }

    /// Hands out the rows in an order that `seed` draws, the same on every machine; a recyclable pool goes round in it. It takes no
    /// memory.
    #[must_use]
    pub fn shuffled(self, seed: u64) -> Self {
        let is_recyclable = matches!(*self.shared.turns(), Turns::Again(_));
        let pool = Self { order: Order::Shuffled(Permutation::new(self.rows.len(), seed)), ..self };
        if is_recyclable { pool.recyclable() } else { Self { shared: Shared::new(Turns::Once(0)), ..pool } }
    }

    /// Makes the journey's arguments of each row as it is handed out.
    ///
    /// ```no_run
    /// #[derive(serde::Deserialize)]
    /// struct User {
    ///     username: String,
    /// }
    ///
    /// let users = mite_core::FileDataPool::msgpack("recorder-data/users.msgpack")?
    ///     .map(|user: User| (user.username,))
    ///     .recyclable();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[must_use]
    pub fn map<U: 'static>(self, into: impl Fn(T) -> U + Send + Sync + 'static) -> FileDataPool<U>
    where
        T: 'static,
    {
        let Self { rows, order, shared } = self;
        FileDataPool { rows: rows.map(into), order, shared }
    }

    /// The rows.
    pub fn rows(&self) -> &FileRows<T> {
        &self.rows
    }

    /// The index of the row that comes at a place of the order.
    fn row_at(&self, place: u64) -> u64 {
        match &self.order {
            Order::AsWritten => place,
            Order::Shuffled(order) => order.at(place),
        }
    }

    fn place_of(&self, row: u64) -> u64 {
        match &self.order {
            Order::AsWritten => row,
            Order::Shuffled(order) => order.place_of(row),
        }
    }
}

impl<T> Clone for FileDataPool<T> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), order: self.order, shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for FileDataPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileDataPool").field("rows", &self.rows).field("order", &self.order).finish_non_exhaustive()
    }
}

impl<T: 'static> DataPool for FileDataPool<T> {
    type Item = T;

    async fn checkout(&self, _config: &Config) -> Result<Checkout<T>> {
        let (place, more) = match &mut *self.shared.turns() {
            Turns::Once(next) if *next == self.rows.len() => return Ok(Checkout::Exhausted),
            Turns::Once(next) => {
                *next += 1;
                (*next - 1, false)
            }
            Turns::Again(round) => match round.take() {
                Some(place) => (place, round.out < round.len),
                None => return Ok(Checkout::NoneFree),
            },
        };
        if more {
            // Two rows may have come back for one wake-up: whoever else waits is told that there is another.
            self.shared.returned.notify_one();
        }
        let row = self.row_at(place);
        let taken = Taken { shared: &self.shared, place };
        let item = self.rows.read(row)?;
        // It comes back with its item.
        std::mem::forget(taken);
        Ok(Checkout::Item { id: row + 1, item })
    }

    fn checkin(&self, id: u64) {
        // A number that this pool has never given is not its own.
        if let Some(row) = id.checked_sub(1).filter(|row| *row < self.rows.len()) {
            self.shared.give_back(self.place_of(row));
        }
    }

    async fn available(&self) {
        // A permit that nobody took may be old, and then the caller only asks once more than it had to.
        self.shared.returned.notified().await;
    }

    fn numbered(&self) -> Option<Numbered> {
        Some(Numbered::new(Some(self.rows.len()), &self.shared))
    }

    fn checkout_numbered(&self, number: &mut dyn FnMut() -> Option<u64>) -> Result<Checkout<T>> {
        let Some(place) = number() else { return Ok(Checkout::NoneFree) };
        if place >= self.rows.len() {
            return Ok(Checkout::Exhausted);
        }
        let row = self.row_at(place);
        Ok(Checkout::Item { id: row + 1, item: self.rows.read(row)? })
    }

    fn check(&self) -> Result {
        let path = self.rows.path().display();
        match *self.shared.turns() {
            _ if self.rows.is_empty() => {
                Err(Error::msg(format_args!("{path} has no rows: journeys would have nothing to run on")))
            }
            Turns::Once(taken) if taken == self.rows.len() => {
                Err(Error::msg(format_args!("all {taken} rows of {path} were used by an earlier run")))
            }
            _ => Ok(()),
        }
    }

    fn left(&self) -> Option<u64> {
        match *self.shared.turns() {
            Turns::Once(taken) => Some(self.rows.len() - taken),
            Turns::Again(_) => None,
        }
    }

    fn ends(&self) -> bool {
        matches!(*self.shared.turns(), Turns::Once(_))
    }
}

/// A place that was taken for a checkout: it is given back where reading its row fails or panics.
struct Taken<'a> {
    shared: &'a Shared,
    place: u64,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.shared.give_back(self.place);
    }
}

impl Shared {
    fn new(turns: Turns) -> Arc<Self> {
        Arc::new(Self { turns: Mutex::new(turns), returned: Notify::new() })
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // A panic elsewhere cannot leave it half changed: no user code is called while it is locked.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, place: u64) {
        if let Turns::Again(round) = &mut *self.turns() {
            round.give_back(place);
            self.returned.notify_one();
        }
    }
}

impl Round {
    fn new(len: u64) -> Self {
        Self { next: 0, len, out: 0, is_out: vec![0; len.div_ceil(u64::BITS.into()) as usize].into() }
    }

    /// The next place that is not out.
    fn take(&mut self) -> Option<u64> {
        if self.out == self.len {
            return None;
        }
        let mut place = self.next;
        loop {
            if place >= self.len {
                place = 0;
            }
            let (word, bit) = ((place / 64) as usize, place % 64);
            // Those of this word that are free, from this place on; beyond the last there may be some that are none.
            let free = !self.is_out[word] >> bit;
            match place + u64::from(free.trailing_zeros()) {
                found if free != 0 && found < self.len => {
                    self.is_out[word] |= 1 << (found % 64);
                    self.out += 1;
                    self.next = found + 1;
                    return Some(found);
                }
                _ => place = (place / 64 + 1) * 64,
            }
        }
    }

    fn give_back(&mut self, place: u64) {
        let (word, bit) = ((place / 64) as usize, 1 << (place % 64));
        if self.is_out[word] & bit != 0 {
            self.is_out[word] &= !bit;
            self.out -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
