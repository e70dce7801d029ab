//! How punctually empty journeys start, and what that costs: each rate for some seconds on two workers.

use std::time::Duration;

use mite::prelude::*;
use mite::volume::constant;

/// Prints a line for each rate; `SECONDS_EACH` says how long each is, 10 s unless it is set.
pub(crate) fn run() -> Result {
    let seconds = std::env::var("SECONDS_EACH").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    println!(
        "{:>10}  {:>10}  {:>10}  {:>9}  {:>9}  {:>9}  {:>6}",
        "rate", "planned", "started", "lag p50", "lag p99", "lag max", "CPU"
    );
    for rate in [1_000, 10_000, 100_000] {
        let noop = async |_ctx: &mut Context| Ok(());
        let row = Row::new(noop, NoData, constant(rate, Duration::from_secs(seconds))).named("noop");
        let report = Run::new(Scenario::new().row(row)).workers(2).run_blocking()?;
        let row = report.journey("noop");
        println!(
            "{rate:>8}/s  {:>10}  {:>10}  {:>6} µs  {:>6} µs  {:>6} µs  {:>4} %",
            row.planned,
            row.started,
            row.start_lag.percentile(50.0).as_micros(),
            row.start_lag.percentile(99.0).as_micros(),
            row.start_lag.max().as_micros(),
            report.generator.cpu_percent,
        );
    }
    Ok(())
}
