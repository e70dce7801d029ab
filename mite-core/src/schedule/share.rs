//! Which starts of a plan are one runner's, while runners come and go: a stripe from each change on.
//!
//! It is apart from the stripe, which never changes, and from the cursor, which walks through either.

use std::collections::VecDeque;

use super::Stripe;

/// One runner's starts of a plan. They are counted in order, whatever the changes: its own start number 7 stays that one.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    /// By their first starts, in rising order; the first one begins at start 0.
    spans: Vec<Span>,
    /// What changes at a time up to which the plan is not known yet.
    pending: VecDeque<(u64, Stripe)>,
    /// The stripes by time, in nanoseconds since the start of the run.
    times: Vec<(u64, Stripe)>,
}

/// What is a runner's from one start of the plan on.
#[derive(Debug, Clone)]
struct Span {
    from: u64,
    /// How many of the starts before are its own.
    before: u64,
    stripe: Stripe,
}

impl Share {
    /// The runner's stripe from the start of the run on.
    pub(crate) fn of(stripe: Stripe) -> Self {
        let times = vec![(0, stripe.clone())];
        Self { spans: vec![Span { from: 0, before: 0, stripe }], pending: VecDeque::new(), times }
    }

    /// From `time` on, in nanoseconds since the start of the run and later than all changes so far, the runner has this stripe.
    pub(crate) fn change(&mut self, time: u64, stripe: Stripe) {
        if time == 0 {
            *self = Self::of(stripe);
            return;
        }
        self.times.push((time, stripe.clone()));
        self.pending.push_back((time, stripe));
    }

    /// Takes over the changes at times up to which the plan is known; `known` is none where all of it is. `before` says how many
    /// starts of the plan are due before a time. Says whether there were any.
    pub(crate) fn settle(&mut self, known: Option<u64>, before: impl Fn(u64) -> u64) -> bool {
        let mut any = false;
        while let Some((time, stripe)) = self.pending.pop_front_if(|(time, _)| known.is_none_or(|known| *time <= known))
        {
            let from = before(time);
            let own = self.before(from);
            // Two changes before one start: the later one holds.
            self.spans.retain(|span| span.from < from);
            self.spans.push(Span { from, before: own, stripe });
            any = true;
        }
        any
    }

    /// The runner's own start number `index`, both counted from 0; `None` where it has no more as things stand.
    pub(crate) fn start(&self, index: u64) -> Option<u64> {
        let at = self.spans.partition_point(|span| span.before <= index);
        // Several spans may begin with the same own number: those before the last of them have none.
        let span = &self.spans[at.checked_sub(1)?];
        let first = span.stripe.before(span.from);
        span.stripe.get(first + index - span.before)
    }

    /// How many of the starts below `k` are the runner's.
    pub(crate) fn before(&self, k: u64) -> u64 {
        let at = self.spans.partition_point(|span| span.from <= k);
        let span = &self.spans[at.max(1) - 1];
        span.before + span.stripe.before(k) - span.stripe.before(span.from)
    }

    /// The runner's part of a number running at `time`, in nanoseconds since the start of the run.
    pub(crate) fn running(&self, time: u64, running: u64) -> u64 {
        let at = self.times.partition_point(|(from, _)| *from <= time);
        self.times[at.max(1) - 1].1.share(running)
    }

    /// The next time after `time` at which [`Share::running`] may change.
    pub(crate) fn next_change(&self, time: u64) -> Option<u64> {
        self.times.get(self.times.partition_point(|(from, _)| *from <= time)).map(|(from, _)| *from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Starts that are due each 10 ns.
    fn before(time: u64) -> u64 {
        time.div_ceil(10)
    }

    #[test]
    fn own_starts_go_on_where_the_stripe_changes() {
        let mut share = Share::of(Stripe::by_weights(&[1, 1, 1]).remove(1));
        let starts = |share: &Share| (0..6).map_while(|index| share.start(index)).collect::<Vec<_>>();
        assert_eq!(starts(&share), [1, 4, 7, 10, 13, 16]);
        share.change(80, Stripe::by_weights(&[1, 1]).remove(0));
        // Up to 50 the plan is known: nothing changes yet.
        assert!(!share.settle(Some(50), before));
        assert!(share.settle(Some(80), before));
        assert_eq!(starts(&share), [1, 4, 7, 8, 10, 12]);
        assert_eq!((share.before(8), share.before(9), share.before(11)), (3, 4, 5));
        // It leaves.
        share.change(110, Stripe::none());
        share.settle(None, before);
        assert_eq!(starts(&share), [1, 4, 7, 8, 10]);
        assert_eq!(share.before(1000), 5);
        // And is back.
        share.change(200, Stripe::all());
        share.settle(None, before);
        assert_eq!(starts(&share), [1, 4, 7, 8, 10, 20]);
        assert_eq!((share.running(109, 4), share.running(110, 4), share.running(200, 4)), (2, 0, 4));
        assert_eq!((share.next_change(0), share.next_change(80), share.next_change(200)), (Some(80), Some(110), None));
    }

    proptest! {
        /// Whoever comes and goes, each start is somebody's, and nobody else's.
        #[test]
        fn shares_are_a_partition(changes in prop::collection::vec((1u64..200, prop::collection::vec(0u32..4, 4)), 0..6)) {
            let mut shares: Vec<Share> = Stripe::by_weights(&[1; 4]).into_iter().map(Share::of).collect();
            let (mut time, mut gap) = (0, Vec::new());
            for (after, weights) in changes {
                let empty = weights.iter().all(|weight| *weight == 0);
                time += after;
                gap.push((before(time), empty));
                let mut stripes = Stripe::of_members(&weights).into_iter();
                for share in &mut shares {
                    share.change(time, stripes.next().unwrap());
                    share.settle(None, before);
                }
            }
            for k in 0..400 {
                let owners: Vec<_> = shares.iter().filter(|share| share.before(k + 1) > share.before(k)).collect();
                let nobody = gap.iter().rev().find(|(from, _)| *from <= k).is_some_and(|(_, empty)| *empty);
                prop_assert_eq!(owners.len(), usize::from(!nobody), "start {}", k);
                if let Some(owner) = owners.first() {
                    prop_assert_eq!(owner.start(owner.before(k)), Some(k));
                }
            }
        }
    }
}
