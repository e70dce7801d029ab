//! A session belongs to one visit of a journey: its cookies are seen by no other, and it ends with it, in whatever way.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use mite::Verdict;
use mite::http::Http;
use mite::prelude::*;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::common::accounted;
use crate::server::Server;

/// Gives each visitor that shows no cookie a number of its own, and answers with the number.
fn numbers() -> Router {
    let next = Arc::new(AtomicU64::new(1));
    let number = async move |headers: HeaderMap| {
        let shown = headers.get("cookie").and_then(|cookie| cookie.to_str().ok()?.strip_prefix("visitor="));
        let number = shown.map_or_else(|| next.fetch_add(1, Ordering::Relaxed).to_string(), str::to_owned);
        ([("set-cookie", format!("visitor={number}; Path=/"))], number)
    };
    Router::new().route("/", get(number))
}

#[tokio::test]
async fn each_visit_has_cookies_of_its_own() {
    let server = Server::start(numbers()).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (url, visits) = (server.url(), Arc::clone(&seen));
    let visit = async move |ctx: &mut Context, _number: u64| {
        let mut own = Vec::new();
        for _ in 0..3 {
            own.push(ctx.http().get(&url).await?.text()?);
            // Others have their turn.
            tokio::task::yield_now().await;
        }
        ensure!(own.iter().all(|number| *number == own[0]), "{own:?}");
        visits.lock().unwrap().push(own.swap_remove(0));
        Ok(())
    };
    let pool = IterableDataPool::new((0..60_u64).map(|number| (number,)));
    let row = Row::new(visit, pool, constant(6, MINUTE).running()).named("visit");
    let report = accounted(Run::new(Scenario::new().row(row)).workers(2)).await;

    report.assert_no_errors();
    let mut seen: Vec<u64> = seen.lock().unwrap().iter().map(|number| number.parse().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=60).collect::<Vec<_>>());
    assert_eq!(server.answered("GET / 200"), 180);
    // The connections are the worker's, and outlive the visits.
    assert!(server.accepted() <= 6, "{} connections", server.accepted());
}

thread_local! {
    /// Handles that outlive the visits in which they were taken.
    static KEPT: RefCell<Vec<(&'static str, Http)>> = const { RefCell::new(Vec::new()) };
}

fn keep(ending: &'static str, ctx: &Context) {
    KEPT.with_borrow_mut(|kept| kept.push((ending, ctx.http())));
}

async fn end(ctx: &mut Context, ending: &'static str) -> Result {
    ctx.http().get("/").await?;
    keep(ending, ctx);
    match ending {
        "return" => Ok(()),
        "error" => bail!("it ends with an error"),
        "panic" => panic!("it ends with a panic"),
        _ => std::future::pending().await,
    }
}

#[mite_http(base = "app_url")]
async fn by_attribute(ctx: &mut Context, ending: &'static str) -> Result {
    end(ctx, ending).await
}

async fn by_first_use(ctx: &mut Context, ending: &'static str) -> Result {
    let url: String = ctx.config().get("app_url")?;
    ctx.http().get(url).await?;
    keep(ending, ctx);
    match ending {
        "return" => Ok(()),
        "error" => bail!("it ends with an error"),
        "panic" => panic!("it ends with a panic"),
        _ => std::future::pending().await,
    }
}

#[tokio::test]
async fn a_session_ends_with_its_visit_in_whatever_way() {
    let server = Server::start(numbers()).await;
    let endings = || IterableDataPool::new(["return", "error", "panic", "cancellation"].map(|ending| (ending,)));
    let checked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&checked);
    let url = server.url();
    let scenario = Scenario::new()
        .journey(by_attribute, endings(), constant(4, MINUTE).running())
        .journey(by_first_use, endings(), constant(4, MINUTE).running())
        // It runs when all journeys have ended, on the same thread.
        .teardown(async move |_ctx| {
            for (ending, http) in KEPT.take() {
                let refused = http.get(&url).await.unwrap_err();
                told.lock().unwrap().push((ending, refused.to_string()));
            }
            Ok(())
        });
    let run = Run::new(scenario).config("app_url", server.url()).graceful_stop(SECOND / 5);
    let report = accounted(run).await;

    for name in ["by_attribute", "by_first_use"] {
        let row = report.journey(name);
        assert_eq!((row.started, row.completed, row.failed, row.cancelled), (4, 1, 2, 1), "{report}");
    }
    let mut checked = checked.lock().unwrap().clone();
    checked.sort();
    let endings: Vec<_> = checked.iter().map(|(ending, _)| *ending).collect();
    assert_eq!(endings, ["cancellation", "cancellation", "error", "error", "panic", "panic", "return", "return"]);
    for (ending, refused) in checked {
        assert!(refused.contains("the session of this handle has ended"), "{ending}: {refused}");
    }
    assert_eq!(server.answered("GET / 200"), 8);
}

#[mite_http(base = "app_url", timeout = "60s")]
async fn wait(ctx: &mut Context) -> Result {
    ctx.transaction("Wait", async |ctx| {
        ctx.http().get("/").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_cancelled_request_closes_its_connection_and_counts_nowhere() {
    const VISITORS: u64 = 5;
    // It answers nobody, and tells of each connection what it read until the client closed it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (closed, mut ended) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let closed = closed.clone();
            tokio::spawn(async move {
                let mut read = Vec::new();
                let _ = stream.read_to_end(&mut read).await;
                closed.send(read).unwrap();
            });
        }
    });
    let scenario = Scenario::new().journey(wait, NoData, constant(VISITORS, SECOND / 5).running());
    let run = Run::new(scenario).config("app_url", url).graceful_stop(SECOND / 10);
    let report = accounted(run).await;

    for _ in 0..VISITORS {
        let read = tokio::time::timeout(Duration::from_secs(20), ended.recv()).await.expect("it is closed").unwrap();
        assert!(read.starts_with(b"GET / HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&read));
    }
    let row = report.journey("wait");
    assert_eq!((row.started, row.cancelled), (VISITORS, VISITORS));
    assert_eq!(report.verdict, Verdict::Failed);
    assert!(report.requests.is_empty() && report.errors.is_empty(), "{report}");
    let transaction = report.transaction("Wait");
    assert_eq!((transaction.count, transaction.time.count()), (VISITORS, 0));
}
