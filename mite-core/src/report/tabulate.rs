//! Makes a report's rows of what was counted: by name, where it was counted by number.
//!
//! It is apart from the report, since windows and snapshots are made into the same rows.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::Halves;
use super::metrics::{MetricReport, metrics};
use super::rows::{CheckReport, ErrorReport, JourneyReport, RequestReport, Tables, TransactionReport};
use crate::figures::{CheckStats, ErrorKey, Half, PartFigures, RequestStats, RowStats, TransactionStats};
use crate::names::{Names, PathId};

/// The tables of figures that were counted in a part of the run.
pub(crate) struct Tabulated {
    journeys: Vec<JourneyReport>,
    transactions: Vec<TransactionReport>,
    requests: Vec<RequestReport>,
    errors: u64,
    metrics: Vec<MetricReport>,
}

impl Tabulated {
    pub(crate) fn new(stats: PartFigures, names: &Names) -> Self {
        let rows = (0..).zip(stats.rows).skip(1);
        Self {
            errors: stats.errors.values().sum(),
            metrics: metrics(&stats.metrics),
            journeys: rows.map(|(row, stats)| journey(row, names.journey(row).to_owned(), stats)).collect(),
            transactions: transactions(stats.transactions, |path| place(names, path)),
            requests: requests(stats.requests, |path| place(names, path)),
        }
    }

    /// `measured` is how long the part was.
    pub(crate) fn tables(&self, measured: Duration) -> Tables<'_> {
        let Self { journeys, transactions, requests, errors, metrics } = self;
        Tables { journeys, transactions, requests, errors: *errors, metrics, request_rates: &[], measured }
    }
}

/// The row, the journey and the transaction that a path is of.
pub(crate) fn place(names: &Names, path: PathId) -> (u32, String, String) {
    let path = names.path(path);
    (path.row, names.journey(path.row).to_owned(), path.short().to_owned())
}

pub(crate) fn journey(row: u32, journey: String, stats: RowStats) -> JourneyReport {
    let halves = stats.even.map(|even| Halves::of(stats.started, stats.failed, &stats.response_time, &even));
    JourneyReport {
        row,
        journey,
        halves,
        planned: stats.planned,
        started: stats.started,
        completed: stats.completed,
        failed: stats.failed,
        cancelled: stats.cancelled,
        dropped: stats.dropped,
        starved: stats.starved,
        unstarted: stats.unstarted,
        fenced: stats.fenced,
        lost: stats.lost,
        response_time: stats.response_time,
        service_time: stats.service_time,
        start_lag: stats.start_lag,
        queue_wait: stats.queue_wait,
        data_wait: stats.data_wait,
        failed_time: stats.failed_time,
        unused_items: None,
    }
}

/// Rows of the same name, as when a journey stands in two rows of the scenario, are told as one.
type Named<T> = BTreeMap<(u32, String, String, T), usize>;

fn merged<T: Ord, R>(
    rows: &mut Vec<R>,
    index: &mut Named<T>,
    key: (u32, String, String, T),
    row: R,
    merge: impl FnOnce(&mut R, R),
) {
    if let Some(at) = index.get(&key) {
        merge(&mut rows[*at], row);
    } else {
        index.insert(key, rows.len());
        rows.push(row);
    }
}

pub(crate) fn transactions(
    stats: Vec<TransactionStats>,
    place: impl Fn(PathId) -> (u32, String, String),
) -> Vec<TransactionReport> {
    let (mut rows, mut index) = (Vec::new(), Named::new());
    for (path, stats) in stats.into_iter().enumerate().filter(|(_, stats)| stats.count > 0) {
        let (row, journey, transaction) = place(PathId(path as u32));
        let key = (u32::from(row > 0), journey.clone(), transaction.clone(), ());
        let TransactionStats { count, errors, time, even, .. } = stats;
        let row = TransactionReport { journey, transaction, count, errors, time, halves: None };
        merged(&mut rows, &mut index, key, (row, even), |(told, even), (row, even_of_row)| {
            told.count += row.count;
            told.errors += row.errors;
            told.time.merge(&row.time);
            merge_even(even, even_of_row);
        });
    }
    let halved = |(row, even): (TransactionReport, Option<Box<Half>>)| {
        let halves = even.map(|even| Halves::of(row.count, row.errors, &row.time, &even));
        TransactionReport { halves, ..row }
    };
    rows.into_iter().map(halved).collect()
}

fn merge_even(even: &mut Option<Box<Half>>, other: Option<Box<Half>>) {
    if let (Some(even), Some(other)) = (even, other) {
        even.merge(&other);
    }
}

pub(crate) fn requests(
    stats: Vec<Vec<RequestStats>>,
    place: impl Fn(PathId) -> (u32, String, String),
) -> Vec<RequestReport> {
    let (mut rows, mut index) = (Vec::new(), Named::new());
    let stats = stats.into_iter().enumerate().flat_map(|(path, stats)| stats.into_iter().map(move |of| (path, of)));
    for (path, stats) in stats {
        let (row, journey, transaction) = place(PathId(path as u32));
        let kind = (stats.method.clone(), stats.name.clone(), stats.code, stats.error);
        let key = (u32::from(row > 0), journey.clone(), transaction.clone(), kind);
        let row = RequestReport {
            journey,
            transaction,
            method: stats.method.into(),
            name: stats.name.map(Into::into),
            code: stats.code,
            error: stats.error.map(str::to_owned),
            count: stats.count,
            bytes: stats.bytes,
            time: stats.time,
            dns: stats.dns,
            connect: stats.connect,
            tls: stats.tls,
            first_byte: stats.first_byte,
            halves: None,
        };
        merged(&mut rows, &mut index, key, (row, stats.even), |(told, even), (row, even_of_row)| {
            told.count += row.count;
            told.bytes += row.bytes;
            told.time.merge(&row.time);
            told.dns.merge(&row.dns);
            told.connect.merge(&row.connect);
            told.tls.merge(&row.tls);
            told.first_byte.merge(&row.first_byte);
            merge_even(even, even_of_row);
        });
    }
    let halved = |(row, even): (RequestReport, Option<Box<Half>>)| {
        let halves = even.map(|even| Halves::of(row.count, 0, &row.time, &even));
        RequestReport { halves, ..row }
    };
    rows.into_iter().map(halved).collect()
}

pub(crate) fn errors(
    stats: &HashMap<ErrorKey, u64>,
    place: impl Fn(PathId) -> (u32, String, String),
) -> Vec<ErrorReport> {
    let mut rows: Vec<ErrorReport> = stats
        .iter()
        .map(|(key, count)| {
            let (_, journey, transaction) = place(key.path);
            ErrorReport {
                journey,
                transaction,
                ex_type: key.ex_type.clone(),
                message: key.message.clone(),
                location: key.location.clone(),
                count: *count,
            }
        })
        .collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.journey, &a.message).cmp(&(&b.journey, &b.message))));
    rows
}

pub(crate) fn checks(
    stats: &FxHashMap<PathId, FxHashMap<String, CheckStats>>,
    place: impl Fn(PathId) -> (u32, String, String),
) -> Vec<CheckReport> {
    let mut rows = BTreeMap::new();
    for (path, name, stats) in stats.iter().flat_map(|(path, of)| of.iter().map(move |(name, of)| (path, name, of))) {
        let (_, journey, _) = place(*path);
        let told = rows.entry((journey.clone(), name.clone()));
        let told = told.or_insert_with(|| CheckReport { journey, name: name.clone(), passed: 0, failed: 0 });
        told.passed += stats.passed;
        told.failed += stats.failed;
    }
    rows.into_values().collect()
}
