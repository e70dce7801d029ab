//! One request whose answer has begun: its head is here, its body is on the way.
//! It is separate from the client because a journey may hold one for as long as it reads a stream.

use std::{net::SocketAddr, rc::Rc};

use bytes::Bytes;
use http::{HeaderMap, response::Parts};

use crate::{
    arriving::Arriving,
    error::Fault,
    origin::Origin,
    pool::Pool,
    transport::{Answer, Connection},
};

/// A whole response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    /// Bytes of body as they came over the network.
    pub(crate) received: u64,
    pub(crate) trailers: Option<Box<HeaderMap>>,
}

/// A response of which the head has come. Its connection goes back to the pool with the end of the body; if this is
/// dropped before that, the connection is closed.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) head: Parts,
    body: Arriving,
    connection: Connection,
    origin: Rc<Origin>,
    pool: Rc<Pool>,
}

impl Exchange {
    pub(crate) fn new(answer: Answer, connection: Connection, origin: Rc<Origin>, pool: Rc<Pool>) -> Self {
        let (head, incoming) = answer.into_parts();
        Self { head, body: Arriving::new(incoming), connection, origin, pool }
    }

    /// The server's address.
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.connection.remote()
    }

    /// Reads all that is still to come.
    pub(crate) async fn read_whole(mut self) -> Result<Reply, Fault> {
        let body = self.body.gather(&mut self.connection).await?;
        let received = self.body.received();
        let trailers = self.body.take_trailers();
        if self.connection.is_reusable() {
            self.pool.put(&self.origin, self.connection);
        }
        Ok(Reply { head: self.head, body, received, trailers })
    }
}
