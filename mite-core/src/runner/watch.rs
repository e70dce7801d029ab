//! Journeys that block their worker's thread: which row's code a worker is calling is marked where the controller can see it,
//! and code that is still being called a few looks later has not let go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::clock;

/// How often the controller looks.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
/// From when on code that was seen again and again is taken to block its thread.
const BLOCKED: Duration = Duration::from_millis(250);

/// What a worker's thread is calling just now. Only the worker writes it, so that a plain store does: no journey waits for
/// whoever looks.
#[derive(Debug, Default)]
pub(crate) struct Calling(AtomicU64);

/// Rows are marked in so many bits; the rest numbers the calls.
const ROW_BITS: u32 = 24;

impl Calling {
    /// The worker begins call number `call`, of code of this row.
    pub(crate) fn begin(&self, row: u32, call: u64) {
        self.0.store(call << ROW_BITS | (u64::from(row) + 1), Relaxed);
    }

    /// The code has let go.
    pub(crate) fn end(&self) {
        self.0.store(0, Relaxed);
    }

    /// The row whose code is being called.
    pub(crate) fn row(&self) -> Option<u32> {
        row_of(self.0.load(Relaxed))
    }
}

fn row_of(mark: u64) -> Option<u32> {
    (mark & ((1 << ROW_BITS) - 1)).checked_sub(1).map(|row| row as u32)
}

/// What the controller has seen of all workers.
#[derive(Debug)]
pub(crate) struct Watch {
    workers: Vec<Seen>,
    blocked: BTreeMap<u32, Blocked>,
}

#[derive(Debug)]
struct Seen {
    calling: Arc<Calling>,
    mark: u64,
    since: Instant,
}

/// How a row has blocked its workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) times: u64,
    /// The longest time, as far as it was seen: it may have been longer by two looks.
    pub(crate) longest: Duration,
}

impl Blocked {
    /// In words.
    pub(crate) fn told(&self, journey: &str) -> String {
        let Self { times, longest } = *self;
        let longest = longest.as_secs_f64();
        let times = if times == 1 { String::new() } else { format!(", {times} times, and once") };
        format!(
            "{journey} blocked its worker's thread{times} for at least {longest:.1} s: it computes or waits without `.await`, \
             and the other journeys of that worker were late by as much. Move such work to `tokio::task::spawn_blocking`"
        )
    }
}

impl Watch {
    pub(crate) fn new(workers: Vec<Arc<Calling>>) -> Self {
        let now = clock::now();
        let seen = |calling| Seen { calling, mark: 0, since: now };
        Self { workers: workers.into_iter().map(seen).collect(), blocked: BTreeMap::new() }
    }

    /// Looks at all workers; gives the rows that were found blocking for the first time.
    pub(crate) fn look(&mut self, now: Instant) -> Vec<u32> {
        let mut new = Vec::new();
        for worker in &mut self.workers {
            let mark = worker.calling.0.load(Relaxed);
            if mark != worker.mark {
                (worker.mark, worker.since) = (mark, now);
                continue;
            }
            let (Some(row), held) = (row_of(mark), now - worker.since) else { continue };
            if held < BLOCKED {
                continue;
            }
            let blocked = self.blocked.entry(row).or_insert_with(|| {
                new.push(row);
                Blocked::default()
            });
            // Counted when it is first over the limit, and only its length after.
            blocked.times += u64::from(held < BLOCKED + LOOK);
            blocked.longest = blocked.longest.max(held);
        }
        new
    }

    /// The row whose code this worker is calling just now.
    pub(crate) fn calling(&self, worker: u32) -> Option<u32> {
        self.workers.get(worker as usize)?.calling.row()
    }

    /// The rows that have blocked their workers.
    pub(crate) fn into_blocked(self) -> BTreeMap<u32, Blocked> {
        self.blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u32; 0] = [];

    #[test]
    fn one_call_that_lasts_is_told_from_many() {
        let calling = Arc::new(Calling::default());
        let mut watch = Watch::new(vec![Arc::clone(&calling)]);
        let start = Instant::now();
        let mut look = |millis: u64| watch.look(start + Duration::from_millis(millis));
        // Many calls of the same row, one after the other.
        for call in 0..10 {
            calling.begin(3, call);
            assert_eq!(look(call * 100), NONE);
        }
        // Nothing is called for long.
        calling.end();
        for at in 10..20 {
            assert_eq!(look(at * 100), NONE);
        }
        // One call that lasts for at least 700 ms, and another.
        calling.begin(3, 10);
        let found: Vec<Vec<u32>> = (20..28).map(|at| look(at * 100)).collect();
        assert_eq!(found.concat(), [3]);
        calling.begin(3, 11);
        assert_eq!((28..32).flat_map(|at| look(at * 100)).collect::<Vec<_>>(), NONE);
        let blocked = Blocked { times: 2, longest: Duration::from_millis(700) };
        assert_eq!(watch.calling(0), Some(3));
        assert_eq!(watch.into_blocked(), BTreeMap::from([(3, blocked)]));
    }
}
