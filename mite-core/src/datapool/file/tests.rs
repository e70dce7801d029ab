//! What a round of a recyclable pool hands out, against a plain model of it.
//!
//! They are apart from the tests of files, which go by the public API.

use proptest::prelude::*;

use super::Round;

proptest! {
    /// Each number below 300 takes one; others give back that one of what is out.
    #[test]
    fn a_round_goes_on_to_the_next_that_is_not_out(len in 1u64..200, steps in prop::collection::vec(0usize..600, 0..600)) {
        let mut round = Round::new(len);
        let (mut out, mut next) = (Vec::new(), 0);
        for step in steps {
            if step < 300 {
                let wanted = (0..len).map(|ahead| (next + ahead) % len).find(|place| !out.contains(place));
                prop_assert_eq!(round.take(), wanted);
                if let Some(place) = wanted {
                    out.push(place);
                    next = place + 1;
                }
            } else if !out.is_empty() {
                let place = out.swap_remove(step % out.len());
                round.give_back(place);
            }
            prop_assert_eq!(round.out, out.len() as u64);
        }
    }
}

#[test]
fn what_is_not_out_cannot_come_back() {
    let mut round = Round::new(3);
    assert_eq!((round.take(), round.take()), (Some(0), Some(1)));
    round.give_back(0);
    round.give_back(0);
    assert_eq!(round.out, 1);
    assert_eq!((round.take(), round.take(), round.take()), (Some(2), Some(0), None));
}
