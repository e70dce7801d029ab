//! How far a run's records were taken from the log into files: a side file in the recorder folder, replaced whole.
//!
//! It is apart from the files, which anybody reads, since only a recorder that goes on after another one reads this.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::batch::Producer;
use crate::recorder::{Folder, RecorderError, io_error, lock};

/// The version of what is written here.
const VERSION: u64 = 1;

/// What is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) v: u64,
    /// The number of the last item that was taken from the log.
    pub(super) taken: u64,
    pub(super) producers: Vec<ProducerState>,
    /// The files that were written or deleted in this run, by the names of their records.
    pub(super) files: BTreeMap<String, FileState>,
}

/// What was taken of a runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProducerState {
    pub(super) producer: Producer,
    /// The number of the last batch that is in the files, as are all before it.
    pub(super) last: u64,
    /// Batches that came before their turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) held: Vec<HeldBatch>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeldBatch {
    pub(super) number: u64,
    pub(super) packed: Bytes,
}

/// How far a file is durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileState {
    /// Bytes that it had when this run opened it, which are not this run's.
    pub(super) begun: u64,
    /// Bytes that it has; 0 where it may not be there.
    pub(super) length: u64,
    /// Records of this run in it.
    pub(super) records: u64,
}

/// Bytes, which serde would otherwise write as a list of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl serde::de::Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_owned()))
            }
        }

        deserializer.deserialize_bytes(BytesVisitor)
    }
}

/// Where a run's cursor is, and that no other recorder of the run is at work there.
#[derive(Debug)]
pub(super) struct CursorFile {
    path: PathBuf,
    /// What the next cursor is written to, and then renamed.
    next: PathBuf,
    lock_path: PathBuf,
    /// Held while it is open; `None` until it is read.
    lock: Option<File>,
}

impl CursorFile {
    pub(super) fn new(folder: &Folder, run: &str) -> Self {
        let of = |ending: &str| folder.path().join(format!(".{run}.{ending}"));
        Self { path: of("cursor"), next: of("cursor-next"), lock_path: of("lock"), lock: None }
    }

    /// Reads what another recorder has left, and keeps others away from then on; `None` where there was none.
    ///
    /// # Errors
    /// It cannot be read, or another recorder of the run is at work.
    pub(super) fn read(&mut self, folder: &Folder) -> Result<Option<Cursor>, RecorderError> {
        self.lock(folder)?;
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &self.path)(error)),
        };
        let broken = |source| io_error("read", &self.path)(io::Error::new(io::ErrorKind::InvalidData, source));
        let cursor: Cursor = rmp_serde::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if cursor.v != VERSION {
            return Err(broken("it was written by another version of mite".to_owned()));
        }
        Ok(Some(cursor))
    }

    fn lock(&mut self, folder: &Folder) -> Result<(), RecorderError> {
        if self.lock.is_some() {
            return Ok(());
        }
        folder.make()?;
        let file = File::options().create(true).append(true).open(&self.lock_path);
        let file = file.map_err(io_error("open", &self.lock_path))?;
        if !lock(&file, &self.lock_path) {
            return Err(RecorderError::Busy { folder: folder.path().to_owned() });
        }
        self.lock = Some(file);
        Ok(())
    }

    /// Writes a cursor so that there is always the one before it or this one, whatever dies.
    ///
    /// # Errors
    /// It cannot be written, or another recorder of the run is at work.
    pub(super) fn write(&mut self, folder: &Folder, cursor: &mut Cursor) -> Result<(), RecorderError> {
        self.lock(folder)?;
        self.write_next(cursor)?;
        fs::rename(&self.next, &self.path).map_err(io_error("write", &self.path))?;
        folder.sync()
    }

    pub(super) fn write_next(&self, cursor: &mut Cursor) -> Result<(), RecorderError> {
        cursor.v = VERSION;
        let packed = rmp_serde::to_vec_named(cursor);
        let packed = packed.unwrap_or_else(|error| unreachable!("plain data can be packed: {error}"));
        let mut file = File::create(&self.next).map_err(io_error("write", &self.next))?;
        file.write_all(&packed).and_then(|()| file.sync_all()).map_err(io_error("write", &self.next))
    }

    /// Deletes it with all that stands beside it.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub(super) fn delete(self, folder: &Folder) -> Result<(), RecorderError> {
        let mut was_there = false;
        for path in [&self.path, &self.next, &self.lock_path] {
            match fs::remove_file(path) {
                Ok(()) => was_there = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("delete", path)(error)),
            }
        }
        if was_there { folder.sync() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        let held = vec![HeldBatch { number: 9, packed: Bytes(vec![0, 255, 7]) }];
        let producers = vec![ProducerState { producer: Producer { rid: 3, boot: 1 << 60 }, last: 7, held }];
        let files = BTreeMap::from([("users".to_owned(), FileState { begun: 5, length: 17, records: 3 })]);
        Cursor { v: 0, taken: 12, producers, files }
    }

    #[test]
    fn what_is_written_is_read_again_and_deleted_without_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("recorder-data"));
        assert_eq!(CursorFile::new(&folder, "run7").read(&folder).unwrap(), None);
        let mut file = CursorFile::new(&folder, "run7");
        let mut written = cursor();
        file.write(&folder, &mut written).unwrap();
        // A second recorder of the run finds out; one of another run does not mind.
        let error = CursorFile::new(&folder, "run7").read(&folder).unwrap_err();
        assert!(error.to_string().contains("another recorder of this run"), "{error}");
        let mut other = CursorFile::new(&folder, "run8");
        assert_eq!(other.read(&folder).unwrap(), None);
        other.delete(&folder).unwrap();
        drop(file);
        let mut file = CursorFile::new(&folder, "run7");
        assert_eq!(file.read(&folder).unwrap(), Some(written));
        file.delete(&folder).unwrap();
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    }

    #[test]
    fn what_is_no_cursor_is_refused_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        fs::write(dir.path().join(".run7.cursor"), b"\xc1").unwrap();
        let error = CursorFile::new(&folder, "run7").read(&folder).unwrap_err();
        assert!(error.to_string().contains(".run7.cursor"), "{error}");
    }
}
