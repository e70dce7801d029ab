//! What a run was told: its options and its plan, for whoever reads the figures later or compares them with another run's.
//!
//! It is apart from the figures: two runs can be compared where these are the same.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::micros;
use crate::schedule::Schedule;
use crate::volume::Unit;

/// What a run was told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunSettings {
    /// Worker threads.
    pub workers: u32,
    /// What random numbers were seeded with.
    pub seed: u64,
    /// When no new starts were to be made any more, if that was said; from the start of the run.
    #[serde(rename = "stop_after_us", with = "maybe_micros")]
    pub stop_after: Option<Duration>,
    /// How long journeys were to go on after the last start.
    #[serde(rename = "graceful_stop_us", with = "micros")]
    pub graceful_stop: Duration,
    /// From setup to the first start.
    #[serde(rename = "start_delay_us", with = "micros")]
    pub start_delay: Duration,
    /// How many journeys of all rows were to run at once at the most, if that was said.
    pub max_running: Option<u64>,
    /// The most that the p99 of the start lag was to be.
    #[serde(rename = "max_start_lag_us", with = "micros")]
    pub max_start_lag: Duration,
    /// The least part of a row's starts that mite itself was to make.
    pub min_achieved: f64,
    /// The keys of the config; their values may be secrets.
    pub config: Vec<String>,
    /// One for each row of the scenario.
    pub rows: Vec<RowSettings>,
}

/// What a row of the scenario asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RowSettings {
    /// The row's number, from 1.
    pub row: u32,
    /// The journey's name, `module:function`.
    pub journey: String,
    /// Whether journeys are started at a rate, or so many run at once.
    pub unit: Unit,
    /// From the start of the run to the end of the row's plan.
    #[serde(rename = "duration_us", with = "micros")]
    pub duration: Duration,
    /// The plan at the ends of 60 equal parts of the row's duration: starts that were due by then, or the number running right
    /// before it.
    pub plan: Vec<u64>,
}

impl RowSettings {
    /// Of the plan as far as it is known.
    pub(crate) fn new(row: u32, journey: String, unit: Unit, schedule: &Schedule) -> Self {
        let at = |point| (u128::from(schedule.end()) * u128::from(point) / u128::from(PLAN_POINTS)) as u64;
        let points = (1..=PLAN_POINTS).map(at);
        let plan = match unit {
            Unit::Rate => points.map(|time| schedule.before(time)).collect(),
            Unit::Running => points.map(|time| schedule.running_at(time.saturating_sub(1))).collect(),
        };
        Self { row, journey, unit, duration: Duration::from_nanos(schedule.end()), plan }
    }
}

/// So many points tell one plan from another.
const PLAN_POINTS: u64 = 60;

mod maybe_micros {
    use super::{Deserialize, Deserializer, Duration, Serializer, micros};

    #[expect(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => micros::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_micros))
    }
}
