//! What a worker's sessions share: the pool and the connector, and how one request finds its connection.
//! It is separate from the session because it knows nothing of journeys: a request goes in, a reply or a fault comes out.

use std::{
    pin::{Pin, pin},
    rc::Rc,
    time::{Duration, Instant},
};

use http::{HeaderValue, header::CONNECTION};
use tokio::{
    task::yield_now,
    time::{Sleep, sleep, timeout, timeout_at},
};
use url::Url;

use crate::{
    arriving::Wish,
    connector::Connector,
    error::{Class, Fault},
    exchange::{Exchange, Reply},
    first_byte,
    origin::{Opening, Way},
    outgoing::Outgoing,
    payload::{Account, Payload},
    policy::{Connections, Policy},
    pool::Pool,
    target::Sites,
    timing::Timings,
    transport::Connection,
    worker::Worker,
};

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// How often a request is sent to a server that keeps saying that it has not begun with it.
const MOST_AGAIN: u32 = 4;

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connect: Duration,
    /// From the end of the request to the head of the response.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) request: Duration,
    /// From when that counts: the first of the requests that led to this one by redirects, if there was one.
    pub(crate) since: Option<Instant>,
}

impl Limits {
    /// What is left, where it counts `since` then.
    pub(crate) fn left(&self, since: Instant) -> Duration {
        self.request.saturating_sub(since.elapsed())
    }

    /// The time of a request has run out.
    pub(crate) fn elapsed(&self) -> Fault {
        Fault::new(Class::Timeout, format!("timeout: the request was not done within {:?}", self.request))
    }
}

/// The connections of one worker, or of one journey.
#[derive(Debug)]
pub(crate) struct Client {
    pool: Rc<Pool>,
    connector: Rc<Connector>,
    worker: Rc<Worker>,
    /// Whether servers are told that each request is the last on its connection.
    closes_each: bool,
}

impl Client {
    /// A client of nobody's making in particular.
    #[cfg(test)]
    pub(crate) fn default() -> Self {
        Self::new(Policy::default(), Rc::default(), Rc::default())
    }

    pub(crate) fn new(policy: Policy, connector: Rc<Connector>, worker: Rc<Worker>) -> Self {
        Self { pool: Pool::new(policy), connector, worker, closes_each: policy.connections == Connections::PerRequest }
    }

    /// The servers that the worker knows.
    pub(crate) fn sites(&self) -> &Sites {
        &self.worker.sites
    }

    /// Sends `request` to its server and reads the whole response into `reply`; `account` is that of its body.
    ///
    /// If this is dropped before its end, its connection is closed.
    #[expect(clippy::manual_async_fn, reason = "an `async` function holds all that it is given twice")]
    pub(crate) fn carry_out<'a>(
        &'a self,
        request: &'a mut Outgoing<'_>,
        payload: &'a mut Option<Payload>,
        account: &'a Account,
        limits: &'a Limits,
        wish: &'a Wish,
        reply: &'a mut Reply,
    ) -> impl Future<Output = Result<(), Fault>> {
        async move {
            self.prepare(request, &mut reply.timings).await?;
            let start = reply.timings.start();
            let outcome = {
                let whole = pin!(async {
                    let exchange = self.open(request, payload, limits, &mut reply.timings).await?;
                    exchange.read_whole(wish, account, reply).await
                });
                match limits.since {
                    None => self.worker.deadlines.within(limits.request, start, whole).await,
                    Some(since) => Box::pin(timeout(limits.left(since), whole)).await.ok(),
                }
            };
            let outcome = outcome.unwrap_or_else(|| Err(limits.elapsed()));
            if outcome.is_err() {
                reply.timings.ended(Instant::now());
            }
            outcome
        }
    }

    /// Sends `request` to its server and waits for the head of the response. With it comes when the request must
    /// be done. The end is for the caller to note.
    pub(crate) async fn begin(
        &self,
        request: &mut Outgoing<'_>,
        payload: &mut Option<Payload>,
        limits: &Limits,
        timings: &mut Timings,
    ) -> Result<(Box<Exchange>, Pin<Box<Sleep>>), Fault> {
        self.prepare(request, timings).await?;
        let deadline = Box::pin(sleep(limits.left(limits.since.unwrap_or(timings.start()))));
        match timeout_at(deadline.deadline(), self.open(request, payload, limits, timings)).await {
            Ok(outcome) => Ok((outcome?, deadline)),
            Err(_elapsed) => Err(limits.elapsed()),
        }
    }

    /// Does what takes time once and belongs to no request; the time of this one begins after it.
    async fn prepare(&self, request: &Outgoing<'_>, timings: &mut Timings) -> Result<(), Fault> {
        let url = request.target.site().url();
        if self.connector.is_prepared(url) {
            return Ok(());
        }
        let prepared = Box::pin(self.connector.prepare(url)).await;
        *timings = Timings::starting(Instant::now());
        prepared
    }

    /// Sends `request` to its server and waits for the head of the response.
    #[expect(clippy::manual_async_fn, reason = "an `async` function holds all that it is given twice")]
    fn open<'a>(
        &'a self,
        request: &'a mut Outgoing<'_>,
        payload: &'a mut Option<Payload>,
        limits: &'a Limits,
        timings: &'a mut Timings,
    ) -> impl Future<Output = Result<Box<Exchange>, Fault>> {
        async move {
            let site = request.target.site();
            let origin = self.pool.origin(site.name(), || self.connector.version(site.url()));
            let mut again = 0;
            loop {
                let (mut connection, idle_for) = match origin.way(timings).await {
                    Way::Open(connection, idle_for) => (connection, Some(idle_for)),
                    // Boxed, because few requests connect, and all would be as large as one that shakes hands.
                    Way::Opening(opening) => {
                        let site = request.target.site();
                        (Box::pin(self.connect(opening, site.url(), limits, timings)).await?, None)
                    }
                };
                if idle_for.is_some() && connection.is_alone() {
                    // Its driver hears of a goodbye when the runtime next looks at the sockets, which it does before it comes
                    // back to a task that yields.
                    yield_now().await;
                    if !connection.is_alive() {
                        continue;
                    }
                }
                if self.closes_each && !connection.is_shared() {
                    request.headers.own_mut().entry(CONNECTION).or_insert(CLOSE);
                }
                if let Some(proxy) = connection.forward_proxy() {
                    request.make_over(proxy.authorization());
                }
                let outcome = match limits.first_byte {
                    None => connection.send(request, payload).await,
                    // Boxed, because few sessions have such a limit.
                    Some(limit) => Box::pin(first_byte::send_within(limit, &mut connection, request, payload)).await,
                };
                timings.transferred(connection.sent(), connection.first_byte());
                let fault = match outcome {
                    Ok(answer) => return Ok(Exchange::new(answer, connection, origin, Rc::clone(&self.pool))),
                    Err(fault) => fault,
                };
                // The connection was closed between the check and the first byte, or the server has not begun with the request:
                // it can go elsewhere.
                if payload.is_some() {
                    // Of stale connections there may be many, but not without end.
                    let is_stale = idle_for.is_some() && !connection.is_shared();
                    again += u32::from(!is_stale);
                    if again > MOST_AGAIN {
                        return Err(fault);
                    }
                    continue;
                }
                return Err(match idle_for {
                    Some(idle_for) if connection.was_stale(&fault) => {
                        origin.closed(idle_for);
                        fault.saying(KEEP_ALIVE_RACE)
                    }
                    _ => fault,
                });
            }
        }
    }

    async fn connect(
        &self,
        opening: Opening,
        url: &Url,
        limits: &Limits,
        timings: &mut Timings,
    ) -> Result<Connection, Fault> {
        let opened = self.connector.connect(url, limits.connect, timings).await?;
        let connection = opening.opened(Connection::start(opened, &self.worker.scratch).await?);
        timings.transferring(Instant::now());
        Ok(connection)
    }
}

const KEEP_ALIVE_RACE: &str = "the server closed the connection that was being reused; \
     it may have received the request, which was therefore not sent again";

#[cfg(test)]
mod tests;
