//! Memory of many journeys, each with an open connection.
//! It is separate as every section is.

use mite::prelude::*;

use super::Outcome;
use crate::{
    bar::{Bar, Held},
    bench::Bench,
    comparison::{Rounds, Turn},
    load::Load,
    tool::{mite::Mite, wrk::Wrk},
};

const JOURNEYS: u32 = 8000;

/// All are open well before half of it is over.
const LEAST_SECONDS: u32 = 8;

/// wrk, which has nothing to hold, is there for comparison: its connections are busy.
pub(crate) fn run(bench: &Bench) -> Result<Outcome> {
    let (server, programs) = (bench.server()?, &bench.programs);
    let seconds = bench.options.seconds.max(LEAST_SECONDS);
    let load = Load { connections: JOURNEYS, ..Load::get(server.url("/"), seconds) };
    let tools = [Mite::new(programs, "hold").named("mite").found(), Wrk::find(programs)];
    let mut comparison = Rounds::new(bench, &server).run(tools.map(|tool| (tool, load.clone())).into())?;
    let mite = comparison.turns("mite");
    let all_held = mite.is_some_and(|mite| mite.turns.iter().all(|turn| turn.connections == u64::from(JOURNEYS)));
    let found = mite.and_then(|mite| mite.spread(Turn::peak)).filter(|_| all_held);
    if !all_held {
        comparison.notes.push(format!("nginx did not see {JOURNEYS} connections of mite in each round"));
    }
    let held = vec![Held {
        what: "peak memory".to_owned(),
        unit: " MB",
        bar: Bar::AtMost(70.0, 50.0),
        found: found.map(|peak| peak.times(1e-6)),
    }];
    let about = format!(
        "{JOURNEYS} journeys at once, each with one GET over a connection of its own, which it then holds open."
    );
    Ok(Outcome::of(about, comparison, held))
}
