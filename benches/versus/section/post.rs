//! JSON both ways: built for each request, and read into a struct.
//! It is separate as every section is.

use mite::prelude::*;

use super::{Outcome, ratio};
use crate::{
    bar::Bar,
    bench::Bench,
    comparison::{Rounds, Turn},
    load::Load,
    server::ORDER,
    tool::{mite::Mite, wrk::Wrk},
};

/// wrk sends the same bytes each time, and does not read what comes.
pub(crate) fn run(bench: &Bench) -> Result<Outcome> {
    let (server, programs) = (bench.server()?, &bench.programs);
    let load = Load { body: Some(ORDER), ..Load::get(server.url("/order"), bench.options.seconds) };
    let tools = [Mite::new(programs, "post").named("mite").found(), Wrk::find(programs)];
    let comparison = Rounds::new(bench, &server).run(tools.map(|tool| (tool, load.clone())).into())?;
    let found = comparison.ratio("mite", "wrk", Turn::cpu_per_request);
    let held = vec![ratio("CPU per request to wrk's", Bar::AtMost(1.5, 1.3), found)];
    let about = "POST of 200 bytes of JSON on 64 connections, answered with 1 KiB of JSON. mite makes the one of a struct and \
                 reads the other into one; wrk sends fixed bytes and reads nothing.";
    Ok(Outcome::of(about, comparison, held))
}
