//! What is measured for each phase of a request is what the server had it wait for.
//!
//! Counted from the start of the request, a phase never ends before the server let it, on any machine. How near the
//! figure is to the server's own depends on who else wants the CPU: of many tries, the best one counts.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use mite_core::{
    Context, ensure,
    testing::{Sent, run_journey_blocking},
};
use mite_http::{HttpContext, Settings};

use crate::common::{
    LONG,
    scripted::{Peer, Scripted},
};

/// How long the server has a phase wait.
const DELAY: Duration = Duration::from_millis(20);
/// How far the client's figure may be from the server's, in seconds.
const NEAR: f64 = 0.002;
const TRIES: u32 = 50;

/// A request's message, in which each phase's end is in seconds from the start of the request.
struct Ends(Sent);

impl Ends {
    fn at(&self, field: &str) -> f64 {
        self.0.field(field).unwrap()
    }

    /// How long it was from one to the other.
    fn between(&self, from: &str, to: &str) -> f64 {
        self.at(to) - self.at(from)
    }
}

/// Sends a request by a session with these settings, and tells its phases.
fn ends(url: &str, settings: Settings) -> Ends {
    let url = url.to_owned();
    let journey = async move |ctx: &mut Context| {
        let ctx = ctx.http_session(settings.clone());
        ensure!(ctx.http().get(&url).await?.bytes() == "body");
        Ok(())
    };
    let run = run_journey_blocking(journey, ()).unwrap();
    run.assert_ok();
    Ends(run.messages_of("http_metrics").next().unwrap().clone())
}

/// Sends requests until the client's figure of the phase is near the server's.
///
/// `script` serves one connection; the phase is from one of the message's fields to another.
fn compare(
    name: &str,
    scheme: &str,
    settings: impl Fn(&Scripted) -> Settings,
    script: impl Fn(&mut Peer) -> Option<Waited> + Send + Sync + 'static,
    [from, to]: [&str; 2],
) {
    let (waited, has_waited) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        if let Some(time) = script(&mut peer) {
            waited.send(time).unwrap();
        }
        Some(peer)
    });
    let url = format!("{scheme}://localhost:{}/", server.address.port());
    let mut best: Option<(f64, f64)> = None;
    for _ in 0..TRIES {
        let ends = ends(&url, settings(&server));
        let Waited { at_least, in_all } = has_waited.recv_timeout(LONG).unwrap();
        let (end, ours) = (ends.at(to), ends.between(from, to));
        assert!(at_least >= DELAY, "the server has slept");
        assert!(end >= at_least.as_secs_f64(), "{name}: the server waited {at_least:?}: {:?}", ends.0);
        let theirs = in_all.as_secs_f64();
        if best.is_none_or(|(best, theirs_then)| (ours - theirs).abs() < (best - theirs_then).abs()) {
            best = Some((ours, theirs));
        }
        if best.is_some_and(|(ours, theirs)| (ours - theirs).abs() <= NEAR) {
            break;
        }
    }
    let (ours, theirs) = best.unwrap();
    let mut line = String::new();
    let _ = writeln!(line, "{name}: the client measured {:.3} ms, the server {:.3} ms", ours * 1e3, theirs * 1e3);
    // Figures for whoever runs the tests.
    let _ = io::stderr().write_all(line.as_bytes());
    assert!((ours - theirs).abs() <= NEAR, "{line}");
}

/// How long a server had a phase wait.
#[derive(Debug, Clone, Copy)]
struct Waited {
    /// What it did nothing in.
    at_least: Duration,
    /// The phase, as it sees it.
    in_all: Duration,
}

fn wait() -> Waited {
    let from = Instant::now();
    thread::sleep(DELAY);
    let waited = from.elapsed();
    Waited { at_least: waited, in_all: waited }
}

fn plain(_: &Scripted) -> Settings {
    crate::common::settings()
}

#[test]
fn the_first_byte_is_waited_for_as_long_as_the_server_takes() {
    let script = |peer: &mut Peer| {
        peer.request()?;
        let waited = wait();
        peer.ok("body");
        Some(waited)
    };
    compare("first byte", "http", plain, script, ["transfer_start_time", "first_byte_time"]);
}

#[test]
fn the_body_takes_as_long_as_it_comes() {
    let script = |peer: &mut Peer| {
        peer.request()?;
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo");
        let waited = wait();
        peer.write("dy");
        Some(waited)
    };
    compare("body", "http", plain, script, ["first_byte_time", "total_time"]);
}

#[cfg(feature = "tls")]
mod tls {
    use std::{net::TcpStream, sync::Arc};

    use tokio_rustls::rustls::{ServerConfig, StreamOwned};

    use super::*;
    use crate::common::{
        authority::{Authority, request, shake_hands},
        scripted::ok,
    };

    /// A server's TLS, and settings that trust it.
    fn trusted() -> (Arc<ServerConfig>, Settings) {
        let authority = Authority::new("the phases' authority");
        (authority.issue("localhost").server(), crate::common::settings().only_root_certificates(&authority.pem))
    }

    fn answer(peer: &Peer, config: &Arc<ServerConfig>) -> Option<()> {
        let mut stream: StreamOwned<_, TcpStream> = shake_hands(peer, config)?;
        request(&mut stream)?;
        stream.write_all(ok("body").as_bytes()).ok()
    }

    #[test]
    fn the_handshake_waits_for_a_server_that_is_slow_to_begin_with_it() {
        let (config, settings) = trusted();
        let script = move |peer: &mut Peer| {
            let from = Instant::now();
            let Waited { at_least, .. } = wait();
            let mut stream = shake_hands(peer, &config)?;
            // Its cryptography is the client's wait, too.
            let in_all = from.elapsed();
            request(&mut stream)?;
            stream.write_all(ok("body").as_bytes()).ok()?;
            Some(Waited { at_least, in_all })
        };
        let settings = move |_: &Scripted| settings.clone();
        compare("handshake", "https", settings, script, ["connect_time", "tls_time"]);
    }

    #[test]
    fn a_proxy_that_is_slow_to_connect_counts_as_connecting() {
        let (config, settings) = trusted();
        let script = move |peer: &mut Peer| {
            let asked = peer.request()?;
            assert!(asked.line().starts_with("CONNECT localhost:"), "{asked:?}");
            let waited = wait();
            peer.write("HTTP/1.1 200 Connection established\r\n\r\n");
            // From here on it is the server that the client wants.
            answer(peer, &config)?;
            Some(waited)
        };
        let settings = move |server: &Scripted| settings.clone().proxy(format!("http://{}", server.address));
        compare("connecting", "https", settings, script, ["dns_time", "connect_time"]);
    }
}
