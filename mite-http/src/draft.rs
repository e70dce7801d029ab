//! A request before it is sent: plain data, built without a session or a network.
//! It is separate from the builder that users hold so that URLs, headers and bodies are tested as values.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT},
};
use serde::Serialize;
use url::{ParseError, Position, Url};

use crate::{
    body::Body,
    error::{Class, Fault, HttpError},
    multipart::Multipart,
    payload::Payload,
    transport::Outgoing,
};

const MITE: HeaderValue = HeaderValue::from_static(concat!("mite/", env!("CARGO_PKG_VERSION")));
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// What is to be sent, as far as the request itself says it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) timeout: Option<Duration>,
    headers: HeaderMap,
    body: Body,
    /// Boxed, because few requests have any.
    wishes: Option<Box<Wishes>>,
}

/// What a request wants for itself of its bodies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    pub(crate) max_body: Option<u64>,
    pub(crate) compression: Option<bool>,
    pub(crate) expect_continue: bool,
    pub(crate) discard: bool,
}

impl Draft {
    /// A request to `url`, which may be relative if `base` finds what it stands on.
    pub(crate) fn new(method: Method, url: &str, base: impl FnOnce() -> Result<Url, Fault>) -> Result<Self, HttpError> {
        if method == Method::CONNECT {
            return Err(Fault::new(Class::Request, "a CONNECT request has no place in a session").of_none());
        }
        let url = match Url::parse(url) {
            Ok(url) => url,
            Err(ParseError::RelativeUrlWithoutBase) => append(&base().map_err(Fault::of_none)?, url)?,
            Err(error) => return Err(bad_url(url, error)),
        };
        Self { method, url, timeout: None, headers: HeaderMap::new(), body: Body::default(), wishes: None }
            .without_credentials()
    }

    /// Moves `user:password@` from the URL, which is shown in reports, to the header that it stands for.
    fn without_credentials(mut self) -> Result<Self, HttpError> {
        if !matches!(self.url.scheme(), "http" | "https") || !self.url.has_host() {
            let what = format!("`{}` is not a URL of http:// or https://", self.url);
            return Err(Fault::new(Class::Request, what).of_none());
        }
        if self.url.username().is_empty() && self.url.password().is_none() {
            return Ok(self);
        }
        let decoded = |text: &str| percent_decoded(text);
        let credentials =
            [decoded(self.url.username()), b":".to_vec(), decoded(self.url.password().unwrap_or_default())].concat();
        // These only fail for URLs without a host.
        let _ = self.url.set_username("");
        let _ = self.url.set_password(None);
        self.authorize("Basic ", &BASE64_STANDARD.encode(credentials))?;
        Ok(self)
    }

    fn mistake(&self, what: impl Into<String>) -> HttpError {
        Fault::new(Class::Request, what.into()).of(&self.method, &self.url)
    }

    /// Adds a header beside those of the same name that the request has already.
    pub(crate) fn header(
        &mut self,
        name: impl TryInto<HeaderName, Error: Into<http::Error>>,
        value: impl TryInto<HeaderValue, Error: Into<http::Error>>,
    ) -> Result<(), HttpError> {
        let (name, value) =
            crate::settings::parse_header(name, value).map_err(|error| self.mistake(format!("its header: {error}")))?;
        self.headers.append(name, value);
        Ok(())
    }

    /// Puts these headers in the place of those of the same names.
    pub(crate) fn headers(&mut self, headers: HeaderMap) {
        replace(&mut self.headers, headers);
    }

    pub(crate) fn query(&mut self, query: &impl Serialize) -> Result<(), HttpError> {
        let added = serde_urlencoded::to_string(query)
            .map_err(|error| Fault::new(Class::Request, "its query").because(error).of(&self.method, &self.url))?;
        if added.is_empty() {
            return Ok(());
        }
        let query = match self.url.query() {
            None | Some("") => added,
            Some(query) => format!("{query}&{added}"),
        };
        self.url.set_query(Some(&query));
        Ok(())
    }

    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), HttpError> {
        let body = serde_json::to_vec(value)
            .map_err(|error| Fault::new(Class::Request, "its JSON body").because(error).of(&self.method, &self.url))?;
        self.typed(JSON, body.into());
        Ok(())
    }

    pub(crate) fn form(&mut self, value: &impl Serialize) -> Result<(), HttpError> {
        let body = serde_urlencoded::to_string(value)
            .map_err(|error| Fault::new(Class::Request, "its form").because(error).of(&self.method, &self.url))?;
        self.typed(FORM, body.into());
        Ok(())
    }

    fn typed(&mut self, content_type: HeaderValue, body: Body) {
        self.headers.entry(CONTENT_TYPE).or_insert(content_type);
        self.body = body;
    }

    pub(crate) fn body(&mut self, body: Body) {
        self.body = body;
    }

    /// Sends `form`, whose boundary takes the place of any other type.
    pub(crate) fn multipart(&mut self, form: Multipart) -> Result<(), HttpError> {
        let (content_type, body) = form.into_body().map_err(|mistake| self.mistake(mistake))?;
        self.headers.insert(CONTENT_TYPE, content_type);
        self.body = body;
        Ok(())
    }

    pub(crate) fn wishes(&self) -> Option<&Wishes> {
        self.wishes.as_deref()
    }

    pub(crate) fn wishes_mut(&mut self) -> &mut Wishes {
        self.wishes.get_or_insert_default()
    }

    /// Whether it can be sent a second time, as a redirect may ask: a stream cannot.
    #[cfg_attr(not(test), expect(dead_code, reason = "nothing is sent twice yet"))]
    pub(crate) fn can_be_replayed(&self) -> bool {
        self.body.can_be_replayed()
    }

    pub(crate) fn basic_auth(&mut self, username: &str, password: &str) -> Result<(), HttpError> {
        if username.contains(':') {
            return Err(self.mistake("basic_auth: a user's name cannot have a colon"));
        }
        self.authorize("Basic ", &BASE64_STANDARD.encode(format!("{username}:{password}")))
    }

    pub(crate) fn bearer_auth(&mut self, token: &str) -> Result<(), HttpError> {
        self.authorize("Bearer ", token)
    }

    fn authorize(&mut self, scheme: &str, credentials: &str) -> Result<(), HttpError> {
        let mut value = HeaderValue::try_from(format!("{scheme}{credentials}"))
            .map_err(|error| self.mistake(format!("its authorization: {error}")))?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    /// The body to send, if there is nothing to open for it.
    pub(crate) fn payload(&self) -> Option<Payload> {
        let expects = self.wishes().is_some_and(|wishes| wishes.expect_continue);
        self.body.as_whole().filter(|_| !expects).map(|bytes| Payload::whole(bytes.clone()))
    }

    /// The body to send, opened.
    pub(crate) async fn open(&mut self) -> Result<Payload, HttpError> {
        let expects = self.wishes().is_some_and(|wishes| wishes.expect_continue);
        self.body.open(expects).await.map_err(|fault| fault.of(&self.method, &self.url))
    }

    /// The request as it goes out with `payload`, and with the session's headers where it has none of its own.
    pub(crate) fn outgoing(&self, payload: Payload, defaults: &HeaderMap) -> Result<Outgoing, HttpError> {
        let uri = Uri::try_from(&self.url[Position::BeforePath..Position::AfterQuery])
            .map_err(|error| Fault::new(Class::Request, "its URL").because(error).of(&self.method, &self.url))?;
        let host = HeaderValue::try_from(&self.url[Position::BeforeHost..Position::AfterPort])
            .map_err(|error| Fault::new(Class::Request, "its host").because(error).of(&self.method, &self.url))?;

        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, MITE);
        headers.insert(ACCEPT, ANYTHING);
        for given in [defaults, &self.headers] {
            // Most requests have neither, and a clone of nothing is not free.
            if !given.is_empty() {
                replace(&mut headers, given.clone());
            }
        }
        match &payload {
            Payload::Whole(bytes) => self.check_length(bytes.len(), &mut headers)?,
            Payload::Streamed(streamed) => streamed.describe(&mut headers).map_err(|mistake| self.mistake(mistake))?,
        }

        let mut request = http::Request::new(payload);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        if let Some(expectation) = request.body().expectation() {
            expectation.listen(&mut request);
        }
        Ok(request)
    }

    /// A length that is not the body's would make the next request part of this one.
    fn check_length(&self, length: usize, headers: &mut HeaderMap) -> Result<(), HttpError> {
        let value = HeaderValue::from(length);
        if headers.get_all(CONTENT_LENGTH).iter().any(|given| given != value) {
            return Err(self.mistake(format!("its Content-Length is not that of its body, {length} bytes")));
        }
        let expects_body = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        if expects_body && length == 0 {
            headers.insert(CONTENT_LENGTH, value);
        }
        Ok(())
    }
}

/// Puts the headers of `new` in the place of those in `old` that have their names.
fn replace(old: &mut HeaderMap, new: HeaderMap) {
    let mut current = None;
    for (name, value) in new {
        // A name is given once, and stands for all values that follow it.
        if let Some(name) = name {
            old.insert(name.clone(), value);
            current = Some(name);
        } else if let Some(name) = &current {
            old.append(name.clone(), value);
        }
    }
}

/// `relative` at the end of `base`: unlike a link in a page, it does not replace what the base's path ends with.
fn append(base: &Url, relative: &str) -> Result<Url, HttpError> {
    let joint = if relative.is_empty() || relative.starts_with(['/', '?', '#']) { "" } else { "/" };
    let base = base.as_str().trim_end_matches('/');
    let whole = format!("{base}{joint}{relative}");
    Url::parse(&whole).map_err(|error| bad_url(relative, error))
}

/// The text may hold a password, and it cannot be told where: what follows an `@` is all that is shown.
fn bad_url(url: &str, error: ParseError) -> HttpError {
    let shown = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    Fault::new(Class::Request, format!("`{shown}` is not a URL")).because(error).of_none()
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                decoded.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = after;
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests;
