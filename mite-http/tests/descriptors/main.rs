//! Open files do not grow with the number of requests, whatever the policy.
//!
//! It is a program of its own, because descriptors are those of the process. With 100 000 requests for each policy:
//! `cargo test --release -p mite-http --test descriptors -- --ignored --nocapture`.
#![cfg(all(feature = "http2", feature = "tls"))]

#[path = "../common/mod.rs"]
mod common;

use std::{
    fs,
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use mite_core::{Context, ensure};
use mite_http::{Connections, Http1, HttpContext, HttpVersion, Settings};

use common::{
    at_once,
    authority::Authority,
    descriptors, descriptors_after,
    nginx::{Nginx, connections},
    outcomes, passed,
};

/// How many journeys run at once.
const RUNNING: u64 = 10;
/// How many requests each of them sends.
const EACH: u64 = 10;
/// What a run has open besides connections: its runtimes and the threads' pipes.
const OWN: usize = 20;

#[test]
fn open_files_do_not_grow() {
    with_each_policy(2_000);
}

#[test]
#[ignore = "takes minutes"]
fn open_files_do_not_grow_over_a_hundred_thousand_requests() {
    with_each_policy(100_000);
}

fn with_each_policy(requests: u64) {
    common::open_what_stays_open();
    let authority = Authority::new("the servers' authority");
    let pair = authority.issue("localhost");
    let servers = "ssl_certificate @FOLDER@/server.pem; ssl_certificate_key @FOLDER@/server.key;
        server { listen 127.0.0.1:@PORT0@; location / { return 200 hello; } }
        server { listen 127.0.0.1:@PORT1@ ssl; location / { return 200 hello; } }
        server { listen 127.0.0.1:@PORT2@ ssl http2; location / { return 200 hello; } }";
    let trusting = Settings::new().only_root_certificates(&authority.pem);
    let policies = [
        ("shared", 0, Settings::new()),
        ("of each journey", 0, Settings::new().connections(Connections::PerJourney)),
        ("of each request", 0, Settings::new().connections(Connections::PerRequest)),
        ("shared, on hyper", 0, Settings::new().http1(Http1::Hyper)),
        ("of each request, on hyper", 0, Settings::new().http1(Http1::Hyper).connections(Connections::PerRequest)),
        ("TLS, shared", 1, trusting.clone()),
        ("TLS, of each journey", 1, trusting.clone().connections(Connections::PerJourney)),
        ("HTTP/2, shared", 2, trusting.clone()),
        ("HTTP/2, of each journey", 2, trusting.connections(Connections::PerJourney)),
        ("HTTP/1.1 by choice", 2, Settings::new().danger_accept_invalid_certs(true).http_version(HttpVersion::Http1)),
    ];
    let hyper = cfg!(feature = "hyper");
    for (name, port, settings) in policies.into_iter().filter(|(name, ..)| hyper || !name.ends_with("on hyper")) {
        let started = Nginx::start(servers, |folder| {
            fs::write(folder.join("server.pem"), pair.pem()).unwrap();
            fs::write(folder.join("server.key"), pair.key_pem()).unwrap();
        });
        let Some(nginx) = started else { return };
        let scheme = if port == 0 { "http" } else { "https" };
        let url = format!("{scheme}://localhost:{}/", nginx.port(port));
        let before = descriptors();
        let highest = measure(url, &settings, requests);
        let after = descriptors_after(before);
        let log = nginx.end();

        let opened = connections(&log).len();
        let line = format!(
            "{name}: {requests} requests over {opened} connections; descriptors {before} before, {highest} at the most, \
             {after} after\n"
        );
        // Figures for whoever runs the tests.
        let _ = io::stderr().write_all(line.as_bytes());
        assert_eq!(log.len() as u64, requests, "{name}");
        assert_eq!(before, after, "{line}");
        assert!(highest <= before + RUNNING as usize + OWN, "{line}");
    }
}

/// Sends the requests, and answers how many descriptors there were at the most.
fn measure(url: String, settings: &Settings, requests: u64) -> usize {
    let highest = Arc::new(AtomicUsize::new(0));
    let (seen, settings) = (Arc::clone(&highest), settings.clone());
    let report = passed(at_once(RUNNING, requests / EACH, async move |ctx: &mut Context| {
        let ctx = ctx.http_session(settings.clone());
        for _ in 0..EACH {
            ensure!(ctx.http().get(&url).await?.bytes() == "hello");
            seen.fetch_max(descriptors(), Ordering::Relaxed);
        }
        Ok(())
    }));
    assert_eq!(outcomes(&report), [("GET", 200, None, requests)]);
    highest.load(Ordering::Relaxed)
}
