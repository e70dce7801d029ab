//! Servers that send without end: the timeout ends them, another journey of the same worker keeps its pace meanwhile, and
//! the memory stays as it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mite_core::{
    Context, NoData, Row, Run, Scenario, ensure,
    volume::{HOUR, SECOND, constant},
};
use mite_http::{HttpContext, Settings};

use crate::{
    alone,
    common::{
        descriptors_after, outcomes, ran,
        scripted::{Peer, Scripted, ok},
    },
};

const TIMEOUT: Duration = Duration::from_millis(250);

/// How often a run is carried out until nothing disturbs it.
const TRIES: u32 = 20;

/// What the process may have more of afterwards, in bytes: the windows and buffers of some connections.
const MEMORY: usize = 64 << 20;

/// A server that has begun to answer a request, and goes on without end.
struct Flood {
    name: &'static str,
    begins: fn(&mut Peer) -> Option<()>,
    goes_on: Vec<u8>,
    settings: Settings,
}

fn http1(name: &'static str, begins: fn(&mut Peer) -> Option<()>, goes_on: &str) -> Flood {
    Flood { name, begins, goes_on: goes_on.into(), settings: crate::common::settings() }
}

fn floods() -> Vec<Flood> {
    let floods = vec![
        http1("continues", |peer| peer.request().map(drop), "HTTP/1.1 100 Continue\r\n\r\n"),
        http1("hints", |peer| peer.request().map(drop), "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"),
        http1(
            "has a body without end",
            |peer| {
                peer.request()?;
                peer.write("HTTP/1.1 200 OK\r\n\r\n").then_some(())
            },
            "0123456789",
        ),
        http1(
            "has small chunks without end",
            |peer| {
                peer.request()?;
                peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").then_some(())
            },
            "1\r\nx\r\n",
        ),
    ];
    #[cfg(feature = "http2")]
    let floods = floods.into_iter().chain(http2::floods()).collect();
    floods
}

#[cfg(feature = "http2")]
mod http2 {
    use super::{Flood, Peer};
    use crate::http2::{DATA, END_HEADERS, HEADERS, OK, PING, SETTINGS, begin, frame, prior_knowledge, request};

    fn flood(name: &'static str, begins: fn(&mut Peer) -> Option<()>, goes_on: Vec<u8>) -> Flood {
        Flood { name, begins, goes_on, settings: prior_knowledge() }
    }

    fn asked(peer: &mut Peer) -> Option<()> {
        begin(peer)?;
        request(peer).map(drop)
    }

    fn answered(peer: &mut Peer) -> Option<()> {
        begin(peer)?;
        let stream = request(peer)?;
        peer.write(frame(HEADERS, END_HEADERS, stream, OK)).then_some(())
    }

    /// The first stream of a client is the first odd one.
    const STREAM: u32 = 1;

    pub(super) fn floods() -> Vec<Flood> {
        vec![
            flood("pings over HTTP/2", asked, frame(PING, 0, 0, [0; 8])),
            flood("changes its settings over HTTP/2", asked, frame(SETTINGS, 0, 0, "")),
            flood("sends what nobody knows over HTTP/2", asked, frame(0xfa, 0, 0, "unknown")),
            flood("continues over HTTP/2", asked, frame(HEADERS, END_HEADERS, STREAM, b"\x48\x03100")),
            flood("sends empty data over HTTP/2", answered, frame(DATA, 0, STREAM, "")),
        ]
    }
}

#[test]
fn a_flood_ends_in_time_and_the_worker_goes_on() {
    let alone = alone();
    for flood in floods() {
        eprintln!("a server that {}", flood.name);
        let memory_before = memory();
        // A run in which the whole machine stood still says nothing of who held up whom.
        assert!((0..TRIES).any(|_| is_undisturbed(&flood)), "the machine has no time for this test");
        assert_eq!(descriptors_after(alone.descriptors), alone.descriptors);
        assert!(memory() < memory_before + MEMORY, "{memory_before} bytes before, {} after", memory());
    }
}

/// Carries out a run against the flood, and checks it, unless the machine disturbed it.
fn is_undisturbed(Flood { begins, goes_on, settings, .. }: &Flood) -> bool {
    let (begins, goes_on) = (*begins, goes_on.repeat(100));
    let floods = Arc::new(AtomicU64::new(0));
    let poured = Arc::clone(&floods);
    let flood = Scripted::start(move |mut peer| {
        begins(&mut peer)?;
        poured.fetch_add(peer.flood(&goes_on), Ordering::Relaxed);
        Some(peer)
    });
    let good = Scripted::answering(|_| ok("good"));
    let (flooded, beside) = (flood.url("/"), good.url("/"));
    // Each has a connection of its own: where the client counts how much nonsense it has had, the first would shorten
    // the next.
    let settings = settings.clone().connections(mite_http::Connections::PerJourney);
    let flooded_by = async move |ctx: &mut Context| {
        let ctx = ctx.http_session(settings.clone());
        let error = ctx.http().get(&flooded).timeout(TIMEOUT).discard().await.expect_err("it never ends");
        // A client may also have had enough of it before.
        ensure!(matches!(error.class(), "timeout" | "protocol" | "body"), "{error}");
        Ok(())
    };
    let goes_beside = async move |ctx: &mut Context| {
        let ctx = ctx.http_session(crate::common::settings());
        ensure!(ctx.http().get(&beside).await?.bytes() == "good");
        Ok(())
    };
    let scenario = Scenario::new()
        .row(Row::new(flooded_by, NoData, constant(1, HOUR).running().iterations(4)).named("flooded"))
        .row(Row::new(goes_beside, NoData, constant(100, SECOND)).named("beside"));
    let report = ran(Run::new(scenario).workers(1).max_start_lag(HOUR));
    if report.warnings.iter().any(|warning| warning.contains("stood still")) {
        return false;
    }

    assert!(report.passed(), "{report}");
    let made = |name| (report.journey(name).planned, report.journey(name).completed);
    assert_eq!((made("flooded"), made("beside")), ((4, 4), (100, 100)), "{report}");
    let outcomes = outcomes(&report);
    assert_eq!(outcomes.iter().map(|row| row.3).sum::<u64>(), 104, "{report}");
    assert!(outcomes.contains(&("GET", 200, None, 100)), "{report}");
    eprintln!("  {outcomes:?}");
    let watch = flood.watch();
    drop(flood);
    let account = watch.now();
    assert_eq!((account.accepted, account.closed, account.kept), (4, 4, 0));
    assert!(floods.load(Ordering::Relaxed) > 0, "it was no flood");
    true
}

/// How many bytes of memory this process has, where the system tells.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default();
    pages * rustix::param::page_size()
}
