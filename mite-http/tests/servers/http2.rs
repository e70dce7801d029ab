//! nginx over HTTP/2: chosen in the handshake and known beforehand, many requests at once, and its goodbyes.

use std::fs;

use mite_core::{Context, ensure};
use mite_http::{HttpContext, HttpVersion, Settings, Version};

use crate::common::{
    at_once,
    authority::Authority,
    nginx::{Nginx, connections},
    outcomes, passed, total,
};

/// nginx with HTTP/2 over TLS on its first port, in the clear on its second, HTTP/1.1 over TLS on its third; and settings
/// that trust it.
fn start(options: &str) -> Option<(Nginx, Settings)> {
    let authority = Authority::new("the servers' authority");
    let pair = authority.issue("localhost");
    let servers = format!(
        "ssl_certificate @FOLDER@/server.pem; ssl_certificate_key @FOLDER@/server.key; {options}
        server {{ listen 127.0.0.1:@PORT0@ ssl http2; location / {{ return 200 hello; }} }}
        server {{ listen 127.0.0.1:@PORT1@ http2; location / {{ return 200 hello; }} }}
        server {{ listen 127.0.0.1:@PORT2@ ssl; location / {{ return 200 hello; }} }}"
    );
    let nginx = Nginx::start(&servers, |folder| {
        fs::write(folder.join("server.pem"), pair.pem()).unwrap();
        fs::write(folder.join("server.key"), pair.key_pem()).unwrap();
    })?;
    Some((nginx, crate::common::settings().only_root_certificates(&authority.pem)))
}

/// A journey that sends ten requests, one after the other.
fn asks(
    url: String,
    settings: Settings,
    version: Version,
) -> impl AsyncFn(&mut Context) -> mite_core::Result + Clone + Send {
    async move |ctx: &mut Context| {
        let ctx = ctx.http_session(settings.clone());
        for _ in 0..10 {
            let response = ctx.http().get(&url).await?.error_for_status()?;
            ensure!(response.text()? == "hello" && response.version() == version, "{response:?}");
        }
        Ok(())
    }
}

#[test]
fn a_hundred_requests_at_once_share_one_connection() {
    for (number, scheme, known) in [(0, "https", false), (1, "http", true)] {
        let Some((nginx, settings)) = start("keepalive_requests 10000;") else { return };
        let settings = if known { settings.http_version(HttpVersion::Http2PriorKnowledge) } else { settings };
        let url = format!("{scheme}://localhost:{}/", nginx.port(number));
        let report = passed(at_once(100, 100, asks(url, settings, Version::HTTP_2)));
        let log = nginx.end();
        assert_eq!(outcomes(&report), [("GET", 200, None, 1000)]);
        assert_eq!(connections(&log).values().collect::<Vec<_>>(), [&1000]);
        assert!(log.iter().all(|logged| logged.version == "HTTP/2.0"));
        assert_eq!(total(&report, |row| row.connect.count()), 1);
        assert_eq!(total(&report, |row| row.bytes), log.iter().map(|logged| logged.sent).sum::<u64>());
    }
}

#[test]
fn goodbyes_cost_no_request() {
    // The hundredth request of a connection is its last, as nginx then says; those beyond it have to go elsewhere.
    let Some((nginx, settings)) = start("keepalive_requests 100;") else { return };
    let url = format!("https://localhost:{}/", nginx.port(0));
    let report = passed(at_once(50, 100, asks(url, settings, Version::HTTP_2)));
    let log = nginx.end();
    assert_eq!(outcomes(&report), [("GET", 200, None, 1000)]);
    assert_eq!(log.len(), 1000, "no request is sent twice");
    assert!(connections(&log).len() >= 10, "{:?}", connections(&log));
    assert_eq!(total(&report, |row| row.connect.count()), connections(&log).len() as u64);
}

#[test]
fn the_server_chooses_and_the_session_may_insist() {
    let Some((nginx, settings)) = start("") else { return };
    let url = |number| format!("https://localhost:{}/", nginx.port(number));
    let one = settings.clone().http_version(HttpVersion::Http1);
    let reports = [
        passed(at_once(1, 1, asks(url(2), settings.clone(), Version::HTTP_11))),
        passed(at_once(1, 1, asks(url(0), one, Version::HTTP_11))),
        passed(at_once(1, 1, asks(url(0), settings, Version::HTTP_2))),
    ];
    for report in reports {
        assert_eq!(outcomes(&report), [("GET", 200, None, 10)]);
    }
    let log = nginx.end();
    let versions = |version: &str| log.iter().filter(|logged| logged.version == version).count();
    assert_eq!((versions("HTTP/1.1"), versions("HTTP/2.0")), (20, 10));
}
