//! A value of MessagePack as a line of JSON that says all of it.
//!
//! It is apart from the way back, with which it has only the steps of MessagePack in common.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::token::{Token, whole};

/// Deeper values are written as they are packed: whoever reads the line need not follow, and no stack is eaten up.
const DEEPEST: usize = 64;
/// What is a time in each message, in Unix seconds.
const TIMES: [&[u8]; 3] = [b"time", b"start_time", b"end_time"];

/// The line for one whole value, without its end; `prettify` writes the times of messages as dates.
pub(super) fn line(value: &[u8], prettify: bool) -> String {
    let mut writer = Writer { line: String::with_capacity(2 * value.len()), prettify };
    let mut rest = value;
    if writer.value(&mut rest, 0).is_none() {
        // What is no MessagePack is not asked for; it would be told as it is.
        writer.line.clear();
        writer.raw(value);
    }
    writer.line
}

/// Its first second, in Unix seconds: dates have four digits of a year.
const YEAR_10000: u64 = 253_402_300_800;

struct Writer {
    line: String,
    prettify: bool,
}

impl Writer {
    /// Writes the value that `bytes` begin with; `None` where there is none.
    fn value(&mut self, bytes: &mut &[u8], depth: usize) -> Option<()> {
        let all = *bytes;
        let token = Token::take(bytes)?;
        let head = &all[..all.len() - bytes.len()];
        let nests = matches!(token, Token::Array(_) | Token::Map(_));
        if !comes_back(token, head) || (nests && depth >= DEEPEST) {
            *bytes = all;
            self.raw(whole(bytes)?);
            return Some(());
        }
        match token {
            Token::Array(values) => {
                self.line.push('[');
                for index in 0..values {
                    self.separator(index);
                    self.value(bytes, depth + 1)?;
                }
                self.line.push(']');
            }
            Token::Map(entries) => {
                self.line.push('{');
                for index in 0..entries {
                    self.separator(index);
                    let key = self.key(bytes)?;
                    self.line.push_str(": ");
                    let is_time = self.prettify && depth == 0 && TIMES.contains(&key);
                    match is_time.then(|| date(bytes)).flatten() {
                        Some(date) => {
                            whole(bytes)?;
                            self.text(&date);
                        }
                        None => self.value(bytes, depth + 1)?,
                    }
                }
                self.line.push('}');
            }
            plain => self.plain(plain),
        }
        Some(())
    }

    fn separator(&mut self, index: u32) {
        if index > 0 {
            self.line.push_str(", ");
        }
    }

    fn plain(&mut self, token: Token<'_>) {
        match token {
            Token::Str(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => self.text(text),
                Err(_) => self.escape("$str64", &quoted(&BASE64.encode(bytes))),
            },
            Token::Bin(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => self.escape("$bin", &quoted(text)),
                Err(_) => self.escape("$bin64", &quoted(&BASE64.encode(bytes))),
            },
            Token::Ext(kind, bytes) => self.escape("$ext", &format!("[{kind}, \"{}\"]", BASE64.encode(bytes))),
            Token::F32(value) => self.escape("$f32", &float(value.into(), || number(&value))),
            Token::F64(value) if !value.is_finite() => self.escape("$f64", &float(value, String::new)),
            other => self.line.push_str(&scalar(other).unwrap_or_default()),
        }
    }

    /// Writes a key, which must be text in JSON; gives it as it was where it is text.
    fn key<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        let all = *bytes;
        let token = Token::take(bytes)?;
        let head = &all[..all.len() - bytes.len()];
        match token {
            Token::Str(text) if comes_back(token, head) && std::str::from_utf8(text).is_ok() => {
                let text_only = std::str::from_utf8(text).ok()?;
                let doubled = if text_only.starts_with('$') { "$" } else { "" };
                self.text(&format!("{doubled}{text_only}"));
                return Some(text);
            }
            _ => {}
        }
        if let Some(scalar) = scalar(token).filter(|_| comes_back(token, head)) {
            self.text(&format!("${scalar}"));
        } else {
            *bytes = all;
            let key = format!("$raw:{}", hex(whole(bytes)?));
            self.text(&key);
        }
        Some(&[])
    }

    fn text(&mut self, text: &str) {
        self.line.push_str(&quoted(text));
    }

    fn escape(&mut self, name: &str, json: &str) {
        let _ = write!(self.line, "{{\"{name}\": {json}}}");
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.escape("$raw", &quoted(&hex(bytes)));
    }
}

/// Whether what is packed like this comes back from JSON: it is in its shortest form, and no NaN of a rare kind.
fn comes_back(token: Token<'_>, head: &[u8]) -> bool {
    let mut written = Vec::with_capacity(head.len());
    let token = match token {
        Token::F32(value) if value.is_nan() => Token::F32(f32::NAN),
        Token::F64(value) if value.is_nan() => Token::F64(f64::NAN),
        other => other,
    };
    token.write(&mut written).is_some() && written == head
}

/// What JSON can say plainly, but for text.
fn scalar(token: Token<'_>) -> Option<String> {
    match token {
        Token::Nil => Some("null".to_owned()),
        Token::Bool(value) => Some(value.to_string()),
        Token::Uint(value) => Some(value.to_string()),
        Token::Int(value) => Some(value.to_string()),
        Token::F64(value) if value.is_finite() => Some(number(&value)),
        _ => None,
    }
}

/// A number that is finite: the shortest text that reads as the same one, with a point or an exponent.
fn number<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A number that may be none.
fn float(value: f64, finite: impl FnOnce() -> String) -> String {
    match value {
        _ if value.is_nan() => "\"NaN\"".to_owned(),
        f64::INFINITY => "\"Infinity\"".to_owned(),
        f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
        _ => finite(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The number that comes next as a date, where it is one from 1970 to 9999.
fn date(mut bytes: &[u8]) -> Option<String> {
    let seconds = match Token::take(&mut bytes)? {
        Token::Uint(seconds) => Duration::from_secs(seconds),
        Token::F64(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Token::F32(seconds) => Duration::try_from_secs_f64(seconds.into()).ok()?,
        _ => return None,
    };
    let time = std::time::UNIX_EPOCH.checked_add(seconds)?;
    (seconds.as_secs() < YEAR_10000).then(|| humantime::format_rfc3339_micros(time).to_string())
}
