//! Every request is counted once, where it belongs: under its transaction, its method and its code.

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use mite::prelude::*;
use mite::{Report, RequestReport};
use serde_json::{Value, json};

use crate::common::accounted;
use crate::server::Server;

/// Creates users, unless they are called `nobody`, and shows a page of 1000 bytes and a style of 10.
fn app() -> Router {
    let create = async |Json(user): Json<Value>| match user["name"].as_str() {
        Some("nobody") | None => (StatusCode::CONFLICT, "taken"),
        Some(_) => (StatusCode::CREATED, "made"),
    };
    Router::new()
        .route("/users", post(create))
        .route("/page", get(async || "p".repeat(1000)))
        .route("/style", get(async || "s".repeat(10)))
}

/// The report's only row of these requests.
#[track_caller]
fn requests<'a>(report: &'a Report, transaction: &str, method: &str, code: u16) -> &'a RequestReport {
    let same = |row: &&RequestReport| (&*row.transaction, &*row.method, row.code) == (transaction, method, code);
    let rows: Vec<_> = report.requests.iter().filter(same).collect();
    assert_eq!(rows.len(), 1, "{transaction} {method} {code}\n{report}");
    rows[0]
}

fn names(count: u64) -> IterableDataPool<(String,)> {
    // Every tenth is refused.
    IterableDataPool::new((0..count).map(|n| (if n % 10 == 9 { "nobody".to_owned() } else { format!("user{n}") },)))
}

#[tokio::test]
async fn a_closure_needs_no_attribute() {
    let server = Server::start(app()).await;
    let url = server.url();
    let visit = async move |ctx: &mut Context, name: String| {
        ctx.http().get(format!("{url}/page")).await?.error_for_status()?;
        ctx.transaction("Sign up", async |ctx| {
            ctx.http().post(format!("{url}/users")).json(&json!({"name": name})).await?;
            Ok(())
        })
        .await
    };
    let row = Row::new(visit, names(100), constant(5, MINUTE).running()).named("visit");
    let report = accounted(Run::new(Scenario::new().row(row)).workers(2)).await;

    report.assert_no_errors();
    assert!(report.passed());
    assert_eq!(report.journey("visit").completed, 100);
    assert_eq!(report.requests.len(), 3);
    let (page, made, taken) = (
        requests(&report, "__root__", "GET", 200),
        requests(&report, "Sign up", "POST", 201),
        requests(&report, "Sign up", "POST", 409),
    );
    assert_eq!((page.count, page.bytes, page.time.count()), (100, 100_000, 100));
    assert_eq!((made.count, made.bytes), (90, 90 * 4));
    assert_eq!((taken.count, taken.bytes), (10, 10 * 5));
    assert_eq!(server.answered("GET /page 200"), page.count);
    assert_eq!(server.answered("POST /users 201"), made.count);
    assert_eq!(server.answered("POST /users 409"), taken.count);
}

#[mite_http(base = "app_url", timeout = "10s")]
async fn sign_up(ctx: &mut Context, name: String) -> Result {
    ctx.transaction("Sign up", async |ctx| {
        ctx.http().post("/users").json(&json!({"name": name})).await?.error_for_status()?;
        ctx.transaction("Look", async |ctx| {
            ctx.http().get("page").await?.error_for_status()?;
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn the_attribute_says_where_relative_urls_stand() {
    let server = Server::start(app()).await;
    // An open model this time: a rate.
    let scenario = Scenario::new().journey(sign_up, names(50), constant(100, SECOND));
    let report = accounted(Run::new(scenario).config("app_url", server.url())).await;

    let row = report.journey("sign_up");
    assert_eq!((row.completed, row.failed), (45, 5));
    let (made, taken) = (requests(&report, "Sign up", "POST", 201), requests(&report, "Sign up", "POST", 409));
    let page = requests(&report, "Sign up :: Look", "GET", 200);
    assert_eq!((made.count, taken.count, page.count), (45, 5, 45));
    assert_eq!(server.answered("POST /users 201"), made.count);
    assert_eq!(server.answered("POST /users 409"), taken.count);
    assert_eq!(server.answered("GET /page 200"), page.count);
    assert_eq!((report.transaction("Sign up").count, report.transaction("Sign up").errors), (50, 5));
    assert_eq!((report.transaction("Sign up :: Look").count, report.transaction("Sign up :: Look").errors), (45, 0));
}

#[mite_http(base = "app_url")]
async fn look(ctx: &mut Context, _number: u64) -> Result {
    let outer = ctx.http();
    ctx.transaction("Look", async |ctx| {
        let http = ctx.http();
        // Two at once through one handle, and one through a handle that was taken elsewhere.
        let (page, style, other) =
            tokio::join!(http.get("/page").send(), http.get("/style").send(), outer.get("/page").send());
        ensure!(page?.bytes().len() == 1000);
        ensure!(style?.bytes().len() == 10);
        ensure!(other?.bytes().len() == 1000);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn requests_belong_to_the_transaction_in_which_their_handle_was_taken() {
    let server = Server::start(app()).await;
    let numbers = IterableDataPool::new((0..30_u64).map(|n| (n,)));
    let scenario = Scenario::new().journey(look, numbers, constant(3, MINUTE).running());
    let report = accounted(Run::new(scenario).config("app_url", server.url())).await;

    report.assert_no_errors();
    let (inner, outer) = (requests(&report, "Look", "GET", 200), requests(&report, "__root__", "GET", 200));
    assert_eq!((inner.count, inner.bytes), (60, 30 * 1010));
    assert_eq!((outer.count, outer.bytes), (30, 30_000));
    assert_eq!(server.answered("GET /page 200") + server.answered("GET /style 200"), inner.count + outer.count);
}

#[tokio::test]
async fn phases_are_counted_for_the_requests_that_had_them() {
    let server = Server::start(app()).await;
    for (url, resolved) in [(server.url(), false), (server.url_by_name(), true)] {
        let before = server.accepted();
        let numbers = IterableDataPool::new((0..50_u64).map(|n| (n,)));
        let scenario = Scenario::new().journey(look, numbers, constant(2, MINUTE).running());
        let report = accounted(Run::new(scenario).config("app_url", &url)).await;

        report.assert_no_errors();
        let rows = [requests(&report, "Look", "GET", 200), requests(&report, "__root__", "GET", 200)];
        let all = |count: fn(&RequestReport) -> u64| rows.iter().map(|row| count(row)).sum::<u64>();
        let connected = all(|row| row.connect.count());
        // Six at once are the most that two visitors can have open.
        assert!((1..=6).contains(&connected), "{connected} connections were made to {url}");
        assert_eq!(connected, server.accepted() - before);
        assert_eq!(all(|row| row.dns.count()), if resolved { connected } else { 0 });
        assert_eq!(all(|row| row.tls.count()), 0);
        assert_eq!(all(|row| row.first_byte.count()), 150);
        assert_eq!(all(|row| row.time.count()), 150);
    }
}
