//! What is due in the warm-up is made, counted and recorded, and left out of the figures.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use common::{Starts, TENTH, checked, failed, forever, noop, ran, records};
use mite_core::volume::{SECOND, constant};
use mite_core::{
    Context, IterableDataPool, NoData, Overload, RequestSample, Result, Row, Run, RunError, Scenario, Verdict, WarmUp,
    ensure,
};

fn warm_up(report: &mite_core::Report) -> &WarmUp {
    report.warm_up.as_ref().expect("the run had a warm-up")
}

/// Due within the first tenth of a second at 500 starts per second.
fn in_warm_up(ctx: &Context) -> bool {
    ctx.start_index() < 50
}

#[tokio::test]
async fn an_open_row_is_parted_by_when_its_starts_were_due() {
    for workers in 1..=3 {
        let (starts, folder) = (Starts::default(), tempfile::tempdir().unwrap());
        let noted = starts.clone();
        let journey = async move |ctx: &mut Context| -> Result {
            noted.note(ctx);
            // What was due in the warm-up ends after it, and is of it all the same.
            tokio::time::sleep(TENTH).await;
            let index = ctx.start_index();
            ctx.check("is a number", index < 100);
            ctx.transaction("record", async |ctx| {
                ctx.scope().request(&RequestSample { method: "GET", code: 200, ..RequestSample::default() });
                ctx.record("starts", index).await
            })
            .await
        };
        let scenario = Scenario::new()
            .setup(async |ctx| ctx.transaction("prepare", async |_| Ok(())).await)
            .row(Row::new(journey, NoData, constant(500, 2 * TENTH)).named("open"));
        let run = Run::new(scenario).workers(workers).warm_up(TENTH).recorder(folder.path());
        let report = ran(run).await;
        assert!(report.passed(), "{report}");
        let (row, left_out) = (&report.journeys[0], warm_up(&report));
        assert_eq!((row.planned, row.completed, row.service_time.count()), (50, 50, 50));
        assert_eq!((left_out.planned, left_out.completed, left_out.duration), (50, 50, TENTH));
        assert_eq!((report.transaction("record").count, report.requests[0].count), (50, 50));
        assert_eq!(report.transaction("prepare").count, 1, "setup is never of the warm-up");
        assert_eq!((report.checks[0].passed, report.checks[0].failed), (50, 0));
        // Two counts that know nothing of the report's.
        assert_eq!(starts.sorted(), (0..100).collect::<Vec<_>>());
        assert_eq!((records(folder.path(), "starts").len(), report.records["starts"]), (100, 100));
        assert_eq!(report.per_second[0].planned, 100);
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["warm_up"]["duration_us"], 100_000);
        assert_eq!(json["warm_up"]["completed"], 50);
        assert_eq!(json["per_second"][0]["warm_up"], true);
        assert!(report.to_string().contains("\nwarm-up: the first 100 ms are left out above"), "{report}");
    }
}

#[tokio::test]
async fn a_closed_row_is_parted_by_when_its_slots_were_free() {
    for workers in 1..=3 {
        let starts = Starts::default();
        let noted = starts.clone();
        let journey = async move |ctx: &mut Context| -> Result {
            noted.note(ctx);
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(())
        };
        // A machine that stands still for a tenth of a second must not be taken for a row that has no warm-up.
        let row = Row::new(journey, NoData, constant(6, 10 * TENTH).running()).named("closed");
        let report = ran(Run::new(Scenario::new().row(row)).workers(workers).warm_up(7 * TENTH)).await;
        let (row, left_out) = (&report.journeys[0], warm_up(&report));
        assert_eq!(row.started + left_out.started, starts.sorted().len() as u64);
        assert!(left_out.planned >= 6 && left_out.completed == left_out.planned, "{left_out:?}");
        assert_eq!((row.completed, row.unstarted), (row.planned, 0), "{report}");
    }
}

#[tokio::test]
async fn what_is_not_started_belongs_to_where_it_was_due() {
    for workers in 1..=2 {
        let row = || Row::new(forever, NoData, constant(500, 2 * TENTH)).max_running(10);
        let run = |row| Run::new(Scenario::new().row(row)).workers(workers).warm_up(TENTH).graceful_stop(TENTH);
        let report = ran(run(row().overload(Overload::Drop))).await;
        let counts = |part: &WarmUp| (part.planned, part.started, part.cancelled, part.dropped, part.unstarted);
        assert_eq!(counts(warm_up(&report)), (50, 10, 10, 40, 0));
        let rest = &report.journeys[0];
        assert_eq!((rest.planned, rest.started, rest.dropped, rest.unstarted), (50, 0, 50, 0));
        let report = ran(run(row())).await;
        assert_eq!(counts(warm_up(&report)), (50, 10, 10, 0, 40));
        let rest = &report.journeys[0];
        assert_eq!((rest.planned, rest.started, rest.dropped, rest.unstarted), (50, 0, 0, 50));
    }
}

#[tokio::test]
async fn errors_of_the_warm_up_alone_do_not_fail_the_run() {
    for workers in 1..=2 {
        let journey = async |ctx: &mut Context| -> Result {
            ctx.check("is warm", !in_warm_up(ctx));
            ensure!(!in_warm_up(ctx), "the cache is cold");
            Ok(())
        };
        let row = || Row::new(journey, NoData, constant(500, 2 * TENTH)).named("cold");
        let report = ran(Run::new(Scenario::new().row(row())).workers(workers).warm_up(TENTH)).await;
        assert_eq!(report.verdict, Verdict::Passed, "{report}");
        report.assert_no_errors();
        assert_eq!((report.journeys[0].failed, report.checks[0].failed), (0, 0));
        assert_eq!((warm_up(&report).failed, warm_up(&report).errors), (50, 50));
        let report = ran(Run::new(Scenario::new().row(row())).workers(workers)).await;
        assert_eq!((report.verdict, report.warm_up), (Verdict::Failed, None));
    }
}

/// What the system ran out of in the warm-up it may lack in the rest.
#[cfg(unix)]
#[tokio::test]
async fn a_system_that_ran_out_of_files_limits_the_generator_all_the_same() {
    let journey = async |ctx: &mut Context| -> Result {
        if in_warm_up(ctx) {
            return Err(std::io::Error::from_raw_os_error(24).into());
        }
        Ok(())
    };
    let row = Row::new(journey, NoData, constant(500, 2 * TENTH)).named("files");
    let report = ran(Run::new(Scenario::new().row(row)).warm_up(TENTH)).await;
    assert_eq!((report.verdict, report.errors.len()), (Verdict::GeneratorLimited, 0), "{report}");
}

#[tokio::test]
async fn data_that_runs_out_is_parted_too() {
    // Eighty items for a hundred starts: the plan ends when they are used up.
    let pool = IterableDataPool::new((0..80).map(|item| (item,)));
    let seen = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&seen);
    let journey = async move |_: &mut Context, _item: u64| -> Result {
        count.fetch_add(1, SeqCst);
        Ok(())
    };
    let row = Row::new(journey, pool, constant(500, 2 * TENTH)).named("data");
    let report = ran(Run::new(Scenario::new().row(row)).workers(2).warm_up(TENTH)).await;
    let (rest, left_out) = (&report.journeys[0], warm_up(&report));
    assert_eq!(rest.started + left_out.started, 80, "{report}");
    assert_eq!(seen.load(SeqCst), 80);
    assert!(left_out.starved == 0 && left_out.completed <= 50, "{left_out:?}");
}

#[tokio::test]
async fn a_run_that_is_stopped_is_parted_as_well() {
    for workers in 1..=2 {
        let starts = Starts::default();
        let noted = starts.clone();
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let journey = async move |ctx: &mut Context| -> Result {
            noted.note(ctx);
            // The test may have heard enough.
            let _ = told.send(ctx.start_index());
            Ok(())
        };
        let scenario = Scenario::new()
            .row(Row::new(journey, NoData, constant(500, 600 * SECOND)).named("open"))
            .row(Row::new(forever, NoData, constant(5, 600 * SECOND).running()).named("closed"));
        let run = Run::new(scenario).workers(workers).warm_up(TENTH).graceful_stop(TENTH);
        let handle = run.max_start_lag(600 * SECOND).start().unwrap();
        while heard.recv().await.is_some_and(|index| index < 70) {}
        handle.stop();
        let report = checked(handle.await.unwrap());
        let (open, closed, left_out) = (&report.journeys[0], &report.journeys[1], warm_up(&report));
        assert_eq!(open.started + left_out.started - 5, starts.sorted().len() as u64, "{report}");
        assert!(open.planned >= 20, "{report}");
        assert_eq!((left_out.planned, left_out.cancelled), (55, 5), "{left_out:?}");
        assert_eq!((closed.planned, closed.unstarted), (0, 0), "slots that never end are planned once");
    }
}

#[tokio::test]
async fn senseless_warm_ups_are_refused_in_words() {
    let run = || Run::new(Scenario::new().journey(noop, NoData, constant(100, SECOND)));
    for run in
        [run().warm_up(25 * 3600 * SECOND), run().warm_up(SECOND).stop_after(SECOND), run().warm_up(Duration::MAX)]
    {
        let error = failed(run).await;
        assert!(matches!(error, RunError::WarmUp), "{error}");
        assert!(error.to_string().contains("must be shorter than `stop_after`"), "{error}");
    }
    let report = ran(run().warm_up(2 * SECOND)).await;
    assert_eq!((report.journeys[0].planned, warm_up(&report).completed), (0, 100));
    assert_eq!(report.warnings, ["nothing was measured: all starts were due in the warm-up"]);
}
