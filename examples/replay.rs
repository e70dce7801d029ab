//! `cargo run --release --example replay -- access.jsonl http://localhost:8080`: an access log once more, at its original times.
//!
//! The log has a line of JSON for each request, `{"time": 1700000000.25, "path": "/products/7"}`, which nginx writes by
//! `log_format replay escape=json '{"time": $msec, "path": "$request_uri"}';`. Its times are the volume, and its paths are a pool, from
//! which the starts take them in their order. Without arguments the example makes a log and a service for it, and compares what was
//! asked for with what came.

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::Uri;
use common::Service;
use mite::cli;
use mite::prelude::*;
use mite::volume::replay;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Line {
    time: f64,
    path: String,
}

#[mite_http(base = "app_url")]
async fn ask_again(ctx: &mut Context, path: String) -> Result {
    ctx.transaction("Request", async |ctx| {
        ctx.http().get(path).name("as logged").await?.error_for_status()?;
        Ok(())
    })
    .await
}

fn replayed(log: &Path) -> Result<Scenario> {
    let paths = FileDataPool::json_lines(log)?.map(|line: Line| (line.path,));
    Ok(Scenario::new().journey(ask_again, paths, replay(log)?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let mut arguments = std::env::args().skip(1);
    if let (Some(log), Some(url)) = (arguments.next(), arguments.next()) {
        println!("{}", run(Path::new(&log), url).await?);
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("access.jsonl");
    let wanted = write_log(&log)?;
    let seen = Seen::default();
    let service = Service::start(seen.router())?;
    let report = run(&log, service.url()).await?;
    println!("{report}");
    let asked: u64 = wanted.values().sum();
    let lag = report.journey("ask_again").start_lag.percentile(99.0);
    println!("The log has {asked} requests for {} paths, and the service has seen the same.", wanted.len());
    println!("Of a hundred, 99 were sent within {lag:?} of their time in the log.");
    ensure!(seen.paths() == wanted, "they are not the same: {:?}", seen.paths());
    Ok(())
}

async fn run(log: &Path, url: String) -> Result<Report> {
    // The service may share this machine: that must not fail the demonstration.
    let run = Run::new(replayed(log)?.named("replay")).config("app_url", url).max_start_lag(SECOND);
    Ok(cli::until_interrupted(run).await?)
}

/// Five seconds of somebody's traffic: bursts, pauses, and a few pages that most people want. Gives how often each path is in it.
fn write_log(log: &Path) -> Result<BTreeMap<String, u64>> {
    let mut rng = mite::Rng::seed_from_u64(2023);
    let (mut time, mut wanted) = (1_700_000_000.0, BTreeMap::new());
    let mut file = BufWriter::new(File::create(log)?);
    while time < 1_700_000_005.0 {
        let path = format!("/products/{}", rng.random_range(1..=20_u32).pow(2) / 20);
        writeln!(file, "{}", serde_json::to_string(&Line { time, path: path.clone() })?)?;
        *wanted.entry(path).or_default() += 1;
        let pause = if rng.random_bool(0.05) { 0.2 } else { 0.01 };
        time += rng.random_range(0.0..pause);
    }
    file.flush()?;
    Ok(wanted)
}

/// The service: it counts what it was asked for.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, u64>>>);

impl Seen {
    fn router(&self) -> Router {
        let seen = self.clone();
        Router::new().fallback(async move |uri: Uri| {
            *seen.0.lock().unwrap_or_else(PoisonError::into_inner).entry(uri.path().to_owned()).or_default() += 1;
        })
    }

    fn paths(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
