//! Of the requests that failed a few are kept with their texts, however many there were, and all are counted.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{TENTH, ran, tally};
use mite_core::volume::constant;
use mite_core::{
    Context, ExchangeText, FailedExchange, NoData, Report, RequestSample, Result, Row, Run, Scenario, Verdict,
};

/// What a session noted of the exchanges that it offered.
#[derive(Debug, Clone, Default)]
struct Session {
    offered: Arc<AtomicU64>,
    written: Arc<Mutex<Vec<String>>>,
}

impl Session {
    /// Counts a failed request and offers its texts.
    fn fail(&self, ctx: &Context, sample: &RequestSample<'_>) {
        let scope = ctx.scope();
        scope.request(sample);
        self.offered.fetch_add(1, SeqCst);
        scope.failed_exchange(sample, || {
            // A session may look at its scope, and count something, while it writes.
            scope.request(&RequestSample { method: "LOOK", code: 200, ..RequestSample::default() });
            let url = format!("http://shop/{}", ctx.start_index());
            self.written.lock().unwrap().push(url.clone());
            ExchangeText { url, request: "GET /".to_owned(), response: "no".to_owned(), message: None }
        });
    }

    fn offered(&self) -> u64 {
        self.offered.load(SeqCst)
    }

    fn written(&self) -> Vec<String> {
        self.written.lock().unwrap().clone()
    }
}

/// 400 starts of a journey whose requests all fail, each in one of so many transactions.
fn scenario(session: &Session, transactions: u64) -> Scenario {
    let session = session.clone();
    let journey = async move |ctx: &mut Context| -> Result {
        let transaction = format!("number {}", ctx.start_index() % transactions);
        ctx.transaction(&transaction, async |ctx| {
            let name = Some(["/users/{id}", "/carts/{id}"][ctx.start_index() as usize / 100 % 2]);
            let total = Duration::from_millis(7);
            session.fail(ctx, &RequestSample { method: "GET", name, code: 503, total, ..RequestSample::default() });
            Ok(())
        })
        .await
    };
    Scenario::new().row(Row::new(journey, NoData, constant(2000, 2 * TENTH)).named("failing"))
}

/// How many there are of each series; none has more than two, and all are in the order in which they failed.
#[track_caller]
fn of_each(report: &Report) -> BTreeMap<(String, String, Option<String>, u16), u64> {
    let kept = report.failed_exchanges();
    assert!(kept.is_sorted_by_key(|exchange| exchange.at), "{kept:#?}");
    assert!(kept.iter().all(|exchange| exchange.at <= report.duration), "{kept:#?}");
    let series = |of: &FailedExchange| (of.journey.clone(), of.transaction.clone(), of.name.clone(), of.code);
    let counts = tally(kept.iter().map(series));
    assert!(counts.values().all(|count| *count <= 2), "{counts:?}");
    counts
}

/// How many requests failed, by the report's figures.
fn failed(report: &Report) -> u64 {
    report.requests.iter().filter(|row| row.is_error()).map(|row| row.count).sum()
}

#[tokio::test]
async fn two_of_each_kind_are_kept() {
    for workers in 1..=3 {
        let session = Session::default();
        let report = ran(Run::new(scenario(&session, 5)).workers(workers)).await;
        assert_eq!((session.offered(), failed(&report)), (400, 400), "{report}");
        // Five transactions with requests of two names.
        assert_eq!(of_each(&report).len(), 10, "{report}");
        assert_eq!(report.failed_exchanges().len(), 20);
        let written = session.written();
        assert!((20..=20 * workers).contains(&written.len()), "{} were written out", written.len());
        let looks = report.requests.iter().filter(|row| row.method == "LOOK").map(|row| row.count).sum::<u64>();
        assert_eq!(looks, written.len() as u64);
        for exchange in report.failed_exchanges() {
            assert!(written.contains(&exchange.url), "{exchange:?}");
            assert_eq!((&*exchange.method, exchange.code, exchange.duration), ("GET", 503, Duration::from_millis(7)));
            assert_eq!((&*exchange.request, &*exchange.response), ("GET /", "no"));
            let start: u64 = exchange.url.rsplit('/').next().unwrap().parse().unwrap();
            assert_eq!(exchange.transaction, format!("number {}", start % 5));
        }
    }
}

#[tokio::test]
async fn one_worker_keeps_the_first_ones() {
    let session = Session::default();
    let report = ran(Run::new(scenario(&session, 100))).await;
    let urls: Vec<String> = report.failed_exchanges().iter().map(|exchange| exchange.url.clone()).collect();
    let first: Vec<String> = (0..32).map(|start| format!("http://shop/{start}")).collect();
    assert_eq!((urls, session.written()), (first.clone(), first));
}

#[tokio::test]
async fn of_very_many_kinds_the_first_are_kept() {
    for workers in 1..=3 {
        let session = Session::default();
        let report = ran(Run::new(scenario(&session, 100)).workers(workers)).await;
        assert_eq!((session.offered(), failed(&report)), (400, 400), "{report}");
        assert_eq!(report.failed_exchanges().len(), 32);
        assert_eq!(of_each(&report).values().sum::<u64>(), 32);
        assert!((32..=32 * workers).contains(&session.written().len()));
    }
}

#[tokio::test]
async fn rows_of_one_journey_share_its_room() {
    for workers in 1..=2 {
        let session = Session::default();
        let row = || {
            let session = session.clone();
            let journey = async move |ctx: &mut Context| -> Result {
                session.fail(ctx, &RequestSample { method: "GET", code: 500, ..RequestSample::default() });
                Ok(())
            };
            Row::new(journey, NoData, constant(500, TENTH)).named("twice")
        };
        let report = ran(Run::new(Scenario::new().row(row()).row(row())).workers(workers)).await;
        assert_eq!((session.offered(), failed(&report)), (100, 100), "{report}");
        assert_eq!(of_each(&report), [(("twice".to_owned(), "__root__".to_owned(), None, 500), 2)].into());
    }
}

#[tokio::test]
async fn what_is_of_the_warm_up_is_not_kept() {
    for workers in 1..=2 {
        let session = Session::default();
        let report = ran(Run::new(scenario(&session, 5)).workers(workers).warm_up(TENTH)).await;
        // Half of the starts are due in the warm-up, all of them offer theirs, and only what is measured is written out.
        assert_eq!((session.offered(), failed(&report)), (400, 200), "{report}");
        assert_eq!(of_each(&report).len(), 10);
        for url in session.written() {
            let start: u64 = url.rsplit('/').next().unwrap().parse().unwrap();
            assert!(start >= 200, "{url}");
        }
        assert!(report.failed_exchanges().iter().all(|exchange| exchange.at >= TENTH), "{report}");
    }
}

#[tokio::test]
async fn setup_and_teardown_are_kept_too() {
    let session = Session::default();
    let (setup, teardown) = (session.clone(), session.clone());
    let fail = |session: &Session, ctx: &Context, code| {
        session.fail(ctx, &RequestSample { method: "PUT", code, ..RequestSample::default() });
    };
    let scenario = scenario(&session, 1)
        .setup(async move |ctx| {
            // As long as the run itself: it is before it all the same.
            tokio::time::sleep(3 * TENTH).await;
            fail(&setup, ctx, 409);
            Ok(())
        })
        .teardown(async move |ctx| {
            fail(&teardown, ctx, 410);
            Ok(())
        });
    let report = ran(Run::new(scenario).workers(2)).await;
    assert_eq!((session.offered(), failed(&report)), (402, 402), "{report}");
    let kept: Vec<(u16, Duration)> = report.failed_exchanges().iter().map(|of| (of.code, of.at)).collect();
    assert_eq!(kept.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [409, 503, 503, 503, 503, 410]);
    assert_eq!(kept[0].1, Duration::ZERO);
    assert!(kept[5].1 >= TENTH, "{kept:?}");
}

#[tokio::test]
async fn the_json_has_all_and_the_text_the_first() {
    let session = Session::default();
    let report = ran(Run::new(scenario(&session, 100)).workers(2)).await;
    // A journey that expects what its session takes for a failure goes on.
    assert_eq!(report.verdict, Verdict::Passed, "{report}");
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let told = json["failed_exchanges"].as_array().unwrap();
    assert_eq!(told.len(), 32);
    for (told, exchange) in told.iter().zip(report.failed_exchanges()) {
        let expected = serde_json::json!({
            "journey": "failing",
            "transaction": exchange.transaction,
            "at_us": u64::try_from(exchange.at.as_micros()).unwrap(),
            "method": "GET",
            "name": exchange.name,
            "url": exchange.url,
            "code": 503,
            "error": null,
            "message": null,
            "duration_us": 7000,
            "request": "GET /",
            "response": "no",
        });
        assert_eq!(*told, expected);
    }
    let text = report.to_string();
    assert_eq!(text.matches(" → 503 in 7.00 ms (failing, number ").count(), 3, "{text}");
    assert!(text.contains("\n    > GET /\n    < no\n") && text.contains("\n  and 29 more: the JSON has all"), "{text}");
    let quiet = ran(Run::new(Scenario::new().journey(common::noop, NoData, constant(100, TENTH)))).await;
    let json: serde_json::Value = serde_json::from_str(&quiet.to_json()).unwrap();
    assert_eq!((json["failed_exchanges"].as_array().map(Vec::len), quiet.failed_exchanges().len()), (Some(0), 0));
    assert!(!quiet.to_string().contains("failed exchanges"), "{quiet}");
}

#[tokio::test]
async fn texts_are_cut_whatever_a_session_writes() {
    let journey = async |ctx: &mut Context| -> Result {
        let sample = RequestSample { method: "GET", error: Some("timeout"), ..RequestSample::default() };
        ctx.scope().failed_exchange(&sample, || {
            let long = || "€".repeat(1_000_000);
            ExchangeText { url: long(), message: Some(long()), request: long(), response: long() }
        });
        Ok(())
    };
    let report =
        ran(Run::new(Scenario::new().row(Row::new(journey, NoData, constant(100, TENTH)).named("long")))).await;
    let [first, _] = report.failed_exchanges() else { panic!("two of one kind: {report}") };
    assert_eq!((first.error.as_deref(), first.code), (Some("timeout"), 0));
    for text in [&first.url, first.message.as_ref().unwrap(), &first.request, &first.response] {
        assert!(text.len() <= 16 * 1024 && text.starts_with("€€€"), "{} bytes", text.len());
        let (kept, note) = text.rsplit_once('\n').unwrap();
        assert_eq!(note, format!("… {} bytes more", 3_000_000 - kept.len()));
    }
}
