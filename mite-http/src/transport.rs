//! The seam between the session and whatever speaks HTTP below it: a connection takes a request, answers with a head, and
//! then with the body piece by piece. What a session does (cookies, pooling, timing, errors) is above it, so that another
//! HTTP/1.1 implementation or HTTP/2 can come below without a change to the session.

mod hyper1;

use std::{
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use hyper::body::{Frame, Incoming};

use crate::{
    error::Fault,
    payload::Payload,
    wire::{Marks, Wire},
};

/// A request as it goes out: the URI in origin form, and every header that is to be sent but `Content-Length`.
pub(crate) type Outgoing = http::Request<Payload>;

/// The head of a response, and the body that is still to come.
pub(crate) type Answer = http::Response<Incoming>;

/// Why there is no answer.
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
    marks: Rc<Marks>,
    remote: SocketAddr,
}

#[derive(Debug)]
enum Protocol {
    /// Boxed, because a connection is moved into and out of the pool, and through each request's future.
    Http1(Box<hyper1::Http1>),
}

impl Connection {
    /// Starts HTTP/1.1 on `wire`, whose other end is `remote`.
    pub(crate) async fn http1(wire: Wire, remote: SocketAddr) -> Result<Self, Fault> {
        let marks = wire.marks();
        let protocol = Protocol::Http1(Box::new(hyper1::Http1::start(wire).await?));
        Ok(Self { protocol, marks, remote })
    }

    /// Sends `request` and waits for the head of the response.
    ///
    /// A connection whose exchange failed or was cancelled must not be used again.
    pub(crate) async fn send(&mut self, request: Outgoing) -> Result<Answer, Failure> {
        self.marks.reset();
        match &mut self.protocol {
            Protocol::Http1(connection) => connection.send(request).await,
        }
    }

    /// The next piece of the body of the response that was answered last; `received` is how many bytes have come.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        received: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match &mut self.protocol {
            Protocol::Http1(connection) => connection.poll_frame(body, received, cx),
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

    /// What the wire tells while something is being sent on it.
    pub(crate) fn marks(&self) -> Rc<Marks> {
        Rc::clone(&self.marks)
    }

    /// When the last byte of the request was written.
    pub(crate) fn sent(&self) -> Option<Instant> {
        self.marks.sent()
    }

    /// When the first byte of the response came.
    pub(crate) fn first_byte(&self) -> Option<Instant> {
        self.marks.first_byte()
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.remote
    }
}
