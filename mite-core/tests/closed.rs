//! The closed model keeps as many journeys running as were asked for, and never more.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use common::{Starts, TENTH, ran};
use mite_core::volume::{SECOND, Stages, constant, ramp};
use mite_core::{Context, NoData, RecyclableIterableDataPool, Result, Row, Run, Scenario, Volume};

#[derive(Debug, Clone, Default)]
struct Gauge {
    now: Arc<AtomicI64>,
    most: Arc<AtomicI64>,
    starts: Starts,
}

impl Gauge {
    fn enter(&self, ctx: &Context) -> impl Drop {
        struct Leave(Arc<AtomicI64>);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        self.starts.note(ctx);
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        Leave(Arc::clone(&self.now))
    }
}

async fn of(
    model: impl mite_core::VolumeModel,
    workers: usize,
    run: impl FnOnce(Run) -> Run,
) -> (Gauge, mite_core::Report) {
    let gauge = Gauge::default();
    let entered = gauge.clone();
    let journey = async move |ctx: &mut Context| -> Result {
        let _inside = entered.enter(ctx);
        tokio::time::sleep(Duration::from_millis(ctx.start_index() % 3)).await;
        Ok(())
    };
    let scenario = Scenario::new().row(Row::new(journey, NoData, model).named("gauged"));
    let report = ran(run(Run::new(scenario).workers(workers))).await;
    assert_eq!(gauge.now.load(SeqCst), 0);
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.started), (row.completed, row.completed), "{report}");
    // Numbers are not used twice; a worker that made fewer starts leaves some out.
    let mut starts = gauge.starts.sorted();
    let made = starts.len();
    starts.dedup();
    assert_eq!((starts.len(), made as u64), (made, row.started));
    (gauge, report)
}

#[tokio::test]
async fn never_more_and_replaced_at_once() {
    for workers in 1..=3 {
        let (gauge, report) = of(constant(20, 3 * TENTH).running(), workers, |run| run).await;
        assert_eq!(gauge.most.load(SeqCst), 20);
        assert!(report.journeys[0].completed > 60, "{report}");
    }
}

#[tokio::test]
async fn fewer_journeys_than_workers() {
    for running in 1..=2 {
        let (gauge, report) = of(constant(Volume::running(running), 2 * TENTH), 3, |run| run).await;
        assert_eq!(gauge.most.load(SeqCst), running.cast_signed());
        assert!(report.passed(), "{report}");
    }
}

#[tokio::test]
async fn ramps_of_journeys() {
    let up_and_down = || -> Stages { ramp(2 * TENTH).from(0).to(10) + ramp(2 * TENTH).to(0) };
    for workers in 1..=3 {
        let (gauge, report) = of(up_and_down().running(), workers, |run| run).await;
        assert!((1..=10).contains(&gauge.most.load(SeqCst)), "{gauge:?}");
        assert!(report.passed(), "{report}");
    }
}

#[tokio::test]
async fn closures_say_it_by_name() {
    let model = |start: Duration, _end| Volume::running(if start < SECOND { 2 } else { 4 });
    for workers in [1, 3] {
        let (gauge, report) = of(model, workers, |run| run.stop_after(SECOND + 2 * TENTH)).await;
        assert_eq!(gauge.most.load(SeqCst), 4);
        assert!(report.passed(), "{report}");
    }
}

#[tokio::test]
async fn a_spawn_rate_lets_no_more_run_than_have_come() {
    for workers in 1..=3 {
        // Four have come in the end by the plan, whatever a slow machine makes of it.
        let slowly = |run: Run| run.spawn_rate(20.0);
        let (gauge, report) = of(constant(100, 2 * TENTH).running(), workers, slowly).await;
        assert!((1..4).contains(&gauge.most.load(SeqCst)), "{gauge:?}");
        assert!(report.passed(), "{report}");
        let asked = |start: Duration, _end| (start < SECOND).then_some(Volume::running(100));
        let (gauge, _) = of(asked, workers, |run| run.spawn_rate(5.0).stop_after(8 * TENTH)).await;
        assert!((1..4).contains(&gauge.most.load(SeqCst)), "{gauge:?}");
    }
}

#[tokio::test]
async fn a_journey_that_never_waits_lets_others_run() {
    let scenario = Scenario::new()
        .row(Row::new(common::noop, NoData, constant(2, 2 * TENTH).running()).named("busy"))
        .row(Row::new(common::noop, NoData, constant(500, 2 * TENTH)).named("open"));
    let report = ran(Run::new(scenario)).await;
    assert_eq!(report.journey("open").completed, 100);
    assert!(report.journey("busy").completed > 100, "{report}");
}

/// Ten journeys that do not end by themselves, two of which are wanted after 100 ms.
fn shrinking(ramp_down: Option<Duration>) -> Row {
    let model = constant(10, TENTH) + constant(2, 5 * TENTH);
    let until_stopped = async |ctx: &mut Context| -> Result {
        while !ctx.should_stop() {
            tokio::time::sleep(TENTH / 20).await;
        }
        Ok(())
    };
    let row = Row::new(until_stopped, NoData, model.running()).named("shrinking");
    match ramp_down {
        Some(ramp_down) => row.graceful_ramp_down(ramp_down),
        None => row,
    }
}

#[tokio::test]
async fn journeys_that_are_too_many_are_cancelled_after_the_ramp_down() {
    for workers in 1..=2 {
        let run = |ramp_down| ran(Run::new(Scenario::new().row(shrinking(ramp_down))).workers(workers));
        // Without a limit all of them finish.
        let report = run(None).await;
        assert_eq!((report.journeys[0].completed, report.journeys[0].cancelled), (10, 0), "{report}");
        let report = run(Some(TENTH)).await;
        assert_eq!((report.journeys[0].completed, report.journeys[0].cancelled), (2, 8), "{report}");
        assert!(report.passed(), "it is what was asked for: {report}");
        // At the end of the plan the graceful stop holds instead.
        let report = run(Some(100 * TENTH)).await;
        assert_eq!((report.journeys[0].completed, report.journeys[0].cancelled), (10, 0), "{report}");
    }
}

#[tokio::test]
async fn a_slot_that_waits_for_data_and_is_not_wanted_any_more_plans_nothing() {
    let pool = RecyclableIterableDataPool::new([(1,), (2,)]);
    let hold = async |ctx: &mut Context, _: i32| -> Result {
        while !ctx.should_stop() {
            tokio::time::sleep(TENTH / 20).await;
        }
        Ok(())
    };
    let model = constant(5, 2 * TENTH) + constant(2, 2 * TENTH);
    let report = ran(Run::new(Scenario::new().row(Row::new(hold, pool, model.running()).named("hold")))).await;
    let row = &report.journeys[0];
    // The two items may be held by any of the five slots: those that are too many with an item finish.
    assert_eq!((row.completed, row.planned), (2, 2 + row.unstarted), "{report}");
    assert!(row.unstarted <= 2, "{report}");
}

#[tokio::test]
async fn fifty_stay_fifty() {
    let now = Arc::new(AtomicI64::new(0));
    let entered = Arc::clone(&now);
    let journey = async move |ctx: &mut Context| -> Result {
        use rand::RngExt as _;
        entered.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_micros(ctx.rng().random_range(0..20_000))).await;
        entered.fetch_sub(1, SeqCst);
        Ok(())
    };
    // Sampled from within by the clock of another row: never more.
    let most = Arc::new(AtomicI64::new(0));
    let (seen, sampled) = (Arc::clone(&most), Arc::clone(&now));
    let sample = async move |_: &mut Context| -> Result {
        seen.fetch_max(sampled.load(SeqCst), SeqCst);
        Ok(())
    };
    let scenario = Scenario::new()
        .row(Row::new(journey, NoData, constant(50, SECOND).running()).named("fifty"))
        .row(Row::new(sample, NoData, constant(1000, SECOND)).named("sample"));
    let report = ran(Run::new(scenario).workers(2)).await;
    assert_eq!(most.load(SeqCst), 50, "{report}");
}
