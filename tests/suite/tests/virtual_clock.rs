//! Runs on a virtual clock: an hour passes in a moment, each start is made to the nanosecond, and each figure is exact.

#[path = "../../../mite-core/tests/common/mod.rs"]
mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Kept, Starts, TENTH, checked, noop};
use mite_core::volume::{HOUR, MINUTE, SECOND, Stages, constant, nothing, ramp};
use mite_core::{
    Change, Checkout, Config, Context, DataPool, Message, NoData, Overload, RecyclableIterableDataPool, Report,
    RequestSample, Result, Row, Run, Scenario, Sink, SinkError, Verdict, Volume, ensure, recorded,
};

/// Runs on the virtual clock and checks; the limits on the generator are left as they are, since it is never late.
fn virtually(run: Run) -> Report {
    let report = checked(run.virtually().run_blocking().unwrap());
    assert_eq!(report.generator.start_lag_p99_us, 0);
    assert!(report.journeys.iter().all(|row| row.start_lag.max().is_zero()), "{report}");
    report
}

const MILLI: Duration = Duration::from_millis(1);

/// Sleeps for so long.
fn sleeping(time: Duration) -> impl AsyncFn(&mut Context) -> Result + Clone + Send + 'static {
    async move |_ctx: &mut Context| {
        tokio::time::sleep(time).await;
        Ok(())
    }
}

fn row(journey: impl AsyncFn(&mut Context) -> Result + Clone + Send + 'static, model: Stages) -> Row {
    Row::new(journey, NoData, model).named("row")
}

fn scenario(row: Row) -> Scenario {
    Scenario::new().row(row)
}

/// What the report says of its only row: planned, started, completed, failed, cancelled, dropped, unstarted.
fn counts(report: &Report) -> [u64; 7] {
    let row = &report.journeys[0];
    [row.planned, row.started, row.completed, row.failed, row.cancelled, row.dropped, row.unstarted]
}

/// Journeys take twice as long in odd seconds, and are fewer; the seconds' own figures say the same as the halves.
#[test]
fn a_run_is_halved_by_its_seconds() {
    let journey = async |ctx: &mut Context| {
        // Thirty start in each even second, and ten in each odd one.
        let is_odd = ctx.start_index() % 40 >= 30;
        tokio::time::sleep(if is_odd { 80 * MILLI } else { 40 * MILLI }).await;
        ctx.scope().request(&RequestSample { method: "GET", code: 200, total: MILLI, ..RequestSample::default() });
        ensure!(!is_odd || ctx.start_index().is_multiple_of(2), "odd");
        Ok(())
    };
    let pulses = |start: Duration, _end: Duration| if start.as_secs() % 2 == 1 { 10.0 } else { 30.0 };
    for workers in [1, 3] {
        let row = Row::new(journey, NoData, pulses).named("row");
        let report = virtually(Run::new(scenario(row)).workers(workers).stop_after(10 * SECOND).warm_up(2 * SECOND));
        let row = &report.journeys[0];
        let halves = row.halves.as_ref().unwrap();
        let of = |odd: u64, of: fn(&mite_core::PerSecond) -> u64| {
            report.per_second.iter().filter(|second| !second.warm_up && second.t % 2 == odd).map(of).sum::<u64>()
        };
        for (half, odd, count) in [(&halves.even, 0, 120), (&halves.odd, 1, 40)] {
            assert_eq!((half.count, of(odd, |second| second.started)), (count, count), "{halves:?}");
            assert_eq!(
                (half.errors, half.time.count),
                (of(odd, |second| second.failed), of(odd, |second| second.completed))
            );
        }
        assert!(halves.odd.errors > 10 && halves.even.errors < 10, "{halves:?}");
        // tokio wakes on whole milliseconds.
        assert_eq!((halves.even.time.p50 / 1000, halves.odd.time.p50 / 1000), (40, 80), "{halves:?}");
        let requests = report.requests[0].halves.as_ref().unwrap();
        assert_eq!(requests.even.count + requests.odd.count, 160);
        // What differs so much between its own seconds is no change when it is more of the same.
        let comparison = report.compare(&report).unwrap();
        assert_eq!(comparison.count(Change::Worse) + comparison.count(Change::Better), 0, "{comparison}");
    }
}

#[test]
fn an_hour_is_planned_as_it_is_by_the_machines_clock() {
    // 10 min up, 40 min at 20/s, 10 min down: 60 000 starts.
    let model = || ramp(10 * MINUTE).from(0).to(20) + constant(20, 40 * MINUTE) + ramp(10 * MINUTE).to(0);
    for workers in [1, 3] {
        let starts = Starts::default();
        let noted = starts.clone();
        let journey = async move |ctx: &mut Context| {
            noted.note(ctx);
            Ok(())
        };
        let report = virtually(Run::new(scenario(row(journey, model()))).workers(workers));
        let preview = mite_core::preview(scenario(row(noop, model()))).unwrap();
        assert_eq!(Some(report.journeys[0].planned), preview.rows[0].planned);
        assert_eq!(starts.sorted(), (0..60_000).collect::<Vec<_>>());
        assert_eq!(report.duration, HOUR);
        assert!(report.passed(), "{report}");
    }
}

#[test]
fn the_same_starts_are_made_by_either_clock() {
    let models = [
        ramp(3 * TENTH).from(0).to(500) + nothing(TENTH) + constant(333.3, 2 * TENTH),
        constant(200, 5 * TENTH).poisson(3),
        constant(100, 5 * TENTH).jitter(0.5, 1),
    ];
    let by = |virtual_clock: bool| {
        let mut all = Vec::new();
        let mut scenario = Scenario::new();
        for model in &models {
            let starts = Starts::default();
            let noted = starts.clone();
            let journey = async move |ctx: &mut Context| {
                noted.note(ctx);
                Ok(())
            };
            scenario = scenario.row(row(journey, model.clone()));
            all.push(starts);
        }
        let run = Run::new(scenario).workers(2).max_start_lag(HOUR);
        let run = if virtual_clock { run.virtually() } else { run };
        let report = checked(run.run_blocking().unwrap());
        let planned: Vec<u64> = report.journeys.iter().map(|row| row.planned).collect();
        let in_first_second: Vec<u64> = report.per_second[0].rows.iter().map(|row| row.planned).collect();
        (planned, in_first_second, all.iter().map(Starts::sorted).collect::<Vec<_>>())
    };
    assert_eq!(by(true), by(false));
}

#[test]
fn starts_are_made_when_they_are_due_to_the_nanosecond() {
    // Start k is due at the least nanosecond at which 333.3 k/s reach it.
    for workers in [1, 2] {
        let seen = Arc::<Mutex<Vec<(u64, u64)>>>::default();
        let (noted, epoch) = (Arc::clone(&seen), Arc::new(Mutex::new(None)));
        let journey = async move |ctx: &mut Context| {
            let now = tokio::time::Instant::now();
            // The first of all starts is due at the beginning of the run.
            let since = now - *epoch.lock().unwrap().get_or_insert(now);
            noted.lock().unwrap().push((ctx.start_index(), since.as_nanos() as u64));
            Ok(())
        };
        virtually(Run::new(scenario(row(journey, constant(333.3, 10 * SECOND)))).workers(workers));
        let mut seen = seen.lock().unwrap().clone();
        seen.sort_unstable();
        let due = |k: u64| (k * 10_000_000_000).div_ceil(3333);
        assert_eq!(seen, (0..3333).map(|k| (k, due(k))).collect::<Vec<_>>());
    }
}

#[test]
fn journeys_that_sleep_for_minutes_take_them_exactly() {
    let report =
        virtually(Run::new(scenario(row(sleeping(7 * MINUTE), constant(0.5, HOUR)))).graceful_stop(10 * MINUTE));
    assert_eq!(counts(&report), [1800, 1800, 1800, 0, 0, 0, 0]);
    let times = &report.journeys[0].response_time;
    assert_eq!((times.min(), times.percentile(50.0), times.max()), (7 * MINUTE, 7 * MINUTE, 7 * MINUTE));
    // The last starts at 3598 s.
    assert_eq!(report.duration, 3598 * SECOND + 7 * MINUTE);
    assert_eq!(report.per_second[1000].running, 210);
}

#[test]
fn percentiles_are_exact() {
    // Journey k of each hundred takes k + 1 milliseconds.
    let journey = async |ctx: &mut Context| {
        tokio::time::sleep(MILLI * (ctx.start_index() % 100 + 1) as u32).await;
        Ok(())
    };
    let report = virtually(Run::new(scenario(row(journey, constant(100, MINUTE)))));
    let times = &report.journeys[0].response_time;
    let percentiles = [50.0, 75.0, 90.0, 95.0, 99.0, 100.0].map(|percent| times.percentile(percent).as_millis());
    assert_eq!(percentiles, [50, 75, 90, 95, 99, 100]);
    assert_eq!(times.mean(), Duration::from_micros(50_500));
    assert_eq!(report.journeys[0].service_time.max(), 100 * MILLI);
}

#[test]
fn a_sleep_ends_with_a_whole_millisecond_and_never_early() {
    // Starts at 0, 333⅓ and 666⅔ µs of each millisecond.
    let report = virtually(Run::new(scenario(row(sleeping(2 * MILLI), constant(3000, 3 * TENTH)))));
    let times = &report.journeys[0].response_time;
    assert_eq!(times.min(), 2 * MILLI);
    assert!(times.max() < 3 * MILLI, "{:?}", times.max());
}

#[test]
fn the_closed_model_runs_slots() {
    // 4 at once, each a second long, for a minute: 4 starts each second, the last at 59 s.
    let report = virtually(Run::new(scenario(row(sleeping(SECOND), constant(4, MINUTE).running()))));
    assert_eq!(counts(&report), [240, 240, 240, 0, 0, 0, 0]);
    assert!(report.per_second[..60].iter().all(|second| (second.started, second.running) == (4, 4)), "{report}");
    // Two slots are cut half a second after they are two too many, at 10 s.
    let model = constant(4, 10 * SECOND).running() + constant(2, 10 * SECOND).running();
    let cut = row(sleeping(3 * SECOND), model).graceful_ramp_down(SECOND / 2);
    let report = virtually(Run::new(scenario(cut)));
    // Starts at 0, 3, 6, 9 s of four slots, then at 12, 15, 18 s of two.
    assert_eq!(counts(&report), [22, 22, 20, 0, 2, 0, 0]);
    assert_eq!(report.duration, 21 * SECOND);
    assert_eq!([9, 10, 11].map(|second| report.per_second[second].running), [4, 2, 2]);
}

#[test]
fn max_running_queues_or_drops() {
    // One each 100 ms, each takes 240 ms, two at once: they are started at 0, 240, 480 … ms and at 100, 340, 580 … ms, the last
    // at 9.84 and 9.94 s, which were due at 8.2 and 8.3 s.
    let model = || constant(10, 10 * SECOND);
    let queued = row(sleeping(240 * MILLI), model()).max_running(2);
    let report = virtually(Run::new(scenario(queued)));
    assert_eq!(counts(&report), [100, 84, 84, 0, 0, 0, 16]);
    let row_report = &report.journeys[0];
    assert_eq!(row_report.queue_wait.max(), 1640 * MILLI);
    assert_eq!(row_report.response_time.max(), 1880 * MILLI);
    assert_eq!(row_report.service_time.max(), 240 * MILLI);
    let dropping = row(sleeping(240 * MILLI), model()).max_running(2).overload(Overload::Drop);
    let report = virtually(Run::new(scenario(dropping)));
    // Of each three that are due within 300 ms, two find room.
    assert_eq!(counts(&report), [100, 67, 67, 0, 0, 33, 0]);
    assert!(report.journeys[0].queue_wait.max().is_zero());
}

#[test]
fn timeouts_and_graceful_stops_cut_at_their_time() {
    let report = virtually(Run::new(scenario(row(sleeping(HOUR), constant(1, 10 * SECOND)).timeout(1500 * MILLI))));
    assert_eq!(counts(&report), [10, 10, 0, 10, 0, 0, 0]);
    assert_eq!(report.journeys[0].failed_time.min(), 1500 * MILLI);
    assert_eq!(report.journeys[0].failed_time.max(), 1500 * MILLI);

    // The graceful stop runs from the end of the row at 10 s to 13 s: those that began by 3 s are done.
    let report =
        virtually(Run::new(scenario(row(sleeping(10 * SECOND), constant(1, 10 * SECOND)))).graceful_stop(3 * SECOND));
    assert_eq!(counts(&report), [10, 10, 4, 0, 6, 0, 0]);
    assert_eq!(report.duration, 13 * SECOND);

    // `stop_after` ends what would go on for a week.
    let report = virtually(Run::new(scenario(row(noop, constant(1, 168 * HOUR)))).stop_after(MINUTE));
    assert_eq!(counts(&report), [60, 60, 60, 0, 0, 0, 0]);
}

#[test]
fn warm_ups_delays_and_later_rows_are_in_virtual_time() {
    let scenario = Scenario::new()
        .row(Row::new(noop, NoData, constant(10, 10 * MINUTE)).named("now"))
        .row(Row::new(noop, NoData, constant(10, MINUTE)).named("later").starting_at(5 * MINUTE));
    let run = Run::new(scenario).warm_up(2 * MINUTE).start_delay(HOUR);
    let report = virtually(run);
    assert_eq!(report.warm_up.as_ref().unwrap().completed, 1200);
    assert_eq!((report.journey("now").completed, report.journey("later").completed), (4800, 600));
    let later: Vec<u64> = report.per_second.iter().map(|second| second.rows[1].started).collect();
    assert!((0..600).all(|second| later[second] == if (300..360).contains(&second) { 10 } else { 0 }));
}

#[test]
fn closures_are_asked_second_by_second() {
    let scenario = Scenario::new()
        .row(
            Row::new(noop, NoData, |start: Duration, _end| (start < HOUR).then_some(start.as_secs() % 3)).named("rate"),
        )
        .row(
            Row::new(
                sleeping(SECOND),
                NoData,
                |start: Duration, _end| {
                    if start < MINUTE { Volume::running(2) } else { Volume::Stop }
                },
            )
            .named("running"),
        );
    let report = virtually(Run::new(scenario).stop_after(2 * HOUR));
    assert_eq!((report.journey("rate").completed, report.journey("running").completed), (3600, 120));
}

#[test]
fn random_arrivals_and_random_numbers_repeat() {
    let run = || {
        let journey = async |ctx: &mut Context| {
            use rand::RngExt as _;
            let pause = ctx.rng().random_range(1..2000);
            ctx.transaction("pause", async |_| {
                tokio::time::sleep(MILLI * pause).await;
                Ok(())
            })
            .await?;
            mite_core::ensure!(pause % 10 != 0, "a pause of whole centiseconds");
            Ok(())
        };
        let mixed = Scenario::new()
            .row(Row::new(journey, NoData, constant(20, 2 * MINUTE).poisson(3)).named("open").max_running(15))
            .row(Row::new(journey, NoData, constant(5, MINUTE).running()).named("closed"))
            .row(Row::new(noop, NoData, |start: Duration, _end| (start < MINUTE).then_some(7)).named("asked"));
        Run::new(mixed).workers(3).seed(11).warm_up(10 * SECOND).stop_after(HOUR)
    };
    let told = |run: Run| serde_json::to_string_pretty(&virtually(run)).unwrap();
    let first = told(run());
    assert_eq!(first, told(run()));
    assert_ne!(first, told(run().seed(12)));
}

#[test]
fn data_is_waited_for_in_virtual_time() {
    // Two items, each out for 300 ms: those who wait for one still wait at the end.
    let journey = async |_ctx: &mut Context, _name: &'static str| {
        tokio::time::sleep(300 * MILLI).await;
        Ok(())
    };
    let pool = RecyclableIterableDataPool::new([("ann",), ("bob",)]);
    let closed = Row::new(journey, pool, constant(4, 3 * SECOND).running()).named("closed");
    let report = virtually(Run::new(scenario(closed)));
    let row = &report.journeys[0];
    assert_eq!((row.planned, row.completed, row.unstarted), (22, 20, 2), "{report}");
}

/// A database that takes its time.
struct Slow;

impl DataPool for Slow {
    type Item = (u64,);

    async fn checkout(&self, config: &Config) -> Result<Checkout<(u64,)>> {
        tokio::time::sleep(Duration::from_millis(config.get("wait_ms")?)).await;
        Ok(Checkout::Item { id: 1, item: (1,) })
    }
}

#[test]
fn a_slow_pool_is_told_as_data_wait() {
    let slow = Row::new(async |_ctx: &mut Context, _id: u64| Ok(()), Slow, constant(1, MINUTE)).named("slow");
    let report = virtually(Run::new(scenario(slow)).config("wait_ms", 40));
    let row = &report.journeys[0];
    assert_eq!((row.data_wait.min(), row.data_wait.max()), (40 * MILLI, 40 * MILLI));
    assert_eq!((row.response_time.max(), row.service_time.max()), (40 * MILLI, Duration::ZERO));
}

#[test]
fn records_and_messages_are_written_in_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::types(&["txn", "controller_report"]);
    let journey = async |ctx: &mut Context| {
        for part in 0..40u64 {
            ctx.record("numbers", (ctx.start_index(), part)).await?;
        }
        Ok(())
    };
    let run = Run::new(scenario(row(journey, constant(10, 100 * SECOND)))).workers(2);
    let report = virtually(run.recorder(folder.path()).sink(kept.clone()));
    assert_eq!(report.records["numbers"], 40_000);
    assert!(report.journeys[0].response_time.max().is_zero(), "the recorder takes no virtual time");
    let rows = recorded::<(u64, u64)>(folder.path().join("numbers.msgpack")).unwrap();
    assert_eq!(rows.len(), 40_000);
    assert_eq!(kept.of("txn").len(), 1000);
    assert_eq!(kept.of("controller_report").len(), 100);
    // The wall clock of a virtual run begins with the year 2000.
    assert_eq!(report.started_at, "2000-01-01T00:00:00.000Z");
    let times: Vec<f64> = kept.of("txn").iter().map(|txn| txn["time"].as_f64().unwrap()).collect();
    assert!(times.iter().all(|time| (946_684_800.0..946_684_901.0).contains(time)));
}

/// Fails with the third message.
struct Failing(u32);

impl Sink for Failing {
    fn name(&self) -> &'static str {
        "failing sink"
    }

    fn wants(&self) -> mite_core::Wants {
        mite_core::Wants::Types(&["txn"])
    }

    fn is_essential(&self) -> bool {
        true
    }

    fn message(&mut self, _message: &Message<'_>) -> std::result::Result<(), SinkError> {
        self.0 += 1;
        assert!(self.0 < 3, "three is too many");
        Ok(())
    }
}

#[test]
fn what_ends_a_run_ends_it_on_a_virtual_clock_too() {
    let error = |run: Run| run.virtually().run_blocking().unwrap_err().to_string();
    let failing = Run::new(scenario(row(noop, constant(1, HOUR)))).sink(Failing(0));
    assert_eq!(error(failing), "the failing sink failed: three is too many");
    let setup = scenario(row(noop, constant(1, HOUR))).setup(async |_ctx| mite_core::bail!("no database"));
    assert!(error(Run::new(setup)).starts_with("setup failed: Error: no database"));
    assert_eq!(error(Run::new(Scenario::new())), "the scenario has no rows: add a journey with `.journey(…)`");
    // A panic is the journey's own, and a socket is refused in words: virtual time would not wait for its answer.
    let panicking = async |_ctx: &mut Context| panic!("a mistake");
    let report = virtually(Run::new(scenario(row(panicking, constant(1, 3 * SECOND)))));
    assert_eq!((report.journeys[0].failed, report.verdict), (3, Verdict::Failed));
    let connecting = async |_ctx: &mut Context| {
        tokio::net::TcpStream::connect("127.0.0.1:1").await?;
        Ok(())
    };
    let report = virtually(Run::new(scenario(row(connecting, constant(1, SECOND)))));
    assert!(report.errors[0].message.contains("IO is disabled"), "{}", report.errors[0].message);
}

#[test]
fn a_journey_can_stop_the_run_at_its_virtual_time() {
    let stopper = Arc::<Mutex<Option<mite_core::Stopper>>>::default();
    let of_journey = Arc::clone(&stopper);
    let journey = async move |ctx: &mut Context| {
        if ctx.start_index() == 1800 {
            while of_journey.lock().unwrap().as_ref().map(mite_core::Stopper::stop).is_none() {
                // The run is faster than the line that keeps the stopper.
                std::thread::yield_now();
            }
        }
        Ok(())
    };
    let handle = Run::new(scenario(row(journey, constant(1, HOUR)))).virtually().start().unwrap();
    *stopper.lock().unwrap() = Some(handle.stopper());
    let report = checked(handle.wait().unwrap());
    assert_eq!((report.verdict, report.journeys[0].started), (Verdict::Aborted, 1801));
    assert_eq!(report.duration, 1800 * SECOND);
}

#[tokio::test]
async fn it_can_be_awaited_and_dropped_beside_a_real_clock() {
    let clock = Instant::now();
    let model = || nothing(TENTH) + constant(1, HOUR);
    let run = Run::new(scenario(row(sleeping(TENTH), model()))).virtually();
    let (report, ()) = tokio::join!(run.run(), tokio::time::sleep(TENTH));
    assert_eq!(report.unwrap().journeys[0].completed, 3600);
    assert!(clock.elapsed() >= TENTH, "the clock of the one who waits is the machine's");
    // Never ends by itself, but is ended with its handle.
    let busy = async |_ctx: &mut Context| loop {
        tokio::time::sleep(SECOND).await;
    };
    let handle = Run::new(scenario(row(busy, model()))).until_stopped().graceful_stop(24 * HOUR).virtually().start();
    drop(handle.unwrap());
}
