//! The collector: writes every message of a run to files, for looking at afterwards.
//!
//! It is apart from the recorder, which keeps the data of some messages for the next run and must not lose any of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::json_lines;
use crate::live_figures::LiveFigures;
use crate::message::Message;
use crate::sink::{Sink, SinkError, Wants, WhenFull};

/// After so many messages a file is done, unless told otherwise.
const ROLL_AFTER: u64 = 100_000;
/// The file that is being written.
const CURRENT: &str = "current";
/// What tells when it was begun, in Unix seconds.
const CURRENT_START_TIME: &str = "current_start_time";

/// What a collector fails with: always with the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorError {
    /// The folder or a file cannot be made, opened, written or renamed.
    #[error("failed to {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another run has the folder's file open.
    #[error("{} is being written by another run: give each its own collector folder", .path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A file that never ends.
    #[error("a collector's file must be rolled after one message or more, not after 0")]
    RollAfter,
}

type Filter = Box<dyn FnMut(&Message<'_>) -> bool + Send>;

/// Writes all messages to files in a folder, one after another, as MessagePack or as lines of JSON.
///
/// `current` is the file that is being written, and `current_start_time` the Unix second in which it was begun. After 100 000
/// messages, and when one is found at the start, it is renamed to `START_END_COUNTER`. `mite cat` reads these files, and so does
/// that of Python's mite. Journeys wait for a collector that does not keep up; a run goes on without one that has failed.
///
/// ```
/// # use mite_core::volume::{SECOND, at_once};
/// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
/// use mite_core::Collector;
///
/// # let folder = std::env::temp_dir().join(format!("mite-collector-{}", std::process::id()));
/// let scenario = Scenario::new().row(Row::new(async |_: &mut Context| Ok(()), NoData, at_once(10)).named("noop"));
/// let failed_only = Collector::new(&folder).filter(|message| matches!(message.get("had_error"), Ok(Some(true))));
/// let report = Run::new(scenario).sink(failed_only).max_start_lag(SECOND).run_blocking()?;
/// assert!(report.passed());
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), mite_core::Error>(())
/// ```
#[must_use = "a collector does nothing until it is given to a run, with `Run::sink`"]
pub struct Collector {
    folder: PathBuf,
    roll_after: u64,
    json_lines: bool,
    filter: Option<Filter>,
    /// The file that is being written, once the run has begun.
    current: Option<Current>,
    /// Messages since it was begun, those that were left out too.
    messages: u64,
    buffer: Vec<u8>,
}

/// The file that is being written.
#[derive(Debug)]
struct Current {
    file: File,
    /// What is whole of it, in bytes.
    length: u64,
}

impl Collector {
    /// Writes to this folder, which is made when the run starts.
    ///
    /// ```
    /// # use mite_core::Collector;
    /// let collector = Collector::new("collector-data");
    /// ```
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            roll_after: ROLL_AFTER,
            json_lines: false,
            filter: None,
            current: None,
            messages: 0,
            buffer: Vec::new(),
        }
    }

    /// Begins another file after so many messages, filtered ones counted: 100 000 unless told otherwise.
    ///
    /// ```
    /// # use mite_core::Collector;
    /// let collector = Collector::new("collector-data").roll_after(50_000);
    /// ```
    pub fn roll_after(mut self, messages: u64) -> Self {
        self.roll_after = messages;
        self
    }

    /// Writes lines of JSON, as `mite cat` prints them, in the place of MessagePack.
    ///
    /// ```
    /// # use mite_core::Collector;
    /// let collector = Collector::new("collector-data").json_lines();
    /// ```
    pub fn json_lines(mut self) -> Self {
        self.json_lines = true;
        self
    }

    /// Writes only the messages for which `wanted` is true.
    ///
    /// ```
    /// # use mite_core::Collector;
    /// // All but the most frequent ones.
    /// let collector = Collector::new("collector-data").filter(|message| &*message.kind() != "http_metrics");
    /// ```
    pub fn filter(mut self, wanted: impl FnMut(&Message<'_>) -> bool + Send + 'static) -> Self {
        self.filter = Some(Box::new(wanted));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the folder and begins a file, after what an earlier run has left was put aside.
    fn begin(&mut self) -> Result<(), CollectorError> {
        if self.roll_after == 0 {
            return Err(CollectorError::RollAfter);
        }
        fs::create_dir_all(&self.folder).map_err(io_error("make the collector folder", &self.folder))?;
        let path = self.path(CURRENT);
        // Not emptied before it is known that no other run writes it.
        let found = OpenOptions::new().append(true).create(true).open(&path).map_err(io_error("open", &path))?;
        lock(&found, &path)?;
        if found.metadata().map_err(io_error("look at", &path))?.len() > 0 {
            self.put_aside()?;
        }
        drop(found);
        self.start_file()
    }

    fn start_file(&mut self) -> Result<(), CollectorError> {
        let path = self.path(CURRENT_START_TIME);
        fs::write(&path, unix_seconds().to_string()).map_err(io_error("write", &path))?;
        let path = self.path(CURRENT);
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(io_error("make", &path))?;
        lock(&file, &path)?;
        self.current = Some(Current { file, length: 0 });
        self.messages = 0;
        Ok(())
    }

    /// Renames the file that is there to `START_END_COUNTER`, with the first counter that is free.
    fn put_aside(&self) -> Result<(), CollectorError> {
        let current = self.path(CURRENT);
        let path = self.path(CURRENT_START_TIME);
        let told = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        let start: u64 = if let Some(start) = told {
            start
        } else {
            // Whoever put the file there has not said when it was begun.
            let changed = fs::metadata(&current).and_then(|file| file.modified());
            seconds_of(changed.map_err(io_error("look at", &current))?)
        };
        let end = unix_seconds();
        let mut counter = 0_u64;
        let free = loop {
            let path = self.path(&format!("{start}_{end}_{counter}"));
            if !path.try_exists().map_err(io_error("look for", &path))? {
                break path;
            }
            counter += 1;
        };
        fs::rename(&current, free).map_err(io_error("rename", &current))
    }

    /// Writes what is buffered, whole messages only.
    fn write_out(&mut self) -> Result<(), CollectorError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if let Err(error) = current.file.write_all(&self.buffer) {
            // Some of it may have been written: what was told to be taken stays, and nothing that is cut in two.
            let _ = current.file.set_len(current.length);
            return Err(io_error("write", &self.folder.join(CURRENT))(error));
        }
        current.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> CollectorError + 'a {
    move |source| CollectorError::Io { doing, path: path.to_owned(), source }
}

fn lock(file: &File, path: &Path) -> Result<(), CollectorError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(fs::TryLockError::WouldBlock) => Err(CollectorError::Locked { path: path.to_owned() }),
        // A file system without locks: nothing is lost but this check.
        Err(fs::TryLockError::Error(error)) => {
            tracing::debug!(%error, path = %path.display(), "no file lock");
            Ok(())
        }
    }
}

fn unix_seconds() -> u64 {
    seconds_of(SystemTime::now())
}

fn seconds_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Sink for Collector {
    fn name(&self) -> &'static str {
        "collector"
    }

    fn wants(&self) -> Wants {
        Wants::Everything
    }

    fn when_full(&self) -> WhenFull {
        WhenFull::Wait
    }

    fn open(&mut self, _: &LiveFigures) -> Result<(), SinkError> {
        Ok(self.begin()?)
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        if self.filter.as_mut().is_none_or(|wanted| wanted(message)) {
            let start = self.buffer.len();
            message.pack(&mut self.buffer);
            if self.json_lines {
                let line = json_lines::line(&self.buffer[start..], false);
                self.buffer.truncate(start);
                self.buffer.extend_from_slice(line.as_bytes());
                self.buffer.push(b'\n');
            }
        }
        self.messages += 1;
        if self.messages >= self.roll_after {
            self.write_out()?;
            self.put_aside()?;
            self.start_file()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(self.write_out()?)
    }

    fn end(&mut self) -> Result<(), SinkError> {
        let Some(current) = &self.current else { return Ok(()) };
        Ok(current.file.sync_data().map_err(io_error("sync", &self.path(CURRENT)))?)
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").field("folder", &self.folder).finish_non_exhaustive()
    }
}
