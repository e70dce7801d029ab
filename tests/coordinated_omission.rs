//! A service that stands still for two seconds is told as such: each start that was due meanwhile counts from when it was
//! due, and not from when a generator that waits for answers would have got round to it.
//!
//! Nothing here depends on how fast the machine is: how near the figures come to those on paper is for
//! `cargo bench --bench schedule -- omission`.

mod common;
#[path = "common/stall.rs"]
mod stall;

use std::time::{Duration, Instant};

use mite::prelude::*;
use mite::volume::HOUR;

use common::accounted;
use stall::{Served, StallingServer};

const RATE: u64 = 200;
const LENGTH: Duration = Duration::from_secs(5);
const STALL_AFTER: Duration = Duration::from_secs(1);
const STALL: Duration = Duration::from_secs(2);

#[mite_http(base = "app_url")]
async fn ask(ctx: &mut Context) -> Result {
    ctx.http().get("/").await?.error_for_status()?;
    Ok(())
}

/// Runs against a server that stalls; gives what each has counted, and when at the earliest the run began.
async fn ran(volume: mite::volume::Stages) -> (Report, Served, Instant) {
    let server = StallingServer::start(STALL_AFTER, STALL);
    let before = Instant::now();
    let scenario = Scenario::new().journey(ask, NoData, volume);
    let report = accounted(Run::new(scenario).config("app_url", server.url()).max_start_lag(HOUR).run()).await;
    report.assert_no_errors();
    let served = server.stop();
    assert!(served.first >= before);
    assert!(served.stall_end.is_none_or(|end| end >= served.stall_begin + STALL), "{served:?}");
    (report, served, before)
}

/// How many journeys took at least so long, by their histogram: it rounds up to three digits.
fn at_least(report: &Report, wanted: Duration) -> u64 {
    let times = &report.journeys[0].response_time;
    let count = times.count();
    let reaches = |rank: &u64| times.percentile(100.0 * *rank as f64 / count as f64) >= wanted;
    count + 1 - (1..=count).find(reaches).unwrap_or(count + 1)
}

#[tokio::test]
async fn starts_that_were_due_in_the_stall_have_waited_for_its_end() {
    let (report, served, before) = ran(constant(RATE, LENGTH)).await;
    let row = &report.journeys[0];
    assert_eq!((row.planned, served.answered), (RATE * LENGTH.as_secs(), row.completed));
    let never_made = row.planned - row.completed;
    // The run began after `before`, and its first start was due then: the first request cannot have come sooner. So the stall
    // began no later than this in the run's time, and ended no sooner than it would have without any delay.
    let begin = served.stall_begin - before;
    let end = STALL_AFTER + STALL;
    for remaining in [Duration::from_millis(100), SECOND / 2, SECOND, SECOND * 3 / 2] {
        let due = (0..row.planned).map(|k| Duration::from_nanos(k * 1_000_000_000 / RATE));
        let due_in_stall = due.filter(|due| begin <= *due && *due + remaining <= end).count() as u64;
        let held = served.held.iter().filter(|(came, answered)| *answered - *came >= remaining).count() as u64;
        let told = at_least(&report, remaining);
        assert!(told + never_made >= due_in_stall, "{told} of {due_in_stall} due took {remaining:?}\n{report}");
        // Counted by the server, from when a request had come to it: less than from when its start was due.
        assert!(told >= held, "{told} of {held} held took {remaining:?}\n{report}");
    }
}

#[tokio::test]
async fn the_closed_model_waits_with_the_server() {
    const RUNNING: u64 = 10;
    let (report, served, _) = ran(constant(RUNNING, LENGTH).running()).await;
    assert_eq!(served.answered, report.journeys[0].completed);
    // Each of the ten has one request under way, and makes no other before that is answered: whatever the stall's length, the
    // hundreds who would have come meanwhile are missing from the figures.
    let held = served.held.iter().filter(|(came, answered)| *answered - *came >= SECOND).count() as u64;
    assert!(held <= RUNNING, "{held} were held\n{report}");
}
