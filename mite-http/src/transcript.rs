//! An exchange written out for people: what was sent and what came back, without what is secret.
//! It is separate from the report because it is only written when there is room for it, or when somebody looks on.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use url::{Position, Url};

use crate::mask::Masks;

/// How much of a body is shown, in bytes.
const SHOWN: usize = 4 * 1024;

/// A request: its line, its headers, an empty line, and the beginning of its body; `None` for one that is gone.
pub(crate) fn request(
    method: &str,
    url: &Url,
    headers: &HeaderMap,
    content: Option<&Bytes>,
    masks: Masks<'_>,
) -> String {
    let mut text = format!("{method} {}\n", masks.link(&url[Position::BeforePath..Position::AfterQuery]));
    write_headers(&mut text, headers, masks);
    text.push('\n');
    match content {
        Some(content) => write_body(&mut text, headers, content, masks),
        None => text.push_str("(a stream, which is gone)"),
    }
    text
}

/// A response: its status line, its headers, an empty line, and the beginning of its body; `None` for one that nobody kept.
pub(crate) fn response(line: &str, headers: &HeaderMap, content: Option<&Bytes>, masks: Masks<'_>) -> String {
    let mut text = format!("{line}\n");
    write_headers(&mut text, headers, masks);
    text.push('\n');
    match content {
        Some(content) => write_body(&mut text, headers, content, masks),
        None => text.push_str("(a body that was not kept)"),
    }
    text
}

fn write_headers(text: &mut String, headers: &HeaderMap, masks: Masks<'_>) {
    for (name, value) in headers {
        text.push_str(name.as_str());
        text.push_str(": ");
        text.push_str(&masks.header(name, value));
        text.push('\n');
    }
}

fn write_body(text: &mut String, headers: &HeaderMap, content: &Bytes, masks: Masks<'_>) {
    let content_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let beginning = &content[..content.len().min(SHOWN)];
    if is_binary(beginning) {
        let _ = write!(text, "({} bytes that are no text)", content.len());
        return;
    }
    let mut shown = String::from_utf8_lossy(beginning);
    if beginning.len() < content.len() {
        // A character cut in two is none.
        shown = shown.trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned().into();
    }
    text.push_str(&masks.body(content_type.as_deref().unwrap_or_default(), &shown));
    if beginning.len() < content.len() {
        let _ = write!(text, "\n… {} bytes more", content.len() - beginning.len());
    }
}

/// Whether a body is none for people: it has a zero, or every tenth byte is of no character. Text of another charset than UTF-8
/// has some of these.
fn is_binary(beginning: &[u8]) -> bool {
    let strange: usize = beginning.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    beginning.contains(&0) || strange > beginning.len() / 10 + 1
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn both_sides_are_shown_without_their_secrets() {
        let mut headers = HeaderMap::from_iter([
            (http::header::HOST, HeaderValue::from_static("app")),
            (http::header::AUTHORIZATION, HeaderValue::from_static("Bearer abc")),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        let url = "http://app/users?token=abc&page=2".parse().unwrap();
        let body = Bytes::from_static(br#"{"name":"ann","password":"abc"}"#);
        let masks = Masks::new(&[]);
        assert_eq!(
            request("POST", &url, &headers, Some(&body), masks),
            "POST /users?token=***&page=2\nhost: app\nauthorization: Bearer ***\ncontent-type: application/json\n\n\
             {\"name\":\"ann\",\"password\":\"***\"}"
        );
        assert!(request("PUT", &url, &headers, None, masks).ends_with("\n\n(a stream, which is gone)"));

        headers.clear();
        headers.append(http::header::SET_COOKIE, HeaderValue::from_static("session=abc; Path=/"));
        assert_eq!(
            response("HTTP/1.1 503 Service Unavailable", &headers, Some(&Bytes::from_static(b"caf\xe9")), masks),
            "HTTP/1.1 503 Service Unavailable\nset-cookie: session=***; Path=/\n\ncaf\u{fffd}"
        );
    }

    #[test]
    fn what_is_no_text_is_told_by_its_size() {
        let shown = |content: &'static [u8]| {
            let text = response("HTTP/1.1 200", &HeaderMap::new(), Some(&Bytes::from_static(content)), Masks::new(&[]));
            text.split_once("\n\n").unwrap().1.to_owned()
        };
        assert_eq!(shown(b"\x89PNG\r\n\x1a\n\0\0"), "(10 bytes that are no text)");
        assert_eq!(shown(&[0xff; 5000]), "(5000 bytes that are no text)");
        assert_eq!(shown("Straße".as_bytes()), "Straße");
        // Latin-1.
        assert_eq!(shown(b"Stra\xdfe"), "Stra\u{fffd}e");
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let body = Bytes::from(format!("a{}", "é".repeat(SHOWN)));
        let text = response("HTTP/1.1 500", &HeaderMap::new(), Some(&body), Masks::new(&[]));
        let (_, shown) = text.split_once("\n\n").unwrap();
        assert_eq!(shown, format!("a{}\n… {} bytes more", "é".repeat(SHOWN / 2 - 1), 2 * SHOWN + 1 - SHOWN));
    }
}
