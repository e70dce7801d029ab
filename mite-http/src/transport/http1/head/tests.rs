//! Heads as they should be, and all that is none.

use bytes::Bytes;

use super::*;
use crate::head::Headers;

fn parsed(head: &str, to_head: bool) -> Result<Parsed, String> {
    parse(head.as_bytes(), to_head).map_err(|error| error.to_string())
}

/// `5`, `chunks` or `close`, with `!` if the connection is not kept.
fn framing(head: &str, to_head: bool) -> String {
    let Ok(Parsed::Final(head)) = parsed(head, to_head) else { panic!("{head} is not whole") };
    let body = match head.body {
        Delimited::Length(length) => length.to_string(),
        Delimited::Chunks(_) => "chunks".to_owned(),
        Delimited::Close => "close".to_owned(),
    };
    if head.keeps_alive { body } else { body + "!" }
}

#[test]
fn the_body_ends_where_the_rfc_says() {
    let table = [
        ("HTTP/1.1 200 OK", "Content-Length: 5", "5"),
        ("HTTP/1.1 200 OK", "Content-Length: 0", "0"),
        ("HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length: 5", "5"),
        ("HTTP/1.1 200 OK", "Content-Length: 5, 5", "5"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "chunks"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, Chunked", "chunks"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "chunks"),
        // Chunks that are not the last coding end with the connection.
        ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked, gzip", "close"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", "close"),
        // What has two ends may be two messages.
        ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\nContent-Length: 5", "chunks!"),
        ("HTTP/1.1 200 OK", "Content-Length: 4,5\r\nTransfer-Encoding: chunked", "chunks!"),
        ("HTTP/1.1 200 OK", "X: y", "close"),
        ("HTTP/1.1 204 No Content", "Content-Length: 5", "0"),
        ("HTTP/1.1 304 Not Modified", "Transfer-Encoding: chunked", "0"),
        ("HTTP/1.1 101 Switching Protocols", "Content-Length: 5", "0!"),
        ("HTTP/1.1 200 OK", "Connection: close\r\nContent-Length: 5", "5!"),
        ("HTTP/1.1 200 OK", "Connection: x,  CLOSE\r\nContent-Length: 5", "5!"),
        ("HTTP/1.1 200 OK", "Connection: close\r\nConnection: keep-alive\r\nContent-Length: 5", "5!"),
        ("HTTP/1.0 200 OK", "Content-Length: 5", "5!"),
        ("HTTP/1.0 200 OK", "Connection: Keep-Alive\r\nContent-Length: 5", "5"),
        ("HTTP/1.0 200 OK", "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 5", "5!"),
    ];
    for (line, headers, expected) in table {
        let head = format!("{line}\r\n{headers}\r\n\r\n");
        assert_eq!(framing(&head, false), expected, "{head}");
        assert!(framing(&head, true).starts_with('0'), "{head} to HEAD");
    }
}

#[test]
fn what_is_no_head_is_refused() {
    let heads = [
        "220 mail.test ESMTP",
        "HTTP/1.2 200 OK",
        "HTTP/2 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 000 No",
        "HTTP/1.1 200 OK\r\nnothing",
        "HTTP/1.1 200 OK\r\n: value",
        "HTTP/1.1 200 OK\r\nName : value",
        "HTTP/1.1 200 OK\r\nName: value\r\n more",
        "HTTP/1.1 200 OK\r\nName: va\0lue",
        "HTTP/1.1 200 OK\r\nName: va\rlue",
        "HTTP/1.1 200 OK\r\nContent-Length: -1",
        "HTTP/1.1 200 OK\r\nContent-Length: +4",
        "HTTP/1.1 200 OK\r\nContent-Length: ",
        "HTTP/1.1 200 OK\r\nContent-Length: 4 4",
        "HTTP/1.1 200 OK\r\nContent-Length: 4, 5",
        "HTTP/1.1 200 OK\r\nContent-Length: 4,",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551614",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
    ];
    for head in heads {
        assert!(parsed(&format!("{head}\r\n\r\n"), false).is_err(), "{head}");
    }
}

#[test]
fn a_head_is_as_long_as_it_may_be_and_no_longer() {
    let filled = |length: usize| format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(length - 24));
    assert_eq!(filled(100).len(), 100);
    assert!(matches!(parsed(&filled(MAX_HEAD), false), Ok(Parsed::Final(_))));
    assert!(parsed(&filled(MAX_HEAD + 1), false).unwrap_err().contains("417792"));
    // What has no end yet is known to be too long as soon.
    assert!(matches!(parsed(&filled(MAX_HEAD + 100)[..MAX_HEAD - 1], false), Ok(Parsed::Partial)));
    assert!(parsed(&filled(MAX_HEAD + 100)[..MAX_HEAD], false).is_err());
    let many = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(count));
    assert!(matches!(parsed(&many(MAX_HEADERS), false), Ok(Parsed::Final(_))));
    assert!(parsed(&many(MAX_HEADERS + 1), false).unwrap_err().contains("too many headers"));
}

#[test]
fn what_comes_before_the_final_head_is_told_apart() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let parsed = parsed(&format!("{interim}HTTP/1.1 200 OK\r\n\r\n"), false);
    assert!(
        matches!(parsed, Ok(Parsed::Interim(StatusCode::EARLY_HINTS, length)) if length == interim.len()),
        "{parsed:?}"
    );
}

#[test]
fn headers_stay_in_the_order_and_the_bytes_that_they_came_in() {
    let bytes = Bytes::from_static(b"HTTP/1.1 200 OK\r\nB: 1\r\nA:  \xe9\t \r\nB:2\r\nC:\r\n\r\nbody");
    let Ok(Parsed::Final(head)) = parse(&bytes, false) else { panic!("it is whole") };
    let map = Headers::of_http1(&bytes[..head.length], head.sets_cookies);
    let headers: Vec<_> = map.map().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(headers, [("b", &b"1"[..]), ("b", b"2"), ("a", b"\xe9"), ("c", b"")]);
    assert_eq!(head.length, bytes.len() - 4);
}
