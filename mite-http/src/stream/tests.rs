//! Streamed responses in journeys: what comes when, what is counted, and which connections are used again.

use std::{cell::Cell, rc::Rc, time::Duration};

use mite_core::{
    Context, Result, ensure,
    testing::{JourneyRun, run_journey},
};
use tokio::sync::mpsc;

use super::*;
use crate::{
    HttpContext,
    peers::{Server, ok},
};

/// Runs a journey whose server is in its own thread.
async fn run(journey: impl AsyncFn(&mut Context) -> Result + Clone + Send + 'static) -> JourneyRun {
    run_journey(journey, ()).await.unwrap()
}

/// What the report has of the requests: code, class, how many, bytes.
fn counted(run: &JourneyRun) -> Vec<(u16, Option<&str>, u64, u64)> {
    let rows = run.requests().iter();
    let mut rows: Vec<_> = rows.map(|row| (row.code, row.error.as_deref(), row.count, row.bytes)).collect();
    rows.sort_unstable();
    rows
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn pieces_come_as_they_are_sent_and_the_request_counts_at_the_end() {
    let run = run(async |ctx: &mut Context| {
        let (say, mut told) = mpsc::unbounded_channel::<&str>();
        let told = Rc::new(Cell::new(Some(async move || told.recv().await)));
        let server = Server::start(move |mut peer, _| {
            let told = Rc::clone(&told);
            async move {
                peer.request().await.unwrap();
                peer.write(CHUNKED).await;
                let mut told = told.take().unwrap();
                while let Some(piece) = told().await {
                    peer.write(format!("{:x}\r\n{piece}\r\n", piece.len())).await;
                }
                peer.write("0\r\nx-sum: 7\r\n\r\n").await;
                peer.serve(|_| ok("again")).await;
            }
        })
        .await;

        let mut response = ctx.http().get(server.url("/events?x")).stream().await?.error_for_status()?;
        ensure!(response.status() == 200 && response.version() == Version::HTTP_11, "{response:?}");
        ensure!(response.headers()["transfer-encoding"] == "chunked", "{response:?}");
        ensure!(response.url().path() == "/events" && response.method() == Method::GET, "{response:?}");
        ensure!(response.remote_addr() == Some(server.address), "{response:?}");
        for (number, piece) in ["one", "two", "three"].into_iter().enumerate() {
            say.send(piece)?;
            let came = response.next().await.unwrap()?;
            ensure!(came == piece, "{number}: {came:?}, not {piece}");
            ensure!(response.trailers().is_none(), "they follow the body");
        }
        ensure!(response.sizes().received == 11, "{:?}", response.sizes());
        drop(say);
        ensure!(response.next().await.is_none() && response.next().await.is_none(), "there is more");
        ensure!(response.trailers().is_some_and(|trailers| trailers["x-sum"] == "7"), "no trailers");
        ensure!(response.sizes().decoded == 11 && response.timings().total() > Duration::ZERO, "{response:?}");
        drop(response);

        let text = ctx.http().get(server.url("/")).await?.text()?;
        ensure!(text == "again" && server.accepted() == 1, "the connection was not used again");
        Ok(())
    })
    .await;
    run.assert_ok();
    assert_eq!(counted(&run), [(200, None, 2, 16)]);
    let metrics: Vec<_> = run.messages_of("http_metrics").collect();
    assert_eq!(metrics.len(), 2);
    assert_eq!(metrics[0].field::<u64>("download_size").unwrap(), 11);
    assert!(metrics[0].field::<String>("effective_url").unwrap().ends_with("/events?x"));
    assert!(metrics[0].field::<f64>("total_time").unwrap() > 0.0);
}

#[tokio::test]
async fn what_is_dropped_before_its_end_counts_with_what_has_come_and_is_closed() {
    let run = run(async |ctx: &mut Context| {
        let server = Server::start(move |mut peer, number| async move {
            peer.request().await.unwrap();
            if number < 2 {
                peer.write(format!("{CHUNKED}5\r\nhello\r\n")).await;
                assert!(peer.request().await.is_none(), "connection {number} was used again");
            } else {
                peer.ok("whole").await;
            }
        })
        .await;
        let url = server.url("/");
        // One before its first piece is read, and one after it.
        drop(ctx.http().get(&url).stream().await?);
        let mut response = ctx.http().get(&url).stream().await?;
        ensure!(response.next().await.unwrap()? == "hello", "{response:?}");
        drop(response);
        ensure!(ctx.http().get(&url).await?.text()? == "whole", "another");
        ensure!(server.accepted() == 3, "{} connections", server.accepted());
        server.ended().await;
        Ok(())
    })
    .await;
    run.assert_ok();
    assert_eq!(counted(&run), [(200, None, 3, 10)]);
    assert_eq!(run.messages_of("http_metrics").count(), 3);
}

#[tokio::test]
async fn a_body_that_breaks_off_and_one_that_takes_too_long_count_with_their_class() {
    let run = run(async |ctx: &mut Context| {
        let server = Server::start(move |mut peer, number| async move {
            peer.request().await.unwrap();
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
            if number > 0 {
                assert!(peer.request().await.is_none());
            }
        })
        .await;
        let mut broken = ctx.http().get(server.url("/")).stream().await?;
        ensure!(broken.next().await.unwrap()? == "half", "{broken:?}");
        let error = broken.next().await.unwrap().unwrap_err();
        ensure!(error.class() == "body" && error.url() == Some(&server.url("/")), "{error}");
        ensure!(broken.next().await.is_none(), "there is more");
        ensure!(broken.sizes().received == 4, "{broken:?}");

        let short = Duration::from_millis(50);
        let mut slow = ctx.http().get(server.url("/")).timeout(short).stream().await?;
        ensure!(slow.next().await.unwrap()? == "half", "{slow:?}");
        let error = slow.next().await.unwrap().unwrap_err();
        ensure!(error.is_timeout() && slow.timings().total() >= short, "{error}");
        server.ended().await;
        Ok(())
    })
    .await;
    run.assert_ok();
    assert_eq!(counted(&run), [(0, Some("body"), 1, 0), (0, Some("timeout"), 1, 0)]);
    assert_eq!(run.messages_of("http_metrics").count(), 0);
}

/// The timeout holds though there is always more, and though the journey looked away.
#[tokio::test]
async fn a_body_without_an_end_meets_the_timeout() {
    let run = run(async |ctx: &mut Context| {
        let server = Server::start(move |mut peer, _| async move {
            peer.request().await.unwrap();
            peer.write(CHUNKED).await;
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            while !peer.is_closed() {
                peer.write(&chunk).await;
            }
        })
        .await;
        let timeout = Duration::from_millis(100);
        let mut response = ctx.http().get(server.url("/")).timeout(timeout).stream().await?;
        let error = loop {
            if let Err(error) = response.next().await.unwrap() {
                break error;
            }
        };
        ensure!(error.is_timeout(), "{error}");
        let error = ctx.http().get(server.url("/")).timeout(timeout).discard().await.unwrap_err();
        ensure!(error.is_timeout(), "{error}");
        server.ended().await;
        Ok(())
    })
    .await;
    run.assert_ok();
    assert_eq!(counted(&run), [(0, Some("timeout"), 2, 0)]);
}

#[tokio::test]
async fn a_status_that_is_an_error_counts_with_its_status_and_no_answer_with_its_class() {
    let run = run(async |ctx: &mut Context| {
        let server = Server::answering(|_| "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone".to_owned()).await;
        let error = ctx.http().get(server.url("/")).stream().await?.error_for_status().unwrap_err();
        ensure!(error.class() == "status" && error.to_string().ends_with("status 404 Not Found"), "{error}");
        let (address, _bound) = crate::peers::nobody();
        let error = ctx.http().get(format!("http://{address}/")).stream().await.unwrap_err();
        ensure!(error.is_connect(), "{error}");
        let error = ctx.http().get("no url").stream().await.unwrap_err();
        ensure!(error.class() == "request", "{error}");
        Ok(())
    })
    .await;
    run.assert_ok();
    assert_eq!(counted(&run), [(0, Some("connect"), 1, 0), (404, None, 1, 0)]);
}

#[tokio::test]
async fn a_stream_in_and_a_stream_out_and_the_connection_again() {
    let run = run(async |ctx: &mut Context| {
        let server = Server::answering(|received| {
            let cookie = received.header("cookie").unwrap_or("none");
            format!(
                "HTTP/1.1 200 OK\r\nSet-Cookie: id=7\r\nContent-Length: {}\r\n\r\n{cookie}{}",
                cookie.len() + received.body.len(),
                received.text()
            )
        })
        .await;
        let body = "piece ".repeat(50_000);
        for cookie in ["none", "id=7", "id=7"] {
            let body = crate::Body::reader(std::io::Cursor::new(body.clone()));
            let mut response = ctx.http().post(server.url("/")).body(body).stream().await?;
            let mut came = Vec::new();
            // By way of the trait, as `StreamExt` would.
            while let Some(piece) = poll_fn(|cx| Pin::new(&mut response).poll_next(cx)).await {
                came.extend_from_slice(&piece?);
            }
            ensure!(came == format!("{cookie}{}", "piece ".repeat(50_000)).as_bytes(), "{} bytes came", came.len());
            ensure!(response.sizes().sent == 300_000, "{:?}", response.sizes());
        }
        ensure!(server.accepted() == 1, "{} connections", server.accepted());
        Ok(())
    })
    .await;
    run.assert_ok();
    assert_eq!(counted(&run)[0].2, 3);
}

#[cfg(feature = "compression")]
#[tokio::test]
async fn compressed_pieces_are_decoded_as_they_come() {
    use std::io::Write as _;

    let run = run(async |ctx: &mut Context| {
        let (more, mut wanted) = mpsc::unbounded_channel::<()>();
        let wanted = Rc::new(Cell::new(Some(async move || wanted.recv().await)));
        let server = Server::start(move |mut peer, _| {
            let wanted = Rc::clone(&wanted);
            async move {
                peer.request().await.unwrap();
                peer.write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                let mut wanted = wanted.take().unwrap();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                while wanted().await.is_some() {
                    encoder.write_all(b"event\n").unwrap();
                    encoder.flush().unwrap();
                    let piece = mem::take(encoder.get_mut());
                    peer.write([format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat()).await;
                }
                let piece = encoder.finish().unwrap();
                peer.write([format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n0\r\n\r\n"].concat()).await;
                peer.serve(|_| ok("again")).await;
            }
        })
        .await;
        let mut response = ctx.http().get(server.url("/")).compression(true).stream().await?;
        for _ in 0..3 {
            more.send(())?;
            ensure!(response.next().await.unwrap()? == "event\n", "{response:?}");
        }
        drop(more);
        ensure!(response.next().await.is_none(), "there is more");
        ensure!(response.sizes().decoded == 18 && response.sizes().received > 18, "{response:?}");
        ensure!(ctx.http().get(server.url("/")).await?.text()? == "again" && server.accepted() == 1, "again");
        Ok(())
    })
    .await;
    run.assert_ok();
}
