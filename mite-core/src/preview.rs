//! What a run would start, and when: the plan of each row as figures and as a curve, without running anything.
//!
//! It is worked out from the same schedules that a run goes by, so that what it says is what is planned.

mod text;

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::clock::micros;
use crate::panics;
use crate::row::{CheckedRow, Plan};
use crate::run::error::RunError;
use crate::schedule::Schedule;
use crate::volume::{Answer, Asking, Unit};

const SECOND: u64 = 1_000_000_000;
/// A row has no more points than this.
const MOST_POINTS: u64 = 3600;
/// A closure is asked about no more seconds than a week has.
const MOST_ASKED: u64 = 7 * 86_400;
/// More starts than these are not drawn at random only to be counted: it takes seconds.
const MOST_DRAWN: u64 = 4_000_000_000;
/// The columns of a drawn curve.
const COLUMNS: u64 = 64;

/// The plan of a run; its `Display` draws each row's curve for a terminal of 80 columns.
///
/// How long journeys take, how much data there is and what [`max_running`](crate::Row::max_running) leaves out is not known
/// before a run: where a row of the open model ends early for want of data, less is started than this says. In the closed
/// model the number running is planned, and how many starts that makes depends on the journeys.
///
/// A closure is asked second by second as in a run, all at once: one that answers by what happens meanwhile, as one that is
/// controlled from outside, shows what it answers now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Preview {
    /// The scenario's name.
    pub scenario: String,
    /// From the start of the run to the end of the last row's plan.
    #[serde(rename = "duration_us", with = "micros")]
    pub duration: Duration,
    /// The time between two points, in whole seconds: one second for plans of up to an hour, and more for longer ones, so
    /// that no row has more than 3600 points.
    #[serde(rename = "step_s", serialize_with = "seconds")]
    pub step: Duration,
    /// One for each row of the scenario.
    pub rows: Vec<RowPreview>,
}

/// The plan of one row.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RowPreview {
    /// The row's number, from 1.
    pub row: u32,
    /// The journey's name, `module:function`.
    pub journey: String,
    /// Whether journeys are started at a rate, or so many run at once.
    pub unit: Unit,
    /// All starts that are planned; `None` in the closed model, where a start is made whenever a journey has ended.
    pub planned: Option<u64>,
    /// From the start of the run to the end of the row's plan.
    #[serde(rename = "duration_us", with = "micros")]
    pub duration: Duration,
    /// The highest point of the curve: starts per second, or journeys running at once. Of arrivals at random it is the highest
    /// mean within a column of the drawn curve, one of 64.
    pub peak: f64,
    /// One for each step from the start of the run to the row's end: the starts planned in that step, whose sum is
    /// [`planned`](Self::planned); in the closed model the number running at the end of the step.
    pub points: Vec<u64>,
    /// The curve in so many columns over the whole run, in thousandths.
    #[serde(skip)]
    curve: Vec<u64>,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

/// The preview of rows that have been checked; `stop_after` ends all plans, in nanoseconds since the start of the run.
pub(crate) fn of(scenario: String, rows: Vec<CheckedRow>, stop_after: Option<u64>) -> Result<Preview, RunError> {
    panics::install();
    let mut plans = Vec::new();
    for (number, row) in (1..).zip(rows) {
        let (unit, mut schedule) = match row.plan {
            Plan::Known(schedule, unit, _) => (unit, schedule),
            Plan::Asked(mut asking, part) => {
                let mut schedule = Schedule::unknown();
                if let Some(part) = part {
                    schedule = schedule.part(part);
                }
                ask_all(&mut asking, &mut schedule, stop_after, number, &row.name)?;
                (asking.unit(), schedule)
            }
        };
        if let Some(cut) = stop_after {
            schedule.cut(cut);
        }
        if schedule.drawn() > MOST_DRAWN {
            let message = format!(
                "a plan of over {MOST_DRAWN} starts drawn at random takes too long to count: give the run an earlier end \
                 with `.stop_after(…)`"
            );
            return Err(RunError::Preview { row: number, journey: row.name, message });
        }
        plans.push((number, row.name, unit, schedule));
    }
    let duration = plans.iter().map(|(_, _, _, schedule)| schedule.end()).max().unwrap_or(0);
    let step = duration.div_ceil(SECOND).div_ceil(MOST_POINTS).max(1) * SECOND;
    let rows = plans.into_iter().map(|(number, journey, unit, schedule)| {
        let (planned, points) = match unit {
            Unit::Rate => {
                let points = schedule.counts(step);
                (Some(points.iter().sum()), points)
            }
            Unit::Running => (None, running_at_ends(&schedule, step)),
        };
        let curve = schedule.heights(unit, COLUMNS, duration, step).unwrap_or_else(|| means(&points, step, duration));
        RowPreview {
            row: number,
            journey,
            unit,
            planned,
            duration: Duration::from_nanos(schedule.end()),
            peak: curve.iter().max().map_or(0.0, |peak| *peak as f64 / 1000.0),
            points,
            curve,
        }
    });
    let rows = rows.collect();
    Ok(Preview { scenario, duration: Duration::from_nanos(duration), step: Duration::from_nanos(step), rows })
}

/// Asks a closure for all its seconds.
fn ask_all(
    asking: &mut Asking,
    schedule: &mut Schedule,
    stop_after: Option<u64>,
    row: u32,
    journey: &str,
) -> Result<(), RunError> {
    for second in 0.. {
        if stop_after.is_some_and(|cut| second * SECOND >= cut) {
            break;
        }
        if second == MOST_ASKED {
            let message = "its volume model is a closure that does not answer `Volume::Stop` within a week, which is as far \
                           as a preview asks: give the run an end with `.stop_after(…)`";
            return Err(RunError::Preview { row, journey: journey.to_owned(), message: message.to_owned() });
        }
        let answer = asking.ask(second);
        let answer =
            answer.map_err(|message| RunError::Volume { row, journey: journey.to_owned(), second, message })?;
        let Answer::Segments(segments) = answer else { break };
        for segment in segments {
            schedule.push(segment);
        }
    }
    Ok(())
}

/// The number running in the last nanosecond of each step.
fn running_at_ends(schedule: &Schedule, step: u64) -> Vec<u64> {
    let end = schedule.end();
    (1..=end.div_ceil(step)).map(|index| schedule.running_at((index * step).min(end) - 1)).collect()
}

/// The mean of the points in each column, in thousandths of a start per second.
fn means(points: &[u64], step: u64, until: u64) -> Vec<u64> {
    let edge = |column: u64| u128::from(until) * u128::from(column) / u128::from(COLUMNS);
    let mean = |column| {
        let first = (edge(column) / u128::from(step)) as usize;
        let last = (edge(column + 1).div_ceil(u128::from(step)) as usize).min(points.len());
        let Some(points) = points.get(first..last).filter(|points| !points.is_empty()) else { return 0 };
        let starts: u128 = points.iter().map(|starts| u128::from(*starts)).sum();
        (starts * 1000 * u128::from(SECOND) / (points.len() as u128 * u128::from(step))) as u64
    };
    (0..COLUMNS).map(mean).collect()
}
