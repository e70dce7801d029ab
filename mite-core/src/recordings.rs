//! What a run has recorded: how many records each name has, and where they are.
//!
//! A recorder keeps this account while it writes; the report takes it over, and reads the records back by it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;

use crate::nearest::{did_you_mean, list};
use crate::recorded::{self, RecordedError};

/// The records of one name since it was last purged.
struct Recording {
    records: u64,
    kept: Kept,
}

enum Kept {
    /// Whole records in these bytes of the file; what stands before them is of earlier runs.
    File { path: PathBuf, bytes: Range<u64> },
    /// The records, one after another.
    Memory(Vec<u8>),
    /// By another process, in its own folder.
    Elsewhere { by: String },
}

type ByName = BTreeMap<String, Recording>;

/// The account of a run under way.
#[derive(Clone, Default)]
pub(crate) struct Records(Arc<Mutex<ByName>>);

impl Records {
    fn by_name(&self) -> MutexGuard<'_, ByName> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts records that were written to a file, which now has this run's in these bytes.
    pub(crate) fn written(&self, name: &str, records: u64, path: &Path, bytes: Range<u64>) {
        let mut by_name = self.by_name();
        let before = by_name.get(name).map_or(0, |recording| recording.records);
        let kept = Kept::File { path: path.to_owned(), bytes };
        by_name.insert(name.to_owned(), Recording { records: before + records, kept });
    }

    /// Keeps a record in memory.
    pub(crate) fn keep(&self, name: &str, data: &[u8]) {
        let mut by_name = self.by_name();
        if let Some(Recording { records, kept: Kept::Memory(bytes) }) = by_name.get_mut(name) {
            *records += 1;
            bytes.extend_from_slice(data);
        } else {
            by_name.insert(name.to_owned(), Recording { records: 1, kept: Kept::Memory(data.to_owned()) });
        }
    }

    /// Counts what another process has written.
    pub(crate) fn written_by(&self, by: &str, counts: &BTreeMap<String, u64>) {
        let recording = |records| Recording { records, kept: Kept::Elsewhere { by: by.to_owned() } };
        self.by_name().extend(counts.iter().map(|(name, records)| (name.clone(), recording(*records))));
    }

    pub(crate) fn forget(&self, name: &str) {
        self.by_name().remove(name);
    }

    /// How many records each name has by now.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        counts(&self.by_name())
    }

    /// Hands the account over, when nothing more is recorded.
    pub(crate) fn taken(&self) -> Recordings {
        Recordings { by_name: Some(Arc::new(std::mem::take(&mut *self.by_name()))) }
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&counts(&self.by_name()), f)
    }
}

/// The account of a run that has ended.
#[derive(Clone, Default)]
pub(crate) struct Recordings {
    /// `None` where the run had no recorder.
    by_name: Option<Arc<ByName>>,
}

impl Recordings {
    /// How many records each name has.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.by_name.as_deref().map(counts).unwrap_or_default()
    }

    /// The records of a name, typed.
    ///
    /// # Errors
    /// As [`Report::recorded`](crate::Report::recorded).
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, RecordedError> {
        let Some(by_name) = &self.by_name else { return Err(RecordedError::NoRecorder { name: name.to_owned() }) };
        let Some(recording) = by_name.get(name) else {
            let names: Vec<&String> = by_name.keys().collect();
            let there = if names.is_empty() { "nothing".to_owned() } else { list(&names) };
            let hint = format!("{}: it has recorded {there}", did_you_mean(name, &names));
            return Err(RecordedError::NotRecorded { name: name.to_owned(), hint });
        };
        match &recording.kept {
            Kept::Elsewhere { by } => Err(RecordedError::Elsewhere { name: name.to_owned(), by: by.clone() }),
            Kept::Memory(bytes) => recorded::read(PathBuf::from(name), 0, bytes.as_slice()),
            Kept::File { path, bytes } => {
                let io_error = |source: io::Error| match source.kind() {
                    io::ErrorKind::NotFound => RecordedError::Changed { path: path.clone() },
                    _ => RecordedError::Io { path: path.clone(), source },
                };
                let mut file = File::open(path).map_err(io_error)?;
                file.seek(SeekFrom::Start(bytes.start)).map_err(io_error)?;
                let part = BufReader::with_capacity(64 * 1024, file.take(bytes.end - bytes.start));
                let rows = recorded::read(path.clone(), bytes.start, part)?;
                if rows.len() as u64 != recording.records {
                    return Err(RecordedError::Changed { path: path.clone() });
                }
                Ok(rows)
            }
        }
    }
}

/// Not the records themselves, of which there may be millions.
impl fmt::Debug for Recordings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.counts(), f)
    }
}

fn counts(by_name: &ByName) -> BTreeMap<String, u64> {
    by_name.iter().map(|(name, recording)| (name.clone(), recording.records)).collect()
}
