//! `cargo bench -p mite-suite`: how long an hour on a virtual clock takes, at a large rate of starts, and at a small one with
//! journeys that pause.

use std::time::{Duration, Instant};

use mite::prelude::*;

#[path = "../../../benches/schedule/bar.rs"]
mod bar;

use bar::AtMost;

/// What an hour at a small rate may take.
const MOST_SMALL: AtMost = AtMost(1.0, "s");

fn main() -> Result {
    let noop = async |_ctx: &mut Context| Ok(());
    let up = ramp(15 * MINUTE).from(0).to(1000);
    let large = up + constant(1000, 10 * MINUTE) + ramp(15 * MINUTE).to(100) + constant(100, 20 * MINUTE);
    let (took, report) = timed(Row::new(noop, NoData, large).named("noop"))?;
    let starts = report.journeys[0].completed;
    println!("an hour of {starts} starts: {took:.2?}, {:.2} µs for each", took.as_secs_f64() * 1e6 / starts as f64);
    let pausing = async |_ctx: &mut Context| {
        tokio::time::sleep(3 * MINUTE).await;
        Ok(())
    };
    let (took, report) = timed(Row::new(pausing, NoData, constant(2, HOUR)).named("pausing"))?;
    let starts = report.journeys[0].completed;
    ensure!(report.journeys[0].response_time.max() == 3 * MINUTE, "{report}");
    println!("an hour of {starts} starts that pause for three minutes: {}", MOST_SMALL.told(took.as_secs_f64()));
    Ok(())
}

fn timed(row: Row) -> Result<(Duration, Report)> {
    let started = Instant::now();
    let report = Run::new(Scenario::new().row(row)).graceful_stop(HOUR).virtually().run_blocking()?;
    ensure!(report.passed(), "{report}");
    Ok((started.elapsed(), report))
}
