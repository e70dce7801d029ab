//! What a file of rows is written in: where a row ends, and what is in it.
//!
//! It is apart from the file, since it knows bytes only; it is one place for all formats, so that the rest has no format in mind.

use csv::ByteRecord;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::csv::{Csv, End, Row};
use crate::recorded;
use crate::scan::{self, ScanError};

/// The byte order mark, which some programs begin a text with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The format of a file that is open.
#[derive(Debug)]
pub(super) enum Format {
    MessagePack,
    JsonLines,
    Csv {
        csv: Csv,
        /// The names of the columns.
        heading: Option<ByteRecord>,
        /// How many there are, once there is a row.
        columns: Option<usize>,
    },
}

/// A row in some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// In bytes, without a line's end.
    pub(super) len: usize,
    /// How many fields it has, in CSV.
    fields: usize,
}

/// Why there is no whole row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoRow {
    /// The bytes end within it.
    CutOff,
    /// It is none.
    Broken {
        /// Bytes from its beginning.
        offset: usize,
        message: String,
    },
}

/// What is used again for each row that is read.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    field: Vec<u8>,
    record: ByteRecord,
}

/// Why a row is not of its type: the field, and serde's words.
pub(super) type Mismatch = (String, String);

impl Format {
    /// Whether the file's first row names its columns.
    pub(super) fn has_heading(&self) -> bool {
        matches!(self, Self::Csv { csv, .. } if csv.has_heading())
    }

    /// Takes the first row as names.
    pub(super) fn set_heading(&mut self, row: &[u8]) {
        if let Self::Csv { csv, heading, columns } = self {
            let mut names = ByteRecord::new();
            csv.read(row, &mut Vec::new(), &mut names);
            *columns = Some(names.len());
            *heading = Some(names);
        }
    }

    /// How many bytes at the beginning of the file belong to no row.
    pub(super) fn mark(&self, bytes: &[u8]) -> usize {
        let is_marked = !matches!(self, Self::MessagePack) && bytes.starts_with(BYTE_ORDER_MARK);
        if is_marked { BYTE_ORDER_MARK.len() } else { 0 }
    }

    /// How many bytes before the next row belong to none.
    pub(super) fn gap(&self, bytes: &[u8]) -> usize {
        match self {
            Self::MessagePack => 0,
            Self::JsonLines => bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len()),
            Self::Csv { .. } => Csv::gap(bytes),
        }
    }

    /// The row that `bytes` begin with; `is_all` is whether the file ends with them.
    #[inline]
    pub(super) fn find(&self, bytes: &[u8], is_all: bool) -> Result<Found, NoRow> {
        let found = |len| Ok(Found { len, fields: 0 });
        match self {
            Self::MessagePack => match scan::value_len(bytes) {
                Ok(len) => found(len),
                Err(ScanError::Invalid { offset }) => {
                    Err(NoRow::Broken { offset: offset as usize, message: "there is no MessagePack value".to_owned() })
                }
                Err(_) => Err(NoRow::CutOff),
            },
            Self::JsonLines => match bytes.iter().position(|byte| *byte == b'\n') {
                Some(end) => found(end),
                None if is_all => found(bytes.len()),
                None => Err(NoRow::CutOff),
            },
            Self::Csv { csv, .. } => {
                let Row { len, fields, end } = csv.row(bytes);
                let is_whole = end == End::Line || (end == End::Bytes && is_all);
                if is_whole { Ok(Found { len, fields }) } else { Err(NoRow::CutOff) }
            }
        }
    }

    /// Checks what can be said of a row without knowing its type.
    pub(super) fn check(&mut self, row: &[u8], found: Found, is_last: bool) -> Result<(), NoRow> {
        let broken = |offset, message| Err(NoRow::Broken { offset, message });
        match self {
            Self::MessagePack => Ok(()),
            Self::JsonLines => match serde_json::from_slice::<IgnoredAny>(row) {
                Ok(_) => Ok(()),
                Err(error) if error.is_eof() && is_last => Err(NoRow::CutOff),
                Err(error) => broken(error.column().saturating_sub(1), json_words(&error)),
            },
            Self::Csv { columns, .. } => match *columns.get_or_insert(found.fields) {
                columns if columns == found.fields => Ok(()),
                columns if columns > found.fields && is_last => Err(NoRow::CutOff),
                columns => broken(0, format!("it has {} fields, and there are {columns} columns", found.fields)),
            },
        }
    }

    /// A whole row as its type. It is read plainly, and only once that has failed with an account of the place.
    pub(super) fn read<T: DeserializeOwned>(&self, row: &[u8], scratch: &mut Scratch) -> Result<T, Mismatch> {
        match self {
            Self::MessagePack => {
                let mut plain = rmp_serde::Deserializer::from_read_ref(row).with_human_readable();
                T::deserialize(&mut plain).or_else(|_| recorded::unpack(row))
            }
            Self::JsonLines => serde_json::from_slice(row).or_else(|_| {
                let mut json = serde_json::Deserializer::from_slice(row);
                serde_path_to_error::deserialize(&mut json)
                    .map_err(|error| (error.path().to_string(), json_words(error.inner())))
            }),
            Self::Csv { csv, heading, .. } => {
                csv.read(row, &mut scratch.field, &mut scratch.record);
                scratch.record.deserialize(heading.as_ref()).map_err(|error| csv_mismatch(&error, heading.as_ref()))
            }
        }
    }
}

/// What serde says, without its own account of the place, which is that in the row.
fn json_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(words, _)| words.to_owned())
}

fn csv_mismatch(error: &csv::Error, heading: Option<&ByteRecord>) -> Mismatch {
    let csv::ErrorKind::Deserialize { err, .. } = error.kind() else { return (".".to_owned(), error.to_string()) };
    let field = err.field().map_or_else(
        || ".".to_owned(),
        |column| match heading.and_then(|names| names.get(column as usize)) {
            Some(name) => String::from_utf8_lossy(name).into_owned(),
            None => (column + 1).to_string(),
        },
    );
    (field, err.kind().to_string())
}
