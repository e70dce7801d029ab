//! Which runner has which items of a data pool: ranges of their numbers, granted by the controller.
//!
//! It is a pure function of what was asked and of who is there. What it grants is written down before it is told, so that whoever
//! takes over knows it.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// How many items are granted at once at the least, where there are so many, and the pool is not a small one.
const LEAST: u64 = 100;
/// How many at the most.
const MOST: u64 = 1_000_000;

/// What a pool is, as all processes see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolKind {
    /// How many items it has, where that is known.
    pub(crate) items: Option<u64>,
    /// Whether each is handed out once.
    pub(crate) ends: bool,
    /// Whether each runner can only be given higher numbers than it had.
    pub(crate) is_in_order: bool,
    /// After how long, in nanoseconds, a lost runner's journeys have let go of their items.
    pub(crate) quarantine: u64,
}

/// What a runner asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) v: u32,
    pub(crate) rid: u32,
    pub(crate) boot: u64,
    /// Grows with each question: one that is asked again gets the same answer.
    pub(crate) seq: u64,
    pub(crate) pools: Vec<AskOfPool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AskOfPool {
    pub(crate) pool: u32,
    /// How many more it would like.
    pub(crate) want: u64,
    /// Of items that come once: what it has and has not used up, so what was not handed out, and what journeys have now.
    pub(crate) unused: Vec<(u64, u64)>,
    /// What the pool was found to end at.
    pub(crate) end: Option<u64>,
    /// What it gives back.
    pub(crate) back: Vec<(u64, u64)>,
    pub(crate) generation: u64,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) v: u32,
    pub(crate) seq: u64,
    pub(crate) pools: Vec<GrantOfPool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GrantOfPool {
    pub(crate) pool: u32,
    pub(crate) ranges: Vec<(u64, u64)>,
    /// There will be no more.
    pub(crate) exhausted: bool,
    /// There will be no more unless one of the others, who have the rest, is lost.
    pub(crate) with_others: bool,
    /// How many it should give back as they become free.
    pub(crate) give_back: u64,
    /// Another one than the runner knows: all that it had has gone to others.
    pub(crate) generation: u64,
}

/// What is written down, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Noted {
    /// An answer, and what the runner had told with its question.
    Answered { rid: u32, ask: Vec<AskOfPool>, grant: Grant },
    /// A runner was lost, and starts nothing from a time on, in nanoseconds of the run's clock.
    Lost { rid: u32, at: u64 },
}

/// What becomes of items that a lost runner had, of pools whose items come once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LostItems {
    /// They are not handed out again, whether they were used or not: none is used twice. The report lists them.
    #[default]
    Burn,
    /// They are handed out again, those included that the runner may have used: each is used at least once.
    Again,
}

/// The pools of a run.
#[derive(Debug)]
pub(crate) struct Pools {
    policy: LostItems,
    all: Vec<Pool>,
    /// The last answer to each runner.
    answers: BTreeMap<u32, Grant>,
}

#[derive(Debug)]
struct Pool {
    kind: PoolKind,
    /// The first item that was never granted.
    next: u64,
    /// What came back, or is to be handed out again.
    returned: Vec<Range<u64>>,
    held: BTreeMap<u32, Held>,
    /// What lost runners had, and from when on others may have it.
    quarantined: Vec<(u64, Range<u64>)>,
    burned: Vec<(u32, Range<u64>)>,
    /// What came back of a pool that only goes on: nobody can have it any more.
    left_behind: Vec<Range<u64>>,
}

/// What a runner has.
#[derive(Debug, Default)]
struct Held {
    ranges: Vec<Range<u64>>,
    generation: u64,
}

fn len(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// Ranges as they are told.
fn ranges(told: &[(u64, u64)]) -> Vec<Range<u64>> {
    told.iter().map(|(start, end)| *start..*end).collect()
}

/// Takes so many out of ranges, from the front.
fn take(ranges: &mut Vec<Range<u64>>, most: u64) -> Vec<Range<u64>> {
    let (mut taken, mut left) = (Vec::new(), most);
    while left > 0 && !ranges.is_empty() {
        let range = &mut ranges[0];
        let part = range.start..range.start + len(range).min(left);
        left -= len(&part);
        range.start = part.end;
        if range.is_empty() {
            ranges.remove(0);
        }
        taken.push(part);
    }
    taken
}

/// What is left of ranges without others, which may be thousands, with a gap where each journey has an item. No two of the others
/// overlap.
fn without(ranges: &[Range<u64>], others: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut others: Vec<&Range<u64>> = others.iter().filter(|range| !range.is_empty()).collect();
    others.sort_unstable_by_key(|range| range.start);
    let mut left = Vec::new();
    for range in ranges {
        let mut start = range.start;
        let first = others.partition_point(|other| other.end <= range.start);
        for other in others[first..].iter().take_while(|other| other.start < range.end) {
            if start < other.start {
                left.push(start..other.start);
            }
            start = other.end;
        }
        if start < range.end {
            left.push(start..range.end);
        }
    }
    left
}

impl Pools {
    pub(crate) fn new(kinds: Vec<PoolKind>, policy: LostItems) -> Self {
        let pool = |kind| Pool {
            kind,
            next: 0,
            returned: Vec::new(),
            held: BTreeMap::new(),
            quarantined: Vec::new(),
            burned: Vec::new(),
            left_behind: Vec::new(),
        };
        Self { policy, all: kinds.into_iter().map(pool).collect(), answers: BTreeMap::new() }
    }

    /// Answers a runner; `share` is its part of all that take part, from 0 to 1, and `now` on the run's clock. One that does not take
    /// part is given nothing, since nobody would miss it again. The second value says whether the answer is new, and has to be written
    /// down before it is told.
    pub(crate) fn answer(&mut self, ask: &Ask, share: Option<f64>, now: u64) -> (Grant, bool) {
        if let Some(answer) = self.answers.get(&ask.rid).filter(|answer| answer.seq == ask.seq) {
            return (answer.clone(), false);
        }
        let mut grant = Grant { v: ask.v, seq: ask.seq, pools: Vec::new() };
        for of in &ask.pools {
            if let Some(pool) = self.all.get_mut(of.pool as usize) {
                pool.take_in(ask.rid, of);
                grant.pools.push(match share {
                    Some(share) => pool.grant(ask.rid, of, share, now, self.policy),
                    None => pool.nothing(ask.rid, of),
                });
            }
        }
        self.answers.insert(ask.rid, grant.clone());
        (grant, true)
    }

    /// Whether a runner has anything.
    pub(crate) fn has_any(&self, rid: u32) -> bool {
        self.all.iter().any(|pool| pool.held.get(&rid).is_some_and(|held| !held.ranges.is_empty()))
    }

    /// A runner is lost, and starts nothing from a time on: what it had goes to others, or to nobody.
    pub(crate) fn lost(&mut self, rid: u32, at: u64) {
        for pool in &mut self.all {
            pool.lost(rid, at, self.policy);
        }
        // It has another generation from now on.
        self.answers.remove(&rid);
    }

    /// Takes over what was written down.
    pub(crate) fn recall(&mut self, noted: &Noted) {
        match noted {
            Noted::Lost { rid, at } => self.lost(*rid, *at),
            Noted::Answered { rid, ask, grant } => {
                for (of, granted) in ask.iter().zip(&grant.pools) {
                    if let Some(pool) = self.all.get_mut(granted.pool as usize) {
                        pool.take_in(*rid, of);
                        pool.recall(*rid, granted);
                    }
                }
                self.answers.insert(*rid, grant.clone());
            }
        }
    }

    /// How many items of each pool that hands them out once were given to nobody, by pool.
    pub(crate) fn left(&self) -> impl Iterator<Item = (usize, u64)> {
        self.all.iter().enumerate().filter_map(|(number, pool)| Some((number, pool.left()?)))
    }

    /// What was granted to runners that were lost and goes to nobody, by pool and runner.
    pub(crate) fn burned(&self) -> impl Iterator<Item = (usize, u32, &Range<u64>)> {
        self.all
            .iter()
            .enumerate()
            .flat_map(|(number, pool)| pool.burned.iter().map(move |(rid, range)| (number, *rid, range)))
    }
}

impl Pool {
    /// How many of its items no journey was given and no lost runner had, where that is known.
    fn left(&self) -> Option<u64> {
        let never = self.kind.items?.saturating_sub(self.next);
        let waiting = self.quarantined.iter().map(|(_, range)| range);
        let back = self.returned.iter().chain(&self.left_behind).chain(waiting);
        self.kind.ends.then(|| never + back.map(len).sum::<u64>())
    }

    /// What a runner tells with its question.
    fn take_in(&mut self, rid: u32, of: &AskOfPool) {
        if let Some(end) = of.end {
            self.kind.items = Some(self.kind.items.map_or(end, |items| items.min(end)));
        }
        let held = self.held.entry(rid).or_default();
        if held.generation != of.generation {
            return;
        }
        if self.kind.ends {
            // The rest was used.
            let used = without(&held.ranges, &ranges(&of.unused));
            held.ranges = without(&held.ranges, &used);
        }
        let back = ranges(&of.back);
        // Only what it has can come back.
        let kept = without(&held.ranges, &back);
        let returned = without(&held.ranges, &kept);
        held.ranges = kept;
        if self.kind.is_in_order {
            self.left_behind.extend(returned);
        } else {
            self.returned.extend(returned);
        }
    }

    fn free(&mut self, now: u64) {
        let over = self.quarantined.extract_if(.., |(from, _)| *from <= now);
        self.returned.extend(over.map(|(_, range)| range).collect::<Vec<_>>());
    }

    /// What is told to a runner that is given nothing.
    fn nothing(&mut self, rid: u32, of: &AskOfPool) -> GrantOfPool {
        let generation = self.held.entry(rid).or_default().generation;
        GrantOfPool { pool: of.pool, generation, ..GrantOfPool::default() }
    }

    fn grant(&mut self, rid: u32, of: &AskOfPool, share: f64, now: u64, policy: LostItems) -> GrantOfPool {
        self.free(now);
        let never = self.kind.items.map_or(u64::MAX, |items| items.saturating_sub(self.next));
        let left = never.saturating_add(self.returned.iter().map(len).sum());
        let (mut want, mut give_back) = (0, 0);
        let held = self.held.entry(rid).or_default();
        let (has, generation) = (held.ranges.iter().map(len).sum::<u64>(), held.generation);
        if self.kind.ends {
            if of.want > 0 {
                // Few at once of what is nearly used up, or of a small pool, so that others have some too, where there are any.
                let part = |of: u64, parts: f64| ((of as f64 * share / parts).ceil() as u64).max(1);
                let (fair, least) = match self.kind.items {
                    Some(items) if share < 1.0 => (part(left, 2.0), part(items, 4.0).min(LEAST)),
                    _ => (MOST, LEAST),
                };
                want = of.want.clamp(least, MOST).min(fair.max(of.want.min(least)));
            }
        } else if let Some(items) = self.kind.items {
            let fair = ((items as f64 * share).ceil() as u64).max(1);
            want = fair.saturating_sub(has);
            give_back = has.saturating_sub(fair);
        }
        let mut ranges = take(&mut self.returned, want);
        let fresh = (want - ranges.iter().map(len).sum::<u64>()).min(never);
        if fresh > 0 {
            ranges.push(self.next..self.next + fresh);
            self.next += fresh;
        }
        let is_over =
            self.kind.ends && self.kind.items.is_some_and(|items| self.next >= items) && self.returned.is_empty();
        // What others have comes again when they are lost, and what the lost ones had does soon.
        let others_have = || self.held.iter().any(|(other, held)| *other != rid && !held.ranges.is_empty());
        let comes_again = policy == LostItems::Again && !self.kind.is_in_order;
        let with_others = is_over && (!self.quarantined.is_empty() || (comes_again && others_have()));
        let exhausted = is_over && !with_others;
        let held = self.held.entry(rid).or_default();
        held.ranges.extend(ranges.iter().cloned());
        let ranges = ranges.into_iter().map(|range| (range.start, range.end)).collect();
        GrantOfPool { pool: of.pool, ranges, exhausted, with_others, give_back, generation }
    }

    fn recall(&mut self, rid: u32, granted: &GrantOfPool) {
        let ranges = ranges(&granted.ranges);
        self.returned = without(&self.returned, &ranges);
        self.quarantined = self
            .quarantined
            .iter()
            .flat_map(|(from, range)| {
                without(std::slice::from_ref(range), &ranges).into_iter().map(|left| (*from, left))
            })
            .collect();
        self.next = ranges.iter().map(|range| range.end).fold(self.next, u64::max);
        self.held.entry(rid).or_default().ranges.extend(ranges);
    }

    fn lost(&mut self, rid: u32, at: u64, policy: LostItems) {
        let held = self.held.entry(rid).or_default();
        held.generation += 1;
        let ranges = std::mem::take(&mut held.ranges);
        match (self.kind.ends, policy) {
            (true, LostItems::Burn) => self.burned.extend(ranges.into_iter().map(|range| (rid, range))),
            (true, LostItems::Again) if !self.kind.is_in_order => {
                self.quarantined.extend(ranges.into_iter().map(|range| (at, range)));
            }
            (true, LostItems::Again) => self.burned.extend(ranges.into_iter().map(|range| (rid, range))),
            (false, _) => {
                let from = at.saturating_add(self.kind.quarantine);
                self.quarantined.extend(ranges.into_iter().map(|range| (from, range)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(rid: u32, seq: u64, of: AskOfPool) -> Ask {
        Ask { v: 1, rid, boot: 7, seq, pools: vec![of] }
    }

    fn once(items: u64) -> PoolKind {
        PoolKind { items: Some(items), ends: true, is_in_order: false, quarantine: 0 }
    }

    #[test]
    fn items_that_come_once_are_granted_once_and_those_of_a_lost_runner_are_burned() {
        let mut pools = Pools::new(vec![once(1000)], LostItems::Burn);
        let want = |unused: &[(u64, u64)]| AskOfPool { want: 300, unused: unused.to_vec(), ..AskOfPool::default() };
        let (first, is_new) = pools.answer(&ask(1, 1, want(&[])), Some(0.5), 0);
        assert_eq!((first.pools[0].ranges.clone(), is_new), (vec![(0, 250)], true));
        // Asked again, it is the same.
        assert_eq!(pools.answer(&ask(1, 1, want(&[])), Some(0.5), 0), (first, false));
        assert_eq!(pools.answer(&ask(2, 1, want(&[])), Some(0.5), 0).0.pools[0].ranges, [(250, 438)]);
        // It has used 200 of its own by now, of which it tells.
        assert_eq!(pools.answer(&ask(1, 2, want(&[(200, 250)])), Some(0.5), 0).0.pools[0].ranges, [(438, 579)]);
        pools.lost(1, 0);
        assert_eq!(pools.burned().collect::<Vec<_>>(), [(0, 1, &(200..250)), (0, 1, &(438..579))]);
        let mut seq = 2;
        let mut rest: Vec<(u64, u64)> = Vec::new();
        loop {
            let (grant, _) = pools.answer(&ask(2, seq, want(&[])), Some(1.0), 0);
            seq += 1;
            rest.extend(&grant.pools[0].ranges);
            if grant.pools[0].exhausted {
                break;
            }
        }
        assert_eq!(rest.iter().map(|(start, end)| end - start).sum::<u64>(), 1000 - 579);
    }

    #[test]
    fn a_small_pool_is_not_one_runners() {
        let mut pools = Pools::new(vec![once(23)], LostItems::Burn);
        let want = AskOfPool { want: 1000, ..AskOfPool::default() };
        let mut granted =
            |rid, seq| pools.answer(&ask(rid, seq, want.clone()), Some(1.0 / 3.0), 0).0.pools[0].ranges.clone();
        assert_eq!([1, 2, 3].map(|rid| granted(rid, 1)), [[(0, 4)], [(4, 8)], [(8, 11)]]);
        assert_eq!([1, 2, 3].map(|rid| granted(rid, 2)), [[(11, 13)], [(13, 15)], [(15, 17)]]);
    }

    #[test]
    fn who_does_not_take_part_is_given_nothing() {
        let mut pools = Pools::new(vec![once(1000)], LostItems::Burn);
        let want = AskOfPool { want: 300, ..AskOfPool::default() };
        assert_eq!(pools.answer(&ask(1, 1, want.clone()), Some(0.5), 0).0.pools[0].ranges, [(0, 250)]);
        pools.lost(1, 0);
        // It had asked before it was killed: nobody would notice that it has what it was given.
        let late = pools.answer(&ask(1, 2, want), None, 0).0;
        assert_eq!((&late.pools[0].ranges, late.pools[0].generation, pools.has_any(1)), (&vec![], 1, false));
    }

    #[test]
    fn items_that_come_at_least_once_are_not_used_up_while_somebody_has_some() {
        let mut pools = Pools::new(vec![once(100)], LostItems::Again);
        let asks = |unused: &[(u64, u64)]| AskOfPool { want: 100, unused: unused.to_vec(), ..AskOfPool::default() };
        let all = pools.answer(&ask(1, 1, asks(&[])), Some(1.0), 0).0;
        assert_eq!((&all.pools[0].ranges, all.pools[0].exhausted), (&vec![(0, 100)], true));
        // A journey has item 7, and all others of these are used.
        pools.answer(&ask(1, 2, asks(&[(7, 8), (90, 100)])), Some(0.5), 0);
        let none = pools.answer(&ask(2, 1, asks(&[])), Some(0.5), 0).0;
        let of = &none.pools[0];
        assert_eq!((&of.ranges, of.exhausted, of.with_others), (&vec![], false, true));
        pools.lost(1, 50);
        let soon = pools.answer(&ask(2, 2, asks(&[])), Some(1.0), 49).0;
        let of = &soon.pools[0];
        assert_eq!((&of.ranges, of.exhausted, of.with_others), (&vec![], false, true), "it may use them until then");
        let again = pools.answer(&ask(2, 3, asks(&[])), Some(1.0), 50).0;
        assert_eq!((&again.pools[0].ranges, again.pools[0].exhausted), (&vec![(7, 8), (90, 100)], true));
    }

    #[test]
    fn what_is_left_of_ranges_without_others() {
        let left = |of: &[(u64, u64)], others: &[(u64, u64)]| {
            let left = without(&ranges(of), &ranges(others)).into_iter();
            left.map(|range| (range.start, range.end)).collect::<Vec<_>>()
        };
        assert_eq!(left(&[(0, 10)], &[]), [(0, 10)]);
        assert_eq!(left(&[(0, 10)], &[(0, 10)]), []);
        // In the middle, over the ends, in any order, and none at all.
        assert_eq!(left(&[(20, 30), (0, 10)], &[(25, 40), (8, 21), (2, 3), (4, 4)]), [(21, 25), (0, 2), (3, 8)]);
        assert_eq!(left(&[(5, 6)], &[(0, 5), (6, 9)]), [(5, 6)]);
    }

    #[test]
    fn items_that_come_back_are_shared_out_and_wait_where_a_runner_was_lost() {
        let kind = PoolKind { items: Some(10), ends: false, is_in_order: false, quarantine: 30 };
        let mut pools = Pools::new(vec![kind], LostItems::Burn);
        let all = pools.answer(&ask(1, 1, AskOfPool::default()), Some(1.0), 0).0;
        assert_eq!(all.pools[0].ranges, [(0, 10)]);
        // Another one has come: half of it should be given back.
        let less = pools.answer(&ask(1, 2, AskOfPool::default()), Some(0.5), 0).0;
        assert_eq!((less.pools[0].give_back, &less.pools[0].ranges), (5, &vec![]));
        assert_eq!(pools.answer(&ask(2, 1, AskOfPool::default()), Some(0.5), 0).0.pools[0].ranges, []);
        let back = AskOfPool { back: vec![(7, 10), (2, 3)], ..AskOfPool::default() };
        pools.answer(&ask(1, 3, back), Some(0.5), 0);
        assert_eq!(pools.answer(&ask(2, 2, AskOfPool::default()), Some(0.5), 0).0.pools[0].ranges, [(2, 3), (7, 10)]);
        pools.lost(1, 100);
        assert_eq!(pools.answer(&ask(2, 3, AskOfPool::default()), Some(1.0), 129).0.pools[0].ranges, []);
        assert_eq!(pools.answer(&ask(2, 4, AskOfPool::default()), Some(1.0), 130).0.pools[0].ranges, [(0, 2), (3, 7)]);
        // The lost one is told by the generation that it has nothing any more.
        assert_eq!(pools.answer(&ask(1, 4, AskOfPool::default()), Some(0.5), 130).0.pools[0].generation, 1);
    }

    proptest! {
        /// Whatever is asked, told and lost: no item that comes once is granted twice, and none is forgotten; and who takes over knows
        /// what was written down.
        #[test]
        fn nothing_is_granted_twice(steps in prop::collection::vec((0u32..4, 0u64..400, any::<bool>()), 1..60), ends in any::<bool>()) {
            let kind = PoolKind { items: Some(2000), ends, is_in_order: false, quarantine: 5 };
            let mut pools = Pools::new(vec![kind], LostItems::Burn);
            let mut other = Pools::new(vec![kind], LostItems::Burn);
            let mut holders: BTreeMap<u64, u32> = BTreeMap::new();
            let mut generations = [0; 4];
            for (seq, (rid, want, dies)) in steps.into_iter().enumerate() {
                let now = seq as u64;
                if dies {
                    pools.lost(rid, now);
                    other.recall(&Noted::Lost { rid, at: now });
                    if !ends {
                        holders.retain(|_, holder| *holder != rid);
                    }
                    continue;
                }
                let own: Vec<u64> = holders.iter().filter(|(_, holder)| **holder == rid).map(|(item, _)| *item).collect();
                let back = if ends { vec![] } else { own.iter().take(want as usize % 7).map(|item| (*item, item + 1)).collect() };
                let unused = if ends { own.iter().map(|item| (*item, item + 1)).collect() } else { vec![] };
                let of = AskOfPool { want, unused, back: back.clone(), generation: generations[rid as usize], ..AskOfPool::default() };
                let asked = ask(rid, seq as u64 + 1, of);
                let (grant, _) = pools.answer(&asked, Some(0.25), now);
                other.recall(&Noted::Answered { rid, ask: asked.pools.clone(), grant: grant.clone() });
                let told = &grant.pools[0];
                if told.generation == generations[rid as usize] {
                    for (item, _) in back {
                        holders.remove(&item);
                    }
                }
                generations[rid as usize] = told.generation;
                for item in told.ranges.iter().flat_map(|(start, end)| *start..*end) {
                    prop_assert!(item < 2000);
                    prop_assert_eq!(holders.insert(item, rid), None, "item {}", item);
                }
                prop_assert_eq!(pools.all[0].next, other.all[0].next);
                prop_assert_eq!(pools.burned().collect::<Vec<_>>(), other.burned().collect::<Vec<_>>());
            }
        }
    }
}
