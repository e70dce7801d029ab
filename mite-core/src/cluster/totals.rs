//! What a runner's entries must come to: counted once where workers tell it, and once more where entries are read.
//!
//! They are apart from both, so that two counts can differ only by what happened in between.

use std::collections::{BTreeMap, BTreeSet};

use crate::figures::{FiguresTold, Told};
use crate::seconds::RowSecond;

/// What a count is of. Texts, since it is the end of a run that tells them, and a difference is told in words.
pub(crate) type ToldTotals = BTreeMap<String, u64>;

/// What a count is of: the part of the run, the row where it is a row's, and its name.
type Place = (&'static str, Option<usize>, &'static str);

/// Counts that were added up. Those of metrics are not among them, which are no whole numbers, nor failed exchanges, of which only the
/// first are kept.
#[derive(Debug, Default)]
pub(crate) struct Totals(BTreeMap<Place, u64>);

impl Totals {
    pub(crate) fn add_second(&mut self, rows: &[RowSecond]) {
        for (row, stats) in rows.iter().enumerate() {
            for (name, count) in stats.named_counts().filter(|(name, _)| *name != "running") {
                self.count(("seconds", Some(row), name), count);
            }
            self.count(("seconds", Some(row), "response times"), stats.response_time.count());
        }
    }

    pub(crate) fn add(&mut self, figures: &FiguresTold) {
        self.add_part("warm-up", &figures.warm_up);
        self.add_part("measured", &figures.measured);
    }

    fn add_part(&mut self, part: &'static str, told: &Told) {
        for (row, stats) in told.rows.iter().enumerate() {
            for (name, count) in stats.named_counts() {
                self.count((part, Some(row), name), count);
            }
            self.count((part, Some(row), "response times"), stats.response_time.count());
        }
        for (_, stats) in &told.transactions {
            self.count((part, None, "transactions"), stats.count);
            self.count((part, None, "transactions with an error"), stats.errors);
            self.count((part, None, "times of transactions"), stats.time.count());
        }
        for (_, stats) in &told.requests {
            self.count((part, None, "requests"), stats.count);
            self.count((part, None, "bytes"), stats.bytes);
            self.count((part, None, "times of requests"), stats.time.count());
        }
        for (_, _, stats) in &told.checks {
            self.count((part, None, "checks that passed"), stats.passed);
            self.count((part, None, "checks that failed"), stats.failed);
        }
        self.count((part, None, "errors"), told.errors());
        self.count((part, None, "times that something ran out"), told.ran_out.values().sum());
    }

    fn count(&mut self, place: Place, more: u64) {
        if more > 0 {
            let count = self.0.entry(place).or_default();
            *count = count.saturating_add(more);
        }
    }

    pub(crate) fn told(&self) -> ToldTotals {
        let named = |(part, row, name): &Place| match row {
            Some(row) => format!("{part}, row {row}, {name}"),
            None => format!("{part}, {name}"),
        };
        self.0.iter().map(|(place, count)| (named(place), *count)).collect()
    }

    /// What differs from what was told, in words: nothing, unless mite itself is wrong.
    pub(crate) fn differences(&self, told: &ToldTotals) -> Vec<String> {
        let own = self.told();
        let names: BTreeSet<&String> = own.keys().chain(told.keys()).collect();
        let count = |totals: &ToldTotals, name: &str| totals.get(name).copied().unwrap_or(0);
        let differs = |name: &&String| count(&own, name) != count(told, name);
        let words = |name: &String| {
            format!("{name}: the runner has counted {}, and its entries have {}", count(told, name), count(&own, name))
        };
        names.into_iter().filter(differs).map(words).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_that_differs_is_told() {
        let mut rows = vec![RowSecond::default(), RowSecond { started: 3, running: 3, ..RowSecond::default() }];
        let mut totals = Totals::default();
        totals.add_second(&rows);
        totals.add_second(&rows);
        let told = totals.told();
        assert_eq!(totals.differences(&told), [""; 0]);
        rows[1].failed = 1;
        rows[1].started = 0;
        totals.add_second(&rows);
        let differences = totals.differences(&told);
        assert_eq!(differences, ["seconds, row 1, failed: the runner has counted 0, and its entries have 1"]);
        let fewer = Totals::default().differences(&told);
        assert_eq!(fewer, ["seconds, row 1, started: the runner has counted 6, and its entries have 0"]);
    }
}
