//! `Expect: 100-continue` against servers that agree, refuse, answer at once, or say nothing.

use std::{rc::Rc, time::Instant};

use http::Method;

use crate::{
    Body, HttpError, Response, Settings,
    client::Client,
    draft::Draft,
    peers::{Peer, Server},
    session::Session,
    target::Target,
};

use super::*;

const LARGE: usize = 200_000;

fn session() -> Session {
    Session::new(Settings::new(), Rc::new(Client::default()))
}

async fn send(session: &Session, server: &Server, body: impl Into<Body>) -> Result<Response, HttpError> {
    let mut draft = Draft::to(Method::PUT, Target::of(server.url("/")));
    draft.body(body.into());
    draft.options().expect_continue = true;
    session.perform(Box::new(draft), |_| {}).await
}

/// Asserts that no byte of body has come, and that the connection is closed.
async fn nothing_more(mut peer: Peer) {
    assert!(peer.request().await.is_none(), "something came after the head");
    assert!(peer.is_spent(), "something of the body came");
}

#[tokio::test(flavor = "local")]
async fn the_body_follows_when_the_server_says_so_and_the_connection_is_used_again() {
    let server = Server::start(|mut peer, _| async move {
        while let Some(mut received) = peer.head().await {
            assert_eq!(received.header("expect"), Some("100-continue"));
            assert_eq!(received.header("content-length"), Some("200000"));
            peer.quiet().await;
            // Others that come first mean nothing.
            peer.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
            peer.quiet().await;
            peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
            peer.body(&mut received).await.unwrap();
            peer.ok(&received.body.len().to_string()).await;
        }
    })
    .await;
    let session = session();
    for _ in 0..2 {
        let response = send(&session, &server, "x".repeat(LARGE)).await.unwrap();
        assert_eq!(response.text().unwrap(), LARGE.to_string());
        assert_eq!(response.sizes().sent, LARGE as u64);
    }
    assert_eq!(server.accepted(), 1);
    drop(session);
    server.ended().await;
}

#[tokio::test(flavor = "local")]
async fn a_final_answer_keeps_the_body_back_and_closes_the_connection() {
    for answer in ["417 Expectation Failed", "401 Unauthorized", "413 Content Too Large", "200 OK"] {
        let server = Server::start(move |mut peer, _| async move {
            peer.head().await.unwrap();
            peer.write(format!("HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\nno")).await;
            nothing_more(peer).await;
        })
        .await;
        let session = session();
        for _ in 0..2 {
            let response = send(&session, &server, "x".repeat(LARGE)).await.unwrap();
            assert!(answer.starts_with(response.status().as_str()));
            assert_eq!((response.text().unwrap().as_str(), response.sizes().sent), ("no", 0));
        }
        assert_eq!(server.accepted(), 2, "{answer}");
        drop(session);
        server.ended().await;
    }
}

/// The answer takes longer to come than the client waits for a word.
#[tokio::test(flavor = "local")]
async fn the_body_stays_back_though_the_answer_is_slow() {
    let server = Server::start(move |mut peer, _| async move {
        peer.head().await.unwrap();
        peer.write("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nn").await;
        tokio::time::sleep(PATIENCE + PATIENCE / 4).await;
        peer.quiet().await;
        peer.write("o").await;
        nothing_more(peer).await;
    })
    .await;
    let response = send(&session(), &server, "x".repeat(LARGE)).await.unwrap();
    assert_eq!((response.text().unwrap().as_str(), response.sizes().sent), ("no", 0));
    server.ended().await;
}

#[tokio::test(flavor = "local")]
async fn a_server_that_says_nothing_gets_the_body_after_a_while() {
    let server = Server::start(|mut peer, _| async move {
        peer.serve(|received| crate::peers::ok(&received.body.len().to_string())).await;
    })
    .await;
    let begun = Instant::now();
    let session = session();
    let response = send(&session, &server, "x".repeat(LARGE)).await.unwrap();
    assert_eq!(response.text().unwrap(), LARGE.to_string());
    assert!(begun.elapsed() >= PATIENCE, "{:?}", begun.elapsed());
    // What is not asked for is not waited for: of this request, the server gets nothing but the head.
    let empty = send(&session, &server, "").await.unwrap();
    assert_eq!(empty.text().unwrap(), "0");
    assert_eq!(server.accepted(), 1);
    drop(session);
    server.ended().await;
}

#[tokio::test(flavor = "local")]
async fn a_request_without_a_body_expects_nothing() {
    let server = Server::answering(|received| {
        assert_eq!(received.header("expect"), None);
        crate::peers::ok("")
    })
    .await;
    send(&session(), &server, "").await.unwrap();
    server.ended().await;
}
