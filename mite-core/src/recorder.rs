//! The recorder: writes the data that journeys create to files, one for each name, and loses none of it.
//!
//! `NAME.msgpack` is the `data` of each `data_created` message, one after another with nothing between them; `purge_data`
//! deletes the file. [`recorded`](crate::recorded) reads such files.

mod file;
mod folder;
mod memory;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::live_figures::LiveFigures;
use crate::message::{Message, split_text};
use crate::names::{DATA_CREATED, KindId, PURGE_DATA};
use crate::recordings::Records;
use crate::sink::{Sink, SinkError, Wants, WhenFull};

pub(crate) use file::{RecordFile, lock};
pub(crate) use folder::Folder;
pub(crate) use memory::MemoryRecorder;

/// What errors and threads call a recorder.
pub(crate) const NAME: &str = "recorder";
/// What a recorder takes.
pub(crate) const WANTS: Wants = Wants::Types(&[DATA_CREATED, PURGE_DATA]);

/// Why a name cannot be that of a recorder file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot name recorded data: {why}")]
pub struct NameError {
    name: String,
    why: &'static str,
}

/// Checks a name under which data is recorded: it becomes a file's name and must not be a path.
///
/// # Errors
/// An empty name, one of over 100 bytes, one with a separator or a NUL, or one that begins with a dot.
pub(crate) fn check_name(name: &str) -> Result<(), NameError> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > 100 {
        "it has over 100 bytes"
    } else if name.starts_with('.') {
        "it begins with a dot"
    } else if name.bytes().any(|byte| matches!(byte, b'/' | b'\\' | 0)) {
        "it becomes the name of a file, and so has no `/`, `\\` or NUL"
    } else {
        return Ok(());
    };
    Err(NameError { name: name.to_owned(), why })
}

/// What a recorder fails with: always with the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// The folder or a file cannot be made, opened, written or deleted.
    #[error("failed to {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file that should be appended to is no recorder file.
    #[error("{} is broken at byte {at}: move it away, or purge it, before more is recorded", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The byte at which there is no MessagePack value.
        at: u64,
    },
    /// Another run has the file open.
    #[error("{} is being written by another run: give each its own recorder folder", .path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is not where it was.
    #[error("{} was deleted or moved away while it was being written", .path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The file has lost what was made durable.
    #[error("{} has {found} bytes, and this run has recorded up to byte {recorded} of it: it was changed", .path.display())]
    Shorter {
        /// The file.
        path: PathBuf,
        /// Bytes that it has.
        found: u64,
        /// Bytes that it should have at the least.
        recorded: u64,
    },
    /// Another process records the same run.
    #[error("another recorder of this run is at work in {}", .folder.display())]
    Busy {
        /// The recorder folder.
        folder: PathBuf,
    },
    /// A message that is no record.
    #[error("a message of type {kind:?} has no {field:?}")]
    Incomplete {
        /// The message's type.
        kind: String,
        /// The field that it lacks.
        field: &'static str,
    },
    /// A name that a message carried is none for a file.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// What a message tells a recorder.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Record<'a> {
    /// The value, as MessagePack.
    Created(&'a [u8]),
    Purged,
}

/// The name that a message is about, and what it tells.
///
/// # Errors
/// The message lacks what it should have.
pub(crate) fn record<'a>(message: &'a Message<'_>) -> Result<(&'a str, Record<'a>), RecorderError> {
    let lacks = |field| RecorderError::Incomplete { kind: message.kind().to_string(), field };
    let (mut name, mut data) = (None, None);
    for (key, value) in message.fields() {
        match key {
            // Where there are two of a name, it is the first that the journey's message was checked for.
            b"name" => name = name.or_else(|| split_text(value)),
            b"data" => data = data.or(Some(value)),
            _ => {}
        }
    }
    let (name, _) = name.ok_or_else(|| lacks("name"))?;
    let name = std::str::from_utf8(name).map_err(|_| lacks("name"))?;
    if message.is(KindId::PURGE_DATA) {
        return Ok((name, Record::Purged));
    }
    Ok((name, Record::Created(data.ok_or_else(|| lacks("data"))?)))
}

/// Writes `data_created` messages to `FOLDER/NAME.msgpack`, appending; see [`Run::recorder`](crate::Run::recorder).
///
/// What is recorded is on its way to the disk within a tenth of a second, is fsynced once a second and before the run
/// ends. A value that a power cut tore off is cut from the file's end when it is opened again, with a warning.
#[derive(Debug)]
pub struct Recorder {
    folder: Folder,
    files: BTreeMap<String, RecordFile>,
    records: Records,
}

impl Recorder {
    /// A recorder of files in `folder`, which is made with the first record.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Folder::new(folder), files: BTreeMap::new(), records: Records::default() }
    }

    pub(crate) fn records(&self) -> Records {
        self.records.clone()
    }

    pub(crate) fn warnings(&self) -> Arc<Mutex<Vec<String>>> {
        self.folder.warnings()
    }

    fn purge(&mut self, name: &str) -> Result<(), RecorderError> {
        check_name(name)?;
        self.files.remove(name);
        self.records.forget(name);
        self.folder.delete(name)
    }

    fn write_out(&mut self) -> Result<(), RecorderError> {
        for (name, file) in &mut self.files {
            let written = file.flush()?;
            if written > 0 {
                self.records.written(name, written, &file.path, file.begun..file.length);
            }
        }
        Ok(())
    }
}

/// Names what was tried, and with which file.
pub(crate) fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> RecorderError + 'a {
    move |source| RecorderError::Io { doing, path: path.to_owned(), source }
}

impl Sink for Recorder {
    fn name(&self) -> &'static str {
        NAME
    }

    fn wants(&self) -> Wants {
        WANTS
    }

    fn when_full(&self) -> WhenFull {
        WhenFull::Wait
    }

    fn is_essential(&self) -> bool {
        true
    }

    /// Finds out whether the folder can be written, without leaving anything behind.
    fn open(&mut self, _: &LiveFigures) -> Result<(), SinkError> {
        Ok(self.folder.probe()?)
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        let (name, record) = record(message)?;
        let Record::Created(data) = record else { return Ok(self.purge(name)?) };
        let file = if let Some(file) = self.files.get_mut(name) {
            file
        } else {
            let file = self.folder.open(name)?;
            self.files.entry(name.to_owned()).or_insert(file)
        };
        let written = file.append(data)?;
        if written > 0 {
            self.records.written(name, written, &file.path, file.begun..file.length);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(self.write_out()?)
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.write_out()?;
        for file in self.files.values_mut() {
            file.sync()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_are_names_of_files() {
        let why = |name: &str| check_name(name).unwrap_err().to_string();
        assert_eq!(why(""), "\"\" cannot name recorded data: it is empty");
        assert_eq!(why(&"x".repeat(101)).rsplit(": ").next(), Some("it has over 100 bytes"));
        for path in ["../users", "a/b", "a\\b", "a\0b", ".hidden"] {
            assert!(check_name(path).is_err(), "{path:?}");
        }
        for name in ["users", "users 2", "ünïcode", "a.b", &"x".repeat(100)] {
            check_name(name).unwrap();
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_refused_and_one_that_can_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("deep/recorder-data");
        let live = LiveFigures::new(tokio::sync::mpsc::unbounded_channel().0);
        Recorder::new(&wanted).open(&live).unwrap();
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Recorder::new(file.join("sub")).open(&live).unwrap_err();
        assert!(error.to_string().starts_with("failed to "), "{error}");
        let error = Recorder::new(&file).open(&live).unwrap_err();
        assert!(error.to_string().starts_with("failed to write to the recorder folder"), "{error}");
    }
}
