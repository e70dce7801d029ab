//! Headers as journeys give them, and maps of them put together.
//! It is separate because settings, requests and the parts of a form all have headers.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, HOST, USER_AGENT},
};

const MITE: HeaderValue = HeaderValue::from_static(concat!("mite/", env!("CARGO_PKG_VERSION")));
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");

/// What each request to a server says, unless it says otherwise.
#[derive(Debug)]
pub(crate) struct Preset {
    map: HeaderMap,
    /// The same as lines of HTTP/1.1.
    lines: Box<[u8]>,
}

impl Preset {
    const NAMES: [HeaderName; 3] = [HOST, USER_AGENT, ACCEPT];

    pub(crate) fn of(host: HeaderValue) -> Self {
        let mut map = HeaderMap::with_capacity(8);
        let mut lines = Vec::new();
        for (name, value) in Self::NAMES.into_iter().zip([host, MITE, ANYTHING]) {
            write(&mut lines, &name, &value, b"");
            map.insert(name, value);
        }
        Self { map, lines: lines.into() }
    }

    /// As lines of HTTP/1.1.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }
}

/// The headers of a request. Most requests say little besides what each says to their server: that is not copied for them.
#[derive(Debug, Clone)]
pub(crate) struct Layered<'a> {
    /// None of these names is in the request's own.
    preset: Option<&'a Preset>,
    own: Own<'a>,
}

/// As a `Cow` of a map, which is six times as large, and part of each request's future.
#[derive(Debug, Clone)]
enum Own<'a> {
    Borrowed(&'a HeaderMap),
    Owned(Box<HeaderMap>),
}

impl<'a> From<Cow<'a, HeaderMap>> for Own<'a> {
    fn from(headers: Cow<'a, HeaderMap>) -> Self {
        match headers {
            Cow::Borrowed(headers) => Self::Borrowed(headers),
            Cow::Owned(headers) => Self::Owned(Box::new(headers)),
        }
    }
}

impl<'a> Layered<'a> {
    pub(crate) fn new(preset: &'a Preset, own: Cow<'a, HeaderMap>) -> Self {
        let layered = Self { preset: Some(preset), own: own.into() };
        if layered.own().keys().any(|name| Preset::NAMES.contains(name)) {
            return Self::alone(Cow::Owned(layered.merged()));
        }
        layered
    }

    /// These, and nothing else.
    pub(crate) fn alone(headers: Cow<'a, HeaderMap>) -> Self {
        Self { preset: None, own: headers.into() }
    }

    /// What is said besides the preset.
    pub(crate) fn own(&self) -> &HeaderMap {
        match &self.own {
            Own::Borrowed(headers) => headers,
            Own::Owned(headers) => headers,
        }
    }

    /// The same, to be changed: nothing is put there that the preset says.
    pub(crate) fn own_mut(&mut self) -> &mut HeaderMap {
        if let Own::Borrowed(headers) = self.own {
            self.own = Own::Owned(Box::new(headers.clone()));
        }
        match &mut self.own {
            Own::Borrowed(_) => unreachable!("it has just been made its own"),
            Own::Owned(headers) => headers,
        }
    }

    /// The preset as lines of HTTP/1.1.
    pub(crate) fn preset_lines(&self) -> &'a [u8] {
        self.preset.map_or(&[], Preset::lines)
    }

    /// All of them.
    pub(crate) fn merged(&self) -> HeaderMap {
        let Some(preset) = self.preset else { return self.own().clone() };
        let mut map = preset.map.clone();
        replace(&mut map, self.own());
        map
    }
}

/// Writes a line of HTTP/1.1; `behind` stands behind the value.
pub(crate) fn write(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue, behind: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), behind, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// A header from whatever a journey has for its name and its value.
pub(crate) fn parse(
    name: impl TryInto<HeaderName, Error: Into<http::Error>>,
    value: impl TryInto<HeaderValue, Error: Into<http::Error>>,
) -> Result<(HeaderName, HeaderValue), http::Error> {
    Ok((name.try_into().map_err(Into::into)?, value.try_into().map_err(Into::into)?))
}

/// Puts the headers of `new` in the place of those in `old` that have their names.
pub(crate) fn replace(old: &mut HeaderMap, new: &HeaderMap) {
    let mut current = None;
    // The values of one name come one after the other.
    for (name, value) in new {
        if current == Some(name) {
            old.append(name.clone(), value.clone());
        } else {
            old.insert(name.clone(), value.clone());
            current = Some(name);
        }
    }
}

/// Takes out the names of which a value is `unwanted`.
pub(crate) fn remove(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName, &HeaderValue) -> bool) {
    let names: Vec<_> =
        headers.iter().filter(|(name, value)| unwanted(name, value)).map(|(name, _)| name.clone()).collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_the_preset_once_and_where_it_says_it_itself_not_at_all() {
        let preset = Preset::of(HeaderValue::from_static("h:1"));
        let mite = MITE;
        let mite = mite.to_str().unwrap();
        let own = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let table = [
            // Its own, lines of the preset, names and values in their order.
            (HeaderMap::new(), true, vec!["h:1", mite, "*/*"]),
            (own(http::header::TE, "trailers"), true, vec!["h:1", mite, "*/*", "trailers"]),
            (own(ACCEPT, "text/html"), false, vec!["h:1", mite, "text/html"]),
            (own(HOST, "other"), false, vec!["other", mite, "*/*"]),
        ];
        for (own, has_lines, values) in table {
            let layered = Layered::new(&preset, Cow::Borrowed(&own));
            assert_eq!(layered.preset_lines(), if has_lines { preset.lines() } else { b"" }, "{own:?}");
            let merged = layered.merged();
            assert_eq!(merged.values().map(|value| value.to_str().unwrap()).collect::<Vec<_>>(), values);
        }
    }
}
