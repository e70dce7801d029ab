//! nginx over TLS: versions, its own and its clients' certificates, resumed sessions.

use std::{fs, path::Path};

use mite_core::{Context, Result, ensure};
use mite_http::{Connections, HttpContext, Settings, StatusCode, TlsVersion};

use crate::common::{
    authority::{Authority, Pair},
    in_turn,
    nginx::{Nginx, connections},
    outcomes, passed, total,
};

/// What each of these servers has.
const COMMON: &str = "ssl_certificate @FOLDER@/server.pem; ssl_certificate_key @FOLDER@/server.key;
    ssl_session_cache shared:sessions:1m;";

struct Secured {
    nginx: Nginx,
    authority: Authority,
}

impl Secured {
    /// nginx with these servers, whose certificate is for localhost.
    fn start(servers: &str) -> Option<Self> {
        Self::with(servers, "the servers' authority", |authority| authority.issue("localhost"))
    }

    fn with(servers: &str, authority: &str, issue: impl FnOnce(&Authority) -> Pair) -> Option<Self> {
        let authority = Authority::new(authority);
        let pair = issue(&authority);
        let nginx = Nginx::start(&format!("{COMMON} {servers}"), |folder| write(folder, &authority, &pair))?;
        Some(Self { nginx, authority })
    }

    fn url(&self, number: usize) -> String {
        format!("https://localhost:{}/", self.nginx.port(number))
    }

    /// Settings that trust the server.
    fn trusting(&self) -> Settings {
        crate::common::settings().only_root_certificates(&self.authority.pem)
    }
}

fn write(folder: &Path, authority: &Authority, pair: &Pair) {
    fs::write(folder.join("authority.pem"), &authority.pem).unwrap();
    fs::write(folder.join("server.pem"), pair.pem()).unwrap();
    fs::write(folder.join("server.key"), pair.key_pem()).unwrap();
}

/// What came of a request: its status, or the class of its error and its text.
async fn ask(ctx: &mut Context, settings: &Settings, url: &str) -> Result<StatusCode, (&'static str, String)> {
    let ctx = ctx.http_session(settings.clone());
    let answer = ctx.http().get(url).await;
    answer.map(|answer| answer.status()).map_err(|error| (error.class(), error.to_string()))
}

#[test]
fn each_version_is_spoken_and_refused_as_the_session_says() {
    let servers = "server { listen 127.0.0.1:@PORT0@ ssl; ssl_protocols TLSv1.2; location / { return 200 hello; } }
        server { listen 127.0.0.1:@PORT1@ ssl; ssl_protocols TLSv1.3; location / { return 200 hello; } }";
    let Some(server) = Secured::start(servers) else { return };
    let (old, new) = (server.url(0), server.url(1));
    let (any, newest) = (server.trusting(), server.trusting().min_tls_version(TlsVersion::V1_3));
    let report = passed(in_turn(3, async move |ctx: &mut Context| {
        ensure!(ask(ctx, &any, &old).await == Ok(StatusCode::OK));
        ensure!(ask(ctx, &any, &new).await == Ok(StatusCode::OK));
        ensure!(ask(ctx, &newest, &new).await == Ok(StatusCode::OK));
        let refused = ask(ctx, &newest, &old).await;
        ensure!(matches!(&refused, Err(("tls", text)) if text.contains("version")), "{refused:?}");
        Ok(())
    }));
    assert_eq!(outcomes(&report), [("GET", 0, Some("tls"), 3), ("GET", 200, None, 9)]);
    let log = server.nginx.end();
    let versions = |tls| log.iter().filter(|logged| logged.tls == tls).count();
    assert_eq!((versions("TLSv1.2"), versions("TLSv1.3"), log.len()), (3, 6, 9));
    assert_eq!(total(&report, |row| row.tls.count()), connections(&log).len() as u64);
}

#[test]
fn certificates_are_verified_unless_the_session_says_otherwise() {
    let servers = "server { listen 127.0.0.1:@PORT0@ ssl; location / { return 200 hello; } }";
    let Some(good) = Secured::start(servers) else { return };
    let expired = Secured::with(servers, "another authority", |authority| authority.issue_expired("localhost"));
    let Some(expired) = expired else { return };
    let (good_url, expired_url) = (good.url(0), expired.url(0));
    let (trusting, other) = (good.trusting(), expired.trusting());
    let anything = crate::common::settings().danger_accept_invalid_certs(true);
    let report = passed(in_turn(3, async move |ctx: &mut Context| {
        ensure!(ask(ctx, &trusting, &good_url).await == Ok(StatusCode::OK));
        let unknown = ask(ctx, &other, &good_url).await;
        ensure!(matches!(&unknown, Err(("tls", text)) if text.contains("nobody known")), "{unknown:?}");
        let expired = ask(ctx, &other, &expired_url).await;
        ensure!(matches!(&expired, Err(("tls", text)) if text.contains("expired")), "{expired:?}");
        ensure!(ask(ctx, &anything, &expired_url).await == Ok(StatusCode::OK));
        Ok(())
    }));
    assert_eq!(outcomes(&report), [("GET", 0, Some("tls"), 6), ("GET", 200, None, 6)]);
    assert_eq!((good.nginx.end().len(), expired.nginx.end().len()), (3, 3));
}

#[test]
fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let servers = "server { listen 127.0.0.1:@PORT0@ ssl; ssl_verify_client on;
            ssl_client_certificate @FOLDER@/authority.pem; location / { return 200 hello; } }";
    let Some(server) = Secured::start(servers) else { return };
    let (known, stranger) = (server.authority.issue("ann"), Authority::new("a stranger").issue("eve"));
    let without = server.trusting();
    let ann = server.trusting().client_certificate(known.pem(), known.key_pem());
    let eve = server.trusting().client_certificate(stranger.pem(), stranger.key_pem());
    let url = server.url(0);
    let report = passed(in_turn(3, async move |ctx: &mut Context| {
        ensure!(ask(ctx, &ann, &url).await == Ok(StatusCode::OK));
        // nginx lets everybody shake hands, and then tells them why they get nothing.
        ensure!(ask(ctx, &without, &url).await == Ok(StatusCode::BAD_REQUEST));
        ensure!(ask(ctx, &eve, &url).await == Ok(StatusCode::BAD_REQUEST));
        Ok(())
    }));
    assert_eq!(outcomes(&report), [("GET", 200, None, 3), ("GET", 400, None, 6)]);
    let log = server.nginx.end();
    let verified = |begins: &str| log.iter().filter(|logged| logged.client_certificate.starts_with(begins)).count();
    assert_eq!((verified("SUCCESS"), verified("NONE"), verified("FAILED")), (3, 3, 3), "{log:#?}");
}

#[test]
fn sessions_are_resumed_unless_told_otherwise() {
    let servers = "server { listen 127.0.0.1:@PORT0@ ssl; ssl_protocols TLSv1.2; location / { return 200 hello; } }
        server { listen 127.0.0.1:@PORT1@ ssl; ssl_protocols TLSv1.3; location / { return 200 hello; } }";
    for (resumes, resumed_at_most) in [(true, 8), (false, 0)] {
        let Some(server) = Secured::start(servers) else { return };
        let urls = [server.url(0), server.url(1)];
        let settings = server.trusting().connections(Connections::PerRequest).tls_session_resumption(resumes);
        let report = passed(in_turn(1, async move |ctx: &mut Context| {
            for url in &urls {
                for _ in 0..5 {
                    ensure!(ask(ctx, &settings, url).await == Ok(StatusCode::OK));
                }
            }
            Ok(())
        }));
        assert_eq!(outcomes(&report), [("GET", 200, None, 10)]);
        assert_eq!(total(&report, |row| row.tls.count()), 10, "a resumed handshake is one, too");
        let log = server.nginx.end();
        assert_eq!(log.iter().filter(|logged| logged.is_resumed).count(), resumed_at_most, "{log:#?}");
    }
}
