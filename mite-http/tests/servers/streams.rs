//! axum and nginx with bodies that come and go piece by piece, forms of several parts, and compressed responses.

use axum::{
    Router,
    body::Body as ServerBody,
    extract::Multipart as Parts,
    routing::{get, post},
};
use bytes::Bytes;
use http_body::Frame;
use mite_core::{Context, Result, ensure};
use mite_http::{Body, HeaderMap, HeaderValue, HttpContext, Multipart};

use super::axum::{Server, stream, versions};
use crate::common::{in_turn, outcomes, passed, total};

/// Answers how many bytes it got, and what followed them.
async fn measure(body: ServerBody) -> String {
    use http_body_util::BodyExt as _;
    let whole = body.collect().await.unwrap();
    let sum = whole.trailers().and_then(|trailers| trailers.get("x-sum").cloned());
    let sum = sum.map_or("none".to_owned(), |sum| sum.to_str().unwrap().to_owned());
    format!("{} {sum}", whole.to_bytes().len())
}

async fn parts(mut form: Parts) -> String {
    let mut told = Vec::new();
    while let Some(part) = form.next_field().await.unwrap() {
        let (name, file) = (part.name().unwrap().to_owned(), part.file_name().unwrap_or("-").to_owned());
        told.push(format!("{name} {file} {}", part.bytes().await.unwrap().len()));
    }
    told.join(", ")
}

fn app() -> Router {
    let events = async || {
        let events = (0..10).map(|at| Frame::data(Bytes::from(format!("data: {at}\n\n"))));
        ([("content-type", "text/event-stream")], stream(events))
    };
    Router::new()
        .route("/measure", post(measure))
        .route("/parts", post(parts))
        .route("/events", get(events))
        .layer(axum::extract::DefaultBodyLimit::disable())
}

async fn visit(ctx: &mut Context, url: &str) -> Result {
    let http = ctx.http();
    let pieces = || futures::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 10_000])));
    let answer = http.post(format!("{url}/measure")).body(Body::stream(pieces())).await?;
    ensure!(answer.text()? == "1000000 none", "{answer:?}");
    let answer = http.post(format!("{url}/measure")).body(Body::stream(pieces()).with_length(1_000_000)).await?;
    ensure!(answer.text()? == "1000000 none", "{answer:?}");
    let trailers = HeaderMap::from_iter([("x-sum".parse()?, HeaderValue::from_static("7"))]);
    let answer = http.post(format!("{url}/measure")).body(Body::stream(pieces()).trailers(trailers)).await?;
    ensure!(answer.text()? == "1000000 7", "{answer:?}");

    let form = Multipart::new().text("title", "A film").bytes("film", "a \"b\".mp4", "video/mp4", vec![0; 100_000]);
    let answer = http.post(format!("{url}/parts")).multipart(form).await?;
    ensure!(answer.text()? == "title - 6, film a %22b%22.mp4 100000", "{answer:?}");

    let mut events = http.get(format!("{url}/events")).stream().await?.error_for_status()?;
    let mut all = Vec::new();
    while let Some(piece) = events.next().await {
        all.extend(piece?);
    }
    ensure!(all.starts_with(b"data: 0\n\n") && all.ends_with(b"data: 9\n\n"));
    let answer = http.get(format!("{url}/events")).discard().await?;
    ensure!(answer.bytes().is_empty() && answer.sizes().received == 90);
    Ok(())
}

#[test]
fn bodies_without_an_end_in_sight_go_both_ways() {
    for (version, settings) in versions() {
        let server = Server::start(app());
        let url = server.url("");
        let report = passed(in_turn(3, async move |ctx: &mut Context| {
            let mut ctx = ctx.http_session(settings.clone());
            visit(&mut ctx, &url).await
        }));
        let rows: Vec<_> = outcomes(&report).into_iter().map(|row| (row.0.to_owned(), row.1, row.3)).collect();
        assert_eq!(rows, server.answered(), "{version:?}");
        assert_eq!(total(&report, |row| row.count), 18);
        assert_eq!(total(&report, |row| row.connect.count()), 1, "{version:?}");
    }
}

#[cfg(feature = "compression")]
#[test]
fn compressed_responses_are_decoded_and_counted_as_they_came() {
    use crate::common::nginx::Nginx;

    let servers = "server { listen 127.0.0.1:@PORT0@; root @FOLDER@; gzip on; gzip_types *; gzip_min_length 1; }";
    let text = "All work and no play makes Jack a dull boy.\n".repeat(2_000);
    let started = Nginx::start(servers, |folder| std::fs::write(folder.join("text"), &text).unwrap());
    let Some(nginx) = started else { return };
    let (url, size) = (nginx.url("/text"), text.len() as u64);
    let report = passed(in_turn(3, async move |ctx: &mut Context| {
        let plain = ctx.http().get(&url).await?;
        ensure!(plain.bytes() == text && plain.sizes().received == size);
        let ctx = ctx.http_session(crate::common::settings().compression(true));
        let decoded = ctx.http().get(&url).await?;
        let sizes = decoded.sizes();
        ensure!(decoded.bytes() == text && sizes.decoded == size && sizes.received < size / 10, "{sizes:?}");
        Ok(())
    }));
    let log = nginx.end();
    assert_eq!(outcomes(&report), [("GET", 200, None, 6)]);
    // nginx counts the framing of chunks as sent, where the report counts the body.
    let sent = log.iter().map(|logged| logged.sent).sum::<u64>();
    let bytes = total(&report, |row| row.bytes);
    assert!(bytes < sent && sent < bytes + 100, "{bytes} of {sent}");
}
