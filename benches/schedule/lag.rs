//! How punctually empty journeys start, and what that costs: each rate for some seconds on two workers.

use std::time::Duration;

use mite::prelude::*;

use crate::bar::AtMost;

/// Prints a line for each rate; `SECONDS_EACH` says how long each is, 10 s unless it is set.
pub(crate) fn run() -> Result {
    const P50: AtMost = AtMost(100.0, "µs");
    const P99: AtMost = AtMost(500.0, "µs");
    const CPU: AtMost = AtMost(5.0, "%");
    let seconds = std::env::var("SECONDS_EACH").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    println!("Empty journeys for {seconds} s on two workers: how late they start, and the CPU of the whole process.\n");
    for rate in [1_000, 10_000, 100_000] {
        let noop = async |_ctx: &mut Context| Ok(());
        let row = Row::new(noop, NoData, constant(rate, Duration::from_secs(seconds))).named("noop");
        let report = Run::new(Scenario::new().row(row)).workers(2).run_blocking()?;
        let row = report.journey("noop");
        ensure!(row.started == row.planned, "{} of {} planned starts were made", row.started, row.planned);
        let lag = |percent| row.start_lag.percentile(percent).as_secs_f64() * 1e6;
        let (p50, p99, max, cpu) = (lag(50.0), lag(99.0), lag(100.0), report.generator.cpu_percent);
        let (p50, p99) = match rate {
            100_000 => (format!("{p50:.0} µs"), format!("{p99:.0} µs")),
            _ => (P50.told(p50).to_string(), P99.told(p99).to_string()),
        };
        let cpu = if rate == 1_000 { CPU.told(cpu).to_string() } else { format!("{cpu} %") };
        println!("{rate:>6}/s  {} started, lag p50 {p50}, p99 {p99}, max {max:.0} µs; CPU {cpu}", row.started);
    }
    println!();
    Ok(())
}
