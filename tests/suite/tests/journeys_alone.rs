//! A journey that is run by itself is told in full: its own result, its transactions, checks, errors and messages.

use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use mite_core::testing::{Harness, context, context_blocking, run_journey, run_journey_blocking};
use mite_core::volume::{HOUR, MINUTE};
use mite_core::{Context, Result, bail};
use serde_json::json;

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct User {
    name: String,
    age: u8,
}

async fn sign_up(ctx: &mut Context, name: String, age: u8) -> Result {
    ctx.transaction("Sign up", async |ctx| {
        ctx.send("greeting", json!({"to": name})).await?;
        ctx.transaction("inner", async |ctx| ctx.record("users", User { name: name.clone(), age }).await).await
    })
    .await?;
    ctx.check("is of age", age >= 18);
    Ok(())
}

async fn fail(ctx: &mut Context) -> Result {
    ctx.transaction("Parse", async |_| {
        "x".parse::<u32>()?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn all_that_a_journey_does_is_told() -> Result {
    let run = run_journey(sign_up, ("ann".to_owned(), 30)).await?;
    run.assert_ok();
    assert_eq!(run.recorded::<User>("users")?, [User { name: "ann".to_owned(), age: 30 }]);
    assert!(run.recorded::<User>("others").is_err());
    let transactions: Vec<(&str, u64)> = run.transactions().iter().map(|of| (&*of.transaction, of.count)).collect();
    assert_eq!(transactions, [("__root__", 1), ("Sign up", 1), ("Sign up :: inner", 1)]);
    let kinds: Vec<(&str, Option<&str>)> =
        run.messages().iter().map(|sent| (sent.kind(), sent.transaction())).collect();
    assert_eq!(
        kinds,
        [
            ("greeting", Some("Sign up")),
            ("data_created", Some("Sign up :: inner")),
            ("txn", Some("Sign up :: inner")),
            ("txn", Some("Sign up")),
            ("txn", Some("__root__"))
        ]
    );
    let greeting = run.messages_of("greeting").next().expect("it was sent");
    assert_eq!(greeting.field::<String>("to")?, "ann");
    assert_eq!(greeting.field::<String>("journey")?, "journeys_alone:sign_up");
    assert!(greeting.field::<String>("from").unwrap_err().to_string().contains("has no field \"from\""));
    assert_eq!(greeting.read::<serde_json::Value>()?["to"], "ann");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_journey_gives_its_own_error() -> Result {
    let run = run_journey(fail, ()).await?;
    let error = run.assert_failed("ParseIntError: invalid digit");
    assert!(error.location().file().ends_with("journeys_alone.rs"));
    let errors: Vec<(&str, u64)> = run.errors().iter().map(|error| (&*error.transaction, error.count)).collect();
    assert_eq!(errors, [("Parse", 1)]);
    assert_eq!(run.messages_of("error").count(), 1);
    assert!(run.into_result().is_err());

    // An error outside of all transactions is told once too.
    let outside = async |_ctx: &mut Context| bail!("no luck");
    let run = run_journey(outside, ()).await?;
    run.assert_failed("no luck");
    assert_eq!((run.errors().len(), run.errors()[0].count, &*run.errors()[0].transaction), (1, 1, "__root__"));
    Ok(())
}

#[test]
fn panics_and_timeouts_are_errors() -> Result {
    let run = run_journey_blocking(async |_ctx: &mut Context, n: u8| panic!("number {n}"), (7,))?;
    run.assert_failed(&format!("panic: number 7 (at {}:", file!()));
    let stuck = async |_ctx: &mut Context| std::future::pending().await;
    let run = Harness::new().timeout(MINUTE).virtually().run_blocking(stuck, ())?;
    run.assert_failed("the journey ran for longer than its row's timeout of 60s");
    Ok(())
}

#[test]
fn assertions_print_what_happened() -> Result {
    let run = run_journey_blocking(sign_up, ("bob".to_owned(), 7))?;
    let told = |assertion: &dyn Fn()| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(assertion)).unwrap_err();
        panic.downcast_ref::<String>().expect("it is text").clone()
    };
    let text = told(&|| run.assert_ok());
    for words in [
        "the journey is not ok\njourneys_alone:sign_up returned Ok after ",
        "transaction \"Sign up :: inner\": 1, 0 with an error",
        "check \"is of age\": held 0, failed 1",
        "message greeting {",
        "\"to\":\"bob\"",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    let text = told(&|| {
        run.assert_failed("no luck");
    });
    assert!(text.starts_with("the journey did not fail with \"no luck\"\n"), "{text}");
    Ok(())
}

/// Stays on its thread.
struct Here(Rc<u32>);

#[test]
fn config_fixtures_seeds_and_names_are_given() -> Result {
    let journey = async |ctx: &mut Context| {
        use rand::RngExt as _;
        let pair = (ctx.config().get::<u32>("number")?, *ctx.fixture::<Here>()?.0, *ctx.fixture::<u8>()?);
        let drawn: u64 = ctx.rng().random();
        ctx.send("seen", json!({"pair": pair, "drawn": drawn})).await
    };
    let run = |seed| {
        let harness = Harness::new().config("number", 3).fixture(5u8).fixture_with(|| Here(Rc::new(4)));
        harness.seed(seed).named("looking").run_blocking(journey, ())
    };
    let seen = |seed| -> Result<u64> {
        let run = run(seed)?;
        run.assert_ok();
        let seen = run.messages_of("seen").next().expect("it was sent").clone();
        assert_eq!(seen.field::<(u32, u32, u8)>("pair")?, (3, 4, 5));
        assert_eq!(seen.field::<String>("journey")?, "looking");
        seen.field("drawn")
    };
    assert_eq!(seen(1)?, seen(1)?);
    assert_ne!(seen(1)?, seen(2)?);
    Ok(())
}

#[test]
fn a_journey_that_waits_for_hours_is_tested_in_a_moment() -> Result {
    let patient = async |_ctx: &mut Context| {
        tokio::time::sleep(5 * HOUR).await;
        Ok(())
    };
    let run = Harness::new().virtually().run_blocking(patient, ())?;
    run.assert_ok();
    assert_eq!(run.report().duration, 5 * HOUR);
    Ok(())
}

async fn helper(ctx: &mut Context, factor: u32) -> Result<u32> {
    ctx.transaction("helper", async |ctx| Ok(ctx.config().get::<u32>("base")? * factor)).await
}

#[tokio::test]
async fn helpers_are_given_a_context() -> Result {
    let value = Harness::new().config("base", 7).context(async |ctx| helper(ctx, 6).await).await?;
    assert_eq!(value, 42);
    assert!(context(async |ctx| helper(ctx, 6).await).await.is_err());
    Ok(())
}

#[test]
fn a_panic_with_a_context_is_the_test_s() {
    let seen = Mutex::new(String::new());
    let caught = std::panic::catch_unwind(|| {
        context_blocking(async |_ctx| {
            assert_eq!(1 + 1, 3, "sums");
            Ok(())
        })
    });
    let text = caught.unwrap_err();
    seen.lock().unwrap().push_str(text.downcast_ref::<String>().expect("it is text"));
    let text = seen.into_inner().unwrap();
    assert!(text.contains("sums") && text.contains(&format!("(at {}:", file!())), "{text}");
}

#[tokio::test]
async fn many_at_once_do_not_know_of_each_other() -> Result {
    let runs = (0..20u8).map(|n| run_journey(sign_up, (format!("user {n}"), n)));
    for (n, run) in futures::future::join_all(runs).await.into_iter().enumerate() {
        let run = run?;
        assert_eq!(run.recorded::<User>("users")?, [User { name: format!("user {n}"), age: n as u8 }]);
        assert!(run.duration() < Duration::from_secs(60));
    }
    Ok(())
}
