//! What one visit of a journey shares between its requests: settings, cookies, and the worker's connections.
//! It is separate from the handles on it because they may outlive the visit, and a session must not.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
    time::Instant,
};

use http::{HeaderValue, Method, header::ACCEPT_ENCODING};
use url::Url;

use crate::{
    client::Client,
    cookies::Jar,
    draft::Draft,
    error::{Class, Fault, HttpError},
    payload::Payload,
    response::Response,
    settings::Settings,
    stream::{Begun, Opened},
    timing::Timings,
    transport::Outgoing,
};

/// The session of a visit.
#[derive(Debug)]
pub(crate) struct Session {
    settings: Settings,
    client: Rc<Client>,
    jar: Jar,
    base: OnceCell<Url>,
    closed: Cell<bool>,
}

/// One request that was sent, and what came of it.
#[derive(Debug)]
pub(crate) struct Performed {
    pub(crate) method: Method,
    pub(crate) timings: Timings,
    pub(crate) outcome: Result<Response, HttpError>,
}

impl Session {
    pub(crate) fn new(settings: Settings, client: Rc<Client>) -> Self {
        Self { settings, client, jar: Jar::default(), base: OnceCell::new(), closed: Cell::new(false) }
    }

    /// Ends the session: handles that are still about send nothing more.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// Whether `settings` ask for nothing that this session could not give.
    pub(crate) fn serves(&self, settings: &Settings) -> bool {
        *settings == Settings::new() && !self.closed.get()
    }

    /// What relative URLs stand on; `config` looks up a key of the configuration.
    pub(crate) fn base(&self, config: impl FnOnce(&str) -> Result<String, String>) -> Result<Url, Fault> {
        if let Some(base) = self.base.get() {
            return Ok(base.clone());
        }
        let Some(key) = self.settings.base.as_deref() else {
            return Err(Fault::new(Class::Request, NO_BASE));
        };
        let failed = || Fault::new(Class::Request, format!("the session's base `{key}`"));
        let value = config(key).map_err(|error| failed().because(error))?;
        let base = Url::parse(&value).map_err(|error| failed().because(error))?;
        if !matches!(base.scheme(), "http" | "https") || base.query().is_some() || base.fragment().is_some() {
            return Err(failed().because("it is not a URL of http:// or https:// that ends with its path"));
        }
        Ok(self.base.get_or_init(|| base).clone())
    }

    /// Sends `draft` and waits for the whole response.
    ///
    /// # Errors
    ///
    /// If nothing was sent, because the request makes no sense; what happens to one that was sent is in the answer.
    pub(crate) async fn perform(&self, mut draft: Draft) -> Result<Performed, HttpError> {
        self.check(&draft)?;
        let payload = match draft.payload() {
            Some(payload) => payload,
            None => Box::pin(draft.open()).await?,
        };
        let account = payload.account();
        let request = self.outgoing(&draft, payload)?;
        let wish = self.settings.wish(draft.wishes());
        let Draft { method, url, timeout, .. } = draft;

        let limits = self.settings.limits(timeout);
        let (timings, outcome) = self.client.carry_out(&url, request, &account, limits, &wish).await;
        let outcome = match outcome {
            Ok((reply, remote)) => {
                self.jar.keep(&url, &reply.head.headers);
                Ok(Response::new(method.clone(), url, reply, remote, timings))
            }
            Err(fault) => Err(account.cause(fault).of(&method, &url)),
        };
        Ok(Performed { method, timings, outcome })
    }

    /// Sends `draft` and waits for the head of the response.
    ///
    /// # Errors
    ///
    /// As [`Session::perform`].
    pub(crate) async fn begin(&self, mut draft: Draft) -> Result<Begun, HttpError> {
        self.check(&draft)?;
        let payload = match draft.payload() {
            Some(payload) => payload,
            None => Box::pin(draft.open()).await?,
        };
        let account = payload.account();
        let request = self.outgoing(&draft, payload)?;
        let decode = self.settings.decodes(draft.wishes());
        let Draft { method, url, timeout, .. } = draft;

        let limits = self.settings.limits(timeout);
        let (mut timings, outcome) = self.client.begin(&url, request, limits).await;
        let outcome = match outcome {
            Ok((exchange, deadline)) => {
                let remote = exchange.remote();
                let (head, coming) = exchange.split(decode, &account);
                self.jar.keep(&url, &head.headers);
                Ok(Opened { url, head, remote, limits, account, coming, deadline })
            }
            Err(fault) => {
                timings.ended(Instant::now());
                Err(account.cause(fault).of(&method, &url))
            }
        };
        Ok(Begun { method, timings, outcome })
    }

    /// Whether `draft` may be sent from here.
    fn check(&self, draft: &Draft) -> Result<(), HttpError> {
        if self.closed.get() {
            return Err(Fault::new(Class::Request, CLOSED).of(&draft.method, &draft.url));
        }
        match &self.settings.mistake {
            Some(mistake) => Err(Fault::new(Class::Request, mistake.clone()).of(&draft.method, &draft.url)),
            None => Ok(()),
        }
    }

    /// `draft` as it goes out from here, with the session's headers and cookies.
    fn outgoing(&self, draft: &Draft, payload: Payload) -> Result<Outgoing, HttpError> {
        let mut request = draft.outgoing(payload, &self.settings.headers)?;
        if self.settings.decodes(draft.wishes()) {
            request.headers_mut().entry(ACCEPT_ENCODING).or_insert(CODINGS);
        }
        self.jar.add_to(&draft.url, request.headers_mut());
        Ok(request)
    }
}

/// What a decoder can undo.
const CODINGS: HeaderValue = HeaderValue::from_static("gzip, br, zstd, deflate");

const NO_BASE: &str = "a relative URL needs something to stand on: name the key of the configuration that holds it, \
     as in #[mite_http(base = \"app_url\")]";

const CLOSED: &str = "the session of this handle has ended: take a new one with ctx.http()";

#[cfg(test)]
mod tests;
