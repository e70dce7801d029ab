//! The seam between the session and whatever speaks HTTP below it: a connection that exchanges one request for one reply.
//! What a session does (cookies, pooling, timing, errors) is above it, so that another HTTP/1.1 implementation or HTTP/2
//! can come below without a change to the session.

mod hyper1;

use std::{net::SocketAddr, rc::Rc, time::Instant};

use bytes::Bytes;
use http_body_util::Full;

use crate::{error::Fault, wire::Wire};

/// A request as it goes out: the URI in origin form, and every header that is to be sent but `Content-Length`.
pub(crate) type Outgoing = http::Request<Full<Bytes>>;

/// A whole response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Bytes,
}

/// Why there is no whole response.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    /// The request, if it is certain that nothing of it was written.
    pub(crate) unsent: Option<Outgoing>,
}

/// A connection to a server. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    protocol: Protocol,
    marks: Rc<crate::wire::Marks>,
    remote: Option<SocketAddr>,
}

#[derive(Debug)]
enum Protocol {
    /// Boxed, because a connection is moved into and out of the pool, and through each request's future.
    Http1(Box<hyper1::Http1>),
}

impl Connection {
    /// Starts HTTP/1.1 on `wire`, whose other end is `remote`, if it has an address.
    pub(crate) async fn http1(wire: Wire, remote: Option<SocketAddr>) -> Result<Self, Fault> {
        let marks = wire.marks();
        let protocol = Protocol::Http1(Box::new(hyper1::Http1::start(wire).await?));
        Ok(Self { protocol, marks, remote })
    }

    /// Sends `request` and reads the whole response.
    ///
    /// A connection whose exchange failed or was cancelled must not be used again.
    pub(crate) async fn exchange(&mut self, request: Outgoing) -> Result<Reply, Failure> {
        self.marks.reset();
        match &mut self.protocol {
            Protocol::Http1(connection) => connection.exchange(request).await,
        }
    }

    /// Whether another request may follow the exchange that has just been completed.
    pub(crate) fn is_reusable(&mut self) -> bool {
        match &mut self.protocol {
            Protocol::Http1(connection) => connection.is_ready(),
        }
    }

    /// Whether an idle connection can still be used, by everything that has arrived at its socket until now.
    pub(crate) fn is_alive(&mut self) -> bool {
        let Self { protocol, marks, .. } = self;
        marks.probing(|| match protocol {
            Protocol::Http1(connection) => connection.is_ready(),
        })
    }

    /// When the last byte of the request was written.
    pub(crate) fn sent(&self) -> Option<Instant> {
        self.marks.sent()
    }

    /// When the first byte of the response came.
    pub(crate) fn first_byte(&self) -> Option<Instant> {
        self.marks.first_byte()
    }

    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }
}
