//! Reading what was recorded: typed rows from a file of MessagePack values.
//!
//! It reads any file that the recorder wrote, Python's too, and says at which byte a broken one breaks.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::scan::{self, ScanError};

/// Why recorded data cannot be read. Where records are in memory, [`Report::recorded`](crate::Report::recorded) tells their
/// bare name as the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordedError {
    /// The file cannot be opened or read.
    #[error("failed to read {}: {source}{}", .path.display(), hint(.source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process of a cluster has written the records, which are in its folder.
    #[error("the records of {name:?} were written by the recorder {by}: read its file")]
    Elsewhere {
        /// The name.
        name: String,
        /// What the recorder is called.
        by: String,
    },
    /// The file ends within a record: a power cut, or it is still being written.
    #[error("{}: record {row}, which begins at byte {at}, is cut off by the end of the file", .path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// The record's number, from 1.
        row: u64,
        /// Its first byte.
        at: u64,
    },
    /// There is no MessagePack at this byte.
    #[error("{}: byte {at}, in record {row}, is no MessagePack", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The record's number, from 1.
        row: u64,
        /// The byte.
        at: u64,
    },
    /// A record is not of the type that was asked for.
    #[error("{}: record {row}, at byte {at}, does not fit{}: {message}", .path.display(), place(.field))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The record's number, from 1.
        row: u64,
        /// Its first byte.
        at: u64,
        /// The path of the field within the record; `.` for the record itself.
        field: String,
        /// What does not fit, in serde's words.
        message: String,
    },
    /// The run that the report is of has recorded nothing of this name.
    #[error("the run has recorded nothing as {name:?}{hint}")]
    NotRecorded {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        hint: String,
    },
    /// The run that the report is of had no recorder.
    #[error(
        "the run has recorded nothing as {name:?}: it had no recorder. Activate one with `Run::record_in_memory()` or \
         `Run::recorder(\"recorder-data\")`"
    )]
    NoRecorder {
        /// The name that was asked for.
        name: String,
    },
    /// The run's records are not where it has written them.
    #[error("{} has changed since the run: its records were cut off, replaced or purged", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

fn hint(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotFound { " (run the scenario that records it first)" } else { "" }
}

fn place(field: &str) -> String {
    if field == "." { String::new() } else { format!(" in field `{field}`") }
}

/// Reads a whole file of records and checks each row.
///
/// # Errors
/// [`RecordedError`], for the first row that is not right; it names the row and the byte or the field.
///
/// ```no_run
/// #[derive(serde::Deserialize)]
/// struct User {
///     username: String,
/// }
/// let users = mite_core::recorded::<User>("recorder-data/users.msgpack")?;
/// # Ok::<(), mite_core::Error>(())
/// ```
pub fn recorded<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<Vec<T>, RecordedError> {
    recorded_rows(path)?.collect()
}

/// Reads a file of records row by row, without holding it in memory. After an error in the file itself there are no more
/// rows; after a row of the wrong type there are.
///
/// # Errors
/// The file cannot be opened. The rows are `Result`s of their own.
///
/// ```
/// # use mite_core::volume::at_once;
/// # use mite_core::{Context, NoData, Result, Run, Scenario};
/// # async fn create_user(ctx: &mut Context) -> Result { ctx.record("users", "ann").await }
/// # let folder = tempfile::tempdir()?;
/// # let scenario = Scenario::new().journey(create_user, NoData, at_once(3));
/// # Run::new(scenario).recorder(folder.path()).run_blocking()?.assert_no_errors();
/// # let path = folder.path().join("users.msgpack");
/// let mut users = 0;
/// for user in mite_core::recorded_rows::<String>(path)? {
///     assert_eq!(user?, "ann");
///     users += 1;
/// }
/// assert_eq!(users, 3);
/// # Ok::<(), mite_core::Error>(())
/// ```
pub fn recorded_rows<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<RecordedRows<T>, RecordedError> {
    let path = path.as_ref().to_owned();
    match File::open(&path) {
        Ok(file) => {
            let reader = BufReader::with_capacity(64 * 1024, file);
            Ok(RecordedRows { values: Values::new(path, 0, reader), rows: PhantomData })
        }
        Err(source) => Err(RecordedError::Io { path, source }),
    }
}

/// Reads all rows from a reader that stands at byte `at` of the file.
pub(crate) fn read<T: DeserializeOwned>(path: PathBuf, at: u64, reader: impl BufRead) -> Result<Vec<T>, RecordedError> {
    let mut values = Values::new(path, at, reader);
    std::iter::from_fn(|| values.next()).collect()
}

/// The rows of a file: see [`recorded_rows`].
#[derive(Debug)]
pub struct RecordedRows<T> {
    values: Values<BufReader<File>>,
    rows: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Iterator for RecordedRows<T> {
    type Item = Result<T, RecordedError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.values.next()
    }
}

/// Values one after another, and where in the file the next one stands.
#[derive(Debug)]
struct Values<R> {
    path: PathBuf,
    /// `None` after the end, or after an error that has no way on.
    reader: Option<R>,
    value: Vec<u8>,
    row: u64,
    at: u64,
}

impl<R: BufRead> Values<R> {
    fn new(path: PathBuf, at: u64, reader: R) -> Self {
        Self { path, reader: Some(reader), value: Vec::new(), row: 0, at }
    }

    fn next<T: DeserializeOwned>(&mut self) -> Option<Result<T, RecordedError>> {
        let reader = self.reader.as_mut()?;
        self.row += 1;
        let (path, row, at) = (|| self.path.clone(), self.row, self.at);
        let error = match scan::read_value(reader, &mut self.value) {
            Ok(true) => {
                self.at += self.value.len() as u64;
                return Some(unpack(&self.value).map_err(|(field, message)| RecordedError::Mismatch {
                    path: path(),
                    row,
                    at,
                    field,
                    message,
                }));
            }
            Ok(false) => {
                self.reader = None;
                return None;
            }
            Err(ScanError::Torn) => RecordedError::Torn { path: path(), row, at },
            Err(ScanError::Invalid { offset }) => RecordedError::Broken { path: path(), row, at: at + offset },
            Err(ScanError::Io(source)) => RecordedError::Io { path: path(), source },
        };
        self.reader = None;
        Some(Err(error))
    }
}

/// Unpacks one whole value, or says in which field it does not fit, and how.
pub(crate) fn unpack<T: DeserializeOwned>(value: &[u8]) -> Result<T, (String, String)> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(value).with_human_readable();
    serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| (error.path().to_string(), words(&error.into_inner())))
}

/// A mismatch in words: rmp-serde tells that of a plain value by its marker only.
fn words(error: &rmp_serde::decode::Error) -> String {
    use rmp::Marker as M;
    let rmp_serde::decode::Error::TypeMismatch(marker) = error else { return error.to_string() };
    let found = match marker {
        M::Null => "nil",
        M::True | M::False => "a boolean",
        M::F32 | M::F64 => "a float",
        M::FixStr(_) | M::Str8 | M::Str16 | M::Str32 => "text",
        M::Bin8 | M::Bin16 | M::Bin32 => "bytes",
        M::FixArray(_) | M::Array16 | M::Array32 => "an array",
        M::FixMap(_) | M::Map16 | M::Map32 => "a map",
        M::FixPos(_) | M::U8 | M::U16 | M::U32 | M::U64 => "an integer",
        M::FixNeg(_) | M::I8 | M::I16 | M::I32 | M::I64 => "a negative integer",
        _ => "an extension",
    };
    format!("{found} is there, and something else was asked for")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::pack;

    #[derive(Debug, Deserialize, PartialEq)]
    struct User {
        username: String,
        #[serde(default)]
        age: u8,
    }

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.msgpack");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn packed(users: &[serde_json::Value]) -> Vec<u8> {
        users.iter().flat_map(|user| pack::to_vec(user).unwrap()).collect()
    }

    #[test]
    fn rows_come_typed_and_untyped() {
        let (_folder, path) = file(&packed(&[serde_json::json!({"username": "ann", "age": 7, "more": []})]));
        assert_eq!(recorded::<User>(&path).unwrap(), [User { username: "ann".into(), age: 7 }]);
        assert_eq!(recorded::<rmpv::Value>(&path).unwrap()[0]["username"], "ann".into());
    }

    #[test]
    fn each_way_to_be_broken_is_named() {
        let good = packed(&[serde_json::json!({"username": "a"})]);
        let told = |bytes: &[u8]| {
            let (_folder, path) = file(bytes);
            let text = recorded::<User>(&path).unwrap_err().to_string();
            text.strip_prefix(&format!("{}", path.display())).unwrap().to_owned()
        };
        let torn = [&good[..], &good[..5]].concat();
        assert_eq!(told(&torn), ": record 2, which begins at byte 12, is cut off by the end of the file");
        let broken = [&good[..], b"\x92\x01\xc1"].concat();
        assert_eq!(told(&broken), ": byte 14, in record 2, is no MessagePack");
        let mismatch = [good.clone(), packed(&[serde_json::json!({"username": "b", "age": "old"})])].concat();
        assert_eq!(
            told(&mismatch),
            ": record 2, at byte 12, does not fit in field `age`: text is there, and something else was asked for"
        );
        let lacks = packed(&[serde_json::json!({"name": "b"})]);
        assert_eq!(told(&lacks), ": record 1, at byte 0, does not fit: missing field `username`");
        let missing = recorded::<User>("no/such/users.msgpack").unwrap_err().to_string();
        assert!(missing.ends_with("(run the scenario that records it first)"), "{missing}");
    }

    #[test]
    fn streaming_goes_on_after_a_row_of_the_wrong_type() {
        let bytes = packed(&[serde_json::json!(1), serde_json::json!({"username": "b"})]);
        let (_folder, path) = file(&bytes);
        let rows: Vec<_> = recorded_rows::<User>(&path).unwrap().map(|row| row.is_ok()).collect();
        assert_eq!(rows, [false, true]);
    }
}
