//! The share that a run's even seconds have in its figures: two halves of one run tell how much its figures differ by chance.
//!
//! It is apart from the figures, since only those that the controller adds up have it: a worker does not know of halves.

use super::{Figures, FiguresTold, PartFigures, RequestStats, RowStats, Told, TransactionStats};
use crate::histogram::Histogram;

/// What the even seconds have of a row, a transaction or a kind of request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Half {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    pub(crate) time: Histogram,
}

impl Half {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.add(other.count, other.errors, &other.time);
    }

    fn add(&mut self, count: u64, errors: u64, time: &Histogram) {
        self.count += count;
        self.errors += errors;
        self.time.merge(time);
    }

    /// The bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.time.heap_bytes()
    }
}

/// What has a share that is kept apart.
trait Halved {
    fn even(&mut self) -> &mut Option<Box<Half>>;
}

impl Halved for RowStats {
    fn even(&mut self) -> &mut Option<Box<Half>> {
        &mut self.even
    }
}

impl Halved for TransactionStats {
    fn even(&mut self) -> &mut Option<Box<Half>> {
        &mut self.even
    }
}

impl Halved for RequestStats {
    fn even(&mut self) -> &mut Option<Box<Half>> {
        &mut self.even
    }
}

impl Figures {
    /// Adds what a worker has told of a second.
    pub(crate) fn add_second(&mut self, second: u64, told: &FiguresTold) {
        self.add(told);
        if second.is_multiple_of(2) {
            self.measured.add_even(&told.measured);
        }
    }
}

impl PartFigures {
    /// Keeps apart what was told of an even second, besides having added it: it is counted where that was.
    fn add_even(&mut self, told: &Told) {
        for (row, other) in self.rows.iter_mut().zip(&told.rows) {
            even_of(row).add(other.started, other.failed, &other.response_time);
        }
        for (path, other) in &told.transactions {
            even_of(self.transaction_stats(other.row, *path)).add(other.count, other.errors, &other.time);
        }
        for (path, other) in &told.requests {
            even_of(self.request_stats(other.row, *path, other.kind())).add(other.count, 0, &other.time);
        }
    }

    /// Makes known at the end that what has nothing of the even seconds has none.
    pub(crate) fn complete_halves(&mut self) {
        self.rows.iter_mut().for_each(|stats| _ = even_of(stats));
        self.transactions.iter_mut().for_each(|stats| _ = even_of(stats));
        self.requests.iter_mut().flatten().for_each(|stats| _ = even_of(stats));
    }
}

fn even_of(stats: &mut impl Halved) -> &mut Half {
    stats.even().get_or_insert_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::figures::{Outcome, StartDelay};
    use crate::names::{Names, PathId};
    use crate::request::RequestSample;

    /// What a worker tells of one second in which so many of each happened.
    fn told(figures: &mut PartFigures, times: u64, path: PathId) -> FiguresTold {
        for _ in 0..times {
            figures.started(1, StartDelay::default());
            figures.ended(1, Outcome::Completed, 7_000_000, 7_000_000);
            figures.transaction(1, path, true, Some(5_000_000));
            let total = Duration::from_millis(3);
            figures.request(1, path, &RequestSample { method: "GET", code: 200, total, ..Default::default() });
        }
        FiguresTold { measured: figures.tell(), ..FiguresTold::default() }
    }

    #[test]
    fn even_seconds_are_kept_apart_and_counted_once() {
        let (mut worker, mut all) = (PartFigures::new(2), Figures::new(2));
        for (second, times) in [(0, 10), (1, 3), (2, 20), (3, 4)] {
            all.add_second(second, &told(&mut worker, times, PathId(5)));
        }
        let of = |even: &Option<Box<Half>>| {
            let even = even.as_ref().unwrap();
            (even.count, even.errors, even.time.count())
        };
        let measured = &all.measured;
        assert_eq!((measured.rows[1].started, of(&measured.rows[1].even)), (37, (30, 0, 30)));
        assert_eq!((measured.transactions[5].count, of(&measured.transactions[5].even)), (37, (30, 30, 30)));
        assert_eq!((measured.requests[5][0].count, of(&measured.requests[5][0].even)), (37, (30, 0, 30)));
    }

    #[test]
    fn what_came_in_odd_seconds_alone_has_an_empty_half() {
        let (mut worker, mut all) = (PartFigures::new(2), Figures::new(2));
        all.add_second(1, &told(&mut worker, 3, PathId(5)));
        assert!(all.measured.requests[5][0].even.is_none());
        all.measured.complete_halves();
        assert_eq!(all.measured.requests[5][0].even.as_ref().unwrap().count, 0);
    }

    #[test]
    fn they_are_weighed_and_overflow_where_the_whole_does() {
        let (mut worker, mut all, mut whole) = (PartFigures::new(2), Figures::new(2), Figures::new(2));
        let bytes = |figures: &mut Figures| {
            figures.measured.weigh();
            figures.measured.series_bytes
        };
        all.measured.limit_series(2000);
        for path in 4..40 {
            let told = told(&mut worker, 10, PathId(path));
            all.add_second(0, &told);
            whole.add(&told);
        }
        assert!(all.measured.out_of_room);
        let overflow = Names::overflow(1, 2).index();
        let stats = &all.measured.requests[overflow][0];
        assert_eq!(stats.even.as_ref().unwrap().count, stats.count);
        let halves = all.measured.requests.iter().flatten().map(|stats| stats.even.as_ref().unwrap().count);
        assert_eq!(halves.sum::<u64>(), 360);
        let alone = bytes(&mut whole);
        whole.measured.complete_halves();
        assert!(bytes(&mut whole) >= alone + 72 * size_of::<Half>());
    }
}
