//! Forms, read back by a parser that knows nothing of this crate.

use std::{convert::Infallible, future::poll_fn, pin::Pin, rc::Rc};

use http::{HeaderMap, Method};
use http_body::Body as _;
use proptest::prelude::*;

use super::*;
use crate::{
    Settings,
    client::Client,
    draft::Draft,
    payload::Payload,
    peers::{Server, ok},
    session::Session,
    target::Target,
};

/// A part as it is read back.
#[derive(Debug, PartialEq)]
struct Read {
    name: Option<String>,
    file_name: Option<String>,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Read {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

async fn bytes_of(mut payload: Payload) -> Vec<u8> {
    let announced = payload.length();
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut payload).poll_frame(cx)).await {
        bytes.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    assert!(announced.is_none_or(|announced| announced == bytes.len() as u64), "{announced:?}");
    bytes
}

/// What a server makes of `form`.
async fn read(form: Multipart) -> Vec<Read> {
    let (content_type, body) = form.into_body().unwrap();
    let bytes = bytes_of(body.open(false).await.unwrap()).await;
    let boundary = multer::parse_boundary(content_type.to_str().unwrap()).unwrap();
    let mut once = Some(Ok::<_, Infallible>(Bytes::from(bytes)));
    let mut form = multer::Multipart::new(Items(std::iter::from_fn(move || once.take())), boundary);
    let mut parts = Vec::new();
    while let Some(part) = form.next_field().await.unwrap() {
        parts.push(Read {
            name: part.name().map(str::to_owned),
            file_name: part.file_name().map(str::to_owned),
            headers: part.headers().clone(),
            body: part.bytes().await.unwrap().to_vec(),
        });
    }
    parts
}

/// A stream of what an iterator gives.
struct Items<I>(I);

impl<I: Iterator + Unpin> futures_core::Stream for Items<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<I::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}

#[tokio::test]
async fn parts_have_their_names_types_and_headers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    std::fs::write(&path, "a film").unwrap();
    let form = Multipart::new()
        .text("title", "A f\u{ef}lm")
        .bytes("poster", "a.png", "image/png", "PNG")
        .file("film", &path)
        .part("note", Part::new("{}").content_type("application/json").header("x-part", "1"))
        .part("late", Part::new(Body::reader(&b"read"[..])).file_name("late.bin"));

    let parts = read(form).await;
    let table = [
        ("title", None, None, "A f\u{ef}lm"),
        ("poster", Some("a.png"), Some("image/png"), "PNG"),
        ("film", Some("film.mp4"), Some("application/octet-stream"), "a film"),
        ("note", None, Some("application/json"), "{}"),
        ("late", Some("late.bin"), Some("application/octet-stream"), "read"),
    ];
    assert_eq!(parts.len(), table.len());
    for (part, (name, file_name, content_type, body)) in parts.iter().zip(table) {
        assert_eq!(part.name.as_deref(), Some(name));
        assert_eq!(part.file_name.as_deref(), file_name, "{name}");
        assert_eq!(part.header("content-type"), content_type, "{name}");
        assert_eq!(part.body, body.as_bytes(), "{name}");
    }
    assert_eq!(parts[3].header("x-part"), Some("1"));
}

#[tokio::test]
async fn names_are_escaped_as_browsers_do() {
    let table = [
        ("a\"b", r#"name="a%22b"; filename="a%22b""#),
        ("a\r\nb: c", r#"name="a%0D%0Ab: c"; filename="a%0D%0Ab: c""#),
        ("50%\\u{e9}", r#"name="50%\u{e9}"; filename="50%\u{e9}""#),
        ("\u{e9}", "name=\"\u{e9}\"; filename=\"\u{e9}\""),
    ];
    for (name, written) in table {
        let form = Multipart::new().bytes(name, name, "a/b", "");
        let (_, body) = form.into_body().unwrap();
        let bytes = bytes_of(body.open(false).await.unwrap()).await;
        let text = String::from_utf8(bytes).unwrap();
        let line = text.lines().nth(1).unwrap();
        assert_eq!(line, format!("Content-Disposition: form-data; {written}"));
    }
}

#[tokio::test(flavor = "local")]
async fn a_form_has_a_length_if_its_parts_have() {
    let server = Server::answering(|received| {
        assert!(received.header("content-type").unwrap().starts_with("multipart/form-data; boundary=mite-"));
        let length = received.header("content-length");
        assert!(length.is_none_or(|length| length == received.body.len().to_string()));
        assert!(received.text().ends_with("--\r\n"));
        ok(if length.is_some() { "known" } else { "chunks" })
    })
    .await;
    let session = Session::new(Settings::new(), Rc::new(Client::default()));
    let reader = || Body::reader(&b"read"[..]);
    let table = [
        (Multipart::new(), "known"),
        (Multipart::new().text("a", "1").bytes("b", "b", "a/b", "2"), "known"),
        (Multipart::new().text("a", "1").part("b", Part::new(reader().with_length(4))), "known"),
        (Multipart::new().text("a", "1").part("b", Part::new(reader())), "chunks"),
    ];
    for (form, framing) in table {
        let mut draft = Draft::to(Method::POST, Target::of(server.url("/")));
        draft.header("content-type", "text/plain").unwrap();
        draft.multipart(form).unwrap();
        let response = session.perform(Box::new(draft), |_| {}).await.unwrap();
        assert_eq!(response.text().unwrap(), framing);
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_part_that_is_not_as_long_as_it_says_fails_the_form() {
    let (_, body) = Multipart::new()
        .part("a", Part::new(Body::reader(&b"read"[..]).with_length(5)))
        .text("b", "x")
        .into_body()
        .unwrap();
    let mut payload = body.open(false).await.unwrap();
    let failed = loop {
        match poll_fn(|cx| Pin::new(&mut payload).poll_frame(cx)).await {
            Some(Ok(_)) => {}
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert!(failed);
}

#[test]
fn what_makes_no_sense_names_the_part() {
    let trailers = HeaderMap::new();
    let table = [
        (Part::new("x").content_type("a\n"), "the part `a` of its form: failed to parse header value"),
        (Part::new("x").header("no name", "x"), "the part `a` of its form: invalid HTTP header name"),
        (
            Part::new("x").header("content-disposition", "x"),
            "the part `a` of its form: its Content-Disposition is made",
        ),
        (Part::new(Body::from("x").trailers(trailers)), "the part `a` of its form: a part has no trailers"),
    ];
    for (part, mistake) in table {
        let error = Multipart::new().text("b", "x").part("a", part).into_body().unwrap_err();
        assert!(error.starts_with(mistake), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sent_is_read_back(
        fields in prop::collection::vec((r#"[^\p{C}"\\%;]{1,20}"#, prop::collection::vec(any::<u8>(), 0..200)), 0..6)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut form = Multipart::new();
        for (name, body) in &fields {
            form = form.bytes(name, name, "a/b", body.clone());
        }
        let parts = runtime.block_on(read(form));
        prop_assert_eq!(parts.len(), fields.len());
        for (part, (name, body)) in parts.iter().zip(&fields) {
            prop_assert_eq!(part.name.as_ref(), Some(name));
            prop_assert_eq!(&part.body, body);
        }
    }
}
