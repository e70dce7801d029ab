//! Thresholds while a run goes on: what a figure is in each window, and whether it is time to abort.
//!
//! It decides and does nothing: the controller tells it each second, and ends the run when it says so.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::figures::{FiguresTold, PartFigures};
use crate::names::Names;
use crate::report::rows::Tables;
use crate::report::tabulate::Tabulated;
use crate::threshold::{Asked, Checked, Threshold};

/// The thresholds of a run that is under way.
#[derive(Debug)]
pub(crate) struct Conditions {
    thresholds: Vec<Watched>,
    aborts: Vec<(Threshold, Duration)>,
    /// From when on seconds are looked at.
    warm_up: Duration,
    /// What workers have told of the last seconds, as many as the longest window has.
    seconds: VecDeque<Vec<FiguresTold>>,
    longest: usize,
}

#[derive(Debug)]
struct Watched {
    threshold: Threshold,
    /// Of all windows so far.
    worst: Option<Checked>,
}

impl Conditions {
    pub(crate) fn new(asked: Asked, warm_up: Duration) -> Self {
        let all = asked.thresholds.iter().chain(asked.aborts.iter().map(|(threshold, _)| threshold));
        let longest = all.filter_map(Threshold::window_seconds).max().unwrap_or(0);
        Self {
            thresholds: asked.thresholds.into_iter().map(|threshold| Watched { threshold, worst: None }).collect(),
            aborts: asked.aborts,
            warm_up,
            seconds: VecDeque::new(),
            longest: longest as usize,
        }
    }

    /// Takes what was told of one more second, and gives why the run is to be aborted, if it is; `so_far` is of all seconds.
    pub(crate) fn second(
        &mut self,
        second: u64,
        told: Vec<FiguresTold>,
        so_far: &PartFigures,
        names: &Names,
    ) -> Option<String> {
        let measured = Duration::from_secs(second + 1).saturating_sub(self.warm_up);
        if measured.is_zero() {
            return None;
        }
        if self.longest > 0 {
            self.seconds.push_back(told);
            if self.seconds.len() > self.longest {
                self.seconds.pop_front();
            }
        }
        let Self { thresholds, aborts, seconds, .. } = self;
        let mut windows = Windows { seconds, rows: so_far.rows.len(), last: second, names, tabulated: BTreeMap::new() };
        for watched in thresholds {
            let Some(checked) = windows.check(&watched.threshold) else { continue };
            if watched.worst.as_ref().is_none_or(|worst| watched.threshold.is_worse(&checked, worst)) {
                watched.worst = Some(checked);
            }
        }
        // Nothing is copied where nobody asks.
        let mut all = None;
        aborts.iter().filter(|(_, delay)| measured >= *delay).find_map(|(condition, _)| {
            let checked = if condition.window_seconds().is_some() {
                windows.check(condition)?
            } else {
                let all = all.get_or_insert_with(|| Tabulated::new(so_far.clone(), names));
                condition.check_tables(all.tables(measured))
            };
            checked.passed().then(|| checked.to_string())
        })
    }

    /// What comes of each threshold in the end.
    pub(crate) fn into_checked(self, tables: Tables<'_>) -> Vec<Checked> {
        let checked = |Watched { threshold, worst }| match threshold.window_seconds() {
            Some(_) => threshold.check_windows(worst.as_ref(), tables),
            None => threshold.check_tables(tables),
        };
        self.thresholds.into_iter().map(checked).collect()
    }
}

/// The last seconds.
struct Windows<'a> {
    seconds: &'a VecDeque<Vec<FiguresTold>>,
    rows: usize,
    last: u64,
    names: &'a Names,
    /// By their length, so that thresholds that have the same window add it up once.
    tabulated: BTreeMap<u64, Tabulated>,
}

impl Windows<'_> {
    /// Checks a threshold in the window that has just ended, where it has one and so much was measured.
    fn check(&mut self, threshold: &Threshold) -> Option<Checked> {
        let window = threshold.window_seconds()?;
        let from = self.seconds.len().checked_sub(window as usize)?;
        let tabulated = self.tabulated.entry(window).or_insert_with(|| {
            let mut stats = PartFigures::new(self.rows);
            for told in self.seconds.range(from..).flatten() {
                stats.add(&told.measured);
            }
            Tabulated::new(stats, self.names)
        });
        threshold.check_window(self.last + 1 - window, tabulated.tables(Duration::from_secs(window)))
    }
}
