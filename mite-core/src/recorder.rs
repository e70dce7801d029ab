//! The recorder: writes the data that journeys create to files, one for each name, and loses none of it.
//!
//! `NAME.msgpack` is the `data` of each `data_created` message, one after another with nothing between them; `purge_data`
//! deletes the file. [`recorded`](crate::recorded) reads such files.

mod memory;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::live_figures::LiveFigures;
use crate::message::{Message, split_text};
use crate::names::{DATA_CREATED, KindId, PURGE_DATA};
use crate::recordings::Records;
use crate::scan::{self, ScanError};
use crate::sink::{Sink, SinkError, Wants, WhenFull};

pub(crate) use memory::MemoryRecorder;

/// What errors and threads call a recorder.
const NAME: &str = "recorder";
/// What a recorder takes.
const WANTS: Wants = Wants::Types(&[DATA_CREATED, PURGE_DATA]);

/// Bytes that are gathered for a file before they are written.
const BUFFER: usize = 128 * 1024;

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
enum Record<'a> {
    /// The value, as MessagePack.
    Created(&'a [u8]),
    Purged,
}

/// The name that a message is about, and what it tells.
///
/// # Errors
/// The message lacks what it should have.
fn record<'a>(message: &'a Message<'_>) -> Result<(&'a str, Record<'a>), RecorderError> {
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
    folder: PathBuf,
    files: BTreeMap<String, RecordFile>,
    records: Records,
    warnings: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct RecordFile {
    path: PathBuf,
    file: File,
    /// Bytes of records that were there when it was opened.
    begun: u64,
    /// Bytes of whole records in the file.
    length: u64,
    buffer: Vec<u8>,
    buffered: u64,
    unsynced: bool,
}

impl Recorder {
    /// A recorder of files in `folder`, which is made with the first record.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), files: BTreeMap::new(), records: Records::default(), warnings: Arc::default() }
    }

    pub(crate) fn records(&self) -> Records {
        self.records.clone()
    }

    pub(crate) fn warnings(&self) -> Arc<Mutex<Vec<String>>> {
        Arc::clone(&self.warnings)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.msgpack"))
    }

    fn open_file(&self, name: &str) -> Result<RecordFile, RecorderError> {
        check_name(name)?;
        fs::create_dir_all(&self.folder).map_err(io_error("make the recorder folder", &self.folder))?;
        let (file, warning) = RecordFile::open(self.path(name))?;
        if let Some(warning) = warning {
            tracing::warn!("{warning}");
            self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
        }
        sync_folder(&self.folder)?;
        Ok(file)
    }

    fn purge(&mut self, name: &str) -> Result<(), RecorderError> {
        check_name(name)?;
        self.files.remove(name);
        self.records.forget(name);
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => sync_folder(&self.folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error("delete", &path)(error)),
        }
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

fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> RecorderError + 'a {
    move |source| RecorderError::Io { doing, path: path.to_owned(), source }
}

/// Makes the folder's list of files durable, without which a file that was just made may be lost with its content.
fn sync_folder(folder: &Path) -> Result<(), RecorderError> {
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync the folder", folder))?;
    }
    Ok(())
}

impl RecordFile {
    fn open(path: PathBuf) -> Result<(Self, Option<String>), RecorderError> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = file.map_err(io_error("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(RecorderError::Locked { path }),
            // A file system without locks: nothing is lost but this check.
            Err(fs::TryLockError::Error(error)) => tracing::debug!(%error, path = %path.display(), "no file lock"),
        }
        let (length, warning) = cut_torn_tail(&file, &path)?;
        Ok((Self { path, file, begun: length, length, buffer: Vec::new(), buffered: 0, unsynced: false }, warning))
    }

    fn append(&mut self, data: &[u8]) -> Result<u64, RecorderError> {
        self.buffer.extend_from_slice(data);
        self.buffered += 1;
        if self.buffer.len() < BUFFER { Ok(0) } else { self.flush() }
    }

    /// Writes what is buffered, whole records only, and says how many there were.
    fn flush(&mut self) -> Result<u64, RecorderError> {
        if self.buffer.is_empty() {
            return Ok(0);
        }
        if let Err(error) = self.file.write_all(&self.buffer) {
            // Some of it may have been written, and what is whole stays. If the rest cannot be cut off now, it is when the file is
            // opened again.
            let written = self.file.metadata().map_or(0, |file| file.len().saturating_sub(self.length));
            self.length += whole_records(&self.buffer, written);
            let _ = self.file.set_len(self.length);
            return Err(io_error("write", &self.path)(error));
        }
        self.length += self.buffer.len() as u64;
        self.buffer.clear();
        self.unsynced = true;
        Ok(std::mem::take(&mut self.buffered))
    }

    fn sync(&mut self) -> Result<(), RecorderError> {
        if std::mem::take(&mut self.unsynced) {
            self.file.sync_data().map_err(io_error("sync", &self.path))?;
            self.check_is_there()?;
        }
        Ok(())
    }

    /// Writing goes on without an error when somebody deletes the file, and all of it is lost.
    fn check_is_there(&self) -> Result<(), RecorderError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let own = self.file.metadata().map_err(io_error("look at", &self.path))?;
            let found = fs::metadata(&self.path).map(|found| (found.dev(), found.ino()));
            if found.ok() != Some((own.dev(), own.ino())) {
                return Err(RecorderError::Gone { path: self.path.clone() });
            }
        }
        Ok(())
    }
}

/// How many bytes the records take that are whole in the first `written` bytes of `buffer`.
fn whole_records(buffer: &[u8], written: u64) -> u64 {
    let mut whole = 0;
    while let Ok(len) = scan::value_len(&buffer[whole..])
        && (whole + len) as u64 <= written
    {
        whole += len;
    }
    whole as u64
}

/// Cuts a value that is not whole from the file's end; gives the length that it then has, and a warning.
fn cut_torn_tail(file: &File, path: &Path) -> Result<(u64, Option<String>), RecorderError> {
    let length = file.metadata().map_err(io_error("open", path))?.len();
    // No further than this: a device, which a name may be linked to, has no end.
    let mut reader = BufReader::with_capacity(BUFFER, io::Read::take(file, length));
    let (mut whole, mut value) = (0, Vec::new());
    loop {
        match scan::read_value(&mut reader, &mut value) {
            Ok(true) => whole += value.len() as u64,
            Ok(false) => return Ok((whole, None)),
            Err(ScanError::Torn) => break,
            Err(ScanError::Invalid { offset }) => {
                return Err(RecorderError::Broken { path: path.to_owned(), at: whole + offset });
            }
            Err(ScanError::Io(error)) => return Err(io_error("read", path)(error)),
        }
    }
    file.set_len(whole).map_err(io_error("cut the torn end of", path))?;
    let cut = length - whole;
    let warning = format!("{}: a record that was not whole was cut off its end ({cut} bytes)", path.display());
    Ok((whole, Some(warning)))
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
        let mut there = self.folder.as_path();
        // The nearest folder that exists is the one that must let us in: the rest is made with the first record.
        while !there.as_os_str().is_empty() && !there.try_exists().map_err(io_error("look for", there))? {
            there = there.parent().unwrap_or(Path::new(""));
        }
        let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        let probe = there.join(format!(".mite-probe-{}-{:p}", std::process::id(), &raw const *self));
        File::create(&probe).map_err(io_error("write to the recorder folder", there))?;
        fs::remove_file(&probe).map_err(io_error("write to the recorder folder", there))?;
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        let (name, record) = record(message)?;
        let Record::Created(data) = record else { return Ok(self.purge(name)?) };
        let file = if let Some(file) = self.files.get_mut(name) {
            file
        } else {
            let file = self.open_file(name)?;
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
    fn a_torn_tail_is_cut_off_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.msgpack");
        fs::write(&path, b"\x81\xa1a\x01\x81\xa1a\x02\x81\xa1").unwrap();
        let (mut file, warning) = RecordFile::open(path.clone()).unwrap();
        assert!(warning.unwrap().ends_with("a record that was not whole was cut off its end (2 bytes)"));
        file.append(b"\x81\xa1a\x03").unwrap();
        assert_eq!(file.flush().unwrap(), 1);
        assert_eq!(fs::read(&path).unwrap(), b"\x81\xa1a\x01\x81\xa1a\x02\x81\xa1a\x03");
    }

    #[test]
    fn a_file_of_something_else_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.msgpack");
        fs::write(&path, b"\x81\xa1a\x01\x92\x01\xc1\x02").unwrap();
        let error = RecordFile::open(path.clone()).unwrap_err();
        assert!(error.to_string().contains("is broken at byte 6"), "{error}");
        assert_eq!(fs::metadata(&path).unwrap().len(), 8);
    }

    #[test]
    fn of_what_was_not_written_to_its_end_whole_records_are_left() {
        let buffer = b"\x81\xa1a\x01\x81\xa1a\x02\x07";
        let left: Vec<u64> = (0..=10).map(|written| whole_records(buffer, written)).collect();
        assert_eq!(left, [0, 0, 0, 0, 4, 4, 4, 4, 8, 9, 9]);
    }

    #[test]
    fn two_runs_do_not_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.msgpack");
        let _first = RecordFile::open(path.clone()).unwrap();
        assert!(matches!(RecordFile::open(path), Err(RecorderError::Locked { .. })));
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
