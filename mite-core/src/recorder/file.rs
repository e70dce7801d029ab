//! One recorder file: records are appended to it, whole ones only, and are made durable when that is asked for.
//!
//! It is apart from the recorders, which decide what goes to which file, and when.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use super::{RecorderError, io_error};
use crate::scan::{self, ScanError};

/// Bytes that are gathered for a file before they are written.
const BUFFER: usize = 128 * 1024;

/// A file of records that is being appended to.
#[derive(Debug)]
pub(crate) struct RecordFile {
    pub(crate) path: PathBuf,
    file: File,
    /// Bytes of records that were there when it was opened.
    pub(crate) begun: u64,
    /// Bytes of whole records in the file.
    pub(crate) length: u64,
    buffer: Vec<u8>,
    buffered: u64,
    unsynced: bool,
}

impl RecordFile {
    /// Opens a file, or makes it, to append to what is there; with a warning if its end had to be cut off.
    ///
    /// # Errors
    /// It cannot be opened, another run has it open, or it is no recorder file.
    pub(crate) fn open(path: PathBuf) -> Result<(Self, Option<String>), RecorderError> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = file.map_err(io_error("open", &path))?;
        if !lock(&file, &path) {
            return Err(RecorderError::Locked { path });
        }
        let (length, warning) = cut_torn_tail(&file, &path)?;
        Ok((Self::of(path, file, length, length), warning))
    }

    /// Opens a file again that had so many bytes when it was opened for this run, and of which so many are to stay: what comes
    /// after them is cut off.
    ///
    /// # Errors
    /// As [`RecordFile::open`], and it is not there or shorter.
    pub(crate) fn reopen(path: PathBuf, begun: u64, length: u64) -> Result<Self, RecorderError> {
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(RecorderError::Gone { path }),
            Err(error) => return Err(io_error("open", &path)(error)),
        };
        if !lock(&file, &path) {
            return Err(RecorderError::Locked { path });
        }
        let found = file.metadata().map_err(io_error("look at", &path))?.len();
        if found < length {
            return Err(RecorderError::Shorter { path, found, recorded: length });
        }
        if found > length {
            file.set_len(length).map_err(io_error("cut back", &path))?;
        }
        Ok(Self::of(path, file, begun, length))
    }

    fn of(path: PathBuf, file: File, begun: u64, length: u64) -> Self {
        Self { path, file, begun, length, buffer: Vec::new(), buffered: 0, unsynced: false }
    }

    /// Takes a record, and says how many were written by that.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn append(&mut self, data: &[u8]) -> Result<u64, RecorderError> {
        self.buffer.extend_from_slice(data);
        self.buffered += 1;
        if self.buffer.len() < BUFFER { Ok(0) } else { self.flush() }
    }

    /// Writes what is buffered, whole records only, and says how many there were.
    ///
    /// # Errors
    /// The file cannot be written: whole records of it may have been.
    pub(crate) fn flush(&mut self) -> Result<u64, RecorderError> {
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

    /// Makes durable what was written.
    ///
    /// # Errors
    /// The file cannot be synced, or it is not there any more.
    pub(crate) fn sync(&mut self) -> Result<(), RecorderError> {
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

/// Whether the file is nobody else's; on a file system without locks nothing is lost but this check.
pub(crate) fn lock(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Ok(()) => true,
        Err(fs::TryLockError::WouldBlock) => false,
        Err(fs::TryLockError::Error(error)) => {
            tracing::debug!(%error, path = %path.display(), "no file lock");
            true
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
