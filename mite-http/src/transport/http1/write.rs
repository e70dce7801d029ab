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
use http_body::Body;

use super::head::{ends_in_chunked, has_token};
use crate::{headers, outgoing::Outgoing, payload::Payload};

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
    pub(super) persistence: Persistence,
    pub(super) is_head: bool,
    says_length: bool,
    /// How many headers tell of codings.
    codings: usize,
    /// Whether the last of them is that of chunks.
    chunked: bool,
}

/// What a request says of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    Unsaid,
    Keeps,
    Closes,
}

impl Said {
    pub(super) fn of(request: &Outgoing<'_>, payload: &Payload) -> Self {
        let length = payload.length();
        let mut said = Self {
            body: length.map_or(Outflow::Chunks, Outflow::Length),
            persistence: Persistence::Unsaid,
            is_head: *request.method == Method::HEAD,
            says_length: false,
            codings: 0,
            chunked: false,
        };
        for (name, value) in request.headers.own() {
            if *name == CONTENT_LENGTH {
                said.says_length = true;
            } else if *name == TRANSFER_ENCODING {
                said.body = Outflow::Chunks;
                said.codings += 1;
                said.chunked = ends_in_chunked(value.as_bytes());
            } else if *name == CONNECTION {
                if has_token(value.as_bytes(), "close") {
                    said.persistence = Persistence::Closes;
                } else if said.persistence == Persistence::Unsaid && has_token(value.as_bytes(), "keep-alive") {
                    said.persistence = Persistence::Keeps;
                }
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
    let mut codings = said.codings;
    out.extend_from_slice(request.headers.preset_lines());
    fields(out, request.headers.own(), |name| match said.body {
        Outflow::Length(_) => (*name != TRANSFER_ENCODING).then_some(NOTHING),
        Outflow::Chunks if *name == CONTENT_LENGTH => None,
        Outflow::Chunks if *name == TRANSFER_ENCODING => {
            codings -= 1;
            // RFC 9112, 6.1: they are the last coding of all.
            Some(if codings == 0 && !said.chunked { b", chunked" } else { NOTHING })
        }
        Outflow::Chunks => Some(NOTHING),
    });
    if version == Version::HTTP_10 && said.persistence == Persistence::Unsaid {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    match said.body {
        Outflow::Length(length) if length > 0 && !said.says_length => {
            out.extend_from_slice(b"content-length: ");
            decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Outflow::Chunks if said.codings == 0 => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Outflow::Length(_) | Outflow::Chunks => {}
    }
    out.extend_from_slice(b"\r\n");
}

const NOTHING: &[u8] = b"";

/// Writes the headers for which there is an answer, which stands behind the value.
fn fields(out: &mut Vec<u8>, headers: &HeaderMap, mut behind: impl FnMut(&HeaderName) -> Option<&'static [u8]>) {
    for (name, value) in headers {
        if let Some(behind) = behind(name) {
            headers::write(out, name, value, behind);
        }
    }
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
    fields(&mut out, trailers, |name| may_trail(name).then_some(NOTHING));
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

#[cfg(test)]
mod tests;
