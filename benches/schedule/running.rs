//! Whether fifty that should be running are: sampled from outside every ten milliseconds, while journeys of random length end
//! and are replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use mite::prelude::*;
use rand::RngExt as _;

/// Prints the part of the samples after the first second that found all of them.
pub(crate) fn run() -> Result {
    const RUNNING: u64 = 50;
    let now = Arc::new(AtomicU64::new(0));
    let entered = Arc::clone(&now);
    let journey = async move |ctx: &mut Context| {
        entered.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_micros(ctx.rng().random_range(1_000..50_000))).await;
        entered.fetch_sub(1, SeqCst);
        Ok(())
    };
    let row = Row::new(journey, NoData, constant(RUNNING, 11 * SECOND).running()).named("random");
    let run = Run::new(Scenario::new().row(row)).workers(2).start()?;
    std::thread::sleep(SECOND);
    let samples: Vec<u64> = (0..900)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            now.load(SeqCst)
        })
        .collect();
    let report = run.wait()?;
    let all = samples.iter().filter(|running| **running == RUNNING).count() as f64 / samples.len() as f64 * 100.0;
    let most = samples.iter().max().copied().unwrap_or_default();
    println!("{RUNNING} running, of random length; {} completed.\n", report.journeys[0].completed);
    let missed = if all < 99.0 { ": MISSED" } else { "" };
    println!("{all:.1} % of {} samples found {RUNNING} (bar 99 %{missed}), and none more than {most}\n", samples.len());
    ensure!(most <= RUNNING, "{most} were running at once");
    Ok(())
}
