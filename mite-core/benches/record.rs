//! A million records from one journey's loop, beside a row that starts 1 000 journeys a second on the same worker.
//!
//! Prints the figures and fails when one misses its bar: everything on the disk in order, the other row's start lag p99 under
//! 5 ms, and less than 64 MB of memory.
//!
//! On a machine that takes the processor away (another tenant, a busy neighbour) the start lag tells of that. The worker time
//! between starts does not: it is the CPU time that the worker's thread itself has used from one start of the other row to the
//! next, which is 1 ms at the most when nothing on the thread holds them up.

use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mite_core::volume::{SECOND, constant};
use mite_core::{Context, Histogram, NoData, Result, Row, Run, Scenario, recorded_rows};
use rustix::time::ClockId;
use serde::{Deserialize, Serialize};

const RECORDS: u64 = 1_000_000;
/// 1 000 per second, for as long as the records take and longer.
const NOOPS: u64 = 3_000;
const MOST_LAG: Duration = Duration::from_millis(5);
const MOST_MEMORY: u64 = 64_000_000;

#[derive(Serialize, Deserialize)]
struct User<'a> {
    n: u64,
    username: &'a str,
}

#[derive(Deserialize)]
struct Numbered {
    n: u64,
}

async fn create_users(ctx: &mut Context) -> Result {
    let (started, worker, all) = (Instant::now(), cpu_time(ClockId::ThreadCPUTime), cpu_time(ClockId::ProcessCPUTime));
    for n in 0..RECORDS {
        ctx.record("users", User { n, username: "78af93af262f4c9dbe09bd73c1b2c064" }).await?;
    }
    let worker = cpu_time(ClockId::ThreadCPUTime).saturating_sub(worker);
    let all = cpu_time(ClockId::ProcessCPUTime).saturating_sub(all);
    let line = |what: &str, seconds: f64, note: &str| {
        println!("{what:<18}{:>12.0}   {:.0} ns each{note}", RECORDS as f64 / seconds, seconds * 1e9 / RECORDS as f64);
    };
    line("records/s", started.elapsed().as_secs_f64(), "");
    line("  of worker's CPU", worker.as_secs_f64(), ", and what starts beside them");
    line("  of others' CPU", all.saturating_sub(worker).as_secs_f64(), ": the recorder, but for what it writes after");
    Ok(())
}

fn cpu_time(clock: ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

thread_local! {
    static LAST_START: Cell<Option<Duration>> = const { Cell::new(None) };
    static BETWEEN: RefCell<Histogram> = RefCell::default();
}

async fn noop(ctx: &mut Context) -> Result {
    let now = cpu_time(ClockId::ThreadCPUTime);
    if let Some(last) = LAST_START.replace(Some(now)) {
        BETWEEN.with_borrow_mut(|between| between.record(now.saturating_sub(last)));
    }
    if ctx.start_index() + 1 == NOOPS {
        BETWEEN.with_borrow(|between| {
            let [p99, max] = [between.percentile(99.0), between.max()].map(|time| time.as_secs_f64() * 1e3);
            println!("worker time between starts: p99 {p99:.2} ms, max {max:.2} ms");
        });
    }
    Ok(())
}

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scenario = Scenario::new().journey(create_users, NoData, constant(1, SECOND)).row(Row::new(
        noop,
        NoData,
        constant(NOOPS as f64 / 3.0, 3 * SECOND),
    ));
    let report = Run::new(scenario).recorder(folder.path()).run_blocking().expect("the run is carried out");
    // Before the file is read, which takes memory too.
    let memory = report.generator.peak_rss_bytes;
    let rows = recorded_rows::<Numbered>(folder.path().join("users.msgpack")).expect("the file is there");
    let in_order = rows.zip(0..).take_while(|(row, n)| row.as_ref().is_ok_and(|row| row.n == *n)).count() as u64;
    let lag = report.journey("noop").start_lag.percentile(99.0);
    println!("records in order  {in_order:>12}   (all of {RECORDS})");
    println!("peak memory       {:>9.1} MB   (under {:.0} MB)", memory as f64 / 1e6, MOST_MEMORY as f64 / 1e6);
    println!("start lag p99     {:>9.2} ms   (under {MOST_LAG:?})", lag.as_secs_f64() * 1e3);
    println!("\n{report}");
    if in_order == RECORDS && memory < MOST_MEMORY && lag < MOST_LAG && report.passed() {
        ExitCode::SUCCESS
    } else {
        println!("a bar was missed");
        ExitCode::FAILURE
    }
}
