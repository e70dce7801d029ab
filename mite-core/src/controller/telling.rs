//! What the controller tells while the run goes on: each second that is over, and the run's figures to who asks for them.
//!
//! It is apart from the [loop](super), which says when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::remote::Remote;
use super::rows::Row;
use super::sinks::tell_figures;
use super::{Controller, MOST_ASKED, SECOND, tally};
use crate::clock::{self, Moment};
use crate::figures::{FiguresTold, PartFigures};
use crate::message::Head;
use crate::pack;
use crate::report::{SecondQuantiles, SecondRow};
use crate::run::progress::{Progress, RowProgress};
use crate::runner::protocol::Command;
use crate::sink::outbox::METRICS;
use crate::snapshot::Snapshot;
use crate::usage::Usage;
use crate::volume::Unit;

/// Who has asked for the run's figures.
#[derive(Default)]
pub(super) struct Inquiry {
    answers: Vec<oneshot::Sender<Arc<Snapshot>>>,
    /// The workers that were asked for what is new and have not told it yet.
    pub(super) workers: Vec<u32>,
    /// When they are no longer waited for.
    pub(super) until: Option<Instant>,
}

impl Controller {
    /// Asks the workers for what is new, for who asks for the run's figures.
    pub(super) fn ask_workers(&mut self, answer: oneshot::Sender<Arc<Snapshot>>) {
        self.inquiry.answers.push(answer);
        if self.inquiry.until.is_none() {
            self.inquiry.workers = self.crew.under_way().map(|worker| worker.number).collect();
            self.inquiry.until = Some(clock::now() + MOST_ASKED);
            self.tell_all(|| Command::Tell);
        }
        self.answer_asked();
    }

    /// Answers who asked for the run's figures, once all workers that were asked have told theirs.
    pub(super) fn answer_asked(&mut self) {
        if self.inquiry.workers.is_empty() && !self.inquiry.answers.is_empty() {
            let figures = Arc::new(self.snapshot());
            for answer in std::mem::take(&mut self.inquiry).answers {
                // Who does not wait any longer has asked in vain.
                let _ = answer.send(Arc::clone(&figures));
            }
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let elapsed =
            if self.crew.driving { clock::now().saturating_duration_since(self.origin) } else { Duration::ZERO };
        let rows = self.progress.borrow().rows.clone();
        Snapshot { elapsed, rows, ..self.tally.snapshot(&self.facts.names) }
    }

    /// Tells what became of one second: progress, and the `controller_report` message.
    pub(super) fn tell_second(&mut self, second: u64) {
        let (rows, response_time) = self.seconds.second(second);
        let fresh = self.tally.take_fresh(second);
        let progress = self.progress_of(second, &rows, response_time, &fresh);
        self.progress.send_replace(progress);
        if !self.figures.is_empty() {
            tell_figures(&self.figures, self.snapshot());
        }
        self.hold_against(second, fresh);
        let kind = self.names.kind("controller_report");
        let mut wanted = self.outbox.who_wants("controller_report").lanes;
        if second * SECOND < self.facts.warm_up {
            wanted &= !METRICS;
        }
        if self.follows {
            // Whoever leads sends it.
            wanted &= METRICS;
        }
        if wanted == 0 {
            return;
        }
        let mut own = Vec::new();
        let figures = |(row, of_row): (&Row, _)| row.wanted_and_actual(second, of_row);
        let figures: Vec<(u64, u64)> = self.rows.iter().zip(&rows).map(figures).collect();
        for (name, of) in [("required", 0), ("actual", 1)] {
            pack::write_str(&mut own, name);
            pack::write_map_len(&mut own, figures.len() as u32);
            for (index, (required, actual)) in figures.iter().enumerate() {
                pack::write_uint(&mut own, index as u64 + 1);
                pack::write_f64(&mut own, if of == 0 { *required } else { *actual } as f64);
            }
        }
        pack::write_str(&mut own, "num_runners");
        pack::write_uint(&mut own, self.remote.as_ref().map_or(1, Remote::count));
        let time = self.facts.wall.seconds_at(Moment::now());
        // Who does not wait for a sink that has failed is not told either.
        let _ = self.outbox.push(wanted, Head { kind, time, place: None, own: 3, end: 0 }, &own);
        self.outbox.tick();
        if wanted & METRICS != 0 {
            // What comes of it is told with the next second.
            let mut told = FiguresTold::default();
            told.measured.metrics = self.outbox.meter.tell();
            self.tally.add(second, told);
        }
    }

    fn progress_of(
        &mut self,
        second: u64,
        rows: &[SecondRow],
        response_time: SecondQuantiles,
        fresh: &[FiguresTold],
    ) -> Progress {
        let mut stats = PartFigures::new(self.rows.len() + 1);
        for told in fresh {
            stats.add(&told.measured);
        }
        let usage = Usage::now();
        let cpu_percent = usage.since(&self.usage).cpu_percent(Duration::from_nanos(SECOND));
        self.usage = usage;
        let ends = self.rows.iter().map(|row| (row.complete || row.exhausted).then(|| row.schedule.end()));
        let mut progress = Progress {
            seconds: second + 1,
            planned_seconds: ends
                .collect::<Option<Vec<_>>>()
                .and_then(|ends| Some(ends.into_iter().max()?.div_ceil(SECOND))),
            is_warm_up: second * SECOND < self.facts.warm_up,
            requests: self.tally.requests(&stats),
            errors: self.tally.errors(&stats),
            received: tally::received(&stats),
            cpu_percent,
            start_lag_p99: tally::start_lag_p99(&stats),
            response_time,
            ..Progress::default()
        };
        for (index, (row, of_row)) in self.rows.iter().zip(rows).enumerate() {
            // Summed up anew: what a worker told late is in the sums all the same.
            let sums = self.seconds.sums(index);
            progress.planned += match row.unit {
                Unit::Running => sums.planned,
                Unit::Rate if row.exhausted => sums.started,
                Unit::Rate => row.schedule.before((second + 1) * SECOND),
            };
            progress.started += sums.started;
            progress.completed += sums.completed;
            progress.failed += sums.failed;
            progress.running += of_row.running;
            let (wanted, actual) = row.wanted_and_actual(second, of_row);
            progress.rows.push(RowProgress {
                row: of_row.row,
                journey: row.name.clone(),
                is_closed: row.unit == Unit::Running,
                wanted,
                actual,
                started: of_row.started,
                completed: of_row.completed,
                failed: of_row.failed,
                running: of_row.running,
                response_time: of_row.response_time,
            });
        }
        progress
    }

    /// Holds a second that is over against what the run was told to look at, unless the plan had ended in it.
    fn hold_against(&mut self, second: u64, fresh: Vec<FiguresTold>) {
        let over = (second + 1) * SECOND;
        if self.crew.stopped.is_some() || self.last_end(over).is_some_and(|end| end < over) {
            return;
        }
        let names = Arc::clone(&self.facts.names);
        if let Some(why) = self.conditions.second(second, fresh, self.tally.measured(), &names) {
            self.aborted = Some(why);
            self.stop();
        }
    }
}
