//! What the tests against servers share: runs in which one journey does it all, their figures in a form that can be
//! compared with the server's, and servers that do what a script says.
#![expect(dead_code, reason = "each test binary uses its own part of this")]

#[cfg(feature = "tls")]
pub(crate) mod authority;
pub(crate) mod nginx;
pub(crate) mod process;
pub(crate) mod scripted;

use std::{
    env, fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use mite_core::{
    Context, Journey, NoData, Report, RequestReport, Row, Run, Scenario,
    volume::{HOUR, constant},
};

use mite_http::{Http1, HttpContext, Settings};

/// What every session of the tests begins with: all tests run on both of what speaks HTTP/1.1, see [`on_hyper_too`].
pub(crate) fn settings() -> Settings {
    if env::var_os(ON_HYPER).is_some() { Settings::new().http1(Http1::Hyper) } else { Settings::new() }
}

const ON_HYPER: &str = "MITE_TEST_ON_HYPER";

/// Runs all tests of this program once more, on hyper, but for that which calls this.
#[track_caller]
pub(crate) fn on_hyper_too(but_for: &str) {
    let mut again = Command::new(env::current_exe().expect("the tests are a program"));
    let status = again.args(["--skip", but_for]).env(ON_HYPER, "1").status().expect("the tests can be started again");
    assert!(status.success(), "there are tests that do not pass on hyper: `{ON_HYPER}=1` runs them by themselves");
}

/// Longer than anything takes, on any machine; what takes longer hangs.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// A run that starts `journey` so many times, one after the other.
pub(crate) fn in_turn<J: Journey<()>>(starts: u64, journey: J) -> Run {
    at_once(1, starts, journey)
}

/// A run that starts `journey` so many times, `running` of them at once.
pub(crate) fn at_once<J: Journey<()>>(running: u64, starts: u64, journey: J) -> Run {
    let journey = async move |ctx: &mut Context| {
        let mut ctx = ctx.http_session(settings());
        journey.call(&mut ctx, ()).await
    };
    let model = constant(running, HOUR).running().iterations(starts);
    // How late the generator may be is left open: these tests are about what is sent, on any machine.
    Run::new(Scenario::new().row(Row::new(journey, NoData, model).named("visit"))).max_start_lag(HOUR)
}

/// Carries the run out, and checks both sums by which no start is lost.
#[track_caller]
pub(crate) fn ran(run: Run) -> Report {
    let report = run.graceful_stop(LONG).run_blocking().unwrap();
    for row in &report.journeys {
        assert_eq!(row.planned, row.started + row.dropped + row.starved + row.unstarted, "{row:#?}");
        assert_eq!(row.started, row.completed + row.failed + row.cancelled, "{row:#?}");
    }
    assert!(!report.reasons.iter().any(|reason| reason.contains("a bug of mite")), "{:?}", report.reasons);
    report
}

/// As [`ran`], of a run in which no journey may fail.
#[track_caller]
pub(crate) fn passed(run: Run) -> Report {
    let report = ran(run);
    assert!(report.passed(), "{report}\n{:#?}", report.errors);
    report
}

/// Method, code, class of the error, and how often: one for each row of the report's requests, sorted.
pub(crate) fn outcomes(report: &Report) -> Vec<(&str, u16, Option<&str>, u64)> {
    let rows = report.requests.iter();
    let mut outcomes: Vec<_> = rows.map(|row| (&*row.method, row.code, row.error.as_deref(), row.count)).collect();
    outcomes.sort_unstable();
    outcomes
}

/// The sum over the report's rows of requests.
pub(crate) fn total(report: &Report, of: impl Fn(&RequestReport) -> u64) -> u64 {
    report.requests.iter().map(of).sum()
}

/// Has tokio open what the first runtime of a process opens for all that follow, so that it is not taken for a leak.
pub(crate) fn open_what_stays_open() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    drop(runtime.expect("a runtime can be had"));
}

/// How many descriptors this process has open.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// How many descriptors there are once there are as many as `before`, or for as long as anybody would wait: the servers of
/// this process have threads that close their ends when the machine lets them.
pub(crate) fn descriptors_after(before: usize) -> usize {
    let begun = Instant::now();
    loop {
        let now = descriptors();
        if now == before || begun.elapsed() > Duration::from_secs(30) {
            return now;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
