//! What journeys record is on the disk, whole and in each sender's order, when the run returns.

mod common;

use common::{TENTH, checked, errors, failed, ran, records, tally};
use mite_core::volume::{SECOND, constant};
use mite_core::{Context, Message, NoData, Result, Row, Run, Scenario, Sink, SinkError, Wants, recorded};
use serde_json::json;

#[tokio::test]
async fn two_journeys_two_names_two_files() {
    async fn left(ctx: &mut Context) -> Result {
        ctx.record("left", json!({"n": ctx.start_index()})).await
    }
    async fn right(ctx: &mut Context) -> Result {
        ctx.send("data_created", json!({"name": "right", "data": ctx.start_index()})).await
    }
    for workers in 1..=2 {
        let folder = tempfile::tempdir().unwrap();
        let scenario =
            Scenario::new().journey(left, NoData, constant(500, TENTH)).journey(right, NoData, constant(300, TENTH));
        let report = ran(Run::new(scenario).workers(workers).recorder(folder.path().join("deep/data"))).await;
        let folder = folder.path().join("deep/data");
        let left = tally(records(&folder, "left").iter().map(|row| row["n"].as_u64().unwrap()));
        assert_eq!(left, (0..50).map(|n| (n, 1)).collect());
        let right = tally(recorded::<u64>(folder.join("right.msgpack")).unwrap());
        assert_eq!(right, (0..30).map(|n| (n, 1)).collect());
        assert_eq!(report.records, [("left".to_owned(), 50), ("right".to_owned(), 30)].into());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    }
}

#[tokio::test]
async fn each_senders_records_keep_their_order() {
    async fn many(ctx: &mut Context) -> Result {
        for n in 0..2000u64 {
            ctx.record("many", (ctx.start_index(), n)).await?;
        }
        Ok(())
    }
    let folder = tempfile::tempdir().unwrap();
    let scenario = Scenario::new().journey(many, NoData, constant(100, TENTH));
    ran(Run::new(scenario).workers(2).recorder(folder.path())).await;
    let rows = recorded::<(u64, u64)>(folder.path().join("many.msgpack")).unwrap();
    assert_eq!(rows.len(), 20_000);
    let mut next = [0; 10];
    for (sender, n) in rows {
        assert_eq!(n, next[sender as usize], "of sender {sender}");
        next[sender as usize] += 1;
    }
}

#[tokio::test]
async fn a_hundred_thousand_records_of_one_loop_beside_another_row() {
    async fn all(ctx: &mut Context) -> Result {
        for n in 0..100_000u64 {
            ctx.record("all", json!({"n": n, "username": "0123456789abcdef"})).await?;
        }
        Ok(())
    }
    let folder = tempfile::tempdir().unwrap();
    let scenario =
        Scenario::new().journey(all, NoData, constant(1, SECOND)).journey(common::noop, NoData, constant(1000, SECOND));
    let report = ran(Run::new(scenario).recorder(folder.path())).await;
    assert!(report.passed(), "{report}");
    let mut rows = 0;
    for row in mite_core::recorded_rows::<rmpv::Value>(folder.path().join("all.msgpack")).unwrap() {
        assert_eq!(row.unwrap()["n"], rows.into());
        rows += 1;
    }
    assert_eq!((rows, report.records["all"]), (100_000, 100_000));
}

#[tokio::test]
async fn a_purge_is_in_its_place_among_the_records() {
    async fn starting_over(ctx: &mut Context) -> Result {
        for round in 0..3 {
            for n in 0..1000 {
                ctx.record("users", (round, n)).await?;
            }
            if round < 2 {
                ctx.send("purge_data", json!({"name": "users"})).await?;
            }
        }
        ctx.send("purge_data", json!({"name": "never recorded"})).await
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.msgpack"), b"\x01").unwrap();
    let scenario = Scenario::new().journey(starting_over, NoData, constant(1, SECOND / 100));
    let report = ran(Run::new(scenario).recorder(folder.path())).await;
    let rows = recorded::<(u32, u32)>(folder.path().join("users.msgpack")).unwrap();
    assert_eq!(rows, (0..1000).map(|n| (2, n)).collect::<Vec<_>>());
    // What was purged is not told as recorded, whether it had been written by then or not.
    assert_eq!(report.records, [("users".to_owned(), 1000)].into());
}

#[tokio::test]
async fn setup_and_teardown_purge() {
    async fn user(ctx: &mut Context) -> Result {
        ctx.record("users", 1).await?;
        ctx.record("temporary", 1).await
    }
    for workers in 1..=2 {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("users.msgpack"), b"\x07\x07").unwrap();
        std::fs::write(folder.path().join("others.msgpack"), b"\x07\x07").unwrap();
        let scenario = Scenario::new()
            .setup(async |ctx| {
                ctx.send("purge_data", json!({"name": "users"})).await?;
                ctx.send("purge_data", json!({"name": "others"})).await
            })
            .journey(user, NoData, constant(200, TENTH))
            .teardown(async |ctx| ctx.send("purge_data", json!({"name": "temporary"})).await);
        ran(Run::new(scenario).workers(workers).recorder(folder.path())).await;
        assert_eq!(recorded::<u8>(folder.path().join("users.msgpack")).unwrap(), [1; 20]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{workers} workers");
    }
}

#[tokio::test]
async fn what_was_there_is_appended_to() {
    async fn user(ctx: &mut Context) -> Result {
        ctx.record("users", 2).await
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.msgpack"), b"\x01\x92\x01").unwrap();
    let scenario = Scenario::new().journey(user, NoData, constant(10, TENTH));
    let report = ran(Run::new(scenario).recorder(folder.path())).await;
    assert_eq!(recorded::<u8>(folder.path().join("users.msgpack")).unwrap(), [1, 2]);
    assert!(report.warnings[0].ends_with("a record that was not whole was cut off its end (2 bytes)"), "{report}");
}

async fn one(row: Row, run: impl FnOnce(Run) -> Run) -> String {
    let report = checked(run(Run::new(Scenario::new().row(row))).run().await.unwrap());
    let journey = report.journeys[0].journey.rsplit(':').next().unwrap().to_owned();
    assert_eq!((report.journeys[0].failed, report.errors.len()), (1, 1), "{report}");
    let (_, _, message, location, _) = errors(&report)[0];
    let location = location.strip_prefix(concat!(file!(), ":")).unwrap_or_else(|| panic!("{location}"));
    assert!(location.ends_with(&format!(":{journey}")), "{location}");
    message.to_owned()
}

#[tokio::test]
async fn without_a_recorder_recording_is_an_error() {
    struct All;
    impl Sink for All {
        fn name(&self) -> &'static str {
            "collector"
        }
        fn wants(&self) -> Wants {
            Wants::Everything
        }
        fn message(&mut self, _: &Message<'_>) -> Result<(), SinkError> {
            Ok(())
        }
    }
    async fn user(ctx: &mut Context) -> Result {
        ctx.record("users", 2).await
    }
    let row = || Row::new(user, NoData, constant(10, TENTH));
    let message = "\"users\" cannot be recorded: this run has no recorder. Activate it with \
                   `Run::recorder(\"recorder-data\")`, or with `Run::record_in_memory()` in a test";
    assert_eq!(one(row(), |run| run).await, format!("Error: {message}"));
    // One that takes every message keeps no files of records.
    assert_eq!(one(row(), |run| run.sink(All)).await, format!("Error: {message}"));
}

#[tokio::test]
async fn names_that_are_paths_and_messages_that_are_none_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let told = async |kind: &'static str, fields: serde_json::Value| {
        let journey = async move |ctx: &mut Context| ctx.send(kind, fields.clone()).await;
        one(Row::new(journey, NoData, constant(10, TENTH)).named("user"), |run| run.recorder(folder.path())).await
    };
    let separator = "cannot name recorded data: it becomes the name of a file, and so has no `/`, `\\` or NUL";
    assert_eq!(
        told("data_created", json!({"name": "a/b", "data": 1})).await,
        format!("NameError: \"a/b\" {separator}")
    );
    assert_eq!(told("purge_data", json!({"name": "a\\b"})).await, format!("NameError: \"a\\\\b\" {separator}"));
    assert_eq!(
        told("data_created", json!({"name": "../up", "data": 1})).await,
        "NameError: \"../up\" cannot name recorded data: it begins with a dot"
    );
    assert_eq!(
        told("data_created", json!({"name": 7, "data": 1})).await,
        "Error: a message of type \"data_created\" needs a `name` that is text"
    );
    assert_eq!(
        told("data_created", json!({"name": "users"})).await,
        "Error: a message of type \"data_created\" needs `data`"
    );
    for field in ["type", "time", "test", "journey", "transaction", "context_id", "runner_id"] {
        assert_eq!(
            told("note", json!({"a": 1, field: 1})).await,
            format!(
                "MessageError: a message of type \"note\" cannot have a field of its own named {field:?}: mite adds that \
                 one itself"
            )
        );
    }
    let no_map = "MessageError: a message of type \"note\" is a map with names as keys, which this value is not";
    for value in [json!([1]), json!("text"), json!(7)] {
        assert_eq!(told("note", value).await, no_map);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_written_ends_the_run() {
    async fn user(ctx: &mut Context) -> Result {
        ctx.record("users", ctx.start_index()).await
    }
    let ended = async |run: Run| {
        let error = tokio::time::timeout(20 * SECOND, failed(run)).await;
        error.expect("the run ends at once, not with its plan").to_string()
    };
    let scenario = || Scenario::new().journey(user, NoData, constant(100, 60 * SECOND));
    // A disk that is full.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.msgpack");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let error = ended(Run::new(scenario()).recorder(folder.path())).await;
    assert!(
        error.starts_with(&format!("the recorder failed: failed to write {}: No space left", path.display())),
        "{error}"
    );
    // A file that another run writes.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.msgpack");
    let other = std::fs::File::create(&path).unwrap();
    other.lock().unwrap();
    let error = ended(Run::new(scenario()).recorder(folder.path())).await;
    assert_eq!(
        error,
        format!(
            "the recorder failed: {} is being written by another run: give each its own recorder folder",
            path.display()
        )
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_taken_away_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = data.join("users.msgpack");
    let taken = data.clone();
    let journey = async move |ctx: &mut Context| {
        ctx.record("users", ctx.start_index()).await?;
        if taken.join("users.msgpack").exists() && ctx.start_index() > 50 {
            std::fs::remove_dir_all(&taken)?;
        }
        Ok(())
    };
    let row = Row::new(journey, NoData, constant(100, 60 * SECOND)).named("user");
    let run = Run::new(Scenario::new().row(row)).recorder(&data);
    let error = tokio::time::timeout(20 * SECOND, failed(run)).await.expect("the run ends at once").to_string();
    assert_eq!(
        error,
        format!("the recorder failed: {} was deleted or moved away while it was being written", path.display())
    );
}
