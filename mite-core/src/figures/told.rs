//! What is new in a worker's figures: it is handed over once a second, and the rest when the worker ends.
//!
//! It holds only what has happened since the last time, in no more room than that takes; the figures themselves keep theirs.

use std::collections::{BTreeMap, HashMap};
use std::mem;

use super::{CheckStats, ErrorKey, PartFigures, RequestStats, RowStats, TransactionStats};
use crate::exchange::FailedExchanges;
use crate::limits::RanOut;
use crate::names::PathId;
use crate::stats::Tables;

/// What is new in the figures of one part of the run.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) rows: Vec<RowStats>,
    pub(crate) transactions: Vec<(PathId, TransactionStats)>,
    pub(crate) requests: Vec<(PathId, RequestStats)>,
    pub(crate) errors: HashMap<ErrorKey, u64>,
    pub(crate) checks: Vec<(PathId, String, CheckStats)>,
    pub(crate) failed_exchanges: FailedExchanges,
    pub(crate) ran_out: BTreeMap<RanOut, u64>,
    /// Of the worker's own, put in by who has them.
    pub(crate) metrics: Tables,
    pub(crate) out_of_room: bool,
    pub(crate) out_of_kinds: bool,
}

/// What is new in both parts of a run.
#[derive(Debug, Default)]
pub(crate) struct FiguresTold {
    pub(crate) warm_up: Told,
    pub(crate) measured: Told,
}

impl Told {
    /// How many requests there were.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.iter().map(|(_, stats)| stats.count).sum()
    }

    /// How many errors were reported.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl RowStats {
    /// What is new; what is planned is settled at the end, and stays until then.
    fn tell(&mut self) -> Self {
        let told = Self { planned: 0, not_planned: 0, ..self.clone() };
        for count in self.counts() {
            *count = 0;
        }
        for histogram in self.histograms() {
            histogram.clear();
        }
        told
    }
}

impl TransactionStats {
    fn tell(&mut self) -> Self {
        let told = self.clone();
        (self.count, self.errors) = (0, 0);
        self.time.clear();
        told
    }
}

impl RequestStats {
    fn tell(&mut self) -> Self {
        let told = self.clone();
        (self.count, self.bytes) = (0, 0);
        for histogram in self.histograms() {
            histogram.clear();
        }
        told
    }
}

impl PartFigures {
    /// What has come since the last time; failed exchanges and what is planned are told at the end.
    pub(crate) fn tell(&mut self) -> Told {
        self.count_undelayed();
        let transactions = self.transactions.iter_mut().enumerate().filter(|(_, stats)| stats.count > 0);
        let requests = self.requests.iter_mut().enumerate();
        let requests = requests.flat_map(|(path, of)| of.iter_mut().map(move |stats| (path, stats)));
        let checks = self.checks.drain();
        self.distinct_checks = 0;
        Told {
            rows: self.rows.iter_mut().map(RowStats::tell).collect(),
            transactions: transactions.map(|(path, stats)| (PathId(path as u32), stats.tell())).collect(),
            requests: requests
                .filter(|(_, stats)| stats.count > 0)
                .map(|(path, stats)| (PathId(path as u32), stats.tell()))
                .collect(),
            errors: mem::take(&mut self.errors),
            checks: checks
                .flat_map(|(path, of)| of.into_iter().map(move |(name, stats)| (path, name, stats)))
                .collect(),
            failed_exchanges: FailedExchanges::default(),
            ran_out: mem::take(&mut self.ran_out),
            metrics: Tables::default(),
            out_of_room: self.out_of_room,
            out_of_kinds: self.out_of_kinds,
        }
    }

    /// All that was not told yet, at the end.
    pub(crate) fn tell_all(mut self) -> Told {
        let mut told = self.tell();
        for (told, row) in told.rows.iter_mut().zip(&self.rows) {
            (told.planned, told.not_planned) = (row.planned, row.not_planned);
        }
        told.failed_exchanges = self.failed_exchanges;
        told
    }

    /// What was added since the last time, failed exchanges, metrics and what is planned included.
    pub(super) fn tell_added(&mut self) -> Told {
        let mut told = self.tell();
        for (told, row) in told.rows.iter_mut().zip(&mut self.rows) {
            (told.planned, told.not_planned) = (mem::take(&mut row.planned), mem::take(&mut row.not_planned));
        }
        told.failed_exchanges = mem::take(&mut self.failed_exchanges);
        told.metrics = self.metrics.tell();
        told
    }

    /// Adds what was told elsewhere.
    pub(crate) fn add(&mut self, told: &Told) {
        for (row, other) in self.rows.iter_mut().zip(&told.rows) {
            row.merge(other);
        }
        for (path, other) in &told.transactions {
            let stats = self.transaction_stats(other.row, *path);
            stats.count += other.count;
            stats.errors += other.errors;
            stats.time.merge(&other.time);
        }
        for (path, other) in &told.requests {
            self.request_stats(other.row, *path, other.kind()).merge(other);
        }
        for (key, count) in &told.errors {
            self.errors_of(key, *count);
        }
        self.failed_exchanges.merge(told.failed_exchanges.clone());
        for (what, count) in &told.ran_out {
            *self.ran_out.entry(*what).or_default() += count;
        }
        self.metrics.merge(&told.metrics);
        for (path, name, stats) in &told.checks {
            self.checks_of(*path, name, *stats);
        }
        self.out_of_room |= told.out_of_room;
        self.out_of_kinds |= told.out_of_kinds;
    }
}
