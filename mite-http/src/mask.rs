//! What must not be read in a report: passwords, tokens and cookies in the text of an exchange.
//! It is separate and pure, because the promise that no secret comes through is tested on arbitrary ones.

use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_LOCATION, COOKIE, LOCATION, PROXY_AUTHORIZATION, REFERER, SET_COOKIE},
};
use url::{Position, Url};

use percent_encoding::percent_decode;

const MASK: &str = "***";

/// A name that has one of these in it stands for a secret, in small letters and digits alone.
const PARTS: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "credential",
    "authorization",
    "cookie",
    "jwt",
    "sessionid",
    "signature",
    "bearer",
    "authkey",
];

/// A name that is one of these does.
const WHOLE: [&str; 9] = ["pass", "pwd", "pw", "pin", "otp", "auth", "sid", "sig", "session"];

/// Schemes of `Authorization` that may be shown: what follows them is secret.
const SCHEMES: [&str; 5] = ["Basic", "Bearer", "Digest", "Negotiate", "NTLM"];

/// What stands for a secret, beside the usual names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Masks<'a> {
    names: &'a [String],
}

impl<'a> Masks<'a> {
    pub(crate) fn new(names: &'a [String]) -> Self {
        Self { names }
    }

    /// Whether what stands under this name is secret.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let name = plain(name);
        PARTS.iter().any(|part| name.contains(part))
            || WHOLE.contains(&&*name)
            || self.names.iter().any(|own| plain(own) == name)
    }

    /// The value of a header as it may be shown.
    pub(crate) fn header(&self, name: &HeaderName, value: &HeaderValue) -> String {
        let text = String::from_utf8_lossy(value.as_bytes());
        if *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION {
            let scheme =
                text.split(' ').next().and_then(|word| SCHEMES.iter().find(|it| it.eq_ignore_ascii_case(word)));
            return scheme.map_or_else(|| MASK.to_owned(), |scheme| format!("{scheme} {MASK}"));
        }
        if value.is_sensitive() {
            return MASK.to_owned();
        }
        match *name {
            COOKIE => text.split(';').map(|pair| named(pair.trim())).collect::<Vec<_>>().join("; "),
            SET_COOKIE => match text.split_once(';') {
                Some((pair, attributes)) => format!("{};{attributes}", named(pair)),
                None => named(&text),
            },
            _ if self.covers(name.as_str()) => MASK.to_owned(),
            LOCATION | CONTENT_LOCATION | REFERER => self.link(&text),
            _ => text.into_owned(),
        }
    }

    /// A URL as it may be shown.
    pub(crate) fn url(&self, url: &Url) -> String {
        self.link(&url[..Position::AfterQuery])
    }

    /// The text of a URL, which may be relative, or none.
    pub(crate) fn link(&self, text: &str) -> String {
        let (text, fragment) = text.split_once('#').map_or((text, None), |(text, fragment)| (text, Some(fragment)));
        let (text, query) = text.split_once('?').map_or((text, None), |(text, query)| (text, Some(query)));
        // What is before an `@` in the authority is a user's name and password.
        let authority = text.find("//").map_or(text.len(), |slashes| slashes + 2);
        let end = text[authority..].find(['/', '\\']).map_or(text.len(), |length| authority + length);
        let mut shown = match text[authority..end].rfind('@') {
            Some(at) => format!("{}{MASK}{}", &text[..authority], &text[authority + at..]),
            None => text.to_owned(),
        };
        for (sign, part) in [('?', query), ('#', fragment)] {
            if let Some(part) = part {
                shown.push(sign);
                shown.push_str(&self.form(part));
            }
        }
        shown
    }

    /// A query or a form.
    pub(crate) fn form(&self, text: &str) -> String {
        let masked = |pair: &str| match pair.split_once('=') {
            Some((name, _))
                if self.covers(&String::from_utf8_lossy(&percent_decode(name.as_bytes()).collect::<Vec<u8>>())) =>
            {
                format!("{name}={MASK}")
            }
            _ => pair.to_owned(),
        };
        text.split('&').map(masked).collect::<Vec<_>>().join("&")
    }

    /// A body of this `Content-Type`, or the beginning of one. Forms, parts of forms and JSON are looked through.
    pub(crate) fn body(&self, content_type: &str, text: &str) -> String {
        let kind = content_type.to_ascii_lowercase();
        if kind.starts_with("multipart/") {
            return self.parts(text);
        }
        if kind.contains("x-www-form-urlencoded") {
            return self.form(text);
        }
        if kind.contains("json") || text.trim_start().starts_with(['{', '[', '"']) {
            return self.json(text);
        }
        if text.contains('=') && !text.trim_end().contains(char::is_whitespace) {
            return self.form(text);
        }
        text.to_owned()
    }

    /// JSON, whole or cut off, or several documents: a string before a colon is a name, whatever is around it.
    fn json(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('"') {
            let (name, after) = rest[start..].split_at(string_end(&rest[start..]));
            shown.push_str(&rest[..start]);
            shown.push_str(name);
            rest = after;
            if let Some(value) = after.trim_start().strip_prefix(':')
                && self.covers(&unescaped(name))
            {
                let value = value.trim_start();
                shown.push_str(&after[..after.len() - value.len()]);
                shown.push_str("\"***\"");
                rest = &value[value_end(value)..];
            }
        }
        shown.push_str(rest);
        shown
    }

    /// The parts of a form; the boundary is the text's first line.
    fn parts(&self, text: &str) -> String {
        let boundary = text.trim_start().lines().next().filter(|line| line.starts_with("--") && line.len() > 2);
        let Some(boundary) = boundary else {
            // Without one it cannot be told what belongs to what.
            return if text.is_empty() { String::new() } else { MASK.to_owned() };
        };
        let masked = |part: &str| match part.split_once("\r\n\r\n") {
            Some((head, _)) if self.covers(part_name(head)) => format!("{head}\r\n\r\n{MASK}\r\n"),
            _ => part.to_owned(),
        };
        text.split(boundary).map(masked).collect::<Vec<_>>().join(boundary)
    }
}

/// `name=value` without the value.
fn named(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) => format!("{name}={MASK}"),
        None => MASK.to_owned(),
    }
}

/// What names are compared by.
fn plain(name: &str) -> String {
    name.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Where a string of JSON ends that begins with the quote at the start of `text`.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Where a value of JSON ends that begins at the start of `text`, whatever is nested in it.
fn value_end(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => {
                at += string_end(&text[at..]);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// A string of JSON without its quotes and escapes, as far as it has them.
fn unescaped(string: &str) -> String {
    serde_json::from_str(string).unwrap_or_else(|_| string.trim_matches('"').to_owned())
}

/// What the head of a part calls it.
fn part_name(head: &str) -> &str {
    head.match_indices("name=")
        // `filename=` ends so too.
        .find(|(at, _)| !head[..*at].ends_with(|char: char| char.is_alphanumeric()))
        .and_then(|(at, found)| head[at + found.len()..].split([';', '\r', '\n']).next())
        .map_or("", |name| name.trim_matches('"'))
}

#[cfg(test)]
mod tests;
