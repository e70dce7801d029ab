//! What a scraper is answered, and the bytes of it.
//!
//! It is apart from the server, since it is pure: no connection is known here.

use bytes::Bytes;

/// An answer: each is the last on its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    status: &'static str,
    content_type: &'static str,
    /// A header that only some have, with its line's end.
    besides: &'static str,
    body: Bytes,
    has_body: bool,
}

impl Answer {
    pub(crate) fn page(content_type: &'static str, body: Bytes) -> Self {
        Self { status: "200 OK", content_type, besides: "", body, has_body: true }
    }

    fn line(status: &'static str, text: &'static str) -> Self {
        let body = Bytes::from_static(text.as_bytes());
        Self { status, content_type: "text/plain; charset=utf-8", besides: "", body, has_body: true }
    }

    pub(crate) fn not_found() -> Self {
        Self::line("404 Not Found", "there is nothing here: the metrics are at /metrics\n")
    }

    pub(crate) fn not_allowed() -> Self {
        let line = Self::line("405 Method Not Allowed", "metrics are read: ask by GET\n");
        Self { besides: "allow: GET, HEAD\r\n", ..line }
    }

    pub(crate) fn too_large() -> Self {
        Self::line("431 Request Header Fields Too Large", "that is more than a request for metrics needs\n")
    }

    pub(crate) fn broken() -> Self {
        Self::line("400 Bad Request", "that is no request of HTTP/1.1\n")
    }

    pub(crate) fn failed() -> Self {
        Self::line("503 Service Unavailable", "the run has failed, and has no figures\n")
    }

    /// The same without its body, as `HEAD` asks for it.
    pub(crate) fn head(self) -> Self {
        Self { has_body: false, ..self }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Self { status, content_type, besides, body, has_body } = self;
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n{besides}connection: close\r\n\r\n"
        );
        let mut bytes = head.into_bytes();
        if *has_body {
            bytes.extend_from_slice(body);
        }
        bytes
    }
}
