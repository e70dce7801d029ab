//! A request before it is sent: plain data, built without a session or a network.
//! It is separate from the builder that users hold so that URLs, headers and bodies are tested as values.

pub(crate) mod options;

use std::{borrow::Cow, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST},
};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use url::{ParseError, Url};

use self::options::Options;
use crate::{
    body::Body,
    error::{Class, Fault, HttpError},
    headers::{self, Layered},
    multipart::Multipart,
    name::Name,
    outgoing::Outgoing,
    payload::Payload,
    redirect::{self, Follow},
    target::{Sites, Target},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Room for nearly each body: to make more of it costs as much as to send it.
const USUAL_JSON: usize = 512;
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// What is to be sent, as far as the request itself says it.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) timeout: Option<Duration>,
    headers: HeaderMap,
    body: Body,
    options: Option<Box<Options>>,
}

impl Draft {
    /// A request to `url`, which may be relative if `base` finds what it stands on.
    pub(crate) fn new(
        method: Method,
        url: &str,
        sites: &Sites,
        base: impl Fn() -> Result<Url, Fault>,
    ) -> Result<Box<Self>, HttpError> {
        if method == Method::CONNECT {
            return Err(Fault::new(Class::Request, "a CONNECT request has no place in a session").of_none());
        }
        let known = if url.starts_with('/') {
            sites.target(&joined(&base().map_err(Fault::of_none)?, url))
        } else {
            sites.target(url)
        };
        if let Some(target) = known {
            return Ok(Box::new(Self::to(method, target)));
        }
        let (url, credentials) = without_credentials(parse_url(url, base)?);
        Self::to(method, sites.learn(url)).with(credentials).map(Box::new)
    }

    /// A request to `target` that says nothing yet.
    pub(crate) fn to(method: Method, target: Target) -> Self {
        Self { method, target, timeout: None, headers: HeaderMap::new(), body: Body::default(), options: None }
    }

    fn with(mut self, credentials: Option<String>) -> Result<Self, HttpError> {
        if let Some(credentials) = credentials {
            self.authorize("Basic ", &credentials)?;
        }
        Ok(self)
    }

    /// The request that a redirect makes of this one.
    ///
    /// # Errors
    ///
    /// Class `request`, if the credentials that the server has put into the URL cannot be sent.
    pub(crate) fn redirected(&self, follow: Follow) -> Result<Self, HttpError> {
        let Follow { method, url, keeps_body, same_origin } = follow;
        let (url, credentials) = without_credentials(url);
        let mut next = Self {
            method,
            target: Target::of(url),
            timeout: self.timeout,
            headers: self.headers.clone(),
            body: if keeps_body { self.body.clone() } else { Body::default() },
            options: self.options.clone(),
        };
        if !keeps_body {
            headers::remove(&mut next.headers, |name, _| redirect::is_of_body(name));
        }
        if !same_origin {
            headers::remove(&mut next.headers, |name, value| *name == HOST || redirect::is_confidential(name, value));
            next.options().left_origin = true;
        }
        if let Some(name) = next.options.as_mut().and_then(|options| options.name.as_mut()) {
            name.redirected = true;
        }
        next.with(credentials)
    }

    pub(crate) fn url(&self) -> &Url {
        self.target.url()
    }

    /// What this request says that few others do, to be changed.
    pub(crate) fn options(&mut self) -> &mut Options {
        self.options.get_or_insert_default()
    }

    /// What this request says that few others do.
    pub(crate) fn said(&self) -> Option<&Options> {
        self.options.as_deref()
    }

    /// What the journey calls this request.
    pub(crate) fn name(&self) -> Option<&Name> {
        self.said()?.name.as_ref()
    }

    /// Whether this request can be sent a second time.
    pub(crate) fn is_replayable(&self) -> bool {
        self.body.can_be_replayed()
    }

    /// The body, if it is bytes and nothing else.
    pub(crate) fn content(&self) -> Option<&Bytes> {
        self.body.as_whole()
    }

    /// The error of this request.
    pub(crate) fn error(&self, fault: Fault) -> HttpError {
        let error = fault.of(&self.method, self.url());
        match self.name() {
            Some(name) => error.named(name),
            None => error,
        }
    }

    pub(crate) fn mistake(&self, what: impl Into<String>) -> HttpError {
        self.error(Fault::new(Class::Request, what.into()))
    }

    /// Adds a header beside those of the same name that the request has already.
    pub(crate) fn header(
        &mut self,
        name: impl TryInto<HeaderName, Error: Into<http::Error>>,
        value: impl TryInto<HeaderValue, Error: Into<http::Error>>,
    ) -> Result<(), HttpError> {
        let (name, value) =
            headers::parse(name, value).map_err(|error| self.mistake(format!("its header: {error}")))?;
        self.headers.append(name, value);
        Ok(())
    }

    /// Puts these headers in the place of those of the same names.
    pub(crate) fn headers(&mut self, headers: HeaderMap) {
        if self.headers.is_empty() {
            self.headers = headers;
        } else {
            headers::replace(&mut self.headers, &headers);
        }
    }

    pub(crate) fn query(&mut self, query: &impl Serialize) -> Result<(), HttpError> {
        let added = serde_urlencoded::to_string(query)
            .map_err(|error| self.error(Fault::new(Class::Request, "its query").because(error)))?;
        if added.is_empty() {
            return Ok(());
        }
        let query = match self.url().query() {
            None | Some("") => added,
            Some(query) => format!("{query}&{added}"),
        };
        self.target.set_query(&query);
        Ok(())
    }

    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), HttpError> {
        let mut body = Vec::with_capacity(USUAL_JSON);
        serde_json::to_writer(&mut body, value)
            .map_err(|error| Fault::new(Class::Request, "its JSON body").because(error).of(&self.method, self.url()))?;
        self.typed(JSON, body.into());
        Ok(())
    }

    pub(crate) fn form(&mut self, value: &impl Serialize) -> Result<(), HttpError> {
        let body = serde_urlencoded::to_string(value)
            .map_err(|error| Fault::new(Class::Request, "its form").because(error).of(&self.method, self.url()))?;
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
        self.content().filter(|_| !self.expects()).map(|bytes| Payload::whole(bytes.clone()))
    }

    /// The body to send, opened.
    pub(crate) async fn open(&self) -> Result<Payload, HttpError> {
        let expects = self.expects();
        let opened = self.body.open(expects).await;
        opened.map_err(|fault| self.error(fault))
    }

    fn expects(&self) -> bool {
        self.said().is_some_and(|options| options.expect_continue)
    }

    /// The request as it goes out with `payload` and `headers`, which are [`all_headers`](Self::all_headers) and perhaps more.
    pub(crate) fn outgoing<'a>(
        &'a self,
        payload: &Payload,
        mut headers: Layered<'a>,
    ) -> Result<Outgoing<'a>, HttpError> {
        match payload {
            Payload::Streamed(streamed) => {
                streamed.describe(headers.own_mut()).map_err(|mistake| self.mistake(mistake))?;
            }
            // A stream that turned out to be empty.
            Payload::Whole(bytes) if self.content().is_none() => self.check_length(bytes.len(), &mut headers)?,
            Payload::Whole(_) => {}
        }
        Ok(Outgoing::new(&self.method, &self.target, headers))
    }

    /// The headers that the request has by itself, with `defaults` where it has none of its own.
    pub(crate) fn all_headers(&self, defaults: Option<&HeaderMap>) -> Result<Layered<'_>, HttpError> {
        let preset = self.target.site().preset();
        let preset =
            preset.map_err(|error| self.error(Fault::new(Class::Request, "its host").because(error.to_string())))?;
        let own = match defaults {
            None => Cow::Borrowed(&self.headers),
            Some(defaults) => {
                let mut own = defaults.clone();
                if self.said().is_some_and(|options| options.left_origin) {
                    // What the request says itself was left out when it was redirected.
                    headers::remove(&mut own, redirect::is_confidential);
                }
                headers::replace(&mut own, &self.headers);
                Cow::Owned(own)
            }
        };
        let mut headers = Layered::new(preset, own);
        if let Some(content) = self.content() {
            self.check_length(content.len(), &mut headers)?;
        }
        Ok(headers)
    }

    /// A length that is not the body's would make the next request part of this one.
    fn check_length(&self, length: usize, headers: &mut Layered<'_>) -> Result<(), HttpError> {
        let is_said = headers.own().contains_key(CONTENT_LENGTH);
        let expects_body = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        let must_be_said = expects_body && length == 0;
        if !is_said && !must_be_said {
            // As with most requests: the transport says it.
            return Ok(());
        }
        let value = HeaderValue::from(length);
        if headers.own().get_all(CONTENT_LENGTH).iter().any(|given| given != value) {
            return Err(self.mistake(format!("its Content-Length is not that of its body, {length} bytes")));
        }
        if must_be_said {
            headers.own_mut().insert(CONTENT_LENGTH, value);
        }
        Ok(())
    }
}

/// A URL of http or https, which may be relative if `base` finds what it stands on. Credentials may be in it.
pub(crate) fn parse_url(url: &str, base: impl FnOnce() -> Result<Url, Fault>) -> Result<Url, HttpError> {
    let url = match Url::parse(url) {
        Ok(url) => url,
        Err(ParseError::RelativeUrlWithoutBase) => append(&base().map_err(Fault::of_none)?, url)?,
        Err(error) => return Err(bad_url(url, error)),
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        let what = format!("`{url}` is not a URL of http:// or https://");
        return Err(Fault::new(Class::Request, what).of_none());
    }
    Ok(url)
}

/// `url` without `user:password@`, which reports would show, and what is to be said in the header that it stands for.
fn without_credentials(mut url: Url) -> (Url, Option<String>) {
    if url.username().is_empty() && url.password().is_none() {
        return (url, None);
    }
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let credentials = [decoded(url.username()), b":".to_vec(), decoded(url.password().unwrap_or_default())].concat();
    // These only fail for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    (url, Some(BASE64_STANDARD.encode(credentials)))
}

fn append(base: &Url, relative: &str) -> Result<Url, HttpError> {
    Url::parse(&joined(base, relative)).map_err(|error| bad_url(relative, error))
}

/// `relative` at the end of `base`: unlike a link in a page, it does not replace what the base's path ends with.
fn joined(base: &Url, relative: &str) -> String {
    let joint = if relative.is_empty() || relative.starts_with(['/', '?', '#']) { "" } else { "/" };
    [base.as_str().trim_end_matches('/'), joint, relative].concat()
}

/// The text may hold a password, and it cannot be told where: what follows an `@` is all that is shown.
fn bad_url(url: &str, error: ParseError) -> HttpError {
    let shown = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    Fault::new(Class::Request, format!("`{shown}` is not a URL")).because(error).of_none()
}

#[cfg(test)]
mod tests;
