//! What a second worker adds to the cost of a request.
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

/// The server has a worker on each core, and mite may go wherever there is room.
pub(crate) fn run(bench: &Bench) -> Result<Outcome> {
    let cores = &bench.machine.cores;
    let server = Server::start(&bench.programs, cores)?;
    let load = Load::get(server.url("/"), bench.options.seconds);
    let one = Mite::new(&bench.programs, "closed").named("mite, 1 worker");
    let two = Mite::new(&bench.programs, "closed").named("mite, 2 workers").workers(2);
    let two = if cores.len() < 2 { Err("SKIPPED: there is one core".to_owned()) } else { two.found() };
    let comparison = Rounds::new(bench, &server).on_all_cores().run(vec![(two, load.clone()), (one.found(), load)])?;
    let found = comparison.ratio("mite, 2 workers", "mite, 1 worker", Turn::cpu_per_request);
    let held = vec![ratio("CPU per request of 2 workers to 1", Bar::AtMost(1.05, 1.0), found)];
    let about =
        format!("GET of 2 bytes on 64 connections; nginx has {} workers, and nothing of mite is pinned.", cores.len());
    Ok(Outcome::of(about, comparison, held))
}
