//! What is new in one part of a run, as lists: of such a list some can be told first, and the rest in the next piece.
//!
//! It is apart from the figures, which know of no format, and whose paths have other numbers in each process.

use serde::{Deserialize, Serialize};

use super::{Dictionary, bounded, no_row, take_first};
use crate::exchange::{FailedExchanges, Kept, cut};
use crate::figures::{CheckStats, ErrorKey, RequestStats, RowStats, Told, TransactionStats};
use crate::limits::RanOut;
use crate::names::PathId;
use crate::stats::ToldTables;

/// What is new in one part of a run. Paths are the runner's.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    /// By number, those of which there is something to tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rows: Vec<(u32, RowStats)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transactions: Vec<(PathId, TransactionStats)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requests: Vec<(PathId, RequestStats)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<(ErrorKey, u64)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<(PathId, String, CheckStats)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_exchanges: Vec<Kept>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ran_out: Vec<(RanOut, u64)>,
    #[serde(skip_serializing_if = "ToldTables::is_empty")]
    metrics: ToldTables,
    out_of_room: bool,
    out_of_kinds: bool,
}

impl From<Told> for Part {
    fn from(told: Told) -> Self {
        let Told {
            rows,
            transactions,
            requests,
            errors,
            checks,
            failed_exchanges,
            ran_out,
            metrics,
            out_of_room,
            out_of_kinds,
        } = told;
        let has_any = |(_, stats): &(u32, RowStats)| stats.named_counts().any(|(_, count)| count > 0);
        let cut_key = |ErrorKey { path, ex_type, message, location }| ErrorKey {
            path,
            ex_type: cut(ex_type),
            message: cut(message),
            location: cut(location),
        };
        Self {
            rows: (0..).zip(rows).filter(has_any).collect(),
            transactions,
            requests,
            errors: errors.into_iter().map(|(key, count)| (cut_key(key), count)).collect(),
            checks: checks.into_iter().map(|(path, name, stats)| (path, cut(name), stats)).collect(),
            failed_exchanges: failed_exchanges.into_kept(),
            ran_out: ran_out.into_iter().collect(),
            metrics: metrics.into(),
            out_of_room,
            out_of_kinds,
        }
    }
}

impl Part {
    pub(super) fn is_empty(&self) -> bool {
        self.parts() == 0 && self.metrics.is_empty() && !self.out_of_room && !self.out_of_kinds
    }

    /// How many parts it could be told in.
    pub(super) fn parts(&self) -> usize {
        let Self { rows, transactions, requests, errors, checks, failed_exchanges, ran_out, metrics, .. } = self;
        let figures = rows.len() + transactions.len() + requests.len() + errors.len() + checks.len();
        figures + failed_exchanges.len() + ran_out.len() + metrics.parts()
    }

    /// Takes the first parts out, as many as `left` says, which is then so many less.
    pub(super) fn take_first(&mut self, left: &mut usize) -> Self {
        Self {
            rows: take_first(&mut self.rows, left),
            transactions: take_first(&mut self.transactions, left),
            requests: take_first(&mut self.requests, left),
            errors: take_first(&mut self.errors, left),
            checks: take_first(&mut self.checks, left),
            failed_exchanges: take_first(&mut self.failed_exchanges, left),
            ran_out: take_first(&mut self.ran_out, left),
            metrics: self.metrics.take_first(left),
            out_of_room: self.out_of_room,
            out_of_kinds: self.out_of_kinds,
        }
    }

    /// Puts together what was told in parts.
    pub(super) fn append(&mut self, mut next: Self) {
        self.rows.append(&mut next.rows);
        self.transactions.append(&mut next.transactions);
        self.requests.append(&mut next.requests);
        self.errors.append(&mut next.errors);
        self.checks.append(&mut next.checks);
        self.failed_exchanges.append(&mut next.failed_exchanges);
        self.ran_out.append(&mut next.ran_out);
        self.metrics.append(next.metrics);
        self.out_of_room |= next.out_of_room;
        self.out_of_kinds |= next.out_of_kinds;
    }

    /// The figures, with the paths of this process.
    pub(super) fn into_told(self, dictionary: &Dictionary) -> Result<Told, String> {
        let mut told = Told {
            rows: vec![RowStats::default(); dictionary.rows()],
            metrics: self.metrics.into_tables()?,
            out_of_room: self.out_of_room,
            out_of_kinds: self.out_of_kinds,
            ..Told::default()
        };
        for (row, stats) in self.rows {
            bounded(stats.named_counts())?;
            told.rows.get_mut(row as usize).ok_or_else(|| no_row(row))?.merge(&stats);
        }
        for (path, mut stats) in self.transactions {
            bounded([("transactions", stats.count), ("transactions with an error", stats.errors)])?;
            let (path, row) = dictionary.path(path)?;
            stats.row = row;
            told.transactions.push((path, stats));
        }
        for (path, mut stats) in self.requests {
            bounded([("requests", stats.count), ("bytes", stats.bytes)])?;
            let (path, row) = dictionary.path(path)?;
            stats.row = row;
            told.requests.push((path, stats));
        }
        for (mut key, count) in self.errors {
            bounded([("errors", count)])?;
            key.path = dictionary.path(key.path)?.0;
            // What differs for the runner may be the same here, where names are too many.
            *told.errors.entry(key).or_default() += count;
        }
        for (path, name, stats) in self.checks {
            bounded([("checks that passed", stats.passed), ("checks that failed", stats.failed)])?;
            told.checks.push((dictionary.path(path)?.0, name, stats));
        }
        let mut kept = self.failed_exchanges;
        for exchange in &mut kept {
            exchange.path = dictionary.path(exchange.path)?.0;
        }
        told.failed_exchanges = FailedExchanges::of_kept(kept);
        for (what, count) in self.ran_out {
            bounded([("times that something ran out", count)])?;
            *told.ran_out.entry(what).or_default() += count;
        }
        Ok(told)
    }
}
