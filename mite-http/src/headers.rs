//! Headers as journeys give them, and maps of them put together.
//! It is separate because settings, requests and the parts of a form all have headers.

use http::{HeaderMap, HeaderName, HeaderValue};

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
