//! The items of a pool that this process may hand out, where a cluster shares the pool out: by number, in ranges that the controller
//! has granted.
//!
//! It is apart from the pools, which know their items and not whose they are.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::runner::permit::{Leave, Permit, boot_nanos};

/// What may be handed out of one pool.
#[derive(Debug)]
pub(crate) struct Leases {
    /// Whether each item is handed out once.
    ends: bool,
    /// Nothing that comes back is handed out without it.
    permit: Arc<Permit>,
    state: Mutex<State>,
    /// Something has come, or come back.
    available: Notify,
    /// There is little left, of this pool or of another one of the process.
    low: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    free: VecDeque<Range<u64>>,
    /// How many are free.
    count: u64,
    /// Those that come once and that journeys have.
    out: BTreeSet<u64>,
    /// Below this it is low.
    least: u64,
    /// Handed out so far.
    used: u64,
    /// There will be no more.
    exhausted: bool,
    /// There will be no more unless others are lost.
    with_others: bool,
    /// What the pool itself was found to end at.
    end: Option<u64>,
    /// The number of the last list of members that is known here.
    list: u64,
    /// From when on nothing is handed out, by the boot clock: others may have the same items.
    suspended: Option<u64>,
    /// How often that was so.
    suspensions: u64,
    /// Grows when all is taken away: what is still out then does not come back here.
    generation: u64,
}

/// A number that was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leased {
    pub(crate) number: u64,
    generation: u64,
    /// How often the permit had expired by then.
    lapses: u64,
}

/// What there is of a pool beyond what this process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    Some,
    /// Nothing, unless others are lost.
    WithOthers,
    /// Nothing.
    None,
}

/// How a pool's leases stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What was not used up: of items that come once, those that are free, and those that journeys have. In rising order.
    pub(crate) unused: Vec<Range<u64>>,
    /// How many are free.
    pub(crate) count: u64,
    pub(crate) used: u64,
    pub(crate) end: Option<u64>,
    pub(crate) generation: u64,
    pub(crate) suspensions: u64,
}

impl Leases {
    /// Of a pool whose items come once, or come back.
    pub(crate) fn new(ends: bool, permit: Arc<Permit>, low: Arc<Notify>) -> Self {
        Self { ends, permit, state: Mutex::default(), available: Notify::new(), low }
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
        // Who has waited for an item may have got it too late, or goes by a list that does not hold any more.
        let is_own = || {
            self.permit.leave(state.list, 0) == Leave::Given && state.suspended.is_none_or(|from| boot_nanos() < from)
        };
        if !self.ends && !is_own() {
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
        if self.ends {
            state.out.insert(number);
        }
        if state.count < state.least {
            self.low.notify_one();
        }
        if state.count > 0 {
            // Several may have come for one wake-up.
            self.available.notify_one();
        }
        Some(Leased { number, generation: state.generation, lapses: self.permit.lapses() })
    }

    /// Whether a journey that has this number cannot go on, since others may have it by now.
    pub(crate) fn is_void(&self, leased: Leased) -> bool {
        !self.ends && self.permit.is_void(leased.lapses)
    }

    /// A journey has let go of a number, which comes back unless it comes once.
    pub(crate) fn give_back(&self, leased: Leased) {
        let mut state = self.state();
        if self.ends {
            state.out.remove(&leased.number);
            return;
        }
        if leased.generation != state.generation {
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

    /// Whether there is nothing, and will be only if others are lost.
    pub(crate) fn rest_is_with_others(&self) -> bool {
        let state = self.state();
        state.with_others && state.count == 0
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
        let State { count, used, end, generation, suspensions, .. } = *state;
        let mut all: Vec<Range<u64>> = state.free.iter().cloned().collect();
        all.extend(state.out.iter().map(|number| *number..number + 1));
        drop(state);
        all.sort_unstable_by_key(|range| range.start);
        let mut unused: Vec<Range<u64>> = Vec::new();
        for range in all {
            match unused.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => unused.push(range),
            }
        }
        Standing { unused, count, used, end, generation, suspensions }
    }

    /// Takes over what was granted, and by how much it should never fall below without asking for more. `suspensions` are those when
    /// it was asked for: by an answer to what was asked later it is known what has gone to others.
    pub(crate) fn grant(&self, ranges: &[Range<u64>], rest: Rest, least: u64, suspensions: u64) {
        let mut state = self.state();
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            state.push(range.clone());
        }
        state.exhausted |= rest == Rest::None;
        state.with_others = rest == Rest::WithOthers;
        if state.suspensions == suspensions {
            state.suspended = None;
        }
        state.least = least;
        drop(state);
        self.available.notify_one();
    }

    /// The list of members with this number is known. Where it takes this process's share away, nothing that comes back is handed
    /// out from `lost_at` of the boot clock on, until it is known what has gone to others.
    pub(crate) fn list(&self, number: u64, lost_at: Option<u64>) {
        let mut state = self.state();
        state.list = number;
        if let Some(from) = lost_at {
            state.suspensions += 1;
            state.suspended = Some(state.suspended.map_or(from, |before| before.min(from)));
        }
    }

    /// Forgets all that was granted: it has gone to others.
    pub(crate) fn revoke(&self, generation: u64) {
        let mut state = self.state();
        state.free.clear();
        state.out.clear();
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

    fn leases(ends: bool) -> Leases {
        Leases::new(ends, Arc::new(Permit::always()), Arc::default())
    }

    #[test]
    fn items_that_come_once_are_handed_out_in_order_and_what_is_used_is_known() {
        let leases = leases(true);
        assert_eq!((take(&leases), leases.is_exhausted()), (None, false));
        leases.grant(&[10..12, 20..21], Rest::Some, 0, 0);
        let [first, second] = [(); 2].map(|()| leases.take().unwrap());
        assert_eq!([first, second].map(|leased| leased.number), [10, 11]);
        // What a journey has is not used yet.
        leases.give_back(first);
        assert_eq!((leases.standing().unused, leases.standing().used), (vec![11..12, 20..21], 2));
        assert_eq!((take(&leases), take(&leases)), (Some(20), None));
        leases.give_back(second);
        assert_eq!((leases.standing().unused, leases.standing().used), (vec![20..21], 3));
        leases.grant(&[30..33], Rest::None, 0, 0);
        assert_eq!((take(&leases), leases.standing().unused), (Some(30), vec![20..21, 30..33]));
        leases.found_end(31);
        assert_eq!((take(&leases), leases.is_exhausted(), leases.standing().end), (None, true, Some(31)));
    }

    #[test]
    fn the_rest_may_be_with_others_for_a_while() {
        let leases = leases(true);
        leases.grant(&[0..1], Rest::WithOthers, 0, 0);
        assert!(!leases.rest_is_with_others(), "there is one");
        assert_eq!(take(&leases), Some(0));
        assert!(leases.rest_is_with_others() && !leases.is_exhausted());
        leases.grant(&[7..8], Rest::None, 0, 0);
        assert_eq!((take(&leases), leases.rest_is_with_others(), leases.is_exhausted()), (Some(7), false, true));
    }

    #[test]
    fn items_that_come_back_do_so_unless_others_have_them() {
        let leases = leases(false);
        leases.grant(&[0..3], Rest::Some, 0, 0);
        let [first, second] = [(); 2].map(|()| leases.take().unwrap());
        leases.give_back(first);
        assert_eq!(leases.standing().count, 2);
        assert_eq!(leases.part_with(1), [0..1]);
        leases.list(2, Some(boot_nanos() + 60_000_000_000));
        assert_eq!(take(&leases), Some(2), "it has its share until then");
        let asked_before = leases.standing().suspensions;
        leases.list(3, Some(boot_nanos()));
        leases.grant(&[3..5], Rest::Some, 0, asked_before);
        assert_eq!(take(&leases), None, "this may have been granted before it was lost");
        leases.revoke(1);
        leases.grant(&[7..8], Rest::Some, 0, leases.standing().suspensions);
        leases.give_back(second);
        assert_eq!([(); 2].map(|()| take(&leases)), [Some(7), None]);
    }

    #[test]
    fn items_that_come_back_are_handed_out_under_a_permit_only() {
        let permit = Arc::new(Permit::none());
        let leases = Leases::new(false, Arc::clone(&permit), Arc::default());
        leases.grant(&[0..3], Rest::Some, 0, 0);
        assert_eq!(take(&leases), None);
        permit.renew(1, boot_nanos() + 60_000_000_000, u64::MAX);
        assert_eq!(take(&leases), None, "there is another list than it knows");
        leases.list(1, None);
        let leased = leases.take().unwrap();
        permit.renew(1, boot_nanos(), u64::MAX);
        assert_eq!((take(&leases), leases.is_void(leased)), (None, false));
        permit.keep_for(0);
        assert!(leases.is_void(leased), "others may have it");
    }
}
