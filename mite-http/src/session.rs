//! What one visit of a journey shares between its requests: settings, cookies, and the worker's connections.
//! It is separate from the handles on it because they may outlive the visit, and a session must not.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
};

use http::Method;
use url::Url;

use crate::{
    client::Client,
    cookies::Jar,
    draft::Draft,
    error::{Class, Fault, HttpError},
    response::Response,
    settings::Settings,
    timing::Timings,
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
    pub(crate) async fn perform(&self, draft: Draft) -> Result<Performed, HttpError> {
        if self.closed.get() {
            return Err(Fault::new(Class::Request, CLOSED).of(&draft.method, &draft.url));
        }
        if let Some(mistake) = &self.settings.mistake {
            return Err(Fault::new(Class::Request, mistake.clone()).of(&draft.method, &draft.url));
        }
        let mut request = draft.outgoing(&self.settings.headers)?;
        let Draft { method, url, timeout, .. } = draft;
        self.jar.add_to(&url, request.headers_mut());

        let (timings, outcome) = self.client.exchange(&url, request, self.settings.limits(timeout)).await;
        let outcome = match outcome {
            Ok((reply, remote)) => {
                self.jar.keep(&url, &reply.head.headers);
                Ok(Response::new(method.clone(), url, reply, remote, timings))
            }
            Err(fault) => Err(fault.of(&method, &url)),
        };
        Ok(Performed { method, timings, outcome })
    }
}

const NO_BASE: &str = "a relative URL needs something to stand on: name the key of the configuration that holds it, \
     as in #[mite_http(base = \"app_url\")]";

const CLOSED: &str = "the session of this handle has ended: take a new one with ctx.http()";

#[cfg(test)]
mod tests;
