//! The stub server answers by its script and keeps what it was asked. That it leaves nothing behind is tested with the runs.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use mite::http::StatusCode;
use mite::prelude::*;
use mite::testing::{Harness, Reply, StubServer, context, run_journey};
use serde_json::json;

async fn get(ctx: &mut Context, url: &str) -> Result<(u16, String)> {
    let response = ctx.http().get(url).await?;
    Ok((response.status().as_u16(), response.text()?))
}

#[test]
fn it_answers_by_its_script() -> Result {
    let server = StubServer::start()?;
    server.on("GET", "/fixed").reply(Reply::text("always").header("x-kind", "fixed"));
    server.on("GET", "/later").replies([
        Reply::ok().status(StatusCode::SERVICE_UNAVAILABLE),
        Reply::ok().status(StatusCode::TOO_MANY_REQUESTS),
        Reply::text("ready"),
    ]);
    let mut count = 0;
    server.on_prefix("GET", "/items/").with(move |request| {
        count += 1;
        Reply::text(format!("{count}: {}", request.target()))
    });
    // What is said later goes first.
    server.on("GET", "/items/2").reply(Reply::json(&["two"]));
    let url = server.url();
    let told = mite::testing::context_blocking(async move |ctx| {
        let mut told = Vec::new();
        for path in [
            "/fixed",
            "/fixed?a=1",
            "/later",
            "/later",
            "/later",
            "/later",
            "/items/1?q",
            "/items/2",
            "/items/3",
            "/no",
        ] {
            told.push(get(ctx, &format!("{url}{path}")).await?);
        }
        Ok(told)
    })?;
    let told: Vec<(u16, &str)> = told.iter().map(|(code, body)| (*code, &**body)).collect();
    assert_eq!(
        told,
        [
            (200, "always"),
            (200, "always"),
            (503, ""),
            (429, ""),
            (200, "ready"),
            (200, "ready"),
            (200, "1: /items/1?q"),
            (200, "[\"two\"]"),
            (200, "2: /items/3"),
            (404, "the script of this server does not know this"),
        ]
    );
    let unexpected: Vec<String> = server.unexpected().iter().map(|request| format!("{request:?}")).collect();
    assert_eq!(unexpected, ["GET /no"]);
    assert_eq!(server.requests_to("GET", "/fixed").len(), 2);
    let panic = std::panic::catch_unwind(AssertUnwindSafe(|| server.assert_no_unexpected())).unwrap_err();
    assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("GET /no")));
    assert_eq!(server.close().len(), 10);
    Ok(())
}

#[mite_http(base = "app_url")]
async fn sign_up(ctx: &mut Context, name: String) -> Result {
    ctx.http().post("/users").header("x-trace", "7").json(&json!({"name": name})).await?.error_for_status()?;
    Ok(())
}

#[tokio::test]
async fn it_keeps_what_it_was_asked() -> Result {
    let server = StubServer::start()?;
    server.on("POST", "/users").reply(Reply::ok().status(StatusCode::CREATED));
    let run = Harness::new().config("app_url", server.url()).run(sign_up, ("ann".to_owned(),)).await?;
    run.assert_ok();
    assert_eq!(
        run.requests().iter().map(|of| (&*of.method, of.code, of.count)).collect::<Vec<_>>(),
        [("POST", 201, 1)]
    );
    let asked = server.requests_to("POST", "/users");
    assert_eq!((asked.len(), asked[0].header("X-Trace"), asked[0].query()), (1, Some("7"), ""));
    assert_eq!(asked[0].json::<serde_json::Value>()?, json!({"name": "ann"}));
    assert_eq!((asked[0].text()?, asked[0].body().len()), ("{\"name\":\"ann\"}", 14));
    server.assert_no_unexpected();
    Ok(())
}

#[tokio::test]
async fn it_is_slow_or_drops_the_connection_when_told() -> Result {
    let server = StubServer::start()?;
    server.on("GET", "/slow").reply(Reply::text("late").after(Duration::from_millis(30)));
    server.on("GET", "/gone").reply(Reply::dropped());
    server.on("GET", "/panics").with(|_request| panic!("a mistake in the script"));
    let url = server.url();
    let slow = async |ctx: &mut Context, url: String| {
        ctx.http().get(format!("{url}/slow")).await?;
        Ok(())
    };
    let run = run_journey(slow, (url.clone(),)).await?;
    run.assert_ok();
    assert!(run.requests()[0].time.min() >= Duration::from_millis(30));
    for path in ["/gone", "/panics"] {
        let url = format!("{url}{path}");
        let error = context(async move |ctx| get(ctx, &url).await).await.unwrap_err();
        assert!(error.to_string().contains("closed"), "{error}");
    }
    // It goes on all the same.
    let url = format!("{url}/slow");
    assert_eq!(context(async move |ctx| get(ctx, &url).await).await?.1, "late");
    Ok(())
}
