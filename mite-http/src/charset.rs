//! The text of a body, by the charset that its `Content-Type` names.
//! It is separate from the response because it is a pure function of two values.

use encoding_rs::{Encoding, UTF_8};

use crate::error::{Class, Fault};

/// The text of `body`: by its byte order mark, else by the charset of `content_type`, else as UTF-8.
pub(crate) fn decode(content_type: Option<&[u8]>, body: &[u8]) -> Result<String, Fault> {
    let (encoding, label, body) = match Encoding::for_bom(body) {
        Some((encoding, mark)) => (encoding, encoding.name().to_owned(), &body[mark..]),
        None => match content_type.and_then(charset) {
            None => (UTF_8, UTF_8.name().to_owned(), body),
            Some(label) => {
                let shown = String::from_utf8_lossy(label).into_owned();
                let encoding = Encoding::for_label(label).ok_or_else(|| unknown(&shown))?;
                (encoding, shown, body)
            }
        },
    };
    if encoding == UTF_8 {
        return match std::str::from_utf8(body) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(malformed("UTF-8").because(error)),
        };
    }
    let text = encoding.decode_without_bom_handling_and_without_replacement(body);
    text.map(std::borrow::Cow::into_owned).ok_or_else(|| malformed(&label))
}

fn malformed(charset: &str) -> Fault {
    Fault::new(Class::Decode, format!("failed to decode the body as {charset}"))
}

fn unknown(charset: &str) -> Fault {
    Fault::new(Class::Decode, format!("failed to decode the body: its charset `{charset}` is not known"))
}

/// The charset that a `Content-Type` names.
fn charset(content_type: &[u8]) -> Option<&[u8]> {
    parameters(content_type).find(|(name, _)| name.eq_ignore_ascii_case(b"charset")).map(|(_, value)| value)
}

/// The parameters of a media type. A quoted value is taken without its quotes; escapes within it stay, since no charset
/// has any.
fn parameters(media_type: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = after(media_type, b';');
    std::iter::from_fn(move || {
        loop {
            let current = rest?.trim_ascii_start();
            let Some(equals) = current.iter().position(|byte| matches!(byte, b'=' | b';')) else {
                rest = None;
                continue;
            };
            let (name, tail) = (&current[..equals], &current[equals + 1..]);
            if current[equals] == b';' {
                rest = Some(tail);
                continue;
            }
            let value = if let Some(quoted) = tail.trim_ascii_start().strip_prefix(b"\"") {
                let end = quoted.iter().position(|byte| *byte == b'"').unwrap_or(quoted.len());
                rest = after(&quoted[end..], b';');
                &quoted[..end]
            } else {
                let end = tail.iter().position(|byte| *byte == b';').unwrap_or(tail.len());
                rest = after(tail, b';');
                tail[..end].trim_ascii()
            };
            return Some((name.trim_ascii(), value));
        }
    })
}

/// What follows the first `byte`.
fn after(bytes: &[u8], byte: u8) -> Option<&[u8]> {
    bytes.iter().position(|other| *other == byte).map(|at| &bytes[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content_type: Option<&str>, body: &[u8]) -> String {
        match decode(content_type.map(str::as_bytes), body) {
            Ok(text) => text,
            Err(fault) => fault.of_none().to_string(),
        }
    }

    #[test]
    fn the_mark_comes_before_the_charset_and_that_before_utf_8() {
        let table: [(Option<&str>, &[u8], &str); 14] = [
            (None, "caf\u{e9}".as_bytes(), "caf\u{e9}"),
            (Some("text/plain"), "caf\u{e9}".as_bytes(), "caf\u{e9}"),
            (Some("text/plain; charset=utf-8"), b"\xef\xbb\xbfcaf\xc3\xa9", "caf\u{e9}"),
            (Some("text/plain; charset=iso-8859-1"), b"caf\xe9", "caf\u{e9}"),
            (Some("text/plain;charset=\"ISO-8859-1\""), b"caf\xe9", "caf\u{e9}"),
            (Some("text/plain; format=flowed; CharSet = windows-1252 "), b"\x80", "\u{20ac}"),
            (Some("text/plain; title=\"a;charset=x\"; charset=latin1"), b"\xe9", "\u{e9}"),
            (Some("text/plain; strange; charset=shift_jis"), b"\x83\x65", "\u{30c6}"),
            (Some("text/plain; charset=latin1"), b"\xff\xfea\0", "a"),
            (None, b"\xfe\xff\0a", "a"),
            (Some("text/plain; charset=utf-16le"), b"a\0", "a"),
            (
                Some("text/plain; charset=klingon"),
                b"a",
                "failed to decode the body: its charset `klingon` is not known",
            ),
            (Some("text/plain; charset=euc-jp"), b"\xff", "failed to decode the body as euc-jp"),
            (None, b"\xff", "failed to decode the body as UTF-8"),
        ];
        for (content_type, body, expected) in table {
            assert_eq!(text(content_type, body), expected, "{content_type:?} {body:?}");
        }
    }

    #[test]
    fn media_types_that_make_no_sense_name_no_charset() {
        for content_type in ["", ";", ";;", "text/plain; charset", "a;=;", "a;\"", "a; b=\"c", "charset=latin1"] {
            assert_eq!(charset(content_type.as_bytes()), None, "{content_type}");
        }
    }
}
