//! What became of the starts of a runner that has not told its end: what it has told, and the rest of its share as lost.
//!
//! It is apart from the leader, which hears what there is, so that it is a pure function of that and of the plan.

use super::protocol::MembersRecord;
use crate::figures::{FiguresTold, RowStats};
use crate::runner::protocol::WorkerResult;
use crate::schedule::{Schedule, Share};
use crate::volume::Unit;

/// The counts that a runner has told so far, by row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reported {
    warm_up: Vec<Counts>,
    measured: Vec<Counts>,
}

/// What a row's starts have become.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    started: u64,
    ended: u64,
    not_started: u64,
}

impl Reported {
    /// Adds what is told of a second.
    pub(super) fn add(&mut self, told: &FiguresTold) {
        for (all, told) in [(&mut self.warm_up, &told.warm_up), (&mut self.measured, &told.measured)] {
            if all.len() < told.rows.len() {
                all.resize(told.rows.len(), Counts::default());
            }
            for (all, row) in all.iter_mut().zip(&told.rows) {
                all.started += row.started;
                all.ended += row.completed + row.failed + row.cancelled;
                all.not_started += row.dropped + row.starved + row.unstarted + row.fenced;
            }
        }
    }
}

/// The share that a runner had by these lists of members.
fn share(rid: u32, lists: &[MembersRecord], schedule: &Schedule) -> Share {
    let mut share = Share::of(crate::schedule::Stripe::none());
    for list in lists {
        share.change(list.at, list.stripe(rid));
    }
    share.settle(None, |time| schedule.before(time));
    share
}

/// What is to be added to the figures for a runner that has not told its end. `rows` are the scenario's, from 1 on; `warm_up` is in
/// nanoseconds since the start of the run.
pub(crate) fn unaccounted(
    rid: u32,
    reported: &Reported,
    lists: &[MembersRecord],
    rows: &[(Unit, &Schedule)],
    warm_up: u64,
) -> WorkerResult {
    let mut figures = FiguresTold::default();
    for (row, plan) in std::iter::once(None).chain(rows.iter().map(Some)).enumerate() {
        let counts = |of: &[Counts]| of.get(row).copied().unwrap_or_default();
        let (in_warm_up, measured) = (counts(&reported.warm_up), counts(&reported.measured));
        let told = [in_warm_up, measured].map(|counts| counts.started + counts.not_started);
        let own = match plan {
            Some((Unit::Rate, schedule)) => {
                let share = share(rid, lists, schedule);
                let begun = share.before(schedule.before(warm_up));
                [begun, share.before(schedule.planned()).saturating_sub(begun)]
            }
            // In the closed model a start is planned when its slot is free: what was not told was not planned.
            _ => told,
        };
        let stats = |counts: Counts, own: u64, told: u64| RowStats {
            planned: own.max(told),
            lost: own.saturating_sub(told),
            // What was under way is cut off with its runner, which is no fault of the system's.
            cancelled: counts.started.saturating_sub(counts.ended),
            ramped_down: counts.started.saturating_sub(counts.ended),
            ..RowStats::default()
        };
        figures.warm_up.rows.push(stats(in_warm_up, own[0], told[0]));
        figures.measured.rows.push(stats(measured, own[1], told[1]));
    }
    WorkerResult { figures, sent_messages: Vec::new(), miscounted: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{MemberRecord, VERSION};
    use super::*;
    use crate::figures::Told;
    use crate::volume::{SECOND, constant};

    const S: u64 = 1_000_000_000;

    #[test]
    fn what_a_lost_runner_has_not_told_is_lost() {
        let schedule = Schedule::new(constant(100, 10 * SECOND).resolve().unwrap());
        let list = |at, rids: &[u32]| {
            let members = rids.iter().map(|rid| MemberRecord { rid: *rid, weight: 1 }).collect();
            MembersRecord { v: VERSION, at, members }
        };
        // It had a half of 400 starts, and was taken out four seconds after the start.
        let lists = [list(0, &[1, 2]), list(4 * S, &[1])];
        let mut reported = Reported::default();
        let mut told = FiguresTold::default();
        let row = RowStats { started: 140, completed: 120, failed: 10, dropped: 5, ..RowStats::default() };
        told.measured.rows = vec![RowStats::default(), row];
        let warm_up = RowStats { started: 45, completed: 45, ..RowStats::default() };
        told.warm_up.rows = vec![RowStats::default(), warm_up];
        reported.add(&told);
        let result = unaccounted(2, &reported, &lists, &[(Unit::Rate, &schedule)], S);
        let counts = |told: &Told| {
            let row = &told.rows[1];
            [row.planned, row.lost, row.cancelled]
        };
        assert_eq!(counts(&result.figures.warm_up), [50, 5, 0]);
        assert_eq!(counts(&result.figures.measured), [150, 5, 10]);
        let closed = unaccounted(2, &reported, &lists, &[(Unit::Running, &schedule)], S);
        assert_eq!(counts(&closed.figures.measured), [145, 0, 10]);
    }
}
