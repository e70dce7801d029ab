//! An error of a request says what went wrong with which request, and where in the journey.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use mite::prelude::*;
use mite::{ErrorReport, Report, Verdict};
use serde_json::json;

use crate::common::accounted;
use crate::server::Server;

/// The report's only kind of error.
#[track_caller]
fn only_error(report: &Report) -> &ErrorReport {
    assert_eq!(report.errors.len(), 1, "{report}");
    &report.errors[0]
}

#[track_caller]
fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

/// The line of the `.await?` in [`buy`]: of a chain over several lines, the compiler tells where it begins.
const AWAITED: u32 = line!() + 6;

#[mite_http(base = "app_url", timeout = "10s")]
async fn buy(ctx: &mut Context) -> Result {
    ctx.transaction("Buy", async |ctx| {
        let order = json!({"item": "a chair", "colour": "the colour of the floor, if there is one in that colour"});
        ctx.http()
            .post("/buy")
            .json(&order)
            .header("x-shop", "one with a name that takes up the rest of a line")
            .await?
            .error_for_status()?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_that_is_not_there_fails_every_journey_where_it_is_asked() {
    // Bound, but never listening: connections are refused, and nobody else gets the port meanwhile.
    let unused = tokio::net::TcpSocket::new_v4().unwrap();
    unused.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = unused.local_addr().unwrap();

    let scenario = Scenario::new().journey(buy, NoData, constant(100, SECOND));
    let run = Run::new(scenario).config("app_url", format!("http://{address}")).graceful_stop(20 * SECOND);
    // However busy the machine is: the verdict is to be about the service.
    let report = accounted(run.max_start_lag(MINUTE)).await;

    assert_eq!(report.verdict, Verdict::Failed);
    // Nothing waited for the graceful stop.
    assert!(report.duration < Duration::from_secs(20), "{report}");
    let row = report.journey("buy");
    assert_eq!((row.planned, row.started, row.failed), (100, 100, 100));
    let error = only_error(&report);
    assert_eq!((error.count, &*error.ex_type, &*error.transaction), (100, "HttpError", "Buy"));
    assert_eq!(error.location, format!("{}:{AWAITED}:buy", file!()));
    assert_contains(
        &error.message,
        &[&format!("HttpError: POST http://{address}/buy: failed to connect to {address}"), "refused"],
    );
    assert_eq!(report.requests.len(), 1);
    let requests = &report.requests[0];
    assert_eq!((&*requests.method, requests.code, requests.error.as_deref()), ("POST", 0, Some("connect")));
    assert_eq!((requests.count, requests.time.count(), requests.bytes), (100, 100, 0));
    assert_eq!((requests.connect.count(), requests.first_byte.count()), (0, 0));
}

#[tokio::test]
async fn a_base_that_is_not_configured_is_told_with_the_keys_that_are() {
    let scenario = Scenario::new().journey(buy, NoData, constant(10, SECOND));
    let report = accounted(Run::new(scenario).config("app_uri", "http://localhost").config("seats", 4)).await;
    let error = only_error(&report);
    assert_eq!(error.count, 10);
    assert_contains(&error.message, &["\"app_url\"", "app_uri, seats"]);
    // Nothing was sent.
    assert!(report.requests.is_empty(), "{report}");
}

#[mite_http(base = "app_url")]
async fn sign_in(ctx: &mut Context, password: String) -> Result {
    ctx.http().post("/session").basic_auth("ann", password).await?.error_for_status()?;
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_told_in_the_words_of_the_service() {
    let sign_in_page = async |headers: axum::http::HeaderMap| {
        // ann:right
        if headers["authorization"] == "Basic YW5uOnJpZ2h0" {
            (StatusCode::OK, "welcome")
        } else {
            (StatusCode::UNAUTHORIZED, "the password\nis wrong")
        }
    };
    let server = Server::start(Router::new().route("/session", post(sign_in_page))).await;
    let passwords = IterableDataPool::new(["right", "wrong", "right", "guessed"].map(|word| (word.to_owned(),)));
    let scenario = Scenario::new().journey(sign_in, passwords, constant(1, MINUTE).running());
    let report = accounted(Run::new(scenario).config("app_url", server.url())).await;

    let row = report.journey("sign_in");
    assert_eq!((row.completed, row.failed), (2, 2));
    let error = only_error(&report);
    assert_eq!(error.count, 2);
    let url = server.url();
    assert_eq!(
        error.message,
        format!("HttpError: POST {url}/session: status 401 Unauthorized: `the password is wrong`")
    );
    // It is counted as what it is, a response.
    assert_eq!(server.answered("POST /session 401"), 2);
    let codes: Vec<_> = report.requests.iter().map(|row| (row.code, row.count, row.error.as_deref())).collect();
    assert_eq!(codes, [(200, 2, None), (401, 2, None)]);
}

#[mite_http(base = "app_url")]
async fn read_users(ctx: &mut Context) -> Result {
    #[derive(serde::Deserialize)]
    struct Users {
        users: Vec<User>,
    }
    #[derive(serde::Deserialize)]
    struct User {
        age: u8,
    }
    let Users { users } = ctx.http().get("/users").await?.json()?;
    ensure!(users.iter().all(|user| user.age > 0));
    Ok(())
}

#[tokio::test]
async fn a_body_of_another_type_is_told_with_the_field() {
    let users = r#"{"users": [{"age": 40}, {"age": "old"}]}"#;
    let server = Server::start(Router::new().route("/users", get(async move || users))).await;
    let scenario = Scenario::new().journey(read_users, NoData, constant(5, SECOND));
    let report = accounted(Run::new(scenario).config("app_url", server.url())).await;
    let error = only_error(&report);
    assert_eq!(error.count, 5);
    assert_contains(&error.message, &["/users: failed to decode the body as JSON at `users[1].age`", "\"old\"", "u8"]);
    assert_eq!(server.answered("GET /users 200"), 5);
}
