//! What a million journeys take that are under way at once, each in a transaction.

use std::time::{Duration, Instant};

use mite::prelude::*;

use crate::bar::AtMost;

const RUNNING: u64 = 1_000_000;
const PAUSE: Duration = Duration::from_secs(20);

/// Starts them as fast as it can, and prints how long that took and the memory of the whole process.
pub(crate) fn run() -> Result {
    let began = Instant::now();
    let last = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let started = std::sync::Arc::clone(&last);
    let sleep = async move |ctx: &mut Context| {
        let at = began.elapsed().as_micros() as u64;
        started.fetch_max(at, std::sync::atomic::Ordering::Relaxed);
        let pause = async |_: &mut Context| {
            tokio::time::sleep(PAUSE).await;
            Ok(())
        };
        ctx.transaction("sleep", pause).await
    };
    let volume = constant(Volume::running(RUNNING), PAUSE / 2);
    let row = Row::new(sleep, NoData, volume).named("sleep");
    let report = Run::new(Scenario::new().row(row)).workers(2).run_blocking()?;
    let row = report.journey("sleep");
    ensure!(row.completed == RUNNING, "{} of {RUNNING} journeys completed", row.completed);
    let last = last.load(std::sync::atomic::Ordering::Relaxed) as f64 / 1e6;
    let megabytes = report.generator.peak_rss_bytes as f64 / 1e6;
    println!("{RUNNING} journeys that pause for {PAUSE:?}, each in a transaction, on two workers.\n");
    println!("all started after {}", AtMost(10.0, "s").told(last));
    println!(
        "peak memory {}: {:.0} bytes for each\n",
        AtMost(900.0, "MB").told(megabytes),
        megabytes * 1e6 / RUNNING as f64
    );
    Ok(())
}
