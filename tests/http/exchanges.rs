//! Who looks on sees every request, in order, with what is secret masked: as many as the server has answered.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::Redirect;
use axum::routing::{get, post};
use mite::prelude::*;
use mite::volume::at_once;
use serde_json::json;

use crate::common::accounted;
use crate::server::Server;

#[mite_http(base = "app_url")]
async fn shop(ctx: &mut Context) -> Result {
    ctx.http().get("/old").await?;
    ctx.transaction("Log in", async |ctx| {
        let user = json!({"username": "ann", "password": "hunter2"});
        ctx.http().post("/login").json(&user).await?;
        Ok(())
    })
    .await?;
    ctx.http().get("/picture").await?;
    let mut stream = ctx.http().get("/new").stream().await?;
    while stream.next().await.transpose()?.is_some() {}
    // Port 1 is nobody's.
    ctx.http().get("http://127.0.0.1:1/").await?;
    Ok(())
}

/// What of an exchange the test compares.
type Seen = (String, String, u16, String);

#[tokio::test]
async fn all_are_seen_in_order() {
    let app = Router::new()
        .route("/old", get(|| async { Redirect::to("/new?token=hunter2") }))
        .route("/new", get(|| async { "here" }))
        .route("/login", post(|| async { (StatusCode::UNAUTHORIZED, [(header::SET_COOKIE, "sid=hunter2")], "no") }))
        .route("/picture", get(|| async { vec![0_u8; 9000] }));
    let server = Server::start(app).await;
    let seen = Arc::new(Mutex::new(Vec::<Seen>::new()));
    let texts = Arc::new(Mutex::new(Vec::new()));
    let (see, write) = (Arc::clone(&seen), Arc::clone(&texts));
    let run = Run::new(Scenario::new().journey(shop, NoData, at_once(1)))
        .config("app_url", server.url())
        .max_start_lag(60 * SECOND)
        .on_exchange(move |exchange| {
            assert!(exchange.sample.total >= exchange.sample.first_byte.unwrap_or_default());
            assert_eq!(exchange.journey, "http::exchanges:shop");
            let what = exchange.text.url.rsplit_once('/').map_or("", |(_, path)| path);
            let error = exchange.sample.error.unwrap_or_default();
            let row = (exchange.transaction.to_owned(), what.to_owned(), exchange.sample.code, error.to_owned());
            see.lock().unwrap().push(row);
            write.lock().unwrap().push(exchange.text.clone());
        });
    let report = accounted(run.run()).await;
    let seen: Vec<_> = seen.lock().unwrap().clone();
    let row = |transaction: &str, path: &str, code, error: &str| -> Seen {
        (transaction.to_owned(), path.to_owned(), code, error.to_owned())
    };
    let root = "__root__";
    let expected = [
        row(root, "old", 303, ""),
        row(root, "new?token=***", 200, ""),
        row("Log in", "login", 401, ""),
        row(root, "picture", 200, ""),
        row(root, "new", 200, ""),
        row(root, "", 0, "connect"),
    ];
    assert_eq!(seen, expected);
    let answered = ["GET /old 303", "GET /new 200", "POST /login 401", "GET /picture 200"];
    let answered: u64 = answered.iter().map(|what| server.answered(what)).sum();
    assert_eq!(answered, 5, "the server's own count; one has got no response");
    // What failed is in the report's sample besides, in the same words.
    let texts = texts.lock().unwrap();
    assert_eq!(report.failed_exchanges().len(), 2);
    assert_eq!(report.failed_exchanges()[0].request, texts[2].request);
    assert_eq!(report.failed_exchanges()[0].response, texts[2].response);
    let all = format!("{texts:?}");
    assert!(!all.contains("hunter2"), "{all}");
    assert!(texts[0].response.contains("location: /new?token=***"), "{all}");
    assert!(texts[2].request.ends_with("{\"password\":\"***\",\"username\":\"ann\"}"), "{all}");
    assert!(texts[3].response.ends_with("(9000 bytes that are no text)"), "{all}");
    assert!(texts[4].response.ends_with("(a body that was not kept)"), "{all}");
    assert!(texts[5].message.is_some() && texts[5].response.is_empty(), "{all}");
}
