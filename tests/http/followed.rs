//! What a request leads to is counted and told for each hop: redirects, names, fields, callbacks, and samples of what failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use mite::http::{CookieJar, Settings};
use mite::prelude::*;
use mite::{Report, RequestReport};
use rmpv::Value;

use crate::common::accounted;
use crate::messages::{Captured, field, names, of_type, read, text, whole};
use crate::server::Server;

/// Signs in and sends on to the user's own page, which is not always there.
fn app() -> Router {
    let page = async |headers: HeaderMap| match headers.get("cookie").map(HeaderValue::as_bytes) {
        Some(b"session=s3cret") => (StatusCode::OK, [("x-cache", "hit")], "welcome".to_owned()),
        _ => (StatusCode::FORBIDDEN, [("x-cache", "miss")], "{\"token\":\"s3cret\",\"why\":\"nobody\"}".to_owned()),
    };
    let sign_in = async || {
        ([("set-cookie", "session=s3cret; Path=/; HttpOnly")], Redirect::to("/users/7?page=1")).into_response()
    };
    Router::new()
        .route("/session", post(sign_in))
        .route("/users/{id}", get(page))
        .route("/loop", get(async || Redirect::permanent("/loop")))
}

fn requests<'a>(report: &'a Report, method: &str, name: Option<&str>, code: u16) -> &'a RequestReport {
    let same = |row: &&RequestReport| (&*row.method, row.name.as_deref(), row.code) == (method, name, code);
    let rows: Vec<_> = report.requests.iter().filter(same).collect();
    assert_eq!(rows.len(), 1, "{method} {name:?} {code}\n{report}");
    rows[0]
}

fn counting(seen: Arc<AtomicU64>) -> Settings {
    Settings::new().base("app_url").on_response(move |hop, fields| {
        seen.fetch_add(1, Ordering::Relaxed);
        if let Some(cache) = hop.headers().get("x-cache") {
            fields.add("cache", cache.to_str().unwrap());
        }
        fields.add("read", hop.body().map(mite::http::Bytes::len));
        assert_eq!(hop.name(), Some("sign in"));
    })
}

#[mite_http(settings = counting(seen))]
async fn sign_in(ctx: &mut Context, seen: Arc<AtomicU64>) -> Result {
    let response = ctx
        .http()
        .post("/session")
        .name("sign in")
        .field("attempt", 1)
        .form(&[("name", "ann"), ("password", "s3cret")])
        .await?
        .error_for_status()?;
    ensure!(response.text()? == "welcome");
    ensure!(response.url().path() == "/users/7" && response.history().len() == 1);
    ensure!(response.to_curl().contains("-H 'cookie: session=s3cret'"), "{}", response.to_curl());
    ensure!(response.history()[0].to_curl().contains("--data-raw 'name=ann&password=s3cret'"));
    let cookie = ctx.http().cookies().get("/", "session")?;
    ensure!(cookie.is_some_and(|cookie| cookie.value() == "s3cret" && cookie.http_only()));
    Ok(())
}

#[tokio::test]
async fn each_hop_is_counted_told_and_shown_to_the_callback() {
    const VISITS: u64 = 20;
    let server = Server::start(app()).await;
    let seen = Arc::new(AtomicU64::new(0));
    let pool = IterableDataPool::new((0..VISITS).map({
        let seen = Arc::clone(&seen);
        move |_| (Arc::clone(&seen),)
    }));
    let captured = Captured::default();
    let scenario = Scenario::new().journey(sign_in, pool, constant(2, MINUTE).running());
    let run = Run::new(scenario).config("app_url", server.url()).workers(2).sink(captured.clone());
    let report = accounted(run.run()).await;

    report.assert_no_errors();
    let (redirected, answered) =
        (requests(&report, "POST", Some("sign in"), 303), requests(&report, "GET", Some("sign in"), 200));
    assert_eq!((redirected.count, answered.count, answered.bytes), (VISITS, VISITS, VISITS * 7));
    assert_eq!(server.answered("POST /session 303"), VISITS);
    assert_eq!(server.answered("GET /users/7 200"), VISITS);
    assert_eq!(seen.load(Ordering::Relaxed), 2 * VISITS);
    assert!(report.failed_exchanges().is_empty());

    let messages = read(&captured.0.lock().unwrap());
    let metrics = of_type(&messages, "http_metrics");
    assert_eq!(metrics.len() as u64, 2 * VISITS);
    for message in metrics {
        let own = &names(message)[12..];
        let first = text(message, "method") == "POST";
        let expected: &[&str] =
            if first { &["name", "attempt", "read"] } else { &["name", "attempt", "cache", "read"] };
        assert_eq!(&own[..expected.len()], expected);
        assert_eq!(own[expected.len()], "type");
        assert_eq!((text(message, "name"), whole(message, "attempt")), ("sign in", 1));
        assert_eq!(whole(message, "response_code"), if first { 303 } else { 200 });
        assert_eq!(whole(message, "read"), whole(message, "download_size"));
        assert_eq!(field(message, "cache").and_then(Value::as_str), if first { None } else { Some("hit") });
        let path = if first { "/session" } else { "/users/7?page=1" };
        assert_eq!(text(message, "effective_url"), format!("{}{path}", server.url()));
    }
}

#[mite_http(base = "app_url")]
async fn peek(ctx: &mut Context, id: u64) -> Result {
    let user = ctx.http().get(format!("/users/{id}?token=s3cret")).name("/users/{id}").bearer_auth("s3cret");
    user.await?.error_for_status()?;
    Ok(())
}

#[tokio::test]
async fn what_failed_is_told_once_for_all_ids_and_shown_without_secrets() {
    let server = Server::start(app()).await;
    let pool = IterableDataPool::new((0..50_u64).map(|id| (id,)));
    let scenario = Scenario::new().journey(peek, pool, constant(5, MINUTE).running());
    let report = accounted(Run::new(scenario).config("app_url", server.url()).run()).await;

    assert_eq!(requests(&report, "GET", Some("/users/{id}"), 403).count, 50);
    assert_eq!(report.errors.len(), 1, "{report}");
    let told = format!("HttpError: GET {}/users/{{id}}: status 403 Forbidden", server.url());
    assert!(report.errors[0].message.starts_with(&told) && report.errors[0].count == 50, "{report}");

    // At most two of a kind are kept.
    let [first, second] = report.failed_exchanges() else { panic!("{report}") };
    for exchange in [first, second] {
        assert_eq!((exchange.code, exchange.name.as_deref()), (403, Some("/users/{id}")));
        assert!(exchange.url.starts_with(&format!("{}/users/", server.url())), "{}", exchange.url);
        assert!(exchange.url.ends_with("?token=***"), "{}", exchange.url);
        assert!(
            exchange.request.starts_with("GET /users/") && exchange.request.contains("authorization: Bearer ***\n")
        );
        assert!(exchange.response.starts_with("HTTP/1.1 403 Forbidden\n"), "{}", exchange.response);
        assert!(exchange.response.ends_with("\n\n{\"token\":\"***\",\"why\":\"nobody\"}"), "{}", exchange.response);
        let whole = format!("{exchange:?}");
        assert!(!whole.contains("s3cret"), "{whole}");
    }
}

#[tokio::test]
async fn a_redirect_without_end_fails_the_journey_and_not_the_responses() {
    let server = Server::start(app()).await;
    let url = format!("{}/loop", server.url());
    let visit = async move |ctx: &mut Context| {
        let error = ctx.http().get(&url).redirects(3).await.unwrap_err();
        ensure!(error.class() == "redirect", "{error}");
        ensure!(ctx.http().get(&url).no_redirects().await?.status() == StatusCode::PERMANENT_REDIRECT);
        Ok(())
    };
    let row = Row::new(visit, NoData, constant(1, SECOND)).named("visit");
    let report = accounted(Run::new(Scenario::new().row(row)).run()).await;
    report.assert_no_errors();
    assert_eq!(requests(&report, "GET", None, 308).count, 5);
    assert_eq!(server.answered("GET /loop 308"), 5);
}

#[mite_http(settings = Settings::new().base("app_url").cookie_jar(jar))]
async fn come_back(ctx: &mut Context, jar: CookieJar, first: bool) -> Result {
    if first {
        ctx.http().post("/session").no_redirects().await?.error_for_status()?;
    }
    ctx.http().get("/users/7").await?.error_for_status()?;
    Ok(())
}

#[tokio::test]
async fn a_jar_from_a_pool_is_a_user_who_comes_back() {
    let server = Server::start(app()).await;
    let jar = CookieJar::new();
    let visits = IterableDataPool::new([true, false, false].map(|first| (jar.clone(), first)));
    let scenario = Scenario::new().journey(come_back, visits, constant(1, MINUTE).running());
    let report = accounted(Run::new(scenario).config("app_url", server.url()).run()).await;
    report.assert_no_errors();
    assert_eq!(server.answered("GET /users/7 200"), 3);
}

#[tokio::test]
async fn a_callback_that_panics_fails_the_journey_after_its_request_is_counted() {
    let server = Server::start(app()).await;
    let url = format!("{}/loop", server.url());
    let visit = async move |ctx: &mut Context| {
        let settings = Settings::new().on_response(|_hop, fields| fields.add("primary_ip", "mine"));
        let ctx = ctx.http_session(settings);
        ctx.http().get(&url).await?;
        Ok(())
    };
    let row = Row::new(visit, NoData, constant(1, SECOND)).named("visit");
    let report = accounted(Run::new(Scenario::new().row(row)).run()).await;
    assert_eq!(requests(&report, "GET", None, 308).count, 1);
    assert_eq!(report.errors.len(), 1, "{report}");
    let message = &report.errors[0].message;
    assert!(message.contains("panic: on_response: a field cannot be called `primary_ip`"), "{message}");
}

#[tokio::test]
async fn what_has_no_response_is_shown_with_its_error() {
    let unused = tokio::net::TcpSocket::new_v4().unwrap();
    unused.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://ann:s3cret@{}/x", unused.local_addr().unwrap());
    let visit = async move |ctx: &mut Context| {
        ctx.http().put(&url).json(&[1]).await?;
        Ok(())
    };
    let row = Row::new(visit, NoData, constant(1, SECOND)).named("visit");
    let report = accounted(Run::new(Scenario::new().row(row)).run()).await;
    let [exchange] = report.failed_exchanges() else { panic!("{report}") };
    assert_eq!((exchange.code, exchange.error.as_deref(), &*exchange.response), (0, Some("connect"), ""));
    let message = exchange.message.as_deref().unwrap();
    assert!(message.starts_with("failed to connect to 127.0.0.1:") && message.contains("refused"), "{message}");
    assert!(exchange.request.starts_with("PUT /x\n") && exchange.request.ends_with("\n\n[1]"), "{}", exchange.request);
    assert!(exchange.request.contains("authorization: Basic ***\n") && !format!("{exchange:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_mistake_in_a_name_or_a_field_sends_nothing() {
    let visit = async move |ctx: &mut Context| {
        let http = ctx.http();
        for (request, why) in [
            (http.get("http://localhost/").name(""), "its name has 0 bytes"),
            (http.get("http://localhost/").name("x".repeat(201)), "its name has 201 bytes"),
            (http.get("http://localhost/").field("method", 1), "a field cannot be called `method`"),
            (http.get("http://localhost/").field("type", 1), "a field cannot be called `type`"),
        ] {
            ensure!(request.to_curl().starts_with("# nothing would be sent"), "{}", request.to_curl());
            let error = request.await.unwrap_err();
            ensure!(error.class() == "request" && error.to_string().contains(why), "{error}");
        }
        Ok(())
    };
    let row = Row::new(visit, NoData, constant(1, SECOND)).named("visit");
    let report = accounted(Run::new(Scenario::new().row(row)).run()).await;
    report.assert_no_errors();
    assert!(report.requests.is_empty());
}
