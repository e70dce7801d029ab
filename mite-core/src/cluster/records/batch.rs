//! A batch of records as it is in the log: how it is packed, read, and numbered.
//!
//! Who writes and who reads are kept together, since each must undo the other. The bytes are a MessagePack map: `v`, and `records`, which
//! has a name and a value for each record; the value is `bin`, so that it is passed over without being looked into, or nil where
//! the name was purged. Fields that are not known are passed over.

use std::fmt;
use std::str::FromStr;

use crate::message::split_text;
use crate::pack;
use crate::recorder::Record;
use crate::scan;

/// The version of what is written here.
const VERSION: u64 = 1;
/// Records of a batch at the most, unless one alone has more bytes.
const MOST_RECORDS: u32 = 256;
/// Bytes of a batch, after which it is full.
const MOST_BYTES: usize = 128 * 1024;
/// Bytes that a record and its name may have. A NATS server takes 1 MiB at once by default, what names the item included.
pub(super) const MOST_RECORD_BYTES: usize = 1_000_000;

/// A runner that was started: after a restart it is another producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub(super) struct Producer {
    pub(super) rid: u32,
    pub(super) boot: u64,
}

impl fmt::Display for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:x}", self.rid, self.boot)
    }
}

/// What a batch is appended under: its producer and its number there, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchId {
    pub(super) producer: Producer,
    pub(super) number: u64,
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.producer, self.number)
    }
}

impl FromStr for BatchId {
    type Err = Unreadable;

    fn from_str(id: &str) -> Result<Self, Unreadable> {
        let read = || {
            let (rid, rest) = id.split_once('.')?;
            let (boot, number) = rest.split_once('.')?;
            let producer = Producer { rid: rid.parse().ok()?, boot: u64::from_str_radix(boot, 16).ok()? };
            let number = number.parse().ok().filter(|number| *number > 0)?;
            Some(Self { producer, number })
        };
        read().ok_or(Unreadable("its id is not that of a batch"))
    }
}

/// Why an item of the log is no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(pub(super) &'static str);

/// Records that are gathered.
#[derive(Debug, Default)]
pub(super) struct Batch {
    records: u32,
    bytes: Vec<u8>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub(super) fn records(&self) -> u32 {
        self.records
    }

    /// Whether a record of so many bytes, its name included, belongs into the next one.
    pub(super) fn is_full_for(&self, bytes: usize) -> bool {
        self.records > 0 && (self.records >= MOST_RECORDS || self.bytes.len() + bytes > MOST_BYTES)
    }

    pub(super) fn push(&mut self, name: &str, record: &Record<'_>) {
        self.records += 1;
        pack::write_str(&mut self.bytes, name);
        match record {
            Record::Created(data) => pack::write_bin(&mut self.bytes, data),
            Record::Purged => pack::write_nil(&mut self.bytes),
        }
    }

    /// The batch as bytes.
    pub(super) fn pack(self) -> Vec<u8> {
        let mut packed = Vec::with_capacity(self.bytes.len() + 32);
        pack::write_map_len(&mut packed, 2);
        pack::write_str(&mut packed, "v");
        pack::write_uint(&mut packed, VERSION);
        pack::write_str(&mut packed, "records");
        pack::write_array_len(&mut packed, self.records * 2);
        packed.extend_from_slice(&self.bytes);
        packed
    }
}

/// The records of a packed batch: each name, and what is told of it.
///
/// # Errors
/// It is none, or of a later version.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<(&str, Record<'_>)>, Unreadable> {
    const BROKEN: Unreadable = Unreadable("it is no batch of records");
    let mut rest = packed;
    let fields = rmp::decode::read_map_len(&mut rest).map_err(|_| BROKEN)?;
    let mut version = None;
    let mut records = None;
    for _ in 0..fields {
        let (key, after) = split_text(rest).ok_or(BROKEN)?;
        rest = after;
        match key {
            b"v" => version = Some(rmp::decode::read_int::<u64, _>(&mut rest).map_err(|_| BROKEN)?),
            b"records" => records = Some(unpack_records(&mut rest).ok_or(BROKEN)?),
            _ => {
                let len = scan::value_len(rest).map_err(|_| BROKEN)?;
                rest = rest.get(len..).ok_or(BROKEN)?;
            }
        }
    }
    match version {
        Some(VERSION) => records.ok_or(BROKEN),
        Some(_) => Err(Unreadable("it was written by another version of mite")),
        None => Err(BROKEN),
    }
}

fn unpack_records<'a>(rest: &mut &'a [u8]) -> Option<Vec<(&'a str, Record<'a>)>> {
    let values = rmp::decode::read_array_len(rest).ok()?;
    let mut records = Vec::new();
    for _ in 0..values / 2 {
        let (name, after) = split_text(rest)?;
        let name = std::str::from_utf8(name).ok()?;
        *rest = after;
        let record = if rest.first() == Some(&rmp::Marker::Null.to_u8()) {
            *rest = &rest[1..];
            Record::Purged
        } else {
            let len = rmp::decode::read_bin_len(rest).ok()?;
            let (data, after) = rest.split_at_checked(len as usize)?;
            *rest = after;
            Record::Created(data)
        };
        records.push((name, record));
    }
    values.is_multiple_of(2).then_some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_read_again() {
        let mut batch = Batch::default();
        batch.push("users", &Record::Created(b"\x81\xa1a\x01"));
        batch.push("old users", &Record::Purged);
        batch.push("users", &Record::Created(b"\xc0"));
        let packed = batch.pack();
        let records = unpack(&packed).unwrap();
        let text: Vec<String> = records.iter().map(|(name, record)| format!("{name} {record:?}")).collect();
        assert_eq!(text, ["users Created([129, 161, 97, 1])", "old users Purged", "users Created([192])"]);
    }

    #[test]
    fn unknown_fields_are_passed_over_and_other_versions_are_refused() {
        let mut batch = Batch::default();
        batch.push("users", &Record::Created(b"\x07"));
        let packed = batch.pack();
        let mut later = vec![0x83, 0xa6];
        later.extend_from_slice(b"colour\x93\x01\x02\x03");
        later.extend_from_slice(&packed[1..]);
        assert_eq!(unpack(&later).unwrap().len(), 1);

        let mut other = packed.clone();
        other[3] = 2;
        assert_eq!(unpack(&other).unwrap_err().to_string(), "it was written by another version of mite");
        for end in 0..packed.len() {
            assert!(unpack(&packed[..end]).is_err(), "{end}");
        }
        assert!(unpack(b"\xc1").is_err());
    }

    #[test]
    fn a_batch_is_full_by_records_and_by_bytes() {
        let mut batch = Batch::default();
        // One that is large is a batch of its own.
        assert!(!batch.is_full_for(MOST_RECORD_BYTES));
        for _ in 0..MOST_RECORDS {
            assert!(!batch.is_full_for(4));
            batch.push("a", &Record::Created(b"\x01"));
        }
        assert!(batch.is_full_for(4));
        let mut batch = Batch::default();
        batch.push("a", &Record::Created(&vec![0; MOST_BYTES / 2]));
        assert!(batch.is_full_for(MOST_BYTES / 2));
        assert!(!batch.is_full_for(MOST_BYTES / 4));
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = BatchId { producer: Producer { rid: 7, boot: u64::MAX }, number: 3 };
        assert_eq!(id.to_string(), "7.ffffffffffffffff.3");
        assert_eq!(id.to_string().parse(), Ok(id));
        for id in ["", "7", "7.ff", "7.ff.", "7.ff.0", "7.xx.1", "-1.ff.1", "7.ff.1.2"] {
            assert!(id.parse::<BatchId>().is_err(), "{id:?}");
        }
    }
}
