//! The plan of one row as a pure function: when each start is due, and how many there are before any time.
//!
//! No clock and no spawning is here, and no floating point decides: A(t), the integral of the rate, is compared exactly in
//! 128-bit integers, so that the plan is the same on every machine.
//!
//! Start k, counted from 0, is due at T_k, the least nanosecond t with A(t) ≥ k. Where the rate is zero nothing is due: a k
//! that is reached just as a pause begins is due when the pause ends, and is not planned if it never does.

mod arrivals;
mod line;
mod share;
mod stripe;

use std::sync::Arc;

pub(crate) use arrivals::for_row;
pub(crate) use share::Share;
pub use stripe::Stripe;

use crate::volume::{Arrivals, Segment, Shape, Source, Unit};
use arrivals::Walk;
use line::{Line, PARTS};

/// When each start of a row of the open model is due, or how many of its journeys run in the closed model.
///
/// ```
/// use mite_core::schedule::Schedule;
/// use mite_core::volume::{constant, ramp, SECOND};
///
/// let schedule = Schedule::new((ramp(10 * SECOND).from(0) + constant(10, SECOND)).resolve()?);
/// assert_eq!(schedule.planned(), 60);
/// assert_eq!(schedule.due(50), Some(10_000_000_000));
/// assert_eq!(schedule.before(10_000_000_000), 50);
/// # Ok::<(), mite_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schedule {
    plan: Plan,
    arrivals: Arrivals,
    /// The part of the plan's starts that is this row's, where several rows share one model.
    mix: Option<Stripe>,
    /// No more starts than this.
    limit: u64,
    /// Where the plan was cut. The line or the times stay the same, so that a cut changes no due time.
    cut: u64,
}

#[derive(Debug, Clone)]
enum Plan {
    Line(Line),
    /// Single due times, in rising order, and the end of the plan.
    Times(Arc<[u64]>, u64),
}

/// Where a walk through a schedule, by rising k, has got to.
#[derive(Debug, Clone, Default)]
struct Hint {
    piece: usize,
    walk: Walk,
}

impl Schedule {
    /// The schedule of a shape.
    pub fn new(shape: Shape) -> Self {
        let plan = match shape.source {
            Source::Segments(segments) => Plan::Line(Line::new(segments)),
            Source::Times(times, end) => Plan::Times(times, end),
        };
        let limit = shape.iterations.unwrap_or(u64::MAX);
        let mut schedule = Self { plan, arrivals: shape.arrivals, mix: None, limit, cut: u64::MAX };
        if shape.unit == Unit::Rate
            && schedule.may_reach(limit)
            && let Some(last) = schedule.due(limit.saturating_sub(1))
        {
            // The plan ends with its last start, and does not wait for what it would have had besides.
            schedule.cut(last + 1);
        }
        schedule
    }

    /// Whether the plan may have so many starts; asked before looking for the last of them, which walks through a plan that is
    /// drawn at random.
    fn may_reach(&self, starts: u64) -> bool {
        match (&self.plan, self.arrivals) {
            // No Poisson process comes to twice its mean and a hundred.
            (Plan::Line(line), Arrivals::Poisson { .. }) => {
                u128::from(starts) <= 2 * line.area(line.end()) / PARTS + 100
            }
            _ => starts < u64::MAX,
        }
    }

    /// One that has nothing yet: a closure's, which is asked second by second.
    pub(crate) fn unknown() -> Self {
        Self { plan: Plan::Line(Line::default()), arrivals: Arrivals::Even, mix: None, limit: u64::MAX, cut: u64::MAX }
    }

    /// This row's part of a model that several rows share, and of the limit on its starts.
    #[must_use]
    pub(crate) fn part(mut self, part: Stripe) -> Self {
        if self.limit < u64::MAX {
            self.limit = part.before(self.limit);
        }
        self.mix = Some(part);
        self
    }

    /// Goes on with `segment`, which begins where the schedule ends or later.
    pub(crate) fn push(&mut self, segment: Segment) {
        match &mut self.plan {
            Plan::Line(line) => line.push(segment),
            Plan::Times(..) => unreachable!("only a closure's plan goes on, and that is a line"),
        }
    }

    /// Ends the plan at `end`, in nanoseconds since the start of the run.
    pub(crate) fn cut(&mut self, end: u64) {
        self.cut = self.cut.min(end);
    }

    /// The end of the plan, in nanoseconds since the start of the run.
    pub fn end(&self) -> u64 {
        let end = match &self.plan {
            Plan::Line(line) => line.end(),
            Plan::Times(_, end) => *end,
        };
        end.min(self.cut)
    }

    /// How many starts are planned in all: for even arrivals the integral of the rate, to the last unit.
    pub fn planned(&self) -> u64 {
        self.before(self.end())
    }

    /// How many starts are due before `time`, in nanoseconds since the start of the run.
    pub fn before(&self, time: u64) -> u64 {
        self.own(self.all_before(time.min(self.end())))
    }

    /// How many starts are due from one time up to another. It costs no more than what lies between, also where arrivals are
    /// drawn at random.
    pub(crate) fn between(&self, from: u64, to: u64) -> u64 {
        if self.mix.is_none() && self.limit == u64::MAX {
            self.all_between(from.min(self.end()), to.min(self.end()))
        } else {
            self.before(to) - self.before(from)
        }
    }

    /// How many starts are due in each part of `step` nanoseconds, from the start of the run to the plan's end. It costs one
    /// walk through the plan, also where arrivals are drawn at random.
    pub(crate) fn counts(&self, step: u64) -> Vec<u64> {
        let (mut all, mut own) = (0, 0);
        let mut counts = Vec::new();
        let mut from = 0;
        while from < self.end() {
            let to = from.saturating_add(step).min(self.end());
            all += self.all_between(from, to);
            let own_by_now = self.own(all);
            counts.push(own_by_now - own);
            (own, from) = (own_by_now, to);
        }
        counts
    }

    fn all_between(&self, from: u64, to: u64) -> u64 {
        match (&self.plan, self.arrivals) {
            (Plan::Line(line), Arrivals::Poisson { seed }) if 0 < from && from < to => {
                // What is due at the very start of the plan is before `from`: A has reached it there.
                let reached = |time: u64| line.area(time - 1) + 1;
                arrivals::between(seed, reached(from), reached(to))
            }
            _ => self.all_before(to) - self.all_before(from),
        }
    }

    /// How many starts have to be drawn at random to know the plan, within a few per mille.
    pub(crate) fn drawn(&self) -> u64 {
        match (&self.plan, self.arrivals) {
            (Plan::Line(line), Arrivals::Poisson { .. }) => (line.area(self.end()) / PARTS) as u64,
            _ => 0,
        }
    }

    /// The plan's height in each of so many parts of equal length, from the start of the run to `until`, in thousandths: the
    /// highest volume within the part, of a number running in whole journeys. `None` where the starts are single times or
    /// drawn at random, and a height would be that of what was asked for and not of the plan.
    ///
    /// A piece of the plan that is much shorter than a part and `step` counts with the mean of the step that it is in: a
    /// hundred starts at once are a hundred in that second.
    pub(crate) fn heights(&self, unit: Unit, parts: u64, until: u64, step: u64) -> Option<Vec<u64>> {
        let Plan::Line(line) = &self.plan else { return None };
        if matches!(self.arrivals, Arrivals::Poisson { .. }) {
            return None;
        }
        let edge = |part: u64| (u128::from(until) * u128::from(part) / u128::from(parts)) as u64;
        let height = |part| {
            let (from, to) = (edge(part), edge(part + 1).min(self.end()));
            let reached = unit == Unit::Rate;
            let highest = if from < to { line.highest_between(from, to, step, reached) } else { 0 };
            match (unit, &self.mix) {
                (Unit::Rate, None) => highest,
                (Unit::Rate, Some(mix)) => mix.part_of(highest),
                (Unit::Running, None) => highest / 1000 * 1000,
                (Unit::Running, Some(mix)) => mix.share(highest / 1000) * 1000,
            }
        };
        Some((0..parts).map(height).collect())
    }

    fn all_before(&self, time: u64) -> u64 {
        match &self.plan {
            Plan::Times(times, _) => times.partition_point(|due| *due < time) as u64,
            Plan::Line(line) => match self.arrivals {
                Arrivals::Even => line.before(time),
                Arrivals::Poisson { seed } => arrivals::before(seed, line, time),
                Arrivals::Jitter { .. } => {
                    // Jitter does not change their order, nor move one past where the next was planned.
                    let planned = line.before(time);
                    let last_is_later = planned
                        .checked_sub(1)
                        .is_some_and(|last| self.due_of_all(last, &mut Hint::default()) >= Some(time));
                    planned - u64::from(last_is_later)
                }
            },
        }
    }

    /// Of the first `all` starts of the plan those that are this row's.
    fn own(&self, all: u64) -> u64 {
        self.mix.as_ref().map_or(all, |mix| mix.before(all)).min(self.limit)
    }

    /// T_k in nanoseconds since the start of the run, or `None` when the plan ends before.
    pub fn due(&self, k: u64) -> Option<u64> {
        self.due_from(k, &mut Hint::default())
    }

    /// As [`Schedule::due`], for a rising k.
    fn due_from(&self, k: u64, hint: &mut Hint) -> Option<u64> {
        if k >= self.limit {
            return None;
        }
        let k = self.mix.as_ref().map_or(k, |mix| mix.start(k));
        self.due_of_all(k, hint).filter(|due| *due < self.cut)
    }

    fn due_of_all(&self, k: u64, hint: &mut Hint) -> Option<u64> {
        let line = match &self.plan {
            Plan::Line(line) => line,
            Plan::Times(times, end) => {
                return times.get(usize::try_from(k).ok()?).copied().filter(|due| due < end);
            }
        };
        match self.arrivals {
            Arrivals::Even => line.reach(u128::from(k) * PARTS, &mut hint.piece).map(|(due, _)| due),
            Arrivals::Jitter { fraction, seed } => {
                let (due, until) = line.reach(u128::from(k) * PARTS, &mut hint.piece)?;
                let next = line.reach(u128::from(k + 1) * PARTS, &mut hint.piece.clone()).map(|(next, _)| next);
                Some(arrivals::jittered(fraction, seed, k, due, next, until))
            }
            Arrivals::Poisson { seed } => {
                let position = hint.walk.position(seed, k);
                line.reach(position, &mut hint.piece).map(|(due, _)| due)
            }
        }
    }

    /// The number running at `time` where the volumes are numbers of journeys; 0 before the plan and after it.
    pub(crate) fn running_at(&self, time: u64) -> u64 {
        let Plan::Line(line) = &self.plan else { return 0 };
        if time >= self.cut {
            return 0;
        }
        let all = line.level_at(time);
        self.mix.as_ref().map_or(all, |mix| mix.share(all))
    }

    /// The next time after `time` at which [`Schedule::running_at`] may have another value.
    pub(crate) fn next_change(&self, time: u64) -> Option<u64> {
        match &self.plan {
            Plan::Line(line) => line.next_change(time).map(|next| next.min(self.end())).filter(|next| *next > time),
            Plan::Times(..) => None,
        }
    }

    /// The highest number that ever runs, where the volumes are numbers of journeys.
    pub(crate) fn most_running(&self) -> u64 {
        let Plan::Line(line) = &self.plan else { return 0 };
        let all = line.highest();
        self.mix.as_ref().map_or(all, |mix| mix.share(all))
    }

    /// No more starts than this; `u64::MAX` without a limit.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }
}

/// Where one worker stands in its part of a schedule: of the starts that are its process's, its stripe.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    share: Share,
    stripe: Stripe,
    index: u64,
    hint: Hint,
    /// The next start and when it is due; worked out once, since a ramp's takes a while.
    next: Option<(u64, u64)>,
}

impl Cursor {
    /// A worker's stripe of all starts.
    pub(crate) fn new(stripe: Stripe) -> Self {
        Self { share: Share::of(Stripe::all()), stripe, index: 0, hint: Hint::default(), next: None }
    }

    /// The next start and when it is due: `None` when the schedule, so far as it is known, has no more.
    pub(crate) fn next(&mut self, schedule: &Schedule) -> Option<(u64, u64)> {
        if self.next.is_none() {
            let k = self.share.start(self.stripe.start(self.index))?;
            self.next = schedule.due_from(k, &mut self.hint).map(|due| (k, due));
        }
        self.next
    }

    /// From `time` on, in nanoseconds since the start of the run, the process has this stripe of all starts. Starts that lie behind
    /// stay as they were.
    pub(crate) fn change_share(&mut self, time: u64, stripe: Stripe) {
        self.share.change(time, stripe);
    }

    /// Takes over what changes at times up to which the plan is known: all of it where it is `complete`.
    pub(crate) fn settle_share(&mut self, schedule: &Schedule, complete: bool) {
        let known = if complete { None } else { Some(schedule.end()) };
        if self.share.settle(known, |time| schedule.before(time)) {
            self.next = None;
            // The next start may be an earlier one than that which was looked at last.
            self.hint = Hint::default();
        }
    }

    /// Goes on to the start after.
    pub(crate) fn advance(&mut self) {
        self.index += 1;
        self.next = None;
    }

    /// Passes over all starts that are due before `time`, and says how many there were.
    pub(crate) fn skip_before(&mut self, schedule: &Schedule, time: u64) -> u64 {
        let handled = self.before(schedule.before(time));
        let skipped = handled.saturating_sub(self.index);
        self.index += skipped;
        if skipped > 0 {
            self.next = None;
        }
        skipped
    }

    /// How many starts of this worker's lie behind.
    pub(crate) fn handled(&self) -> u64 {
        self.index
    }

    /// How many of the starts below `k` are this worker's.
    pub(crate) fn before(&self, k: u64) -> u64 {
        self.stripe.before(self.share.before(k))
    }

    /// This worker's part of a number running at `time`, in nanoseconds since the start of the run.
    pub(crate) fn running(&self, time: u64, running: u64) -> u64 {
        self.stripe.share(self.share.running(time, running))
    }

    /// The next time after `time` at which [`Cursor::running`] may change though the number does not.
    pub(crate) fn next_change(&self, time: u64) -> Option<u64> {
        self.share.next_change(time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::volume::{SECOND, Stages, constant, nothing, ramp};

    const S: u64 = 1_000_000_000;

    fn schedule(model: &Stages) -> Schedule {
        Schedule::new(model.resolve().unwrap())
    }

    #[test]
    fn tables_of_due_times() {
        let cases = [
            // A constant rate: one every 20 ms, the first at once.
            (constant(50, 10 * SECOND), vec![(0, 0), (1, 20_000_000), (499, 9_980_000_000)], 500),
            // A rate with a fraction: the last is due after the row's end and not planned.
            (constant(0.3, 10 * SECOND), vec![(0, 0), (1, 3_333_333_334), (2, 6_666_666_667)], 3),
            // A ramp from nothing to 2: A(t) = t²/10, so that start 2 is due at √20 s.
            (ramp(10 * SECOND).from(0).to(2), vec![(0, 0), (1, 3_162_277_661), (2, 4_472_135_955)], 10),
            // A falling ramp is its mirror image.
            (ramp(10 * SECOND).from(2).to(0), vec![(0, 0), (9, 6_837_722_340)], 10),
            // Nothing is due in a pause: start 1 comes when it is over.
            (constant(1, SECOND) + nothing(5 * SECOND) + constant(1, SECOND), vec![(0, 0), (1, 6 * S)], 2),
            (nothing(SECOND) + constant(10, SECOND), vec![(0, S), (1, S + S / 10)], 10),
            (nothing(SECOND), vec![], 0),
            (constant(10, SECOND).iterations(3), vec![(0, 0), (2, S / 5)], 3),
        ];
        for (model, due, planned) in cases {
            let schedule = schedule(&model);
            for (k, time) in due {
                assert_eq!(schedule.due(k), Some(time), "start {k} of {model:?}");
            }
            assert_eq!(schedule.planned(), planned, "{model:?}");
            assert_eq!(schedule.due(planned), None, "{model:?}");
        }
    }

    #[test]
    fn the_largest_plan_does_not_overflow() {
        let years = 3_000_000_000 * SECOND;
        let schedule = schedule(&ramp(years).from(0).to(1e9));
        let last = schedule.planned() - 1;
        assert_eq!(schedule.planned(), 1_500_000_000_000_000_000);
        assert!(schedule.due(last).unwrap() < schedule.end());
        assert_eq!(schedule.before(schedule.due(last).unwrap()), last);
    }

    #[test]
    fn a_cut_plan_is_the_beginning_of_the_whole() {
        let model = ramp(10 * SECOND).from(1).to(9) + constant(9, 5 * SECOND);
        for model in [model.clone(), model.clone().poisson(1), model.jitter(0.5, 1)] {
            let whole = schedule(&model);
            for end in [1, S, 3 * S + 7, 10 * S, 12 * S] {
                let mut cut = whole.clone();
                cut.cut(end);
                assert_eq!(cut.end(), end);
                assert_eq!(cut.planned(), whole.before(end), "{model:?} cut at {end}");
                if let Some(last) = cut.planned().checked_sub(1) {
                    assert_eq!(cut.due(last), whole.due(last));
                }
                assert_eq!(cut.due(cut.planned()), None);
            }
        }
    }

    #[test]
    fn a_plan_ends_with_the_last_of_its_iterations() {
        let model = constant(10, 100 * SECOND);
        let last = schedule(&model).due(6).unwrap();
        assert_eq!(schedule(&model.clone().iterations(7)).end(), last + 1);
        assert_eq!(schedule(&model.clone().iterations(1001)).end(), 100 * S);
        // Those who run at once may need all the time that there is.
        assert_eq!(schedule(&model.clone().running().iterations(7)).end(), 100 * S);
        let drawn = schedule(&model.clone().poisson(3).iterations(7));
        assert_eq!((drawn.planned(), Some(drawn.end() - 1)), (7, schedule(&model.clone().poisson(3)).due(6)));
        // More than can be looked for.
        let endless = schedule(&model.poisson(3).iterations(u64::MAX - 1));
        assert_eq!(endless.end(), 100 * S);
    }

    #[test]
    fn numbers_running_change_when_the_line_says() {
        let schedule = schedule(&(ramp(10 * SECOND).from(0).to(2) + ramp(10 * SECOND).to(0)).running());
        let mut changes = vec![(0, schedule.running_at(0))];
        let mut time = 0;
        while let Some(next) = schedule.next_change(time) {
            time = next;
            changes.push((time, schedule.running_at(time)));
        }
        assert_eq!(changes, [(0, 0), (5 * S, 1), (10 * S, 2), (10 * S + 1, 1), (15 * S + 1, 0), (20 * S, 0)]);
    }

    fn models() -> impl Strategy<Value = Stages> {
        let stage = (0u32..5_000, 0u32..5_000, 1u64..3_000);
        (prop::collection::vec(stage, 1..5), 0..3).prop_map(|(stages, arrivals)| {
            let stage = |(from, to, millis): &(u32, u32, u64)| {
                ramp(std::time::Duration::from_millis(*millis)).from(*from).to(*to)
            };
            let mut model = stage(&stages[0]);
            for next in &stages[1..] {
                model = model + stage(next);
            }
            match arrivals {
                0 => model,
                1 => model.jitter(0.7, 5),
                _ => model.poisson(5),
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_due_before_a_time_is_what_is_due_before_it(model in models(), at in 0.0f64..=1.0) {
            let schedule = schedule(&model);
            let k = (schedule.planned() as f64 * at) as u64;
            let Some(due) = schedule.due(k) else {
                prop_assert_eq!(k, schedule.planned());
                return Ok(());
            };
            prop_assert!(schedule.before(due) <= k);
            prop_assert!(schedule.before(due + 1) > k);
            prop_assert_eq!(schedule.between(due, schedule.end()), schedule.planned() - schedule.before(due));
        }

        #[test]
        fn counts_by_step_are_the_plan_cut_into_pieces(
            model in models(),
            step in 1u64..3 * S,
            weights in prop::collection::vec(1u32..4, 1..4),
            limit in prop::option::of(1u64..5_000),
        ) {
            let model = match limit {
                Some(limit) => model.iterations(limit),
                None => model,
            };
            let step = step.max(S / 100);
            for part in Stripe::by_weights(&weights) {
                let schedule = schedule(&model).part(part);
                let counts = schedule.counts(step);
                prop_assert_eq!(counts.len() as u64, schedule.end().div_ceil(step));
                prop_assert_eq!(counts.iter().sum::<u64>(), schedule.planned());
                for (index, count) in (0..).zip(&counts) {
                    let (from, to) = (index * step, (index + 1) * step);
                    prop_assert_eq!(*count, schedule.before(to) - schedule.before(from));
                }
            }
        }

        #[test]
        fn cursors_walk_the_whole_plan_in_order(model in models(), workers in 1u32..9, weights in prop::collection::vec(1u32..4, 1..4)) {
            let mut whole = schedule(&model);
            whole.cut(S / 50);
            let mut all = Vec::new();
            for part in Stripe::by_weights(&weights) {
                let schedule = whole.clone().part(part);
                let mut seen = Vec::new();
                for stripe in Stripe::by_weights(&vec![1; workers as usize]) {
                    let mut cursor = Cursor::new(stripe);
                    let mut last = 0;
                    while let Some((k, due)) = cursor.next(&schedule) {
                        prop_assert_eq!(schedule.due(k), Some(due));
                        prop_assert!(due >= last);
                        last = due;
                        seen.push(k);
                        all.push(due);
                        cursor.advance();
                    }
                }
                seen.sort_unstable();
                prop_assert_eq!(seen, (0..schedule.planned()).collect::<Vec<_>>());
            }
            // The parts of a mix are the whole model, start for start.
            all.sort_unstable();
            let expected: Vec<u64> = (0..whole.planned()).map(|k| whole.due(k).unwrap()).collect();
            prop_assert_eq!(all, expected);
        }
    }
}
