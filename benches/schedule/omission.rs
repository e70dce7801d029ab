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
    println!(
        "A server that answers after {SERVICE:?} and once stands still for {STALL:?}; {LENGTH:?} of each model.\n"
    );
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
    let due_in_stall = STALL.as_secs() * RATE;
    let [open, on_paper, closed] = counts(served.held.len() as u64, due_in_stall, served_closed.held.len() as u64);
    line("held up", [&open, &on_paper, "", "", &closed]);
    let stood = served.stall_end.map_or(Duration::ZERO, |end| end - served.stall_begin);
    println!("By its own clock it stood still for {}.\n", millis(stood));
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

/// The response times by the plan and the server's clock, in rising order: a start that met with the stall waited from when it
/// was due until the server answered it, and any other one was answered at once.
///
/// The server gives its two thousand answers one after another, which takes it a while too. The first request was due when it
/// came but for some tenths of a millisecond.
fn on_paper(served: &Served) -> Vec<Duration> {
    let mut held = served.held.clone();
    held.sort_unstable();
    let began = held.first().map_or(0.0, |(came, _)| (*came - served.first).as_secs_f64());
    let first_held = (began * RATE as f64).round() as u64;
    let due = |k: u64| served.first + Duration::from_nanos(k * 1_000_000_000 / RATE);
    let waited = (first_held..).zip(&held).map(|(k, (_, answered))| answered.saturating_duration_since(due(k)));
    let others = (RATE * LENGTH.as_secs()).saturating_sub(held.len() as u64);
    let mut times: Vec<Duration> = waited.chain((0..others).map(|_| SERVICE)).collect();
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
