//! A sink gets every message in its sender's order; one that fails ends the run with its name, and never hangs it.

mod common;

use std::time::Duration;

use common::{Kept, TENTH, failed, forever, noop, ran};
use mite_core::volume::{SECOND, constant, nothing};
use mite_core::{Context, Message, NoData, Result, Row, Run, RunError, Scenario, Sink, SinkError, Wants, recorded};
use serde_json::json;

/// Goes wrong at its `at`th message, as it is told.
struct Failing {
    at: u64,
    panics: bool,
}

impl Sink for Failing {
    fn name(&self) -> &'static str {
        "statistics"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&["note"])
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
async fn one_that_fails_ends_the_run() {
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
            let run = run.sink(Failing { at: 20, panics }).sink(kept.clone());
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
async fn one_that_cannot_be_opened_refuses_the_run() {
    struct Closed;
    impl Sink for Closed {
        fn name(&self) -> &'static str {
            "collector"
        }
        fn wants(&self) -> Wants {
            Wants::Everything
        }
        fn open(&mut self) -> Result<(), SinkError> {
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
