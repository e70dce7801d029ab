//! A request as it was sent: what the journey asked for, and what the session added.
//! It is separate from the draft because it is kept with the response, on whatever thread that goes to.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT_ENCODING, COOKIE},
};
use url::Url;

use crate::{
    curl,
    draft::Draft,
    error::{Fault, HttpError},
    headers::Layered,
    outgoing::Outgoing,
    payload::Payload,
};

#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) draft: Box<Draft>,
    /// The session's headers.
    defaults: Option<Arc<HeaderMap>>,
    /// What the jar had for the URL, unless the request said itself which cookies it sends.
    cookie: Option<HeaderValue>,
    /// Whether the body of the response may come compressed.
    accepts_codings: bool,
}

/// What a decoder can undo.
const CODINGS: HeaderValue = HeaderValue::from_static("gzip, br, zstd, deflate");

impl Sent {
    pub(crate) fn new(
        draft: Box<Draft>,
        defaults: Option<Arc<HeaderMap>>,
        cookie: Option<HeaderValue>,
        accepts_codings: bool,
    ) -> Self {
        Self { draft, defaults, cookie, accepts_codings }
    }

    /// The request for the transport.
    ///
    /// # Errors
    ///
    /// Class `request`, if it makes no sense.
    pub(crate) fn outgoing(&self, payload: &Payload) -> Result<Outgoing<'_>, HttpError> {
        self.draft.outgoing(payload, self.headers()?)
    }

    /// The headers that went out, but for those that say how a stream was sent.
    ///
    /// # Errors
    ///
    /// Class `request`, if the request makes no sense; then it was not sent.
    pub(crate) fn headers(&self) -> Result<Layered<'_>, HttpError> {
        let mut headers = self.draft.all_headers(self.defaults.as_deref())?;
        if self.accepts_codings {
            headers.own_mut().entry(ACCEPT_ENCODING).or_insert(CODINGS);
        }
        self.add_cookie(&mut headers);
        Ok(headers)
    }

    fn add_cookie(&self, headers: &mut Layered<'_>) {
        if let Some(cookie) = &self.cookie
            && !headers.own().contains_key(COOKIE)
        {
            headers.own_mut().insert(COOKIE, cookie.clone());
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.draft.method
    }

    pub(crate) fn url(&self) -> &Url {
        self.draft.url()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.draft.name().map(|name| &*name.text)
    }

    /// The error of this request.
    pub(crate) fn error(&self, fault: Fault) -> HttpError {
        self.draft.error(fault)
    }

    /// The request as a command line, with its secrets.
    pub(crate) fn to_curl(&self, options: &[&'static str]) -> String {
        let headers = match self.headers() {
            Ok(headers) => headers,
            Err(mistake) => return format!("# nothing would be sent: {}", mistake.to_string().replace('\n', " ")),
        };
        let body = self.draft.content().map(|body| &body[..]);
        curl::command(&curl::Shown {
            method: self.method(),
            url: self.url(),
            headers: &headers.merged(),
            body,
            options,
        })
    }
}
