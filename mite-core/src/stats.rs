//! The figures of a run, counted where they happen: one set for each worker, merged by addition at the end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::histogram::Histogram;
use crate::limits::RanOut;
use crate::names::{OVERFLOW, PathId};

/// One request as a protocol's session measured it: each duration is that of its phase alone.
///
/// What an extension hands to [`Scope::request`](crate::Scope::request) for each request, with or without a response.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestSample<'a> {
    /// The method or operation: `POST`.
    pub method: &'a str,
    /// The response's code; 0 when there was none.
    pub code: u16,
    /// The class of the error of a request without a response: `connect`, `timeout`, …
    pub error: Option<&'static str>,
    /// Bytes of body received.
    pub bytes: u64,
    /// From the start of the request to the end of its body, or to its failure.
    pub total: Duration,
    /// Finding the address, where that was needed.
    pub dns: Option<Duration>,
    /// Connecting, where there was no connection.
    pub connect: Option<Duration>,
    /// The handshake of TLS.
    pub tls: Option<Duration>,
    /// From the request having been sent to the first byte of the response.
    pub first_byte: Option<Duration>,
}

/// How a start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    Failed,
    Cancelled,
}

/// How late a journey started, by cause.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StartDelay {
    pub(crate) generator_lag: Duration,
    pub(crate) queue_wait: Duration,
    pub(crate) data_wait: Duration,
}

/// The figures of a row: counts by DESIGN's two sums, and the times of its journeys.
#[derive(Debug, Clone, Default)]
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
    /// Of those the ones that mite itself was too late for.
    pub(crate) too_late: u64,
    pub(crate) response_time: Histogram,
    pub(crate) service_time: Histogram,
    pub(crate) start_lag: Histogram,
    pub(crate) queue_wait: Histogram,
    pub(crate) data_wait: Histogram,
    pub(crate) failed_time: Histogram,
}

impl RowStats {
    fn merge(&mut self, other: &Self) {
        self.planned += other.planned;
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.ramped_down += other.ramped_down;
        self.dropped += other.dropped;
        self.starved += other.starved;
        self.unstarted += other.unstarted;
        self.too_late += other.too_late;
        self.response_time.merge(&other.response_time);
        self.service_time.merge(&other.service_time);
        self.start_lag.merge(&other.start_lag);
        self.queue_wait.merge(&other.queue_wait);
        self.data_wait.merge(&other.data_wait);
        self.failed_time.merge(&other.failed_time);
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct TransactionStats {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    pub(crate) time: Histogram,
}

#[derive(Debug, Clone)]
pub(crate) struct RequestStats {
    pub(crate) method: Box<str>,
    pub(crate) code: u16,
    pub(crate) error: Option<&'static str>,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) time: Histogram,
    pub(crate) dns: Histogram,
    pub(crate) connect: Histogram,
    pub(crate) tls: Histogram,
    pub(crate) first_byte: Histogram,
}

impl RequestStats {
    fn new(method: &str, code: u16, error: Option<&'static str>) -> Self {
        Self {
            method: method.into(),
            code,
            error,
            count: 0,
            bytes: 0,
            time: Histogram::new(),
            dns: Histogram::new(),
            connect: Histogram::new(),
            tls: Histogram::new(),
            first_byte: Histogram::new(),
        }
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
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ErrorKey {
    pub(crate) path: PathId,
    pub(crate) ex_type: String,
    pub(crate) message: String,
    pub(crate) location: String,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CheckStats {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// What happened to one row in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RowSecond {
    pub(crate) started: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) planned: u64,
    /// At the second's end.
    pub(crate) running: u64,
}

/// One worker's rows in one second.
#[derive(Debug, Clone)]
pub(crate) struct Second {
    pub(crate) index: u64,
    pub(crate) rows: Vec<RowSecond>,
}

/// How many different errors, and checks, are told apart: a message made from a user's id must not eat the memory.
const MOST_DISTINCT: usize = 1000;

/// One worker's figures.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) rows: Vec<RowStats>,
    /// By path.
    pub(crate) transactions: Vec<TransactionStats>,
    /// By path; few for each, so that a search from the front is the fastest way.
    pub(crate) requests: Vec<Vec<RequestStats>>,
    pub(crate) errors: HashMap<ErrorKey, u64>,
    pub(crate) checks: HashMap<(PathId, String), CheckStats>,
    /// What the system had no more of, and how often that was found.
    pub(crate) ran_out: BTreeMap<RanOut, u64>,
    second: Second,
    finished_seconds: Vec<Second>,
}

impl Stats {
    /// For `rows` rows, setup and teardown included.
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            rows: vec![RowStats::default(); rows],
            transactions: Vec::new(),
            requests: Vec::new(),
            errors: HashMap::new(),
            checks: HashMap::new(),
            ran_out: BTreeMap::new(),
            second: Second { index: 0, rows: vec![RowSecond::default(); rows] },
            finished_seconds: Vec::new(),
        }
    }

    /// The counters of the second in which `now`, in nanoseconds since the start of the run, lies.
    pub(crate) fn second(&mut self, now: u64, row: u32) -> &mut RowSecond {
        self.roll(now);
        &mut self.second.rows[row as usize]
    }

    /// Closes the seconds before `now`.
    pub(crate) fn roll(&mut self, now: u64) {
        let index = now / 1_000_000_000;
        while self.second.index < index {
            let mut next = self.second.clone();
            next.index += 1;
            for row in &mut next.rows {
                *row = RowSecond { running: row.running, ..RowSecond::default() };
            }
            self.finished_seconds.push(std::mem::replace(&mut self.second, next));
        }
    }

    /// The seconds that were closed since the last call.
    pub(crate) fn take_seconds(&mut self) -> Vec<Second> {
        std::mem::take(&mut self.finished_seconds)
    }

    /// The second that is under way.
    pub(crate) fn last_second(&self) -> Second {
        self.second.clone()
    }

    pub(crate) fn started(&mut self, now: u64, row: u32, delay: StartDelay) {
        let stats = &mut self.rows[row as usize];
        stats.started += 1;
        stats.start_lag.record(delay.generator_lag);
        stats.queue_wait.record(delay.queue_wait);
        stats.data_wait.record(delay.data_wait);
        let second = self.second(now, row);
        second.started += 1;
        second.running += 1;
    }

    pub(crate) fn ended(&mut self, now: u64, row: u32, outcome: Outcome, response: Duration, service: Duration) {
        let stats = &mut self.rows[row as usize];
        match outcome {
            Outcome::Completed => {
                stats.completed += 1;
                stats.response_time.record(response);
                stats.service_time.record(service);
            }
            Outcome::Failed => {
                stats.failed += 1;
                stats.failed_time.record(response);
            }
            Outcome::Cancelled => stats.cancelled += 1,
        }
        let second = self.second(now, row);
        second.running = second.running.saturating_sub(1);
        match outcome {
            Outcome::Completed => second.completed += 1,
            Outcome::Failed => second.failed += 1,
            Outcome::Cancelled => {}
        }
    }

    /// Counts one transaction; `time` is `None` when it was cut off, since cancelled work is counted and never timed.
    pub(crate) fn transaction(&mut self, path: PathId, had_error: bool, time: Option<Duration>) {
        if self.transactions.len() <= path.index() {
            self.transactions.resize_with(path.index() + 1, TransactionStats::default);
        }
        let stats = &mut self.transactions[path.index()];
        stats.count += 1;
        stats.errors += u64::from(had_error);
        if let Some(time) = time {
            stats.time.record(time);
        }
    }

    pub(crate) fn request(&mut self, path: PathId, sample: &RequestSample<'_>) {
        let stats = self.request_stats(path, sample.method, sample.code, sample.error);
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

    fn request_stats(
        &mut self,
        path: PathId,
        method: &str,
        code: u16,
        error: Option<&'static str>,
    ) -> &mut RequestStats {
        if self.requests.len() <= path.index() {
            self.requests.resize_with(path.index() + 1, Vec::new);
        }
        let of_path = &mut self.requests[path.index()];
        let same = |stats: &RequestStats| stats.code == code && stats.error == error && *stats.method == *method;
        let index = of_path.iter().position(same).unwrap_or_else(|| {
            of_path.push(RequestStats::new(method, code, error));
            of_path.len() - 1
        });
        &mut of_path[index]
    }

    pub(crate) fn error(&mut self, key: ErrorKey) {
        self.errors_of(key, 1);
    }

    fn errors_of(&mut self, mut key: ErrorKey, count: u64) {
        if self.errors.len() >= MOST_DISTINCT && !self.errors.contains_key(&key) {
            OVERFLOW.clone_into(&mut key.message);
            key.location = String::new();
        }
        *self.errors.entry(key).or_default() += count;
    }

    pub(crate) fn check(&mut self, path: PathId, name: &str, passed: bool) {
        let stats = self.check_stats(path, name);
        if passed { stats.passed += 1 } else { stats.failed += 1 }
    }

    fn check_stats(&mut self, path: PathId, name: &str) -> &mut CheckStats {
        let full = self.checks.len() >= MOST_DISTINCT && !self.checks.contains_key(&(path, name.to_owned()));
        self.checks.entry((path, if full { OVERFLOW } else { name }.to_owned())).or_default()
    }

    /// Adds another worker's figures; seconds are merged by the controller as they come.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (row, other) in self.rows.iter_mut().zip(&other.rows) {
            row.merge(other);
        }
        if self.transactions.len() < other.transactions.len() {
            self.transactions.resize_with(other.transactions.len(), TransactionStats::default);
        }
        for (stats, other) in self.transactions.iter_mut().zip(&other.transactions) {
            stats.count += other.count;
            stats.errors += other.errors;
            stats.time.merge(&other.time);
        }
        for (path, requests) in other.requests.iter().enumerate() {
            for stats in requests {
                self.request_stats(PathId(path as u32), &stats.method, stats.code, stats.error).merge(stats);
            }
        }
        for (key, count) in &other.errors {
            self.errors_of(key.clone(), *count);
        }
        for (what, count) in &other.ran_out {
            *self.ran_out.entry(*what).or_default() += count;
        }
        for ((path, name), stats) in &other.checks {
            let own = self.check_stats(*path, name);
            own.passed += stats.passed;
            own.failed += stats.failed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn seconds_are_those_in_which_things_happened() {
        let mut stats = Stats::new(2);
        stats.started(S / 2, 1, StartDelay::default());
        stats.started(S - 1, 1, StartDelay::default());
        stats.ended(3 * S, 1, Outcome::Failed, Duration::ZERO, Duration::ZERO);
        let seconds: Vec<_> = stats.take_seconds().into_iter().map(|second| (second.index, second.rows[1])).collect();
        let (started, running) = (2, 2);
        assert_eq!(
            seconds,
            [
                (0, RowSecond { started, running, ..RowSecond::default() }),
                (1, RowSecond { running, ..RowSecond::default() }),
                (2, RowSecond { running, ..RowSecond::default() })
            ]
        );
        assert_eq!(stats.last_second().rows[1], RowSecond { failed: 1, running: 1, ..RowSecond::default() });
    }

    #[test]
    fn merging_is_adding() {
        let sample =
            |code| RequestSample { method: "GET", code, total: Duration::from_millis(5), ..Default::default() };
        let (mut one, mut other) = (Stats::new(2), Stats::new(2));
        one.request(PathId(1), &sample(200));
        other.request(PathId(1), &sample(200));
        other.request(PathId(1), &sample(404));
        other.transaction(PathId(3), true, None);
        one.merge(&other);
        let codes: Vec<_> = one.requests[1].iter().map(|stats| (stats.code, stats.count, stats.time.count())).collect();
        assert_eq!(codes, [(200, 2, 2), (404, 1, 1)]);
        assert_eq!(
            (one.transactions[3].count, one.transactions[3].errors, one.transactions[3].time.count()),
            (1, 1, 0)
        );
    }

    #[test]
    fn too_many_different_errors_end_in_one() {
        let mut stats = Stats::new(1);
        for user in 0..MOST_DISTINCT + 10 {
            let (ex_type, location) = ("E".to_owned(), "f:1:g".to_owned());
            stats.error(ErrorKey { path: PathId(0), ex_type, message: format!("no user {user}"), location });
        }
        assert_eq!(stats.errors.len(), MOST_DISTINCT + 1);
        assert_eq!(stats.errors.values().sum::<u64>(), MOST_DISTINCT as u64 + 10);
    }
}
