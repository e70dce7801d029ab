//! A runner's leases of data: it asks the controller for items before they are used up, and gives back what it has too many of.
//!
//! It is apart from the runner's loop, and from journeys, which find what they need in memory.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::pools::{Ask, AskOfPool, Grant};
use super::protocol::{VERSION, pack, unpack};
use crate::bus::Bus;
use crate::clock;
use crate::datapool::leases::{Leases, Rest};

/// How often the controller is told how the leases stand.
const EVERY: Duration = Duration::from_millis(500);
/// How soon it may be asked again when there is little left.
const SOONEST: Duration = Duration::from_millis(20);
/// How long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long what is there should last, in seconds: for as long as the controller may be gone, and no longer, since what a lost runner
/// has may be lost with it.
const LASTS: f64 = 6.0;
/// With how many it begins, when it is not known yet how fast they are used.
const FIRST: u64 = 1000;

/// One pool of the run.
pub(super) struct Leased {
    pub(super) leases: Arc<Leases>,
    /// How many had been used when it was looked at last.
    used: u64,
    /// How fast they are used, in items per second.
    rate: f64,
    /// What is to be given back with the next question.
    back: Vec<Range<u64>>,
    /// How often they had been suspended when the controller was asked last.
    suspensions: u64,
}

impl Leased {
    pub(super) fn new(leases: Arc<Leases>) -> Self {
        Self { leases, used: 0, rate: 0.0, back: Vec::new(), suspensions: 0 }
    }

    /// How many should be there.
    fn target(&self) -> u64 {
        ((self.rate * LASTS) as u64).max(FIRST)
    }

    fn ask(&mut self, pool: u32, passed: Duration, is_last: bool) -> AskOfPool {
        let standing = self.leases.standing();
        self.suspensions = standing.suspensions;
        let used = standing.used - std::mem::replace(&mut self.used, standing.used);
        // What is used more is believed at once, and what is used less bit by bit.
        let now = used as f64 / passed.as_secs_f64().max(0.001);
        self.rate = if now > self.rate { now } else { self.rate * 0.8 + now * 0.2 };
        if is_last {
            self.back.extend(self.leases.part_with(u64::MAX));
        }
        let told = |ranges: &[Range<u64>]| ranges.iter().map(|range| (range.start, range.end)).collect::<Vec<_>>();
        let ends = self.leases.ends();
        let back = told(&self.back);
        // What it gives back it has until then.
        let unused = if ends { told(&standing.unused) } else { Vec::new() };
        let want = if ends && !is_last { self.target().saturating_sub(standing.count) } else { 0 };
        AskOfPool { pool, want, unused, end: standing.end, back, generation: standing.generation }
    }
}

/// Keeps the leases of all pools until `ended` is there, and then gives back what was not used.
pub(super) async fn keep(
    bus: Arc<dyn Bus>,
    subject: String,
    (rid, boot): (u32, u64),
    (mut pools, low): (Vec<Leased>, Arc<Notify>),
    mut ended: tokio::sync::oneshot::Receiver<()>,
) {
    if pools.is_empty() {
        return;
    }
    let (mut seq, mut last, mut is_last) = (0, clock::now(), false);
    let mut pending: Option<Ask> = None;
    loop {
        let now = clock::now();
        let ask = pending.take().unwrap_or_else(|| {
            let passed = now.saturating_duration_since(last);
            last = now;
            seq += 1;
            let pools = (0..).zip(&mut pools).map(|(number, pool)| pool.ask(number, passed, is_last)).collect();
            Ask { v: VERSION, rid, boot, seq, pools }
        });
        let answer = bus.request(&subject, pack(&ask), ANSWER_WITHIN).await;
        let grant = answer.and_then(|answer| unpack::<Grant>("a grant of data", &answer)).ok();
        let mut again = false;
        match grant.filter(|grant| grant.seq == ask.seq) {
            Some(grant) => {
                for (of, asked) in grant.pools.iter().zip(&ask.pools) {
                    let Some(pool) = pools.get_mut(of.pool as usize) else { continue };
                    if of.generation != asked.generation {
                        pool.leases.revoke(of.generation);
                    }
                    pool.back.clear();
                    let ranges: Vec<Range<u64>> = of.ranges.iter().map(|(start, end)| *start..*end).collect();
                    let least = if of.exhausted || of.with_others { 0 } else { pool.target() / 2 };
                    let rest = match (of.exhausted, of.with_others) {
                        (true, _) => Rest::None,
                        (false, true) => Rest::WithOthers,
                        (false, false) => Rest::Some,
                    };
                    pool.leases.grant(&ranges, rest, least, pool.suspensions);
                    if of.give_back > 0 && !is_last {
                        pool.back = pool.leases.part_with(of.give_back);
                        again |= !pool.back.is_empty();
                    }
                }
                if is_last {
                    return;
                }
            }
            // Asked again as it was: an answer that was lost is given again.
            None => pending = Some(ask),
        }
        if is_last {
            // Nobody may be there any more who would answer.
            if pending.is_some() {
                return;
            }
            continue;
        }
        let pause = if again { SOONEST } else { EVERY };
        tokio::select! {
            _ = &mut ended => is_last = true,
            () = tokio::time::sleep(pause) => {}
            () = low.notified(), if !again => tokio::time::sleep(SOONEST).await,
        }
    }
}
