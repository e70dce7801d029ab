//! Tables of the page: names to the left, figures to the right, and on a narrow screen a block for each row.
//!
//! There each figure has its column's name above it, so that nothing has to be scrolled sideways.

use std::fmt;

use crate::report::markup::Escaped;

pub(super) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

pub(super) struct Cell {
    text: String,
    /// Said in smaller letters behind it.
    note: String,
    class: &'static str,
}

/// Something that should be looked at, where it is more than nothing.
pub(super) fn alarming(count: u64) -> Cell {
    Cell { class: if count > 0 { "bad" } else { "" }, ..Cell::from(super::axis::grouped(count)) }
}

/// A figure, and what it stands beside.
pub(super) fn noted(text: String, note: String) -> Cell {
    Cell { note, ..Cell::from(text) }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, note: String::new(), class: "" }
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        super::axis::grouped(count).into()
    }
}

impl Table {
    pub(super) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<table><thead><tr>")?;
        self.head.iter().try_for_each(|name| write!(f, "<th>{name}</th>"))?;
        writeln!(f, "</tr></thead><tbody>")?;
        for row in &self.rows {
            write!(f, "<tr>")?;
            for (name, Cell { text, note, class }) in self.head.iter().zip(row) {
                write!(f, "<td data-name=\"{name}\"")?;
                if !class.is_empty() {
                    write!(f, " class=\"{class}\"")?;
                }
                write!(f, ">{}", Escaped(text))?;
                if !note.is_empty() {
                    write!(f, "<small>{}</small>", Escaped(note))?;
                }
                write!(f, "</td>")?;
            }
            writeln!(f, "</tr>")?;
        }
        writeln!(f, "</tbody></table>")
    }
}
