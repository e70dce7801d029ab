//! `cargo run --release --example load -- scenario test open --set url=http://localhost:8080/ --set rate=1000`: a small
//! load generator, which the benchmarks use.
//!
//! Scenarios: `open` (url, rate, seconds) and `closed` (url, running, seconds) send one GET in one transaction; `post` is
//! `closed` with JSON both ways, `download` is `closed` with responses that are read and forgotten; `hold` (url, running,
//! seconds) has journeys that each hold a connection; `noop` (rate, seconds) starts empty journeys; `sleep` (running, seconds,
//! `pause_ms`) has journeys that only wait. `target.rs` says which settings connections have.

mod target;

use std::time::Duration;

use mite::{prelude::*, volume::Stages};
use target::Target;

fn open(config: &mut Config) -> Result<Scenario> {
    let target = Target::new(config)?;
    let journey = async move |ctx: &mut Context| target.get(ctx).await;
    let rate: f64 = config.get_or("rate", 1000.0)?;
    Ok(Scenario::new().row(Row::new(journey, NoData, constant(rate, seconds(config)?)).named("load:open")))
}

fn closed(config: &mut Config) -> Result<Scenario> {
    let target = Target::new(config)?;
    let journey = async move |ctx: &mut Context| target.get(ctx).await;
    Ok(Scenario::new().row(Row::new(journey, NoData, running(config, 64)?).named("load:closed")))
}

fn post(config: &mut Config) -> Result<Scenario> {
    let target = Target::new(config)?;
    let journey = async move |ctx: &mut Context| target.post(ctx).await;
    Ok(Scenario::new().row(Row::new(journey, NoData, running(config, 64)?).named("load:post")))
}

fn download(config: &mut Config) -> Result<Scenario> {
    let target = Target::new(config)?;
    let journey = async move |ctx: &mut Context| target.download(ctx).await;
    Ok(Scenario::new().row(Row::new(journey, NoData, running(config, 64)?).named("load:download")))
}

/// All connections are opened in the first half of the time, and held for the whole of it.
fn hold(config: &mut Config) -> Result<Scenario> {
    let target = Target::new(config)?.connection_of_its_own();
    let held = seconds(config)?;
    let journey = async move |ctx: &mut Context| target.hold(ctx, held).await;
    let volume = constant(Volume::running(config.get_or("running", 1000)?), held / 2);
    Ok(Scenario::new().row(Row::new(journey, NoData, volume).named("load:hold")))
}

fn noop(config: &mut Config) -> Result<Scenario> {
    let rate: f64 = config.get_or("rate", 1000.0)?;
    let journey = async |_ctx: &mut Context| Ok(());
    Ok(Scenario::new().row(Row::new(journey, NoData, constant(rate, seconds(config)?)).named("load:noop")))
}

fn sleep(config: &mut Config) -> Result<Scenario> {
    let pause = Duration::from_millis(config.get_or("pause_ms", 1000)?);
    let journey = async move |ctx: &mut Context| {
        ctx.transaction("test", async |_| {
            tokio::time::sleep(pause).await;
            Ok(())
        })
        .await
    };
    Ok(Scenario::new().row(Row::new(journey, NoData, running(config, 1000)?).named("load:sleep")))
}

fn running(config: &Config, default: u64) -> Result<Stages> {
    Ok(constant(Volume::running(config.get_or("running", default)?), seconds(config)?))
}

fn seconds(config: &Config) -> Result<Duration> {
    let seconds: f64 = config.get_or("seconds", 10.0)?;
    Ok(Duration::try_from_secs_f64(seconds)?)
}

mite::main!(open, closed, post, download, hold, noop, sleep);
