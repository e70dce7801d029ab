//! An error is reported once, by the innermost transaction that it passes through; transactions nest, and each that an error
//! passes through had it.

mod common;

use common::{Kept, TENTH, errors, forever, ran};
use mite_core::volume::constant;
use mite_core::{Context, Error, NoData, Result, Row, Run, Scenario, bail};
use serde_json::json;

/// Runs `row` with a sink of everything that it sends.
async fn kept(row: Row) -> (mite_core::Report, Kept) {
    let kept = Kept::types(&["txn", "error", "exception", "note"]);
    let report = ran(Run::new(Scenario::new().named("nesting").row(row)).sink(kept.clone())).await;
    (report, kept)
}

fn txns(kept: &Kept) -> Vec<(String, u64, bool)> {
    let txn = |txn: &rmpv::Value| {
        assert!(txn["start_time"].as_f64().unwrap() <= txn["end_time"].as_f64().unwrap());
        let id = txn["transaction_id"].as_u64().unwrap();
        (txn["transaction"].as_str().unwrap().to_owned(), id, txn["had_error"].as_bool().unwrap())
    };
    kept.of("txn").iter().map(txn).collect()
}

fn txn(name: &str, id: u64, had_error: bool) -> (String, u64, bool) {
    (name.to_owned(), id, had_error)
}

#[tokio::test]
async fn reported_once_by_the_innermost_of_three() {
    async fn nested(ctx: &mut Context) -> Result {
        ctx.transaction("a", async |ctx| {
            ctx.transaction("first", async |_| Ok(())).await?;
            ctx.transaction("b", async |ctx| {
                ctx.send("note", json!({"deep": true})).await?;
                Err(Error::new("the cart is empty").field("cart", 17).field("message", "taken"))
            })
            .await
        })
        .await
    }
    let line = line!() - 6;
    let (report, kept) = kept(Row::new(nested, NoData, constant(10, TENTH))).await;
    let location = format!("{}:{line}:nested", file!());
    assert_eq!(errors(&report), [("a :: b", "Error", "Error: the cart is empty", &*location, 1)]);
    assert_eq!(
        txns(&kept),
        [
            txn("__root__ :: a :: first", 3, false),
            txn("__root__ :: a :: b", 4, true),
            txn("__root__ :: a", 2, true),
            txn("__root__", 1, true),
        ]
    );
    let told: Vec<_> = kept.of("error");
    assert_eq!(told.len(), 1);
    let packed = told[0].to_string();
    assert!(
        packed.starts_with(&format!(
            "{{\"message\": \"Error: the cart is empty\", \"ex_type\": \"Error\", \"location\": \"{location}\", \"cart\": 17, \
             \"message_\": \"taken\", \"type\": \"error\", "
        )),
        "{packed}"
    );
    assert!(
        packed.ends_with(
            "\"test\": \"nesting\", \"runner_id\": 1, \"journey\": \"errors::reported_once_by_the_innermost_of_three:nested\", \
             \"context_id\": 1, \"scenario_id\": 1, \"scenario_data_id\": nil, \"transaction\": \"__root__ :: a :: b\", \
             \"transaction_id\": 4}"
        ),
        "{packed}"
    );
    assert_eq!(kept.of("note")[0]["transaction"], "__root__ :: a :: b".into());
    let names: Vec<_> = report.transactions.iter().map(|row| (&*row.transaction, row.count, row.errors)).collect();
    assert_eq!(names, [("__root__", 1, 1), ("a", 1, 1), ("a :: first", 1, 0), ("a :: b", 1, 1)]);
}

#[tokio::test]
async fn one_that_is_caught_is_reported_and_the_journey_completes() {
    async fn forgiving(ctx: &mut Context) -> Result {
        let caught = ctx.transaction("a", async |_| -> Result { bail!("not today") }).await;
        assert!(caught.is_err());
        ctx.transaction("b", async |_| Ok(())).await
    }
    let (report, kept) = kept(Row::new(forgiving, NoData, constant(10, TENTH))).await;
    assert_eq!((report.journeys[0].completed, report.journeys[0].failed), (1, 0));
    assert_eq!(report.errors[0].transaction, "a");
    assert!(!report.passed());
    assert_eq!(txns(&kept), [txn("__root__ :: a", 2, true), txn("__root__ :: b", 3, false), txn("__root__", 1, false)]);
}

#[tokio::test]
async fn one_outside_of_any_transaction_belongs_to_the_root() {
    async fn plain(ctx: &mut Context) -> Result {
        ctx.transaction("fine", async |_| Ok(())).await?;
        "x".parse::<u8>()?;
        Ok(())
    }
    let line = line!() - 3;
    let (report, _) = kept(Row::new(plain, NoData, constant(10, TENTH))).await;
    let location = format!("{}:{line}:plain", file!());
    let message = "ParseIntError: invalid digit found in string";
    assert_eq!(errors(&report), [("__root__", "ParseIntError", message, &*location, 1)]);
}

#[tokio::test]
async fn a_config_key_that_is_not_there_names_the_users_line() {
    async fn asking(ctx: &mut Context) -> Result {
        ctx.config().get::<String>("app_url")?;
        Ok(())
    }
    let line = line!() - 3;
    let scenario = || Scenario::new().journey(asking, NoData, constant(10, TENTH));
    let report = ran(Run::new(scenario()).config("rate", 5).config("app", "x")).await;
    let location = format!("{}:{line}:asking", file!());
    let message =
        "ConfigError: the config has no \"app_url\", only app, rate: set it with `--set app_url=…` or `Run::config`";
    assert_eq!(errors(&report), [("__root__", "ConfigError", message, &*location, 1)]);
    let report = ran(Run::new(scenario()).config("app_url", json!([1]))).await;
    assert!(report.errors[0].message.starts_with("ConfigError: the config's \"app_url\" does not fit: "), "{report}");
    assert_eq!(report.errors[0].location, location);
}

#[tokio::test]
async fn what_is_cut_off_is_sent_with_an_error() {
    async fn stuck(ctx: &mut Context) -> Result {
        ctx.transaction("a", async |ctx| ctx.transaction("b", forever_in).await).await
    }
    async fn forever_in(ctx: &mut Context) -> Result {
        forever(ctx).await
    }
    let messages = Kept::types(&["txn"]);
    let run = Run::new(Scenario::new().journey(stuck, NoData, constant(10, TENTH)));
    let report = ran(run.graceful_stop(TENTH).sink(messages.clone())).await;
    assert_eq!((report.journeys[0].started, report.journeys[0].cancelled), (1, 1));
    assert_eq!(
        txns(&messages),
        [txn("__root__ :: a :: b", 3, true), txn("__root__ :: a", 2, true), txn("__root__", 1, true)]
    );
    // Counted, and not timed.
    assert_eq!((report.transaction("a").count, report.transaction("a").time.count()), (1, 0));
    assert_eq!(
        report.reasons,
        ["errors::what_is_cut_off_is_sent_with_an_error:stuck: 1 journey still running when the graceful stop ran out"]
    );
}

#[tokio::test]
async fn forks_stand_where_they_were_taken() {
    async fn forking(ctx: &mut Context) -> Result {
        ctx.transaction("page", async |ctx| {
            let (mut left, mut right) = (ctx.fork(), ctx.fork());
            let gate = tokio::sync::Barrier::new(2);
            let (left, right) = tokio::join!(
                left.transaction("left", async |ctx| {
                    gate.wait().await;
                    ctx.transaction("inner", async |_| Ok(1)).await
                }),
                right.transaction("right", async |_| -> Result<u32> {
                    gate.wait().await;
                    bail!("lost")
                }),
            );
            assert_eq!((left?, right.is_err()), (1, true));
            ctx.transaction("after", async |_| Ok(())).await
        })
        .await
    }
    let (report, kept) = kept(Row::new(forking, NoData, constant(10, TENTH))).await;
    assert_eq!(report.journeys[0].completed, 1);
    assert_eq!(report.errors[0].transaction, "page :: right");
    let mut txns = txns(&kept);
    txns.sort();
    assert_eq!(
        txns,
        [
            txn("__root__", 1, false),
            txn("__root__ :: page", 2, false),
            txn("__root__ :: page :: after", 6, false),
            txn("__root__ :: page :: left", 3, false),
            txn("__root__ :: page :: left :: inner", 5, false),
            txn("__root__ :: page :: right", 4, true),
        ]
    );
}

#[tokio::test]
async fn a_rows_timeout_is_an_error_of_the_transaction_that_it_cut_off() {
    async fn slow(ctx: &mut Context) -> Result {
        // One that the journey itself gave up before is not the one.
        let _ = tokio::time::timeout(TENTH / 10, ctx.transaction("given up", forever_in)).await;
        ctx.transaction("slow", forever_in).await
    }
    async fn forever_in(ctx: &mut Context) -> Result {
        forever(ctx).await
    }
    let (report, kept) = kept(Row::new(slow, NoData, constant(10, TENTH)).timeout(TENTH)).await;
    assert_eq!((report.journeys[0].failed, report.journeys[0].cancelled), (1, 0));
    let message = "TimedOut: the journey ran for longer than its row's timeout of 100ms";
    let (transaction, ex_type, told, _, count) = errors(&report)[0];
    assert!(told.starts_with(message), "{told}");
    assert_eq!((transaction, ex_type, count), ("slow", "TimedOut", 1));
    assert_eq!(
        txns(&kept),
        [txn("__root__ :: given up", 2, true), txn("__root__ :: slow", 3, true), txn("__root__", 1, true)]
    );
}
