//! Where a row of a CSV file ends, and what its fields are.
//!
//! The crate `csv` has the types of a row's fields; it is apart from that, since a file of which single rows are read needs to know
//! where each begins.

use std::ops::ControlFlow;

use csv::ByteRecord;

/// How the rows of a CSV file are written, for [`FileDataPool::csv_with`](crate::FileDataPool::csv_with).
///
/// Fields may be quoted by `"`, which is doubled within; rows end with a line's end. This is RFC 4180, with what is usual beyond it.
///
/// ```
/// use mite_core::Csv;
///
/// let semicolons = Csv::new().delimiter(b';');
/// let tabs_without_heading = Csv::new().delimiter(b'\t').no_heading();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it says how a file is read, and reads none"]
pub struct Csv {
    delimiter: u8,
    has_heading: bool,
}

impl Default for Csv {
    fn default() -> Self {
        Self::new()
    }
}

impl Csv {
    /// Commas between the fields, and a heading: the first row names the columns, and is no data.
    pub fn new() -> Self {
        Self { delimiter: b',', has_heading: true }
    }

    /// What stands between the fields: one ASCII character that is no quote and no line's end.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// The first row is data too. Rows are then read as tuples, since their fields have no names.
    pub fn no_heading(mut self) -> Self {
        self.has_heading = false;
        self
    }

    pub(super) fn has_heading(self) -> bool {
        self.has_heading
    }

    /// What is wrong with it, and the mend.
    pub(super) fn mistake(self) -> Option<String> {
        let makes_sense = self.delimiter.is_ascii() && !matches!(self.delimiter, b'"' | b'\r' | b'\n');
        (!makes_sense).then(|| {
            format!(
                "{:?} cannot stand between fields: `.delimiter(…)` takes an ASCII character that is no quote and no line's end",
                char::from(self.delimiter)
            )
        })
    }

    /// How many bytes of line ends are before the next row: empty lines are no rows.
    pub(super) fn gap(bytes: &[u8]) -> usize {
        bytes.iter().position(|byte| !is_end(*byte)).unwrap_or(bytes.len())
    }

    /// The row that `bytes` begin with.
    pub(super) fn row(self, bytes: &[u8]) -> Row {
        let mut fields = 0;
        let (len, end) = self.walk(bytes, |part| fields += usize::from(matches!(part, Part::End)));
        Row { len, end, fields }
    }

    /// Puts the fields of a whole row, without its line's end, into `record`.
    pub(super) fn read(self, row: &[u8], field: &mut Vec<u8>, record: &mut ByteRecord) {
        record.clear();
        field.clear();
        self.walk(row, |part| match part {
            Part::Byte(byte) => field.push(byte),
            Part::End => {
                record.push_field(field);
                field.clear();
            }
        });
    }

    /// Walks along a row's fields up to its line's end, or as far as the bytes go.
    #[inline]
    fn walk(self, bytes: &[u8], mut each: impl FnMut(Part)) -> (usize, End) {
        let mut state = State::Begin;
        let end = bytes.iter().enumerate().try_for_each(|(at, &byte)| {
            state = match (state, byte) {
                (State::Begin, b'"') => State::Quoted,
                (State::Quoted, b'"') => State::QuoteInQuotes,
                (State::Quoted, _) | (State::QuoteInQuotes, b'"') => {
                    each(Part::Byte(byte));
                    State::Quoted
                }
                (_, byte) if byte == self.delimiter => {
                    each(Part::End);
                    State::Begin
                }
                (_, b'\r' | b'\n') => return ControlFlow::Break(at),
                (_, byte) => {
                    each(Part::Byte(byte));
                    State::Plain
                }
            };
            ControlFlow::Continue(())
        });
        each(Part::End);
        match end {
            ControlFlow::Break(at) => (at, End::Line),
            ControlFlow::Continue(()) if state == State::Quoted => (bytes.len(), End::WithinQuotes),
            ControlFlow::Continue(()) => (bytes.len(), End::Bytes),
        }
    }
}

/// What the beginning of some bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// In bytes, without the line's end.
    pub(super) len: usize,
    pub(super) end: End,
    pub(super) fields: usize,
}

/// What ended a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Line,
    /// There were no more bytes.
    Bytes,
    /// There were no more bytes, and a quote is not closed.
    WithinQuotes,
}

/// What comes along a row.
enum Part {
    Byte(u8),
    /// A field has ended.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Of a field.
    Begin,
    Plain,
    Quoted,
    QuoteInQuotes,
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All rows of a file.
    fn rows(csv: Csv, mut bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut rows = Vec::new();
        let mut record = ByteRecord::new();
        loop {
            bytes = &bytes[Csv::gap(bytes)..];
            if bytes.is_empty() {
                return rows;
            }
            let Row { len, fields, .. } = csv.row(bytes);
            csv.read(&bytes[..len], &mut Vec::new(), &mut record);
            assert_eq!(record.len(), fields);
            rows.push(record.iter().map(<[u8]>::to_vec).collect());
            bytes = &bytes[len..];
        }
    }

    fn by_the_crate(csv: Csv, bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(csv.delimiter).from_reader(bytes);
        reader.byte_records().map(|row| row.unwrap().iter().map(<[u8]>::to_vec).collect()).collect()
    }

    proptest! {
        #[test]
        fn any_text_has_the_rows_that_the_crate_csv_finds(
            text in prop::collection::vec(prop::sample::select(&b"ab,;\"\"\r\n\n "[..]), 0..60),
            delimiter in prop::sample::select(&b",;"[..]),
        ) {
            let csv = Csv::new().delimiter(delimiter);
            prop_assert_eq!(rows(csv, &text), by_the_crate(csv, &text));
        }

        #[test]
        fn what_was_written_comes_back(fields in prop::collection::vec(".{0,20}", 1..5)) {
            // A row of one empty field would be an empty line: the crate writes it quoted.
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&fields).unwrap();
            let written = writer.into_inner().unwrap();
            let fields: Vec<Vec<u8>> = fields.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(rows(Csv::new(), &written), vec![fields]);
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told() {
        assert_eq!(Csv::new().row(b"a,\"b\nc"), Row { len: 6, end: End::WithinQuotes, fields: 2 });
        assert_eq!(Csv::new().row(b"a,\"b\"\nc"), Row { len: 5, end: End::Line, fields: 2 });
        assert_eq!(Csv::new().row(b"a,\"b\""), Row { len: 5, end: End::Bytes, fields: 2 });
    }

    #[test]
    fn what_cannot_stand_between_fields_is_refused() {
        for (delimiter, is_refused) in [(b',', false), (b'\t', false), (b'"', true), (b'\n', true), (0xff, true)] {
            assert_eq!(Csv::new().delimiter(delimiter).mistake().is_some(), is_refused, "{delimiter}");
        }
    }
}
