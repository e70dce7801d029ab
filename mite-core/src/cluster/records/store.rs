//! What becomes of items of the log: each runner's batches in the order of their numbers, each once, and the files that they go to.
//!
//! It is apart from who reads the log: it knows the disk alone, so that tests can end it after any step.
//!
//! What is durable is what the [`Cursor`] says. A file is appended to beyond what the cursor says of it, and is cut back to that by
//! the recorder that goes on after this one, which takes all later items again. So two things must be in the cursor before
//! they are done: the length that a file has when it is first opened, and that a file which will be deleted has none.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;

use super::batch::{self, BatchId, Producer, Unreadable};
use super::cursor::{Bytes, Cursor, CursorFile, FileState, HeldBatch, ProducerState};
use super::error::LogRecorderError;
use super::{LANE, WINDOW};
use crate::bus::Item;
use crate::recorder::{Folder, Record, RecordFile, RecorderError, check_name, io_error};
use crate::recordings::Records;

/// The files of a run, and how far they are.
#[derive(Debug)]
pub(super) struct RecordStore {
    folder: Folder,
    /// What is durable.
    durable: Cursor,
    /// The number of the last item that was taken.
    taken: u64,
    producers: BTreeMap<Producer, Batches>,
    files: BTreeMap<String, StoredFile>,
    records: Records,
    /// The last, so that who may go on finds that nobody has the files.
    cursor_file: CursorFile,
}

/// The batches of a runner.
#[derive(Debug, Default)]
struct Batches {
    /// The number of the last one that went to files, as did all before it.
    last: u64,
    /// Those that came before their turn.
    held: BTreeMap<u64, Vec<u8>>,
}

#[derive(Debug)]
struct StoredFile {
    file: RecordFile,
    /// Records of this run that were written to it.
    records: u64,
}

impl RecordStore {
    /// Goes on where the recorder before this one was, if there was one: what it had not made durable is cut off. `records` is the
    /// account to keep.
    ///
    /// # Errors
    /// The folder or what is in it cannot be read or written, or was changed meanwhile.
    pub(super) fn open(folder: Folder, run: &str, records: Records) -> Result<Self, RecorderError> {
        folder.probe()?;
        let mut cursor_file = CursorFile::new(&folder, run);
        let durable = cursor_file.read(&folder)?.unwrap_or_default();
        let mut files = BTreeMap::new();
        for (name, state) in &durable.files {
            check_name(name)?;
            let path = folder.file(name);
            if state.length == 0 && !path.try_exists().map_err(io_error("look for", &path))? {
                continue;
            }
            let file = RecordFile::reopen(path, state.begun, state.length)?;
            if state.records > 0 {
                records.written(name, state.records, &file.path, state.begun..state.length);
            }
            files.insert(name.clone(), StoredFile { file, records: state.records });
        }
        let producers = durable.producers.iter().map(|state| {
            let held = state.held.iter().map(|held| (held.number, held.packed.0.clone())).collect();
            (state.producer, Batches { last: state.last, held })
        });
        let producers = producers.collect();
        Ok(Self { folder, taken: durable.taken, durable, producers, files, records, cursor_file })
    }

    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    #[cfg(test)]
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The number of the last item that was taken from the log.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Up to which item all is durable.
    pub(super) fn durable(&self) -> u64 {
        self.durable.taken
    }

    /// Takes the next item of the log.
    ///
    /// # Errors
    /// It is not the next one, or cannot be read; a file cannot be written.
    pub(super) fn take(&mut self, item: Item) -> Result<(), LogRecorderError> {
        let Item { sequence, lane, id, payload } = item;
        if sequence <= self.taken {
            let why = format!("its number was read already: the last was {}", self.taken);
            return Err(LogRecorderError::Unreadable { sequence, why });
        }
        if sequence > self.taken + 1 {
            let folder = self.folder.path().to_owned();
            return Err(LogRecorderError::Lost { from: self.taken + 1, to: sequence - 1, folder });
        }
        if lane == LANE {
            let unreadable = |why: Unreadable| LogRecorderError::Unreadable { sequence, why: why.to_string() };
            let id: BatchId = id.parse().map_err(unreadable)?;
            self.take_batch(id, payload, sequence)?;
        }
        self.taken = sequence;
        Ok(())
    }

    fn take_batch(&mut self, id: BatchId, packed: Vec<u8>, sequence: u64) -> Result<(), LogRecorderError> {
        let unreadable = |why: Unreadable| LogRecorderError::Unreadable { sequence, why: why.to_string() };
        let batches = self.producers.entry(id.producer).or_default();
        if id.number <= batches.last || batches.held.contains_key(&id.number) {
            tracing::debug!(%id, "a batch of records that is there already was appended again");
            return Ok(());
        }
        if id.number > batches.last + 1 {
            // A runner waits for the oldest of so many, so that more of them mean that one is gone.
            if id.number > batches.last + WINDOW {
                return Err(LogRecorderError::BatchLost { runner: id.producer.rid, batch: batches.last + 1 });
            }
            batch::unpack(&packed).map_err(unreadable)?;
            batches.held.insert(id.number, packed);
            return Ok(());
        }
        batches.last = id.number;
        self.store(&packed).map_err(|error| error.into_public(sequence))?;
        // What waited for this one.
        loop {
            let Some(batches) = self.producers.get_mut(&id.producer) else { return Ok(()) };
            let Some(packed) = batches.held.remove(&(batches.last + 1)) else { return Ok(()) };
            batches.last += 1;
            self.store(&packed).map_err(|error| error.into_public(sequence))?;
        }
    }

    fn store(&mut self, packed: &[u8]) -> Result<(), StoreError> {
        for (name, record) in batch::unpack(packed)? {
            match record {
                Record::Created(data) => self.append(name, data)?,
                Record::Purged => self.purge(name)?,
            }
        }
        Ok(())
    }

    fn append(&mut self, name: &str, data: &[u8]) -> Result<(), RecorderError> {
        if !self.files.contains_key(name) {
            let file = self.folder.open(name)?;
            // After a purge in this run, the cursor says so already.
            if !self.durable.files.contains_key(name) {
                let state = FileState { begun: file.begun, length: file.length, records: 0 };
                self.durable.files.insert(name.to_owned(), state);
                self.write_cursor()?;
            }
            self.files.insert(name.to_owned(), StoredFile { file, records: 0 });
        }
        if let Entry::Occupied(mut stored) = self.files.entry(name.to_owned()) {
            let StoredFile { file, records } = stored.get_mut();
            let written = file.append(data)?;
            if written > 0 {
                *records += written;
                self.records.written(name, written, &file.path, file.begun..file.length);
            }
        }
        Ok(())
    }

    fn purge(&mut self, name: &str) -> Result<(), RecorderError> {
        check_name(name)?;
        self.files.remove(name);
        self.records.forget(name);
        let path = self.folder.file(name);
        let is_there = fs::symlink_metadata(&path).is_ok();
        if !is_there && !self.durable.files.contains_key(name) {
            return Ok(());
        }
        if self.durable.files.insert(name.to_owned(), FileState::default()) != Some(FileState::default()) {
            self.write_cursor()?;
        }
        self.folder.delete(name)
    }

    /// Whether there is anything to make durable.
    pub(super) fn is_dirty(&self) -> bool {
        self.taken > self.durable.taken
    }

    /// Makes durable what was taken.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn commit(&mut self) -> Result<(), RecorderError> {
        self.write_files()?;
        self.sync_files()?;
        self.durable = self.reached();
        self.write_cursor()
    }

    fn write_files(&mut self) -> Result<(), RecorderError> {
        for (name, StoredFile { file, records }) in &mut self.files {
            let written = file.flush()?;
            if written > 0 {
                *records += written;
                self.records.written(name, written, &file.path, file.begun..file.length);
            }
        }
        Ok(())
    }

    fn sync_files(&mut self) -> Result<(), RecorderError> {
        self.files.values_mut().try_for_each(|stored| stored.file.sync())
    }

    /// The cursor as it is once all that was taken is durable.
    fn reached(&self) -> Cursor {
        let mut cursor = Cursor { taken: self.taken, files: self.durable.files.clone(), ..Cursor::default() };
        for (name, StoredFile { file, records }) in &self.files {
            let state = FileState { begun: file.begun, length: file.length, records: *records };
            cursor.files.insert(name.clone(), state);
        }
        cursor.producers = self
            .producers
            .iter()
            .map(|(producer, batches)| ProducerState {
                producer: *producer,
                last: batches.last,
                held: batches
                    .held
                    .iter()
                    .map(|(number, packed)| HeldBatch { number: *number, packed: Bytes(packed.clone()) })
                    .collect(),
            })
            .collect();
        cursor
    }

    fn write_cursor(&mut self) -> Result<(), RecorderError> {
        self.cursor_file.write(&self.folder, &mut self.durable)
    }

    /// Nothing more will come: what still waits for a batch that was never appended goes to the files without it, and all is made
    /// durable.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn finish(&mut self) -> Result<(), LogRecorderError> {
        let producers: Vec<Producer> = self.producers.keys().copied().collect();
        let mut is_dirty = self.is_dirty();
        for producer in producers {
            while let Some(batches) = self.producers.get_mut(&producer)
                && let Some((number, packed)) = batches.held.pop_first()
            {
                if number > batches.last + 1 {
                    let (rid, first, last) = (producer.rid, batches.last + 1, number - 1);
                    self.folder.warn(match last - first {
                        0 => format!("runner {rid} ended before its batch {first} of records was in the log"),
                        _ => format!(
                            "runner {rid} ended before its batches {first} to {last} of records were in the log"
                        ),
                    });
                }
                batches.last = number;
                is_dirty = true;
                self.store(&packed).map_err(|error| error.into_public(self.taken))?;
            }
        }
        if is_dirty {
            self.commit()?;
        }
        Ok(())
    }

    /// Deletes the cursor: there is no recorder to go on after this one.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub(super) fn delete_cursor(self) -> Result<(), RecorderError> {
        self.cursor_file.delete(&self.folder)
    }
}

/// Why a batch could not be stored.
enum StoreError {
    Unreadable(Unreadable),
    Files(RecorderError),
}

impl StoreError {
    fn into_public(self, sequence: u64) -> LogRecorderError {
        match self {
            Self::Unreadable(why) => LogRecorderError::Unreadable { sequence, why: why.to_string() },
            Self::Files(error) => LogRecorderError::Files(error),
        }
    }
}

impl From<Unreadable> for StoreError {
    fn from(why: Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

impl From<RecorderError> for StoreError {
    fn from(error: RecorderError) -> Self {
        Self::Files(error)
    }
}

#[cfg(test)]
mod tests;
