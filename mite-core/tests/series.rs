//! However many different transactions and requests there are, their figures stay within their memory, and all are counted.

mod common;

use common::{Kept, TENTH, ran, tally};
use mite_core::volume::constant;
use mite_core::{Context, NoData, Report, RequestSample, Result, Row, Run, Scenario};

/// A hundred users, each with a transaction of its own, twice.
fn scenario() -> Scenario {
    let journey = async |ctx: &mut Context| -> Result {
        let user = ctx.start_index() % 100;
        ctx.transaction(&format!("user {user}"), async |ctx| {
            ctx.scope().request(&RequestSample { method: "GET", code: 200, bytes: 10, ..RequestSample::default() });
            Ok(())
        })
        .await
    };
    let row = |name: &str| Row::new(journey, NoData, constant(1000, 2 * TENTH)).named(name);
    Scenario::new().row(row("one")).row(row("other"))
}

/// Transactions besides the roots and requests: how many are told, and how often they were made.
fn told(report: &Report) -> ((usize, u64), (usize, u64)) {
    let transactions = report.transactions.iter().filter(|row| row.transaction != "__root__").map(|row| row.count);
    let requests = report.requests.iter().map(|row| row.count);
    ((transactions.clone().count(), transactions.sum()), (requests.clone().count(), requests.sum()))
}

#[tokio::test]
async fn what_there_is_no_room_for_is_told_together() {
    for workers in 1..=3 {
        let kept = Kept::types(&["txn"]);
        let run = Run::new(scenario()).workers(workers).sink(kept.clone()).max_series_bytes(20_000 * workers as u64);
        let report = ran(run).await;
        assert!(report.passed(), "{report}");
        let ((transactions, ended), (requests, made)) = told(&report);
        assert_eq!((ended, made), (400, 400), "{report}");
        assert!((2..150).contains(&transactions) && (2..150).contains(&requests), "{transactions}, {requests}");
        for row in ["one", "other"] {
            let of_row = report.transactions.iter().filter(|told| told.journey == row);
            assert_eq!(
                of_row.clone().filter(|told| told.transaction == "__root__").map(|told| told.count).sum::<u64>(),
                200
            );
            assert_eq!(of_row.filter(|told| told.transaction == "__overflow__").count(), 1, "{report}");
        }
        assert_eq!(report.requests.iter().map(|row| row.bytes).sum::<u64>(), 4000);
        let [warning] = &report.warnings[..] else { panic!("one warning: {:?}", report.warnings) };
        assert!(warning.contains("`__overflow__`") && warning.contains("`Run::max_series_bytes`"), "{warning}");
        // Messages are not figures: they keep their names.
        let names = tally(kept.texts("txn", "transaction"));
        assert_eq!((names.len(), names["__root__ :: user 7"]), (101, 4));
    }
}

#[tokio::test]
async fn where_there_is_room_all_are_told_apart() {
    let report = ran(Run::new(scenario()).workers(2)).await;
    assert_eq!(told(&report), ((200, 400), (200, 400)));
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}
