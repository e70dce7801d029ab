//! What was recorded outlives the process: a run that is killed, or whose disk is full, leaves whole records, each once.
//!
//! The runs are children of the test, in processes of their own.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use common::ran;
use mite_core::volume::{SECOND, constant};
use mite_core::{Context, NoData, Result, Row, Run, Scenario, recorded};

/// The folder that a child records in.
const CHILD: &str = "MITE_TEST_CHILD";
/// A kill may cost what was recorded in this time before it.
const AT_RISK: Duration = Duration::from_millis(1500);

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

async fn create(ctx: &mut Context) -> Result {
    for n in 0..10 {
        let number = ctx.start_index() * 10 + n;
        ctx.record("users", (number, "78af93af262f4c9dbe09bd73c1b2c064")).await?;
        // Straight to the pipe: what the test prints is captured.
        writeln!(std::io::stdout().lock(), "recorded {number} {}", now().as_micros())?;
    }
    Ok(())
}

fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(CHILD, folder).stdout(Stdio::piped());
    command
}

/// Opens the file again by a run that records `last`, and gives all numbers.
async fn after_another_run(folder: &Path, last: u64) -> Vec<u64> {
    let journey = async move |ctx: &mut Context| ctx.record("users", (last, "last")).await;
    let row = Row::new(journey, NoData, constant(10, SECOND / 10)).named("last");
    ran(Run::new(Scenario::new().row(row)).recorder(folder)).await.assert_no_errors();
    let rows = recorded::<(u64, String)>(folder.join("users.msgpack")).unwrap();
    let mut numbers: Vec<u64> = rows.into_iter().map(|row| row.0).collect();
    assert_eq!(numbers.pop(), Some(last));
    let mut once = numbers.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), numbers.len(), "no record is there twice");
    once
}

#[tokio::test]
async fn a_run_that_is_killed() {
    if let Some(folder) = std::env::var_os(CHILD) {
        let scenario = Scenario::new().journey(create, NoData, constant(200, 600 * SECOND));
        Run::new(scenario).workers(2).recorder(folder).run().await.unwrap();
        unreachable!("it is killed before");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = child("a_run_that_is_killed", folder.path()).spawn().unwrap();
    let mut recorded = Vec::new();
    let mut killed = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The last line may be torn, and the first are of the test itself.
        let mut words = line.split(' ');
        let (Some("recorded"), Some(Ok(number)), Some(Ok(at))) =
            (words.next(), words.next().map(str::parse::<u64>), words.next().map(str::parse::<u64>))
        else {
            continue;
        };
        recorded.push((number, Duration::from_micros(at)));
        if killed.is_none() && recorded[0].1 + 2 * AT_RISK < recorded[recorded.len() - 1].1 {
            killed = Some(now());
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    let safe = killed.unwrap().saturating_sub(AT_RISK);
    let there = after_another_run(folder.path(), u64::MAX).await;
    let safe: Vec<u64> = recorded.iter().filter(|(_, at)| *at < safe).map(|(number, _)| *number).collect();
    assert!(safe.len() > 100, "{}", safe.len());
    let lost: Vec<_> = safe.iter().filter(|number| there.binary_search(number).is_err()).collect();
    assert!(lost.is_empty(), "{} of {} were lost: {lost:?}", lost.len(), safe.len());
}

#[tokio::test]
async fn a_disk_that_is_full() {
    if let Some(folder) = std::env::var_os(CHILD) {
        let scenario = Scenario::new().journey(create, NoData, constant(2000, 600 * SECOND));
        let error = Run::new(scenario).recorder(folder).run().await.unwrap_err();
        writeln!(std::io::stdout().lock(), "\nended {error}").unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let itself = child("a_disk_that_is_full", folder.path());
    // A limit on the size of files stands in for the disk: what fits of a write is written, and the rest refused.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' 25; ulimit -f 100; exec \"$@\"", "sh"])
        .arg(itself.get_program())
        .args(itself.get_args());
    let output = limited.env(CHILD, folder.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let ended = told.lines().find_map(|line| line.strip_prefix("ended ")).unwrap_or_else(|| panic!("{output:?}"));
    let path = folder.path().join("users.msgpack");
    assert!(
        ended.starts_with(&format!("the recorder failed: failed to write {}: File too large", path.display())),
        "{ended}"
    );
    // Whole records, without a repair.
    let rows = recorded::<(u64, String)>(&path).unwrap();
    assert!(!rows.is_empty());
    assert_eq!(after_another_run(folder.path(), u64::MAX).await.len(), rows.len());
}
