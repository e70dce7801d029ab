//! The log: items that are appended under an id, kept in order, and read by number.
//! It is apart from the bus and the register because it is where whatever must not be lost goes through.

use std::fmt::Debug;
use std::time::Duration;

use super::{BusError, Later};

/// Items in the order in which they were appended, numbered from 1.
///
/// Each is appended to a *lane*, a subject by which readers choose; the numbers are the log's, not the lane's.
///
/// ```
/// use std::time::Duration;
///
/// use mite_core::bus::{Discard, Fabric, Kept, Local};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// let kept = Kept { dedupe: Duration::from_secs(120), most_bytes: None, discard: Discard::New, age: None };
/// let log = Local::new().log("run7_records", kept).await.unwrap();
///
/// let first = log.append("users", "runner3.1", b"ada".to_vec()).await.unwrap();
/// // No acknowledgement came, and so it is sent again: it is there once.
/// assert_eq!(log.append("users", "runner3.1", b"ada".to_vec()).await.unwrap(), first);
/// log.append("orders", "runner3.2", b"a book".to_vec()).await.unwrap();
/// log.append("users", "runner3.3", b"grace".to_vec()).await.unwrap();
///
/// let mut users = log.read("users", 1).await.unwrap();
/// assert_eq!(users.next().await.unwrap().payload, b"ada");
/// let grace = users.next().await.unwrap();
/// assert_eq!((grace.sequence, grace.id.as_str()), (3, "runner3.3"));
/// # });
/// ```
pub trait Log: Debug + Send + Sync + 'static {
    /// Appends an item, and returns its number once it is stored.
    ///
    /// The same id again, whatever the lane and the payload, stores nothing and returns the number of the first, for as long
    /// as [`Kept::dedupe`] says and the item is there. So what was not acknowledged can be appended again.
    ///
    /// The order of items is that in which the log took them. Appends that are under way at the same time have none among
    /// them.
    ///
    /// # Errors
    /// [`BusError::is_full`] when nothing more is taken ([`Discard::New`]). A lane that is no subject,
    /// an id that is none ([`check_id`]), or a payload that is too large for what carries it ([`BusError::is_invalid`]).
    /// With no acknowledgement in time, or a connection that broke, it is not known whether it was stored.
    fn append(&self, lane: &str, id: &str, payload: Vec<u8>) -> Later<'_, u64>;

    /// Reads the items of all lanes that a pattern is about, from a number on (0 and 1 are the same).
    ///
    /// # Errors
    /// A pattern that is none, no answer in time, no connection, or no such log any more.
    fn read(&self, lanes: &str, from: u64) -> Later<'_, Box<dyn Reader>>;

    /// The number of the newest item, forgotten or not; 0 where there was none yet.
    ///
    /// # Errors
    /// No answer in time, no connection, or no such log any more.
    fn last(&self) -> Later<'_, u64>;

    /// Forgets all items before a number. The number may be one that does not exist yet.
    ///
    /// # Errors
    /// As [`Log::last`].
    fn purge_to(&self, sequence: u64) -> Later<'_, ()>;
}

/// Where somebody is in a log. It ends when it is dropped.
pub trait Reader: Debug + Send {
    /// The next item; at the end of the log it waits for one, also while there is no connection.
    ///
    /// Each item is told once, and in order. What was purged or forgotten before the reader came to it is left out, which the
    /// numbers show. A future of it that is dropped loses nothing.
    ///
    /// # Errors
    /// [`BusError::is_gap`] when items are missing that were neither purged nor forgotten, or when the log has others under
    /// numbers that were read already: the message has both numbers. The log was deleted ([`BusError::is_not_found`]).
    fn next(&mut self) -> Later<'_, Item>;
}

/// An item of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number, from 1. One that is forgotten leaves its number unused.
    pub sequence: u64,
    /// The lane that it was appended to.
    pub lane: String,
    /// What it was appended under.
    pub id: String,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// What a log keeps, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// For how long an id is remembered: at least 100 ms, at most [`Kept::age`].
    pub dedupe: Duration,
    /// Bytes that items may take in all, with what the log adds to each (below 200 bytes, and its lane and its id); none is
    /// as many as there is room for.
    pub most_bytes: Option<u64>,
    /// What happens when that is reached.
    pub discard: Discard,
    /// How old an item becomes: at least 100 ms. None is as old as the log.
    pub age: Option<Duration>,
}

/// What a log does that has reached [`Kept::most_bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// It takes no more: appends fail with [`BusError::is_full`] until something is purged.
    New,
    /// It forgets its oldest items.
    Old,
}

/// The shortest time that a log can be told.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest time, which 64 bits of nanoseconds have with room to spare.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Kept {
    /// Checks that it makes sense.
    ///
    /// # Errors
    /// A `dedupe` or an `age` below 100 ms or over a hundred years, a `dedupe` over `age`, a `most_bytes` of 0 or over
    /// `i64::MAX`; [`BusError::is_invalid`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use mite_core::bus::{Discard, Kept};
    ///
    /// let kept = Kept { dedupe: Duration::from_secs(120), most_bytes: Some(1 << 30), discard: Discard::New, age: None };
    /// assert!(kept.check().is_ok());
    /// assert!(Kept { age: Some(Duration::from_secs(60)), ..kept }.check().is_err());
    /// ```
    pub fn check(&self) -> Result<(), BusError> {
        let longest = self.age.unwrap_or(LONGEST);
        if !(SHORTEST..=LONGEST).contains(&longest) {
            return Err(BusError::invalid(format_args!("`age` is from 100 ms to 100 years, not {longest:?}")));
        }
        if !(SHORTEST..=longest).contains(&self.dedupe) {
            let dedupe = self.dedupe;
            return Err(BusError::invalid(format_args!("`dedupe` is from 100 ms to {longest:?}, not {dedupe:?}")));
        }
        match self.most_bytes {
            Some(bytes) if bytes == 0 || i64::try_from(bytes).is_err() => {
                Err(BusError::invalid(format_args!("`most_bytes` is from 1 to {}, not {bytes}", i64::MAX)))
            }
            _ => Ok(()),
        }
    }
}

/// Checks the id of an item: from 1 to 255 printable characters of ASCII, none of them a blank.
///
/// # Errors
/// It is none; [`BusError::is_invalid`].
///
/// ```
/// use mite_core::bus::check_id;
///
/// assert!(check_id("runner3.17").is_ok());
/// assert!(check_id("runner 3").is_err());
/// ```
pub fn check_id(id: &str) -> Result<(), BusError> {
    if (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(BusError::invalid(format_args!(
        "{id:?} is no id: one has from 1 to 255 printable characters of ASCII, no blanks"
    )))
}
