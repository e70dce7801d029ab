//! One clock for all processes of a run: what another process's clock says, worked out of questions and answers.
//!
//! The method is Cristian's ("Probabilistic clock synchronization", 1989): of several answers the one that came soonest is the best,
//! and it is wrong by half of the time that it took at the most.

/// How this process's boot clock relates to the run's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunClock {
    /// What is added to the boot clock, in nanoseconds.
    offset: i64,
    /// By how much it may be wrong, in nanoseconds.
    error: u64,
}

/// A question about the run's clock and its answer, in nanoseconds: when it was asked and answered by the own clock, and what the
/// answer was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    pub(crate) asked: u64,
    pub(crate) told: u64,
    pub(crate) answered: u64,
}

impl RunClock {
    /// That of the process whose own clock it is.
    pub(crate) const OWN: Self = Self { offset: 0, error: 0 };

    /// A clock that is ahead of the own one by so many nanoseconds, give or take some.
    pub(crate) fn ahead_by(offset: i64, error: u64) -> Self {
        Self { offset, error }
    }

    /// The best that can be said after these exchanges; `None` where there is none.
    pub(crate) fn of(exchanges: &[Exchange]) -> Option<Self> {
        let best = exchanges.iter().min_by_key(|exchange| exchange.answered.saturating_sub(exchange.asked))?;
        let took = best.answered.saturating_sub(best.asked);
        let own = best.asked + took / 2;
        Some(Self { offset: best.told.cast_signed().wrapping_sub(own.cast_signed()), error: took.div_ceil(2) })
    }

    /// What the run's clock says when the boot clock says `own`.
    pub(crate) fn at(self, own: u64) -> u64 {
        own.saturating_add_signed(self.offset)
    }

    /// What the boot clock says when the run's clock says `time`.
    pub(crate) fn own(self, time: u64) -> u64 {
        time.saturating_add_signed(self.offset.saturating_neg())
    }

    /// By how much it may be wrong, in nanoseconds.
    pub(crate) fn error(self) -> u64 {
        self.error
    }

    /// Goes towards what was found later, by so many nanoseconds at the most: nobody's starts should jump. It says by how much it
    /// went.
    pub(crate) fn slew(&mut self, found: Self, most: u64) -> i64 {
        // Within what both may be wrong by, nothing is known to have changed.
        let apart = found.offset.saturating_sub(self.offset);
        let known = apart.unsigned_abs().saturating_sub(found.error);
        let step = known.min(most).cast_signed() * apart.signum();
        self.offset += step;
        self.error = found.error + apart.unsigned_abs() - step.unsigned_abs();
        step
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_answer_that_came_soonest_counts() {
        assert_eq!(RunClock::of(&[]), None);
        let exchanges = [
            Exchange { asked: 100, told: 5_000_080, answered: 300 },
            Exchange { asked: 400, told: 5_000_410, answered: 420 },
            Exchange { asked: 500, told: 5_000_900, answered: 1500 },
        ];
        let clock = RunClock::of(&exchanges).unwrap();
        assert_eq!((clock.at(410), clock.own(5_000_410), clock.error()), (5_000_410, 410, 10));
    }

    #[test]
    fn it_goes_towards_what_is_found_later_by_small_steps() {
        let mut clock = RunClock::ahead_by(1000, 10);
        // Within the error nothing is known.
        assert_eq!(clock.slew(RunClock::ahead_by(1015, 20), 100), 0);
        assert_eq!(clock.slew(RunClock::ahead_by(1500, 20), 100), 100);
        assert_eq!((clock.at(0), clock.error()), (1100, 420));
        assert_eq!(clock.slew(RunClock::ahead_by(900, 20), 1000), -180);
    }

    proptest! {
        /// However long question and answer take, the truth is within the error that is told.
        #[test]
        fn the_error_is_told(offset in -1_000_000_000i64..1_000_000_000, ways in prop::collection::vec((0u64..5_000_000, 0u64..5_000_000), 1..16)) {
            let mut own = 2_000_000_000u64;
            let exchanges: Vec<_> = ways.iter().map(|(there, back)| {
                let asked = own;
                own += there + back;
                Exchange { asked, told: (asked + there).saturating_add_signed(offset), answered: own }
            }).collect();
            let clock = RunClock::of(&exchanges).unwrap();
            let truth = own.saturating_add_signed(offset);
            prop_assert!(clock.at(own).abs_diff(truth) <= clock.error());
        }
    }
}
