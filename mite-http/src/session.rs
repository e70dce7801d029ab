//! What one visit of a journey shares between its requests: settings, cookies, and the worker's connections.
//! It is separate from the handles on it because they may outlive the visit, and a session must not.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
    time::Instant,
};

use mite_core::Scope;
use url::Url;

use crate::{
    client::{Client, Limits},
    cookies::CookieJar,
    draft::Draft,
    ended::Ended,
    error::{Class, Fault, HttpError},
    exchange::Reply,
    head::{Head, Headers},
    opened::Opened,
    payload::Payload,
    redirect::{self, Asked, Redirects},
    response::Response,
    sent::Sent,
    settings::Settings,
    target::Sites,
    timing::Timings,
};

/// The session of a visit.
#[derive(Debug)]
pub(crate) struct Session {
    settings: Rc<Settings>,
    client: Rc<Client>,
    /// Made when it is first needed.
    jar: OnceCell<CookieJar>,
    base: OnceCell<Url>,
    closed: Cell<bool>,
}

impl Session {
    pub(crate) fn new(settings: impl Into<Rc<Settings>>, client: Rc<Client>) -> Self {
        let settings = settings.into();
        let jar = settings.jar.clone().map_or_else(OnceCell::new, OnceCell::from);
        Self { settings, client, jar, base: OnceCell::new(), closed: Cell::new(false) }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The servers that the worker knows.
    pub(crate) fn sites(&self) -> &Sites {
        self.client.sites()
    }

    /// The cookies.
    pub(crate) fn jar(&self) -> CookieJar {
        self.jar.get_or_init(CookieJar::new).clone()
    }

    /// Ends the session: handles that are still about send nothing more.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// Ends it if the run of the journey is over that `scope` belongs to: handles may outlive that, and a session must not.
    pub(crate) fn end_with(&self, scope: &Scope) {
        if scope.has_ended() {
            self.close();
        }
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
    #[expect(clippy::manual_async_fn, reason = "an `async` function holds all that it is given twice")]
    pub(crate) fn perform(
        &self,
        draft: Box<Draft>,
        mut ended: impl FnMut(&Ended<'_>),
    ) -> impl Future<Output = Result<Response, HttpError>> {
        async move {
            self.check(&draft)?;
            let limits = self.settings.limits(&draft);
            let redirects = self.settings.redirects_of(&draft);
            let response = self.exchange(draft, &limits, &mut ended).await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            // Boxed, because few are redirected, and all would be as large.
            Box::pin(self.follow(response, limits, redirects, ended)).await
        }
    }

    /// Goes where `response` leads, until one leads nowhere.
    async fn follow(
        &self,
        mut response: Response,
        mut limits: Limits,
        redirects: Redirects,
        mut ended: impl FnMut(&Ended<'_>),
    ) -> Result<Response, HttpError> {
        limits.since = Some(response.timings().start());
        let mut history = Vec::new();
        while let Some(next) = next(response.sent(), response.head(), history.len(), redirects)? {
            history.push(response);
            response = self.exchange(next, &limits, &mut ended).await?;
        }
        Ok(response.after(history))
    }

    /// As [`perform`](Self::perform), but the body of the last response is still to come, and `ended` is called for the redirected
    /// requests and for those that fail only.
    pub(crate) async fn begin(
        &self,
        mut draft: Box<Draft>,
        mut ended: impl FnMut(&Ended<'_>),
    ) -> Result<Opened, HttpError> {
        self.check(&draft)?;
        let mut limits = self.settings.limits(&draft);
        let redirects = self.settings.redirects_of(&draft);
        let start = Instant::now();
        let mut history = Vec::new();
        loop {
            let opened = self.open(draft, limits, &mut ended).await?;
            let next = next(&opened.sent, &opened.head, history.len(), redirects);
            let Some(next) = next.transpose() else {
                return Ok(Opened { history, ..opened });
            };
            // What a redirect says besides is of no interest, but its end is that of the request.
            let wish = self.settings.wish(opened.sent.draft.said());
            let response = opened.read(&wish, &mut ended).await?;
            draft = next?;
            history.push(response);
            limits.since = Some(start);
        }
    }

    /// One request and its response.
    async fn exchange(
        &self,
        draft: Box<Draft>,
        limits: &Limits,
        ended: &mut impl FnMut(&Ended<'_>),
    ) -> Result<Response, HttpError> {
        let (sent, payload) = self.prepared(draft).await?;
        let account = payload.account();
        let mut response = Response::new(sent, Reply::awaited(Timings::starting(Instant::now())));
        let outcome = {
            let (sent, reply) = response.halves();
            let (mut request, wish) = (sent.outgoing(&payload)?, self.settings.wish(sent.draft.said()));
            let mut payload = Some(payload);
            self.client.carry_out(&mut request, &mut payload, &account, limits, &wish, reply).await
        };
        if outcome.is_ok() {
            self.keep_cookies(response.sent(), &response.head().headers);
        }
        Ended::conclude(response, &account, outcome, ended)
    }

    /// One request, and the head of its response.
    async fn open(
        &self,
        draft: Box<Draft>,
        limits: Limits,
        ended: &mut impl FnMut(&Ended<'_>),
    ) -> Result<Opened, HttpError> {
        let (sent, payload) = self.prepared(draft).await?;
        let account = payload.account();
        let mut timings = Timings::starting(Instant::now());
        let outcome = {
            let mut request = sent.outgoing(&payload)?;
            self.client.begin(&mut request, &mut Some(payload), &limits, &mut timings).await
        };
        let decode = self.settings.decodes(sent.draft.said());
        match outcome {
            Ok((exchange, deadline)) => {
                let remote = exchange.remote();
                let (head, coming) = exchange.split(decode, &account);
                self.keep_cookies(&sent, &head.headers);
                Ok(Opened { sent, timings, head, remote, limits, account, coming, deadline, history: Vec::new() })
            }
            Err(fault) => {
                timings.ended(Instant::now());
                Err(Ended::failed(&sent, &timings, account.cause(fault), ended))
            }
        }
    }

    /// Whether `draft` may be sent from here.
    fn check(&self, draft: &Draft) -> Result<(), HttpError> {
        if self.closed.get() {
            return Err(draft.mistake(CLOSED));
        }
        match &self.settings.mistake {
            Some(mistake) => Err(draft.mistake(mistake.clone())),
            None => Ok(()),
        }
    }

    /// What would be sent for `draft`, as a command line.
    pub(crate) fn to_curl(&self, draft: &Draft) -> String {
        self.sent(Box::new(draft.clone())).to_curl(&[])
    }

    /// `draft` as it is sent from here, and its body.
    async fn prepared(&self, draft: Box<Draft>) -> Result<(Sent, Payload), HttpError> {
        let payload = match draft.payload() {
            Some(payload) => payload,
            None => Box::pin(draft.open()).await?,
        };
        Ok((self.sent(draft), payload))
    }

    fn sent(&self, draft: Box<Draft>) -> Sent {
        let cookie = self.jar.get().and_then(|jar| jar.header(draft.url()));
        let accepts_codings = self.settings.decodes(draft.said());
        Sent::new(draft, self.settings.headers.clone(), cookie, accepts_codings)
    }

    fn keep_cookies(&self, sent: &Sent, headers: &Headers) {
        if headers.sets_cookies() {
            self.jar.get_or_init(CookieJar::new).keep(sent.url(), headers.map());
        }
    }
}

/// Where a response leads, if it leads anywhere.
fn next(sent: &Sent, head: &Head, hops: usize, redirects: Redirects) -> Result<Option<Box<Draft>>, HttpError> {
    if !head.status.is_redirection() {
        return Ok(None);
    }
    let draft = &sent.draft;
    let asked = Asked {
        method: &draft.method,
        url: draft.url(),
        replayable: draft.is_replayable(),
        hops: u32::try_from(hops).unwrap_or(u32::MAX),
    };
    let follow = redirect::decide(head.status, head.headers.map(), asked, redirects);
    match follow.map_err(|fault| sent.error(fault).with_status(head.status))? {
        Some(follow) => Ok(Some(Box::new(draft.redirected(follow)?))),
        None => Ok(None),
    }
}

const NO_BASE: &str = "a relative URL needs something to stand on: name the key of the configuration that holds it, \
     as in #[mite_http(base = \"app_url\")]";

const CLOSED: &str = "the session of this handle has ended: take a new one with ctx.http()";

#[cfg(test)]
mod tests;
