//! A runner's entries as bytes: MessagePack maps, in which names are told once and then go by number.
//!
//! It is apart from what entries are. Who writes and who reads are kept together, since each must undo the other.

mod part;

use std::io::Cursor;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::part::Part;
use super::gather::{Entry, OfEnd, OfSecond};
use super::totals::{ToldTotals, Totals};
use crate::exchange::cut;
use crate::figures::FiguresTold;
use crate::histogram::v2::MOST;
use crate::names::{Names, PathId, ToldPath};
use crate::pack::{self, PackError};
use crate::runner::protocol::WorkerResult;
use crate::seconds::{RowSecond, Second};

/// The version of what is written here. Fields may be added without another one: who does not know them passes over them.
const VERSION: u64 = 1;
/// What is longer is told in parts: half of what NATS takes at once.
const MOST_BYTES: usize = 512 * 1024;

/// An entry, or a part of it.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    v: u64,
    /// Its number among all that the runner has told, from 0.
    seq: u64,
    /// Whether the next one is another part of the same entry.
    #[serde(default)]
    more: bool,
    /// How many rows the run has, setup and teardown included.
    rows: u32,
    /// Those that are new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    paths: Vec<ToldPath>,
    #[serde(default)]
    out_of_names: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    second: Option<ToldSecond>,
    #[serde(default, skip_serializing_if = "Part::is_empty")]
    warm_up: Part,
    #[serde(default, skip_serializing_if = "Part::is_empty")]
    measured: Part,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<ToldEnd>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ToldSecond {
    index: u64,
    /// By number, those of which there is something to tell.
    rows: Vec<(u32, RowSecond)>,
}

/// What a runner hands over at its end, but for the figures.
#[derive(Debug, Serialize, Deserialize)]
struct ToldEnd {
    sent_messages: Vec<u64>,
    miscounted: Vec<(u32, u64, u64)>,
    totals: ToldTotals,
    warnings: Vec<String>,
}

impl Message {
    /// How many parts it could be told in.
    fn parts(&self) -> usize {
        let rows = self.second.as_ref().map_or(0, |second| second.rows.len());
        self.paths.len() + rows + self.warm_up.parts() + self.measured.parts()
    }

    /// Takes its first half out: new names come before all else, and the end stays.
    fn take_half(&mut self) -> Self {
        let mut left = self.parts() / 2;
        let Self { v, seq, rows, out_of_names, .. } = *self;
        let paths = take_first(&mut self.paths, &mut left);
        let second = self.second.as_mut().map(|second| {
            let ToldSecond { index, rows } = second;
            ToldSecond { index: *index, rows: take_first(rows, &mut left) }
        });
        let (warm_up, measured) = (self.warm_up.take_first(&mut left), self.measured.take_first(&mut left));
        Self { v, seq, more: true, rows, paths, out_of_names, second, warm_up, measured, end: None }
    }

    /// Puts together what was told in parts.
    fn append(&mut self, next: Self) {
        let Self { v: _, seq, more, rows: _, mut paths, out_of_names, second, warm_up, measured, end } = next;
        (self.seq, self.more) = (seq, more);
        self.paths.append(&mut paths);
        self.out_of_names |= out_of_names;
        if let Some(mut next) = second {
            match &mut self.second {
                Some(second) => second.rows.append(&mut next.rows),
                none => *none = Some(next),
            }
        }
        self.warm_up.append(warm_up);
        self.measured.append(measured);
        self.end = self.end.take().or(end);
    }
}

/// Takes the first ones out, as many as `left` says, which is then so many less.
fn take_first<T>(list: &mut Vec<T>, left: &mut usize) -> Vec<T> {
    let count = list.len().min(*left);
    *left -= count;
    list.drain(..count).collect()
}

/// Writes the entries of one runner.
#[derive(Debug)]
pub(crate) struct Packer {
    names: Arc<Names>,
    /// How many paths were told, or need not be since each run has them.
    known: usize,
    seq: u64,
}

impl Packer {
    pub(crate) fn new(names: Arc<Names>) -> Self {
        let known = fixed_paths(&names);
        Self { names, known, seq: 0 }
    }

    /// An entry as what is to be appended to the runner's log, in this order: nearly always one piece, and several where it would
    /// be over 512 KiB. Only what cannot be parted, as a row whose histograms are nearly full, is longer, and gives a warning.
    ///
    /// Texts of over 16 KiB are cut, and say so.
    ///
    /// # Errors
    /// There are more of something than MessagePack can count. Nothing more can be written then.
    pub(crate) fn pack(&mut self, entry: Entry) -> Result<Vec<Vec<u8>>, PackError> {
        // The figures are older, so that each path in them is one of these, or was one before.
        let mut paths = self.names.paths_from(self.known);
        self.known += paths.len();
        for path in &mut paths {
            path.name = cut(std::mem::take(&mut path.name));
        }
        let (figures, second, end) = match entry {
            Entry::Second(OfSecond { second, figures }) => (figures, Some(ToldSecond::from(second)), None),
            Entry::End(OfEnd { result, totals, warnings }) => {
                let WorkerResult { figures, sent_messages, miscounted } = result;
                let warnings = warnings.into_iter().map(cut).collect();
                (figures, None, Some(ToldEnd { sent_messages, miscounted, totals, warnings }))
            }
        };
        let rows = self.names.journeys.len() as u32;
        let (warm_up, measured) = (figures.warm_up.into(), figures.measured.into());
        let out_of_names = self.names.overflowed();
        let message =
            Message { v: VERSION, seq: 0, more: false, rows, paths, out_of_names, second, warm_up, measured, end };
        let mut pieces = Vec::new();
        self.pack_parts(message, &mut pieces)?;
        Ok(pieces)
    }

    fn pack_parts(&mut self, mut message: Message, pieces: &mut Vec<Vec<u8>>) -> Result<(), PackError> {
        message.seq = self.seq;
        let bytes = pack::to_vec(&message)?;
        if bytes.len() > MOST_BYTES && message.parts() > 1 {
            let first = message.take_half();
            self.pack_parts(first, pieces)?;
            return self.pack_parts(message, pieces);
        }
        if bytes.len() > MOST_BYTES {
            tracing::warn!(bytes = bytes.len(), "what a runner tells at once cannot be parted any more");
        }
        self.seq += 1;
        pieces.push(bytes);
        Ok(())
    }
}

impl From<Second> for ToldSecond {
    fn from(second: Second) -> Self {
        let has_any = |(_, row): &(u32, RowSecond)| row.named_counts().any(|(_, count)| count > 0);
        Self { index: second.index, rows: (0..).zip(second.rows).filter(has_any).collect() }
    }
}

/// The paths that each process has by the same numbers, since they go by the scenario's rows.
fn fixed_paths(names: &Names) -> usize {
    2 * names.journeys.len()
}

/// Why an entry cannot be read. Nothing that the runner tells after it can be either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("byte {at} of a runner's entry: {why}")]
    Broken { at: u64, why: String },
    #[error(
        "a runner's entry has version {found}, and this program reads version {VERSION}: run the same program everywhere"
    )]
    Version { found: u64 },
    #[error("a runner's entry {found} came where its entry {expected} should have")]
    Order { expected: u64, found: u64 },
    #[error("a runner's entry {seq}: {why}")]
    Wrong { seq: u64, why: String },
}

/// What was read.
#[derive(Debug)]
pub(crate) enum Unpacked {
    /// A part of an entry: the next one has more of it.
    Part,
    /// To be handled as [`Event::Seconds`](crate::runner::protocol::Event) is, with its one second.
    Second(OfSecond),
    /// The runner's end. What it has counted and what its entries come to may differ only by mite's own mistake.
    End { result: WorkerResult, differences: Vec<String>, warnings: Vec<String> },
}

/// Reads the entries of one runner, in their order and from the first.
#[derive(Debug)]
pub(crate) struct Unpacker {
    dictionary: Dictionary,
    seq: u64,
    /// What was told in parts, until the last of them.
    parts: Option<Message>,
    /// The first second that was not told yet.
    next: u64,
    totals: Totals,
}

impl Unpacker {
    /// `names` are those of the process that reads.
    pub(crate) fn new(names: Arc<Names>) -> Self {
        Self { dictionary: Dictionary::new(names), seq: 0, parts: None, next: 0, totals: Totals::default() }
    }

    /// Reads the next piece. The seconds before `until` may be over: none after them can have been told.
    ///
    /// # Errors
    /// The bytes are no such piece, or not the next one. Nothing more can be read then.
    pub(crate) fn unpack(&mut self, bytes: &[u8], until: u64) -> Result<Unpacked, WireError> {
        let message = read(bytes)?;
        if message.seq != self.seq {
            return Err(WireError::Order { expected: self.seq, found: message.seq });
        }
        let seq = message.seq;
        self.seq += 1;
        let message = match self.parts.take() {
            Some(mut parts) => {
                parts.append(message);
                parts
            }
            None => message,
        };
        if message.more {
            self.parts = Some(message);
            return Ok(Unpacked::Part);
        }
        self.take(message, until).map_err(|why| {
            // What comes after would be read with names that are missing.
            self.seq = u64::MAX;
            WireError::Wrong { seq, why }
        })
    }

    fn take(&mut self, message: Message, until: u64) -> Result<Unpacked, String> {
        let Message { rows, paths, out_of_names, second, warm_up, measured, end, .. } = message;
        let own_rows = self.dictionary.rows();
        if rows as usize != own_rows {
            return Err(format!(
                "it is of a run of {rows} rows, and this one has {own_rows}, setup and teardown included"
            ));
        }
        for path in &paths {
            self.dictionary.add(path)?;
        }
        if out_of_names {
            self.dictionary.names.set_overflowed();
        }
        let warm_up = warm_up.into_told(&self.dictionary)?;
        let figures = FiguresTold { warm_up, measured: measured.into_told(&self.dictionary)? };
        match (second, end) {
            (Some(second), None) => {
                let second = second.into_second(own_rows)?;
                if second.index < self.next || second.index >= until {
                    let Self { next, .. } = self;
                    return Err(format!(
                        "it is of second {}, and can be of those from {next} to before {until}",
                        second.index
                    ));
                }
                self.next = second.index + 1;
                self.totals.add(&figures);
                self.totals.add_second(&second.rows);
                Ok(Unpacked::Second(OfSecond { second, figures }))
            }
            (None, Some(ToldEnd { sent_messages, miscounted, totals, warnings })) => {
                self.totals.add(&figures);
                let differences = self.totals.differences(&totals);
                let result = WorkerResult { figures, sent_messages, miscounted };
                Ok(Unpacked::End { result, differences, warnings })
            }
            _ => Err("it is neither of a second nor of the end".to_owned()),
        }
    }
}

impl ToldSecond {
    fn into_second(self, rows: usize) -> Result<Second, String> {
        let mut all = vec![RowSecond::default(); rows];
        for (row, told) in self.rows {
            bounded(told.named_counts())?;
            all.get_mut(row as usize).ok_or_else(|| no_row(row))?.merge(&told);
        }
        Ok(Second { index: self.index, rows: all })
    }
}

fn no_row(row: u32) -> String {
    format!("there is no row {row}")
}

/// Refuses counts that no second has: they could not be added up any more.
fn bounded(counts: impl IntoIterator<Item = (&'static str, u64)>) -> Result<(), String> {
    let beyond = counts.into_iter().find(|(_, count)| *count > MOST);
    beyond.map_or(Ok(()), |(name, count)| Err(format!("{count} {name} are more than there can be")))
}

/// One piece, not looked at but for its form.
fn read(bytes: &[u8]) -> Result<Message, WireError> {
    let broken = |at, why: &str| WireError::Broken { at, why: why.to_owned() };
    let version = || {
        let mut rest = bytes;
        rmp::decode::read_map_len(&mut rest).ok()?;
        rest = rest.strip_prefix(b"\xa1v")?;
        rmp::decode::read_int::<u64, _>(&mut rest).ok()
    };
    let found = version().ok_or_else(|| broken(0, "it is none: a map that begins with its version `v`"))?;
    if found != VERSION {
        return Err(WireError::Version { found });
    }
    let mut deserializer = rmp_serde::Deserializer::new(Cursor::new(bytes));
    // A message is not deep; what is, is none.
    deserializer.set_max_depth(32);
    let message =
        Message::deserialize(&mut deserializer).map_err(|error| broken(deserializer.position(), &error.to_string()))?;
    let end = deserializer.position();
    if end != bytes.len() as u64 {
        return Err(broken(end, "there is something after its end"));
    }
    Ok(message)
}

/// What a runner's numbers of paths are here.
#[derive(Debug)]
struct Dictionary {
    names: Arc<Names>,
    /// By the runner's number, ours and the row.
    paths: Vec<(PathId, u32)>,
}

impl Dictionary {
    fn new(names: Arc<Names>) -> Self {
        let rows = names.journeys.len() as u32;
        let paths = (0..fixed_paths(&names) as u32).map(|path| (PathId(path), path % rows)).collect();
        Self { names, paths }
    }

    fn rows(&self) -> usize {
        self.names.journeys.len()
    }

    fn add(&mut self, told: &ToldPath) -> Result<(), String> {
        let ToldPath { number, parent, name, row } = told;
        if *number as usize != self.paths.len() {
            return Err(format!("it names the path {number} where {} is the next", self.paths.len()));
        }
        let (within, of_row) = self.path(PathId(*parent))?;
        if *row != of_row {
            return Err(format!("it names the path {number} as of row {row}, within one of row {of_row}"));
        }
        self.paths.push((self.names.child(within, name), of_row));
        Ok(())
    }

    /// Our number of a path, and its row.
    fn path(&self, told: PathId) -> Result<(PathId, u32), String> {
        self.paths.get(told.index()).copied().ok_or_else(|| format!("it never named the path {}", told.0))
    }
}

#[cfg(test)]
mod tests;
