//! What the figures of 2 000 different transactions and requests cost: memory in a run, and the time to merge two workers'.
//!
//! Times are spread log-normally about a median of each series' own, with a p99 of about three times that. A run's memory is
//! the most that its process ever had, its report included.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use mite::prelude::*;
use mite::volume::constant;
use mite::{Histogram, RequestSample};

const SERIES: u64 = 2000;
const WORKERS: usize = 2;
const JOURNEYS_PER_SECOND: u64 = 1000;
const SAMPLES_PER_JOURNEY: u64 = 200;
/// A request's phases and its total, and the transaction that it is made in.
const HISTOGRAMS_PER_SERIES: usize = 6;

/// Says to a process how many series its run has.
const CHILD: &str = "MITE_BENCH_SERIES";

const MOST_MEMORY: f64 = 60.0;
const MOST_MERGE: Duration = Duration::from_millis(20);

pub(crate) fn run() -> Result {
    if let Ok(series) = std::env::var(CHILD) {
        return one_run(series.parse()?);
    }
    let (mut one, mut many, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let (of_one, of_many) = (peak_of_run(1)?, peak_of_run(SERIES)?);
        one.push(of_one);
        many.push(of_many);
        differences.push(of_many - of_one);
    }
    let difference = median(&mut differences);
    println!(
        "peak resident memory, medians of 3 runs on {WORKERS} workers of {} samples: {:.1} MB with 1 series, {:.1} MB with \
         {SERIES}: {difference:.1} MB more ({})",
        seconds() * JOURNEYS_PER_SECOND * SAMPLES_PER_JOURNEY,
        median(&mut one),
        median(&mut many),
        bar(difference <= MOST_MEMORY, "60 MB"),
    );
    // What a second of such a run brings, and what the whole of it and ten such runs have brought at its end.
    let each_second = JOURNEYS_PER_SECOND * SAMPLES_PER_JOURNEY / SERIES / WORKERS as u64;
    for samples in [each_second, 500, 5000] {
        let took = merging(samples);
        println!(
            "merging {WORKERS} workers' {} histograms of {samples} samples each: {took:.2?} of CPU time ({})",
            SERIES as usize * HISTOGRAMS_PER_SERIES,
            bar(took <= MOST_MERGE, "20 ms: once a second 2 % of a core"),
        );
    }
    Ok(())
}

fn bar(holds: bool, what: &str) -> String {
    format!("{} the bar of {what}", if holds { "within" } else { "OVER" })
}

fn seconds() -> u64 {
    std::env::var("SECONDS_EACH").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

/// The peak memory in MB of a process that runs so many series.
fn peak_of_run(series: u64) -> Result<f64> {
    let output = Command::new(std::env::current_exe()?).arg("series").env(CHILD, series.to_string()).output()?;
    ensure!(output.status.success(), "a run failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

fn one_run(series: u64) -> Result {
    let names: Arc<Vec<String>> = Arc::new((0..series).map(|number| format!("Transaction {number}")).collect());
    let journey = async move |ctx: &mut Context| -> Result {
        let first = ctx.start_index() * SAMPLES_PER_JOURNEY;
        for sample in first..first + SAMPLES_PER_JOURNEY {
            // Drawn, so that each worker has its part of all.
            let number = hash(sample) % series;
            let [total, dns, connect, tls, first_byte] = times(number, sample);
            ctx.transaction(&names[number as usize], async |ctx| {
                ctx.scope().request(&RequestSample {
                    method: "GET",
                    code: 200,
                    bytes: 1000,
                    total,
                    dns: Some(dns),
                    connect: Some(connect),
                    tls: Some(tls),
                    first_byte: Some(first_byte),
                    ..RequestSample::default()
                });
                Ok(())
            })
            .await?;
        }
        Ok(())
    };
    let row =
        Row::new(journey, NoData, constant(JOURNEYS_PER_SECOND, Duration::from_secs(seconds()))).named("sampling");
    let report = Run::new(Scenario::new().row(row)).workers(WORKERS).run_blocking()?;
    let counted: u64 = report.requests.iter().map(|request| request.count).sum();
    ensure!(report.requests.len() as u64 == series, "{} series were told", report.requests.len());
    ensure!(counted == report.journeys[0].completed * SAMPLES_PER_JOURNEY, "{counted} samples were counted");
    println!("{}", peak_memory()?);
    Ok(())
}

/// The CPU time that it takes to merge all histograms of two workers, of so many samples each.
fn merging(samples: u64) -> Duration {
    let workers: Vec<Vec<Histogram>> = (0..WORKERS as u64)
        .map(|worker| {
            let mut histograms = vec![Histogram::new(); SERIES as usize * HISTOGRAMS_PER_SERIES];
            for sample in 0..samples {
                for (series, of_series) in histograms.chunks_exact_mut(HISTOGRAMS_PER_SERIES).enumerate() {
                    let [total, dns, connect, tls, first_byte] = times(series as u64, sample * 7919 + worker);
                    for (histogram, time) in of_series.iter_mut().zip([total, total, dns, connect, tls, first_byte]) {
                        histogram.record(time);
                    }
                }
            }
            histograms
        })
        .collect();
    // As a reader that merges again and again would, in the room of the time before.
    let mut merged = vec![Histogram::new(); SERIES as usize * HISTOGRAMS_PER_SERIES];
    let mut took: Vec<f64> = (0..15)
        .map(|_| {
            let started = cpu_time();
            merged.iter_mut().for_each(Histogram::clear);
            for worker in &workers {
                for (merged, histogram) in merged.iter_mut().zip(worker) {
                    merged.merge(histogram);
                }
            }
            cpu_time() - started
        })
        .collect();
    Duration::from_secs_f64(median(&mut took))
}

/// Seconds that this thread has had of a core: what others do on the machine does not count, but for its caches.
fn cpu_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A request's total and phases: about a median of the series' own, from 2 to 50 ms.
fn times(series: u64, sample: u64) -> [Duration; 5] {
    let median = 2000.0 * 25f64.powf(unit(hash(series)));
    let mut seed = hash(series ^ (sample << 20));
    [1.0, 0.05, 0.1, 0.2, 0.5].map(|part| {
        // Twelve uniform numbers make a normal one.
        let mut normal = -6.0;
        for _ in 0..12 {
            seed = hash(seed);
            normal += unit(seed);
        }
        Duration::from_secs_f64(part * median * (0.5 * normal).exp() / 1e6)
    })
}

fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// `SplitMix64`.
fn hash(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The most memory that this process ever had, in MB.
fn peak_memory() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let Some(kilobytes) = line.and_then(|line| line.trim().strip_suffix("kB")) else {
        bail!("the system does not tell a process's peak memory")
    };
    Ok(kilobytes.trim().parse::<f64>()? * 1024.0 / 1e6)
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
