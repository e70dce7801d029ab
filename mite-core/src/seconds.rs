//! What happened in each second of a run: counted by the workers, and put together by the controller.
//!
//! They are apart from the other figures, which are added up over the whole run: of these each second is kept, and of its times
//! quantiles only, so that an hour takes little.

mod packed;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use self::packed::{Packed, Whole};
use crate::figures::Outcome;
use crate::histogram::{Histogram, v2};
use crate::report::{PerSecond, SecondQuantiles, SecondRow};

const SECOND: u64 = 1_000_000_000;

/// What happened to one row in one second, on one worker.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RowSecond {
    /// Counted only where it is not a matter of the schedule.
    pub(crate) planned: u64,
    pub(crate) started: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    /// At the second's end.
    pub(crate) running: u64,
    /// Of the journeys that completed.
    #[serde(with = "v2", skip_serializing_if = "Histogram::is_empty")]
    pub(crate) response_time: Histogram,
}

impl RowSecond {
    /// Adds what another worker tells of the same second.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.planned += other.planned;
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.running += other.running;
        self.response_time.merge(&other.response_time);
    }

    /// All counts by name.
    pub(crate) fn named_counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = [
            ("planned", self.planned),
            ("started", self.started),
            ("completed", self.completed),
            ("failed", self.failed),
            ("running", self.running),
        ];
        counts.into_iter()
    }
}

/// One worker's rows in one second, setup and teardown (row 0) included.
#[derive(Debug)]
pub(crate) struct Second {
    pub(crate) index: u64,
    pub(crate) rows: Vec<RowSecond>,
}

/// One worker's seconds: the one under way, and those that are over and not told yet.
#[derive(Debug)]
pub(crate) struct WorkerSeconds {
    index: u64,
    /// When the second under way is over: nearly each call comes before.
    over: u64,
    rows: Vec<RowSecond>,
    closed: Vec<Second>,
}

impl WorkerSeconds {
    /// For `rows` rows, setup and teardown included.
    pub(crate) fn new(rows: usize) -> Self {
        Self { index: 0, over: SECOND, rows: vec![RowSecond::default(); rows], closed: Vec::new() }
    }

    /// Begins with the second in which `now` lies, before anything is counted: who comes late has nothing to tell of those before.
    pub(crate) fn begin_at(&mut self, now: u64) {
        self.index = now / SECOND;
        self.over = (self.index + 1).saturating_mul(SECOND);
    }

    /// A row in the second in which `now`, in nanoseconds since the start of the run, lies.
    fn row(&mut self, now: u64, row: u32) -> &mut RowSecond {
        self.roll(now);
        &mut self.rows[row as usize]
    }

    pub(crate) fn planned(&mut self, now: u64, row: u32) {
        self.row(now, row).planned += 1;
    }

    pub(crate) fn started(&mut self, now: u64, row: u32) {
        let second = self.row(now, row);
        second.started += 1;
        second.running += 1;
    }

    /// `response` is in microseconds.
    pub(crate) fn ended(&mut self, now: u64, row: u32, outcome: Outcome, response: u64) {
        let second = self.row(now, row);
        second.running = second.running.saturating_sub(1);
        match outcome {
            Outcome::Completed => {
                second.completed += 1;
                second.response_time.record_micros(response, 1);
            }
            Outcome::Failed => second.failed += 1,
            Outcome::Cancelled => {}
        }
    }

    /// Closes the seconds before `now`.
    #[inline]
    pub(crate) fn roll(&mut self, now: u64) {
        while now >= self.over {
            self.close();
        }
    }

    fn close(&mut self) {
        self.closed.push(Second { index: self.index, rows: self.rows.clone() });
        self.index += 1;
        self.over = (self.index + 1).saturating_mul(SECOND);
        for row in &mut self.rows {
            (row.planned, row.started, row.completed, row.failed) = (0, 0, 0, 0);
            // The clone was just as large as it had to be; this one keeps its room for the next second.
            row.response_time.clear();
        }
    }

    /// The seconds that were closed since the last call.
    pub(crate) fn take_closed(&mut self) -> Vec<Second> {
        std::mem::take(&mut self.closed)
    }

    /// All that was not told yet, with the second under way: nothing may be counted after.
    pub(crate) fn take_all(&mut self, now: u64) -> Vec<Second> {
        self.roll(now);
        self.close();
        self.take_closed()
    }
}

/// What all workers have told, by second.
#[derive(Debug)]
pub(crate) struct Seconds {
    /// How many seconds each worker has told, by its number: `u64::MAX` when it has no more to tell.
    told: Vec<u64>,
    /// The seconds that all workers have told.
    settled: Packed,
    /// The seconds after those.
    open: VecDeque<OpenSecond>,
    /// All seconds together, by row; `running` is not summed, nor are times.
    sums: Vec<SecondRow>,
}

/// A second that some worker has not told yet.
#[derive(Debug)]
struct OpenSecond {
    rows: Vec<SecondRow>,
    /// The response times, by row.
    times: Vec<Histogram>,
    /// Requests and errors.
    besides: [u64; 2],
}

impl Seconds {
    /// For so many rows, without setup and teardown.
    pub(crate) fn new(workers: u32, rows: usize) -> Self {
        Self {
            told: vec![0; workers as usize],
            settled: Packed::new(rows),
            open: VecDeque::new(),
            sums: vec![SecondRow::default(); rows],
        }
    }

    /// A worker comes later than others, and tells seconds from this one on.
    pub(crate) fn joined(&mut self, worker: u32, from: u64) {
        let worker = worker as usize;
        if self.told.len() <= worker {
            self.told.resize(worker + 1, u64::MAX);
        }
        self.told[worker] = from;
    }

    /// Adds the seconds that a worker tells; each tells all of them, in order. What is told of a second that was settled without
    /// this worker, which was taken to be gone, is in the sums alone.
    pub(crate) fn add(&mut self, worker: u32, seconds: Vec<Second>) {
        if self.told.len() <= worker as usize {
            self.told.resize(worker as usize + 1, u64::MAX);
        }
        for second in seconds {
            let index = second.index as usize;
            self.make(index + 1);
            let mut open = index.checked_sub(self.settled.len()).map(|open| &mut self.open[open]);
            for (at, (sum, told)) in self.sums.iter_mut().zip(&second.rows[1..]).enumerate() {
                sum.add(told);
                if let Some(open) = &mut open {
                    open.rows[at].add(told);
                    open.rows[at].running += told.running;
                    open.times[at].merge(&told.response_time);
                }
            }
            self.told[worker as usize] = second.index + 1;
        }
        self.settle();
    }

    /// Counts requests and errors that a worker tells together with this second, before the second itself.
    pub(crate) fn count(&mut self, second: u64, requests: u64, errors: u64) {
        let index = second as usize;
        self.make(index + 1);
        // Each worker tells its seconds in order, so that this one is still open.
        if let Some(open) = index.checked_sub(self.settled.len()).and_then(|open| self.open.get_mut(open)) {
            open.besides[0] += requests;
            open.besides[1] += errors;
        }
    }

    /// A worker has no more seconds to tell. Nobody waits for one that is not known: a runner may be lost before it has a share.
    pub(crate) fn finished(&mut self, worker: u32) {
        if let Some(told) = self.told.get_mut(worker as usize) {
            *told = u64::MAX;
        }
        self.settle();
    }

    fn make(&mut self, seconds: usize) {
        while self.settled.len() + self.open.len() < seconds {
            let row = |row: usize| SecondRow { row: row as u32 + 1, ..SecondRow::default() };
            let rows = (0..self.sums.len()).map(row).collect();
            self.open.push_back(OpenSecond { rows, times: vec![Histogram::new(); self.sums.len()], besides: [0; 2] });
        }
    }

    /// Turns the times of the seconds that all workers have told into quantiles.
    fn settle(&mut self) {
        let told = self.told.iter().copied().min().unwrap_or(u64::MAX);
        while (self.settled.len() as u64) < told
            && let Some(mut second) = self.open.pop_front()
        {
            for (row, times) in second.rows.iter_mut().zip(&second.times) {
                row.response_time = SecondQuantiles::of(times);
            }
            self.settled.push(&second.rows, second.response_time(), second.besides);
        }
    }

    /// What was told of one second so far: its rows, and the response times of all of them.
    pub(crate) fn second(&mut self, second: u64) -> (Vec<SecondRow>, SecondQuantiles) {
        let index = second as usize;
        self.make(index + 1);
        if let Some(Whole { rows, response_time, .. }) = self.settled.get(index) {
            return (rows, response_time);
        }
        let open = &self.open[index - self.settled.len()];
        let OpenSecond { rows, times, .. } = open;
        let told =
            |(row, times): (&SecondRow, _)| SecondRow { response_time: SecondQuantiles::of(times), ..row.clone() };
        (rows.iter().zip(times).map(told).collect(), open.response_time())
    }

    /// A row's sums over all seconds; `row` is counted from 0.
    pub(crate) fn sums(&self, row: usize) -> &SecondRow {
        &self.sums[row]
    }

    /// All seconds up to and with number `last`; `warm_up` is in nanoseconds since the start of the run. `planned` says how many
    /// starts of a row, counted from 0, were planned in a second, and is given what was counted.
    pub(crate) fn into_report(
        mut self,
        last: u64,
        warm_up: u64,
        planned: impl Fn(usize, u64, &SecondRow) -> u64,
    ) -> Vec<PerSecond> {
        self.make(last as usize + 1);
        // What a worker that has not finished did not tell is not waited for.
        self.told.fill(u64::MAX);
        self.settle();
        let second = |(t, Whole { rows, response_time, besides }): (u64, Whole)| {
            let warm_up = t.saturating_mul(SECOND) < warm_up;
            let [requests, errors] = besides;
            let mut second = PerSecond { t, warm_up, requests, errors, response_time, ..PerSecond::default() };
            for (index, mut row) in rows.into_iter().enumerate() {
                row.planned = planned(index, t, &row);
                second.planned += row.planned;
                second.started += row.started;
                second.completed += row.completed;
                second.failed += row.failed;
                second.running += row.running;
                if self.sums.len() > 1 {
                    second.rows.push(row);
                }
            }
            second
        };
        (0..).zip(self.settled.iter()).map(second).collect()
    }
}

impl SecondRow {
    /// Adds what happened, but for what is under way and for times.
    fn add(&mut self, told: &RowSecond) {
        self.planned += told.planned;
        self.started += told.started;
        self.completed += told.completed;
        self.failed += told.failed;
    }
}

impl OpenSecond {
    /// The response times of all rows.
    fn response_time(&self) -> SecondQuantiles {
        match &self.times[..] {
            [only] => SecondQuantiles::of(only),
            several => SecondQuantiles::of(&merged(several)),
        }
    }
}

fn merged(times: &[Histogram]) -> Histogram {
    let mut all = Histogram::new();
    for times in times {
        all.merge(times);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(row: &RowSecond) -> [u64; 5] {
        [row.planned, row.started, row.completed, row.failed, row.running]
    }

    #[test]
    fn seconds_are_those_in_which_things_happened() {
        let mut seconds = WorkerSeconds::new(2);
        seconds.started(SECOND / 2, 1);
        seconds.started(SECOND - 1, 1);
        seconds.ended(3 * SECOND, 1, Outcome::Failed, 0);
        let closed: Vec<_> = seconds.take_closed().iter().map(|of| (of.index, counts(&of.rows[1]))).collect();
        assert_eq!(closed, [(0, [0, 2, 0, 0, 2]), (1, [0, 0, 0, 0, 2]), (2, [0, 0, 0, 0, 2])]);
        let rest = seconds.take_all(3 * SECOND);
        assert_eq!((rest.len(), rest[0].index, counts(&rest[0].rows[1])), (1, 3, [0, 0, 0, 1, 1]));
    }

    #[test]
    fn nobody_waits_for_a_worker_that_is_gone_before_it_is_known() {
        let mut seconds = Seconds::new(1, 1);
        seconds.finished(2);
        seconds.joined(1, 0);
        for worker in [0, 1] {
            assert_eq!(seconds.settled.len(), 0, "worker {worker} has not told it");
            seconds.add(worker, WorkerSeconds::new(2).take_all(0));
        }
        assert_eq!(seconds.settled.len(), 1);
    }

    /// Three workers, of which one is late, over two rows: the quantiles are those of all samples.
    #[test]
    fn quantiles_are_those_of_all_workers_samples() {
        let mut workers: Vec<_> = (0..3).map(|_| WorkerSeconds::new(3)).collect();
        let mut expected = vec![vec![Histogram::new(); 3]; 4];
        for sample in 0..4000u64 {
            let (worker, row, second) = (sample % 3, 1 + sample % 2, sample / 1000);
            let micros = 1 + sample * sample % 70_001 * (worker + 1);
            workers[worker as usize].ended(second * SECOND + sample, row as u32, Outcome::Completed, micros);
            for part in [row as usize, 0] {
                expected[second as usize][part].record_micros(micros, 1);
            }
        }
        let mut seconds = Seconds::new(3, 2);
        let late = workers.remove(2).take_all(4 * SECOND - 1);
        for (number, mut worker) in workers.into_iter().enumerate() {
            seconds.add(number as u32, worker.take_all(4 * SECOND - 1));
            seconds.finished(number as u32);
        }
        assert_eq!((seconds.settled.len(), seconds.open.len()), (0, 4));
        let (_, two_of_three) = seconds.second(3);
        for (index, second) in late.into_iter().enumerate() {
            seconds.add(2, vec![second]);
            assert_eq!(
                (seconds.settled.len(), seconds.open.len()),
                (index + 1, 3 - index),
                "times are kept until all told"
            );
        }
        assert_eq!((two_of_three.count, seconds.second(3).1.count), (667, 1000));
        let report = seconds.into_report(5, SECOND + 1, |_, _, row| row.started);
        assert_eq!(report.len(), 6);
        assert!(
            report.iter().all(|second| second.warm_up == (second.t < 2)),
            "the second that it ends in is one of it"
        );
        for (told, expected) in report.iter().zip(&expected) {
            assert_eq!(told.response_time, SecondQuantiles::of(&expected[0]));
            assert_eq!(told.response_time.count, told.completed);
            for row in &told.rows {
                assert_eq!(row.response_time, SecondQuantiles::of(&expected[row.row as usize]));
                assert_eq!(row.response_time.count, row.completed);
            }
        }
        assert_eq!(report[5].response_time, SecondQuantiles::default());
    }
}
