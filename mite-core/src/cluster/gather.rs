//! The figures of one runner's workers, put together: one entry for each second, and one for what is left at the end.
//!
//! They are apart from how entries are written, and from the controller, to whom a runner then looks like one worker.

use std::collections::VecDeque;

use super::totals::{ToldTotals, Totals};
use crate::figures::{Figures, FiguresTold};
use crate::runner::protocol::WorkerResult;
use crate::seconds::{RowSecond, Second};

/// What a runner tells at once.
#[derive(Debug)]
pub(crate) enum Entry {
    Second(OfSecond),
    End(OfEnd),
}

/// What one second was, and what is new in the figures: as one worker would tell it that had done all of it.
#[derive(Debug)]
pub(crate) struct OfSecond {
    pub(crate) second: Second,
    pub(crate) figures: FiguresTold,
}

/// What the workers have handed over at their ends, and what all entries come to.
#[derive(Debug)]
pub(crate) struct OfEnd {
    pub(crate) result: WorkerResult,
    pub(crate) totals: ToldTotals,
    /// What people should know.
    pub(crate) warnings: Vec<String>,
}

impl OfSecond {
    /// Adds what comes after it, where entries cannot be handed on for so long that there is no room for each: all counts are
    /// told as of the later second, and those that run are those of its end.
    pub(crate) fn merge(&mut self, later: Self) {
        let Self { second, figures } = later;
        for (row, later) in self.second.rows.iter_mut().zip(&second.rows) {
            row.running = 0;
            row.merge(later);
        }
        self.second.index = second.index;
        let mut all = Figures::new(second.rows.len());
        all.add(&self.figures);
        all.add(&figures);
        self.figures = all.tell_added();
    }
}

/// Puts together what the workers of one runner tell.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// For each row, setup and teardown included.
    rows: usize,
    /// How many seconds each worker has told, by its number: `u64::MAX` when it has no more to tell.
    told: Vec<u64>,
    /// The first second that was not taken.
    next: u64,
    /// The seconds from there on of which something was told.
    open: VecDeque<Open>,
    /// With room for a second's figures, and nothing in them.
    spare: Vec<Figures>,
    /// Of what the workers have told, counted before it is put together.
    totals: Totals,
}

/// A second that some worker has not told yet.
#[derive(Debug)]
struct Open {
    rows: Vec<RowSecond>,
    figures: Figures,
}

impl Gathered {
    /// For `rows` rows, setup and teardown included.
    pub(crate) fn new(workers: u32, rows: usize) -> Self {
        let told = vec![0; workers as usize];
        Self { rows, told, next: 0, open: VecDeque::new(), spare: Vec::new(), totals: Totals::default() }
    }

    /// Begins with the second in which `now` lies, in nanoseconds since the start of the run.
    pub(crate) fn begin_at(&mut self, now: u64) {
        self.next = now / 1_000_000_000;
    }

    /// Adds the seconds that a worker tells, and the figures that it tells with them; each tells all of them, in order.
    pub(crate) fn add(&mut self, worker: u32, seconds: Vec<Second>, figures: &FiguresTold) {
        if let Some(last) = seconds.last() {
            self.add_figures(last.index, figures);
        }
        for Second { index, rows } in seconds {
            self.totals.add_second(&rows);
            for (row, told) in self.open(index).rows.iter_mut().zip(&rows) {
                row.merge(told);
            }
            self.told[worker as usize] = index + 1;
        }
    }

    /// Adds what a worker tells when it is asked for it, in this second.
    pub(crate) fn add_figures(&mut self, second: u64, figures: &FiguresTold) {
        self.totals.add(figures);
        self.open(second).figures.add(figures);
    }

    /// A worker has no more seconds to tell.
    pub(crate) fn finished(&mut self, worker: u32) {
        self.told[worker as usize] = u64::MAX;
    }

    /// A second that is not taken yet: what is told late belongs to the first of these.
    fn open(&mut self, index: u64) -> &mut Open {
        let at = index.saturating_sub(self.next) as usize;
        while self.open.len() <= at {
            let figures = self.spare.pop().unwrap_or_else(|| Figures::new(self.rows));
            self.open.push_back(Open { rows: vec![RowSecond::default(); self.rows], figures });
        }
        &mut self.open[at]
    }

    /// The next second that all workers have told, if there is one that was not taken.
    pub(crate) fn take(&mut self) -> Option<OfSecond> {
        let told = self.told.iter().copied().min().unwrap_or(u64::MAX);
        if told <= self.next {
            return None;
        }
        let Open { rows, mut figures } = self.open.pop_front()?;
        let second = Second { index: self.next, rows };
        self.next += 1;
        let told = figures.tell_added();
        self.spare.push(figures);
        Some(OfSecond { second, figures: told })
    }

    /// What is left when the workers have ended: seconds that some of them did not tell, then the end with what each has handed
    /// over, and what people should know.
    pub(crate) fn end(mut self, results: Vec<WorkerResult>, warnings: Vec<String>) -> Vec<Entry> {
        self.told.fill(u64::MAX);
        let mut figures = Figures::new(self.rows);
        let (mut sent_messages, mut miscounted) = (Vec::new(), Vec::new());
        for result in results {
            self.totals.add(&result.figures);
            figures.add(&result.figures);
            if sent_messages.len() < result.sent_messages.len() {
                sent_messages.resize(result.sent_messages.len(), 0);
            }
            for (all, more) in sent_messages.iter_mut().zip(result.sent_messages) {
                *all += more;
            }
            miscounted.extend(result.miscounted);
        }
        let mut entries = Vec::new();
        while let Some(second) = self.take() {
            entries.push(Entry::Second(second));
        }
        let result = WorkerResult { figures: figures.tell_added(), sent_messages, miscounted };
        entries.push(Entry::End(OfEnd { result, totals: self.totals.told(), warnings }));
        entries
    }
}
