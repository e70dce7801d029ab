//! Whether a response sends its request elsewhere, and what is then asked for there.
//! It is separate and pure, because it decides what may leave an origin: tables and arbitrary bytes test it.

use std::fmt::Write as _;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, COOKIE, EXPECT, LOCATION, PROXY_AUTHORIZATION, TRAILER, TRANSFER_ENCODING},
};
use url::Url;

use crate::error::{Class, Fault};

/// What is done unless a session says otherwise.
pub(crate) const USUAL: Redirects = Redirects::UpTo(10);

/// What is done about redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// So many are followed; one more is an error.
    UpTo(u32),
    /// They are responses as any other.
    NotFollowed,
}

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    /// Whether its body can be sent a second time.
    pub(crate) replayable: bool,
    /// How many redirects led to it.
    pub(crate) hops: u32,
}

/// What is to be asked for next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Follow {
    pub(crate) method: Method,
    /// With the credentials that the server may have put into it, and those only.
    pub(crate) url: Url,
    /// Whether the body goes along, and the headers that tell of it.
    pub(crate) keeps_body: bool,
    /// Whether what was said to this origin in confidence may be said to the next.
    pub(crate) same_origin: bool,
}

/// Where a response with this status and these headers sends the request, if it does and is followed.
///
/// # Errors
///
/// Class `redirect`: it is sent on once too often, to what is no place of HTTP, or with a body that is gone.
pub(crate) fn decide(
    status: StatusCode,
    headers: &HeaderMap,
    asked: Asked<'_>,
    redirects: Redirects,
) -> Result<Option<Follow>, Fault> {
    let (Redirects::UpTo(limit), 301 | 302 | 303 | 307 | 308) = (redirects, status.as_u16()) else {
        return Ok(None);
    };
    let Some(location) = location(headers)? else {
        return Ok(None);
    };
    let url = resolve(asked.url, location)?;
    if asked.hops >= limit {
        let what = format!("redirected more than {limit} times, at last to `{}`", shown(&url));
        return Err(Fault::new(Class::Redirect, what));
    }
    let becomes_get = match status.as_u16() {
        301 | 302 => asked.method == Method::POST,
        303 => asked.method != Method::GET && asked.method != Method::HEAD,
        _ => false,
    };
    if !becomes_get && !asked.replayable {
        let what = format!("redirected by {status} to `{}`, but {GONE}", shown(&url));
        return Err(Fault::new(Class::Redirect, what));
    }
    let same_origin = url.origin() == asked.url.origin();
    let method = if becomes_get { Method::GET } else { asked.method.clone() };
    Ok(Some(Follow { method, url, keeps_body: !becomes_get, same_origin }))
}

const GONE: &str = "its body was a stream, which cannot be sent a second time: send bytes, or turn redirects off";

/// The value of `Location`; an empty one is none, as for browsers.
fn location(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Fault> {
    let mut values = headers.get_all(LOCATION).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.any(|other| other != first) {
        return Err(Fault::new(
            Class::Redirect,
            "redirected to several places at once: there are different `Location`s",
        ));
    }
    Ok(Some(first).filter(|value| !value.as_bytes().trim_ascii().is_empty()))
}

/// `location`, seen from `url`, whose fragment it inherits.
fn resolve(url: &Url, location: &HeaderValue) -> Result<Url, Fault> {
    let text = percent_encoded(location.as_bytes());
    let mut next = url.join(&text).map_err(|error| {
        let what = format!("redirected to `{}`, which is not a URL", text.rsplit('@').next().unwrap_or_default());
        Fault::new(Class::Redirect, what).because(error)
    })?;
    if !matches!(next.scheme(), "http" | "https") || !next.has_host() {
        let what = format!("redirected to `{}`, which is not a URL of http:// or https://", shown(&next));
        return Err(Fault::new(Class::Redirect, what));
    }
    if next.fragment().is_none() {
        next.set_fragment(url.fragment());
    }
    Ok(next)
}

/// The bytes as text; those that are not ASCII are written as browsers do, `%E9`.
fn percent_encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// A URL for people, without credentials.
fn shown(url: &Url) -> Url {
    let mut shown = url.clone();
    // These only fail for URLs without a host, which have no credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown
}

/// Whether a header was meant for one origin alone: those of HTTP itself, and what is marked as sensitive.
pub(crate) fn is_confidential(name: &HeaderName, value: &HeaderValue) -> bool {
    matches!(*name, AUTHORIZATION | COOKIE | PROXY_AUTHORIZATION) || value.is_sensitive()
}

/// Whether a header tells of the body, and goes with it.
pub(crate) fn is_of_body(name: &HeaderName) -> bool {
    name.as_str().starts_with("content-") || matches!(*name, TRANSFER_ENCODING | TRAILER | EXPECT)
}

#[cfg(test)]
mod tests;
