//! How starts are spread over a plan: evenly, shaken within their intervals, or at random as independent users come.
//!
//! Random numbers are hashes of a seed and a place in the plan, in whole numbers only: any part of a plan can be worked out
//! alone, and is the same on every machine.

use super::line::{Line, PARTS};
use crate::volume::Arrivals;

/// The same arrivals for another row: two rows of one seed must not go in step.
pub(crate) fn for_row(arrivals: Arrivals, row: u64) -> Arrivals {
    match arrivals {
        Arrivals::Even => Arrivals::Even,
        Arrivals::Jitter { fraction, seed } => Arrivals::Jitter { fraction, seed: hash(seed, row) },
        Arrivals::Poisson { seed } => Arrivals::Poisson { seed: hash(seed, row) },
    }
}

/// Two rounds of the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
fn hash(seed: u64, place: u64) -> u64 {
    let mix = |z: u64| {
        let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    mix(mix(seed) ^ place)
}

/// When start k is due that is planned at `time`, in a piece of the plan that ends at `until`, when the next one is planned
/// at `next`.
pub(crate) fn jittered(fraction: u64, seed: u64, k: u64, time: u64, next: Option<u64>, until: u64) -> u64 {
    // Not into a pause that follows.
    let interval = next.map_or(until, |next| next.min(until)).saturating_sub(time);
    let part = ((hash(seed, k) >> 32) * fraction) >> 32;
    time + ((u128::from(interval) * u128::from(part)) >> 32) as u64
}

/// A Poisson process is drawn in blocks of this many expected starts: how many a block has, and then where in it.
const BLOCK: u64 = 16;
const BLOCK_PARTS: u128 = BLOCK as u128 * PARTS;
/// e⁻¹⁶, the probability that a block has no start.
const EMPTY: f64 = 1.125_351_747_192_591_2e-7;

/// How many starts the block has: the least n with P(N ≤ n) above a random number.
fn count(seed: u64, block: u64) -> u64 {
    let random = hash(seed, block) as f64 / 18_446_744_073_709_551_616.0;
    let (mut n, mut probability) = (0, EMPTY);
    let mut up_to = probability;
    // 200 is beyond what a random number of 64 bits can ask for.
    while up_to <= random && n < 200 {
        n += 1;
        probability *= BLOCK as f64 / n as f64;
        up_to += probability;
    }
    n
}

/// The block's starts as parts of A, in rising order.
fn positions(seed: u64, block: u64, positions: &mut Vec<u128>) {
    positions.clear();
    let base = u128::from(block) * BLOCK_PARTS;
    let own = hash(seed ^ 0x5bf0_3635_dcf4_8a31, block);
    let at = |index| base + ((u128::from(hash(own, index)) * BLOCK_PARTS) >> 64);
    positions.extend((0..count(seed, block)).map(at));
    positions.sort_unstable();
}

/// Where a walk through a Poisson process has got to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walk {
    block: u64,
    /// Starts before the block.
    before: u64,
    positions: Vec<u128>,
    drawn: bool,
}

impl Walk {
    /// Where in A start k is. Each k must not be less than the one before.
    pub(crate) fn position(&mut self, seed: u64, k: u64) -> u128 {
        loop {
            if !self.drawn {
                positions(seed, self.block, &mut self.positions);
                self.drawn = true;
            }
            if let Some(position) = self.positions.get((k - self.before) as usize) {
                return *position;
            }
            self.before += self.positions.len() as u64;
            self.block += 1;
            self.drawn = false;
        }
    }
}

/// How many starts of the process are before the time at which A reaches `parts`, and after that at which it reached `from`.
pub(crate) fn between(seed: u64, from: u128, parts: u128) -> u64 {
    let (first, last) = ((from / BLOCK_PARTS) as u64, (parts / BLOCK_PARTS) as u64);
    let mut drawn = Vec::new();
    let mut within = |block, low: u128, high: u128| {
        positions(seed, block, &mut drawn);
        drawn.iter().filter(|position| **position >= low && **position < high).count() as u64
    };
    if first == last {
        return within(first, from, parts);
    }
    let middle: u64 = (first + 1..last).map(|block| count(seed, block)).sum();
    within(first, from, u128::MAX) + middle + within(last, 0, parts)
}

/// How many starts of the process are due before `time`.
///
/// A start is due at the least nanosecond at which A has reached its position: those before `time` are the ones that A has
/// reached a nanosecond earlier.
pub(crate) fn before(seed: u64, line: &Line, time: u64) -> u64 {
    if time == 0 { 0 } else { between(seed, 0, line.area(time - 1) + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_mean_and_variance_of_poisson() {
        let blocks = 200_000;
        let counts: Vec<f64> = (0..blocks).map(|block| count(7, block) as f64).collect();
        let mean = counts.iter().sum::<f64>() / blocks as f64;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / blocks as f64;
        // The standard error of the mean is 0.009, that of the variance 0.05.
        assert!((mean - 16.0).abs() < 0.05, "{mean}");
        assert!((variance - 16.0).abs() < 0.3, "{variance}");
    }

    #[test]
    fn any_part_alone_agrees_with_the_walk() {
        let mut walk = Walk::default();
        let positions: Vec<u128> = (0..1000).map(|k| walk.position(3, k)).collect();
        assert!(positions.is_sorted());
        for (from, to) in [(0, 100), (17, 18), (5, 999), (400, 400)] {
            assert_eq!(between(3, positions[from], positions[to]), (to - from) as u64);
        }
    }

    #[test]
    fn draws_are_the_same_for_ever() {
        // A plan that is run again with a later version is the same plan.
        let counts: Vec<u64> = (0..8).map(|block| count(42, block)).collect();
        assert_eq!(counts, [14, 23, 15, 25, 14, 22, 19, 11]);
    }
}
