//! The rows of a file that stays on the disk: how many there are, and any one of them.
//!
//! It is apart from the pool, which decides who gets which row and when; this knows nothing of journeys.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;

use super::csv::Csv;
use super::error::FileRowsError;
use super::format::{Format, Found, Mismatch, NoRow, Scratch};

/// The place of each so-manieth row is kept; those between are found from there. So a row takes two bytes of memory, and one that is
/// read alone is read with three others.
const BLOCK: u64 = 4;
/// So many bytes of blocks are read at once where rows are read in order.
const AHEAD: u64 = 32 * 1024;
/// How much is read at once while rows are counted.
const CHUNK: usize = 1 << 20;
/// So many rows are read as their type when a file is opened: all of a small file, and of a large one as many all over it.
const TRIED: u64 = 100_000;

/// The rows of a file, each read when it is asked for. What is kept in memory is two bytes for each of them.
///
/// Opening a file goes through all of it, so that what is torn or broken is known before a run starts: that each row is whole, and
/// as many columns as the others in CSV, and JSON in JSON lines. That rows are of type `T` is tried with all of them up to 100 000,
/// and with as many all over a file that has more. The file must stay as it is; what is added to its end is not seen.
///
/// [`FileDataPool`](crate::FileDataPool) makes a pool of it.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("users.csv");
/// use mite_core::FileRows;
///
/// std::fs::write(&path, "name,age\nann,7\nbob,8\n")?;
/// let users = FileRows::csv::<(String, u32)>(&path)?;
/// assert_eq!(users.len(), 2);
/// assert_eq!(users.read(1)?, ("bob".to_owned(), 8));
/// # Ok::<(), mite_core::Error>(())
/// ```
pub struct FileRows<T> {
    file: Arc<Indexed>,
    reader: Reader<T>,
}

/// What makes an item of a row.
type Reader<T> = Arc<dyn Fn(&Format, &[u8], &mut Scratch) -> Result<T, Mismatch> + Send + Sync>;

/// A file, and where its rows are.
struct Indexed {
    path: PathBuf,
    file: File,
    format: Format,
    len: u64,
    /// Where each block of rows begins, and where the last one ends.
    blocks: Vec<u64>,
    /// What nobody is reading with at the moment.
    cursors: Mutex<Vec<Cursor>>,
}

/// Blocks that were read, and how far they were gone through: rows that are read in order are read from the disk once, and many of
/// them together.
#[derive(Debug, Default)]
struct Cursor {
    blocks: Range<usize>,
    bytes: Vec<u8>,
    /// The row that comes next, and where in the bytes.
    next: u64,
    at: usize,
    scratch: Scratch,
}

impl FileRows<()> {
    /// Opens a file of MessagePack values one after another, as the recorder and Python's mite write them.
    ///
    /// # Errors
    /// [`FileRowsError`]: the file cannot be read, is torn or broken, or one of the rows that are tried is not of type `T`.
    pub fn msgpack<T: DeserializeOwned + 'static>(path: impl AsRef<Path>) -> Result<FileRows<T>, FileRowsError> {
        FileRows::open(path.as_ref(), Format::MessagePack)
    }

    /// Opens a file with a JSON value on each line; empty lines are passed over.
    ///
    /// # Errors
    /// As [`FileRows::msgpack`].
    pub fn json_lines<T: DeserializeOwned + 'static>(path: impl AsRef<Path>) -> Result<FileRows<T>, FileRowsError> {
        FileRows::open(path.as_ref(), Format::JsonLines)
    }

    /// Opens a file of comma-separated values with a heading. A row is read as a tuple by the order of the columns, or as a struct
    /// by their names; columns that are not asked for are passed over.
    ///
    /// # Errors
    /// As [`FileRows::msgpack`].
    pub fn csv<T: DeserializeOwned + 'static>(path: impl AsRef<Path>) -> Result<FileRows<T>, FileRowsError> {
        FileRows::csv_with(path, Csv::new())
    }

    /// As [`FileRows::csv`], for files with another delimiter or without a heading.
    ///
    /// # Errors
    /// As [`FileRows::msgpack`]; or the delimiter makes no sense.
    pub fn csv_with<T: DeserializeOwned + 'static>(
        path: impl AsRef<Path>,
        csv: Csv,
    ) -> Result<FileRows<T>, FileRowsError> {
        let path = path.as_ref();
        if let Some(message) = csv.mistake() {
            return Err(FileRowsError::Format { path: path.to_owned(), message });
        }
        FileRows::open(path, Format::Csv { csv, heading: None, columns: None })
    }
}

impl<T> FileRows<T> {
    fn open(path: &Path, format: Format) -> Result<Self, FileRowsError>
    where
        T: DeserializeOwned + 'static,
    {
        let rows = Self { file: Arc::new(Indexed::open(path, format)?), reader: Arc::new(Format::read) };
        rows.try_some()?;
        Ok(rows)
    }

    /// How many rows there are.
    pub fn len(&self) -> u64 {
        self.file.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Reads one row, of the index that it has from 0. Rows one after another are read from the disk in blocks.
    ///
    /// It waits for the disk where the system does not have that part of the file in memory.
    ///
    /// # Errors
    /// [`FileRowsError`]: the row is not of type `T`, the file has changed or cannot be read, or has no such row.
    pub fn read(&self, index: u64) -> Result<T, FileRowsError> {
        let mut cursor = self.file.cursors().pop().unwrap_or_default();
        let row = self.file.read(index, &mut cursor, &self.reader);
        self.file.cursors().push(cursor);
        row
    }

    /// Reads each row as its type, where opening has tried some only.
    ///
    /// # Errors
    /// As [`FileRows::read`], for the first row that is not right.
    pub fn check_all(&self) -> Result<(), FileRowsError> {
        (0..self.len()).try_for_each(|index| self.read(index).map(drop))
    }

    /// The same rows as something else: the arguments of a journey.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("users.jsonl");
    /// # std::fs::write(&path, r#"{"username": "ann"}"#)?;
    /// #[derive(serde::Deserialize)]
    /// struct User {
    ///     username: String,
    /// }
    ///
    /// let users = mite_core::FileRows::json_lines(&path)?.map(|user: User| (user.username,));
    /// assert_eq!(users.read(0)?, ("ann".to_owned(),));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[must_use]
    pub fn map<U: 'static>(self, into: impl Fn(T) -> U + Send + Sync + 'static) -> FileRows<U>
    where
        T: 'static,
    {
        let Self { file, reader } = self;
        FileRows { file, reader: Arc::new(move |format, row, scratch| reader(format, row, scratch).map(&into)) }
    }

    /// Reads some as their type: the first, the last, and those at even distances between.
    fn try_some(&self) -> Result<(), FileRowsError> {
        let Some(last) = self.len().checked_sub(1) else { return Ok(()) };
        let step = self.len().div_ceil(TRIED);
        (0..last).step_by(step as usize).chain([last]).try_for_each(|index| self.read(index).map(drop))
    }
}

/// Another handle on the same open file.
impl<T> Clone for FileRows<T> {
    fn clone(&self) -> Self {
        Self { file: Arc::clone(&self.file), reader: Arc::clone(&self.reader) }
    }
}

impl<T> fmt::Debug for FileRows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRows").field("path", &self.file.path).field("len", &self.file.len).finish_non_exhaustive()
    }
}

impl Indexed {
    fn open(path: &Path, mut format: Format) -> Result<Self, FileRowsError> {
        let failed = |source| FileRowsError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mut window = Window::new(&file);
        let (mut len, mut blocks, mut needs_heading) = (0, Vec::new(), format.has_heading());
        while window.find_row(&format).map_err(failed)? {
            let row = match window.row(&mut format).map_err(failed)? {
                Ok(row) => row,
                Err(wrong) => return Err(wrong.of(path, len + 1, window.place())),
            };
            if needs_heading {
                format.set_heading(window.bytes(row));
                needs_heading = false;
            } else {
                if len % BLOCK == 0 {
                    blocks.push(window.place());
                }
                len += 1;
            }
            window.at += row;
        }
        blocks.push(window.place());
        blocks.shrink_to_fit();
        Ok(Self { path: path.to_owned(), file, format, len, blocks, cursors: Mutex::default() })
    }

    fn cursors(&self) -> MutexGuard<'_, Vec<Cursor>> {
        // No user code is called while it is locked.
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, index: u64, cursor: &mut Cursor, reader: &Reader<T>) -> Result<T, FileRowsError> {
        let path = || self.path.clone();
        if index >= self.len {
            return Err(FileRowsError::NoSuchRow { path: path(), index, rows: self.len });
        }
        let row = index + 1;
        let changed = || FileRowsError::Changed { path: path(), row };
        let block = (index / BLOCK) as usize;
        if !cursor.blocks.contains(&block) {
            self.load(block, cursor).map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof => changed(),
                _ => FileRowsError::Io { path: path(), source },
            })?;
        }
        let begin = self.blocks[cursor.blocks.start];
        if index < cursor.next || block as u64 != cursor.next / BLOCK {
            (cursor.next, cursor.at) = (block as u64 * BLOCK, (self.blocks[block] - begin) as usize);
        }
        let Cursor { bytes, next, at, scratch, .. } = cursor;
        loop {
            *at += self.format.gap(&bytes[*at..]);
            let Found { len, .. } = self.format.find(&bytes[*at..], true).map_err(|_| changed())?;
            let found = *at..*at + len;
            (*next, *at) = (*next + 1, found.end);
            if *next > index {
                let at = begin + found.start as u64;
                return reader(&self.format, &bytes[found], scratch)
                    .map_err(|(field, message)| FileRowsError::Mismatch { path: path(), row, at, field, message });
            }
        }
    }

    /// Reads a block, and some after it where it is the next one.
    fn load(&self, block: usize, cursor: &mut Cursor) -> io::Result<()> {
        let begin = self.blocks[block];
        let mut end = block + 1;
        if block == cursor.blocks.end {
            end += self.blocks[end + 1..].iter().take_while(|place| **place - begin <= AHEAD).count();
        }
        // Empty until it is read.
        cursor.blocks = 0..0;
        cursor.bytes.resize((self.blocks[end] - begin) as usize, 0);
        read_exact_at(&self.file, &mut cursor.bytes, begin)?;
        (cursor.blocks, cursor.next, cursor.at) = (block..end, block as u64 * BLOCK, 0);
        Ok(())
    }
}

impl NoRow {
    fn of(self, path: &Path, row: u64, at: u64) -> FileRowsError {
        let path = path.to_owned();
        match self {
            Self::CutOff => FileRowsError::Torn { path, row, at },
            Self::Broken { offset, message } => FileRowsError::Broken { path, row, at: at + offset as u64, message },
        }
    }
}

/// The part of a file that is gone through at the moment.
struct Window<'a> {
    file: &'a File,
    bytes: Vec<u8>,
    /// The place of the first of them in the file.
    begin: u64,
    /// Those before are done with.
    at: usize,
    /// Whether the file has no more.
    is_all: bool,
}

impl<'a> Window<'a> {
    fn new(file: &'a File) -> Self {
        Self { file, bytes: Vec::new(), begin: 0, at: 0, is_all: false }
    }

    /// Where in the file it stands.
    fn place(&self) -> u64 {
        self.begin + self.at as u64
    }

    fn bytes(&self, len: usize) -> &[u8] {
        &self.bytes[self.at..self.at + len]
    }

    /// Goes on to where a row begins; `false` where there are no more.
    fn find_row(&mut self, format: &Format) -> io::Result<bool> {
        if self.bytes.is_empty() {
            self.more()?;
            self.at = format.mark(&self.bytes);
        }
        loop {
            self.at += format.gap(&self.bytes[self.at..]);
            if self.at < self.bytes.len() {
                return Ok(true);
            }
            if self.is_all {
                return Ok(false);
            }
            self.more()?;
        }
    }

    /// The length of the row that it stands at.
    fn row(&mut self, format: &mut Format) -> io::Result<Result<usize, NoRow>> {
        loop {
            match format.find(&self.bytes[self.at..], self.is_all) {
                Ok(found) => {
                    let row = &self.bytes[self.at..self.at + found.len];
                    // What ends without a line's end may have been cut off there.
                    let is_last = self.at + found.len == self.bytes.len();
                    return Ok(format.check(row, found, is_last).map(|()| found.len));
                }
                Err(NoRow::CutOff) if !self.is_all => self.more()?,
                Err(wrong) => return Ok(Err(wrong)),
            }
        }
    }

    /// Reads on. A row that is longer than all that is there doubles it, so that it is gone through a few times only.
    fn more(&mut self) -> io::Result<()> {
        self.bytes.drain(..self.at);
        self.begin += self.at as u64;
        self.at = 0;
        let most = self.bytes.len().max(CHUNK);
        self.is_all = self.file.take(most as u64).read_to_end(&mut self.bytes)? < most;
        Ok(())
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => (bytes, at) = (&mut bytes[read..], at + read as u64),
        }
    }
    Ok(())
}
