//! More than the generator can do: that it says so, ends on time and keeps its memory; and how much it can.

use std::time::{Duration, Instant};

use mite::Verdict;
use mite::prelude::*;

use crate::bar::AtMost;

/// Asks for a hundred million starts per second, then looks for the highest rate that is not limited, to a tenth.
pub(crate) fn run() -> Result {
    const SECONDS: u64 = 3;
    println!("Empty journeys on two workers, more than there can be.\n");
    let began = Instant::now();
    let report = noop(100_000_000.0, SECONDS)?;
    let took = began.elapsed().as_secs_f64();
    ensure!(report.verdict == Verdict::GeneratorLimited, "the verdict is {}", report.verdict);
    println!("100000000/s for {SECONDS} s: {}, {} started", report.verdict, report.journeys[0].started);
    for reason in &report.reasons {
        println!("    {reason}");
    }
    // A second after the plan's end is for starts that are late.
    println!("ended after {}", AtMost(SECONDS as f64 + 1.5, "s").told(took));
    println!("peak memory {}\n", AtMost(500.0, "MB").told(report.generator.peak_rss_bytes as f64 / 1e6));
    let (mut holds, mut too_much) = (10_000.0, 100_000_000.0);
    while too_much / holds > 1.1 {
        let rate = (f64::sqrt(holds * too_much) / 1000.0_f64).round() * 1000.0;
        let report = noop(rate, SECONDS)?;
        let lag = report.journeys[0].start_lag.percentile(99.0);
        println!("{rate:>9}/s: {}, start lag p99 {lag:?}", report.verdict);
        if report.passed() { holds = rate } else { too_much = rate }
    }
    println!("\nthe highest rate that is not limited: {holds}/s\n");
    Ok(())
}

fn noop(rate: f64, seconds: u64) -> Result<Report> {
    let noop = async |_ctx: &mut Context| Ok(());
    let row = Row::new(noop, NoData, constant(rate, Duration::from_secs(seconds))).named("noop");
    Ok(Run::new(Scenario::new().row(row)).workers(2).run_blocking()?)
}
