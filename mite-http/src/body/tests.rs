//! Bodies of requests against a server: what arrives, what is refused, and which connections are used again.

use std::{
    cell::Cell,
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, header::CONTENT_LENGTH};
use tokio::sync::oneshot;

use super::*;
use crate::{
    HttpError, Response, Settings,
    client::Client,
    draft::Draft,
    peers::{Server, ok},
    session::Session,
    target::Target,
};

/// A stream of these items.
struct Items<T>(std::vec::IntoIter<T>);

impl<T: Unpin> Stream for Items<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.0.next())
    }
}

fn items<T: Unpin + 'static>(items: impl IntoIterator<Item = T>) -> Items<T> {
    Items(items.into_iter().collect::<Vec<_>>().into_iter())
}

fn stream(pieces: &[&'static str]) -> Body {
    Body::stream(items(pieces.iter().map(|piece| Ok::<_, io::Error>(*piece)).collect::<Vec<_>>()))
}

fn session() -> Session {
    Session::new(Settings::new(), Rc::new(Client::default()))
}

fn draft(method: Method, server: &Server) -> Draft {
    Draft::to(method, Target::of(server.url("/")))
}

async fn send(
    session: &Session,
    server: &Server,
    method: Method,
    body: impl Into<Body>,
) -> Result<Response, HttpError> {
    let mut draft = draft(method, server);
    draft.body(body.into());
    session.perform(Box::new(draft), |_| {}).await
}

/// Answers with how the body was framed, the body, and its trailers.
async fn echo() -> Server {
    Server::answering(|received| {
        let framing = match (received.header("content-length"), received.header("transfer-encoding")) {
            (Some(length), None) => length.to_owned(),
            (None, Some(encoding)) => encoding.to_owned(),
            (None, None) => "none".to_owned(),
            both => panic!("{both:?}"),
        };
        ok(&format!("{framing}|{}|{}", received.text(), received.trailers.trim()))
    })
    .await
}

fn mistake(outcome: Result<Response, HttpError>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.class(), "request", "{error}");
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[tokio::test(flavor = "local")]
async fn bodies_of_every_kind_arrive_and_their_connection_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    std::fs::write(&path, "a film").unwrap();
    let trailers = HeaderMap::from_iter([
        (HeaderName::from_static("x-sum"), HeaderValue::from_static("7")),
        (HeaderName::from_static("x-rest"), HeaderValue::from_static("0")),
    ]);

    let server = echo().await;
    let session = session();
    let table: Vec<(Method, Body, &str, u64)> = vec![
        (Method::POST, Bytes::from_static(b"bytes").into(), "5|bytes|", 5),
        (Method::POST, b"array".into(), "5|array|", 5),
        (Method::POST, (&b"slice"[..]).into(), "5|slice|", 5),
        (Method::POST, b"vector".to_vec().into(), "6|vector|", 6),
        (Method::POST, BytesMut::from("mutable").into(), "7|mutable|", 7),
        (Method::POST, "text".into(), "4|text|", 4),
        (Method::POST, "string".to_owned().into(), "6|string|", 6),
        (Method::POST, Body::default(), "0||", 0),
        (Method::GET, Body::default(), "none||", 0),
        (Method::POST, stream(&["a ", "", "stream"]), "chunked|a stream|", 8),
        (Method::GET, stream(&["with GET"]), "chunked|with GET|", 8),
        (Method::POST, stream(&["a ", "", "stream"]).with_length(8), "8|a stream|", 8),
        (Method::POST, stream(&[]), "chunked||", 0),
        (Method::POST, stream(&["", ""]).with_length(0), "0||", 0),
        (Method::POST, Body::reader(&b"a reader"[..]), "chunked|a reader|", 8),
        (Method::PUT, Body::reader(&b"a reader"[..]).with_length(8), "8|a reader|", 8),
        (Method::PUT, Body::file(&path), "6|a film|", 6),
        (Method::PUT, Body::from("text").with_length(4), "4|text|", 4),
        (Method::POST, Body::from("text").trailers(trailers.clone()), "chunked|text|x-sum: 7\r\nx-rest: 0", 4),
        (Method::GET, stream(&["a"]).with_length(1).trailers(trailers.clone()), "chunked|a|x-sum: 7\r\nx-rest: 0", 1),
        (Method::POST, Body::default().trailers(trailers), "chunked||x-sum: 7\r\nx-rest: 0", 0),
    ];
    for (method, body, arrived, sent) in table {
        let shown = format!("{method} {body:?}");
        let response = send(&session, &server, method, body).await.unwrap();
        assert_eq!(response.text().unwrap(), arrived, "{shown}");
        assert_eq!(response.sizes().sent, sent, "{shown}");
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test(flavor = "local")]
async fn trailers_are_announced() {
    let server = Server::answering(|received| ok(received.header("trailer").unwrap())).await;
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("7"))]);
    let response = send(&session(), &server, Method::POST, Body::from("x").trailers(trailers)).await.unwrap();
    assert_eq!(response.text().unwrap(), "x-sum");
}

#[tokio::test(flavor = "local")]
async fn a_body_that_is_not_as_long_as_it_was_said_to_be_fails_and_nobody_takes_it_for_whole() {
    let whole = Rc::new(Cell::new(0));
    let counter = Rc::clone(&whole);
    let server = Server::answering(move |_| {
        counter.set(counter.get() + 1);
        ok("")
    })
    .await;
    let session = session();
    let table = [
        (stream(&["abc"]).with_length(4), "its body ended after 3 of the 4 bytes announced", 1),
        (stream(&[]).with_length(4), "its body ended after 0 of the 4 bytes announced", 2),
        (stream(&["abc", "de"]).with_length(4), "its body has more than the 4 bytes that were announced", 3),
        (stream(&["abcd", "e"]).with_length(4), "its body has more than the 4 bytes that were announced", 4),
        // Nothing is sent.
        (stream(&["", "a"]).with_length(0), "its body has more than the 0 bytes that were announced", 4),
        (Body::from("abc").with_length(4), "its body has 3 bytes, and 4 were announced", 4),
    ];
    for (body, what, accepted) in table {
        let shown = format!("{body:?}");
        let error = mistake(send(&session, &server, Method::POST, body).await);
        assert!(error.starts_with(&format!("POST {}: {what}", server.url("/"))), "{shown}: {error}");
        assert!(server.accepted() <= accepted, "{shown}");
    }
    assert_eq!(whole.get(), 0, "a body that was cut short was taken for a whole one");
    send(&session, &server, Method::POST, "abc").await.unwrap();
    assert_eq!(whole.get(), 1);
}

#[tokio::test(flavor = "local")]
async fn an_error_of_the_stream_is_the_cause() {
    let whole = Rc::new(Cell::new(0));
    let counter = Rc::clone(&whole);
    let server = Server::answering(move |_| {
        counter.set(counter.get() + 1);
        ok("")
    })
    .await;
    let session = session();
    for length in [None, Some(100)] {
        let body = Body::stream(items([Ok("abc"), Err("the tape is torn")]));
        let body = match length {
            None => body,
            Some(length) => body.with_length(length),
        };
        let error = mistake(send(&session, &server, Method::POST, body).await);
        assert!(error.ends_with(": the stream of its body failed: the tape is torn"), "{error}");
    }
    assert_eq!(whole.get(), 0);
}

/// The server answers before it has read the body, which then fails.
#[tokio::test(flavor = "local")]
async fn an_error_of_the_stream_is_the_cause_though_the_answer_has_begun() {
    let server = Server::start(|mut peer, _| async move {
        peer.head().await.unwrap();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
        assert!(peer.request().await.is_none());
    })
    .await;
    let session = session();
    let (fail, failed) = oneshot::channel::<&str>();
    let mut draft = draft(Method::POST, &server);
    draft.body(Body::stream(Later(failed)));
    let Ok(opened) = session.begin(Box::new(draft), |_| {}).await else { panic!("there is an answer") };
    let crate::opened::Opened { mut coming, account, .. } = opened;
    let first = poll_fn(|cx| coming.poll_next(cx)).await.unwrap().unwrap();
    assert_eq!(first, "half");
    fail.send("the tape is torn").unwrap();
    let fault = poll_fn(|cx| coming.poll_next(cx)).await.unwrap().unwrap_err();
    assert_eq!(account.cause(fault).class(), Class::Request);
    drop(coming);
    server.ended().await;
}

/// A stream that fails when it is told to.
struct Later(oneshot::Receiver<&'static str>);

impl Stream for Later {
    type Item = Result<Bytes, &'static str>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll(cx).map(|told| told.ok().map(Err))
    }
}

#[tokio::test(flavor = "local")]
async fn files_are_opened_when_they_are_sent_and_named_when_they_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing.txt");
    let server = echo().await;
    let session = session();
    let error = mistake(send(&session, &server, Method::POST, Body::file(&path)).await);
    assert!(error.contains(&format!("failed to open the file {}: No such file", path.display())), "{error}");
    let error = mistake(send(&session, &server, Method::POST, Body::file(&path).with_length(1)).await);
    assert!(error.contains("failed to open"), "{error}");
    assert_eq!(server.accepted(), 0);

    let error = mistake(send(&session, &server, Method::POST, Body::file(folder.path())).await);
    assert!(error.contains(&format!("{}: Is a directory", folder.path().display())), "{error}");

    std::fs::write(&path, "x".repeat(300_000)).unwrap();
    let error = mistake(send(&session, &server, Method::POST, Body::file(&path).with_length(1)).await);
    assert!(error.ends_with("its body has 300000 bytes, and 1 were announced"), "{error}");
    let response = send(&session, &server, Method::POST, Body::file(&path)).await.unwrap();
    assert_eq!(response.text().unwrap(), format!("300000|{}|", "x".repeat(300_000)));
}

#[tokio::test(flavor = "local")]
async fn a_file_is_sent_as_long_as_it_was_when_it_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.txt");
    std::fs::write(&path, "12345").unwrap();
    for (then, outcome) in [("1234567", Ok(5)), ("123", Err("its body ended after 3 of the 5 bytes announced"))] {
        std::fs::write(&path, "12345").unwrap();
        let mut payload = Body::file(&path).open(false).await.unwrap();
        std::fs::write(&path, then).unwrap();
        let mut length = 0;
        let sent = loop {
            match poll_fn(|cx| Pin::new(&mut payload).poll_frame(cx)).await {
                Some(Ok(frame)) => length += frame.into_data().unwrap().len(),
                Some(Err(_)) => break Err(payload.account().cause(Fault::new(Class::Body, "")).of_none().to_string()),
                None => break Ok(length),
            }
        };
        assert_eq!(sent.as_ref().map_err(String::as_str), outcome.as_ref().map_err(|what| *what));
    }
}

#[tokio::test(flavor = "local")]
async fn what_can_be_sent_twice_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "a file").unwrap();
    let server = echo().await;
    let table = [
        (Body::default(), true),
        ("text".into(), true),
        (Body::file(path), true),
        (stream(&["a"]), false),
        (Body::reader(&b"a"[..]), false),
        (Body::joined(["a".into(), stream(&["b"])]), false),
    ];
    for (body, replayed) in table {
        let shown = format!("{body:?}");
        let mut draft = draft(Method::POST, &server);
        draft.body(body);
        assert_eq!(draft.is_replayable(), replayed, "{shown}");
        if draft.payload().is_none() {
            draft.open().await.unwrap();
            assert_eq!(draft.is_replayable(), replayed, "{shown}, once sent");
            match draft.open().await {
                Ok(_) => assert!(replayed, "{shown}"),
                Err(error) => assert!(!replayed && error.to_string().contains("sent already"), "{shown}: {error}"),
            }
        }
    }
}

#[tokio::test(flavor = "local")]
async fn a_content_length_is_the_bodys_or_refused() {
    let server = echo().await;
    let session = session();
    let table = [
        (stream(&["abc"]).with_length(3), "3", Ok("3|abc|")),
        (stream(&["abc"]).with_length(3), "4", Err("its Content-Length is not that of its body, 3 bytes")),
        (stream(&["abc"]), "3", Err("which is sent in chunks")),
    ];
    for (body, length, outcome) in table {
        let mut draft = draft(Method::POST, &server);
        draft.header(CONTENT_LENGTH, length).unwrap();
        draft.body(body);
        let sent = match session.perform(Box::new(draft), |_| {}).await {
            Ok(response) => Ok(response.text().unwrap()),
            Err(error) => Err(error.to_string()),
        };
        match (sent, outcome) {
            (Ok(sent), Ok(expected)) => assert_eq!(sent, expected),
            (Err(sent), Err(expected)) => assert!(sent.contains(expected), "{sent}"),
            (sent, expected) => panic!("{sent:?}, not {expected:?}"),
        }
    }
}

/// Pieces of 64 KiB, as many as are wanted, each counted when it is taken.
struct Counted {
    left: usize,
    taken: Arc<AtomicUsize>,
}

impl Stream for Counted {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Bytes::from(vec![b'x'; PIECE]))))
    }
}

#[tokio::test(flavor = "local")]
async fn a_stream_is_not_read_faster_than_the_server_takes_it() {
    const PIECES: usize = 2_000;
    let taken = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&taken);
    let server = Server::start(move |mut peer, _| {
        let seen = Arc::clone(&seen);
        async move {
            let mut received = peer.head().await.unwrap();
            // Whatever the sockets hold, it is not 125 MiB.
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(seen.load(Ordering::Relaxed) < PIECES, "all of it was read at once");
            peer.body(&mut received).await.unwrap();
            peer.ok(&received.body.len().to_string()).await;
        }
    })
    .await;
    let body = Body::stream(Counted { left: PIECES, taken: Arc::clone(&taken) });
    let response = send(&session(), &server, Method::POST, body).await.unwrap();
    assert_eq!(response.text().unwrap(), (PIECES * PIECE).to_string());
    assert_eq!(response.sizes().sent, (PIECES * PIECE) as u64);
    assert_eq!(taken.load(Ordering::Relaxed), PIECES);
    server.ended().await;
}

/// A server may answer before it has all of the body; what is left of it is not sent on a connection that is used again.
#[tokio::test(flavor = "local")]
async fn an_early_answer_ends_the_connection() {
    let server = Server::start(|mut peer, number| async move {
        peer.head().await.unwrap();
        peer.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").await;
        assert!(peer.request().await.is_none(), "connection {number} was used again");
    })
    .await;
    let session = session();
    for _ in 0..2 {
        let (_keep, never) = oneshot::channel::<&str>();
        let response = send(&session, &server, Method::POST, Body::stream(Later(never))).await.unwrap();
        assert_eq!(response.status(), 413);
    }
    assert_eq!(server.accepted(), 2);
    drop(session);
    server.ended().await;
}
