//! What happened in each second of a run: counted by the workers, and put together by the controller.
//!
//! The other figures stay with their worker until the end; these are handed over while the run goes on, and of their times
//! only quantiles are kept, so that an hour takes little.

use std::collections::VecDeque;

use crate::histogram::Histogram;
use crate::report::{PerSecond, SecondQuantiles, SecondRow};
use crate::stats::Outcome;

const SECOND: u64 = 1_000_000_000;

/// What happened to one row in one second, on one worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowSecond {
    /// Counted only where it is not a matter of the schedule.
    pub(crate) planned: u64,
    pub(crate) started: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    /// At the second's end.
    pub(crate) running: u64,
    /// Of the journeys that completed.
    pub(crate) response_time: Histogram,
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
    /// The rows of the seconds that all workers have told, one second after the other.
    rows: Vec<SettledRow>,
    /// The response times of all rows in each of them; empty where there is only one row, whose times they are.
    all_rows: Vec<SettledTimes>,
    settled: usize,
    /// The seconds after those.
    open: VecDeque<OpenSecond>,
    /// All seconds together, by row; `running` is not summed, nor are times.
    sums: Vec<SecondRow>,
    /// Requests and errors, by second.
    besides: Vec<[u32; 2]>,
}

/// A second that some worker has not told yet.
#[derive(Debug)]
struct OpenSecond {
    rows: Vec<SecondRow>,
    /// The response times, by row.
    times: Vec<Histogram>,
}

/// A row in a second that all workers have told: less than half of what it takes in the report, since a run of hours keeps all of
/// them.
#[derive(Debug, Clone, Copy)]
struct SettledRow {
    // At most 10⁹ journeys are started in a second, or run at once.
    planned: u32,
    started: u32,
    completed: u32,
    failed: u32,
    running: u32,
    times: SettledTimes,
}

/// Quantiles in microseconds: those of a histogram are about an hour at the most, while the longest is told exactly.
#[derive(Debug, Clone, Copy)]
struct SettledTimes {
    p50: u32,
    p95: u32,
    p99: u32,
    /// The lower and the upper half of its bits, so that no room is left free beside it.
    max: [u32; 2],
}

impl SettledRow {
    fn of(row: &SecondRow, times: &Histogram) -> Self {
        let SecondRow { planned, started, completed, failed, running, .. } = *row;
        let [planned, started, completed, failed, running] =
            [planned, started, completed, failed, running].map(|count| count as u32);
        Self { planned, started, completed, failed, running, times: SettledTimes::of(times) }
    }

    /// `number` is that of the row, from 1.
    fn told(self, number: usize) -> SecondRow {
        SecondRow {
            row: number as u32,
            planned: self.planned.into(),
            started: self.started.into(),
            completed: self.completed.into(),
            failed: self.failed.into(),
            running: self.running.into(),
            response_time: self.times.told(self.completed.into()),
        }
    }
}

impl SettledTimes {
    fn of(times: &Histogram) -> Self {
        let SecondQuantiles { p50, p95, p99, max, .. } = SecondQuantiles::of(times);
        Self { p50: p50 as u32, p95: p95 as u32, p99: p99 as u32, max: [max as u32, (max >> 32) as u32] }
    }

    /// Of so many journeys that completed.
    fn told(self, count: u64) -> SecondQuantiles {
        let [low, high] = self.max.map(u64::from);
        SecondQuantiles {
            count,
            p50: self.p50.into(),
            p95: self.p95.into(),
            p99: self.p99.into(),
            max: high << 32 | low,
        }
    }
}

impl Seconds {
    /// For so many rows, without setup and teardown.
    pub(crate) fn new(workers: u32, rows: usize) -> Self {
        Self {
            told: vec![0; workers as usize],
            rows: Vec::new(),
            all_rows: Vec::new(),
            settled: 0,
            open: VecDeque::new(),
            sums: vec![SecondRow::default(); rows],
            besides: Vec::new(),
        }
    }

    /// Adds the seconds that a worker tells; each tells all of them, in order.
    pub(crate) fn add(&mut self, worker: u32, seconds: Vec<Second>) {
        for second in seconds {
            let index = second.index as usize;
            self.make(index + 1);
            let open = &mut self.open[index - self.settled];
            let rows = open.rows.iter_mut().zip(&mut self.sums).zip(&mut open.times);
            for (((row, sum), times), told) in rows.zip(&second.rows[1..]) {
                row.running += told.running;
                times.merge(&told.response_time);
                for row in [row, sum] {
                    row.planned += told.planned;
                    row.started += told.started;
                    row.completed += told.completed;
                    row.failed += told.failed;
                }
            }
            self.told[worker as usize] = second.index + 1;
        }
        self.settle();
    }

    /// Counts requests and errors that were told together with this second.
    pub(crate) fn count(&mut self, second: u64, requests: u64, errors: u64) {
        let index = second as usize;
        if self.besides.len() <= index {
            self.besides.resize(index + 1, [0; 2]);
        }
        for (sum, count) in self.besides[index].iter_mut().zip([requests, errors]) {
            *sum = sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// A worker has no more seconds to tell.
    pub(crate) fn finished(&mut self, worker: u32) {
        self.told[worker as usize] = u64::MAX;
        self.settle();
    }

    fn make(&mut self, seconds: usize) {
        while self.settled + self.open.len() < seconds {
            let row = |row: usize| SecondRow { row: row as u32 + 1, ..SecondRow::default() };
            let rows = (0..self.sums.len()).map(row).collect();
            self.open.push_back(OpenSecond { rows, times: vec![Histogram::new(); self.sums.len()] });
        }
    }

    /// Turns the times of the seconds that all workers have told into quantiles.
    fn settle(&mut self) {
        let told = self.told.iter().copied().min().unwrap_or(u64::MAX);
        while (self.settled as u64) < told
            && let Some(second) = self.open.pop_front()
        {
            self.rows.extend(second.rows.iter().zip(&second.times).map(|(row, times)| SettledRow::of(row, times)));
            if self.sums.len() != 1 {
                self.all_rows.push(SettledTimes::of(&merged(&second.times)));
            }
            self.settled += 1;
        }
    }

    fn settled_rows(&self, second: usize) -> &[SettledRow] {
        &self.rows[second * self.sums.len()..][..self.sums.len()]
    }

    /// The response times of one second, so far as they were told.
    pub(crate) fn response_time(&self, second: u64) -> SecondQuantiles {
        let index = second as usize;
        if let Some(open) = index.checked_sub(self.settled) {
            return self.open.get(open).map(|open| SecondQuantiles::of(&merged(&open.times))).unwrap_or_default();
        }
        let rows = self.settled_rows(index);
        let completed = rows.iter().map(|row| u64::from(row.completed)).sum();
        let times = if let [row] = rows { row.times } else { self.all_rows[index] };
        times.told(completed)
    }

    /// The rows of one second, so far as they were told.
    pub(crate) fn rows(&mut self, second: u64) -> Vec<SecondRow> {
        let index = second as usize;
        self.make(index + 1);
        match index.checked_sub(self.settled) {
            Some(open) => {
                let OpenSecond { rows, times } = &self.open[open];
                let told = |(row, times): (&SecondRow, _)| SecondRow {
                    response_time: SecondQuantiles::of(times),
                    ..row.clone()
                };
                rows.iter().zip(times).map(told).collect()
            }
            None => self.settled_rows(index).iter().zip(1..).map(|(row, number)| row.told(number)).collect(),
        }
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
        let second = |t: u64| {
            let [requests, errors] = self.besides.get(t as usize).copied().unwrap_or_default();
            let mut second = PerSecond {
                t,
                warm_up: t.saturating_mul(SECOND) < warm_up,
                requests: requests.into(),
                errors: errors.into(),
                response_time: self.response_time(t),
                ..PerSecond::default()
            };
            for (index, row) in self.settled_rows(t as usize).iter().enumerate() {
                let mut row = row.told(index + 1);
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
        (0..self.settled as u64).map(second).collect()
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
        assert_eq!((seconds.settled, seconds.open.len()), (0, 4));
        let two_of_three = seconds.response_time(3);
        for (index, second) in late.into_iter().enumerate() {
            seconds.add(2, vec![second]);
            assert_eq!((seconds.settled, seconds.open.len()), (index + 1, 3 - index), "times are kept until all told");
        }
        assert_eq!((two_of_three.count, seconds.response_time(3).count), (667, 1000));
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
