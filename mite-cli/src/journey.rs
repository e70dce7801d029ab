//! `journey test` and `journey run`: one row of a scenario, found by its journey's name.
//!
//! It is apart from scenarios, since a row has to be found first: by a short name, in one scenario or in all.

mod names;
mod run;
mod show;

use std::fmt::Write as _;

use clap::ArgMatches;
use mite_core::nearest::did_you_mean;
use mite_core::{Config, Scenario};

use crate::Scenarios;
use names::{Spec, matching};

pub(crate) use run::run;

/// A journey that was found, with the scenario that it stands in.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) scenario_name: String,
    pub(crate) scenario: Scenario,
    /// What the scenario's function has made of the config.
    pub(crate) config: Config,
    /// Its row's number, from 1.
    pub(crate) row: usize,
    pub(crate) journey: String,
    /// The scenarios that could not be made, and why.
    skipped: Vec<String>,
    /// How many other rows of the scenario have the same journey.
    others: usize,
}

impl Found {
    /// Says on standard error what was passed over.
    pub(crate) fn tell_skipped(&self) {
        for skipped in &self.skipped {
            eprintln!("skipped {skipped}");
        }
        if self.others > 0 {
            let Self { journey, scenario_name, row, .. } = self;
            eprintln!(
                "{journey} has several rows in {scenario_name}: row {row} is run; give them names by `.named(…)`"
            );
        }
    }
}

/// Finds the journey that the argument `name` says, in its scenario or in the first that has it.
pub(crate) async fn find(scenarios: &Scenarios, arguments: &ArgMatches, config: &Config) -> Result<Found, String> {
    // clap asks for it.
    let text = arguments.get_one::<String>("name").map_or("", String::as_str);
    let spec = Spec::new(text, scenarios.names());
    let (mut skipped, mut known) = (Vec::new(), Vec::new());
    for name in scenarios.names().filter(|name| spec.scenario.is_none_or(|scenario| scenario == *name)) {
        let mut config = config.clone();
        let scenario = match scenarios.make(name, &mut config).await {
            Some(Ok(scenario)) => scenario,
            Some(Err(error)) => {
                skipped.push(format!("scenario {name}: {error:?}"));
                continue;
            }
            None => continue,
        };
        let journeys: Vec<String> = scenario.journeys().map(str::to_owned).collect();
        let rows = matching(&journeys, spec.journey);
        if let [first, others @ ..] = &*rows {
            let journey = journeys[*first].clone();
            if let Some(other) = others.iter().find(|other| journeys[**other] != journey) {
                let other = &journeys[*other];
                return Err(format!("scenario {name} has {journey} and {other}: say which, by its whole name"));
            }
            let scenario_name = name.to_owned();
            let (row, others) = (first + 1, others.len());
            return Ok(Found { scenario_name, scenario, config, row, journey, skipped, others });
        }
        known.extend(journeys.into_iter().filter(|journey| !journey.is_empty()));
    }
    Err(not_found(&spec, &known, &skipped))
}

/// What there is in place of the journey that was asked for, and what could not be looked through.
fn not_found(spec: &Spec<'_>, known: &[String], skipped: &[String]) -> String {
    let Spec { scenario, journey } = spec;
    let mut journeys = known.to_vec();
    journeys.sort();
    journeys.dedup();
    let mut told = match (scenario, skipped) {
        // It cannot be said what it has.
        (Some(_), [why]) => return why.clone(),
        (Some(name), _) => format!("scenario {name} has no journey {journey:?}"),
        (None, _) => format!("no scenario has a journey {journey:?}"),
    };
    told += &did_you_mean(journey, &journeys);
    if !journeys.is_empty() {
        let _ = write!(told, "; the journeys are {}", journeys.join(", "));
    }
    for skipped in skipped {
        let _ = write!(told, "\n  skipped {skipped}");
    }
    told
}

/// The names of all journeys that can be completed: functions, by their own names, of the scenarios that can be made.
pub(crate) async fn names(scenarios: &Scenarios, config: &Config) -> Vec<String> {
    let mut names = Vec::new();
    for name in scenarios.names() {
        if let Some(Ok(scenario)) = scenarios.make(name, &mut config.clone()).await {
            names.extend(scenario.journeys().filter_map(names::short).map(str::to_owned));
        }
    }
    names.sort();
    names.dedup();
    names
}
