//! Requests as they are written.

use std::borrow::Cow;

use http::HeaderValue;

use super::*;
use crate::headers::Layered;
use crate::{
    payload::{Measured, Segment},
    target::Target,
};

fn unmeasured() -> Payload {
    let nothing = Measured::new(Box::pin(futures::stream::empty()), None);
    Payload::streamed(vec![Segment::Pieces(nothing)], None, false)
}

/// A POST with these headers, as it is written.
fn written(headers: Fields<'_>, payload: &Payload, version: Version) -> (String, Said) {
    let target = Target::of("http://server:81/a?b".parse().unwrap());
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
    let request = Outgoing::new(&Method::POST, &target, Layered::alone(Cow::Owned(headers.collect())));
    let (mut out, said) = (Vec::new(), Said::of(&request, payload));
    head(&mut out, &request, said, version);
    (String::from_utf8(out).unwrap(), said)
}

/// Names and values.
type Fields<'a> = &'a [(&'static str, &'static str)];

#[test]
fn the_head_says_how_the_body_is_sent() {
    let whole = |text: &'static str| Payload::whole(Bytes::from_static(text.as_bytes()));
    let table: [(Fields<'_>, Payload, &str); 9] = [
        (&[], whole(""), ""),
        (&[("content-length", "0")], whole(""), "content-length: 0\r\n"),
        (&[("transfer-encoding", "chunked")], whole(""), ""),
        (&[("x", "y")], whole("body"), "x: y\r\ncontent-length: 4\r\n"),
        (&[("content-length", "4"), ("x", "y")], whole("body"), "content-length: 4\r\nx: y\r\n"),
        (&[("transfer-encoding", "chunked"), ("x", "y")], unmeasured(), "transfer-encoding: chunked\r\nx: y\r\n"),
        (&[], unmeasured(), "transfer-encoding: chunked\r\n"),
        (&[("transfer-encoding", "gzip")], whole("body"), "transfer-encoding: gzip, chunked\r\n"),
        // Chunks and a length at once would be an invitation to see two messages.
        (&[("transfer-encoding", "chunked"), ("content-length", "4")], whole("body"), "transfer-encoding: chunked\r\n"),
    ];
    for (headers, payload, expected) in table {
        let (head, _) = written(headers, &payload, Version::HTTP_11);
        assert_eq!(head, format!("POST /a?b HTTP/1.1\r\n{expected}\r\n"));
    }
}

#[test]
fn an_old_server_is_asked_to_keep_the_connection() {
    let head = |headers: &[_]| written(headers, &Payload::default(), Version::HTTP_10).0;
    assert_eq!(head(&[]), "POST /a?b HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
    assert_eq!(head(&[("connection", "close")]), "POST /a?b HTTP/1.0\r\nconnection: close\r\n\r\n");
}

#[test]
fn whoever_says_that_he_closes_is_believed() {
    for (value, closes) in [("close", true), ("x, Close", true), ("keep-alive", false), ("closed", false)] {
        let (_, said) = written(&[("connection", value)], &Payload::default(), Version::HTTP_11);
        assert_eq!(said.persistence == Persistence::Closes, closes, "{value}");
    }
}

#[test]
fn a_proxy_is_told_the_whole_url() {
    let target = Target::of("http://server:81/a?b".parse().unwrap());
    let mut request = Outgoing::new(&Method::GET, &target, Layered::alone(Cow::default()));
    request.make_over(None);
    let mut out = Vec::new();
    head(&mut out, &request, Said::of(&request, &Payload::default()), Version::HTTP_11);
    assert_eq!(out, b"GET http://server:81/a?b HTTP/1.1\r\n\r\n");
}

#[test]
fn numbers_are_written_in_full() {
    for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
        let mut out = Vec::new();
        decimal(&mut out, number);
        assert_eq!(out, number.to_string().as_bytes());
    }
    assert_eq!(chunk_begin(255), "FF\r\n");
}

#[test]
fn nothing_trails_that_decides_how_a_message_is_read() {
    let fields = [("x-sum", "7"), ("content-length", "9"), ("transfer-encoding", "chunked"), ("set-cookie", "a=b")];
    let trailers =
        fields.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
    assert_eq!(last_chunk(Some(&trailers)), "0\r\nx-sum: 7\r\n\r\n");
    assert_eq!(last_chunk(None), "0\r\n\r\n");
}
