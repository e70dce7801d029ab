//! The figures of a run, counted where they happen: each worker hands over what is new once a second, and the controller adds
//! it up.

mod halves;
mod told;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::exchange::{ExchangeText, FailedExchanges};
use crate::histogram::{Histogram, v2};
use crate::limits::RanOut;
use crate::names::{Names, OVERFLOW, PathId};
use crate::request::{RequestKind, RequestSample, error_class};
use crate::stats::Tables;

pub(crate) use halves::Half;
pub(crate) use told::{FiguresTold, Told};

/// How a start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    Failed,
    Cancelled,
}

/// How late a journey started, by cause, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StartDelay {
    pub(crate) generator_lag: u64,
    pub(crate) queue_wait: u64,
    pub(crate) data_wait: u64,
}

/// The figures of a row: counts by DESIGN's two sums, and the times of its journeys.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RowStats {
    pub(crate) planned: u64,
    pub(crate) started: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
    /// Of those the ones that were too many when the number running fell.
    pub(crate) ramped_down: u64,
    pub(crate) dropped: u64,
    pub(crate) starved: u64,
    pub(crate) unstarted: u64,
    /// Due while this process had no permit to start anything, in a cluster.
    pub(crate) fenced: u64,
    /// Planned for processes that are gone and have not told what became of it, in a cluster.
    pub(crate) lost: u64,
    /// Of the unstarted ones those that mite itself was too late for.
    pub(crate) too_late: u64,
    /// Starts of the plan for which there was no more data: they are taken out of it.
    pub(crate) not_planned: u64,
    #[serde(with = "v2", skip_serializing_if = "Histogram::is_empty")]
    pub(crate) response_time: Histogram,
    #[serde(with = "v2", skip_serializing_if = "Histogram::is_empty")]
    pub(crate) service_time: Histogram,
    #[serde(with = "v2", skip_serializing_if = "Histogram::is_empty")]
    pub(crate) start_lag: Histogram,
    #[serde(with = "v2", skip_serializing_if = "Histogram::is_empty")]
    pub(crate) queue_wait: Histogram,
    #[serde(with = "v2", skip_serializing_if = "Histogram::is_empty")]
    pub(crate) data_wait: Histogram,
    #[serde(with = "v2", skip_serializing_if = "Histogram::is_empty")]
    pub(crate) failed_time: Histogram,
    /// Only of the figures of a whole run; a row's errors are its journeys that failed, and the time is their response time.
    #[serde(skip)]
    pub(crate) even: Option<Box<Half>>,
}

impl RowStats {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.planned += other.planned;
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.ramped_down += other.ramped_down;
        self.dropped += other.dropped;
        self.starved += other.starved;
        self.unstarted += other.unstarted;
        self.fenced += other.fenced;
        self.lost += other.lost;
        self.too_late += other.too_late;
        self.not_planned += other.not_planned;
        self.response_time.merge(&other.response_time);
        self.service_time.merge(&other.service_time);
        self.start_lag.merge(&other.start_lag);
        self.queue_wait.merge(&other.queue_wait);
        self.data_wait.merge(&other.data_wait);
        self.failed_time.merge(&other.failed_time);
    }

    /// All counts by name.
    pub(crate) fn named_counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = [
            ("planned", self.planned),
            ("started", self.started),
            ("completed", self.completed),
            ("failed", self.failed),
            ("cancelled", self.cancelled),
            ("ramped_down", self.ramped_down),
            ("dropped", self.dropped),
            ("starved", self.starved),
            ("unstarted", self.unstarted),
            ("fenced", self.fenced),
            ("lost", self.lost),
            ("too_late", self.too_late),
            ("not_planned", self.not_planned),
        ];
        counts.into_iter()
    }

    /// What counts as things happen: all but what is planned.
    fn counts(&mut self) -> [&mut u64; 11] {
        let Self { started, completed, failed, cancelled, ramped_down, dropped, starved, .. } = self;
        let Self { unstarted, fenced, lost, too_late, .. } = self;
        [started, completed, failed, cancelled, ramped_down, dropped, starved, unstarted, fenced, lost, too_late]
    }

    fn histograms(&mut self) -> [&mut Histogram; 6] {
        let Self { response_time, service_time, start_lag, queue_wait, data_wait, failed_time, .. } = self;
        [response_time, service_time, start_lag, queue_wait, data_wait, failed_time]
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TransactionStats {
    /// The number of its row.
    #[serde(skip)]
    pub(crate) row: u32,
    /// Whether it has been counted, since the last time that it was told or before.
    #[serde(skip)]
    is_known: bool,
    pub(crate) count: u64,
    pub(crate) errors: u64,
    #[serde(with = "v2", skip_serializing_if = "Histogram::is_empty")]
    pub(crate) time: Histogram,
    /// Only of the figures of a whole run.
    #[serde(skip)]
    pub(crate) even: Option<Box<Half>>,
}

impl TransactionStats {
    /// The bytes that it takes.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.time.heap_bytes() + self.even.as_ref().map_or(0, |even| even.bytes())
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RequestStats {
    /// The number of its row.
    #[serde(skip)]
    pub(crate) row: u32,
    pub(crate) method: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Box<str>>,
    pub(crate) code: u16,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "error_class::deserialize")]
    pub(crate) error: Option<error_class::ErrorClass>,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    #[serde(with = "v2", default, skip_serializing_if = "Histogram::is_empty")]
    pub(crate) time: Histogram,
    #[serde(with = "v2", default, skip_serializing_if = "Histogram::is_empty")]
    pub(crate) dns: Histogram,
    #[serde(with = "v2", default, skip_serializing_if = "Histogram::is_empty")]
    pub(crate) connect: Histogram,
    #[serde(with = "v2", default, skip_serializing_if = "Histogram::is_empty")]
    pub(crate) tls: Histogram,
    #[serde(with = "v2", default, skip_serializing_if = "Histogram::is_empty")]
    pub(crate) first_byte: Histogram,
    /// Only of the figures of a whole run.
    #[serde(skip)]
    pub(crate) even: Option<Box<Half>>,
}

impl RequestStats {
    fn new(row: u32, kind: RequestKind<'_>) -> Self {
        Self {
            row,
            method: kind.method.into(),
            name: kind.name.map(Into::into),
            code: kind.code,
            error: kind.error,
            count: 0,
            bytes: 0,
            time: Histogram::new(),
            dns: Histogram::new(),
            connect: Histogram::new(),
            tls: Histogram::new(),
            first_byte: Histogram::new(),
            even: None,
        }
    }

    fn kind(&self) -> RequestKind<'_> {
        RequestKind { code: self.code, error: self.error, name: self.name.as_deref(), method: &self.method }
    }

    /// The bytes that it takes.
    fn bytes(&self) -> usize {
        let histograms = [&self.time, &self.dns, &self.connect, &self.tls, &self.first_byte];
        let texts = self.kind().text_bytes();
        let even = self.even.as_ref().map_or(0, |even| even.bytes());
        size_of::<Self>() + texts + even + histograms.into_iter().map(Histogram::heap_bytes).sum::<usize>()
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.time.merge(&other.time);
        self.dns.merge(&other.dns);
        self.connect.merge(&other.connect);
        self.tls.merge(&other.tls);
        self.first_byte.merge(&other.first_byte);
    }

    fn histograms(&mut self) -> [&mut Histogram; 5] {
        let Self { time, dns, connect, tls, first_byte, .. } = self;
        [time, dns, connect, tls, first_byte]
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ErrorKey {
    pub(crate) path: PathId,
    pub(crate) ex_type: String,
    pub(crate) message: String,
    pub(crate) location: String,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct CheckStats {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl CheckStats {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// How many kinds of request (method, name, code and error) are told apart in one transaction.
const MOST_KINDS: usize = 64;

/// What the histograms of a transaction or a request take at first; what they take in the end is weighed now and then.
const NEW_TRANSACTION: usize = size_of::<TransactionStats>() + 100;
const NEW_REQUEST: usize = size_of::<RequestStats>() + 500;

/// How many different errors, and checks, are told apart: a message made from a user's id must not eat the memory.
const MOST_DISTINCT: usize = 1000;

/// One worker's figures of one part of the run, or those of all workers.
#[derive(Debug, Clone)]
pub(crate) struct PartFigures {
    pub(crate) rows: Vec<RowStats>,
    /// By path.
    pub(crate) transactions: Vec<TransactionStats>,
    /// By path; few for each, so that a search from the front is the fastest way.
    pub(crate) requests: Vec<Vec<RequestStats>>,
    pub(crate) errors: HashMap<ErrorKey, u64>,
    /// By path and name.
    pub(crate) checks: FxHashMap<PathId, FxHashMap<String, CheckStats>>,
    distinct_checks: usize,
    pub(crate) failed_exchanges: FailedExchanges,
    /// What the system had no more of, and how often that was found.
    pub(crate) ran_out: BTreeMap<RanOut, u64>,
    /// Metrics of one's own; a worker's are with its messages.
    pub(crate) metrics: Tables,
    /// Nothing is timed, and only rows and errors are counted.
    counts_only: bool,
    /// The bytes that transactions and requests take, as last weighed, and may take before no more of them are told apart.
    series_bytes: usize,
    most_series_bytes: usize,
    /// Whether there was one that there was no room for.
    pub(crate) out_of_room: bool,
    /// Whether there were more kinds of request in one transaction than are told apart.
    pub(crate) out_of_kinds: bool,
}

impl PartFigures {
    /// For `rows` rows, setup and teardown included.
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            rows: vec![RowStats::default(); rows],
            transactions: Vec::new(),
            requests: Vec::new(),
            errors: HashMap::new(),
            checks: FxHashMap::default(),
            distinct_checks: 0,
            failed_exchanges: FailedExchanges::default(),
            ran_out: BTreeMap::new(),
            metrics: Tables::default(),
            counts_only: false,
            series_bytes: 0,
            most_series_bytes: usize::MAX,
            out_of_room: false,
            out_of_kinds: false,
        }
    }

    /// For a part of the run of which only counts are told.
    pub(crate) fn counts_only(rows: usize) -> Self {
        Self { counts_only: true, ..Self::new(rows) }
    }

    /// Once transactions and requests take more than so many bytes, those that are new are told as `__overflow__`.
    pub(crate) fn limit_series(&mut self, bytes: u64) {
        self.most_series_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }

    /// Works out anew what transactions and requests take: histograms grow as they are used.
    pub(crate) fn weigh(&mut self) {
        let transactions = self.transactions.iter().filter(|stats| stats.is_known).map(TransactionStats::bytes);
        let requests = self.requests.iter().flatten().map(RequestStats::bytes);
        self.series_bytes = transactions.sum::<usize>() + requests.sum::<usize>();
    }

    /// Where a series is counted that is new at `path`: there, or at its row's `__overflow__` when there is no more room. A
    /// row's root always has room.
    fn path_of_new(&mut self, row: u32, path: PathId, bytes: usize) -> PathId {
        if self.series_bytes < self.most_series_bytes || path == Names::root(row) {
            self.series_bytes += bytes;
            return path;
        }
        self.out_of_room = true;
        Names::overflow(row, self.rows.len())
    }

    pub(crate) fn started(&mut self, row: u32, delay: StartDelay) {
        let stats = &mut self.rows[row as usize];
        stats.started += 1;
        if self.counts_only {
            return;
        }
        let StartDelay { generator_lag, queue_wait, data_wait } = delay;
        let delays = [
            (generator_lag, &mut stats.start_lag),
            (queue_wait, &mut stats.queue_wait),
            (data_wait, &mut stats.data_wait),
        ];
        for (delay, histogram) in delays {
            // Those of less count as zero: see `count_undelayed`.
            if delay >= 1000 {
                histogram.record_nanos(delay);
            }
        }
    }

    /// Counts the delays of zero at the end, all at once: what a histogram has less than there were starts. In the closed model no
    /// start need be late, and counting three zeros took a tenth of what a journey does.
    pub(crate) fn count_undelayed(&mut self) {
        if self.counts_only {
            return;
        }
        for row in &mut self.rows {
            for histogram in [&mut row.start_lag, &mut row.queue_wait, &mut row.data_wait] {
                histogram.record_micros(0, row.started - histogram.count());
            }
        }
    }

    /// Times are in nanoseconds.
    pub(crate) fn ended(&mut self, row: u32, outcome: Outcome, response: u64, service: u64) {
        let stats = &mut self.rows[row as usize];
        match outcome {
            Outcome::Completed => stats.completed += 1,
            Outcome::Failed => stats.failed += 1,
            Outcome::Cancelled => stats.cancelled += 1,
        }
        if self.counts_only {
            return;
        }
        match outcome {
            Outcome::Completed => {
                stats.response_time.record_nanos(response);
                stats.service_time.record_nanos(service);
            }
            Outcome::Failed => stats.failed_time.record_nanos(response),
            Outcome::Cancelled => {}
        }
    }

    /// Counts one transaction; `time`, in nanoseconds, is `None` when it was cut off, since cancelled work is counted and never timed.
    pub(crate) fn transaction(&mut self, row: u32, path: PathId, had_error: bool, time: Option<u64>) {
        if self.counts_only {
            return;
        }
        let stats = self.transaction_stats(row, path);
        stats.count += 1;
        stats.errors += u64::from(had_error);
        if let Some(time) = time {
            stats.time.record_nanos(time);
        }
    }

    #[inline]
    fn transaction_stats(&mut self, row: u32, path: PathId) -> &mut TransactionStats {
        let is_known = self.transactions.get(path.index()).is_some_and(|stats| stats.is_known);
        let path = if is_known { path } else { self.make_transaction(row, path) };
        &mut self.transactions[path.index()]
    }

    #[cold]
    fn make_transaction(&mut self, row: u32, path: PathId) -> PathId {
        let path = self.path_of_new(row, path, NEW_TRANSACTION);
        if self.transactions.len() <= path.index() {
            self.transactions.resize_with(path.index() + 1, TransactionStats::default);
        }
        let stats = &mut self.transactions[path.index()];
        (stats.row, stats.is_known) = (row, true);
        path
    }

    pub(crate) fn request(&mut self, row: u32, path: PathId, sample: &RequestSample<'_>) {
        if self.counts_only {
            return;
        }
        let kind = RequestKind::of(sample);
        let stats = self.request_stats(row, path, kind);
        stats.count += 1;
        stats.bytes += sample.bytes;
        stats.time.record(sample.total);
        let phases = [
            (sample.dns, &mut stats.dns),
            (sample.connect, &mut stats.connect),
            (sample.tls, &mut stats.tls),
            (sample.first_byte, &mut stats.first_byte),
        ];
        for (duration, histogram) in phases {
            if let Some(duration) = duration {
                histogram.record(duration);
            }
        }
    }

    fn known_request(&self, path: PathId, kind: RequestKind<'_>) -> Option<usize> {
        self.requests.get(path.index())?.iter().position(|stats| stats.kind() == kind)
    }

    #[inline]
    fn request_stats(&mut self, row: u32, path: PathId, kind: RequestKind<'_>) -> &mut RequestStats {
        let (path, index) = match self.known_request(path, kind) {
            Some(index) => (path, index),
            None => self.make_request(row, path, kind),
        };
        &mut self.requests[path.index()][index]
    }

    #[cold]
    fn make_request(&mut self, row: u32, path: PathId, mut kind: RequestKind<'_>) -> (PathId, usize) {
        let path = self.path_of_new(row, path, NEW_REQUEST + kind.text_bytes());
        if self.requests.len() <= path.index() {
            self.requests.resize_with(path.index() + 1, Vec::new);
        }
        let mut known = self.known_request(path, kind);
        if known.is_none() && self.requests[path.index()].len() >= MOST_KINDS {
            self.out_of_kinds = true;
            kind = RequestKind { code: 0, error: None, name: None, method: OVERFLOW };
            known = self.known_request(path, kind);
        }
        let of_path = &mut self.requests[path.index()];
        let index = known.unwrap_or_else(|| {
            of_path.push(RequestStats::new(row, kind));
            of_path.len() - 1
        });
        (path, index)
    }

    /// Whether another failed exchange of this kind would be kept.
    pub(crate) fn has_room_for_exchange(&self, path: PathId, sample: &RequestSample<'_>) -> bool {
        !self.counts_only && self.failed_exchanges.has_room(path, RequestKind::of(sample))
    }

    /// Keeps an exchange that failed so long after the start of the run, if there is room.
    pub(crate) fn failed_exchange(
        &mut self,
        path: PathId,
        at: Duration,
        sample: &RequestSample<'_>,
        text: ExchangeText,
    ) {
        if !self.counts_only {
            self.failed_exchanges.offer(path, at, sample, text);
        }
    }

    pub(crate) fn error(&mut self, key: &ErrorKey) {
        self.errors_of(key, 1);
    }

    fn errors_of(&mut self, key: &ErrorKey, count: u64) {
        if let Some(known) = self.errors.get_mut(key) {
            *known += count;
            return;
        }
        let mut key = key.clone();
        if self.errors.len() >= MOST_DISTINCT {
            OVERFLOW.clone_into(&mut key.message);
            key.location = String::new();
        }
        *self.errors.entry(key).or_default() += count;
    }

    pub(crate) fn check(&mut self, path: PathId, name: &str, passed: bool) {
        if self.counts_only {
            return;
        }
        self.checks_of(path, name, CheckStats { passed: passed.into(), failed: (!passed).into() });
    }

    fn checks_of(&mut self, path: PathId, name: &str, add: CheckStats) {
        let of_path = self.checks.entry(path).or_default();
        // Nearly each is found, for which no text is needed.
        if let Some(stats) = of_path.get_mut(name) {
            return stats.add(add);
        }
        let name = if self.distinct_checks < MOST_DISTINCT { name } else { OVERFLOW };
        self.distinct_checks += 1;
        of_path.entry(name.to_owned()).or_default().add(add);
    }
}

/// The figures of both parts of a run.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) warm_up: PartFigures,
    pub(crate) measured: PartFigures,
}

impl Figures {
    /// For `rows` rows, setup and teardown included.
    pub(crate) fn new(rows: usize) -> Self {
        Self { warm_up: PartFigures::counts_only(rows), measured: PartFigures::new(rows) }
    }

    /// Adds what a worker has told.
    pub(crate) fn add(&mut self, told: &FiguresTold) {
        self.warm_up.add(&told.warm_up);
        self.measured.add(&told.measured);
    }

    /// What was added since the last time, as one worker would tell it that had done all of it.
    pub(crate) fn tell_added(&mut self) -> FiguresTold {
        FiguresTold { warm_up: self.warm_up.tell_added(), measured: self.measured.tell_added() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_adding() {
        let sample =
            |code| RequestSample { method: "GET", code, total: Duration::from_millis(5), ..Default::default() };
        let (mut one, mut other) = (PartFigures::new(2), PartFigures::new(2));
        one.request(0, PathId(4), &sample(200));
        other.request(0, PathId(4), &sample(200));
        other.request(0, PathId(4), &sample(404));
        other.transaction(0, PathId(5), true, None);
        one.add(&other.tell_all());
        let codes: Vec<_> = one.requests[4].iter().map(|stats| (stats.code, stats.count, stats.time.count())).collect();
        assert_eq!(codes, [(200, 2, 2), (404, 1, 1)]);
        assert_eq!(
            (one.transactions[5].count, one.transactions[5].errors, one.transactions[5].time.count()),
            (1, 1, 0)
        );
    }

    #[test]
    fn too_many_different_errors_end_in_one() {
        let mut stats = PartFigures::new(1);
        for user in 0..MOST_DISTINCT + 10 {
            let (ex_type, location) = ("E".to_owned(), "f:1:g".to_owned());
            stats.error(&ErrorKey { path: PathId(0), ex_type, message: format!("no user {user}"), location });
        }
        assert_eq!(stats.errors.len(), MOST_DISTINCT + 1);
        assert_eq!(stats.errors.values().sum::<u64>(), MOST_DISTINCT as u64 + 10);
    }

    /// A row's series, new ones among them, without room for all: each sample is counted somewhere.
    #[test]
    fn what_there_is_no_room_for_is_counted_all_the_same() {
        let mut stats = PartFigures::new(2);
        stats.limit_series(20_000);
        let overflow = Names::overflow(1, 2);
        let sample = |index| RequestSample {
            method: "GET",
            code: 200,
            total: Duration::from_micros(index),
            dns: Some(Duration::from_micros(index)),
            ..Default::default()
        };
        for round in 0..3 {
            for path in 4..104 {
                stats.transaction(1, PathId(path), false, Some(u64::from(path) * 1000));
                stats.request(1, PathId(path), &sample(u64::from(path)));
            }
            stats.transaction(1, Names::root(1), false, Some(0));
            stats.weigh();
            assert!((10_000..30_000).contains(&stats.series_bytes), "round {round}: {}", stats.series_bytes);
        }
        assert!(stats.out_of_room && !stats.out_of_kinds);
        assert_eq!(stats.transactions[1].count, 3, "a row's root has room");
        let told = stats.transactions.iter().filter(|stats| stats.count > 0).count();
        assert!((5..100).contains(&told), "{told}");
        assert_eq!(stats.transactions.iter().map(|stats| stats.count).sum::<u64>(), 303);
        assert_eq!(stats.transactions.iter().map(|stats| stats.time.count()).sum::<u64>(), 303);
        assert_eq!(stats.requests.iter().flatten().map(|stats| stats.count).sum::<u64>(), 300);
        assert_eq!(stats.requests.iter().flatten().map(|stats| stats.dns.count()).sum::<u64>(), 300);
        assert!(stats.transactions[overflow.index()].count > 0);
        let [request] = &stats.requests[overflow.index()][..] else { panic!("one kind of request: {stats:?}") };
        assert!(request.count > 0 && *request.method == *"GET");
    }

    #[test]
    fn requests_are_told_apart_by_name_and_merged_by_it() {
        let sample = |name| RequestSample { method: "GET", name, code: 200, bytes: 1, ..Default::default() };
        let counts = |stats: &PartFigures| -> Vec<(Option<String>, u64, u64)> {
            let told = |of: &RequestStats| (of.name.as_deref().map(str::to_owned), of.count, of.time.count());
            stats.requests[1].iter().map(told).collect()
        };
        let (mut one, mut other) = (PartFigures::new(2), PartFigures::new(2));
        for name in [Some("/users/{id}"), None, Some(""), Some("/users/{id}")] {
            one.request(1, PathId(1), &sample(name));
        }
        for name in [Some("/carts/{id}"), Some("/users/{id}")] {
            other.request(1, PathId(1), &sample(name));
        }
        assert_eq!(counts(&one), [(Some("/users/{id}".to_owned()), 2, 2), (None, 2, 2)], "an empty name is none");
        one.add(&other.tell_all());
        let users = Some("/users/{id}".to_owned());
        assert_eq!(counts(&one), [(users, 3, 3), (None, 2, 2), (Some("/carts/{id}".to_owned()), 1, 1)]);
    }

    #[test]
    fn too_many_names_of_requests_end_in_one() {
        let mut stats = PartFigures::new(1);
        for user in 0..100 {
            let name = format!("/users/{user}");
            let sample = RequestSample { method: "GET", name: Some(&name), code: 200, ..Default::default() };
            stats.request(0, PathId(0), &sample);
        }
        assert!(stats.out_of_kinds);
        let [told @ .., rest] = &stats.requests[0][..] else { panic!("no requests") };
        assert_eq!((told.len(), rest.count, &*rest.method, &rest.name), (MOST_KINDS, 36, OVERFLOW, &None));
    }

    /// However long names are, what they take counts as what their histograms do.
    #[test]
    fn names_are_weighed() {
        let mut stats = PartFigures::new(2);
        stats.limit_series(100_000);
        for path in 10..50 {
            let name = format!("{path}").repeat(5_000);
            let sample = RequestSample { method: "GET", name: Some(&name), code: 200, ..Default::default() };
            stats.request(1, PathId(path), &sample);
        }
        assert!(stats.out_of_room);
        let of_own = stats.requests[4..].iter().flatten().filter(|stats| stats.name.is_some()).count();
        assert!((5..11).contains(&of_own), "{of_own} of 10 000 bytes");
        stats.weigh();
        assert!(stats.series_bytes >= of_own * 10_000, "{}", stats.series_bytes);
        assert_eq!(stats.requests.iter().flatten().map(|stats| stats.count).sum::<u64>(), 40);
    }

    #[test]
    fn too_many_kinds_of_request_end_in_one() {
        let (mut stats, mut other) = (PartFigures::new(1), PartFigures::new(1));
        for code in 0..100 {
            for stats in [&mut stats, &mut other] {
                stats.request(0, PathId(0), &RequestSample { method: "GET", code, bytes: 1, ..Default::default() });
            }
        }
        stats.add(&other.tell_all());
        assert!(stats.out_of_kinds && !stats.out_of_room);
        let [told @ .., rest] = &stats.requests[0][..] else { panic!("no requests") };
        assert_eq!((told.len(), rest.count, &*rest.method, rest.code), (MOST_KINDS, 2 * 36, OVERFLOW, 0));
        assert!(told.iter().all(|told| told.count == 2 && told.bytes == 2));
    }
}
