//! The rows of a run as their controller sees them: what is planned, and what came of it in a second.
//!
//! They are apart from the controller's loop, which goes by them, and from the workers, which have rows of their own.

use std::sync::Arc;
use std::time::Duration;

use super::SECOND;
use crate::cluster::PoolKind;
use crate::datapool::Numbered;
use crate::datapool::leases::Leases;
use crate::report::SecondRow;
use crate::row::{CheckedRow, Plan};
use crate::runner::options::RowOptions;
use crate::runner::state::RowSpec;
use crate::schedule::Schedule;
use crate::volume::{Asking, Unit};

/// Starts of each slot, and how a row's journeys are run.
pub(crate) type RowPlan = (Option<u64>, RowOptions);

/// One row as the controller sees it.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) schedule: Schedule,
    /// A closure.
    pub(crate) ask: Option<Asking>,
    pub(crate) complete: bool,
    /// The row's data ran out.
    pub(crate) exhausted: bool,
    /// How many items of its pool nobody was given, where a cluster shares them out.
    pub(crate) not_used: Option<u64>,
    /// The starts that this process may make, where a cluster shares out those of the closed model by their number.
    pub(crate) turns: Option<Arc<Leases>>,
    pub(crate) pool: Box<dyn RowSpec>,
}

/// What a cluster shares out by numbers, and the rows that draw from it, counted from 0.
pub(crate) struct SharedPool {
    pub(crate) kind: PoolKind,
    pub(crate) rows: Vec<usize>,
    pub(crate) of: Numbers,
}

/// What has the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// The items of a data pool.
    Items,
    /// Starts of the closed model, where a row is to make so many in all.
    Turns,
}

/// The pools that a cluster shares out, in the order of their first rows, and then the rows that count their starts: in the same order in
/// all processes.
pub(crate) fn shared_pools(rows: &[Row], row_plans: &[RowPlan], graceful_stop: Duration) -> Vec<SharedPool> {
    let mut pools: Vec<(usize, SharedPool)> = Vec::new();
    for (at, (row, (_, options))) in rows.iter().zip(row_plans).enumerate() {
        let Some(numbered) = row.pool.numbered() else { continue };
        let longest = options.timeout.unwrap_or(graceful_stop);
        let quarantine = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        if let Some((_, pool)) = pools.iter_mut().find(|(identity, _)| *identity == numbered.identity) {
            pool.kind.quarantine = pool.kind.quarantine.max(quarantine);
            pool.rows.push(at);
            continue;
        }
        let Numbered { items, is_in_order, .. } = numbered;
        let kind = PoolKind { items, ends: row.pool.ends(), is_in_order, quarantine };
        pools.push((numbered.identity, SharedPool { kind, rows: vec![at], of: Numbers::Items }));
    }
    let counted = |row: &Row| row.unit == Unit::Running && row.schedule.limit() < u64::MAX;
    let turns = rows.iter().enumerate().filter(|(_, row)| counted(row)).map(|(at, row)| {
        let kind = PoolKind { items: Some(row.schedule.limit()), ends: true, is_in_order: false, quarantine: 0 };
        SharedPool { kind, rows: vec![at], of: Numbers::Turns }
    });
    pools.into_iter().map(|(_, pool)| pool).chain(turns).collect()
}

/// How many workers `max_running` leaves room for, of the rows' and the run's, if any of them was said: each needs it for one
/// journey of each row.
pub(crate) fn most_workers(rows: &[Row], row_plans: &[RowPlan], of_run: Option<u64>) -> Option<u64> {
    let of_rows = row_plans.iter().filter_map(|(_, options)| options.max_running);
    let closed = |row: &Row| if row.unit == Unit::Running { row.schedule.most_running() } else { 0 };
    // Journeys of the closed model are never held back: without others there is nothing to share out beside them.
    let is_any_open = rows.iter().any(|row| closed(row) == 0);
    let taken: u64 = if is_any_open { rows.iter().map(closed).sum() } else { 0 };
    of_rows.chain(of_run.map(|most| most.saturating_sub(taken))).min()
}

/// The rows as the workers are told of them, and as the controller sees them.
pub(crate) fn planned(checked: Vec<CheckedRow>, stop_after: Option<u64>) -> (Vec<RowPlan>, Vec<Row>) {
    let mut row_plans = Vec::new();
    let mut rows = Vec::new();
    for row in checked {
        let (unit, each, mut schedule, ask) = match row.plan {
            Plan::Known(schedule, unit, each) => (unit, each, schedule, None),
            Plan::Asked(asking, None) => (asking.unit(), None, Schedule::unknown(), Some(asking)),
            Plan::Asked(asking, Some(part)) => (asking.unit(), None, Schedule::unknown().part(part), Some(asking)),
        };
        if let Some(cut) = stop_after {
            schedule.cut(cut);
        }
        row_plans.push((each, row.options));
        rows.push(Row {
            name: row.name,
            unit,
            schedule,
            complete: ask.is_none(),
            ask,
            exhausted: false,
            not_used: None,
            turns: None,
            pool: row.spec,
        });
    }
    (row_plans, rows)
}

impl Row {
    /// As `controller_report` has it: of a rate the starts planned and made in one second, and in the closed model the journeys
    /// wanted and running at its end.
    pub(crate) fn wanted_and_actual(&self, second: u64, of_row: &SecondRow) -> (u64, u64) {
        match self.unit {
            Unit::Rate => (self.planned_in(second, of_row), of_row.started),
            Unit::Running => (self.schedule.running_at(second * SECOND + SECOND - 1), of_row.running),
        }
    }

    pub(crate) fn asks(&self) -> bool {
        self.ask.is_some() && !self.complete && !self.exhausted
    }

    /// Starts planned in one second: by the schedule, or, in the closed model, as slots became free.
    pub(crate) fn planned_in(&self, second: u64, counted: &SecondRow) -> u64 {
        match self.unit {
            Unit::Running => counted.planned,
            // What is due after the data ran out is not planned.
            Unit::Rate if self.exhausted => counted.started,
            Unit::Rate => self.schedule.between(second * SECOND, (second + 1) * SECOND),
        }
    }
}
