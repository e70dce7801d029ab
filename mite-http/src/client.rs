//! What a worker's sessions share: the pool and the connector, and how one request finds its connection.
//! It is separate from the session because it knows nothing of journeys: a request goes in, a reply or a fault comes out.

use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use url::{Position, Url};

use crate::{
    connector::Connector,
    error::{Class, Fault},
    pool::Pool,
    timing::Timings,
    transport::{Connection, Failure, Outgoing, Reply},
};

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connect: Duration,
    pub(crate) request: Duration,
}

/// The connections of one worker.
#[derive(Debug)]
pub(crate) struct Client {
    pool: Rc<Pool>,
    connector: Connector,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self { pool: Pool::new(), connector: Connector::default() }
    }

    #[cfg(test)]
    pub(crate) fn with(pool: Rc<Pool>, connector: Connector) -> Self {
        Self { pool, connector }
    }

    /// Sends `request` to the server of `url` and reads the whole response.
    ///
    /// If this is dropped before its end, its connection is closed.
    pub(crate) async fn exchange(
        &self,
        url: &Url,
        request: Outgoing,
        limits: Limits,
    ) -> (Timings, Result<(Reply, Option<SocketAddr>), Fault>) {
        if let Err(fault) = self.connector.prepare(url).await {
            return (Timings::starting(Instant::now()), Err(fault));
        }
        let mut timings = Timings::starting(Instant::now());
        let outcome = match timeout(limits.request, self.attempt(url, request, limits, &mut timings)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(Fault::new(
                Class::Timeout,
                format!("timeout: the request was not done within {:?}", limits.request),
            )),
        };
        timings.ended(Instant::now());
        (timings, outcome)
    }

    async fn attempt(
        &self,
        url: &Url,
        mut request: Outgoing,
        limits: Limits,
        timings: &mut Timings,
    ) -> Result<(Reply, Option<SocketAddr>), Fault> {
        let origin = &url[..Position::BeforePath];
        while let Some((mut connection, idle_for)) = self.pool.take(origin) {
            match self.exchange_on(&mut connection, request, timings).await {
                Ok(reply) => return Ok(self.done(origin, connection, reply)),
                // The connection was closed between the check and the first byte: this request can go elsewhere.
                Err(Failure { unsent: Some(unsent), .. }) => request = unsent,
                Err(Failure { fault, unsent: None }) => {
                    if connection.first_byte().is_some() || fault.class != Class::Closed {
                        return Err(fault);
                    }
                    self.pool.closed(origin, idle_for);
                    return Err(fault.saying(KEEP_ALIVE_RACE));
                }
            }
        }
        // Boxed, because few requests connect, and all would be as large as one that shakes hands.
        let opened = Box::pin(self.connector.connect(url, limits.connect, timings)).await?;
        let mut connection = Connection::http1(opened.wire, opened.remote).await?;
        match self.exchange_on(&mut connection, request, timings).await {
            Ok(reply) => Ok(self.done(origin, connection, reply)),
            Err(Failure { fault, .. }) => Err(fault),
        }
    }

    async fn exchange_on(
        &self,
        connection: &mut Connection,
        request: Outgoing,
        timings: &mut Timings,
    ) -> Result<Reply, Failure> {
        timings.transferring();
        let outcome = connection.exchange(request).await;
        timings.transferred(connection.sent(), connection.first_byte());
        outcome
    }

    fn done(&self, origin: &str, mut connection: Connection, reply: Reply) -> (Reply, Option<SocketAddr>) {
        let remote = connection.remote();
        if connection.is_reusable() {
            self.pool.put(origin, connection);
        }
        (reply, remote)
    }
}

const KEEP_ALIVE_RACE: &str = "the server closed the connection that was being reused; \
     it may have received the request, which was therefore not sent again";

#[cfg(test)]
mod tests;
