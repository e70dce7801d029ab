//! What disturbs a run from the side is told in its report: a journey that blocks its worker, a process that stood still.

mod common;

use std::time::Duration;

use common::{TENTH, failed, noop, ran};
use mite_core::volume::{SECOND, constant};
use mite_core::{Context, NoData, Result, Row, Run, RunError, Scenario, Verdict};

/// Holds its thread as a journey should not.
async fn compute(_ctx: &mut Context) -> Result {
    std::thread::sleep(7 * TENTH);
    Ok(())
}

#[tokio::test]
async fn a_journey_that_blocks_its_worker_is_named() {
    let scenario =
        Scenario::new().journey(noop, NoData, constant(100, SECOND)).journey(compute, NoData, constant(1, SECOND));
    let report = ran(Run::new(scenario)).await;
    let blocked =
        report.warnings.iter().find(|warning| warning.starts_with("disturbed:compute blocked")).expect("named");
    assert!(blocked.contains("spawn_blocking"), "{blocked}");
    assert_eq!(report.journey("noop").completed, 100);
    // The starts beside it are late by what it took, and that is where it is looked for.
    let report = Run::new(Scenario::new().journey(compute, NoData, constant(4, SECOND))).run().await.unwrap();
    assert!(report.reasons.iter().any(|reason| reason.contains("disturbed:compute")), "{:?}", report.reasons);
}

#[tokio::test]
async fn starts_that_come_too_late_are_told_whatever_is_allowed() {
    async fn hold(_ctx: &mut Context) -> Result {
        std::thread::sleep(15 * TENTH);
        Ok(())
    }
    let scenario = || {
        let first = Row::new(hold, NoData, constant(10, TENTH)).named("hold");
        Scenario::new().row(first).row(Row::new(noop, NoData, constant(100, 2 * TENTH)).named("late"))
    };
    // What was due while the thread was held is not made over a second after the row's end.
    let report = ran(Run::new(scenario())).await;
    let row = report.journey("late");
    assert!(row.unstarted > 10 && report.verdict == Verdict::GeneratorLimited, "{report}");
    let report = ran(Run::new(scenario()).min_achieved(0.0)).await;
    let row = report.journey("late");
    assert!(row.unstarted > 10 && report.passed(), "{report}");
    assert!(report.warnings.iter().any(|warning| warning.starts_with(&format!("late: {} starts", row.unstarted))));
}

#[tokio::test]
async fn a_journey_that_never_lets_go_is_named() {
    async fn stuck(_ctx: &mut Context) -> Result {
        std::thread::sleep(30 * SECOND);
        Ok(())
    }
    let run = Run::new(Scenario::new().journey(stuck, NoData, constant(10, TENTH)));
    let error = failed(run.graceful_stop(Duration::ZERO)).await;
    let RunError::Blocked { worker: 0, journey } = &error else { panic!("{error}") };
    assert!(journey.ends_with(":stuck"), "{journey}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_stood_still_says_so() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    const CHILD: &str = "MITE_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        println!("\nstarted");
        let run = Run::new(Scenario::new().journey(noop, NoData, constant(10, 2 * SECOND)));
        let report = run.run_blocking().unwrap();
        println!("{}", report.warnings.join("\n"));
        return;
    }
    let exe = std::env::current_exe().unwrap();
    let mut child = Command::new(exe);
    child.args(["a_process_that_stood_still_says_so", "--exact", "--nocapture"]).env(CHILD, "1").stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "started"));
    let signal = |name: &str| {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    // Some way into the run, for longer than a second; what is told is what was seen, however long that took.
    std::thread::sleep(5 * TENTH);
    signal("-STOP");
    std::thread::sleep(15 * TENTH);
    signal("-CONT");
    let told: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success());
    assert!(told.iter().any(|line| line.contains("the whole process stood still for")), "{told:?}");
}
