//! What one visit of a journey shares between its requests: settings, cookies, and the worker's connections.
//! It is separate from the handles on it because they may outlive the visit, and a session must not.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
};

use http::header::SET_COOKIE;
use url::Url;

use crate::{
    client::{Client, Limits},
    cookies::CookieJar,
    draft::Draft,
    error::{Class, Fault, HttpError},
    redirect::{self, Asked, Redirects},
    response::Response,
    sent::Sent,
    settings::Settings,
    timing::Timings,
};

/// The session of a visit.
#[derive(Debug)]
pub(crate) struct Session {
    settings: Settings,
    client: Rc<Client>,
    /// Made when it is first needed.
    jar: OnceCell<CookieJar>,
    base: OnceCell<Url>,
    closed: Cell<bool>,
}

/// One request that was sent, and what came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) sent: &'a Sent,
    pub(crate) timings: &'a Timings,
    pub(crate) outcome: Result<&'a Response, &'a HttpError>,
}

impl Session {
    pub(crate) fn new(settings: Settings, client: Rc<Client>) -> Self {
        let jar = settings.jar.clone().map_or_else(OnceCell::new, OnceCell::from);
        Self { settings, client, jar, base: OnceCell::new(), closed: Cell::new(false) }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The cookies.
    pub(crate) fn jar(&self) -> CookieJar {
        self.jar.get_or_init(CookieJar::new).clone()
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

    /// Sends `draft`, goes where redirects lead, and waits for the whole response. `ended` is called for each request that was
    /// sent: those that were redirected, and the last.
    ///
    /// # Errors
    ///
    /// If there is no whole response, or it leads to where nobody can follow. Where nothing was sent, because the request makes
    /// no sense, `ended` is not called.
    pub(crate) async fn perform(
        &self,
        draft: Box<Draft>,
        mut ended: impl FnMut(&Ended<'_>),
    ) -> Result<Response, HttpError> {
        if self.closed.get() {
            return Err(draft.mistake(CLOSED));
        }
        if let Some(mistake) = &self.settings.mistake {
            return Err(draft.mistake(mistake.clone()));
        }
        let mut limits = self.settings.limits(&draft);
        let redirects = self.settings.redirects_of(&draft);
        let mut response = self.exchange(draft, limits, &mut ended).await?;
        if !response.status().is_redirection() {
            return Ok(response);
        }
        let start = response.timings().start();
        let mut history = Vec::new();
        while let Some(next) = next(&response, history.len(), redirects)? {
            history.push(response);
            limits.left = limits.request.saturating_sub(start.elapsed());
            response = self.exchange(next, limits, &mut ended).await?;
        }
        Ok(response.after(history))
    }

    /// One request and its response.
    async fn exchange(
        &self,
        draft: Box<Draft>,
        limits: Limits,
        ended: &mut impl FnMut(&Ended<'_>),
    ) -> Result<Response, HttpError> {
        let sent = self.prepared(draft);
        let request = sent.outgoing()?;
        let (timings, outcome) = self.client.exchange(sent.url(), request, limits).await;
        match outcome {
            Ok((reply, remote)) => {
                if reply.head.headers.contains_key(SET_COOKIE) {
                    self.jar.get_or_init(CookieJar::new).keep(sent.url(), &reply.head.headers);
                }
                let response = Response::new(sent, reply, remote, timings);
                ended(&Ended { sent: response.sent(), timings: &timings, outcome: Ok(&response) });
                Ok(response)
            }
            Err(fault) => {
                let error = sent.error(fault);
                ended(&Ended { sent: &sent, timings: &timings, outcome: Err(&error) });
                Err(error)
            }
        }
    }

    /// What would be sent for `draft`, as a command line.
    pub(crate) fn to_curl(&self, draft: &Draft) -> String {
        self.prepared(Box::new(draft.clone())).to_curl(&[])
    }

    fn prepared(&self, draft: Box<Draft>) -> Sent {
        let cookie = self.jar.get().and_then(|jar| jar.header(&draft.url));
        Sent::new(draft, self.settings.headers.clone(), cookie)
    }
}

/// Where `response` leads, if it leads anywhere.
fn next(response: &Response, hops: usize, redirects: Redirects) -> Result<Option<Box<Draft>>, HttpError> {
    let draft = &response.sent().draft;
    let asked = Asked {
        method: &draft.method,
        url: &draft.url,
        replayable: draft.is_replayable(),
        hops: u32::try_from(hops).unwrap_or(u32::MAX),
    };
    let follow = redirect::decide(response.status(), response.headers(), asked, redirects);
    match follow.map_err(|fault| response.error(fault))? {
        Some(follow) => Ok(Some(Box::new(draft.redirected(follow)?))),
        None => Ok(None),
    }
}

const NO_BASE: &str = "a relative URL needs something to stand on: name the key of the configuration that holds it, \
     as in #[mite_http(base = \"app_url\")]";

const CLOSED: &str = "the session of this handle has ended: take a new one with ctx.http()";

#[cfg(test)]
mod tests;
