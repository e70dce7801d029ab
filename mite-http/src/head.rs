//! The head of a response.
//! It is separate from the response because most journeys never look at its headers, and a map of them takes longer to make than
//! all the rest of a head takes to read: it is made when somebody asks.

use std::{mem::MaybeUninit, sync::OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header::SET_COOKIE, response::Parts};

/// The most headers that a head may have, as with hyper.
pub(crate) const MAX_HEADERS: usize = 100;

#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: Headers,
}

impl From<Parts> for Head {
    fn from(parts: Parts) -> Self {
        Self { status: parts.status, version: parts.version, headers: parts.headers.into() }
    }
}

/// The headers of a response.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers {
    /// The head of HTTP/1.1 that they were in, if they are of one.
    raw: Box<[u8]>,
    sets_cookies: bool,
    /// Boxed, because it is large, and a response is moved often.
    map: OnceLock<Box<HeaderMap>>,
}

impl Headers {
    /// The headers of a head of HTTP/1.1 that is well formed.
    pub(crate) fn of_http1(raw: &[u8], sets_cookies: bool) -> Self {
        Self { raw: raw.into(), sets_cookies, map: OnceLock::new() }
    }

    pub(crate) fn map(&self) -> &HeaderMap {
        self.map.get_or_init(|| Box::new(read(&self.raw)))
    }

    /// Whether there are cookies in them.
    pub(crate) fn sets_cookies(&self) -> bool {
        self.sets_cookies
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        let sets_cookies = map.contains_key(SET_COOKIE);
        Self { raw: Box::default(), sets_cookies, map: OnceLock::from(Box::new(map)) }
    }
}

/// The headers of a head that was found to be well formed: nothing is left out.
fn read(raw: &[u8]) -> HeaderMap {
    let raw = Bytes::copy_from_slice(raw);
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut head, &raw, &mut headers);
    debug_assert!(matches!(parsed, Ok(httparse::Status::Complete(_))), "{parsed:?}");
    let mut map = HeaderMap::with_capacity(head.headers.len());
    for header in &*head.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(raw.slice_ref(header.value));
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}
