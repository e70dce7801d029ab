//! What a context gives a journey: extensions that end with it or with its worker, random numbers that repeat, and pacing.

mod common;

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{TENTH, checked, forever, ran};
use mite_core::volume::{SECOND, constant};
use mite_core::{Context, NoData, Result, Row, Run, Scenario, bail};
use rand::RngExt as _;

/// Counts how many there are and were.
#[derive(Debug, Clone, Default)]
struct Census {
    made: Arc<AtomicU64>,
    alive: Arc<AtomicU64>,
}

struct Member(Census);

impl Census {
    fn member(&self) -> Member {
        self.made.fetch_add(1, SeqCst);
        self.alive.fetch_add(1, SeqCst);
        Member(self.clone())
    }

    fn counts(&self) -> (u64, u64) {
        (self.made.load(SeqCst), self.alive.load(SeqCst))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, SeqCst);
    }
}

#[tokio::test]
async fn a_journeys_extensions_end_with_it_in_whatever_way() {
    for workers in 1..=2 {
        let (visits, of_workers) = (Census::default(), Census::default());
        let most_alive = Arc::new(AtomicU64::new(0));
        let (census, shared, most) = (visits.clone(), of_workers.clone(), Arc::clone(&most_alive));
        let journey = async move |ctx: &mut Context| -> Result {
            assert!(ctx.extension::<Member>().is_none());
            assert!(ctx.set_extension(Some(Rc::new(census.member()))).is_none());
            let worker = ctx.worker_extension(|| (shared.member(), 7u8));
            assert!(Rc::ptr_eq(&worker, &ctx.worker_extension(|| unreachable!("it is there"))));
            most.fetch_max(census.counts().1, SeqCst);
            ctx.transaction("inner", async |ctx| {
                assert!(ctx.fork().extension::<Member>().is_some());
                match ctx.start_index() % 4 {
                    0 => Ok(()),
                    1 => bail!("no"),
                    2 => panic!("no"),
                    _ => forever(ctx).await,
                }
            })
            .await
        };
        let row = Row::new(journey, NoData, constant(400, TENTH)).named("attached");
        let report = ran(Run::new(Scenario::new().row(row)).workers(workers).graceful_stop(TENTH)).await;
        let row = &report.journeys[0];
        assert_eq!((row.completed, row.failed, row.cancelled), (10, 20, 10), "{report}");
        assert_eq!(visits.counts(), (40, 0));
        // Those that never ended were all there until they were cancelled; the others were gone.
        assert!((10..=12).contains(&most_alive.load(SeqCst)), "{most_alive:?}");
        assert_eq!(of_workers.counts(), (workers as u64, 0));
    }
}

#[tokio::test]
async fn random_numbers_repeat_with_the_seed_and_the_start() {
    type Drawn = std::collections::BTreeMap<(u64, &'static str), u64>;
    async fn drawn(seed: u64, workers: usize) -> Drawn {
        let all = Arc::new(Mutex::new(Drawn::new()));
        let noted = Arc::clone(&all);
        let journey = async move |ctx: &mut Context| {
            let (mut left, mut right) = (ctx.fork(), ctx.fork());
            let start = ctx.start_index();
            let numbers = [
                ("first", ctx.rng().random()),
                ("second", ctx.rng().random()),
                ("left", left.rng().random()),
                ("right", right.rng().random()),
                ("later", ctx.fork().rng().random()),
            ];
            noted.lock().unwrap().extend(numbers.map(|(name, number)| ((start, name), number)));
            Ok(())
        };
        let row = || Row::new(journey.clone(), NoData, constant(100, TENTH)).named("drawing");
        ran(Run::new(Scenario::new().row(row())).seed(seed).workers(workers)).await;
        let drawn = all.lock().unwrap().clone();
        assert_eq!(drawn.len(), 50);
        drawn
    }
    let first = drawn(1, 1).await;
    assert_eq!(first, drawn(1, 2).await);
    let mut numbers: Vec<u64> = first.into_values().chain(drawn(0, 1).await.into_values()).collect();
    numbers.extend(drawn(2, 1).await.into_values());
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 150, "no two are the same, of whichever seed, start and fork");
}

#[tokio::test]
async fn separations_are_never_shorter() {
    let separation = Duration::from_millis(20);
    let journey = async move |ctx: &mut Context| -> Result {
        let started = Instant::now();
        let seven = ctx.ensure_fixed_separation(separation, async |_| 7).await;
        assert!(seven == 7 && started.elapsed() >= separation);
        // A body that takes longer is not waited for.
        let started = Instant::now();
        let body = ctx.ensure_fixed_separation(separation, async |_| {
            tokio::time::sleep(2 * separation).await;
            started.elapsed()
        });
        assert!(body.await >= 2 * separation);
        for plus_minus in [None, Some(Duration::ZERO), Some(separation / 2), Some(2 * separation)] {
            let started = Instant::now();
            ctx.ensure_average_separation(separation, plus_minus, async |_| ()).await;
            let least = separation.saturating_sub(plus_minus.unwrap_or(separation / 4));
            assert!(started.elapsed() >= least, "{plus_minus:?}");
        }
        // What fails goes through, after the wait.
        let started = Instant::now();
        let failed = ctx.ensure_fixed_separation(separation, async |_| "x".parse::<u8>()).await;
        assert!(failed.is_err() && started.elapsed() >= separation);
        Ok(())
    };
    let row = Row::new(journey, NoData, constant(100, TENTH)).named("paced");
    ran(Run::new(Scenario::new().row(row))).await.assert_no_errors();
}

#[tokio::test]
async fn checks_count_and_do_not_fail() {
    async fn checking(ctx: &mut Context) -> Result {
        ctx.check("is even", ctx.start_index().is_multiple_of(2));
        Ok(())
    }
    let scenario = Scenario::new().journey(checking, NoData, constant(100, TENTH));
    let report = ran(Run::new(scenario).workers(2)).await;
    let check = &report.checks[0];
    assert_eq!((&*check.name, check.passed, check.failed), ("is even", 5, 5));
}

async fn three(ctx: &mut Context) -> Result {
    ctx.transaction("t", async |_| Ok(())).await
}

fn thirty() -> Run {
    Run::new(Scenario::new().journey(three, NoData, constant(300, TENTH)))
}

#[test]
fn runs_can_be_waited_for_without_a_runtime() {
    assert_eq!(checked(thirty().run_blocking().unwrap()).journeys[0].completed, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_can_be_awaited_on_any_thread() {
    let report = tokio::spawn(thirty().workers(2).run()).await.unwrap().unwrap();
    assert_eq!(checked(report).journeys[0].completed, 30);
}

#[tokio::test]
async fn two_runs_at_once_do_not_know_of_each_other() {
    async fn falling(ctx: &mut Context) -> Result {
        ctx.record("falls", ctx.start_index()).await?;
        if ctx.config().get::<bool>("panics")? { panic!("one run's own") } else { Ok(()) }
    }
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = |panics: bool, folder: &std::path::Path| {
        let scenario = Scenario::new().journey(falling, NoData, constant(200, TENTH));
        Run::new(scenario).config("panics", panics).recorder(folder).workers(2)
    };
    let (first, second) = tokio::join!(ran(run(true, one.path())), ran(run(false, other.path())));
    assert_eq!((first.journeys[0].failed, first.errors[0].count), (20, 20));
    assert_eq!((second.journeys[0].completed, second.errors.len()), (20, 0));
    for folder in [one, other] {
        assert_eq!(common::records(folder.path(), "falls").len(), 20);
    }
}

#[tokio::test]
async fn what_waits_for_the_recorder_is_taken_out_of_the_times() {
    // Far more than the queue holds at once, so that the journey has to wait for the disk.
    async fn recording(ctx: &mut Context) -> Result {
        let data = "x".repeat(64 * 1024);
        for _ in 0..300 {
            ctx.record("large", serde_json::json!({"data": &data})).await?;
        }
        Ok(())
    }
    let folder = tempfile::tempdir().unwrap();
    let kept = common::Kept::types(&["txn"]);
    let scenario = Scenario::new().journey(recording, NoData, constant(1, SECOND / 100));
    let report = ran(Run::new(scenario).recorder(folder.path()).sink(kept.clone())).await;
    assert_eq!(report.records["large"], 300);
    let txn = &kept.of("txn")[0];
    let wall = txn["end_time"].as_f64().unwrap() - txn["start_time"].as_f64().unwrap();
    let paused = txn["paused_time"].as_f64().unwrap_or(0.0);
    let told = report.transaction("__root__").time.max().as_secs_f64();
    assert!((wall - paused - told).abs() < 0.01 * wall + 0.002, "{wall} − {paused} is not {told}");
}
