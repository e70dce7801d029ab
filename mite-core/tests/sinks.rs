//! A sink gets every message in its sender's order; one that fails is named, ends the run if it is essential, and never hangs it.

mod common;

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::{Kept, TENTH, failed, forever, noop, ran};
use mite_core::volume::{HOUR, SECOND, constant, nothing};
use mite_core::{
    Context, LiveFigures, Message, NoData, Result, Row, Run, RunError, Scenario, Sink, SinkError, Snapshot, Wants,
    WhenFull, recorded,
};
use serde_json::json;

/// Goes wrong at its `at`th message, as it is told.
struct Failing {
    at: u64,
    panics: bool,
    is_essential: bool,
}

impl Sink for Failing {
    fn name(&self) -> &'static str {
        "statistics"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&["note"])
    }

    fn is_essential(&self) -> bool {
        self.is_essential
    }

    fn message(&mut self, _: &Message<'_>) -> Result<(), SinkError> {
        self.at -= 1;
        assert!(self.at > 0 || !self.panics, "it fell over");
        if self.at == 0 { Err("it has had enough".into()) } else { Ok(()) }
    }
}

async fn noting(ctx: &mut Context) -> Result {
    ctx.record("notes", ctx.start_index()).await?;
    ctx.send("note", json!({"n": ctx.start_index()})).await
}

#[tokio::test]
async fn an_essential_one_that_fails_ends_the_run() {
    for (panics, cause) in [(false, "it has had enough"), (true, "it fell over")] {
        for workers in 1..=2 {
            let folder = tempfile::tempdir().unwrap();
            let kept = Kept::types(&["note"]);
            let scenario = Scenario::new().journey(noting, NoData, constant(200, 60 * SECOND)).journey(
                forever,
                NoData,
                constant(20, 60 * SECOND),
            );
            let run = Run::new(scenario).workers(workers).recorder(folder.path());
            let run = run.sink(Failing { at: 20, panics, is_essential: true }).sink(kept.clone());
            let error = tokio::time::timeout(15 * SECOND, failed(run)).await.expect("the run ends at once");
            assert_eq!(error.to_string(), format!("the statistics failed: {cause}"));
            assert!(matches!(error, RunError::Sink { .. }));
            // The others have got what was sent.
            let records = recorded::<u64>(folder.path().join("notes.msgpack")).unwrap();
            assert!(records.len() >= 20 && kept.all().len() >= 20, "{} {}", records.len(), kept.all().len());
        }
    }
}

#[tokio::test]
async fn the_run_goes_on_without_another_that_fails() {
    for (panics, cause) in [(false, "it has had enough"), (true, "it fell over")] {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::types(&["note"]);
        let scenario = Scenario::new().journey(noting, NoData, constant(200, SECOND));
        let run = Run::new(scenario).workers(2).recorder(folder.path());
        let run = run.sink(Failing { at: 20, panics, is_essential: false }).sink(kept.clone());
        let report = ran(run).await;
        assert!(report.passed(), "{report}");
        assert_eq!(kept.all().len(), 200);
        let [recorder, failing, keeper] = &report.sinks[..] else { panic!("{:?}", report.sinks) };
        assert_eq!((&*recorder.sink, recorder.taken, recorder.dropped), ("recorder", 200, 0));
        assert_eq!((&*keeper.sink, keeper.taken, keeper.dropped), ("keeper", 200, 0));
        assert_eq!((&*failing.sink, failing.failure.as_deref()), ("statistics", Some(cause)));
        assert_eq!(failing.taken + failing.dropped, 200);
        assert!(failing.taken < 20);
        let told =
            format!("the statistics failed ({cause}): {} of 200 messages for it were not taken", failing.dropped);
        assert!(report.warnings.contains(&told), "{:?}", report.warnings);
    }
}

/// Takes no message until it is let go, by the other end being dropped.
struct Stuck {
    let_go: mpsc::Receiver<()>,
    when_full: WhenFull,
}

impl Sink for Stuck {
    fn name(&self) -> &'static str {
        "dashboard"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&["txn"])
    }

    fn when_full(&self) -> WhenFull {
        self.when_full
    }

    fn message(&mut self, _: &Message<'_>) -> Result<(), SinkError> {
        assert_eq!(self.let_go.recv(), Err(mpsc::RecvError));
        Ok(())
    }
}

/// Many transactions: 200 such journeys have more than wait for a sink that does not keep up.
async fn busy(ctx: &mut Context) -> Result {
    for _ in 0..600 {
        ctx.transaction("step", async |_| Ok(())).await?;
    }
    Ok(())
}

#[tokio::test]
async fn one_that_may_lose_messages_never_slows_the_run() {
    let (held, let_go) = mpsc::channel();
    let (ended, mut all_ended) = tokio::sync::mpsc::unbounded_channel();
    let visit = async move |ctx: &mut Context| {
        busy(ctx).await?;
        Ok(ended.send(())?)
    };
    let scenario = Scenario::new().row(Row::new(visit, NoData, constant(50, 4 * SECOND)).named("busy"));
    let run = Run::new(scenario).max_start_lag(HOUR);
    let handle = run.sink(Stuck { let_go, when_full: WhenFull::Drop }).start().unwrap();
    // All journeys end while it takes nothing.
    for _ in 0..200 {
        all_ended.recv().await.unwrap();
    }
    drop(held);
    let report = common::checked(handle.await.unwrap());
    let sink = &report.sinks[0];
    assert_eq!(sink.taken + sink.dropped, 200 * 601);
    assert!(sink.dropped > 0 && sink.failure.is_none());
    let told = format!("{} of 120200 messages were dropped, since the dashboard did not keep up", sink.dropped);
    assert!(report.warnings.contains(&told), "{:?}", report.warnings);
}

#[tokio::test]
async fn one_that_is_waited_for_loses_nothing() {
    let (held, let_go) = mpsc::channel();
    let scenario = Scenario::new().journey(busy, NoData, constant(50, 4 * SECOND));
    let run = Run::new(scenario).max_start_lag(HOUR);
    let handle = run.sink(Stuck { let_go, when_full: WhenFull::Wait }).start().unwrap();
    let mut follow = handle.follow();
    // A second without one that ends: all wait.
    let mut completed = None;
    while let Some(progress) = follow.next().await
        && completed.replace(progress.completed) != Some(progress.completed)
    {}
    assert!(completed < Some(200), "{completed:?}");
    drop(held);
    let report = common::checked(handle.await.unwrap());
    assert_eq!((report.sinks[0].taken, report.sinks[0].dropped), (200 * 601, 0));
    // What they waited is not the system's.
    let waited = report.transaction("step");
    assert!(waited.time.percentile(99.0) < Duration::from_millis(500), "{report}");
}

/// Keeps the figures that it is told.
#[derive(Clone, Default)]
struct Watcher {
    live: Arc<Mutex<Option<LiveFigures>>>,
    told: Arc<Mutex<Vec<Snapshot>>>,
}

impl Sink for Watcher {
    fn name(&self) -> &'static str {
        "watcher"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&[])
    }

    fn wants_snapshots(&self) -> bool {
        true
    }

    fn open(&mut self, live: &LiveFigures) -> Result<(), SinkError> {
        *self.live.lock().unwrap() = Some(live.clone());
        Ok(())
    }

    fn snapshot(&mut self, figures: &Snapshot) -> Result<(), SinkError> {
        self.told.lock().unwrap().push(figures.clone());
        Ok(())
    }
}

#[tokio::test]
async fn figures_are_told_once_a_second_and_whenever_they_are_asked_for() {
    for workers in 1..=2 {
        let watcher = Watcher::default();
        let scenario = Scenario::new().named("watched").journey(busy, NoData, constant(40, 3 * SECOND));
        let handle = Run::new(scenario).workers(workers).max_start_lag(HOUR).sink(watcher.clone()).start().unwrap();
        let live = watcher.live.lock().unwrap().clone().unwrap();
        let mut follow = handle.follow();
        let progress = follow.next().await.unwrap();
        let now = live.now().await.unwrap();
        assert!(now.journeys[0].started >= progress.started && !now.is_last);
        assert!(now.elapsed >= SECOND);
        let step = now.transactions.iter().find(|of| of.transaction == "step").unwrap();
        assert!(step.count >= progress.completed * 600);
        let report = common::checked(handle.await.unwrap());
        assert!(live.now().await.is_none());
        let told = watcher.told.lock().unwrap();
        let (last, before) = told.split_last().unwrap();
        assert!(last.is_last && before.iter().all(|figures| !figures.is_last) && before.len() >= 2);
        assert!(told.is_sorted_by_key(|figures| figures.journeys[0].started));
        assert_eq!((&*last.scenario, last.journeys[0].completed), ("watched", 120));
        assert_eq!(before[0].rows[0].wanted, 40);
        let figures = |of: &[mite_core::TransactionReport]| {
            of.iter().map(|row| (row.transaction.clone(), row.count, row.time.percentile(99.0))).collect::<Vec<_>>()
        };
        assert_eq!(figures(&last.transactions), figures(&report.transactions));
    }
}

/// Asks for figures once it has been told that there are no more.
#[derive(Default)]
struct Late {
    live: Option<LiveFigures>,
    answers: Arc<Mutex<Vec<Option<Arc<Snapshot>>>>>,
}

impl Sink for Late {
    fn name(&self) -> &'static str {
        "late"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&[])
    }

    fn open(&mut self, live: &LiveFigures) -> Result<(), SinkError> {
        self.live = Some(live.clone());
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        let live = self.live.take().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asks =
            thread::spawn(move || runtime.block_on(async { tokio::time::timeout(10 * SECOND, live.now()).await }));
        self.answers.lock().unwrap().push(asks.join().unwrap()?);
        Ok(())
    }
}

#[tokio::test]
async fn who_asks_while_the_sinks_end_is_told_that_the_run_is_over() {
    let late = Late::default();
    let answers = Arc::clone(&late.answers);
    let scenario = Scenario::new().journey(busy, NoData, constant(10, SECOND / 10));
    let report = Run::new(scenario).max_start_lag(HOUR).sink(late).start().unwrap().await.unwrap();
    assert!(report.sinks[0].failure.is_none(), "{:?}", report.sinks);
    assert!(matches!(answers.lock().unwrap()[..], [None]));
}

#[tokio::test]
async fn one_that_cannot_be_opened_refuses_the_run() {
    struct Closed;
    impl Sink for Closed {
        fn name(&self) -> &'static str {
            "collector"
        }
        fn wants(&self) -> Wants {
            Wants::Everything
        }
        fn open(&mut self, _: &LiveFigures) -> Result<(), SinkError> {
            Err("it is Sunday".into())
        }
        fn message(&mut self, _: &Message<'_>) -> Result<(), SinkError> {
            unreachable!("it was never opened")
        }
    }
    let scenario = Scenario::new().setup(async |_| panic!("nothing starts")).journey(noop, NoData, constant(1, SECOND));
    assert_eq!(failed(Run::new(scenario).sink(Closed)).await.to_string(), "the collector failed: it is Sunday");
}

#[tokio::test]
async fn messages_without_fields_arrive_while_the_run_goes_on() {
    let kept = Kept::types(&["ping"]);
    let scenario = Scenario::new().row(
        Row::new(async |ctx: &mut Context| ctx.send("ping", ()).await, NoData, constant(100, 60 * SECOND))
            .named("pinging"),
    );
    let handle = Run::new(scenario).sink(kept.clone()).start().unwrap();
    while kept.all().is_empty() {
        tokio::task::yield_now().await;
    }
    handle.abort();
    common::checked(handle.await.unwrap());
}

#[tokio::test]
async fn each_senders_messages_keep_their_order() {
    async fn sending(ctx: &mut Context) -> Result {
        for n in 0..500 {
            ctx.send("note", json!({"n": n})).await?;
            ctx.scope().emit("hint", &json!({"n": n}));
        }
        Ok(())
    }
    let kept = Kept::types(&["note", "hint"]);
    let scenario = Scenario::new().journey(sending, NoData, constant(100, TENTH));
    ran(Run::new(scenario).workers(2).sink(kept.clone())).await;
    let mut next = std::collections::BTreeMap::<u64, Vec<(u64, String)>>::new();
    for message in kept.all() {
        let sent = (message["n"].as_u64().unwrap(), message["type"].as_str().unwrap().to_owned());
        next.entry(message["context_id"].as_u64().unwrap()).or_default().push(sent);
    }
    assert_eq!(next.len(), 10);
    for sent in next.into_values() {
        let expected = (0..500).flat_map(|n| [(n, "note".to_owned()), (n, "hint".to_owned())]);
        assert_eq!(sent, expected.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_controller_reports_once_a_second() {
    for workers in 1..=2 {
        let kept = Kept::types(&["controller_report"]);
        let scenario = Scenario::new()
            .named("reported")
            .journey(noop, NoData, constant(30, 2 * SECOND) + constant(50, SECOND) + nothing(SECOND))
            .row(
                Row::new(
                    async |_: &mut Context| {
                        tokio::time::sleep(TENTH / 10).await;
                        Ok(())
                    },
                    NoData,
                    constant(4, SECOND).running(),
                )
                .named("closed"),
            );
        ran(Run::new(scenario).workers(workers).sink(kept.clone())).await;
        let reports = kept.of("controller_report");
        let told = |field: &str| -> Vec<Vec<u64>> {
            let of = |report: &rmpv::Value| {
                let figures = report[field].as_map().unwrap();
                assert_eq!(figures.iter().map(|(row, _)| row.as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
                figures.iter().map(|(_, figure)| figure.as_f64().unwrap() as u64).collect()
            };
            reports.iter().map(of).collect()
        };
        assert_eq!(told("required"), [[30, 4], [30, 0], [50, 0], [0, 0]], "{workers} workers");
        let actual = told("actual");
        // A start that is due at a second's end may fall into the next.
        assert_eq!(actual.iter().map(|row| row[0]).sum::<u64>(), 110);
        assert_eq!(actual[2][1], 0);
        for report in &reports {
            let keys: Vec<_> =
                report.as_map().unwrap().iter().map(|(key, _)| key.as_str().unwrap().to_owned()).collect();
            assert_eq!(keys, ["required", "actual", "num_runners", "type", "time", "test"]);
            assert_eq!((&report["num_runners"], &report["test"]), (&1.into(), &"reported".into()));
        }
    }
}

#[tokio::test]
async fn a_worker_that_is_blocked_does_not_hang_the_run() {
    async fn blocking(ctx: &mut Context) -> Result {
        ctx.record("users", 1).await?;
        std::thread::sleep(Duration::from_secs(600));
        Ok(())
    }
    let folder = tempfile::tempdir().unwrap();
    let scenario = Scenario::new()
        .row(Row::new(blocking, NoData, constant(1, TENTH)))
        .teardown(async |_| panic!("its worker is blocked"));
    let run = Run::new(scenario).graceful_stop(Duration::ZERO).recorder(folder.path());
    let error = tokio::time::timeout(60 * SECOND, failed(run)).await.expect("the run ends");
    assert!(matches!(error, RunError::Blocked { worker: 0, .. }), "{error}");
}
