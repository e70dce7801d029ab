//! Large bodies, which nobody looks at.
//! It is separate as every section is.

use mite::prelude::*;

use super::{Outcome, ratio};
use crate::{
    bar::Bar,
    bench::Bench,
    comparison::{Rounds, Turn},
    load::Load,
    server::LARGE,
    tool::{mite::Mite, wrk::Wrk},
};

/// Bytes per CPU second.
pub(crate) fn run(bench: &Bench) -> Result<Outcome> {
    let (server, programs) = (bench.server()?, &bench.programs);
    let load = Load::get(server.url("/large"), bench.options.seconds);
    let tools = [Mite::new(programs, "download").named("mite").found(), Wrk::find(programs)];
    let comparison = Rounds::new(bench, &server).run(tools.map(|tool| (tool, load.clone())).into())?;
    let found = comparison.ratio("mite", "wrk", |turn: &Turn| LARGE as f64 / turn.cpu_per_request());
    let held = vec![ratio("bytes per CPU second to wrk's", Bar::AtLeast(0.9, 1.0), found)];
    let about = "GET of 1 MiB on 64 connections; the body is read and forgotten.";
    Ok(Outcome::of(about, comparison, held))
}
