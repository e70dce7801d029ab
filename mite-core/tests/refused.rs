//! What makes no sense is refused before anything starts, in words that name the mend.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{TENTH, failed, noop};
use mite_core::volume::{SECOND, constant};
use mite_core::{
    Context, IterableDataPool, Mix, NoData, RecyclableIterableDataPool, Row, Run, RunError, Scenario, SingleRunDataPool,
};

async fn of_number(_ctx: &mut Context, _number: u32) -> mite_core::Result {
    Ok(())
}

async fn refused(row: Row) -> String {
    let error = failed(Run::new(Scenario::new().row(row))).await;
    let RunError::Row(row) = &error else { panic!("{error:?}") };
    assert_eq!((row.row, row.file), (1, file!()));
    let place = format!("row 1 ({}, at {}:{}): ", row.journey, row.file, row.line);
    error.to_string().strip_prefix(&place).unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[tokio::test]
async fn pools_without_items() {
    let nothing_to_run_on = "the data pool has no items: journeys would have nothing to run on";
    let empty = RecyclableIterableDataPool::new(Vec::<(u32,)>::new());
    assert_eq!(refused(Row::new(of_number, empty, constant(1, SECOND))).await, nothing_to_run_on);
    let empty = IterableDataPool::new(Vec::<(u32,)>::new());
    assert_eq!(refused(Row::new(of_number, empty, constant(1, SECOND))).await, nothing_to_run_on);

    let (items, single) = (IterableDataPool::new([(1,), (2,)]), SingleRunDataPool::new((1,)));
    let scenario = Scenario::new().journey(of_number, items.clone(), constant(100, TENTH)).journey(
        of_number,
        single.clone(),
        constant(100, TENTH),
    );
    common::ran(Run::new(scenario)).await;
    assert_eq!(
        refused(Row::new(of_number, items, constant(1, SECOND))).await,
        "all 2 items of the data pool were used by an earlier run"
    );
    assert_eq!(
        refused(Row::new(of_number, single, constant(1, SECOND))).await,
        "the data pool's one item was used by an earlier run"
    );
}

#[tokio::test]
async fn rows_that_make_no_sense() {
    let row = || Row::new(noop, NoData, constant(1, SECOND));
    assert_eq!(refused(row().timeout(Duration::ZERO)).await, "a timeout of zero lets no journey run");
    assert_eq!(refused(row().max_running(0)).await, "`max_running(0)` lets no journey run");
    assert_eq!(refused(Row::new(noop, NoData, constant(-1, SECOND))).await, "a rate of -1 is negative");
    assert_eq!(
        refused(Row::new(async |_: &mut Context| Ok(()), NoData, constant(1, SECOND))).await,
        "a closure has no name: give its row one with `Row::new(…).named(\"…\")`"
    );
    assert_eq!(
        refused(Row::new(noop, NoData, |_start, _end| 100)).await,
        "nothing says when this ends: its volume model is a closure, and its data pool has no end. Give the run \
         `.stop_after(…)`, or the row stages with a length"
    );
    assert_eq!(
        refused(row().spawn_rate(5.0)).await,
        "`.spawn_rate(…)` is for a number running at once: a rate itself says how fast journeys start"
    );
    assert_eq!(
        refused(Row::new(noop, NoData, constant(5, SECOND).running()).spawn_rate(-0.5)).await,
        "`.spawn_rate(-0.5)`: it takes from 0.001 to 1000000000 journeys per second"
    );
    // The place is that of the row.
    let (row, line) = (Row::new(noop, NoData, constant(-1, SECOND)), line!());
    let RunError::Row(error) = failed(Run::new(Scenario::new().row(row))).await else { panic!() };
    assert_eq!((error.file, error.line, error.journey), (file!(), line, "refused::common:noop".to_owned()));
}

#[tokio::test]
async fn spawn_rates_that_make_no_sense() {
    let closed = || constant(5, SECOND).running();
    for rate in [0.0, f64::NAN] {
        let run = Run::new(Scenario::new().journey(noop, NoData, closed())).spawn_rate(rate);
        assert_eq!(
            failed(run).await.to_string(),
            format!("`.spawn_rate({rate})`: it takes from 0.001 to 1000000000 journeys per second")
        );
    }
    let mix = Mix::new().row(1, Row::new(noop, NoData, closed()).spawn_rate(1.0));
    let error = failed(Run::new(Scenario::new().mix(closed(), mix))).await.to_string();
    assert!(error.ends_with("the rows of a mix rise together: say `.spawn_rate(…)` on the mix"), "{error}");
    // A closure says only when it is asked that it means a rate.
    let asked = Row::new(noop, NoData, |_start, _end| 5).spawn_rate(1.0);
    let error = failed(Run::new(Scenario::new().row(asked)).stop_after(SECOND)).await.to_string();
    assert!(error.contains("`.spawn_rate(…)` is for a number running at once"), "{error}");
}

#[tokio::test]
async fn a_limit_that_leaves_a_worker_without_room() {
    let run = |workers| {
        let row = Row::new(noop, NoData, constant(100, TENTH)).max_running(2);
        Run::new(Scenario::new().row(row)).workers(workers)
    };
    common::ran(run(2)).await;
    let error = failed(run(3)).await.to_string();
    assert!(
        error.ends_with(
            "`max_running(2)` cannot be shared out among 3 workers: each needs room for at least one journey. Raise it, \
             or give the run fewer workers"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn runs_that_make_no_sense() {
    let scenario = || Scenario::new().journey(noop, NoData, constant(1, SECOND));
    let told = async |run: Run| failed(run).await.to_string();
    assert_eq!(told(Run::new(Scenario::new())).await, "the scenario has no rows: add a journey with `.journey(…)`");
    assert_eq!(told(Run::new(scenario()).workers(0)).await, "a run has from 1 to 1024 workers, not 0");
    assert_eq!(told(Run::new(scenario()).workers(1025)).await, "a run has from 1 to 1024 workers, not 1025");
    assert_eq!(
        told(Run::new(scenario()).stop_after(Duration::ZERO)).await,
        "`stop_after` needs a duration from a nanosecond to 500 years"
    );
    assert_eq!(
        told(Run::new(scenario()).stop_after(Duration::MAX)).await,
        "`stop_after` needs a duration from a nanosecond to 500 years"
    );
}

#[tokio::test]
async fn a_recorder_folder_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = async |folder: &Path| {
        let scenario =
            Scenario::new().setup(async |_| panic!("nothing starts")).journey(noop, NoData, constant(1, SECOND));
        failed(Run::new(scenario).recorder(folder)).await.to_string()
    };
    let error = refused(&file).await;
    assert!(
        error.starts_with(&format!("the recorder failed: failed to write to the recorder folder {}", file.display()))
    );
    let below = file.join("recorder-data");
    let error = refused(&below).await;
    assert!(
        error.starts_with("the recorder failed: failed to ") && error.contains(&*below.to_string_lossy()),
        "{error}"
    );
}

#[tokio::test]
async fn the_longest_durations_are_none_too_many() {
    let row = Row::new(noop, NoData, constant(100, TENTH)).timeout(Duration::MAX);
    let report = common::ran(Run::new(Scenario::new().row(row)).graceful_stop(Duration::MAX)).await;
    assert_eq!(report.journeys[0].completed, 10);
}

#[tokio::test]
async fn a_part_that_is_none_is_refused() {
    for part in [-0.1, 1.01, f64::NAN, f64::INFINITY] {
        let scenario = Scenario::new().row(Row::new(noop, NoData, constant(1, SECOND)));
        let error = failed(Run::new(scenario).min_achieved(part)).await;
        assert_eq!(error.to_string(), format!("`min_achieved` is a part from 0 to 1, not {part}"));
    }
}
