//! How fast a number running may rise: a system that has to take all its users at one instant shows how it starts up, not how
//! it bears a load.
//!
//! The limit is put on the straight segments of a plan before anything else is made of them, so that a schedule, a mix and a
//! preview know of no limit.

use super::{Segment, Shape, Source, VolumeError};

/// The level reached is counted in this many parts of a thousandth of a journey, so that a rate in thousandths per second
/// adds whole parts in each nanosecond.
const PARTS: u128 = 1_000_000_000;

/// A limit on the rise of a number running, and the level reached under it: 0 to begin with.
///
/// Segments are given to it one after another. Where the plan rises faster than the limit, or is still above the level
/// reached, the level rises along a straight line of the limit's slope until it meets the plan; a fall is followed at once.
/// All is worked out in whole numbers and rounded down: the result is never above the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpawnRate {
    /// Thousandths of a journey per second.
    rate: u64,
    /// The level reached, in parts.
    level: u128,
}

impl SpawnRate {
    pub(crate) fn new(journeys_per_second: f64) -> Result<Self, VolumeError> {
        if !(0.001..=1e9).contains(&journeys_per_second) {
            return Err(VolumeError::new(format_args!(
                "`.spawn_rate({journeys_per_second})`: it takes from 0.001 to 1000000000 journeys per second"
            )));
        }
        Ok(Self { rate: (journeys_per_second * 1000.0).round() as u64, level: 0 })
    }

    /// What is left of the next segment: the part in which the limit holds, and the part in which the plan does.
    pub(crate) fn limit(&mut self, plan: Segment) -> impl Iterator<Item = Segment> + use<> {
        let (from, to) = (u128::from(plan.from) * PARTS, u128::from(plan.to) * PARTS);
        let length = u128::from(plan.end - plan.start);
        self.level = self.level.min(from);
        let behind = from - self.level;
        // What the limit gains on the plan from the start of the segment to its end: nothing where the plan is as steep.
        let risen = u128::from(self.rate) * length;
        let gained = (risen + from).checked_sub(to);
        let start = (self.level / PARTS) as u64;
        let (limited, free) = match gained {
            Some(gained) if behind <= gained => {
                self.level = to;
                let meets = plan.start + share(length, behind, gained);
                let at = plan.at(meets);
                (Segment { end: meets, from: start, to: at, ..plan }, Segment { start: meets, from: at, ..plan })
            }
            _ => {
                self.level += risen;
                (Segment { from: start, to: (self.level / PARTS) as u64, ..plan }, Segment { start: plan.end, ..plan })
            }
        };
        [limited, free].into_iter().filter(|segment| segment.start < segment.end)
    }
}

/// `length` × `part` ÷ `whole`, rounded up, where `part` is not more than `whole`.
fn share(length: u128, part: u128, whole: u128) -> u64 {
    if part == 0 {
        return 0;
    }
    // Tens of millions of journeys over years are more than 128 bits hold: the last bits go, and the result is later by them.
    let shift = (length.ilog2() + part.ilog2() + 2).saturating_sub(u128::BITS);
    let (part, whole) = ((part >> shift) + u128::from(shift > 0), whole >> shift);
    (length * part).div_ceil(whole).min(length) as u64
}

impl Shape {
    /// The same shape, rising no faster than the limit allows.
    pub(crate) fn spawned_at(mut self, mut limit: SpawnRate) -> Self {
        if let Source::Segments(segments) = &mut self.source {
            *segments = segments.iter().flat_map(|segment| limit.limit(*segment)).collect();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: u64 = 1_000_000_000;

    fn segments(lines: &[(u64, u64, u64)]) -> Vec<Segment> {
        let mut start = 0;
        let segment = |(from, to, length): &(u64, u64, u64)| {
            let segment = Segment { start, end: start + length, from: *from, to: *to };
            start = segment.end;
            segment
        };
        lines.iter().map(segment).collect()
    }

    fn limited(rate: f64, plan: &[Segment]) -> Vec<Segment> {
        let mut limit = SpawnRate::new(rate).unwrap();
        plan.iter().flat_map(|segment| limit.limit(*segment)).collect()
    }

    #[test]
    fn tables_of_limited_plans() {
        let cases = [
            // All at once becomes a rise.
            (5.0, vec![(10_000, 10_000, 4 * S)], vec![(0, 10_000, 2 * S), (10_000, 10_000, 2 * S)]),
            // One that ends before it gets there.
            (1.0, vec![(10_000, 10_000, 4 * S)], vec![(0, 4_000, 4 * S)]),
            // As slow as the limit, and slower: nothing changes.
            (5.0, vec![(0, 10_000, 2 * S)], vec![(0, 10_000, 2 * S)]),
            (5.0, vec![(0, 4_000, 2 * S)], vec![(0, 4_000, 2 * S)]),
            // Twice as steep: the limit is met where the plan has stood still for as long.
            (
                5.0,
                vec![(0, 10_000, S), (10_000, 10_000, 2 * S)],
                vec![(0, 5_000, S), (5_000, 10_000, S), (10_000, 10_000, S)],
            ),
            // The plan comes down to meet it.
            (1.0, vec![(8_000, 0, 8 * S)], vec![(0, 4_000, 4 * S), (4_000, 0, 4 * S)]),
            // A fall is at once, and the next rise begins there.
            (
                10.0,
                vec![(10_000, 10_000, 2 * S), (2_000, 2_000, S), (7_000, 7_000, S)],
                vec![
                    (0, 10_000, S),
                    (10_000, 10_000, S),
                    (2_000, 2_000, S),
                    (2_000, 7_000, S / 2),
                    (7_000, 7_000, S / 2),
                ],
            ),
            // A thousandth of a journey in each second.
            (0.001, vec![(1_000, 1_000, 999 * S)], vec![(0, 999, 999 * S)]),
        ];
        for (rate, plan, becomes) in cases {
            assert_eq!(limited(rate, &segments(&plan)), segments(&becomes), "{plan:?} at {rate}/s");
        }
    }

    #[test]
    fn the_largest_plan_does_not_overflow() {
        let years = 100 * 365 * 86_400 * S;
        let plan = segments(&[(1_000_000_000_000, 1_000_000_000_000, years)]);
        let rose = limited(0.5, &plan);
        assert_eq!(rose[0].to, 1_000_000_000_000);
        // A thousand million at one in two seconds: 2 × 10⁹ s, and what was lost with the last bits.
        assert_eq!(rose[0].end, 2_000_000_000 * S + 1);
        assert_eq!(rose.last().unwrap().end, years);
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-4, 2e9] {
            let message = SpawnRate::new(rate).unwrap_err().to_string();
            assert_eq!(
                message,
                format!("`.spawn_rate({rate})`: it takes from 0.001 to 1000000000 journeys per second")
            );
        }
    }

    fn level(segments: &[Segment], time: u64) -> u64 {
        segments.iter().rfind(|segment| segment.start <= time).unwrap().at(time)
    }

    proptest! {
        #[test]
        fn a_limit_is_kept_and_no_more_than_kept(
            lines in prop::collection::vec((0u64..50_000, 0u64..50_000, 1u64..20 * S), 1..8),
            rate in 1u64..20_000,
            times in prop::collection::vec(0.0f64..1.0, 2..20),
        ) {
            let plan = segments(&lines);
            let end = plan.last().unwrap().end;
            let kept = limited(rate as f64 / 1000.0, &plan);
            // Without gaps, from the start to the same end.
            prop_assert_eq!((kept[0].start, kept.last().unwrap().end), (0, end));
            prop_assert!(kept.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].start < pair[0].end));
            let mut times: Vec<u64> = times.iter().map(|time| (end as f64 * time) as u64).collect();
            times.extend(kept.iter().map(|segment| segment.start));
            times.extend(plan.iter().map(|segment| segment.start));
            times.sort_unstable();
            for time in &times {
                prop_assert!(level(&kept, *time) <= level(&plan, *time), "above the plan at {}", time);
            }
            for (index, early) in times.iter().enumerate() {
                for late in &times[index..] {
                    let rise = level(&kept, *late).saturating_sub(level(&kept, *early));
                    // Both levels are rounded down to a thousandth.
                    let most = (u128::from(rate) * u128::from(late - early)).div_ceil(PARTS) + 1;
                    prop_assert!(u128::from(rise) <= most, "{} more from {} to {}", rise, early, late);
                }
            }
            // It is as high as can be: below the plan only where it has risen from its last touch as fast as it may.
            let mut reached = 0u128;
            let mut steps: Vec<(u64, u64)> = times.iter().map(|time| (*time, level(&plan, *time))).collect();
            for segment in &plan {
                // The plan at the last nanosecond of each segment bounds what follows.
                steps.push((segment.end - 1, segment.at(segment.end - 1)));
            }
            steps.sort_unstable();
            let mut last = 0;
            for (time, planned) in steps {
                let rose = reached + u128::from(rate) * u128::from(time - last);
                reached = rose.min(u128::from(planned) * PARTS);
                last = time;
                let is = u128::from(level(&kept, time));
                // Here the plan is known at some points only, and may have been lower between them where it is a valley: then
                // a point of the valley is the start of a segment, which is one of them.
                prop_assert!(is * PARTS <= reached + 2 * PARTS, "{} at {} where {} is reached", is, time, reached);
                prop_assert!(is * PARTS + 3 * PARTS >= reached, "{} at {} where {} is reached", is, time, reached);
            }
        }

        #[test]
        fn second_by_second_is_the_same(lines in prop::collection::vec((0u64..50_000, 1u64..9), 1..8), rate in 1u64..20_000) {
            let whole: Vec<_> = lines.iter().map(|(volume, seconds)| (*volume, *volume, seconds * S)).collect();
            let by_second: Vec<_> =
                lines.iter().flat_map(|(volume, seconds)| vec![(*volume, *volume, S); *seconds as usize]).collect();
            let rate = rate as f64 / 1000.0;
            let (whole, by_second) = (limited(rate, &segments(&whole)), limited(rate, &segments(&by_second)));
            let end = whole.last().unwrap().end;
            for time in (0..end).step_by(S as usize / 4) {
                let (whole, by_second) = (level(&whole, time), level(&by_second, time));
                // The nanosecond at which they meet the plan is rounded up, and a longer line is the lower for it.
                prop_assert!(whole.abs_diff(by_second) <= 1, "{} and {} at {}", whole, by_second, time);
            }
        }
    }
}
