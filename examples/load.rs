//! `cargo run --release --example load -- scenario test open --set url=http://localhost:8080/ --set rate=1000`: the smallest
//! load generator, which the benchmarks use.
//!
//! Scenarios: `open` (url, rate, seconds) and `closed` (url, running, seconds) send one GET in one transaction; `noop` (rate,
//! seconds) starts empty journeys; `sleep` (running, seconds, `pause_ms`) holds journeys that only wait.

use std::time::Duration;

use mite::prelude::*;

async fn get(ctx: &mut Context, url: String) -> Result {
    ctx.transaction("test", async |ctx| {
        ctx.http().get(&url).await?.error_for_status()?;
        Ok(())
    })
    .await
}

fn open(config: &mut Config) -> Result<Scenario> {
    let url: String = config.get("url")?;
    let journey = async move |ctx: &mut Context| get(ctx, url.clone()).await;
    let rate: f64 = config.get_or("rate", 1000.0)?;
    Ok(Scenario::new().row(Row::new(journey, NoData, constant(rate, seconds(config)?)).named("load:open")))
}

fn closed(config: &mut Config) -> Result<Scenario> {
    let url: String = config.get("url")?;
    let journey = async move |ctx: &mut Context| get(ctx, url.clone()).await;
    let running: u64 = config.get_or("running", 64)?;
    let volume = constant(Volume::running(running), seconds(config)?);
    Ok(Scenario::new().row(Row::new(journey, NoData, volume).named("load:closed")))
}

fn noop(config: &mut Config) -> Result<Scenario> {
    let rate: f64 = config.get_or("rate", 1000.0)?;
    let journey = async |_ctx: &mut Context| Ok(());
    Ok(Scenario::new().row(Row::new(journey, NoData, constant(rate, seconds(config)?)).named("load:noop")))
}

fn sleep(config: &mut Config) -> Result<Scenario> {
    let running: u64 = config.get_or("running", 1000)?;
    let pause = Duration::from_millis(config.get_or("pause_ms", 1000)?);
    let journey = async move |ctx: &mut Context| {
        ctx.transaction("test", async |_| {
            tokio::time::sleep(pause).await;
            Ok(())
        })
        .await
    };
    let volume = constant(Volume::running(running), seconds(config)?);
    Ok(Scenario::new().row(Row::new(journey, NoData, volume).named("load:sleep")))
}

fn seconds(config: &Config) -> Result<Duration> {
    let seconds: f64 = config.get_or("seconds", 10.0)?;
    Ok(Duration::try_from_secs_f64(seconds)?)
}

mite::main!(open, closed, noop, sleep);
