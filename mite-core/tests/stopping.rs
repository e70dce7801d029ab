//! A run that is stopped, aborted or dropped ends soon, gives everything back, and keeps what was recorded.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use common::{TENTH, checked, forever, noop};
use mite_core::volume::{SECOND, constant};
use mite_core::{
    Checkout, Config, Context, DataPool, NoData, Progress, Result, Row, Run, RunHandle, Scenario, Verdict, recorded,
};
use tokio::sync::mpsc;

/// Counts what is out, and never runs dry.
#[derive(Debug, Default)]
struct Leases {
    out: AtomicI64,
    all: AtomicI64,
}

impl DataPool for Leases {
    type Item = (u64,);

    async fn checkout(&self, _config: &Config) -> Result<Checkout<(u64,)>> {
        let id = self.all.fetch_add(1, SeqCst) as u64;
        // A start that is cancelled here has not got its item.
        tokio::task::yield_now().await;
        self.out.fetch_add(1, SeqCst);
        Ok(Checkout::Item { id, item: (id,) })
    }

    fn checkin(&self, _id: u64) {
        self.out.fetch_sub(1, SeqCst);
    }
}

/// A run of two rows over `leases` whose journeys record and never end; the receiver is told of each.
fn endless(leases: &Arc<Leases>, folder: &std::path::Path, workers: usize) -> (Run, mpsc::UnboundedReceiver<u64>) {
    let (told, receiver) = mpsc::unbounded_channel();
    let journey = async move |ctx: &mut Context, id: u64| -> Result {
        ctx.transaction("record", async |ctx| {
            ctx.record("ids", id).await?;
            // The test may have heard enough.
            let _ = told.send(id);
            forever(ctx).await
        })
        .await
    };
    let open = Row::new(journey.clone(), Arc::clone(leases), constant(500, 600 * SECOND)).named("open");
    let closed = Row::new(journey, Arc::clone(leases), constant(5, 600 * SECOND).running()).named("closed");
    let run = Run::new(Scenario::new().row(open).row(closed)).workers(workers).recorder(folder);
    (run, receiver)
}

async fn hear(receiver: &mut mpsc::UnboundedReceiver<u64>, journeys: usize) {
    for _ in 0..journeys {
        receiver.recv().await.unwrap();
    }
}

fn stop_with(how: fn(&RunHandle), graceful: Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        for workers in 1..=2 {
            let (leases, folder) = (Arc::default(), tempfile::tempdir().unwrap());
            let (run, mut receiver) = endless(&leases, folder.path(), workers);
            let handle = run.graceful_stop(graceful).start().unwrap();
            hear(&mut receiver, 20).await;
            how(&handle);
            let report = tokio::time::timeout(20 * SECOND, handle).await.expect("the run ends").unwrap();
            let report = checked(report);
            assert_eq!(report.verdict, Verdict::Aborted);
            assert_eq!(report.reasons[0], "stopped before its end");
            let started: u64 = report.journeys.iter().map(|row| row.started).sum();
            let cancelled: u64 = report.journeys.iter().map(|row| row.cancelled).sum();
            assert!(started >= 20 && cancelled == started, "{report}");
            assert_eq!(leases.out.load(SeqCst), 0);
            let ids = recorded::<u64>(folder.path().join("ids.msgpack")).unwrap();
            assert_eq!(ids.len() as u64, report.records["ids"]);
            assert!(ids.len() >= 20, "{}", ids.len());
        }
    });
}

#[test]
fn by_stop() {
    stop_with(RunHandle::stop, TENTH);
}

#[test]
fn by_abort() {
    stop_with(RunHandle::abort, 600 * SECOND);
}

#[test]
fn by_a_stop_and_then_an_abort() {
    let both = |handle: &RunHandle| {
        let stopper = handle.stopper();
        stopper.stop();
        stopper.stop();
        stopper.abort();
    };
    stop_with(both, 600 * SECOND);
}

#[tokio::test]
async fn a_stop_lets_journeys_finish() {
    let (told, mut receiver) = mpsc::unbounded_channel();
    let journey = async move |ctx: &mut Context| -> Result {
        told.send(()).unwrap();
        while !ctx.should_stop() {
            tokio::time::sleep(TENTH / 10).await;
        }
        Ok(())
    };
    let row = Row::new(journey, NoData, constant(100, 600 * SECOND)).named("polite");
    let handle = Run::new(Scenario::new().row(row)).start().unwrap();
    receiver.recv().await.unwrap();
    handle.stop();
    let report = checked(handle.await.unwrap());
    // What was due and not started when the stop came is not started any more.
    assert_eq!((report.verdict, report.journeys[0].completed), (Verdict::Aborted, report.journeys[0].started));
}

#[tokio::test]
async fn before_anything_has_started() {
    let handle = Run::new(Scenario::new().journey(noop, NoData, constant(100, 600 * SECOND))).start().unwrap();
    handle.abort();
    let report = checked(handle.await.unwrap());
    assert_eq!(report.verdict, Verdict::Aborted);
    drop(Run::new(Scenario::new().journey(noop, NoData, constant(100, 600 * SECOND))).start().unwrap());
}

#[tokio::test]
async fn progress_is_told_once_a_second() {
    let scenario = Scenario::new()
        .journey(noop, NoData, constant(50, 600 * SECOND))
        .row(Row::new(forever, NoData, constant(3, 600 * SECOND).running()).named("closed"));
    let handle = Run::new(scenario).workers(2).start().unwrap();
    assert_eq!(handle.progress(), Progress::default());
    let progress = loop {
        tokio::time::sleep(TENTH / 10).await;
        if handle.progress().seconds >= 2 && handle.progress().response_time.count > 0 {
            break handle.progress();
        }
    };
    assert_eq!(progress.planned, 50 * progress.seconds + 3);
    assert!(progress.started >= progress.completed && progress.started <= progress.planned + 50, "{progress:?}");
    assert_eq!((progress.failed, progress.running >= 3), (0, true), "{progress:?}");
    let times = progress.response_time;
    assert!(times.p50 <= times.p95 && times.p95 <= times.p99 && times.p99 <= times.max, "{progress:?}");
    handle.abort();
    checked(handle.await.unwrap());
}

#[tokio::test]
async fn a_journey_that_never_ends_is_cancelled_after_the_graceful_stop() {
    let scenario = Scenario::new()
        .journey(forever, NoData, constant(50, TENTH))
        .row(Row::new(forever, NoData, constant(2, TENTH).running()).named("closed"));
    let report = checked(Run::new(scenario).graceful_stop(TENTH).run().await.unwrap());
    assert_eq!((report.journeys[0].cancelled, report.journeys[1].cancelled), (5, 2));
    assert_eq!(report.verdict, Verdict::Failed);
}
