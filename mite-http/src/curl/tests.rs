//! Command lines, as a shell understands them.

use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

fn get(url: &str) -> String {
    line(&Method::GET, url, &[], b"")
}

fn line(method: &Method, url: &str, headers: &[(&'static str, &[u8])], body: &[u8]) -> String {
    let pair = |(name, value): &(&'static str, &[u8])| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
    };
    let headers: HeaderMap = headers.iter().map(pair).collect();
    command(&Shown { method, url: &url.parse().unwrap(), headers: &headers, body: Some(body), options: &[] })
}

#[test]
fn a_command_is_what_one_would_type() {
    assert_eq!(get("http://h/x?a=1&b=2#part"), "curl 'http://h/x?a=1&b=2'");
    assert_eq!(get("http://[::1]:8080/x"), "curl --globoff 'http://[::1]:8080/x'");
    assert_eq!(line(&Method::HEAD, "http://h/", &[], b""), "curl --head 'http://h/'");
    assert_eq!(line(&Method::DELETE, "http://h/it's", &[], b""), r"curl -X 'DELETE' 'http://h/it'\''s'");
    let headers: &[(&str, &[u8])] = &[
        ("host", b"h:1"),
        ("accept", b"*/*"),
        ("user-agent", b"mite/1"),
        ("content-type", b"application/json"),
        ("x-empty", b""),
        ("x-latin1", b"caf\xe9"),
    ];
    assert_eq!(
        line(&Method::POST, "http://h:1/", headers, br#"{"a": "it's"}"#),
        "curl -X 'POST' 'http://h:1/' -H 'user-agent: mite/1' -H 'content-type: application/json' -H 'x-empty;' \
         -H \"$(printf 'x-latin1: caf\\351')\" --data-raw '{\"a\": \"it'\\''s\"}'"
    );
    assert_eq!(
        line(&Method::POST, "http://h/", &[("host", b"other"), ("content-length", b"0")], b""),
        "curl -X 'POST' 'http://h/' -H 'host: other' -H 'content-length: 0'"
    );
    assert_eq!(
        line(&Method::PUT, "http://h/", &[("content-length", b"2")], b"\0%"),
        "printf '\\000%%' | curl -X 'PUT' 'http://h/' -H 'content-type:' --data-binary @-"
    );
    let url = "http://h/".parse().unwrap();
    let streamed =
        Shown { method: &Method::PUT, url: &url, headers: &HeaderMap::new(), body: None, options: &["--http2"] };
    assert_eq!(command(&streamed), "curl -X 'PUT' --http2 'http://h/' # its body was a stream, which is gone");
}

/// What a shell hands to a program for each of the words of a command.
fn words(command: &str) -> Vec<Vec<u8>> {
    // Each word is followed by a NUL, which no word can have.
    let script = format!("curl() {{ for word in \"$@\"; do printf '%s\\000' \"$word\"; done; }}\n{command}");
    let output = Command::new("sh").arg("-c").arg(&script).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{command}\n{output:?}");
    let mut words: Vec<Vec<u8>> = output.stdout.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(words.pop().as_deref(), Some(&b""[..]));
    words
}

/// What a shell pipes into a program.
fn piped(command: &str) -> Vec<u8> {
    let script = format!("curl() {{ cat; }}\n{command}");
    let output = Command::new("sh").arg("-c").arg(&script).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{command}\n{output:?}");
    output.stdout
}

proptest! {
    #[test]
    fn a_shell_gives_curl_what_was_sent(
        value in prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(b'\''), Just(b'\\'), Just(b'$')], 0..30),
        body in prop_oneof!["\\PC{0,40}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..60)],
        query in "[ -~]{0,20}",
    ) {
        let mut url: Url = "http://h/".parse().unwrap();
        url.set_query(Some(&query));
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-own"), HeaderValue::from_bytes(&value).unwrap())]);
        let shown = Shown { method: &Method::POST, url: &url, headers: &headers, body: Some(&body), options: &[] };
        let command = command(&shown);
        prop_assert!(command.chars().all(|char| !char.is_control() || matches!(char, '\n' | '\t')), "{command:?}");
        let words = words(&command);
        let sent = |word: &[u8]| words.iter().any(|found| found == word);
        prop_assert!(sent(url.as_str().as_bytes()), "{command}");
        let own = header(&HeaderName::from_static("x-own"), &headers["x-own"]);
        prop_assert!(sent(&own), "{command}");
        if body.is_empty() {
            prop_assert!(!command.contains("--data"));
        } else if command.starts_with("printf") {
            prop_assert_eq!(piped(&command), body);
        } else {
            let at = words.iter().position(|word| word == b"--data-raw").unwrap();
            prop_assert_eq!(&words[at + 1], &body);
        }
    }
}
