//! 50 000 messages a second for 20 s, without a collector and with one, in turns: what it takes, and whether all of them are there.
//!
//! Prints the CPU of the whole process by message, and fails when one message is lost. `--seconds N` makes it shorter.

use std::process::ExitCode;
use std::time::Duration;

use mite_core::volume::{HOUR, constant};
use mite_core::{Collector, Context, NoData, Result, Row, Run, Scenario, recorded_rows};
use rmpv::Value;
use rustix::time::ClockId;

/// Ten messages each: nine transactions and the root.
const JOURNEYS_PER_SECOND: f64 = 5000.0;
const MESSAGES: u64 = 10;
const ROUNDS: usize = 3;

async fn busy(ctx: &mut Context) -> Result {
    for _ in 1..MESSAGES {
        ctx.transaction("step", async |_| Ok(())).await?;
    }
    Ok(())
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The CPU that a run took for each message, in nanoseconds, and whether all messages are in the folder's files.
fn measured(seconds: u64, collects: bool, json: bool) -> (f64, bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = constant(JOURNEYS_PER_SECOND, Duration::from_secs(seconds));
    let mut run = Run::new(Scenario::new().row(Row::new(busy, NoData, plan))).max_start_lag(HOUR);
    if collects {
        let collector = Collector::new(folder.path());
        run = run.sink(if json { collector.json_lines() } else { collector });
    }
    let before = cpu_time();
    let report = run.run_blocking().expect("the run is carried out");
    let taken = cpu_time().saturating_sub(before);
    let sent = report.journey("busy").completed * MESSAGES;
    let planned = JOURNEYS_PER_SECOND as u64 * seconds * MESSAGES;
    let files =
        || std::fs::read_dir(folder.path()).expect("the folder is there").map(|entry| entry.expect("a file").path());
    let there = |path: std::path::PathBuf| -> u64 {
        if path.ends_with("current_start_time") {
            return 0;
        }
        if json {
            let text = std::fs::read_to_string(path).expect("lines of JSON");
            return text.lines().filter(|line| line.contains("\"type\": \"txn\"")).count() as u64;
        }
        let messages = recorded_rows::<Value>(path).expect("a file of messages");
        messages.filter(|message| message.as_ref().is_ok_and(|message| message["type"] == "txn".into())).count() as u64
    };
    let all = sent == planned && (!collects || files().map(there).sum::<u64>() == sent);
    (taken.as_nanos() as f64 / sent as f64, all)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds").skip(1);
    let seconds = arguments.next().map_or(20, |seconds| seconds.parse().expect("`--seconds` is a whole number"));
    let ways = [("no collector", false, false), ("MessagePack", true, false), ("lines of JSON", true, true)];
    let mut figures = [const { Vec::new() }; 3];
    let mut all = true;
    for _ in 0..ROUNDS {
        for ((_, collects, json), figures) in ways.iter().zip(&mut figures) {
            let (nanos, complete) = measured(seconds, *collects, *json);
            figures.push(nanos);
            all &= complete;
        }
    }
    let median = |figures: &mut Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let [bare, others @ ..] = figures.each_mut().map(median);
    println!(
        "{} messages/s for {seconds} s, medians of {ROUNDS} rounds, CPU of the whole process:",
        JOURNEYS_PER_SECOND as u64 * MESSAGES
    );
    println!("{:<14}{bare:>6.0} ns for each transaction", ways[0].0);
    for (way, nanos) in ways[1..].iter().zip(others) {
        println!(
            "{:<14}{nanos:>6.0} ns: {:.0} more, {:.1} % of a core",
            way.0,
            nanos - bare,
            (nanos - bare) * 50_000.0 / 1e7
        );
    }
    if all {
        println!("none was lost");
        ExitCode::SUCCESS
    } else {
        println!("messages were lost");
        ExitCode::FAILURE
    }
}
