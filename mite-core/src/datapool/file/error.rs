//! Why the rows of a file cannot be had, in words that lead to the row.
//!
//! It is apart from [`RecordedError`](crate::RecordedError), which tells of records alone; here a row may be a line of text too.

use std::io;
use std::path::PathBuf;

/// Why the rows of a file cannot be had. Rows count from 1; the heading of a CSV file is none of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileRowsError {
    /// The file cannot be opened or read.
    #[error("failed to read {}: {source}{}", .path.display(), hint(.source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file ends within a row: a power cut, or it is still being written.
    #[error(
        "{}: row {row}, which begins at byte {at}, is cut off by the end of the file: wait until it is written, or cut the file \
         off there", .path.display()
    )]
    Torn {
        /// The file.
        path: PathBuf,
        /// The row's number.
        row: u64,
        /// Its first byte.
        at: u64,
    },
    /// A row is not what the file's format has as one.
    #[error("{}: row {row}, at byte {at}: {message}", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The row's number.
        row: u64,
        /// The byte.
        at: u64,
        /// What is wrong there.
        message: String,
    },
    /// A row is not of the type that was asked for.
    #[error("{}: row {row}, at byte {at}, does not fit{}: {message}", .path.display(), place(.field))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The row's number.
        row: u64,
        /// Its first byte.
        at: u64,
        /// The path of the field within the row, or the name of its column; `.` for the row itself.
        field: String,
        /// What does not fit, in serde's words.
        message: String,
    },
    /// The file is not what it was when it was opened.
    #[error(
        "{}: row {row} is not where it was when the file was opened: the file was cut off or written anew during the run",
        .path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The row's number.
        row: u64,
    },
    /// There is no such row.
    #[error("{}: there is no row at index {index}: the file has {rows}", .path.display())]
    NoSuchRow {
        /// The file.
        path: PathBuf,
        /// What was asked for, from 0.
        index: u64,
        /// How many rows there are.
        rows: u64,
    },
    /// The format that was described is none.
    #[error("{}: {message}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the mend.
        message: String,
    },
}

fn hint(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotFound {
        " (it is looked for from the folder that the program runs in)"
    } else {
        ""
    }
}

fn place(field: &str) -> String {
    if field == "." { String::new() } else { format!(" in field `{field}`") }
}
