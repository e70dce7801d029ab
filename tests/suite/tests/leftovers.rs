//! Runs and stub servers leave neither a thread nor a file descriptor, however many there are at once.
//!
//! One test in a process of its own, since it counts both.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use mite::prelude::*;
use mite::testing::{Harness, Reply, StubServer};

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).map(Iterator::count).expect("Linux has /proc")
}

fn threads() -> usize {
    count("/proc/self/task")
}

/// Threads and file descriptors of this process.
fn counts() -> (usize, usize) {
    (threads(), count("/proc/self/fd"))
}

/// Waits until there are as many as before: a thread says that it is done a moment before it is gone.
fn assert_back<T: PartialEq + std::fmt::Debug>(counts: impl Fn() -> T, before: &T) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while counts() != *before {
        assert!(Instant::now() < deadline, "{:?} of threads and descriptors, and {before:?} before", counts());
        std::thread::yield_now();
    }
}

async fn visit(ctx: &mut Context) -> Result {
    ctx.transaction("work", async |ctx| ctx.record("visits", ctx.start_index()).await).await
}

/// Twenty starts, with a recorder of its own.
fn one_run() -> Result {
    let folder = tempfile::tempdir()?;
    let scenario = Scenario::new().journey(visit, NoData, constant(400, SECOND / 20));
    let report = Run::new(scenario).workers(2).recorder(folder.path()).max_start_lag(HOUR).run_blocking()?;
    ensure!(report.passed(), "{report}");
    let mut rows = recorded::<u64>(folder.path().join("visits.msgpack"))?;
    rows.sort_unstable();
    ensure!(rows.into_iter().eq(0..20));
    Ok(())
}

async fn ask(ctx: &mut Context, url: String) -> Result {
    ctx.http().get(url).await?;
    Ok(())
}

/// A server that ends while it is asked what it never answers.
fn one_server() -> Result {
    let server = StubServer::start()?;
    server.on("GET", "/never").reply(Reply::ok().after(HOUR));
    let url = format!("{}/never", server.url());
    let short = Harness::new().timeout(Duration::from_millis(20));
    short.run_blocking(ask, (url.clone(),))?.assert_failed("timeout");
    let waiting = std::thread::spawn(move || Harness::new().run_blocking(ask, (url,)));
    while server.requests_to("GET", "/never").len() < 2 {
        std::thread::yield_now();
    }
    drop(server);
    let Ok(run) = waiting.join() else { bail!("it does not panic") };
    run?.assert_failed("closed");
    Ok(())
}

#[test]
fn nothing_is_left_behind() -> Result {
    let threads_before = threads();
    // What the process keeps open from the first run on is made now.
    one_run()?;
    one_server()?;
    assert_back(threads, &threads_before);
    let before = counts();
    for _ in 0..20 {
        let runs: Vec<_> = (0..50).map(|_| std::thread::spawn(one_run)).collect();
        for run in runs {
            let Ok(outcome) = run.join() else { bail!("a run has panicked") };
            outcome?;
        }
        assert_back(counts, &before);
    }
    for _ in 0..20 {
        one_server()?;
        assert_back(counts, &before);
    }
    // A run that is dropped while it goes on.
    for _ in 0..20 {
        let scenario = Scenario::new().journey(visit, NoData, constant(100, HOUR));
        drop(Run::new(scenario).workers(3).recorder(tempfile::tempdir()?.path()).start()?);
        assert_back(counts, &before);
    }
    Ok(())
}
