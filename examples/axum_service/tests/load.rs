//! `cargo test -p axum-service-example`: does the service keep what it promises while many use it at once?
//!
//! The service runs in the process of the test, in its runtime; the run has threads of its own, so that neither waits for the other.

use std::collections::BTreeMap;

use axum_service_example::{Count, Votes, app};
use mite::http::StatusCode;
use mite::prelude::*;
use mite::threshold::{count, ms, p99};
use tokio::net::TcpListener;

#[mite_http(base = "app_url")]
async fn vote(ctx: &mut Context, choice: &'static str) -> Result {
    ctx.transaction("Vote", async |ctx| {
        let response = ctx.http().post(format!("/votes/{choice}")).name("/votes/{choice}").await?;
        ensure!(response.status() == StatusCode::CREATED, "{response:?}");
        ensure!(response.json::<Count>()?.choice == choice);
        Ok(())
    })
    .await
}

#[mite_http(base = "app_url")]
async fn watch(ctx: &mut Context) -> Result {
    ctx.transaction("Counts", async |ctx| {
        ctx.http().get("/votes").await?.error_for_status()?;
        Ok(())
    })
    .await
}

/// Starts the service on a free port; it ends with the test's runtime.
async fn spawn_app(votes: Votes) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app(votes)).await });
    Ok(url)
}

#[tokio::test]
async fn no_vote_is_lost_and_none_takes_long() -> Result {
    let votes = Votes::default();
    let ballots = (0..400).map(|number| (if number % 4 == 0 { "coffee" } else { "tea" },));
    let scenario = Scenario::new().journey(vote, IterableDataPool::new(ballots), constant(200, 2 * SECOND)).journey(
        watch,
        NoData,
        constant(20, 2 * SECOND),
    );
    let report = Run::new(scenario)
        .config("app_url", spawn_app(votes.clone()).await?)
        // Starts may be late where other tests run beside this one: what is promised here is the service's.
        .max_start_lag(SECOND)
        .run()
        .await?;

    report.assert_no_errors();
    report.assert_all([count("Vote").at_least(400), p99("Vote").under(ms(500)), p99("Counts").under(ms(500))]);
    // Two counts: the report has what was answered, and the service what it has done.
    assert_eq!(votes.counts(), BTreeMap::from([("coffee".to_owned(), 100), ("tea".to_owned(), 300)]));
    Ok(())
}
