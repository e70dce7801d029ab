//! Where the body of a response ends, and the chunks that it may come in.
//! It is separate from the connection because it is a function of bytes alone, however they are cut into pieces.

use std::{error::Error, fmt};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::head::MAX_HEADERS;

/// How many bytes of extensions the chunks of a body may have in all, as with hyper.
const MAX_EXTENSIONS: usize = 16 << 10;

/// How many bytes the trailers of a body may have, as with hyper.
const MAX_TRAILERS: usize = 16 << 10;

/// What tells the end of a body.
#[derive(Debug)]
pub(super) enum Delimited {
    /// So many bytes are still to come.
    Length(u64),
    Chunks(Chunks),
    /// The end of the connection.
    Close,
}

impl Delimited {
    pub(super) const NOTHING: Self = Self::Length(0);

    pub(super) fn chunks() -> Self {
        Self::Chunks(Chunks::default())
    }

    /// How many bytes are known to come.
    pub(super) fn announced(&self) -> u64 {
        match self {
            Self::Length(left) => *left,
            Self::Chunks(_) | Self::Close => 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunks(chunks) => chunks.is_done(),
            Self::Close => false,
        }
    }
}

/// A place in a body of chunks (RFC 9112, 7.1).
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// Of the chunk at hand, what is still to come.
    left: u64,
    extensions: usize,
    trailers: Vec<u8>,
    lines: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    MoreSize,
    /// Spaces after a size.
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// After the last chunk or a trailer: an empty line, or another trailer.
    Line,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// Why chunks are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadChunk {
    Size,
    Overflow,
    Line,
    Extension,
    Extensions,
    Trailers,
}

impl fmt::Display for BadChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size => f.write_str("the size of a chunk is not a number in hexadecimal digits"),
            Self::Overflow => f.write_str("the size of a chunk is larger than any number"),
            Self::Line => f.write_str("a chunk or a trailer does not end with a line's end"),
            Self::Extension => f.write_str("an extension of a chunk has a bare end of a line in it"),
            Self::Extensions => write!(f, "the extensions of the chunks have more than {MAX_EXTENSIONS} bytes"),
            Self::Trailers => write!(
                f,
                "the trailers are no headers, or more than {MAX_HEADERS} of them, or more than {MAX_TRAILERS} bytes"
            ),
        }
    }
}

impl Error for BadChunk {}

impl Chunks {
    pub(super) fn is_done(&self) -> bool {
        self.at == At::End
    }

    /// Goes through `input`, of which all that is data is handed to `data`, up to the end of the body. Answers how much of it
    /// that was.
    pub(super) fn decode(&mut self, input: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < input.len() && self.at != At::End {
            if self.at == At::Data {
                let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len() - at);
                data(&input[at..at + count]);
                at += count;
                self.left -= count as u64;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
            } else {
                self.at = self.step(input[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// Where the next byte leads to, which is not one of data.
    fn step(&mut self, byte: u8) -> Result<At, BadChunk> {
        match (self.at, byte) {
            (At::MoreSize | At::Space, b';') => Ok(At::Extension),
            (At::MoreSize | At::Space, b' ' | b'\t') => Ok(At::Space),
            (At::MoreSize | At::Space | At::Extension, b'\r') => Ok(At::SizeLf),
            (At::Size | At::MoreSize, digit) => self.digit(digit),
            (At::Space, _) => Err(BadChunk::Size),
            // Some take it for the end of the line, and what follows for a chunk.
            (At::Extension, b'\n') => Err(BadChunk::Extension),
            (At::Extension, _) => {
                self.extensions += 1;
                if self.extensions < MAX_EXTENSIONS { Ok(At::Extension) } else { Err(BadChunk::Extensions) }
            }
            (At::SizeLf, b'\n') => Ok(if self.left == 0 { At::Line } else { At::Data }),
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::Size),
            (At::Line, b'\r') => self.keep(byte, At::EndLf),
            (At::Trailer, b'\r') => self.keep(byte, At::TrailerLf),
            (At::Line | At::Trailer, _) => self.keep(byte, At::Trailer),
            (At::TrailerLf, b'\n') => {
                self.lines += 1;
                if self.lines <= MAX_HEADERS { self.keep(byte, At::Line) } else { Err(BadChunk::Trailers) }
            }
            (At::EndLf, b'\n') => self.keep(byte, At::End),
            (At::SizeLf | At::DataCr | At::DataLf | At::TrailerLf | At::EndLf, _) => Err(BadChunk::Line),
            (At::Data | At::End, _) => Ok(self.at),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<At, BadChunk> {
        let digit = char::from(byte).to_digit(16).ok_or(BadChunk::Size)?;
        let size = self.left.checked_mul(16).and_then(|size| size.checked_add(u64::from(digit)));
        self.left = size.ok_or(BadChunk::Overflow)?;
        Ok(At::MoreSize)
    }

    /// Keeps a byte of the trailers. Most bodies have none, and the empty line alone is not kept.
    fn keep(&mut self, byte: u8, next: At) -> Result<At, BadChunk> {
        if self.trailers.is_empty() && matches!(next, At::EndLf | At::End) {
            return Ok(next);
        }
        self.trailers.push(byte);
        if self.trailers.len() < MAX_TRAILERS { Ok(next) } else { Err(BadChunk::Trailers) }
    }

    /// What followed the last chunk, if anything did.
    pub(super) fn take_trailers(&mut self) -> Result<Option<Box<HeaderMap>>, BadChunk> {
        if self.trailers.is_empty() {
            return Ok(None);
        }
        let lines = std::mem::take(&mut self.trailers);
        // As many as there were ends of lines: a bare LF within one would make two headers of it.
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let headers = &mut headers[..self.lines];
        let Ok(httparse::Status::Complete((_, headers))) = httparse::parse_headers(&lines, headers) else {
            return Err(BadChunk::Trailers);
        };
        let mut trailers = HeaderMap::with_capacity(headers.len());
        for header in headers {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| BadChunk::Trailers)?;
            let value = HeaderValue::from_bytes(header.value).map_err(|_| BadChunk::Trailers)?;
            trailers.append(name, value);
        }
        Ok(Some(Box::new(trailers)))
    }
}

#[cfg(test)]
mod tests;
