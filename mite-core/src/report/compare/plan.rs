//! Whether two runs can be compared at all: they had the same plan, and what else should be known.
//!
//! It is apart from the figures, since it looks at what the runs were told and not at what they found.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::whole_micros;
use crate::report::settings::RowSettings;
use crate::report::units::{counted, time};
use crate::report::{Report, Verdict};
use crate::row::{CheckedRow, Plan};
use crate::schedule::Schedule;
use crate::volume::Unit;

/// Why two reports cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// The runs had different plans.
    #[error("the runs had different plans: {difference}")]
    Plan {
        /// The first difference: `row 2, shop:browse: 6000 starts in the baseline, 3000 now`.
        difference: String,
    },
}

/// What a run was to do, which another must have done too to be compared with it.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    rows: Vec<RowSettings>,
    warm_up: Duration,
}

impl Planned {
    /// What a run has done.
    pub(crate) fn of(report: &Report) -> Self {
        let warm_up = report.warm_up.as_ref().map_or(Duration::ZERO, |part| part.duration);
        Self { rows: report.settings.rows.clone(), warm_up }
    }

    /// Whether a run that has not begun is to do the same, as far as that is known: of rows that are asked for their plan
    /// second by second, only their journeys.
    pub(crate) fn is_planned_in(
        &self,
        rows: &[CheckedRow],
        stop_after: Option<u64>,
        warm_up: Duration,
    ) -> Result<(), CompareError> {
        let rows = (1..).zip(rows).map(|(number, row)| self.planned(number, row, stop_after)).collect();
        let now = Self { rows, warm_up: whole_micros(warm_up) };
        difference(self, &now).map_or(Ok(()), |difference| Err(CompareError::Plan { difference }))
    }

    fn planned(&self, number: u32, row: &CheckedRow, stop_after: Option<u64>) -> RowSettings {
        let journey = row.name.clone();
        match &row.plan {
            Plan::Known(schedule, unit, _) => {
                let mut schedule = schedule.clone();
                if let Some(cut) = stop_after {
                    schedule.cut(cut);
                }
                RowSettings::new(number, journey, *unit, &schedule)
            }
            Plan::Asked(..) => match self.rows.get(number as usize - 1) {
                Some(baseline) => RowSettings { journey, ..baseline.clone() },
                None => RowSettings::new(number, journey, Unit::Rate, &Schedule::unknown()),
            },
        }
    }
}

/// Nothing, where both had the same plan.
pub(super) fn same(baseline: &Report, now: &Report) -> Result<(), CompareError> {
    difference(&Planned::of(baseline), &Planned::of(now))
        .map_or(Ok(()), |difference| Err(CompareError::Plan { difference }))
}

fn difference(baseline: &Planned, now: &Planned) -> Option<String> {
    let (was, is) = (&baseline.rows, &now.rows);
    for (was, is) in was.iter().zip(is) {
        if let Some(what) = difference_of_rows(was, is) {
            return Some(format!("row {}, {}: {what}", is.row, is.journey));
        }
    }
    if was.len() != is.len() {
        return Some(format!("{} in the baseline, {} now", rows(was.len()), is.len()));
    }
    let (was, is) = (baseline.warm_up, now.warm_up);
    (was != is).then(|| format!("a warm-up of {} in the baseline, {} now", time(was), time(is)))
}

fn rows(count: usize) -> String {
    counted(count as u64, "row")
}

fn difference_of_rows(was: &RowSettings, is: &RowSettings) -> Option<String> {
    if was.journey != is.journey {
        return Some(format!("it was {} in the baseline", was.journey));
    }
    if was.unit != is.unit {
        let told = |unit| if unit == Unit::Rate { "starts at a rate" } else { "a number running at once" };
        return Some(format!("{} in the baseline, {} now", told(was.unit), told(is.unit)));
    }
    // What was read from a file has no more digits.
    if was.duration.as_micros() != is.duration.as_micros() {
        return Some(format!("{} long in the baseline, {} now", time(was.duration), time(is.duration)));
    }
    let points = is.plan.len().max(was.plan.len());
    let at = (0..points).find(|at| was.plan.get(*at) != is.plan.get(*at))?;
    let end = is.duration.mul_f64((at + 1) as f64 / points as f64);
    let told = |row: &RowSettings| {
        let count = row.plan.get(at).map_or_else(|| "nothing".to_owned(), u64::to_string);
        match row.unit {
            Unit::Running => format!("{count} running at {}", time(end)),
            Unit::Rate => format!("{count} starts by {}", time(end)),
        }
    };
    Some(format!("{} in the baseline, {} now", told(was), told(is)))
}

/// What the reader of a comparison should know of the runs besides.
pub(super) fn warnings(baseline: &Report, now: &Report) -> Vec<String> {
    let mut warnings: Vec<String> = same(baseline, now).err().map(|error| error.to_string()).into_iter().collect();
    if baseline.scenario != now.scenario {
        warnings.push(format!("the baseline is of the scenario {}, this run of {}", baseline.scenario, now.scenario));
    }
    for (report, which) in [(baseline, "the baseline"), (now, "this run")] {
        let why = match report.verdict {
            Verdict::Passed | Verdict::Failed => continue,
            Verdict::GeneratorLimited => "was limited by the generator",
            Verdict::Aborted => "was stopped before its end",
        };
        warnings.push(format!("{which} {why}: its figures are not those of the system"));
    }
    let (was, is) = (&baseline.settings, &now.settings);
    if was.workers != is.workers {
        warnings.push(format!("the baseline had {}, this run {}", counted(was.workers.into(), "worker"), is.workers));
    }
    if was.max_running != is.max_running {
        let told = |most: Option<u64>| most.map_or_else(|| "no".to_owned(), |most| most.to_string());
        let (was, is) = (told(was.max_running), told(is.max_running));
        warnings.push(format!("the baseline had {was} limit of journeys running at once, this run {is}"));
    }
    let keys = |config: &[String]| config.iter().cloned().collect::<BTreeSet<_>>();
    let (was, is) = (keys(&was.config), keys(&is.config));
    for (keys, which) in [(was.difference(&is), "baseline"), (is.difference(&was), "run that is compared")] {
        let keys: Vec<&str> = keys.map(String::as_str).collect();
        if !keys.is_empty() {
            warnings.push(format!("only the {which} has these keys in its config: {}", keys.join(", ")));
        }
    }
    for (report, which) in [(baseline, "the baseline"), (now, "this run")] {
        if !report.has_halves() {
            warnings
                .push(format!("{which} has no halves, so that the noise is not known: make it anew with this version"));
        }
    }
    warnings
}

impl Report {
    /// Whether its rows have [`Halves`](crate::Halves), without which the noise of a [`Comparison`](crate::Comparison) is not
    /// known: those that an older version has written do not.
    pub fn has_halves(&self) -> bool {
        self.journeys.iter().all(|row| row.halves.is_some())
    }
}
