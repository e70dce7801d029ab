//! The slots of one row of the closed model on one worker: which are alive, how many are wanted, and which have been too many
//! for longer than they may.
//!
//! Nothing here spawns or cancels: the [worker](super::worker) does what this says.

use std::collections::VecDeque;
use std::time::Duration;

use crate::volume::nanos;

/// Slots by number, from 0: those with numbers below what is wanted should be alive.
#[derive(Debug)]
pub(crate) struct Slots {
    all: Vec<Slot>,
    wanted: u32,
    /// All slots with lower numbers are alive or spent, so that a look need not begin at the first.
    filled: u32,
    /// How long a slot may go on after it is one too many, in nanoseconds; `None` as long as its journey takes.
    ramp_down: Option<u64>,
    /// Slots that are too many, and until when they may go on; the times rise.
    too_many: VecDeque<(u64, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Empty,
    /// Its task, and until when it may go on where it is one too many.
    Alive {
        task: u32,
        until: u64,
    },
    /// Its task has been cancelled.
    Cut,
    /// It has run its journey as often as it should.
    Spent,
}

const NO_LIMIT: u64 = u64::MAX;

impl Slots {
    pub(crate) fn new(ramp_down: Option<Duration>) -> Self {
        let ramp_down = ramp_down.map(|ramp_down| nanos(ramp_down).unwrap_or(NO_LIMIT));
        Self { all: Vec::new(), wanted: 0, filled: 0, ramp_down, too_many: VecDeque::new() }
    }

    /// Whether the slot with this number should run its journey once more.
    pub(crate) fn wants(&self, number: u32) -> bool {
        number < self.wanted
    }

    /// So many are wanted from `now` on; says whether that is fewer than before.
    pub(crate) fn want(&mut self, wanted: u32, now: u64) -> bool {
        let before = std::mem::replace(&mut self.wanted, wanted);
        if wanted >= before {
            return false;
        }
        self.filled = self.filled.min(wanted);
        if let Some(ramp_down) = self.ramp_down {
            let end = now.saturating_add(ramp_down);
            for (number, slot) in self.all.iter_mut().enumerate().take(before as usize).skip(wanted as usize) {
                if let Slot::Alive { until, .. } = slot {
                    *until = end;
                    self.too_many.push_back((end, number as u32));
                }
            }
        }
        true
    }

    /// None is wanted any more: those that are alive may finish within the graceful stop of the run.
    pub(crate) fn stop(&mut self) {
        self.wanted = 0;
        self.filled = 0;
        self.too_many.clear();
    }

    /// The next slot to start, which must be told by [`Slots::started`].
    pub(crate) fn next(&mut self) -> Option<u32> {
        while self.filled < self.wanted {
            let number = self.filled;
            match self.all.get_mut(number as usize) {
                None | Some(Slot::Empty) => return Some(number),
                // One that was too many is wanted again.
                Some(Slot::Alive { until, .. }) => *until = NO_LIMIT,
                // It will be replaced when it has ended.
                Some(Slot::Cut | Slot::Spent) => {}
            }
            self.filled += 1;
        }
        None
    }

    pub(crate) fn started(&mut self, number: u32, task: u32) {
        let index = number as usize;
        if self.all.len() <= index {
            self.all.resize(index + 1, Slot::Empty);
        }
        self.all[index] = Slot::Alive { task, until: NO_LIMIT };
        self.filled = number + 1;
    }

    /// A slot's task has ended; says whether another should be started in its place.
    pub(crate) fn ended(&mut self, number: u32) -> bool {
        if self.all[number as usize] == Slot::Spent {
            return false;
        }
        self.all[number as usize] = Slot::Empty;
        self.filled = self.filled.min(number);
        number < self.wanted
    }

    /// A slot has run its journey as often as it should, and is not followed by another.
    pub(crate) fn spent(&mut self, number: u32) {
        self.all[number as usize] = Slot::Spent;
    }

    /// The task of the next slot that has been too many for too long, to be cancelled.
    pub(crate) fn next_to_cut(&mut self, now: u64) -> Option<u32> {
        while let Some((end, number)) = self.too_many.front().copied().filter(|(end, _)| *end <= now) {
            self.too_many.pop_front();
            // It may have ended since, or been wanted again.
            if let Slot::Alive { task, until } = self.all[number as usize]
                && until == end
            {
                self.all[number as usize] = Slot::Cut;
                return Some(task);
            }
        }
        None
    }

    /// Until when the first of those that are too many may go on.
    pub(crate) fn next_end(&self) -> Option<u64> {
        self.too_many.front().map(|(end, _)| *end)
    }

    /// Whether the slot was cancelled because it was one too many.
    pub(crate) fn is_cut(&self, number: u32) -> bool {
        self.all[number as usize] == Slot::Cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u32; 0] = [];

    /// Starts what is wanted; the tasks are the slots' numbers.
    fn fill(slots: &mut Slots) -> Vec<u32> {
        let mut started = Vec::new();
        while let Some(number) = slots.next() {
            slots.started(number, number);
            started.push(number);
        }
        started
    }

    #[test]
    fn what_is_wanted_is_started_once() {
        let mut slots = Slots::new(None);
        slots.want(3, 0);
        assert_eq!(fill(&mut slots), [0, 1, 2]);
        assert_eq!(fill(&mut slots), NONE);
        // One that is still alive when it is wanted again goes on.
        assert!(slots.want(1, 5));
        assert!(!slots.ended(2));
        assert!(!slots.want(4, 6));
        assert_eq!(fill(&mut slots), [2, 3]);
        assert!(slots.ended(0), "it is still wanted");
        assert_eq!(fill(&mut slots), [0]);
        slots.stop();
        assert!(!slots.ended(1));
        assert_eq!(fill(&mut slots), NONE);
    }

    #[test]
    fn what_is_too_many_for_too_long_is_cut() {
        let mut slots = Slots::new(Some(Duration::from_nanos(10)));
        slots.want(4, 0);
        fill(&mut slots);
        slots.want(2, 100);
        assert_eq!(slots.next_end(), Some(110));
        assert_eq!(slots.next_to_cut(109), None);
        // Number 2 is wanted again, and too many again later.
        slots.want(3, 105);
        assert_eq!(fill(&mut slots), NONE);
        assert_eq!(slots.next_to_cut(110), Some(3));
        assert_eq!(slots.next_to_cut(110), None);
        slots.want(2, 120);
        assert_eq!(slots.next_to_cut(129), None);
        assert_eq!(slots.next_to_cut(130), Some(2));
        assert!(slots.is_cut(2));
        // One that was cut and is wanted again before it has ended is replaced then.
        slots.want(3, 131);
        assert_eq!(fill(&mut slots), NONE);
        assert!(slots.ended(2));
        assert_eq!(fill(&mut slots), [2]);
        assert!(!slots.is_cut(2));
    }

    #[test]
    fn what_is_spent_is_not_followed() {
        let mut slots = Slots::new(None);
        slots.want(2, 0);
        fill(&mut slots);
        slots.spent(1);
        assert!(!slots.ended(1));
        slots.want(0, 1);
        slots.want(2, 2);
        assert_eq!(fill(&mut slots), NONE);
    }
}
