//! A report gives back what its run has recorded, from memory and from files alike, and says why where it cannot.

mod common;

use std::path::Path;

use common::{TENTH, failed, noop, ran};
use mite_core::volume::{SECOND, constant};
use mite_core::{Context, NoData, RecordedError, Report, Result, Run, Scenario, recorded};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct User {
    username: String,
    age: Option<u8>,
}

async fn create_user(ctx: &mut Context) -> Result {
    let user = User { username: format!("user{}", ctx.start_index()), age: None };
    ctx.record("users", &user).await
}

fn users() -> Scenario {
    Scenario::new().journey(create_user, NoData, constant(200, TENTH))
}

/// A run of the scenario with each of the recorders.
async fn with_each(scenario: impl Fn() -> Scenario, check: impl Fn(&Report)) {
    for workers in 1..=2 {
        check(&ran(Run::new(scenario()).workers(workers).record_in_memory()).await);
        let folder = tempfile::tempdir().unwrap();
        check(&ran(Run::new(scenario()).workers(workers).recorder(folder.path())).await);
    }
}

fn told(report: &Report, name: &str) -> String {
    report.recorded::<User>(name).unwrap_err().to_string()
}

#[tokio::test]
async fn both_recorders_give_the_same_rows() {
    let there = || std::fs::read_dir(".").unwrap().count();
    let before = there();
    with_each(users, |report| {
        let mut rows = report.recorded::<User>("users").unwrap();
        rows.sort();
        let mut expected: Vec<User> = (0..20).map(|n| User { username: format!("user{n}"), age: None }).collect();
        expected.sort();
        assert_eq!(rows, expected);
        assert_eq!(report.records, [("users".to_owned(), 20)].into());
        // Untyped rows too, and a clone has what the report has.
        assert_eq!(report.clone().recorded::<rmpv::Value>("users").unwrap().len(), 20);
    })
    .await;
    assert_eq!(there(), before);
}

#[tokio::test]
async fn a_purge_takes_away_what_came_before_it() {
    async fn starting_over(ctx: &mut Context) -> Result {
        for round in 0..3 {
            ctx.send("purge_data", json!({"name": "users"})).await?;
            for n in 0..1000 {
                ctx.record("users", (round, n)).await?;
            }
        }
        ctx.record("temporary", 1).await?;
        ctx.send("purge_data", json!({"name": "temporary"})).await?;
        ctx.send("purge_data", json!({"name": "never recorded"})).await
    }
    let scenario = || Scenario::new().journey(starting_over, NoData, constant(1, SECOND / 100));
    with_each(scenario, |report| {
        let rows = report.recorded::<(u32, u32)>("users").unwrap();
        assert_eq!(rows, (0..1000).map(|n| (2, n)).collect::<Vec<_>>());
        assert_eq!(report.records, [("users".to_owned(), 1000)].into());
        let told = told(report, "temporary");
        assert_eq!(told, "the run has recorded nothing as \"temporary\": it has recorded \"users\"");
    })
    .await;
}

#[tokio::test]
async fn a_row_that_does_not_fit_is_told_with_its_number_and_field() {
    async fn odd(ctx: &mut Context) -> Result {
        ctx.record("users", json!({"username": "ann"})).await?;
        ctx.record("users", json!({"username": "bob", "age": "old"})).await
    }
    let scenario = || Scenario::new().journey(odd, NoData, constant(1, SECOND / 100));
    with_each(scenario, |report| {
        let told = told(report, "users");
        let text = "record 2, at byte 14, does not fit in field `age`: text is there, and something else was asked for";
        assert!(told.ends_with(&format!(": {text}")), "{told}");
        // In memory there is no path, and the bare name stands for it.
        assert!(told.starts_with("users: ") || told.contains("users.msgpack: "), "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_name_that_was_not_recorded_is_no_empty_list() {
    with_each(users, |report| {
        let told = told(report, "user");
        let text = "the run has recorded nothing as \"user\" (did you mean \"users\"?): it has recorded \"users\"";
        assert_eq!(told, text);
    })
    .await;
    let nothing = || Scenario::new().journey(noop, NoData, constant(100, TENTH));
    with_each(nothing, |report| {
        assert_eq!(told(report, "users"), "the run has recorded nothing as \"users\": it has recorded nothing");
    })
    .await;
    let report = ran(Run::new(nothing())).await;
    assert!(matches!(report.recorded::<User>("users"), Err(RecordedError::NoRecorder { .. })));
    assert!(told(&report, "users").contains("Activate one with `Run::record_in_memory()`"));
}

#[tokio::test]
async fn there_is_one_recorder() {
    let error = failed(Run::new(users()).recorder("some/folder").record_in_memory()).await;
    assert_eq!(
        error.to_string(),
        "records go either to memory or to some/folder: leave out `record_in_memory()` or `recorder(…)`"
    );
    assert!(!Path::new("some").exists());
}

#[tokio::test]
async fn names_are_those_that_files_may_have() {
    async fn path(ctx: &mut Context) -> Result {
        ctx.record("a/path", 1).await
    }
    let scenario = || Scenario::new().journey(path, NoData, constant(10, TENTH));
    with_each(scenario, |report| {
        assert!(report.errors[0].message.contains("\"a/path\" cannot name recorded data"), "{report}");
        assert!(report.records.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_folder_gives_the_rows_of_this_run_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.msgpack");
    let first = ran(Run::new(users()).recorder(folder.path())).await;
    let second = ran(Run::new(users()).recorder(folder.path())).await;
    for report in [&first, &second] {
        assert_eq!(report.recorded::<User>("users").unwrap().len(), 20);
    }
    assert_eq!(recorded::<User>(&file).unwrap().len(), 40);
    // Whoever cuts the file off, or takes it away, is found out.
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(first.recorded::<User>("users").unwrap().len(), 20);
    let changed = format!("{} has changed since the run: its records were cut off, replaced or purged", file.display());
    assert_eq!(told(&second, "users"), changed);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(told(&first, "users"), changed);
}

#[tokio::test]
async fn a_run_that_was_aborted_has_what_it_recorded() {
    async fn for_long(ctx: &mut Context) -> Result {
        ctx.record("users", 1).await?;
        std::future::pending().await
    }
    let scenario = Scenario::new().journey(for_long, NoData, constant(100, 60 * SECOND));
    let handle = Run::new(scenario).record_in_memory().start().unwrap();
    let stopper = handle.stopper();
    tokio::spawn(async move {
        tokio::time::sleep(TENTH).await;
        stopper.abort();
    });
    let report = handle.await.unwrap();
    let rows = report.recorded::<u8>("users").unwrap();
    assert_eq!(rows.len() as u64, report.journeys[0].started);
}
