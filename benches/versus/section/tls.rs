//! TLS 1.3, with HTTP/1.1 and with HTTP/2.
//! It is separate as every section is; both differ in little.

use mite::prelude::*;

use super::{Outcome, ratio};
use crate::{
    bar::Bar,
    bench::Bench,
    comparison::{Rounds, Turn},
    load::Load,
    tool::{Found, h2load::H2load, mite::Mite},
};

const BAR: Bar = Bar::AtMost(1.5, 1.2);

/// HTTP/1.1, kept alive.
pub(crate) fn run_https(bench: &Bench) -> Result<Outcome> {
    let (server, programs) = (bench.server()?, &bench.programs);
    let load = Load::get(server.https_url("/"), bench.options.seconds);
    let mite = Mite::new(programs, "closed").set("http", "1").set("insecure", "true").named("mite");
    let tools: [Found; 2] = [mite.found(), H2load::find(programs, true)];
    let comparison = Rounds::new(bench, &server).run(tools.map(|tool| (tool, load.clone())).into())?;
    let found = comparison.ratio("mite", "h2load --h1", Turn::cpu_per_request);
    let held = vec![ratio("CPU per request to h2load's", BAR, found)];
    Ok(Outcome::of("GET of 2 bytes over HTTP/1.1 and TLS 1.3 on 64 connections, kept alive.", comparison, held))
}

/// 32 streams on each of 4 connections.
pub(crate) fn run_http2(bench: &Bench) -> Result<Outcome> {
    let (server, programs) = (bench.server()?, &bench.programs);
    let load = Load { connections: 4, streams: 32, ..Load::get(server.http2_url("/"), bench.options.seconds) };
    let mite =
        Mite::new(programs, "closed").set("http", "2").set("insecure", "true").set("connections", "4").named("mite");
    let tools: [Found; 2] = [mite.found(), H2load::find(programs, false)];
    let comparison = Rounds::new(bench, &server).run(tools.map(|tool| (tool, load.clone())).into())?;
    let found = comparison.ratio("mite", "h2load", Turn::cpu_per_request);
    let held = vec![ratio("CPU per request to h2load's", BAR, found)];
    let about = "GET of 2 bytes over HTTP/2 and TLS 1.3, 32 at the same time on each of 4 connections.";
    Ok(Outcome::of(about, comparison, held))
}
