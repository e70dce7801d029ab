//! Bodies of responses, whole and forgotten, with and without limits and codings, and the connections after them.

use std::rc::Rc;

use http::{Method, StatusCode};

use crate::{
    HttpError, Response, Settings,
    client::Client,
    draft::{Draft, options::Options},
    peers::{Server, ok},
    session::Session,
    target::Target,
};

fn session(settings: Settings) -> Session {
    Session::new(settings, Rc::new(Client::default()))
}

async fn get(session: &Session, server: &Server, options: Options) -> Result<Response, HttpError> {
    send(session, server, Method::GET, options).await
}

async fn send(session: &Session, server: &Server, method: Method, options: Options) -> Result<Response, HttpError> {
    let mut draft = Draft::to(method, Target::of(server.url("/")));
    *draft.options() = options;
    session.perform(Box::new(draft), |_| {}).await
}

const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n";

#[tokio::test(flavor = "local")]
async fn a_body_that_is_discarded_is_counted_and_its_connection_used_again() {
    let length = 3_000_000;
    let long = "x".repeat(length);
    let answers = [ok(&long), format!("{CHUNKS}{length:x}\r\n{long}\r\n0\r\nx-sum: 7\r\n\r\n")];
    let server = Server::start(move |mut peer, _| {
        let answers = answers.clone();
        async move {
            for answer in answers.iter().cycle() {
                let Some(_) = peer.request().await else { return };
                peer.write(answer).await;
            }
        }
    })
    .await;
    let session = session(Settings::new().max_body(1));
    for trailers in [false, true, false, true] {
        let response = get(&session, &server, Options { discard: true, ..Options::default() }).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.bytes(), "");
        let sizes = response.sizes();
        assert_eq!((sizes.received, sizes.decoded, sizes.sent), (length as u64, length as u64, 0));
        assert_eq!(response.trailers().is_some_and(|trailers| trailers["x-sum"] == "7"), trailers);
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test(flavor = "local")]
async fn a_body_above_the_limit_is_refused_by_its_length_and_by_its_bytes() {
    // What was announced and never comes would otherwise be waited for.
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n".to_owned();
    let chunks = format!("{CHUNKS}6\r\nsix by\r\n5\r\nfive!\r\n");
    for answer in [announced, chunks] {
        let server = Server::answering(move |_| answer.clone()).await;
        let session = session(Settings::new().max_body(10));
        let error = get(&session, &server, Options::default()).await.unwrap_err();
        assert_eq!(error.class(), "body");
        assert_eq!(
            error.to_string(),
            format!(
                "GET {}: the response's body is larger than the limit of 10 bytes: raise that with `.max_body(bytes)`, \
                 or read the body with `.stream()` or `.discard()`, which have none",
                server.url("/")
            )
        );
        drop(session);
        server.ended().await;
    }
}

#[tokio::test(flavor = "local")]
async fn the_limit_is_the_requests_or_the_sessions() {
    let server = Server::answering(|_| ok("0123456789")).await;
    let table = [
        (None, None, true),
        (Some(10), None, true),
        (Some(9), None, false),
        (Some(9), Some(10), true),
        (None, Some(9), false),
    ];
    for (settings, request, fits) in table {
        let session = session(settings.map_or_else(Settings::new, |max| Settings::new().max_body(max)));
        let outcome = get(&session, &server, Options { max_body: request, ..Options::default() }).await;
        assert_eq!(outcome.is_ok(), fits, "{settings:?} {request:?}");
    }
    // A HEAD has no body, however long it says that it would be.
    let head = Server::answering(|_| "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n".to_owned()).await;
    send(&session(Settings::new().max_body(1)), &head, Method::HEAD, Options::default()).await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn a_coding_that_was_not_asked_for_stays() {
    let server = Server::answering(|received| {
        assert_eq!(received.header("accept-encoding"), None);
        "HTTP/1.1 200 OK\r\nContent-Encoding: klingon\r\nContent-Length: 5\r\n\r\nbytes".to_owned()
    })
    .await;
    let response = get(&session(Settings::new()), &server, Options::default()).await.unwrap();
    assert_eq!(response.bytes(), "bytes");
    assert_eq!(response.headers()["content-encoding"], "klingon");
}

#[cfg(feature = "compression")]
mod compressed {
    use bytes::Bytes;

    use super::*;
    use crate::decode::tests::encode;

    /// A server whose answer to each request is `head`, `Content-Length`, and `body`.
    async fn serving(head: &'static str, body: impl Into<Bytes>) -> Server {
        let body: Bytes = body.into();
        Server::start(move |mut peer, _| {
            let body = body.clone();
            async move {
                while peer.request().await.is_some() {
                    peer.write(format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len())).await;
                    peer.write(&body).await;
                }
            }
        })
        .await
    }

    fn asking() -> Session {
        session(Settings::new().compression(true))
    }

    #[tokio::test(flavor = "local")]
    async fn what_can_be_undone_is_asked_for_unless_the_request_asks_itself() {
        let server = Server::answering(|received| ok(received.header("accept-encoding").unwrap_or("none"))).await;
        let all = "gzip, br, zstd, deflate";
        let table = [
            (false, None, None, "none"),
            (true, None, None, all),
            (false, Some(true), None, all),
            (true, Some(false), None, "none"),
            (true, None, Some("br"), "br"),
        ];
        for (settings, request, header, asked) in table {
            let session = session(Settings::new().compression(settings));
            let mut draft = Draft::to(Method::GET, Target::of(server.url("/")));
            draft.options().compression = request;
            if let Some(header) = header {
                draft.header("accept-encoding", header).unwrap();
            }
            let response = session.perform(Box::new(draft), |_| {}).await.unwrap();
            assert_eq!(response.text().unwrap(), asked, "{settings} {request:?} {header:?}");
        }
    }

    #[tokio::test(flavor = "local")]
    async fn bodies_are_decoded_and_both_sizes_known() {
        let text = "all work and no play\n".repeat(10_000);
        let heads: [(&str, &str); 4] = [
            ("gzip", "200 OK\r\nContent-Encoding: gzip"),
            ("deflate", "200 OK\r\nContent-Encoding: deflate"),
            ("br", "200 OK\r\nContent-Encoding: br"),
            ("zstd", "200 OK\r\nContent-Encoding: zstd"),
        ];
        for (coding, head) in heads {
            let encoded = encode(coding, text.as_bytes());
            let received = encoded.len() as u64;
            let server = serving(head, encoded).await;
            let session = asking();
            for discard in [false, true] {
                let response = get(&session, &server, Options { discard, ..Options::default() }).await.unwrap();
                let sizes = response.sizes();
                assert_eq!((sizes.received, sizes.decoded), (received, text.len() as u64), "{coding}");
                assert!(response.text().unwrap() == if discard { "" } else { &text }, "{coding}");
            }
            assert_eq!(server.accepted(), 1, "{coding}");
        }
    }

    #[tokio::test(flavor = "local")]
    async fn no_body_is_no_error_whatever_its_coding() {
        for (method, head) in [
            (Method::HEAD, "200 OK\r\nContent-Encoding: gzip"),
            (Method::GET, "204 No Content\r\nContent-Encoding: gzip"),
            (Method::GET, "304 Not Modified\r\nContent-Encoding: klingon"),
            (Method::GET, "200 OK\r\nContent-Encoding: zstd"),
        ] {
            let server = serving(head, "").await;
            let session = asking();
            for _ in 0..2 {
                let response = send(&session, &server, method.clone(), Options::default()).await.unwrap();
                assert_eq!(response.bytes(), "", "{head}");
            }
            assert_eq!(server.accepted(), 1, "{head}");
        }
    }

    #[tokio::test(flavor = "local")]
    async fn what_cannot_be_decoded_and_what_breaks_off_have_their_classes() {
        let whole = encode("gzip", b"whole");
        let cut = whole[..whole.len() - 1].to_vec();
        let table: [(&str, Bytes, &str); 3] = [
            ("200 OK\r\nContent-Encoding: klingon", "x".into(), "its coding `klingon` is not known"),
            ("200 OK\r\nContent-Encoding: gzip", cut.clone().into(), "failed to decode the body as gzip"),
            ("200 OK\r\nContent-Encoding: gzip", "no gzip".into(), "failed to decode the body as gzip"),
        ];
        for (head, body, what) in table {
            let error = get(&asking(), &serving(head, body).await, Options::default()).await.unwrap_err();
            assert_eq!(error.class(), "decode");
            assert!(error.to_string().contains(what), "{error}");
        }

        let broken = Server::start(move |mut peer, _| {
            let cut = cut.clone();
            async move {
                peer.request().await.unwrap();
                peer.write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n").await;
                peer.write(&cut).await;
            }
        })
        .await;
        let error = get(&asking(), &broken, Options::default()).await.unwrap_err();
        assert_eq!(error.class(), "body", "{error}");
    }

    #[tokio::test(flavor = "local")]
    async fn a_bomb_meets_the_limit_and_can_be_discarded() {
        const LENGTH: usize = 50_000_000;
        for (coding, head) in [
            ("gzip", "200 OK\r\nContent-Encoding: gzip"),
            ("br", "200 OK\r\nContent-Encoding: br"),
            ("zstd", "200 OK\r\nContent-Encoding: zstd"),
        ] {
            let server = serving(head, encode(coding, &vec![0; LENGTH])).await;
            let session = session(Settings::new().compression(true).max_body(1_000_000));
            let error = get(&session, &server, Options::default()).await.unwrap_err();
            assert!(error.class() == "body" && error.to_string().contains("the limit of 1000000 bytes"), "{error}");
            let response = get(&session, &server, Options { discard: true, ..Options::default() }).await.unwrap();
            assert_eq!(response.sizes().decoded, LENGTH as u64);
        }
    }
}
