//! A request as bytes: its head, and what stands around the pieces of its body.
//! It is separate from the connection because it is a function of the request alone.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Method, Version,
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST,
        MAX_FORWARDS, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
    },
};
use hyper::body::Body;

use super::head::{ends_in_chunked, has_token};
use crate::{outgoing::Outgoing, payload::Payload};

/// How a request's body goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outflow {
    /// So many bytes are still to go.
    Length(u64),
    Chunks,
}

/// What the head of a request says of the message, and of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub(super) body: Outflow,
    pub(super) closes: bool,
    pub(super) is_head: bool,
    says_length: bool,
    keeps: bool,
}

impl Said {
    pub(super) fn of(request: &Outgoing<'_>, payload: &Payload) -> Self {
        let length = payload.length();
        let mut said = Self {
            body: length.map_or(Outflow::Chunks, Outflow::Length),
            closes: false,
            is_head: *request.method == Method::HEAD,
            says_length: false,
            keeps: false,
        };
        for (name, value) in &*request.headers {
            if *name == CONTENT_LENGTH {
                said.says_length = true;
            } else if *name == TRANSFER_ENCODING {
                said.body = Outflow::Chunks;
            } else if *name == CONNECTION {
                said.closes |= has_token(value.as_bytes(), "close");
                said.keeps |= has_token(value.as_bytes(), "keep-alive");
            }
        }
        // Where there is no body there are no chunks of it either.
        if payload.is_end_stream() {
            said.body = Outflow::Length(0);
        }
        said
    }
}

/// Writes the head of `request`, to a server of which it is known that it speaks `version`.
pub(super) fn head(out: &mut Vec<u8>, request: &Outgoing<'_>, said: Said, version: Version) {
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(request.asks_for().as_bytes());
    out.extend_from_slice(if version == Version::HTTP_10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    fields(out, &request.headers, |name| match said.body {
        Outflow::Length(_) => *name != TRANSFER_ENCODING,
        Outflow::Chunks => *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING,
    });
    match said.body {
        Outflow::Length(0) => {}
        Outflow::Length(_) if said.says_length => {}
        Outflow::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Outflow::Chunks => codings(out, &request.headers),
    }
    if version == Version::HTTP_10 && !said.closes && !said.keeps {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn fields(out: &mut Vec<u8>, headers: &HeaderMap, goes: impl Fn(&HeaderName) -> bool) {
    for (name, value) in headers.iter().filter(|(name, _)| goes(name)) {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes the codings of a body that goes out in chunks, which are the last of them (RFC 9112, 6.1).
fn codings(out: &mut Vec<u8>, headers: &HeaderMap) {
    let mut ends_in_chunks = false;
    out.extend_from_slice(b"transfer-encoding: ");
    for (place, value) in headers.get_all(TRANSFER_ENCODING).iter().enumerate() {
        out.extend_from_slice(if place == 0 { b"" } else { b", " });
        out.extend_from_slice(value.as_bytes());
        ends_in_chunks = ends_in_chunked(value.as_bytes());
    }
    if !ends_in_chunks {
        let is_other = headers.contains_key(TRANSFER_ENCODING);
        out.extend_from_slice(if is_other { b", chunked" } else { b"chunked" });
    }
    out.extend_from_slice(b"\r\n");
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// What stands before the data of a chunk; behind it stands [`CHUNK_END`].
pub(super) fn chunk_begin(length: usize) -> Bytes {
    Bytes::from(format!("{length:X}\r\n"))
}

pub(super) const CHUNK_END: Bytes = Bytes::from_static(b"\r\n");

/// The last chunk, which has nothing in it, and the trailers behind it.
pub(super) fn last_chunk(trailers: Option<&HeaderMap>) -> Bytes {
    let Some(trailers) = trailers else { return Bytes::from_static(b"0\r\n\r\n") };
    let mut out = b"0\r\n".to_vec();
    fields(&mut out, trailers, may_trail);
    out.extend_from_slice(b"\r\n");
    out.into()
}

/// Whether a field can come behind the body (RFC 9110, 6.5.1): what decides how a message is read cannot.
fn may_trail(name: &HeaderName) -> bool {
    const HEAD_ONLY: [HeaderName; 12] = [
        AUTHORIZATION,
        CACHE_CONTROL,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        HOST,
        MAX_FORWARDS,
        SET_COOKIE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
    ];
    !HEAD_ONLY.contains(name)
}
