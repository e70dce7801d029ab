//! What it costs to start journeys at a rate, beside as many that follow one another.
//! It is separate as every section is.

use mite::prelude::*;

use super::{Outcome, ratio};
use crate::{
    bar::Bar,
    bench::Bench,
    comparison::{Rounds, Turn},
    load::Load,
    server::Server,
    tool::mite::Mite,
};

/// Journeys per second.
const RATE: f64 = 20_000.0;

/// The most that are tried.
const MOST_RUNNING: u32 = 8;

/// `open` at a rate, and `closed` with as many running as come nearest to it.
pub(crate) fn run(bench: &Bench) -> Result<Outcome> {
    let server = bench.server()?;
    let running = running_for_rate(bench, &server)?;
    let load = Load::get(server.url("/"), bench.options.seconds);
    let open = Mite::new(&bench.programs, "open").set("rate", &RATE.to_string()).named("mite `open`");
    let closed = Mite::new(&bench.programs, "closed").named("mite `closed`");
    let tools = vec![(open.found(), load.clone()), (closed.found(), Load { connections: running, ..load })];
    let comparison = Rounds::new(bench, &server).run(tools)?;
    let found = comparison.ratio("mite `open`", "mite `closed`", Turn::cpu_per_request);
    let held = vec![ratio("CPU per request of `open` to `closed`", Bar::AtMost(1.35, 1.10), found)];
    let about =
        format!("`open` at {RATE} journeys per second, and `closed` with {running} running, which came nearest to it.");
    Ok(Outcome::of(about, comparison, held))
}

fn running_for_rate(bench: &Bench, server: &Server) -> Result<u32> {
    let mut nearest = (f64::INFINITY, 1);
    for running in 1..=MOST_RUNNING {
        let load = Load { connections: running, ..Load::get(server.url("/"), 1) };
        let closed = Mite::new(&bench.programs, "closed").named(format!("{running} running"));
        let once = Rounds::new(bench, server).once().run(vec![(closed.found(), load)])?;
        let Some(turn) = once.tools.first().and_then(|turns| turns.turns.first()) else { bail!("{:?}", once.notes) };
        let distance = (turn.per_second() - RATE).abs();
        if distance < nearest.0 {
            nearest = (distance, running);
        }
        if turn.per_second() > RATE {
            break;
        }
    }
    Ok(nearest.1)
}
