//! What a server offers in `Set-Cookie`, and whether a jar takes it.
//! It is separate from the store because all that strangers write is judged here, by RFC 6265 and by what browsers ask for beyond it.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use url::{Host, Url};

use super::{
    date,
    store::{self, Kept, Store, belongs, is_trusted},
};

/// The most bytes of name and value together, as in browsers.
const LONGEST: usize = 4096;

/// Puts what `url` offers into `store`, or says why it is refused.
pub(super) fn put(store: &mut Store, url: &Url, offered: &HeaderValue) -> Result<(), &'static str> {
    let offer = Offer::parse(offered.as_bytes()).ok_or("it is not of the form `name=value`")?;
    if offer.name.len() + offer.value.len() > LONGEST {
        return Err("it is longer than 4096 bytes");
    }
    if offer.secure && !is_trusted(url) {
        return Err("it is `Secure`, and the URL is not https");
    }
    offer.check_prefix()?;
    let (domain, host_only) = offer.domain(url)?;
    let cookie = Kept {
        name: offer.name.to_owned(),
        value: offer.value.to_owned(),
        domain,
        host_only,
        path: offer.path(url).into_owned(),
        expires: offer.expires,
        secure: offer.secure,
        http_only: offer.http_only,
    };
    if !is_trusted(url) && hides_a_secure_one(store, url, &cookie) {
        return Err("one of this name that is `Secure` is there, and the URL is not https");
    }
    store.put(cookie);
    Ok(())
}

/// What is said in a `Set-Cookie`.
struct Offer<'a> {
    name: &'a [u8],
    value: &'a [u8],
    /// Neither is there where it is said to be nothing.
    domain: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    expires: Option<SystemTime>,
    secure: bool,
    http_only: bool,
}

impl<'a> Offer<'a> {
    /// RFC 6265, 5.2, without cookies that have no name. Of attributes of one name, the last counts.
    fn parse(text: &'a [u8]) -> Option<Self> {
        let mut parts = text.split(|byte| *byte == b';');
        let (name, value) = pair(parts.next()?);
        let (name, value) = Some((name, value?)).filter(|(name, _)| !name.is_empty())?;
        let mut offer = Self { name, value, domain: None, path: None, expires: None, secure: false, http_only: false };
        let (mut max_age, mut date) = (None, None);
        for (name, value) in parts.map(pair) {
            match (name.to_ascii_lowercase().as_slice(), value) {
                (b"domain", Some(domain)) if !domain.is_empty() => offer.domain = Some(domain),
                (b"path", Some(path)) => offer.path = Some(path).filter(|path| path.starts_with(b"/")),
                (b"max-age", Some(age)) => max_age = seconds(age).or(max_age),
                (b"expires", Some(text)) => date = date::parse(text).or(date),
                (b"secure", _) => offer.secure = true,
                (b"httponly", _) => offer.http_only = true,
                _ => {}
            }
        }
        offer.expires =
            max_age.map(|age| if age.is_zero() { SystemTime::UNIX_EPOCH } else { store::after(age) }).or(date);
        Some(offer)
    }

    /// A name may promise how its cookie was set.
    fn check_prefix(&self) -> Result<(), &'static str> {
        let begins =
            |prefix: &[u8]| self.name.get(..prefix.len()).is_some_and(|name| name.eq_ignore_ascii_case(prefix));
        if begins(b"__Secure-") && !self.secure {
            return Err("a name that begins with `__Secure-` is for cookies that are `Secure`");
        }
        if begins(b"__Host-") && !(self.secure && self.domain.is_none() && self.path == Some(b"/")) {
            return Err(
                "a name that begins with `__Host-` is for cookies that are `Secure`, with `Path=/` and without `Domain`",
            );
        }
        Ok(())
    }

    /// The domain that it is for, and whether it is for that host alone.
    fn domain(&self, url: &Url) -> Result<(String, bool), &'static str> {
        let host = url.host().ok_or("the URL has no host")?;
        let Some(domain) = self.domain else {
            return Ok((host.to_string(), true));
        };
        let domain = str::from_utf8(domain).map_err(|_| "its `Domain` is no text")?;
        let bare = domain.trim_matches('.');
        if !bare.contains(['.', ':']) {
            // It would hold for a whole top level: such as may only stand for the host itself.
            return match host {
                Host::Domain(name) if name.eq_ignore_ascii_case(bare) => Ok((name.to_owned(), true)),
                _ => Err("its `Domain` is a whole top level"),
            };
        }
        let domain = Host::parse(domain.strip_prefix('.').unwrap_or(domain)).map_err(|_| "its `Domain` is none")?;
        let domain = domain.to_string();
        if belongs(&host, &domain) { Ok((domain, false)) } else { Err("its `Domain` is not that of the URL") }
    }

    /// The path that it is for: that of the URL without its last part, unless another is said.
    fn path(&self, url: &Url) -> Cow<'_, str> {
        match self.path {
            Some(path) => String::from_utf8_lossy(path),
            None => match url.path().rfind('/') {
                None | Some(0) => Cow::Borrowed("/"),
                Some(at) => Cow::Owned(url.path()[..at].to_owned()),
            },
        }
    }
}

/// What is before and after the first `=`, without the space around it.
fn pair(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b'=') {
        Some(at) => (text[..at].trim_ascii(), Some(text[at + 1..].trim_ascii())),
        None => (text.trim_ascii(), None),
    }
}

/// A `Max-Age`. None is less than nothing, and what is too large for a number is for ever.
fn seconds(text: &[u8]) -> Option<Duration> {
    let (is_negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = || str::from_utf8(digits).ok()?.parse().ok();
    Some(if is_negative { Duration::ZERO } else { seconds().map_or(Duration::MAX, Duration::from_secs) })
}

/// Whether a cookie from plain HTTP would stand before one that came by https.
fn hides_a_secure_one(store: &Store, url: &Url, cookie: &Kept) -> bool {
    let Some(host) = url.host() else {
        return false;
    };
    let name = host.to_string();
    store.all().filter(|kept| kept.secure && kept.name == cookie.name).any(|kept| {
        let above = kept.domain.strip_suffix(&name).is_some_and(|above| above.ends_with('.'));
        above || belongs(&host, &kept.domain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_its_end() {
        let year_2000 = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(946_684_800));
        let over = Some(SystemTime::UNIX_EPOCH);
        let table = [
            ("a=1", None),
            ("a=1; Expires=Sat, 01 Jan 2000 00:00:00 GMT", year_2000),
            ("a=1; expires = Saturday, 01-Jan-00 00:00:00 GMT ; Path=/", year_2000),
            ("a=1; Expires=never", None),
            ("a=1; Expires", None),
            ("a=1; Expires=Sat, 01 Jan 2000 00:00:00 GMT; Expires=never", year_2000),
            // Max-Age comes first.
            ("a=1; Max-Age=0; Expires=Sat, 01 Jan 2000 00:00:00 GMT", over),
            ("a=1; Max-Age=-1", over),
            ("a=1; Max-Age=-99999999999999999999", over),
            ("a=1; Max-Age=soon; Expires=Sat, 01 Jan 2000 00:00:00 GMT", year_2000),
            ("a=1; Max-Age=", None),
            ("a=1; Max-Age=+1", None),
        ];
        for (text, expires) in table {
            assert_eq!(Offer::parse(text.as_bytes()).unwrap().expires, expires, "{text}");
        }
        let lasting = |text: &str| Offer::parse(text.as_bytes()).unwrap().expires.unwrap();
        assert_eq!(lasting("a=1; Max-Age=99999999999999999999"), store::after(Duration::MAX));
        assert!(lasting("a=1; Max-Age=60") > SystemTime::now());
    }

    #[test]
    fn where_it_is_for() {
        let table = [
            ("http://app.test/", "a=1", "app.test", true, "/"),
            ("http://app.test/x", "a=1", "app.test", true, "/"),
            ("http://app.test/x/y", "a=1", "app.test", true, "/x"),
            ("http://app.test/x/y/", "a=1", "app.test", true, "/x/y"),
            ("http://app.test/x/y", "a=1; Path=", "app.test", true, "/x"),
            ("http://app.test/x/y", "a=1; Path=z", "app.test", true, "/x"),
            ("http://app.test/x/y", "a=1; PATH = /z ", "app.test", true, "/z"),
            ("http://app.test/x/y", "a=1; Path=/z; Path", "app.test", true, "/z"),
            ("http://www.app.test/", "a=1; Domain=.APP.test", "app.test", false, "/"),
            ("http://app.test/", "a=1; Domain=app.test; Domain=", "app.test", false, "/"),
            ("http://xn--bcher-kva.test/", "a=1; Domain=bücher.test", "xn--bcher-kva.test", false, "/"),
            ("http://[::1]/", "a=1", "[::1]", true, "/"),
            ("http://[::1]/", "a=1; Domain=[::1]", "[::1]", false, "/"),
            ("http://1.2.3.4/", "a=1; Domain=1.2.3.4", "1.2.3.4", false, "/"),
        ];
        for (from, text, domain, host_only, path) in table {
            let url: Url = from.parse().unwrap();
            let offer = Offer::parse(text.as_bytes()).unwrap();
            assert_eq!(offer.domain(&url).unwrap(), (domain.to_owned(), host_only), "{text} from {from}");
            assert_eq!(offer.path(&url), path, "{text} from {from}");
        }
    }
}
