//! The folder of a recorder: its files by name, and whether they can be written at all.
//!
//! It is apart from the files, of which a folder has many, and from the recorders, which share it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{RecordFile, RecorderError, check_name, io_error};

/// A folder of recorder files, made with the first of them.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Folder {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), warnings: Arc::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What people should know of its files.
    pub(crate) fn warnings(&self) -> Arc<Mutex<Vec<String>>> {
        Arc::clone(&self.warnings)
    }

    /// Where the records of a name are.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.msgpack"))
    }

    /// Makes the folder where it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn make(&self) -> Result<(), RecorderError> {
        fs::create_dir_all(&self.path).map_err(io_error("make the recorder folder", &self.path))
    }

    /// Opens the file of a name, or makes it.
    ///
    /// # Errors
    /// The name is none, or as [`RecordFile::open`].
    pub(crate) fn open(&self, name: &str) -> Result<RecordFile, RecorderError> {
        check_name(name)?;
        self.make()?;
        let (file, warning) = RecordFile::open(self.file(name))?;
        if let Some(warning) = warning {
            self.warn(warning);
        }
        self.sync()?;
        Ok(file)
    }

    pub(crate) fn warn(&self, warning: String) {
        tracing::warn!("{warning}");
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }

    /// Deletes the file of a name; one that is not there is no error.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub(crate) fn delete(&self, name: &str) -> Result<(), RecorderError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error("delete", &path)(error)),
        }
    }

    /// Makes the folder's list of files durable, without which a file that was just made may be lost with its content.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn sync(&self) -> Result<(), RecorderError> {
        if cfg!(unix) {
            let folder = File::open(&self.path).and_then(|folder| folder.sync_all());
            folder.map_err(io_error("sync the folder", &self.path))?;
        }
        Ok(())
    }

    /// Finds out whether it can be written, without leaving anything behind.
    ///
    /// # Errors
    /// It cannot.
    pub(crate) fn probe(&self) -> Result<(), RecorderError> {
        let mut there = self.path.as_path();
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
}
