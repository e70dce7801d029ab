//! The integral of a rate made of straight pieces, exact in whole numbers, and its inverse.
//!
//! It is apart from the schedule, since its arithmetic is tested by itself, against slow arithmetic.

use std::ops::Range;

use crate::volume::Segment;

/// A(t) is counted in this many parts of a start: a rate of one thousandth per second over one nanosecond is 10⁻¹² of a
/// start, and the area of a triangle needs the half of that.
pub(crate) const PARTS: u128 = 2_000_000_000_000;

/// One segment and what was planned before it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    segment: Segment,
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
        self.segment.end - self.segment.start
    }

    fn end_base(&self) -> u128 {
        self.base + self.area(self.length())
    }

    /// The starts that this piece plans: those k with A(start) ≤ k < A(end).
    fn starts(&self) -> Range<u64> {
        self.base.div_ceil(PARTS) as u64..self.end_base().div_ceil(PARTS) as u64
    }

    /// The least nanosecond at which A has reached `parts`, which it does within this piece.
    fn reach(&self, parts: u128) -> u64 {
        let wanted = parts - self.base;
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

/// Pieces of a rate, or of a number running, one after another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    pieces: Vec<Piece>,
}

impl Line {
    pub(crate) fn new(segments: impl IntoIterator<Item = Segment>) -> Self {
        let mut line = Self::default();
        for segment in segments {
            line.push(segment);
        }
        line
    }

    /// Goes on with `segment`, which begins where the line ends or later.
    ///
    /// A closure's seconds of the same rate become one piece, so that an endless row needs no endless memory.
    pub(crate) fn push(&mut self, segment: Segment) {
        if let Some(last) = self.pieces.last_mut()
            && last.segment.end == segment.start
            && last.segment.from == last.segment.to
            && segment.from == segment.to
            && segment.from == last.segment.to
        {
            last.segment.end = segment.end;
            return;
        }
        let base = self.pieces.last().map_or(0, Piece::end_base);
        self.pieces.push(Piece { segment, base });
    }

    /// The end, in nanoseconds since the start of the run.
    pub(crate) fn end(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.segment.end)
    }

    /// A(time) in parts, rounded down.
    pub(crate) fn area(&self, time: u64) -> u128 {
        let index = self.pieces.partition_point(|piece| piece.segment.start < time);
        let Some(piece) = index.checked_sub(1).map(|index| &self.pieces[index]) else { return 0 };
        piece.base + piece.area((time - piece.segment.start).min(piece.length()))
    }

    /// How many k have T_k before `time`.
    pub(crate) fn before(&self, time: u64) -> u64 {
        let index = self.pieces.partition_point(|piece| piece.segment.start < time);
        let Some(piece) = index.checked_sub(1).map(|index| &self.pieces[index]) else { return 0 };
        let elapsed = (time - 1 - piece.segment.start).min(piece.length());
        let reached = ((piece.base + piece.area(elapsed)) / PARTS) as u64 + 1;
        let starts = piece.starts();
        reached.clamp(starts.start, starts.end)
    }

    /// The least nanosecond at which A has reached `parts`, and the end of the piece in which it does; `None` when that is not
    /// before the end. `hint` is the piece where a smaller number of parts was reached.
    pub(crate) fn reach(&self, parts: u128, hint: &mut usize) -> Option<(u64, u64)> {
        loop {
            let here = self.pieces.get(*hint)?;
            if parts < here.end_base() {
                let time = here.reach(parts.max(here.base));
                return (time < self.end()).then_some((time, here.segment.end));
            }
            if *hint + 1 == self.pieces.len() {
                return None;
            }
            *hint += 1;
        }
    }

    /// The greatest height from one time up to another, in thousandths; of a piece that is much shorter than both that time and
    /// `step` no more than the mean height of the step that it is in. `reached` is whether the height at which a piece ends counts, which
    /// a rate comes as near to as one likes, and a whole number running does not.
    pub(crate) fn highest_between(&self, from: u64, to: u64, step: u64, reached: bool) -> u64 {
        let short = step.min(to - from) / 16;
        let first = self.pieces.partition_point(|piece| piece.segment.end <= from);
        let heights = self.pieces[first..].iter().take_while(|piece| piece.segment.start < to).map(|piece| {
            let (start, end) = (piece.segment.start.max(from), piece.segment.end.min(to));
            let height = piece.segment.at(start).max(piece.segment.at(end - u64::from(!reached)));
            if piece.length() >= short {
                return height;
            }
            let whole = start - start % step;
            // A rate of one thousandth adds two parts in each nanosecond.
            let doubled = (self.area(whole.saturating_add(step)) - self.area(whole)).div_ceil(u128::from(step));
            // The rest of the step may be higher still, and counts where it is.
            height.min(doubled.div_ceil(2) as u64)
        });
        heights.max().unwrap_or(0)
    }

    /// The greatest height in whole units.
    pub(crate) fn highest(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.segment.from.max(piece.segment.to) / 1000).max().unwrap_or(0)
    }

    /// The height at `time` in whole units, rounded down, as for a number running; 0 before the line and after it.
    pub(crate) fn level_at(&self, time: u64) -> u64 {
        let index = self.pieces.partition_point(|piece| piece.segment.start <= time);
        match index.checked_sub(1).map(|index| self.pieces[index]) {
            Some(piece) if time < piece.segment.end => piece.segment.at(time) / 1000,
            _ => 0,
        }
    }

    /// The next time after `time` at which [`Line::level_at`] may have another value.
    pub(crate) fn next_change(&self, time: u64) -> Option<u64> {
        let index = self.pieces.partition_point(|piece| piece.segment.start <= time);
        let next_start = self.pieces.get(index).map(|piece| piece.segment.start);
        let Some(segment) = index.checked_sub(1).map(|index| self.pieces[index].segment) else { return next_start };
        if time >= segment.end {
            return next_start;
        }
        let now = segment.at(time) / 1000;
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
        Some((segment.start + crossing).min(segment.end))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: u64 = 1_000_000_000;

    /// T_k by the definition: bisection over A(t) ≥ k with whole numbers only.
    fn slow_due(line: &Line, k: u64) -> Option<u64> {
        for piece in &line.pieces {
            if !piece.starts().contains(&k) {
                continue;
            }
            let (mut low, mut high) = (0, piece.length());
            while low < high {
                let middle = low + (high - low) / 2;
                if piece.base + piece.area(middle) >= u128::from(k) * PARTS { high = middle } else { low = middle + 1 }
            }
            return Some(piece.segment.start + low).filter(|due| *due < line.end());
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

    fn segments() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
        prop::collection::vec((0u64..5_000_000, 0u64..5_000_000, 1u64..20_000_000_000), 1..6)
    }

    fn build(segments: &[(u64, u64, u64)]) -> Line {
        let mut at = 0;
        Line::new(segments.iter().map(|(from, to, length)| {
            let segment = Segment { start: at, end: at + length, from: *from, to: *to };
            at += length;
            segment
        }))
    }

    fn due(line: &Line, k: u64) -> Option<u64> {
        line.reach(u128::from(k) * PARTS, &mut 0).map(|(time, _)| time)
    }

    #[test]
    fn seconds_of_the_same_rate_are_one_piece() {
        let mut line = Line::default();
        for second in 0..1000 {
            line.push(Segment { start: second * S, end: (second + 1) * S, from: 333, to: 333 });
        }
        assert_eq!(line.pieces.len(), 1);
        assert_eq!(line.before(line.end()), 333);
    }

    proptest! {
        #[test]
        fn areas_compare_as_exact_rationals(segments in segments(), at in 0.0f64..=1.0, off in -2i64..=2) {
            for piece in build(&segments).pieces {
                let elapsed = (piece.length() as f64 * at) as u64;
                let parts = (piece.area(elapsed).cast_signed() + i128::from(off)).max(0) as u128;
                prop_assert_eq!(piece.area(elapsed) >= parts, exact_area_reached(&piece, elapsed, parts));
            }
        }

        #[test]
        fn due_times_are_those_of_the_definition(segments in segments(), at in 0.0f64..=1.0) {
            let line = build(&segments);
            let planned = line.before(line.end());
            let k = (planned as f64 * at) as u64;
            prop_assert_eq!(due(&line, k), slow_due(&line, k));
            if let Some(due) = due(&line, k) {
                prop_assert!(line.before(due) <= k);
                prop_assert!(line.before(due + 1) > k);
            }
            prop_assert_eq!(due(&line, planned), None);
        }

        #[test]
        fn the_plan_is_the_integral_to_the_last_unit(segments in segments()) {
            let line = build(&segments);
            // The area under the last nanosecond may hold a start that would be due at the very end.
            let last = line.pieces.last().unwrap();
            let whole = last.end_base().div_ceil(PARTS) as u64;
            let certain = (last.base + last.area(last.length() - 1)) / PARTS;
            let planned = line.before(line.end());
            prop_assert!(planned <= whole && u128::from(planned) >= certain);
            prop_assert_eq!(line.area(line.end()), last.end_base());
        }
    }
}
