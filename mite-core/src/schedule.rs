//! The plan of one row as a pure function: when each start is due, and how many there are before any time.
//!
//! No clock and no spawning is here, and no floating point decides: A(t), the integral of the rate, is compared exactly in
//! 128-bit integers, so that the plan is the same on every machine.
//!
//! Start k, counted from 0, is due at T_k, the least nanosecond t with A(t) ≥ k. Where the rate is zero nothing is due: a k
//! that is reached just as a pause begins is due when the pause ends, and is not planned if it never does.

use crate::volume::Segment;

/// A(t) is counted in this many parts of a start: a rate of one thousandth per second over one nanosecond is 10⁻¹² of a
/// start, and the area of a triangle needs the half of that.
const PARTS: u128 = 2_000_000_000_000;

/// One segment and what was planned before it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    segment: Segment,
    /// Where the plan leaves the segment: its end, or before it where the plan was cut. The line stays the same.
    until: u64,
    /// A at the segment's start, in parts.
    base: u128,
}

impl Piece {
    /// What the segment adds to A in its first `elapsed` nanoseconds, in parts, rounded down to a whole part.
    ///
    /// Rounding does not change any comparison with a whole number of parts: a falling ramp's curved part is rounded up
    /// before it is taken off.
    fn area(&self, elapsed: u64) -> u128 {
        let Segment { start, end, from, to } = self.segment;
        let (length, elapsed) = (u128::from(end - start), u128::from(elapsed));
        let straight = 2 * u128::from(from) * elapsed;
        let slope = u128::from(from.abs_diff(to));
        // slope × elapsed² ÷ length without an overflow: the product is split by the length first.
        let product = slope * elapsed;
        let (whole, rest) = (product / length, (product % length) * elapsed);
        if to >= from {
            straight + whole * elapsed + rest / length
        } else {
            straight - whole * elapsed - rest.div_ceil(length)
        }
    }

    fn length(&self) -> u64 {
        self.until - self.segment.start
    }

    fn end_base(&self) -> u128 {
        self.base + self.area(self.length())
    }

    /// The starts that this piece plans: those k with A(start) ≤ k < A(end).
    fn starts(&self) -> std::ops::Range<u64> {
        self.base.div_ceil(PARTS) as u64..self.end_base().div_ceil(PARTS) as u64
    }

    /// T_k for a start of this piece.
    fn due(&self, k: u64) -> u64 {
        let wanted = u128::from(k) * PARTS - self.base;
        let Segment { start, from, to, .. } = self.segment;
        if from == to {
            return start + wanted.div_ceil(2 * u128::from(from)) as u64;
        }
        // An estimate in floating point, then an exact bracket around it: no result rests on the estimate.
        let (low, high) = self.bracket(self.estimate(wanted), wanted);
        let (mut low, mut high) = (low, high);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.area(middle) >= wanted { high = middle } else { low = middle }
        }
        start + if self.area(low) >= wanted { low } else { high }
    }

    fn estimate(&self, wanted: u128) -> u64 {
        let Segment { start, end, from, to } = self.segment;
        let length = (end - start) as f64;
        let slope = (to as f64 - from as f64) / length;
        let (from, wanted) = (2.0 * from as f64, wanted as f64);
        let root = (from * from + 4.0 * slope * wanted).max(0.0).sqrt();
        (2.0 * wanted / (from + root)).clamp(0.0, length) as u64
    }

    /// A span around the estimate whose upper end has reached `wanted` and whose lower end has not, unless it is 0.
    fn bracket(&self, estimate: u64, wanted: u128) -> (u64, u64) {
        let length = self.length();
        let (mut low, mut high) = (estimate.saturating_sub(1), estimate.saturating_add(1).min(length));
        let mut step = 2;
        while low > 0 && self.area(low) >= wanted {
            low = low.saturating_sub(step);
            step *= 2;
        }
        step = 2;
        while high < length && self.area(high) < wanted {
            high = high.saturating_add(step).min(length);
            step *= 2;
        }
        (low, high)
    }
}

/// When each start of a row of the open model is due.
///
/// ```
/// use mite_core::schedule::Schedule;
/// use mite_core::volume::{constant, ramp, SECOND};
///
/// let (_, segments) = (ramp(10 * SECOND).from(0) + constant(10, SECOND)).resolve()?;
/// let schedule = Schedule::new(segments);
/// assert_eq!(schedule.planned(), 60);
/// assert_eq!(schedule.due(50), Some(10_000_000_000));
/// assert_eq!(schedule.before(10_000_000_000), 50);
/// # Ok::<(), mite_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    pieces: Vec<Piece>,
}

impl Schedule {
    /// A schedule of segments whose volumes are rates.
    pub fn new(segments: impl IntoIterator<Item = Segment>) -> Self {
        let mut schedule = Self::default();
        for segment in segments {
            schedule.push(segment);
        }
        schedule
    }

    /// Goes on with `segment`, which begins where the schedule ends or later.
    ///
    /// A closure's seconds of the same rate become one piece, so that an endless row needs no endless memory.
    pub(crate) fn push(&mut self, segment: Segment) {
        if let Some(last) = self.pieces.last_mut()
            && last.until == segment.start
            && last.segment.from == last.segment.to
            && segment.from == segment.to
            && segment.from == last.segment.to
        {
            (last.segment.end, last.until) = (segment.end, segment.end);
            return;
        }
        let base = self.pieces.last().map_or(0, Piece::end_base);
        self.pieces.push(Piece { segment, until: segment.end, base });
    }

    /// Ends the plan at `end`, in nanoseconds since the start of the run.
    pub(crate) fn cut(&mut self, end: u64) {
        self.pieces.retain(|piece| piece.segment.start < end);
        if let Some(last) = self.pieces.last_mut() {
            last.until = last.until.min(end);
        }
    }

    /// The end of the plan, in nanoseconds since the start of the run.
    pub fn end(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.until)
    }

    /// How many starts are planned in all: the integral of the rate, to the last unit.
    pub fn planned(&self) -> u64 {
        self.before(self.end())
    }

    /// How many starts are due before `time`, in nanoseconds since the start of the run.
    pub fn before(&self, time: u64) -> u64 {
        let index = self.pieces.partition_point(|piece| piece.segment.start < time);
        let Some(piece) = index.checked_sub(1).map(|index| &self.pieces[index]) else { return 0 };
        let elapsed = (time - 1 - piece.segment.start).min(piece.length());
        let reached = ((piece.base + piece.area(elapsed)) / PARTS) as u64 + 1;
        let starts = piece.starts();
        reached.clamp(starts.start, starts.end)
    }

    /// T_k in nanoseconds since the start of the run, or `None` when the plan ends before.
    pub fn due(&self, k: u64) -> Option<u64> {
        self.due_from(k, &mut 0)
    }

    /// As [`Schedule::due`], for a rising k: `piece` is where the last one was found.
    fn due_from(&self, k: u64, piece: &mut usize) -> Option<u64> {
        loop {
            let here = self.pieces.get(*piece)?;
            if k < here.starts().end {
                let due = here.due(k);
                return (due < self.end()).then_some(due);
            }
            if *piece + 1 == self.pieces.len() {
                return None;
            }
            *piece += 1;
        }
    }

    /// The number running at `time` where the volumes are numbers of journeys; 0 before the plan and after it.
    pub(crate) fn running_at(&self, time: u64) -> u64 {
        let index = self.pieces.partition_point(|piece| piece.segment.start <= time);
        match index.checked_sub(1).map(|index| self.pieces[index]) {
            Some(piece) if time < piece.until => level(piece.segment, time) / 1000,
            _ => 0,
        }
    }

    /// The next time after `time` at which [`Schedule::running_at`] may have another value.
    pub(crate) fn next_change(&self, time: u64) -> Option<u64> {
        let index = self.pieces.partition_point(|piece| piece.segment.start <= time);
        let next_start = self.pieces.get(index).map(|piece| piece.segment.start);
        let Some(Piece { segment, until, .. }) = index.checked_sub(1).map(|index| self.pieces[index]) else {
            return next_start;
        };
        if time >= until {
            return next_start;
        }
        let now = level(segment, time) / 1000;
        let (length, slope) = (segment.end - segment.start, segment.from.abs_diff(segment.to));
        let crossing = if segment.to > segment.from {
            // The first time at which the line has reached one more.
            let rise = (now + 1) * 1000 - segment.from;
            (u128::from(rise) * u128::from(length)).div_ceil(u128::from(slope)) as u64
        } else if segment.to < segment.from && now > 0 {
            // The first time at which the line is below the present number.
            let fall = segment.from - now * 1000;
            (u128::from(fall) * u128::from(length) / u128::from(slope)) as u64 + 1
        } else {
            length
        };
        Some((segment.start + crossing).min(until))
    }
}

/// The height of a segment's line at `time`, in thousandths, rounded down.
fn level(segment: Segment, time: u64) -> u64 {
    let (elapsed, length) = (u128::from(time - segment.start), u128::from(segment.end - segment.start));
    let change = u128::from(segment.from.abs_diff(segment.to)) * elapsed;
    if segment.to >= segment.from {
        segment.from + (change / length) as u64
    } else {
        segment.from - change.div_ceil(length) as u64
    }
}

/// The starts of one worker: those k that have one of its `offsets` modulo `period`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stripe {
    offsets: Vec<u64>,
    period: u64,
}

impl Stripe {
    /// The stripes of workers with these weights: a partition of all k, spread as evenly as whole numbers allow.
    ///
    /// ```
    /// use mite_core::schedule::Stripe;
    ///
    /// let stripes = Stripe::by_weights(&[2, 1]);
    /// let first: Vec<u64> = (0..4).map(|index| stripes[0].start(index)).collect();
    /// let second: Vec<u64> = (0..2).map(|index| stripes[1].start(index)).collect();
    /// assert_eq!((first, second), (vec![0, 2, 3, 5], vec![1, 4]));
    /// ```
    ///
    /// # Panics
    /// When a weight is zero: such a worker has no part in the plan.
    pub fn by_weights(weights: &[u32]) -> Vec<Self> {
        assert!(weights.iter().all(|weight| *weight > 0), "a worker's weight is at least 1");
        let divisor = weights.iter().fold(0, |a, b| gcd(a, *b)).max(1);
        let period = weights.iter().map(|weight| u64::from(weight / divisor)).sum();
        let mut stripes = vec![Self { offsets: Vec::new(), period }; weights.len()];
        // Smooth weighted round robin: each in turn earns its weight, and the richest pays for the start.
        let mut credit = vec![0i64; weights.len()];
        for k in 0..period {
            for (credit, weight) in credit.iter_mut().zip(weights) {
                *credit += i64::from(weight / divisor);
            }
            let mut richest = 0;
            for index in 1..credit.len() {
                if credit[index] > credit[richest] {
                    richest = index;
                }
            }
            credit[richest] -= period.cast_signed();
            stripes[richest].offsets.push(k);
        }
        stripes
    }

    /// The start that is this worker's own number `index`, both counted from 0.
    pub fn start(&self, index: u64) -> u64 {
        let turn = self.offsets.len() as u64;
        (index / turn) * self.period + self.offsets[(index % turn) as usize]
    }

    /// How many of the starts below `k` are this worker's.
    pub fn before(&self, k: u64) -> u64 {
        let (turns, rest) = (k / self.period, k % self.period);
        turns * self.offsets.len() as u64 + self.offsets.partition_point(|offset| *offset < rest) as u64
    }

    /// This worker's part of a number running at once; the parts of all stripes sum to it.
    pub fn share(&self, running: u64) -> u64 {
        self.before(running)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Where one worker stands in its part of a schedule.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    stripe: Stripe,
    index: u64,
    piece: usize,
    /// The next start and when it is due; worked out once, since a ramp's takes a while.
    next: Option<(u64, u64)>,
}

impl Cursor {
    pub(crate) fn new(stripe: Stripe) -> Self {
        Self { stripe, index: 0, piece: 0, next: None }
    }

    /// The next start and when it is due: `None` when the schedule, so far as it is known, has no more.
    pub(crate) fn next(&mut self, schedule: &Schedule) -> Option<(u64, u64)> {
        if self.next.is_none() {
            let k = self.stripe.start(self.index);
            self.next = schedule.due_from(k, &mut self.piece).map(|due| (k, due));
        }
        self.next
    }

    /// Goes on to the start after.
    pub(crate) fn advance(&mut self) {
        self.index += 1;
        self.next = None;
    }

    /// Passes over all starts that are due before `time`, and says how many there were.
    pub(crate) fn skip_before(&mut self, schedule: &Schedule, time: u64) -> u64 {
        let handled = self.stripe.before(schedule.before(time));
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

    pub(crate) fn stripe(&self) -> &Stripe {
        &self.stripe
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::volume::{SECOND, constant, nothing, ramp};

    const S: u64 = 1_000_000_000;

    fn schedule(model: &crate::volume::Stages) -> Schedule {
        Schedule::new(model.resolve().unwrap().1)
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
        let whole = schedule(&(ramp(10 * SECOND).from(1).to(9) + constant(9, 5 * SECOND)));
        for end in [1, S, 3 * S + 7, 10 * S, 12 * S] {
            let mut cut = whole.clone();
            cut.cut(end);
            assert_eq!(cut.end(), end);
            assert_eq!(cut.planned(), whole.before(end), "cut at {end}");
        }
    }

    #[test]
    fn a_cut_changes_no_due_time() {
        let whole = schedule(&ramp(7 * SECOND).from(0).to(1234.567));
        let mut cut = whole.clone();
        cut.cut(3 * S + 1);
        assert_eq!(cut.due(cut.planned() - 1), whole.due(cut.planned() - 1));
        assert_eq!(whole.due(cut.planned()).map(|due| due > 3 * S), Some(true));
    }

    #[test]
    fn seconds_of_the_same_rate_are_one_piece() {
        let mut schedule = Schedule::default();
        for second in 0..1000 {
            schedule.push(Segment { start: second * S, end: (second + 1) * S, from: 333, to: 333 });
        }
        assert_eq!(schedule.pieces.len(), 1);
        assert_eq!(schedule.planned(), 333);
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

    /// T_k by the definition: bisection over A(t) ≥ k with whole numbers only.
    fn slow_due(schedule: &Schedule, k: u64) -> Option<u64> {
        for piece in &schedule.pieces {
            if !piece.starts().contains(&k) {
                continue;
            }
            let (mut low, mut high) = (0, piece.length());
            while low < high {
                let middle = low + (high - low) / 2;
                if piece.base + piece.area(middle) >= u128::from(k) * PARTS { high = middle } else { low = middle + 1 }
            }
            return Some(piece.segment.start + low).filter(|due| *due < schedule.end());
        }
        None
    }

    /// A(t) × length × parts as a sum of exact rectangles and triangles, in rational arithmetic on wide numbers.
    fn exact_area_reached(piece: &Piece, elapsed: u64, parts: u128) -> bool {
        let Segment { start, end, from, to } = piece.segment;
        let (length, elapsed) = (i128::from(end - start), i128::from(elapsed));
        let slope = i128::from(to) - i128::from(from);
        2 * i128::from(from) * elapsed * length + slope * elapsed * elapsed >= parts.cast_signed() * length
    }

    fn stages() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
        prop::collection::vec((0u64..5_000_000, 0u64..5_000_000, 1u64..20_000_000_000), 1..6)
    }

    fn build(stages: &[(u64, u64, u64)]) -> Schedule {
        let mut at = 0;
        Schedule::new(stages.iter().map(|(from, to, length)| {
            let segment = Segment { start: at, end: at + length, from: *from, to: *to };
            at += length;
            segment
        }))
    }

    proptest! {
        #[test]
        fn areas_compare_as_exact_rationals(stages in stages(), at in 0.0f64..=1.0, off in -2i64..=2) {
            for piece in build(&stages).pieces {
                let elapsed = (piece.length() as f64 * at) as u64;
                let parts = (piece.area(elapsed).cast_signed() + i128::from(off)).max(0) as u128;
                prop_assert_eq!(piece.area(elapsed) >= parts, exact_area_reached(&piece, elapsed, parts));
            }
        }

        #[test]
        fn due_times_are_those_of_the_definition(stages in stages(), at in 0.0f64..=1.0) {
            let schedule = build(&stages);
            let planned = schedule.planned();
            let k = (planned as f64 * at) as u64;
            prop_assert_eq!(schedule.due(k), slow_due(&schedule, k));
            if let Some(due) = schedule.due(k) {
                prop_assert!(schedule.before(due) <= k);
                prop_assert!(schedule.before(due + 1) > k);
            }
            prop_assert_eq!(schedule.due(planned), None);
        }

        #[test]
        fn the_plan_is_the_integral_to_the_last_unit(stages in stages()) {
            let schedule = build(&stages);
            // The area under the last nanosecond may hold a start that would be due at the very end.
            let last = schedule.pieces.last().unwrap();
            let whole = last.end_base().div_ceil(PARTS) as u64;
            let certain = (last.base + last.area(last.length() - 1)) / PARTS;
            prop_assert!(schedule.planned() <= whole && u128::from(schedule.planned()) >= certain);
            if last.segment.from == 0 && last.segment.to == 0 {
                prop_assert_eq!(schedule.planned(), whole);
            }
        }

        #[test]
        fn stripes_are_a_partition(weights in prop::collection::vec(1u32..9, 1..65), up_to in 0u64..500) {
            let stripes = Stripe::by_weights(&weights);
            let mut all: Vec<u64> = Vec::new();
            for stripe in &stripes {
                let own = stripe.before(up_to);
                all.extend((0..own).map(|index| stripe.start(index)));
                prop_assert!(stripe.start(own) >= up_to);
            }
            all.sort_unstable();
            prop_assert_eq!(all, (0..up_to).collect::<Vec<_>>());
        }

        #[test]
        fn cursors_walk_the_whole_plan(stages in stages(), workers in 1u32..9) {
            let mut schedule = build(&stages);
            schedule.cut(S / 50);
            let mut seen = Vec::new();
            for stripe in Stripe::by_weights(&vec![1; workers as usize]) {
                let mut cursor = Cursor::new(stripe);
                while let Some((k, due)) = cursor.next(&schedule) {
                    prop_assert_eq!(schedule.due(k), Some(due));
                    seen.push(k);
                    cursor.advance();
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..schedule.planned()).collect::<Vec<_>>());
        }
    }
}
