//! What a server offers in `Set-Cookie`, and whether a jar takes it.
//! It is separate from the jar because here browsers ask for more than the store below does, and for bytes where that has text.

use cookie_store::{CookieDomain, CookieError as Refused, CookieStore, RawCookie};
use http::HeaderValue;
use url::{Host, Url};

/// The most bytes of name and value together, as in browsers.
const LONGEST: usize = 4096;

/// Cookies are bytes, and the store below holds text: a byte that is not ASCII stands as a character of its own in Unicode's
/// area for private use, which no part of the store takes for a space, a letter or a sign.
const PRIVATE: u32 = 0xf700;

pub(super) fn as_text(bytes: &[u8]) -> String {
    let private = |byte: u8| char::from_u32(PRIVATE + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER);
    bytes.iter().map(|&byte| if byte.is_ascii() { char::from(byte) } else { private(byte) }).collect()
}

/// The bytes that `text` stands for. A jar that was not written by this one may hold other characters: they stay.
pub(super) fn as_bytes(text: &str) -> impl Iterator<Item = u8> {
    text.chars().flat_map(|char| {
        let mut buffer = [0; 4];
        let length = match u32::from(char).checked_sub(PRIVATE).and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) if !byte.is_ascii() => {
                buffer[0] = byte;
                1
            }
            _ => char.encode_utf8(&mut buffer).len(),
        };
        buffer.into_iter().take(length)
    })
}

/// Puts what `url` offers into `store`, or says why it is refused.
pub(super) fn put(store: &mut CookieStore, url: &Url, offered: &HeaderValue) -> Result<(), &'static str> {
    let cookie = RawCookie::parse(as_text(offered.as_bytes())).map_err(|_| "it is not of the form `name=value`")?;
    if as_bytes(cookie.name()).chain(as_bytes(cookie.value())).count() > LONGEST {
        return Err("it is longer than 4096 bytes");
    }
    let secure = cookie.secure() == Some(true);
    if secure && !is_trusted(url) {
        return Err("it is `Secure`, and the URL is not https");
    }
    check_prefix(&cookie, secure)?;
    let cookie = narrowed(cookie, url)?;
    if !is_trusted(url) && hides_a_secure_one(store, url, &cookie) {
        return Err("one of this name that is `Secure` is there, and the URL is not https");
    }
    match store.insert_raw(&cookie, url) {
        // One that has expired already is how a cookie is erased, whether there was one or not.
        Ok(_) | Err(Refused::Expired) => Ok(()),
        Err(Refused::DomainMismatch) => Err("its `Domain` is not that of the URL"),
        Err(_) => Err("it makes no sense"),
    }
}

/// Whether nobody between here and the server can read along.
fn is_trusted(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    loopback || url.scheme() == "https"
}

/// A name may promise how its cookie was set.
fn check_prefix(cookie: &RawCookie<'_>, secure: bool) -> Result<(), &'static str> {
    let begins = |prefix: &str| cookie.name().get(..prefix.len()).is_some_and(|name| name.eq_ignore_ascii_case(prefix));
    if begins("__Secure-") && !secure {
        return Err("a name that begins with `__Secure-` is for cookies that are `Secure`");
    }
    if begins("__Host-") && !(secure && cookie.domain().is_none() && cookie.path() == Some("/")) {
        return Err(
            "a name that begins with `__Host-` is for cookies that are `Secure`, with `Path=/` and without `Domain`",
        );
    }
    Ok(())
}

/// The cookie, without a `Domain` that would hold for a whole top level: such as may only stand for the host itself.
fn narrowed(mut cookie: RawCookie<'static>, url: &Url) -> Result<RawCookie<'static>, &'static str> {
    let Some(domain) = cookie.domain() else {
        return Ok(cookie);
    };
    if domain.trim_matches('.').contains(['.', ':']) {
        return Ok(cookie);
    }
    if url.host_str().is_none_or(|host| !host.eq_ignore_ascii_case(domain.trim_matches('.'))) {
        return Err("its `Domain` is a whole top level");
    }
    cookie.unset_domain();
    Ok(cookie)
}

/// Whether a cookie from plain HTTP would stand before one that came by https.
fn hides_a_secure_one(store: &CookieStore, url: &Url, cookie: &RawCookie<'_>) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let below =
        |one: &str, other: &str| one == other || one.strip_suffix(other).is_some_and(|rest| rest.ends_with('.'));
    store.iter_unexpired().any(|kept| {
        let domain = match &kept.domain {
            CookieDomain::HostOnly(domain) | CookieDomain::Suffix(domain) => domain.as_str(),
            CookieDomain::NotPresent | CookieDomain::Empty => return false,
        };
        kept.secure() == Some(true) && kept.name() == cookie.name() && (below(host, domain) || below(domain, host))
    })
}
