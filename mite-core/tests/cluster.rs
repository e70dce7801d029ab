//! A run over several runners is the run of one process: the same starts, the same figures, the same ends.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{TENTH, checked, forever, noop, ran};
use mite_core::bus::Local;
use mite_core::cluster::{Join, Lead, TookPart, join};
use mite_core::threshold::{count, error_rate, journey, percent};
use mite_core::volume::{HOUR, SECOND, constant, ramp};
use mite_core::{
    Context, Histogram, Mix, NoData, Overload, Report, RequestSample, Result, Row, Run, RunError, RunHandle, Scenario,
    Sink, SinkError, Volume, Wants, ensure,
};

const BUILD: &str = "this build";

fn lead(fabric: &Arc<Local>, runners: u32) -> Lead {
    // Long, since a machine that does other things stands still for longer than an ordinary one lasts.
    Lead::new(fabric.clone(), BUILD).expect(runners).lease(Duration::from_secs(20))
}

fn me(name: &str) -> Join {
    Join { name: name.to_owned(), binary: BUILD.to_owned(), workers: 2 }
}

async fn start(fabric: &Arc<Local>, name: &str, run: Run) -> RunHandle<TookPart> {
    join(fabric.clone(), me(name)).await.unwrap().start(run).unwrap()
}

/// Runs in a cluster of three runners with two workers each, on a scenario that is made anew for each of them.
async fn in_cluster(scenario: impl Fn() -> Scenario, run: impl Fn(Run) -> Run) -> Result<Report, RunError> {
    let fabric = Arc::new(Local::new());
    let controller = run(Run::new(scenario())).max_start_lag(HOUR).lead(lead(&fabric, 3)).unwrap();
    let mut runners = Vec::new();
    for name in ["one", "two", "three"] {
        runners.push(start(&fabric, name, Run::new(scenario())).await);
    }
    let report = controller.await;
    for runner in runners {
        // What became of one that has failed is told by the controller.
        let _ = runner.await;
    }
    report
}

/// The starts that were made, by journey.
#[derive(Debug, Clone, Default)]
struct Made(Arc<Mutex<BTreeMap<&'static str, Vec<u64>>>>);

impl Made {
    fn journey(&self, name: &'static str) -> impl AsyncFn(&mut Context) -> Result + Clone + Send + 'static + use<> {
        let made = self.clone();
        async move |ctx: &mut Context| {
            made.0.lock().unwrap().entry(name).or_default().push(ctx.start_index());
            Ok(())
        }
    }

    /// In rising order.
    fn sorted(self) -> BTreeMap<&'static str, Vec<u64>> {
        let mut made = self.0.lock().unwrap().clone();
        for starts in made.values_mut() {
            starts.sort_unstable();
        }
        made
    }
}

#[tokio::test]
async fn the_starts_are_those_of_one_process() {
    let of = |made: &Made| {
        let made = made.clone();
        move || {
            let stair = |start: Duration, _: Duration| {
                if start < 2 * SECOND { Volume::from(50.0 + 70.0 * start.as_secs_f64()) } else { Volume::Stop }
            };
            Scenario::new()
                .row(Row::new(made.journey("even"), NoData, constant(333, 2 * SECOND)).named("even"))
                .row(Row::new(made.journey("ramp"), NoData, ramp(2 * SECOND).from(0).to(301)).named("ramp"))
                .row(Row::new(made.journey("drawn"), NoData, constant(200, 2 * SECOND).poisson(7)).named("drawn"))
                .row(Row::new(made.journey("shaken"), NoData, constant(100, 2 * SECOND).jitter(0.5, 3)).named("shaken"))
                .row(Row::new(made.journey("asked"), NoData, stair).named("asked"))
                .mix(
                    constant(150, 2 * SECOND),
                    Mix::new()
                        .row(3, Row::new(made.journey("often"), NoData, constant(1, SECOND)).named("often"))
                        .row(1, Row::new(made.journey("seldom"), NoData, constant(1, SECOND)).named("seldom")),
                )
        }
    };
    let (alone, together) = (Made::default(), Made::default());
    let end = |run: Run| run.stop_after(HOUR);
    let one = ran(end(Run::new(of(&alone)()).workers(2))).await;
    let report = checked(in_cluster(of(&together), end).await.unwrap());
    assert_eq!(together.sorted(), alone.sorted());
    let rows = |report: &Report| -> Vec<_> {
        let row = |row: &mite_core::JourneyReport| (row.planned, row.started, row.completed, row.fenced, row.lost);
        report.journeys.iter().map(row).collect()
    };
    assert_eq!(rows(&report), rows(&one));
    let planned = |report: &Report| report.per_second.iter().take(2).map(|second| second.planned).collect::<Vec<_>>();
    assert_eq!(planned(&report), planned(&one));
}

#[tokio::test]
async fn the_closed_model_has_as_many_running_in_all() {
    let [now, most] = [(); 2].map(|()| Arc::new(AtomicI64::new(0)));
    let scenario = || {
        let (now, most) = (now.clone(), most.clone());
        let journey = async move |_: &mut Context| -> Result {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            now.fetch_sub(1, SeqCst);
            Ok(())
        };
        Scenario::new().row(Row::new(journey, NoData, constant(11, SECOND).running()).named("closed"))
    };
    // They are never held back, so that as many are room enough.
    let report = checked(in_cluster(scenario, |run| run.max_running(11)).await.unwrap());
    assert_eq!((most.load(SeqCst), now.load(SeqCst)), (11, 0));
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.completed), (row.started, row.started), "{report}");
    assert!(row.completed > 200, "{report}");
}

#[tokio::test]
async fn iterations_of_the_closed_model_are_made_once_on_all_runners_together() {
    // Fewer than there are workers, and so many that runners ask for more.
    for iterations in [3, 23, 3000] {
        let made = Made::default();
        let scenario = || {
            let model = constant(11, HOUR).running().iterations(iterations);
            Scenario::new().row(Row::new(made.journey("counted"), NoData, model).named("counted"))
        };
        let report = checked(in_cluster(scenario, |run| run).await.unwrap());
        let row = &report.journeys[0];
        assert_eq!((row.planned, row.started, row.completed), (iterations, iterations, iterations), "{report}");
        assert_eq!(made.sorted()["counted"], (0..iterations).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn each_of_those_that_run_at_once_makes_its_iterations() {
    let scenario = || {
        let model = constant(11, HOUR).running().iterations_each(7);
        Scenario::new().row(Row::new(noop, NoData, model).named("each"))
    };
    let report = checked(in_cluster(scenario, |run| run).await.unwrap());
    assert_eq!((report.journeys[0].planned, report.journeys[0].completed), (77, 77), "{report}");
}

#[tokio::test]
async fn the_open_model_has_no_more_running_in_all_than_it_may() {
    // Three runners with two workers each: some of them have room for one more than others.
    for (of_row, of_run, most) in [(Some(7), None, 14), (None, Some(9), 9)] {
        let scenario = || {
            let row = |name| {
                // Nothing makes room.
                let row = Row::new(forever, NoData, constant(100, SECOND)).named(name).overload(Overload::Drop);
                match of_row {
                    Some(most) => row.max_running(most),
                    None => row,
                }
            };
            Scenario::new().row(row("one")).row(row("other"))
        };
        let run = |run: Run| match of_run {
            Some(most) => run.graceful_stop(TENTH).max_running(most),
            None => run.graceful_stop(TENTH),
        };
        let report = checked(in_cluster(scenario, run).await.unwrap());
        let sum = |of: fn(&mite_core::JourneyReport) -> u64| report.journeys.iter().map(of).sum::<u64>();
        let found = (sum(|row| row.started), sum(|row| row.cancelled), sum(|row| row.dropped + row.unstarted));
        assert_eq!(found, (most, most, 200 - most), "{report}");
    }
}

#[tokio::test]
async fn a_runner_whose_workers_would_find_no_room_is_refused_by_name() {
    let fabric = Arc::new(Local::new());
    let scenario = || Scenario::new().row(Row::new(noop, NoData, constant(10, TENTH)).named("all").max_running(3));
    let controller = Run::new(scenario()).max_start_lag(HOUR).workers(2).lead(lead(&fabric, 1)).unwrap();
    let runner = start(&fabric, "one", Run::new(scenario())).await;
    let error = join(fabric.clone(), me("host-7")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`max_running` leaves room for 3 workers in all, and 2 are there: there is none for host-7 with 2. Each worker needs room for \
         one journey of each row: raise it, or start fewer workers"
    );
    assert_eq!(controller.await.unwrap().journeys[0].completed, 1);
    assert_eq!(runner.await.unwrap().started, 1);
}

/// How long a start's request is said to have taken: spread from a microsecond to a minute.
fn told_time(k: u64) -> Duration {
    let hash = k.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let exponent = (hash >> 59) % 26;
    Duration::from_micros((1 << exponent) + (hash & 0xffff_ffff) % (1 << exponent))
}

async fn eventful(ctx: &mut Context) -> Result {
    let k = ctx.start_index();
    ctx.check("is even", k.is_multiple_of(2));
    ctx.counter("visits").add(1);
    ctx.histogram("basket").record(k as f64 / 16.0);
    ctx.transaction("log in", async |ctx| {
        let name = format!("/{}", k % 5);
        let code = if k.is_multiple_of(9) { 503 } else { 200 };
        let sample = RequestSample {
            method: "GET",
            name: Some(&name),
            code,
            bytes: k,
            total: told_time(k),
            ..RequestSample::default()
        };
        ctx.scope().request(&sample);
        ensure!(!k.is_multiple_of(7), "every seventh fails");
        Ok(())
    })
    .await
}

fn eventfully() -> Scenario {
    Scenario::new().row(Row::new(eventful, NoData, constant(700, 2 * SECOND)).named("eventful"))
}

#[tokio::test]
async fn the_report_has_the_figures_of_one_process() {
    let one = ran(Run::new(eventfully()).warm_up(SECOND / 2).workers(2)).await;
    let report = checked(in_cluster(eventfully, |run| run.warm_up(SECOND / 2)).await.unwrap());
    let figures = |report: &Report| {
        let errors: Vec<_> =
            report.errors.iter().map(|error| (error.ex_type.clone(), error.message.clone(), error.count)).collect();
        let transactions: Vec<_> =
            report.transactions.iter().map(|row| (row.transaction.clone(), row.count, row.errors)).collect();
        let checks: Vec<_> =
            report.checks.iter().map(|check| (check.name.clone(), check.passed, check.failed)).collect();
        // Bucket for bucket.
        let mut requests: Vec<_> = report
            .requests
            .iter()
            .map(|row| (row.name.clone(), row.code, row.count, row.bytes, row.time.durations().collect::<Vec<_>>()))
            .collect();
        requests.sort();
        let warm_up = report.warm_up.clone().map(|part| (part.planned, part.completed, part.failed, part.errors));
        (errors, transactions, checks, requests, warm_up, serde_json::to_value(&report.metrics).unwrap())
    };
    assert_eq!(figures(&report), figures(&one));
}

#[tokio::test]
async fn merged_histograms_are_those_of_all_samples() {
    let report = checked(in_cluster(eventfully, |run| run).await.unwrap());
    for row in &report.requests {
        let mut all = Histogram::new();
        let name = |k: u64| Some(format!("/{}", k % 5));
        let is_meant = |k: &u64| name(*k) == row.name && (k.is_multiple_of(9)) == (row.code == 503);
        (0..1400).filter(is_meant).for_each(|k| all.record(told_time(k)));
        assert!(all.count() > 20);
        assert_eq!(row.time.durations().collect::<Vec<_>>(), all.durations().collect::<Vec<_>>());
        assert_eq!((row.time.min(), row.time.max(), row.time.sum()), (all.min(), all.max(), all.sum()));
    }
}

#[tokio::test]
async fn another_build_is_refused_by_name() {
    let fabric = Arc::new(Local::new());
    let scenario = || Scenario::new().journey(noop, NoData, constant(10, TENTH));
    let controller = Run::new(scenario()).lead(lead(&fabric, 1)).unwrap();
    let other = Join { name: "host-7".to_owned(), binary: "another build".to_owned(), workers: 1 };
    let error = join(fabric.clone(), other).await.unwrap_err();
    assert!(error.to_string().starts_with("host-7 is another build of the program than the controller's"), "{error}");
    // The run goes on without it.
    let runner = start(&fabric, "one", Run::new(scenario())).await;
    assert_eq!(controller.await.unwrap().journeys[0].completed, 1);
    assert_eq!(runner.await.unwrap().started, 1);
}

#[tokio::test]
async fn another_scenario_is_refused_by_the_runner() {
    let fabric = Arc::new(Local::new());
    let named = |name| Scenario::new().row(Row::new(noop, NoData, constant(10, TENTH)).named(name));
    let controller = Run::new(named("browse")).lead(lead(&fabric, 1)).unwrap();
    let joined = join(fabric.clone(), me("one")).await.unwrap();
    let error = joined.start(Run::new(named("buy"))).expect_err("it is another scenario");
    assert!(matches!(error, RunError::OtherScenario { .. }), "{error}");
    controller.stop();
    let _ = controller.await;
}

#[tokio::test]
async fn a_run_that_too_few_runners_come_for_says_so() {
    let fabric = Arc::new(Local::new());
    let scenario = || Scenario::new().journey(noop, NoData, constant(10, TENTH));
    let controller = Run::new(scenario()).lead(lead(&fabric, 3).at_least(2).within(2 * SECOND)).unwrap();
    let runner = start(&fabric, "one", Run::new(scenario())).await;
    let error = controller.await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 of 3 runners came within 2s, and 2 are needed: start more of them, or ask for fewer by `--expect` and `--min`"
    );
    let _ = runner.await;
    // The next run finds nothing in its way, and begins with fewer.
    let controller =
        Run::new(scenario()).max_start_lag(HOUR).lead(lead(&fabric, 3).at_least(1).within(SECOND)).unwrap();
    let runner = start(&fabric, "one", Run::new(scenario())).await;
    assert_eq!(controller.await.unwrap().journeys[0].completed, 1);
    assert_eq!(runner.await.unwrap().started, 1);
}

#[tokio::test]
async fn thresholds_are_held_against_what_all_did() {
    let scenario = || eventfully().threshold(error_rate().under(percent(10.0)));
    let report = checked(in_cluster(scenario, |run| run).await.unwrap());
    assert!(!report.thresholds[0].passed(), "{report}");
    let scenario = || eventfully().threshold(error_rate().under(percent(20.0)));
    let report = checked(in_cluster(scenario, |run| run).await.unwrap());
    assert!(report.thresholds[0].passed(), "{report}");
    assert!(count(journey("eventful")).at_least(1200).check(&report).passed(), "{report}");
}

#[tokio::test]
async fn what_a_run_is_to_be_aborted_for_ends_it_on_all_runners() {
    let scenario = || Scenario::new().row(Row::new(eventful, NoData, constant(300, HOUR)).named("eventful"));
    let abort = |run: Run| run.abort_when(error_rate().over(percent(10.0)), 2 * SECOND);
    let report = in_cluster(scenario, abort).await.unwrap();
    assert!(report.reasons.iter().any(|reason| reason.contains("the error rate")), "{:?}", report.reasons);
    let row = &report.journeys[0];
    assert!((600..3000).contains(&row.started), "{report}");
    assert_eq!(row.planned, row.started + row.unstarted + row.fenced + row.lost, "{report}");
}

#[tokio::test]
async fn the_controllers_handle_stops_and_aborts_all_runners() {
    for aborts in [false, true] {
        let fabric = Arc::new(Local::new());
        let ended = Arc::new(AtomicU64::new(0));
        let scenario = || {
            let ended = ended.clone();
            let journey = async move |_: &mut Context| -> Result {
                tokio::time::sleep(SECOND).await;
                ended.fetch_add(1, SeqCst);
                Ok(())
            };
            Scenario::new().row(Row::new(journey, NoData, constant(100, HOUR)).named("slow"))
        };
        let controller = Run::new(scenario()).max_start_lag(HOUR).lead(lead(&fabric, 2)).unwrap();
        let mut runners = Vec::new();
        for name in ["one", "two"] {
            runners.push(start(&fabric, name, Run::new(scenario())).await);
        }
        let mut follow = controller.follow();
        while follow.next().await.expect("the run goes on").started < 100 {}
        if aborts {
            controller.abort();
        } else {
            controller.stop();
        }
        let report = checked(controller.await.unwrap());
        let row = &report.journeys[0];
        assert_eq!(row.completed, ended.load(SeqCst), "{report}");
        assert_eq!(row.cancelled > 0, aborts, "{report}");
        let mut started = 0;
        for runner in runners {
            started += runner.await.unwrap().started;
        }
        assert_eq!(started, row.started);
    }
}

/// What hooks and journeys have called.
#[derive(Debug, Clone, Default)]
struct Called(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Called {
    fn note(&self, what: &'static str) {
        *self.0.lock().unwrap().entry(what).or_default() += 1;
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        self.0.lock().unwrap().iter().map(|(what, count)| (*what, *count)).collect()
    }

    fn scenario(&self) -> Scenario {
        let [setup, worker_setup, journey, worker_teardown, teardown] = [(); 5].map(|()| self.clone());
        let noted = async move |_: &mut Context| -> Result {
            journey.note("journey");
            Ok(())
        };
        Scenario::new()
            .setup(async move |_| {
                setup.note("setup");
                Ok(())
            })
            .worker_setup(async move |_| {
                worker_setup.note("worker setup");
                Ok(())
            })
            .row(Row::new(noted, NoData, constant(60, SECOND)).named("noted"))
            .worker_teardown(async move |_| {
                worker_teardown.note("worker teardown");
                Ok(())
            })
            .teardown(async move |_| {
                teardown.note("teardown");
                Ok(())
            })
    }
}

#[tokio::test]
async fn setup_is_called_once_and_that_of_workers_on_each_of_them() {
    let called = Called::default();
    in_cluster(|| called.scenario(), |run| run).await.unwrap();
    let six = [("journey", 60), ("setup", 1), ("teardown", 1), ("worker setup", 6), ("worker teardown", 6)];
    assert_eq!(called.counts(), six);
}

#[tokio::test]
async fn a_setup_that_fails_starts_nothing_anywhere() {
    let called = Called::default();
    let scenario = || called.scenario().setup(async |_| mite_core::bail!("no money"));
    let error = in_cluster(scenario, |run| run).await.unwrap_err();
    assert!(error.to_string().contains("setup failed: Error: no money"), "{error}");
    assert_eq!(called.counts(), []);
}

#[tokio::test]
async fn a_runner_whose_worker_setup_fails_is_named() {
    let called = Called::default();
    let scenario = || called.scenario().worker_setup(async |_| -> Result { mite_core::bail!("no disk") });
    let error = in_cluster(scenario, |run| run).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("has failed: ") && text.contains("no disk") && text.contains("runner "), "{text}");
    assert!(called.counts().iter().all(|(what, _)| *what != "journey"), "{:?}", called.counts());
}

/// Whichever of the three fails: it tells its end before anybody has a share.
#[tokio::test]
async fn who_fails_before_the_start_is_left_out_where_enough_are_left() {
    let fabric = Arc::new(Local::new());
    let made = Made::default();
    let scenario = || Scenario::new().row(Row::new(made.journey("all"), NoData, constant(300, SECOND)).named("all"));
    let controller = Run::new(scenario()).max_start_lag(HOUR).lead(lead(&fabric, 3).at_least(2)).unwrap();
    let first = start(&fabric, "one", Run::new(scenario())).await;
    let failing = scenario().worker_setup(async |_| -> Result { mite_core::bail!("no disk") });
    let second = start(&fabric, "two", Run::new(failing)).await;
    let third = start(&fabric, "three", Run::new(scenario())).await;
    let report = checked(controller.await.unwrap());
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.completed, row.lost), (300, 300, 0), "{report}");
    assert_eq!(made.sorted()["all"], (0..300).collect::<Vec<_>>());
    assert!(second.await.unwrap_err().to_string().contains("no disk"));
    assert_eq!(first.await.unwrap().started + third.await.unwrap().started, 300);
}

#[tokio::test]
async fn who_comes_late_has_a_share_and_who_leaves_loses_nothing() {
    let fabric = Arc::new(Local::new());
    let made = Made::default();
    let scenario =
        || Scenario::new().row(Row::new(made.journey("all"), NoData, constant(500, 9 * SECOND)).named("all"));
    let lead = Lead::new(fabric.clone(), BUILD).expect(2).lease(SECOND);
    let controller = Run::new(scenario()).max_start_lag(HOUR).lead(lead).unwrap();
    let first = start(&fabric, "one", Run::new(scenario())).await;
    let second = start(&fabric, "two", Run::new(scenario())).await;
    let mut follow = controller.follow();
    while follow.next().await.expect("the run goes on").started == 0 {}
    let third = start(&fabric, "three", Run::new(scenario())).await;
    while follow.next().await.expect("the run goes on").started < 2000 {}
    first.stop();
    let left = first.await.unwrap();
    assert!(left.has_left);
    let report = checked(controller.await.unwrap());
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.started, row.lost), (4500, 4500, 0), "{report}");
    assert_eq!(made.sorted()["all"], (0..4500).collect::<Vec<_>>());
    let (second, third) = (second.await.unwrap(), third.await.unwrap());
    assert_eq!(left.started + second.started + third.started, 4500);
    assert!(third.started > 200 && left.started < 2000, "{left:?} {second:?} {third:?}");
    assert!(!second.has_left && !third.has_left);
}

/// Takes its time when all is over, as one on a slow disk does.
struct Slow;

impl Sink for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&[])
    }

    fn end(&mut self) -> Result<(), SinkError> {
        std::thread::sleep(3 * SECOND);
        Ok(())
    }
}

#[tokio::test]
async fn a_runner_whose_sink_ends_slowly_is_heard_all_the_while() {
    let fabric = Arc::new(Local::new());
    // The other has journeys under way for longer than that, and is heard too.
    let scenario = |lasts: Duration| {
        let journey = async move |_: &mut Context| -> Result {
            tokio::time::sleep(lasts).await;
            Ok(())
        };
        Scenario::new().row(Row::new(journey, NoData, constant(100, SECOND)).named("all"))
    };
    let lead = Lead::new(fabric.clone(), BUILD).expect(2).lease(SECOND);
    let controller = Run::new(scenario(Duration::ZERO)).max_start_lag(HOUR).lead(lead).unwrap();
    let other = start(&fabric, "other", Run::new(scenario(5 * SECOND))).await;
    let slow = start(&fabric, "slow", Run::new(scenario(Duration::ZERO)).sink(Slow)).await;
    let report = checked(controller.await.unwrap());
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.completed, row.lost), (100, 100, 0), "{report}");
    assert_eq!(report.warnings, [""; 0]);
    assert_eq!(other.await.unwrap().started + slow.await.unwrap().started, 100);
}
