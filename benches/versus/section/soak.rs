//! Whether memory grows with time.
//! It is separate as every section is.

use mite::prelude::*;

use super::{Outcome, ratio};
use crate::{bar::Bar, bench::Bench, comparison::Rounds, load::Load, spread::Spread, tool::mite::Mite};

/// Journeys per second.
const RATE: u32 = 5000;

/// From when on memory should not grow, in seconds.
const SETTLED: usize = 60;

/// One turn, as long as `--minutes` says.
pub(crate) fn run(bench: &Bench) -> Result<Outcome> {
    let server = bench.server()?;
    let seconds = u32::try_from(bench.options.soak.as_secs())?;
    let load = Load::get(server.url("/"), seconds);
    let open = Mite::new(&bench.programs, "open").set("rate", &RATE.to_string()).named("mite");
    let comparison = Rounds::new(bench, &server).once().run(vec![(open.found(), load)])?;
    let turn = comparison.turns("mite").and_then(|turns| turns.turns.first());
    // The last second may be one in which the run is wound up.
    let resident = turn.map_or(&[][..], |turn| &turn.usage.resident);
    let grown = match (resident.get(SETTLED - 1), resident.get(seconds as usize - 2)) {
        (Some(then), Some(end)) => Spread::of([*end as f64 / *then as f64]),
        _ => None,
    };
    let held = vec![ratio("resident memory at the end to that after a minute", Bar::AtMost(1.02, 1.0), grown)];
    let about = format!("`open` at {RATE} journeys per second for {} minutes.", seconds / 60);
    Ok(Outcome::of(about, comparison, held))
}
