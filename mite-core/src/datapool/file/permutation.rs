//! An order in which each of n numbers comes once, drawn by a seed and worked out one number at a time.
//!
//! It is apart from the pool, since it is arithmetic: no list of the numbers is kept, however many there are.

/// How often the halves are mixed; four are what a random function needs to be a random permutation, and small domains take more.
const ROUNDS: usize = 8;

/// A permutation of the numbers below `len`.
///
/// It is a Feistel network over the least even number of bits that holds `len`; where it leads out of the range it is applied again
/// (cycle walking), at most four times on the average but for a handful of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permutation {
    len: u64,
    /// Bits of each half.
    bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    pub(super) fn new(len: u64, seed: u64) -> Self {
        let needed = u64::BITS - len.saturating_sub(1).leading_zeros();
        let mut state = seed;
        let keys = [(); ROUNDS].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mixed(state)
        });
        Self { len, bits: needed.div_ceil(2).max(2), keys }
    }

    /// Which number comes at `place`, which is below `len`.
    pub(super) fn at(&self, place: u64) -> u64 {
        let mut number = place;
        loop {
            number = self.forth(number);
            if number < self.len {
                return number;
            }
        }
    }

    /// The place at which `number` comes, which is below `len`.
    pub(super) fn place_of(&self, number: u64) -> u64 {
        let mut place = number;
        loop {
            place = self.back(place);
            if place < self.len {
                return place;
            }
        }
    }

    fn forth(&self, number: u64) -> u64 {
        let mask = (1 << self.bits) - 1;
        let (mut left, mut right) = (number >> self.bits, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mixed(right ^ key) & mask));
        }
        left << self.bits | right
    }

    fn back(&self, number: u64) -> u64 {
        let mask = (1 << self.bits) - 1;
        let (mut left, mut right) = (number >> self.bits, number & mask);
        for key in self.keys.into_iter().rev() {
            (left, right) = (right ^ (mixed(left ^ key) & mask), left);
        }
        left << self.bits | right
    }
}

/// The last steps of SplitMix64: each bit of the result depends on all of `bits`.
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Miri takes a thousand times as long.
    const MOST: u64 = if cfg!(miri) { 20 } else { 3000 };

    proptest! {
        #[test]
        fn each_number_comes_once_and_knows_its_place(len in 1u64..MOST, seed: u64) {
            let order = Permutation::new(len, seed);
            let mut seen = vec![false; len as usize];
            for place in 0..len {
                let number = order.at(place);
                prop_assert!(!std::mem::replace(&mut seen[number as usize], true));
                prop_assert_eq!(order.place_of(number), place);
            }
        }

        #[test]
        fn large_ones_know_their_places(len in 1u64.., place: u64, seed: u64) {
            let order = Permutation::new(len, seed);
            let place = place % len;
            prop_assert!(order.at(place) < len);
            prop_assert_eq!(order.place_of(order.at(place)), place);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "it counts more than Miri does in a while")]
    fn all_orders_of_four_are_about_as_frequent() {
        let mut orders: BTreeMap<Vec<u64>, u32> = BTreeMap::new();
        for seed in 0..24_000 {
            let order = Permutation::new(4, seed);
            *orders.entry((0..4).map(|place| order.at(place)).collect()).or_default() += 1;
        }
        assert_eq!(orders.len(), 24);
        // 1000 of each, with a standard deviation of 31.
        assert!(orders.values().all(|count| (850..1150).contains(count)), "{orders:?}");
    }

    #[test]
    fn an_order_is_the_same_on_every_machine() {
        let order = Permutation::new(10, 42);
        assert_eq!((0..10).map(|place| order.at(place)).collect::<Vec<_>>(), [2, 9, 1, 5, 3, 7, 0, 4, 8, 6]);
    }
}
