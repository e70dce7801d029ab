//! Sharing out the starts of a plan without talking: each part knows which are its own.
//!
//! It is apart from the schedule, since cores and machines share in the same way.

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
        Self::of_members(weights)
    }

    /// As [`Stripe::by_weights`], where a weight of zero has no part in the plan.
    pub(crate) fn of_members(weights: &[u32]) -> Vec<Self> {
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

    /// The stripe of one that is alone.
    pub(crate) fn all() -> Self {
        Self { offsets: vec![0], period: 1 }
    }

    /// The stripe of one that has no part.
    pub(crate) fn none() -> Self {
        Self { offsets: Vec::new(), period: 1 }
    }

    /// As [`Stripe::start`]; `None` where it has no part in the plan.
    pub(crate) fn get(&self, index: u64) -> Option<u64> {
        (!self.offsets.is_empty()).then(|| self.start(index))
    }

    /// The start that is this worker's own number `index`, both counted from 0.
    pub fn start(&self, index: u64) -> u64 {
        let turn = self.offsets.len() as u64;
        (index / turn) * self.period + self.offsets[(index % turn) as usize]
    }

    /// How many of the starts below `k` are this worker's.
    pub fn before(&self, k: u64) -> u64 {
        if self.offsets.is_empty() {
            return 0;
        }
        let (turns, rest) = (k / self.period, k % self.period);
        turns * self.offsets.len() as u64 + self.offsets.partition_point(|offset| *offset < rest) as u64
    }

    /// This worker's part of a rate.
    pub(crate) fn part_of(&self, rate: u64) -> u64 {
        (u128::from(rate) * self.offsets.len() as u128 / u128::from(self.period)) as u64
    }

    /// This worker's part of a number running at once; the parts of all stripes sum to it.
    pub fn share(&self, running: u64) -> u64 {
        self.before(running)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_weights_take_turns() {
        for workers in 1..=64 {
            for (worker, stripe) in Stripe::by_weights(&vec![7; workers]).iter().enumerate() {
                assert_eq!(stripe.start(3), (3 * workers + worker) as u64);
            }
        }
    }

    proptest! {
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
    }
}
