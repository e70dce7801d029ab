//! The head of a response: from bytes to its status, its headers, and where its body will end.
//! It is separate from the connection because it is a function of bytes alone, by RFC 9112 and as strict as hyper.

use std::{error::Error, fmt, mem::MaybeUninit};

use http::{StatusCode, Version};
use httparse::{ParserConfig, Status};

use super::body::Delimited;
use crate::head::MAX_HEADERS;

/// The most bytes that a head may have, as with hyper.
pub(super) const MAX_HEAD: usize = 408 << 10;

/// The name of a header is shorter, as with hyper.
const LONGEST_NAME: usize = 1 << 16;

/// `Content-Length` says no more than this: what is above has a meaning of its own with hyper.
const MAX_LENGTH: u64 = u64::MAX - 2;

/// What a head begins with.
#[derive(Debug)]
pub(super) enum Parsed {
    /// More is to come of it.
    Partial,
    /// It was of a response before the final one, which has none of what is asked for here, and had so many bytes.
    Interim(StatusCode, usize),
    Final(Final),
}

/// The head of a final response.
#[derive(Debug)]
pub(super) struct Final {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    /// How many bytes it has.
    pub(super) length: usize,
    pub(super) body: Delimited,
    /// Whether its server keeps the connection open.
    pub(super) keeps_alive: bool,
    pub(super) sets_cookies: bool,
}

/// Why a head is none.
#[derive(Debug)]
pub(super) enum Malformed {
    Syntax(httparse::Error),
    Status,
    Name,
    TooLarge,
    /// RFC 9112, 6.1: HTTP/1.0 knows no chunks, and whoever is between may have taken the body for something else.
    ChunksInHttp10,
    ContentLength,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => write!(f, "its head: {error}"),
            Self::Status => f.write_str("its status is not one of three digits from 100 on"),
            Self::Name => write!(f, "the name of a header has {LONGEST_NAME} bytes or more"),
            Self::TooLarge => write!(f, "its head has more than {MAX_HEAD} bytes"),
            Self::ChunksInHttp10 => f.write_str("it has a Transfer-Encoding, which HTTP/1.0 does not know"),
            Self::ContentLength => f.write_str("its Content-Length is not one number"),
        }
    }
}

impl Error for Malformed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        None
    }
}

/// Parses what `bytes` begin with. `to_head` is whether the request was a `HEAD`, whose answer has no body.
pub(super) fn parse(bytes: &[u8], to_head: bool) -> Result<Parsed, Malformed> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut headers) {
        Ok(Status::Complete(length)) if length > MAX_HEAD => return Err(Malformed::TooLarge),
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() >= MAX_HEAD => return Err(Malformed::TooLarge),
        Ok(Status::Partial) => return Ok(Parsed::Partial),
        Err(error) => return Err(Malformed::Syntax(error)),
    };
    let status = StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(|_| Malformed::Status)?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Parsed::Interim(status, length));
    }
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut said = Said { version, ..Said::default() };
    for header in &*parsed.headers {
        said.hear(header)?;
    }
    let body = said.body(status, to_head)?;
    let (keeps_alive, sets_cookies) = (said.keeps_alive(status), said.sets_cookies);
    Ok(Parsed::Final(Final { status, version, length, body, keeps_alive, sets_cookies }))
}

/// What the headers have said of the message that they begin.
#[derive(Debug, Default)]
struct Said {
    version: Version,
    closes: bool,
    keeps: bool,
    coding: Coding,
    length: Length,
    sets_cookies: bool,
}

/// The last coding of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    Unsaid,
    Chunks,
    Other,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Unsaid,
    Is(u64),
    Wrong,
}

impl Said {
    /// By the name's length first, since nearly all headers are none of these.
    fn hear(&mut self, header: &httparse::Header<'_>) -> Result<(), Malformed> {
        let httparse::Header { name, value } = *header;
        match name.len() {
            // Nearly each says this and nothing else.
            10 if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case(b"keep-alive") => {
                self.keeps = true;
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                self.closes |= has_token(value, "close");
                self.keeps |= has_token(value, "keep-alive");
            }
            10 if name.eq_ignore_ascii_case("set-cookie") => self.sets_cookies = true,
            14 if name.eq_ignore_ascii_case("content-length") => self.length = self.length.and(value),
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                self.coding = if ends_in_chunked(value) { Coding::Chunks } else { Coding::Other };
            }
            LONGEST_NAME.. => return Err(Malformed::Name),
            _ => {}
        }
        Ok(())
    }

    /// Where the body ends (RFC 9112, 6.3).
    fn body(&self, status: StatusCode, to_head: bool) -> Result<Delimited, Malformed> {
        let has_none = to_head
            || matches!(status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if has_none {
            return Ok(Delimited::NOTHING);
        }
        match (self.coding, self.length) {
            (Coding::Chunks | Coding::Other, _) if self.version == Version::HTTP_10 => Err(Malformed::ChunksInHttp10),
            (Coding::Chunks, _) => Ok(Delimited::chunks()),
            (Coding::Other, _) | (Coding::Unsaid, Length::Unsaid) => Ok(Delimited::Close),
            (Coding::Unsaid, Length::Is(length)) if length <= MAX_LENGTH => Ok(Delimited::Length(length)),
            (Coding::Unsaid, Length::Is(_) | Length::Wrong) => Err(Malformed::ContentLength),
        }
    }

    fn keeps_alive(&self, status: StatusCode) -> bool {
        // What speaks another protocol from now on is no connection of HTTP any more; and a message that has two ends may be
        // two messages to somebody else (RFC 9112, 6.3).
        let is_whole = status != StatusCode::SWITCHING_PROTOCOLS
            && (self.coding == Coding::Unsaid || self.length == Length::Unsaid);
        is_whole && !self.closes && (self.keeps || self.version == Version::HTTP_11)
    }
}

impl Length {
    /// The same, once another header has been heard. What is said more than once must be the same each time.
    fn and(self, value: &[u8]) -> Self {
        if self == Self::Unsaid
            && let Some(length) = digits(value)
        {
            return Self::Is(length);
        }
        let Some(text) = visible(value) else { return Self::Wrong };
        text.split(',').fold(self, |known, said| match (known, digits(said.trim().as_bytes())) {
            (Self::Unsaid, Some(length)) => Self::Is(length),
            (Self::Is(known), Some(length)) if known == length => Self::Is(known),
            _ => Self::Wrong,
        })
    }
}

/// A number of nothing but digits.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The text of a value, if it is of visible characters.
fn visible(value: &[u8]) -> Option<&str> {
    let is_visible = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    std::str::from_utf8(value).ok().filter(|_| is_visible)
}

/// Whether a list of tokens has this one.
pub(super) fn has_token(value: &[u8], token: &str) -> bool {
    let is_token = |given: &[u8]| given.trim_ascii().eq_ignore_ascii_case(token.as_bytes());
    // Nearly each list is of one.
    is_token(value)
        || value.contains(&b',') && visible(value).is_some() && value.split(|byte| *byte == b',').any(is_token)
}

/// Whether the last of a list of codings is that of chunks.
pub(super) fn ends_in_chunked(value: &[u8]) -> bool {
    let Some(list) = visible(value) else { return false };
    list.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
}

#[cfg(test)]
mod tests;
