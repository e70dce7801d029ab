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
    exchange::{Exchange, Reply},
    first_byte,
    pool::{Origin, Pool},
    timing::Timings,
    transport::{Answer, Connection, Failure, Outgoing},
};

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connect: Duration,
    /// From the end of the request to the head of the response.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) request: Duration,
    /// What is left of it, after redirects.
    pub(crate) left: Duration,
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
    ) -> (Timings, Result<(Reply, SocketAddr), Fault>) {
        if let Err(fault) = self.connector.prepare(url).await {
            return (Timings::starting(Instant::now()), Err(fault));
        }
        let mut timings = Timings::starting(Instant::now());
        let whole = async {
            let exchange = self.open(url, request, limits, &mut timings).await?;
            let remote = exchange.remote();
            Ok((exchange.read_whole().await?, remote))
        };
        let outcome = match timeout(limits.left, whole).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(Fault::new(
                Class::Timeout,
                format!("timeout: the request was not done within {:?}", limits.request),
            )),
        };
        timings.ended(Instant::now());
        (timings, outcome)
    }

    /// Sends `request` to the server of `url` and waits for the head of the response.
    async fn open(
        &self,
        url: &Url,
        mut request: Outgoing,
        limits: Limits,
        timings: &mut Timings,
    ) -> Result<Exchange, Fault> {
        let origin = self.pool.origin(&url[..Position::BeforePath]);
        while let Some((mut connection, idle_for)) = origin.take() {
            match send_on(&mut connection, request, limits.first_byte, timings).await {
                Ok(answer) => return Ok(self.answered(answer, connection, origin)),
                // The connection was closed between the check and the first byte: this request can go elsewhere.
                Err(Failure { unsent: Some(unsent), .. }) => request = unsent,
                Err(Failure { fault, unsent: None }) => {
                    if connection.first_byte().is_some() || fault.class != Class::Closed {
                        return Err(fault);
                    }
                    origin.closed(idle_for);
                    return Err(fault.saying(KEEP_ALIVE_RACE));
                }
            }
        }
        // Boxed, because few requests connect, and all would be as large as one that shakes hands.
        let mut connection = Box::pin(self.connector.connect(url, limits.connect, timings)).await?;
        match send_on(&mut connection, request, limits.first_byte, timings).await {
            Ok(answer) => Ok(self.answered(answer, connection, origin)),
            Err(Failure { fault, .. }) => Err(fault),
        }
    }

    fn answered(&self, answer: Answer, connection: Connection, origin: Rc<Origin>) -> Exchange {
        Exchange::new(answer, connection, origin, Rc::clone(&self.pool))
    }
}

async fn send_on(
    connection: &mut Connection,
    request: Outgoing,
    first_byte: Option<Duration>,
    timings: &mut Timings,
) -> Result<Answer, Failure> {
    timings.transferring();
    let outcome = match first_byte {
        None => connection.send(request).await,
        Some(limit) => first_byte::send_within(limit, connection, request).await,
    };
    timings.transferred(connection.sent(), connection.first_byte());
    outcome
}

const KEEP_ALIVE_RACE: &str = "the server closed the connection that was being reused; \
     it may have received the request, which was therefore not sent again";

#[cfg(test)]
mod tests;
