//! The plain case, on which most depends: GET of a few bytes on 64 connections.
//! It is separate as every section is.

use mite::prelude::*;

use super::Outcome;
use crate::{
    bar::{Bar, Held},
    bench::Bench,
    comparison::{Comparison, Turn},
    load::Load,
    tool::{h2load::H2load, mite::Mite, wrk::Wrk},
};

/// mite and every tool that is here.
pub(crate) fn run(bench: &Bench) -> Result<Outcome> {
    let (server, programs) = (bench.server()?, &bench.programs);
    let load = Load::get(server.url("/"), bench.options.seconds);
    let mite = || Mite::new(programs, "closed");
    let tools = vec![
        Ok(Box::new(mite()) as _),
        Wrk::find(programs),
        Ok(Box::new(mite().set("http1", "hyper").named("mite on hyper")) as _),
        H2load::find(programs, true),
    ];
    let tools = tools.into_iter().map(|tool| (tool, load.clone())).collect();
    let comparison = Comparison::run(bench, &server, tools)?;
    let ratio = |one, other| comparison.ratio(one, other, Turn::cpu_per_request);
    let held = |what: &str, bar, found| Held { what: what.to_owned(), unit: "", bar, found };
    let held = vec![
        held("CPU per request to wrk's", Bar::AtMost(1.05, 0.95), ratio("mite `closed`", "wrk")),
        held("the same on hyper", Bar::AtMost(1.30, 1.15), ratio("mite on hyper", "wrk")),
    ];
    let about = "GET of 2 bytes on 64 connections. Of mite: one transaction with one GET in each journey, metrics and \
                 recorder running."
        .to_owned();
    Ok(Outcome { about, comparison, table: None, held })
}
