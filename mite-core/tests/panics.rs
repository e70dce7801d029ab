//! A journey's panic is caught, counted as an exception with its place, and told nowhere else; a panic elsewhere is told as
//! ever.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{Kept, TENTH, errors, noop, ran};
use mite_core::volume::{SECOND, constant};
use mite_core::{Context, NoData, RecyclableIterableDataPool, Result, Row, Run, Scenario};

async fn outside(_ctx: &mut Context) -> Result {
    panic!("at the {}", "top")
}
const OUTSIDE: u32 = line!() - 2;

async fn inside(ctx: &mut Context) -> Result {
    ctx.transaction("a", async |ctx| {
        ctx.transaction("b", async |_| {
            tokio::task::yield_now().await;
            missing().unwrap();
            Ok(())
        })
        .await
    })
    .await
}
fn missing() -> Option<()> {
    None
}

const INSIDE: u32 = line!() - 11;

async fn beside(ctx: &mut Context) -> Result {
    // One that was given up before is not where it happened.
    let _ = tokio::time::timeout(TENTH / 10, ctx.transaction("given up", common::forever)).await;
    let mut left = ctx.fork();
    let (_, _): (Result, Result) = tokio::join!(
        left.transaction("waits", common::forever),
        ctx.transaction("falls", async |_| {
            tokio::task::yield_now().await;
            panic!("of one of two")
        }),
    );
    Ok(())
}

#[tokio::test]
async fn wherever_it_happens_it_is_reported_once_in_the_innermost_transaction() {
    let kept = Kept::types(&["exception", "error", "txn"]);
    let scenario = Scenario::new()
        .journey(outside, NoData, constant(10, TENTH))
        .journey(inside, NoData, constant(10, TENTH))
        .journey(beside, NoData, constant(10, TENTH))
        .journey(noop, NoData, constant(100, 3 * TENTH));
    let report = ran(Run::new(scenario).sink(kept.clone())).await;
    let place = |line: u32, function| format!("{}:{line}:{function}", file!());
    let (outside, inside) = (place(OUTSIDE, "outside"), place(INSIDE, "inside"));
    let mut told = errors(&report);
    let of_one = told.iter().position(|error| error.2 == "panic: of one of two").unwrap();
    let of_one = told.remove(of_one);
    assert_eq!((of_one.0, of_one.4), ("falls", 1));
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("__root__", "panic", "panic: at the top", &*outside, 1),
            ("a :: b", "panic", "panic: called `Option::unwrap()` on a `None` value", &*inside, 1),
        ]
    );
    for journey in ["outside", "inside", "beside"] {
        assert_eq!((report.journey(journey).failed, report.journey(journey).completed), (1, 0));
    }
    assert_eq!(report.journey("noop").completed, 30);
    assert_eq!((kept.of("exception").len(), kept.of("error").len()), (3, 0));
    for exception in kept.of("exception") {
        assert!(exception["stacktrace"].as_str().unwrap().contains("panics"), "{exception}");
    }
    let of_inside: Vec<_> = kept
        .of("txn")
        .iter()
        .filter(|txn| txn["scenario_id"] == 2.into())
        .map(|txn| (txn["transaction"].as_str().unwrap().to_owned(), txn["had_error"].as_bool().unwrap()))
        .collect();
    let names = ["__root__ :: a :: b", "__root__ :: a", "__root__"];
    assert_eq!(of_inside, names.map(|name| (name.to_owned(), true)));
}

#[tokio::test]
async fn its_item_is_returned_and_the_workers_go_on() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let journey = async move |_: &mut Context, _item: u8| -> Result {
        counted.fetch_add(1, Relaxed);
        panic!("each time")
    };
    for workers in 1..=2 {
        let pool = RecyclableIterableDataPool::new([(1u8,)]);
        // The closed model waits for the one item, so that each of these starts is made with it.
        let row = Row::new(journey.clone(), pool, constant(3, 2 * TENTH).running()).named("falling");
        let report = ran(Run::new(Scenario::new().row(row)).workers(workers)).await;
        let row = &report.journeys[0];
        assert_eq!(runs.swap(0, Relaxed) as u64, row.failed);
        assert!(row.failed > 1, "{report}");
        assert_eq!((report.errors.len(), report.errors[0].count), (1, row.failed));
    }
}

#[tokio::test]
async fn a_function_that_panics_before_its_future_is_there_is_no_different() {
    fn eager(_ctx: &mut Context) -> impl Future<Output = Result> {
        assert!(std::env::args().count() == 0, "too early");
        std::future::ready(Ok(()))
    }
    let report = ran(Run::new(Scenario::new().journey(eager, NoData, constant(10, TENTH)))).await;
    assert_eq!((report.journeys[0].failed, &*report.errors[0].message), (1, "panic: too early"));
}

async fn elsewhere(_: &mut Context) -> Result {
    let _ = std::thread::spawn(|| panic!("elsewhere")).join();
    std::future::ready(Ok(())).await
}

/// Run in a process of its own, whose standard error is looked at.
#[test]
fn nothing_is_printed_but_what_happens_elsewhere() {
    const CHILD: &str = "MITE_TEST_PANICS_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let name = "nothing_is_printed_but_what_happens_elsewhere";
        let child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--nocapture", "--exact"])
            .env(CHILD, "1")
            .output();
        let child = child.unwrap();
        let told = String::from_utf8(child.stderr).unwrap();
        assert!(child.status.success(), "{told}");
        assert_eq!(
            told.lines().collect::<Vec<_>>(),
            ["hook: before the run", "hook: elsewhere", "hook: after the run"]
        );
        return;
    }
    std::panic::set_hook(Box::new(|info| eprintln!("hook: {}", info.payload_as_str().unwrap())));
    let fall = |text: &str| {
        let _ = catch_unwind(AssertUnwindSafe(|| panic!("{text}")));
    };
    fall("before the run");
    let scenario = Scenario::new()
        .setup(async |_| Ok(()))
        .journey(outside, NoData, constant(100, TENTH))
        .journey(inside, NoData, constant(100, TENTH))
        .journey(elsewhere, NoData, constant(1, SECOND / 100));
    let report = Run::new(scenario).workers(2).run_blocking().unwrap();
    assert_eq!((report.journeys[0].failed, report.journeys[1].failed), (10, 10));
    fall("after the run");
}
