//! `cargo run --release --example spike`: a spike that a service holds out, and one that it does not.
//!
//! Visitors come at an even rate, then for three seconds many times as many, then as before. Thresholds say what must hold
//! throughout; a condition ends the run early where going on would tell nothing more.

mod common;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use common::Service;
use mite::prelude::*;
use mite::threshold::{error_rate, p95, percent, secs};
use mite::{Verdict, cli};
use tokio::sync::Semaphore;

/// What the service can do: so many at once, for so long each; 200 per second.
const AT_ONCE: usize = 4;
const EACH: Duration = Duration::from_millis(20);
/// Who finds more waiting than this is sent away.
const MOST_WAITING: usize = 200;

#[mite_http(base = "app_url")]
async fn visit(ctx: &mut Context) -> Result {
    ctx.transaction("Front page", async |ctx| {
        ctx.http().get("/").await?.error_for_status()?;
        Ok(())
    })
    .await
}

/// 30 visitors per second, and `peak` per second in the spike.
fn spike(peak: u32) -> Scenario {
    let volume =
        constant(30, 2 * SECOND) + ramp(SECOND) + constant(peak, 3 * SECOND) + ramp(SECOND) + constant(30, 2 * SECOND);
    Scenario::new()
        .journey(visit, NoData, volume)
        .threshold(p95("Front page").under(secs(1)))
        .threshold(error_rate().under(percent(1.0)))
        // Half of all visits fail for two seconds: it is down, and the rest of the plan need not be sent.
        .abort_when(error_rate().over(percent(50.0)).in_each(secs(2)), secs(1))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let service = Service::start(front_page())?;
    println!("A spike of four times the usual, which the service can take:\n");
    let held = run(spike(120).named("spike of 120"), &service).await?;
    println!("And one of forty times, which it cannot:\n");
    let broken = run(spike(1200).named("spike of 1200"), &service).await?;
    ensure!(held.passed() && broken.verdict == Verdict::Aborted, "the first should pass, and the second be aborted");
    Ok(())
}

async fn run(scenario: Scenario, service: &Service) -> Result<Report> {
    // The service shares this machine, and a debug build of it is slow: that must not fail the demonstration.
    let run = Run::new(scenario).config("app_url", service.url()).max_start_lag(SECOND);
    let report = cli::until_interrupted(run).await?;
    println!("{report}");
    Ok(report)
}

/// The service under test.
fn front_page() -> Router {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let waiting = Arc::new(Semaphore::new(AT_ONCE + MOST_WAITING));
    Router::new().route(
        "/",
        get(async move || {
            let Ok(_waits) = waiting.try_acquire() else { return StatusCode::SERVICE_UNAVAILABLE };
            let Ok(_place) = places.acquire().await else { return StatusCode::INTERNAL_SERVER_ERROR };
            tokio::time::sleep(EACH).await;
            StatusCode::OK
        }),
    )
}
