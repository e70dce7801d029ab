//! What a journey reads from a response, and what its errors say.

use std::{error::Error, time::Instant};

use super::*;
use crate::{draft::Draft, target::Target};

pub(crate) fn response(status: u16, body: impl Into<Bytes>) -> Response {
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = StatusCode::from_u16(status).unwrap();
    let body = body.into();
    let length = body.len() as u64;
    let sizes = Sizes { sent: 0, received: length, decoded: length };
    let awaited = Reply::awaited(Timings::starting(Instant::now()));
    let reply = Reply { head: head.into(), body, sizes, remote: "127.0.0.1:1".parse().ok(), ..awaited };
    let draft = Draft::to(Method::POST, Target::of("http://h:1/users".parse().unwrap()));
    let sent = Sent::new(Box::new(draft), None, None, false);
    Response::new(sent, reply)
}

#[derive(Debug, PartialEq, serde::Deserialize)]
struct User {
    name: String,
}

#[test]
fn bodies_are_read_as_what_they_are() {
    let response = response(200, r#"[{"name": "Ann"}]"#);
    assert_eq!(response.json::<Vec<User>>().unwrap(), [User { name: "Ann".into() }]);
    assert_eq!(response.text().unwrap(), r#"[{"name": "Ann"}]"#);
    assert_eq!(response.bytes(), r#"[{"name": "Ann"}]"#);
}

#[test]
fn a_json_error_names_the_place() {
    let table = [
        (r#"[{"name": "Ann"}, {"name": 1}]"#, "at `[1].name`", "invalid type: integer `1`, expected a string"),
        ("[{}]", "at `[0]`", "missing field `name`"),
        ("<html>\n  no\n</html>", "as JSON: `<html> no </html>`", "expected value at line 1 column 1"),
        ("[] []", "as JSON: `[] []`", "trailing characters"),
        ("", "failed to decode the body as JSON", "EOF while parsing"),
    ];
    for (body, place, cause) in table {
        let error = response(200, body).json::<Vec<User>>().unwrap_err();
        assert_eq!((error.class(), error.status()), ("decode", Some(StatusCode::OK)));
        let text = error.to_string();
        assert!(
            text.starts_with("POST http://h:1/users: failed to decode the body as JSON") && text.contains(place),
            "{text}"
        );
        let source = error.source().unwrap().to_string();
        assert!(source.contains(cause), "{source}");
    }
}

#[test]
fn text_is_utf_8() {
    let error = response(200, &b"caf\xe9"[..]).text().unwrap_err();
    assert_eq!(error.class(), "decode");
    assert!(error.source().unwrap().to_string().contains("index 3"));
}

#[test]
fn only_4xx_and_5xx_are_errors() {
    for status in [200, 204, 302, 304, 399] {
        response(status, "").error_for_status().unwrap();
    }
    for status in [400, 404, 500, 599] {
        let error = response(status, "").error_for_status().unwrap_err();
        assert_eq!((error.class(), error.status().unwrap().as_u16()), ("status", status));
    }
}

#[test]
fn a_status_error_shows_the_beginning_of_the_body() {
    let table = [
        ("taken\r\n  already".to_owned(), ": `taken already`".to_owned()),
        (String::new(), String::new()),
        ("é".repeat(300), format!(": `{}…`", "é".repeat(100))),
        (format!("a{}", "é".repeat(300)), format!(": `a{}…`", "é".repeat(99))),
    ];
    for (body, shown) in table {
        let error = response(409, body).error_for_status().unwrap_err();
        assert_eq!(error.to_string(), format!("POST http://h:1/users: status 409 Conflict{shown}"));
    }
}
