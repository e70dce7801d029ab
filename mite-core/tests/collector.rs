//! A collector has every message in its files, each once, whatever was in its folder before, and says what it could not write.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Kept, failed, ran};
use mite_core::volume::{HOUR, SECOND, at_once, constant};
use mite_core::{Collector, Context, NoData, Result, Row, Run, Scenario, json_lines, recorded};
use rmpv::Value;
use serde_json::json;

async fn noting(ctx: &mut Context) -> Result {
    ctx.transaction("step", async |ctx| ctx.send("note", json!({"n": ctx.start_index(), "bytes": "…"})).await).await
}

/// Each journey sends a note and two transactions.
fn scenario(journeys: u64) -> Scenario {
    Scenario::new().named("collected").row(Row::new(noting, NoData, at_once(journeys)).named("shop:noting"))
}

/// The files that are done, in the order of their counters, and then the one that is being written.
fn files(folder: &Path) -> Vec<PathBuf> {
    let counter = |path: &PathBuf| {
        let parts: Vec<u64> =
            path.file_name().unwrap().to_str().unwrap().split('_').map(|part| part.parse().unwrap()).collect();
        assert!(parts.len() == 3 && parts[0] <= parts[1], "{}", path.display());
        (parts[1], parts[2])
    };
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (mut done, other): (Vec<_>, Vec<_>) =
        all.partition(|path| path.file_name().unwrap().as_encoded_bytes()[0].is_ascii_digit());
    assert_eq!(other.len(), 2, "{other:?}");
    done.sort_by_key(counter);
    done.push(folder.join("current"));
    done
}

fn messages(path: &Path) -> Vec<Value> {
    recorded(path).unwrap()
}

fn sorted(mut messages: Vec<Value>) -> Vec<String> {
    messages.sort_by_key(ToString::to_string);
    messages.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_message_is_in_its_files_once() {
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::everything();
    let run = Run::new(scenario(100)).workers(2).sink(Collector::new(folder.path()).roll_after(64));
    let report = ran(run.sink(kept.clone())).await;
    let files = files(folder.path());
    let found: Vec<Vec<Value>> = files.iter().map(|path| messages(path)).collect();
    let (current, done) = found.split_last().unwrap();
    assert!(done.iter().all(|file| file.len() == 64) && current.len() < 64);
    let of_types = |kind: &str| found.iter().flatten().filter(|message| message["type"] == kind.into()).count();
    assert_eq!((of_types("note"), of_types("txn")), (100, 200));
    assert_eq!(sorted(found.concat()), sorted(kept.all()));
    assert_eq!((&*report.sinks[0].sink, report.sinks[0].dropped), ("collector", 0));
    assert_eq!(report.sinks[0].taken, found.concat().len() as u64);
    let started = fs::read_to_string(folder.path().join("current_start_time")).unwrap();
    assert!(started.parse::<u64>().unwrap() > 1_700_000_000);
}

#[tokio::test]
async fn what_an_earlier_run_has_left_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let run = || Run::new(scenario(5)).sink(Collector::new(folder.path()));
    for runs in 1..=3 {
        ran(run()).await;
        let files = files(folder.path());
        assert_eq!(files.len(), runs);
        assert!(files.iter().all(|path| messages(path).len() >= 15));
    }
    // Nobody says when this one was begun.
    fs::remove_file(folder.path().join("current_start_time")).unwrap();
    ran(run()).await;
    assert_eq!(files(folder.path()).len(), 4);
}

#[tokio::test]
async fn lines_of_json_and_a_filter() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::new(folder.path()).json_lines().filter(|message| &*message.kind() == "note");
    // Those that are left out count.
    ran(Run::new(scenario(10)).sink(collector.roll_after(15))).await;
    let mut numbers = Vec::new();
    let files = files(folder.path());
    assert!(files.len() >= 3);
    for line in
        files.iter().flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
    {
        let message: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&message["type"], &message["journey"]), (&json!("note"), &json!("shop:noting")));
        assert_eq!(message["transaction"], json!("__root__ :: step"));
        numbers.push(message["n"].as_u64().unwrap());
        let packed = json_lines::packed(line.as_bytes()).unwrap();
        assert_eq!(rmpv::decode::read_value(&mut &packed[..]).unwrap()["bytes"], "…".into());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let mut refused = Vec::new();
    refused.push(failed(Run::new(scenario(1)).sink(Collector::new(folder.path()).roll_after(0))).await.to_string());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    refused.push(failed(Run::new(scenario(1)).sink(Collector::new(&file))).await.to_string());
    let shared = folder.path().join("shared");
    let handle = Run::new(Scenario::new().row(Row::new(noting, NoData, constant(10, HOUR)).named("shop:noting")))
        .sink(Collector::new(&shared))
        .start()
        .unwrap();
    refused.push(failed(Run::new(scenario(1)).sink(Collector::new(&shared))).await.to_string());
    handle.stop();
    common::checked(handle.await.unwrap());
    assert_eq!(
        refused,
        [
            "the collector failed: a collector's file must be rolled after one message or more, not after 0".to_owned(),
            format!(
                "the collector failed: failed to make the collector folder {}: File exists (os error 17)",
                file.display()
            ),
            format!(
                "the collector failed: {} is being written by another run: give each its own collector folder",
                shared.join("current").display()
            ),
        ]
    );
}

/// The folder that a child collects in.
const CHILD: &str = "MITE_TEST_CHILD";

#[cfg(unix)]
#[tokio::test]
async fn a_disk_that_is_full_does_not_end_the_run() {
    if let Some(folder) = std::env::var_os(CHILD) {
        let scenario = Scenario::new().journey(noting, NoData, constant(1000, 2 * SECOND));
        let report = ran(Run::new(scenario).workers(2).sink(Collector::new(folder))).await;
        assert!(report.passed(), "{report}");
        assert_eq!(report.journey("noting").completed, 2000);
        let sink = &report.sinks[0];
        println!("\nended {} {} {}", sink.taken, sink.dropped, sink.failure.as_deref().unwrap());
        assert!(report.warnings.iter().any(|warning| warning.contains("messages for it were not taken")));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A limit on the size of files stands in for the disk: what fits of a write is written, and the rest refused.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' 25; ulimit -f 200; exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
    limited.args(["a_disk_that_is_full_does_not_end_the_run", "--exact", "--nocapture"]);
    let output = limited.env(CHILD, folder.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let ended = told.lines().find_map(|line| line.strip_prefix("ended ")).unwrap_or_else(|| panic!("{output:?}"));
    let mut words = ended.splitn(3, ' ');
    let mut count = || words.next().unwrap().parse::<u64>().unwrap();
    let (taken, dropped) = (count(), count());
    let path = folder.path().join("current");
    assert_eq!(words.next(), Some(&*format!("failed to write {}: File too large (os error 27)", path.display())));
    // Whole messages, and as many as were told to be taken; two transactions and a note for each journey, and the controller's.
    assert_eq!(messages(&path).len() as u64, taken);
    assert!(taken > 0 && (6001..6010).contains(&(taken + dropped)), "{taken} {dropped}");
}
