//! Beyond `max_running` a start waits and is counted from when it was due, or is dropped, as its row says.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use common::{TENTH, forever, ran};
use mite_core::volume::constant;
use mite_core::{Context, NoData, Overload, Result, Row, Run, Scenario, Verdict};

#[tokio::test]
async fn queued_starts_wait_for_room() {
    for workers in 1..=2 {
        let (now, most) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
        let seen = Arc::clone(&most);
        let journey = async move |_: &mut Context| -> Result {
            seen.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            now.fetch_sub(1, SeqCst);
            Ok(())
        };
        let row = Row::new(journey, NoData, constant(500, 3 * TENTH)).named("waiting").max_running(4);
        let report = ran(Run::new(Scenario::new().row(row)).workers(workers)).await;
        let row = &report.journeys[0];
        assert!(most.load(SeqCst) <= 4, "{report}");
        assert_eq!((row.planned, row.dropped), (150, 0));
        assert!(row.unstarted > 0 && row.completed == row.started, "{report}");
        // What waited is told as that, and the response time has it.
        assert_eq!(row.queue_wait.count(), row.started);
        assert!(row.queue_wait.max() > TENTH && row.response_time.max() > TENTH, "{report}");
        assert!(row.queue_wait.max() <= row.response_time.max(), "{report}");
        assert_eq!(report.verdict, Verdict::Failed);
        assert!(report.reasons[0].ends_with("still waiting at the end"), "{:?}", report.reasons);
    }
}

#[tokio::test]
async fn dropped_starts_are_counted() {
    for workers in 1..=2 {
        let row = Row::new(forever, NoData, constant(500, TENTH)).max_running(10).overload(Overload::Drop);
        let report = ran(Run::new(Scenario::new().row(row)).workers(workers).graceful_stop(10 * TENTH)).await;
        let row = &report.journeys[0];
        assert_eq!((row.planned, row.started, row.dropped, row.unstarted, row.cancelled), (50, 10, 40, 0, 10));
        assert_eq!(report.reasons[0], "overload::common:forever: 40 starts dropped at max_running");
    }
}

#[tokio::test]
async fn what_waits_when_the_run_is_stopped_is_unstarted() {
    let row = Row::new(forever, NoData, constant(500, 100 * TENTH)).max_running(10);
    let run = Run::new(Scenario::new().row(row)).graceful_stop(10 * TENTH).stop_after(2 * TENTH);
    let report = ran(run).await;
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.started, row.unstarted, row.cancelled), (100, 10, 90, 10));
}

#[tokio::test]
async fn all_rows_together_share_the_room_of_the_process() {
    for workers in 1..=2 {
        let (now, most) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
        let journey = {
            let most = Arc::clone(&most);
            async move |_: &mut Context| -> Result {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.fetch_sub(1, SeqCst);
                Ok(())
            }
        };
        let row = |name, rate| Row::new(journey.clone(), NoData, constant(rate, 3 * TENTH)).named(name);
        let scenario = Scenario::new().row(row("fast", 500)).row(row("slow", 50));
        let report = ran(Run::new(scenario).workers(workers).max_running(4)).await;
        assert!(most.load(SeqCst) <= 4, "{report}");
        let [fast, slow] = [report.journey("fast"), report.journey("slow")];
        assert_eq!((fast.planned, slow.planned, fast.dropped), (150, 15, 0));
        // The one that has been due for longest comes first: neither row keeps the other out.
        assert!(fast.started > 0 && slow.started > 0 && fast.unstarted > 0, "{report}");
        assert!(fast.queue_wait.max() > TENTH, "{report}");
        let scenario = Scenario::new()
            .row(Row::new(forever, NoData, constant(500, TENTH)).overload(Overload::Drop))
            .row(Row::new(forever, NoData, constant(3, TENTH).running()).named("closed"));
        let report = ran(Run::new(scenario).workers(workers).max_running(8).graceful_stop(10 * TENTH)).await;
        let open = &report.journeys[0];
        // Journeys of the closed model take room and are never held back.
        assert_eq!((open.started + open.dropped, report.journey("closed").started), (50, 3));
        assert!((5..=8).contains(&open.started), "{report}");
    }
}
