//! What all workers have told of their figures: added up, and what is new of it kept for a second.
//!
//! It is apart from the controller, which asks it for each second's share, and so decides nothing about figures itself.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::figures::{Figures, FiguresTold, PartFigures};
use crate::histogram::Histogram;
use crate::names::Names;
use crate::report::metrics::metrics;
use crate::report::tabulate::{errors, journey, place, requests, transactions};
use crate::run::progress::{ErrorProgress, RequestProgress};
use crate::snapshot::Snapshot;
use crate::stats::{Metrics, Tables};

#[derive(Debug)]
pub(crate) struct Tally {
    figures: Figures,
    /// The latest second that was told.
    latest: u64,
    /// What was told of seconds that are not taken yet, with the second's number.
    fresh: Vec<(u64, FiguresTold)>,
}

impl Tally {
    /// For `rows` rows, setup and teardown included, with so much room for transactions and requests.
    pub(crate) fn new(rows: usize, max_series_bytes: u64, metrics: &Metrics) -> Self {
        let mut figures = Figures::new(rows);
        figures.measured.limit_series(max_series_bytes);
        figures.measured.metrics = Tables::new(metrics);
        figures.measured.metrics.limit(max_series_bytes / 4);
        Self { figures, latest: 0, fresh: Vec::new() }
    }

    /// Adds what a worker tells at the end of a second.
    pub(crate) fn add(&mut self, second: u64, told: FiguresTold) {
        self.figures.add_second(second, &told);
        self.latest = self.latest.max(second);
        self.fresh.push((second, told));
    }

    /// Adds what a worker has left to tell when the run is over.
    pub(crate) fn add_last(&mut self, told: &FiguresTold) {
        self.figures.add_second(self.latest + 1, told);
    }

    /// What has been told of the seconds up to this one since the last call.
    pub(crate) fn take_fresh(&mut self, second: u64) -> Vec<FiguresTold> {
        // What there is grows with each second, and with it what it takes.
        self.figures.measured.weigh();
        let of_it = self.fresh.extract_if(.., |(of, _)| *of <= second);
        of_it.map(|(_, told)| told).collect()
    }

    /// The figures so far, without those of the warm-up.
    pub(crate) fn measured(&self) -> &PartFigures {
        &self.figures.measured
    }

    /// The figures so far, without those of the warm-up, by name.
    pub(crate) fn snapshot(&self, names: &Names) -> Snapshot {
        let figures = self.measured();
        let of = |path| place(names, path);
        let rows = (0..).zip(&figures.rows).skip(1);
        Snapshot {
            scenario: names.test.clone(),
            journeys: rows.map(|(row, of)| journey(row, names.journey(row).to_owned(), of.clone())).collect(),
            transactions: transactions(figures.transactions.clone(), of),
            requests: requests(figures.requests.clone(), of),
            errors: errors(&figures.errors, of),
            metrics: metrics(&figures.metrics),
            ..Snapshot::default()
        }
    }

    pub(crate) fn into_figures(mut self) -> Figures {
        self.figures.measured.complete_halves();
        self.figures
    }

    /// The requests so far by outcome: codes in rising order, then errors.
    pub(crate) fn requests(&self, fresh: &PartFigures) -> Vec<RequestProgress> {
        let mut told: BTreeMap<_, RequestProgress> = BTreeMap::new();
        for (stats, is_fresh) in [(self.measured(), false), (fresh, true)] {
            for of in stats.requests.iter().flatten().filter(|of| of.count > 0) {
                let outcome = told.entry((of.code == 0, of.code, of.error)).or_default();
                (outcome.code, outcome.error) = (of.code, of.error);
                *(if is_fresh { &mut outcome.in_last_second } else { &mut outcome.count }) += of.count;
            }
        }
        told.into_values().collect()
    }

    /// The errors so far by type, the most frequent first.
    pub(crate) fn errors(&self, fresh: &PartFigures) -> Vec<ErrorProgress> {
        let mut told: BTreeMap<&str, ErrorProgress> = BTreeMap::new();
        for (stats, is_fresh) in [(self.measured(), false), (fresh, true)] {
            for (key, count) in &stats.errors {
                let of = told.entry(&key.ex_type).or_default();
                *(if is_fresh { &mut of.in_last_second } else { &mut of.count }) += count;
            }
        }
        let named = |(ex_type, of): (&str, _)| ErrorProgress { ex_type: ex_type.to_owned(), ..of };
        let mut errors: Vec<ErrorProgress> = told.into_iter().map(named).collect();
        errors.sort_by_key(|of| std::cmp::Reverse(of.count));
        errors
    }
}

/// Bytes of body received.
pub(crate) fn received(fresh: &PartFigures) -> u64 {
    fresh.requests.iter().flatten().map(|of| of.bytes).sum()
}

/// The 99th percentile of how late mite itself was, in all rows.
pub(crate) fn start_lag_p99(fresh: &PartFigures) -> Duration {
    let mut lag = Histogram::new();
    for row in &fresh.rows {
        lag.merge(&row.start_lag);
    }
    lag.percentile(99.0)
}
