//! The plain case, on which most depends: GET of a few bytes on 64 connections.
//! It is separate as every section is.

use mite::prelude::*;

use super::{Outcome, ratio};
use crate::{
    bar::Bar,
    bench::Bench,
    comparison::{Rounds, Turn},
    load::Load,
    tool::{goose::Goose, h2load::H2load, mite::Mite, oha::Oha, python::Python, wrk::Wrk},
};

/// mite, and every tool that is here.
pub(crate) fn run(bench: &Bench) -> Result<Outcome> {
    let (server, programs) = (bench.server()?, &bench.programs);
    let load = Load::get(server.url("/"), bench.options.seconds);
    let tools = [
        Mite::new(programs, "closed").named("mite").found(),
        Wrk::find(programs),
        Mite::new(programs, "closed").set("http1", "hyper").named("mite on hyper").found(),
        H2load::find(programs, true),
        Oha::find(programs),
        Goose::find(programs),
        Python::find(programs),
    ];
    let comparison = Rounds::new(bench, &server).run(tools.map(|tool| (tool, load.clone())).into())?;
    let cpu = |one, other| comparison.ratio(one, other, Turn::cpu_per_request);
    let held = vec![
        ratio("CPU per request to wrk's", Bar::AtMost(1.05, 0.95), cpu("mite", "wrk")),
        ratio("on the hyper transport to wrk's", Bar::AtMost(1.30, 1.15), cpu("mite on hyper", "wrk")),
        ratio("to oha's", Bar::AtMost(0.65, 0.6), cpu("mite", "oha")),
        ratio("to goose's", Bar::AtMost(0.35, 0.3), cpu("mite", "goose")),
        ratio("to that of Python's mite", Bar::AtMost(0.08, 0.06), cpu("mite", "Python's mite")),
    ];
    let about = "GET of 2 bytes over HTTP/1.1 on 64 connections (mite: `closed`, a journey for each request, which is in a \
                 transaction; metrics and recorder run).";
    Ok(Outcome::of(about, comparison, held))
}
