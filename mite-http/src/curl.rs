//! A request as a command line of curl.
//! It is separate and pure because quoting for a shell is tested with a shell.

use std::fmt::Write as _;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST},
};
use url::{Position, Url};

/// A longer body comes through a pipe: one argument of a command has a limit, 128 KiB on Linux.
const LONGEST_ARGUMENT: usize = 64 * 1024;

/// A request that was sent, or would be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    /// All that go out.
    pub(crate) headers: &'a HeaderMap,
    /// `None` for a stream, which is gone.
    pub(crate) body: Option<&'a [u8]>,
    /// Options besides, such as `--http2`.
    pub(crate) options: &'a [&'static str],
}

/// The command. Secrets are in it as they are.
pub(crate) fn command(shown: &Shown<'_>) -> String {
    let mut line = String::from("curl");
    let mut piped = None;
    match *shown.method {
        Method::GET => {}
        // Told by -X alone, curl would wait for a body.
        Method::HEAD => line.push_str(" --head"),
        ref method => {
            line.push_str(" -X ");
            line.push_str(&word(method.as_str().as_bytes()));
        }
    }
    for option in shown.options {
        line.push(' ');
        line.push_str(option);
    }
    let url = &shown.url[..Position::AfterQuery];
    if url.contains(['[', ']', '{', '}']) {
        line.push_str(" --globoff");
    }
    line.push(' ');
    line.push_str(&word(url.as_bytes()));
    let body = shown.body.unwrap_or_default();
    for (name, value) in shown.headers {
        if !is_curls_own(name, value, shown.url, body) {
            line.push_str(" -H ");
            line.push_str(&word(&header(name, value)));
        }
    }
    if !body.is_empty() {
        if !shown.headers.contains_key(CONTENT_TYPE) {
            // curl would say that it is a form.
            line.push_str(" -H 'content-type:'");
        }
        if *shown.method == Method::GET {
            line.push_str(" -X GET");
        }
        if is_plain(body) && body.len() <= LONGEST_ARGUMENT {
            line.push_str(" --data-raw ");
            line.push_str(&word(body));
        } else {
            piped = Some(format!("printf '{}' | ", printf_format(body)));
            line.push_str(" --data-binary @-");
        }
    }
    if shown.body.is_none() {
        line.push_str(" # its body was a stream, which is gone");
    }
    piped.unwrap_or_default() + &line
}

/// Whether curl sends the header by itself.
fn is_curls_own(name: &HeaderName, value: &HeaderValue, url: &Url, body: &[u8]) -> bool {
    match *name {
        HOST => value.as_bytes() == url[Position::BeforeHost..Position::AfterPort].as_bytes(),
        ACCEPT => value == "*/*",
        CONTENT_LENGTH => !body.is_empty(),
        _ => false,
    }
}

/// A header as curl takes it: one without a value ends with a semicolon.
fn header(name: &HeaderName, value: &HeaderValue) -> Vec<u8> {
    if value.is_empty() {
        return format!("{name};").into_bytes();
    }
    [name.as_str().as_bytes(), b": ", value.as_bytes()].concat()
}

/// One word for `sh`, whatever bytes but NUL are in it, unless they end with a line break and are no text.
pub(crate) fn word(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_plain(bytes) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => format!("\"$(printf '{}')\"", printf_format(bytes)),
    }
}

/// Whether these bytes are text that a terminal shows and leaves as it is.
fn is_plain(bytes: &[u8]) -> bool {
    let shown = |char: char| !char.is_control() || matches!(char, '\n' | '\t');
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(shown))
}

/// The format, in single quotes, for which the `printf` of any POSIX shell prints these bytes.
fn printf_format(bytes: &[u8]) -> String {
    let mut format = String::with_capacity(bytes.len());
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            // At the start, a shell would take it for an option.
            b'-' if at == 0 => format.push_str(r"\055"),
            b'%' => format.push_str("%%"),
            b'\\' | b'\'' | 0..0x20 | 0x7f.. => {
                let _ = write!(format, "\\{byte:03o}");
            }
            _ => format.push(char::from(byte)),
        }
    }
    format
}

#[cfg(test)]
mod tests;
