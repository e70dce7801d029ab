//! The items of a pool that this process may hand out, where a cluster shares the pool out: by number, in ranges that the controller
//! has granted.
//!
//! It is apart from the pools, which know their items and not whose they are.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What may be handed out of one pool.
#[derive(Debug)]
pub(crate) struct Leases {
    /// Whether each item is handed out once.
    ends: bool,
    state: Mutex<State>,
    /// Something has come, or come back.
    available: Notify,
    /// There is little left, of this pool or of another one of the process.
    low: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    free: VecDeque<Range<u64>>,
    count: u64,
    /// Below this it is low.
    least: u64,
    /// Handed out so far.
    used: u64,
    /// There will be no more.
    exhausted: bool,
    /// What the pool itself was found to end at.
    end: Option<u64>,
    /// Nothing is handed out, since others may have the same items by now.
    suspended: bool,
    /// Grows when all is taken away: what is still out then does not come back here.
    generation: u64,
}

/// A number that was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leased {
    pub(crate) number: u64,
    generation: u64,
}

/// How a pool's leases stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What was not handed out.
    pub(crate) free: Vec<Range<u64>>,
    pub(crate) count: u64,
    pub(crate) used: u64,
    pub(crate) end: Option<u64>,
    pub(crate) generation: u64,
}

impl Leases {
    /// Of a pool whose items come once, or come back.
    pub(crate) fn new(ends: bool, low: Arc<Notify>) -> Self {
        Self { ends, state: Mutex::default(), available: Notify::new(), low }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No user code is called while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ends(&self) -> bool {
        self.ends
    }

    /// The next number, if there is one.
    pub(crate) fn take(&self) -> Option<Leased> {
        let mut state = self.state();
        if state.suspended {
            return None;
        }
        let range = state.free.front_mut()?;
        let number = range.start;
        range.start += 1;
        if range.is_empty() {
            state.free.pop_front();
        }
        state.count -= 1;
        state.used += 1;
        if state.count < state.least {
            self.low.notify_one();
        }
        if state.count > 0 {
            // Several may have come for one wake-up.
            self.available.notify_one();
        }
        Some(Leased { number, generation: state.generation })
    }

    /// Takes a number back that comes back.
    pub(crate) fn give_back(&self, leased: Leased) {
        let mut state = self.state();
        if self.ends || leased.generation != state.generation {
            return;
        }
        state.push(leased.number..leased.number + 1);
        drop(state);
        self.available.notify_one();
    }

    /// Whether there is nothing, and never will be.
    pub(crate) fn is_exhausted(&self) -> bool {
        let state = self.state();
        state.exhausted && state.count == 0
    }

    /// The pool has no item of this number: it ends there.
    pub(crate) fn found_end(&self, number: u64) {
        let mut state = self.state();
        state.end = Some(state.end.map_or(number, |end| end.min(number)));
        state.exhausted = true;
        state.free.clear();
        state.count = 0;
        drop(state);
        self.low.notify_one();
    }

    /// Waits until it may be worth asking again.
    pub(crate) async fn available(&self) {
        self.available.notified().await;
    }

    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        let State { count, used, end, generation, .. } = *state;
        Standing { free: state.free.iter().cloned().collect(), count, used, end, generation }
    }

    /// Takes over what was granted, and by how much it should never fall below without asking for more.
    pub(crate) fn grant(&self, ranges: &[Range<u64>], exhausted: bool, least: u64) {
        let mut state = self.state();
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            state.push(range.clone());
        }
        state.exhausted |= exhausted;
        state.suspended = false;
        state.least = least;
        drop(state);
        self.available.notify_one();
    }

    /// Hands out nothing until something is granted again.
    pub(crate) fn suspend(&self) {
        self.state().suspended = true;
    }

    /// Forgets all that was granted: it has gone to others.
    pub(crate) fn revoke(&self, generation: u64) {
        let mut state = self.state();
        state.free.clear();
        (state.count, state.generation) = (0, generation);
    }

    /// Gives up so many of those that are free, at the most.
    pub(crate) fn part_with(&self, most: u64) -> Vec<Range<u64>> {
        let mut state = self.state();
        let mut parted = Vec::new();
        let mut left = most.min(state.count);
        while left > 0
            && let Some(mut range) = state.free.pop_back()
        {
            let take = (range.end - range.start).min(left);
            left -= take;
            state.count -= take;
            parted.push(range.end - take..range.end);
            range.end -= take;
            if !range.is_empty() {
                state.free.push_back(range);
            }
        }
        parted
    }
}

impl State {
    fn push(&mut self, range: Range<u64>) {
        self.count += range.end - range.start;
        match self.free.back_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.free.push_back(range),
        }
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range is granted where others may be several")]
mod tests {
    use super::*;

    fn take(leases: &Leases) -> Option<u64> {
        leases.take().map(|leased| leased.number)
    }

    #[test]
    fn items_that_come_once_are_handed_out_in_order_and_what_is_used_is_known() {
        let leases = Leases::new(true, Arc::default());
        assert_eq!((take(&leases), leases.is_exhausted()), (None, false));
        leases.grant(&[10..12, 20..21], false, 0);
        assert_eq!([(); 4].map(|()| take(&leases)), [Some(10), Some(11), Some(20), None]);
        assert_eq!((leases.standing().free, leases.standing().used), (vec![], 3));
        leases.grant(&[30..33], true, 0);
        assert_eq!((take(&leases), leases.standing().free), (Some(30), vec![31..33]));
        leases.found_end(31);
        assert_eq!((take(&leases), leases.is_exhausted(), leases.standing().end), (None, true, Some(31)));
    }

    #[test]
    fn items_that_come_back_do_so_unless_others_have_them() {
        let leases = Leases::new(false, Arc::default());
        leases.grant(&[0..3], false, 0);
        let [first, second] = [(); 2].map(|()| leases.take().unwrap());
        leases.give_back(first);
        assert_eq!(leases.standing().count, 2);
        assert_eq!(leases.part_with(1), [0..1]);
        leases.suspend();
        assert_eq!(take(&leases), None);
        leases.revoke(1);
        leases.grant(&[7..8], false, 0);
        leases.give_back(second);
        assert_eq!([(); 2].map(|()| take(&leases)), [Some(7), None]);
    }
}
