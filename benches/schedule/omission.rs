//! Coordinated omission: what a run tells of a server that stands still for two seconds, beside what it must tell by the plan,
//! and what a closed model makes of it.

use std::time::Duration;

use mite::prelude::*;

use crate::stall::{SERVICE, Served, StallingServer};

const RATE: u64 = 1000;
const LENGTH: Duration = Duration::from_secs(20);
const STALL_AFTER: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_secs(2);
const RUNNING: u64 = 10;
/// How far a figure may be from the one on paper: the greater of the two.
const NEAR: (f64, Duration) = (0.03, Duration::from_millis(1));
const PERCENTILES: [f64; 4] = [95.0, 99.0, 99.9, 100.0];

#[mite_http(base = "app_url")]
async fn ask(ctx: &mut Context) -> Result {
    ctx.http().get("/").await?.error_for_status()?;
    Ok(())
}

/// Runs both models against such a server and prints their figures; fails where the open model's are off.
pub(crate) fn run() -> Result {
    println!("A server that answers after {SERVICE:?} and stands still for {STALL:?}, for {LENGTH:?}.\n");
    let (open, served) = measured(constant(RATE, LENGTH))?;
    let paper = on_paper(&served);
    let (closed, served_closed) = measured(constant(RUNNING, LENGTH).running())?;
    let (of_open, of_closed) = (&open.journeys[0], &closed.journeys[0]);
    let (rate, running) = (format!("{RATE}/s"), format!("{RUNNING} running"));
    line("", [&rate, "on paper", "off by", "service time", &running]);
    let mut off = Vec::new();
    for percent in PERCENTILES {
        let (told, expected) = (of_open.response_time.percentile(percent), rank(&paper, percent));
        let (by, part) = (told.abs_diff(expected), told.as_secs_f64() / expected.as_secs_f64() - 1.0);
        if by > NEAR.1.max(expected.mul_f64(NEAR.0)) {
            off.push(format!("p{percent} is {told:?}, and {expected:?} on paper"));
        }
        let name = if percent < 100.0 { format!("p{percent}") } else { "max".to_owned() };
        let (service, closed) = (of_open.service_time.percentile(percent), of_closed.response_time.percentile(percent));
        let part = format!("{:.1} %", part * 100.0);
        line(&name, [&millis(told), &millis(expected), &part, &millis(service), &millis(closed)]);
    }
    let counts = |open: u64, paper: u64, closed: u64| [open, paper, closed].map(|count| count.to_string());
    let [open, on_paper, closed] = counts(of_open.completed, paper.len() as u64, of_closed.completed);
    line("journeys", [&open, &on_paper, "", "", &closed]);
    let held = paper.iter().filter(|time| **time > SERVICE).count();
    let [open, on_paper, closed] = counts(served.held.len() as u64, held as u64, served_closed.held.len() as u64);
    line("held up", [&open, &on_paper, "", "", &closed]);
    println!();
    ensure!(off.is_empty(), "the response times are off: {}", off.join("; "));
    Ok(())
}

fn line(name: &str, cells: [&str; 5]) {
    let [told, paper, off, service, closed] = cells;
    println!("{name:<10}{told:>12}{paper:>14}{off:>10}{service:>16}{closed:>14}");
}

fn measured(volume: mite::volume::Stages) -> Result<(Report, Served)> {
    let server = StallingServer::start(STALL_AFTER, STALL);
    let scenario = Scenario::new().journey(ask, NoData, volume);
    let report = Run::new(scenario).config("app_url", server.url()).run_blocking()?;
    report.assert_no_errors();
    let (served, completed) = (server.stop(), report.journeys[0].completed);
    ensure!(served.answered == completed, "the server has answered {} of {completed} requests", served.answered);
    Ok((report, served))
}

/// The response times by the plan, in rising order: a start that is due in the stall is answered when that is over, and any
/// other one at once. The first request was due when it came but for some tenths of a millisecond.
fn on_paper(served: &Served) -> Vec<Duration> {
    let begin = served.stall_begin - served.first;
    let end = served.stall_end.map_or(begin, |end| end - served.first);
    let starts = RATE * LENGTH.as_secs();
    let due = (0..starts).map(|k| Duration::from_nanos(k * 1_000_000_000 / RATE));
    let waits = |due: Duration| if due + SERVICE >= begin { end.saturating_sub(due) } else { Duration::ZERO };
    let mut times: Vec<Duration> = due.map(|due| waits(due) + SERVICE).collect();
    times.sort_unstable();
    times
}

fn rank(times: &[Duration], percent: f64) -> Duration {
    let rank = (percent / 100.0 * times.len() as f64).ceil() as usize;
    times[rank.clamp(1, times.len()) - 1]
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
