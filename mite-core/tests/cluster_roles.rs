//! Who attends a run of a cluster beside its controller and its runners: followers, a collector and a recorder.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Kept, checked};
use mite_core::bus::Local;
use mite_core::cluster::{Follow, Join, Lead, TookPart, follow, join, record, status};
use mite_core::volume::{HOUR, SECOND, constant};
use mite_core::{
    Context, NoData, Report, RequestSample, Row, Run, RunError, RunHandle, Scenario, Sink, SinkError, Snapshot, Wants,
    ensure,
};

const BUILD: &str = "this build";

fn lead(fabric: &Arc<Local>) -> Lead {
    Lead::new(fabric.clone(), BUILD).expect(2).lease(Duration::from_secs(20))
}

/// 200 starts a second of two rows, each with a transaction, a request and a record.
fn scenario(length: Duration) -> Scenario {
    let visit = async |ctx: &mut Context| {
        let index = ctx.start_index();
        ctx.counter("visits").add(1);
        ctx.transaction("Look", async |ctx| {
            let total = Duration::from_micros(1 + index * index % 70_001);
            let sample =
                RequestSample { method: "GET", name: Some("/look"), code: 200, total, ..RequestSample::default() };
            ctx.scope().request(&sample);
            ctx.record("visits", &(index,)).await
        })
        .await?;
        ensure!(!index.is_multiple_of(10), "each tenth fails");
        Ok(())
    };
    let row = |name: &str| Row::new(visit, NoData, constant(200, length)).named(name);
    let setup = async |ctx: &mut Context| ctx.record("begun", &1).await;
    Scenario::new().named("visits").setup(setup).row(row("one")).row(row("other"))
}

fn run() -> Run {
    run_of(2 * SECOND)
}

fn run_of(length: Duration) -> Run {
    Run::new(scenario(length)).max_start_lag(HOUR)
}

async fn runners(fabric: &Arc<Local>) -> Vec<RunHandle<TookPart>> {
    runners_of(fabric, 2 * SECOND).await
}

async fn runners_of(fabric: &Arc<Local>, length: Duration) -> Vec<RunHandle<TookPart>> {
    let mut runners = Vec::new();
    for name in ["one", "two"] {
        let me = Join { name: name.to_owned(), binary: BUILD.to_owned(), workers: 2 };
        runners.push(join(fabric.clone(), me).await.unwrap().start(run_of(length)).unwrap());
    }
    runners
}

async fn following(fabric: &Arc<Local>, collects: bool, sink: impl Sink) -> RunHandle<Report> {
    let me = Follow { name: "follower".to_owned(), binary: BUILD.to_owned(), collects };
    follow(fabric.clone(), me).await.unwrap().start(run().sink(sink)).unwrap()
}

/// What a report tells of what happened, without what is of one process.
fn figures(report: &Report) -> String {
    let journeys: Vec<_> = report
        .journeys
        .iter()
        .map(|row| {
            (&row.journey, row.planned, row.started, row.completed, row.failed, row.lost, row.response_time.count())
        })
        .collect();
    let requests: Vec<_> =
        report.requests.iter().map(|of| (&of.name, of.count, of.time.durations().collect::<Vec<_>>())).collect();
    // How long after that a process sees the run's end is its own affair.
    let seconds: Vec<_> =
        report.per_second.iter().take(2).map(|of| (of.t, of.planned, of.started, of.requests)).collect();
    let metrics: Vec<_> = report.metrics.iter().map(|of| format!("{of:?}")).collect();
    format!("{journeys:?} {requests:?} {metrics:?} {seconds:?}")
}

fn numbers(folder: &Path) -> Vec<u64> {
    let rows: Vec<(u64,)> = mite_core::recorded(folder.join("visits.msgpack")).unwrap();
    let mut numbers: Vec<u64> = rows.into_iter().map(|(number,)| number).collect();
    numbers.sort_unstable();
    numbers
}

/// Each number of both rows.
fn all_numbers() -> Vec<u64> {
    (0..800).map(|number| number / 2).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_has_the_figures_of_the_controller_and_the_messages_of_all_runners() {
    let fabric = Arc::new(Local::new());
    let folder = tempfile::tempdir().unwrap();
    let controller = run().recorder(folder.path()).lead(lead(&fabric).with_collector(true)).unwrap();
    let (early, messages) = (LastFigures::default(), Kept::everything());
    let exporter = following(&fabric, false, early.clone()).await;
    let runners = runners(&fabric).await;
    let collector = following(&fabric, true, messages.clone()).await;
    let mut progress = controller.follow();
    while progress.next().await.expect("the run goes on").started == 0 {}
    // What was told before it came is not missing.
    let late = following(&fabric, false, Kept::types(&[])).await;
    let report = checked(controller.await.unwrap());
    for runner in runners {
        runner.await.unwrap();
    }
    for follower in [exporter, collector, late] {
        assert_eq!(figures(&checked(follower.await.unwrap())), figures(&report));
    }
    let last = early.0.lock().unwrap().clone();
    assert!(last.is_last);
    assert_eq!(last.requests.iter().map(|of| of.count).sum::<u64>(), 800);
    assert_eq!(last.journeys.iter().map(|of| of.completed).sum::<u64>(), 720);
    let transactions = messages.of("txn");
    let looks: Vec<_> = transactions.iter().filter(|of| of["transaction"] == "__root__ :: Look".into()).collect();
    assert_eq!(looks.len(), 800);
    let ids = |field: &str| looks.iter().map(|of| of[field].as_u64().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(ids("runner_id"), BTreeSet::from([1, 2]));
    assert_eq!(ids("scenario_id"), BTreeSet::from([1, 2]));
    assert_eq!(messages.of("data_created").len(), 801, "setup's is there too");
    assert_eq!(messages.of("controller_report").len(), 2, "one for each whole second");
}

/// The figures that were told last.
#[derive(Debug, Clone, Default)]
struct LastFigures(Arc<std::sync::Mutex<Snapshot>>);

impl Sink for LastFigures {
    fn name(&self) -> &'static str {
        "last figures"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&[])
    }

    fn wants_snapshots(&self) -> bool {
        true
    }

    fn snapshot(&mut self, figures: &Snapshot) -> std::result::Result<(), SinkError> {
        *self.0.lock().unwrap() = figures.clone();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_of_its_own_may_be_killed_and_started_again() {
    let (fabric, folder) = (Arc::new(Local::new()), tempfile::tempdir().unwrap());
    let controller = run().recorder("not/here").lead(lead(&fabric).with_recorder(true)).unwrap();
    let first = tokio::spawn(record(fabric.clone(), "first", folder.path().to_owned()));
    let runners = runners(&fabric).await;
    let mut progress = controller.follow();
    while progress.next().await.expect("the run goes on").started < 200 {}
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    for runner in runners {
        runner.await.unwrap();
    }
    // The controller waits for the one that is gone, until another one is there.
    let second = record(fabric.clone(), "second", folder.path()).await.unwrap();
    let counts = BTreeMap::from([("begun".to_owned(), 1), ("visits".to_owned(), 800)]);
    assert_eq!((second.records, second.scenario.as_str(), second.warnings), (counts.clone(), "visits", vec![]));
    let report = checked(controller.await.unwrap());
    assert_eq!(report.records, counts);
    assert_eq!(numbers(folder.path()), all_numbers());
    let error = report.recorded::<(u64,)>("visits").unwrap_err();
    assert_eq!(error.to_string(), "the records of \"visits\" were written by the recorder second: read its file");
    assert!(!Path::new("not").exists());
    assert_eq!(status(&*fabric).await.unwrap(), None, "all is taken away");
}

#[tokio::test]
async fn who_was_asked_for_and_does_not_come_is_told() {
    for (with_recorder, who) in [(true, "recorder"), (false, "collector")] {
        let fabric = Arc::new(Local::new());
        let lead = lead(&fabric).with_recorder(with_recorder).with_collector(!with_recorder).within(SECOND);
        let controller = run().lead(lead).unwrap();
        let runners = runners(&fabric).await;
        let error = controller.await.unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("no {who} came within 1s: start one with `{who}`, or leave out `--with-{who}`")),
            "{error}"
        );
        for runner in runners {
            let took_part = runner.await.unwrap();
            assert_eq!((took_part.started, took_part.has_begun), (0, false));
        }
    }
}

#[tokio::test]
async fn who_follows_is_of_the_same_build_and_may_leave() {
    let fabric = Arc::new(Local::new());
    let folder = tempfile::tempdir().unwrap();
    let long = 6 * SECOND;
    let controller = run_of(long).recorder(folder.path()).lead(lead(&fabric)).unwrap();
    let other = Follow { name: "mine".to_owned(), binary: "another build".to_owned(), collects: false };
    let refused = follow(fabric.clone(), other).await.unwrap_err();
    assert!(refused.to_string().starts_with("mine is another build of the program"), "{refused}");
    let me = Follow { name: "follower".to_owned(), binary: BUILD.to_owned(), collects: false };
    let follower = follow(fabric.clone(), me).await.unwrap().start(run_of(long)).unwrap();
    let runners = runners_of(&fabric, long).await;
    let mut progress = controller.follow();
    while progress.next().await.expect("the run goes on").started == 0 {}
    follower.stop();
    match follower.await {
        Err(RunError::Cluster(error)) => assert!(error.is_idle(), "{error}"),
        outcome => panic!("{outcome:?}"),
    }
    let report = checked(controller.await.unwrap());
    assert_eq!(report.journeys.iter().map(|row| row.started).sum::<u64>(), 2400);
    for runner in runners {
        runner.await.unwrap();
    }
}

#[tokio::test]
async fn a_controller_that_stood_by_for_nothing_says_so() {
    let fabric = Arc::new(Local::new());
    let folder = tempfile::tempdir().unwrap();
    let controller = run().recorder(folder.path()).lead(lead(&fabric)).unwrap();
    let runners = runners(&fabric).await;
    let standby = run().lead(lead(&fabric).standby(true)).unwrap();
    checked(controller.await.unwrap());
    match standby.await {
        Err(RunError::Cluster(error)) => assert!(error.is_idle(), "{error}"),
        outcome => panic!("{outcome:?}"),
    }
    for runner in runners {
        runner.await.unwrap();
    }
}
