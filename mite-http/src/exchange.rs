//! One request whose answer has begun: its head is here, its body is on the way.
//! It is separate from the client because a journey may hold one for as long as it reads a stream.

use std::{
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::HeaderMap;

use crate::{
    arriving::{Arriving, Wish},
    error::Fault,
    head::Head,
    origin::Origin,
    payload::Account,
    pool::Pool,
    timing::Timings,
    transport::{Answer, Connection},
};

/// How many bytes the bodies of a request and its response had.
///
/// # Examples
///
/// ```no_run
/// use mite_core::{Context, Result};
/// use mite_http::HttpContext;
///
/// async fn download(ctx: &mut Context) -> Result {
///     let response = ctx.http().get("http://localhost:8080/film.mp4").discard().await?.error_for_status()?;
///     assert!(response.sizes().received > 1_000_000);
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// Given to the connection, of the request's body.
    pub sent: u64,
    /// Received of the response's body, as it came over the network.
    pub received: u64,
    /// Received of the response's body, once its compression was undone; the same as `received` where none was.
    pub decoded: u64,
}

/// What has come of a response until now, and when; at last all of it. It is filled where it will stay.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Bytes,
    pub(crate) sizes: Sizes,
    pub(crate) trailers: Option<Box<HeaderMap>>,
    /// Who answered.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) timings: Timings,
}

impl Reply {
    /// Nothing has come.
    pub(crate) fn awaited(timings: Timings) -> Self {
        Self {
            head: Head::default(),
            body: Bytes::new(),
            sizes: Sizes::default(),
            trailers: None,
            remote: None,
            timings,
        }
    }
}

/// A response of which the head has come.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) head: Head,
    coming: Coming,
}

/// The body of a response, on its way. Its connection goes back to the pool with its end; if this is dropped before that,
/// the connection is closed.
#[derive(Debug)]
pub(crate) struct Coming {
    body: Arriving,
    connection: Connection,
    origin: Rc<Origin>,
    pool: Rc<Pool>,
}

impl Exchange {
    /// Boxed, because it is handed through several futures, each of which would move it.
    pub(crate) fn new(answer: Answer, connection: Connection, origin: Rc<Origin>, pool: Rc<Pool>) -> Box<Self> {
        let Answer { head, body } = answer;
        Box::new(Self { head, coming: Coming { body: Arriving::new(body), connection, origin, pool } })
    }

    /// The server's address.
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.coming.connection.remote()
    }

    /// Reads all that is still to come.
    pub(crate) async fn read_whole(
        mut self: Box<Self>,
        wish: &Wish,
        account: &Account,
        reply: &mut Reply,
    ) -> Result<(), Fault> {
        self.begin(wish.decode, account);
        reply.body = self.coming.gather(wish).await?;
        reply.remote = self.remote();
        let Self { head, coming } = *self;
        reply.head = head;
        coming.complete(account, reply);
        Ok(())
    }

    /// The head by itself, and what reads the body.
    pub(crate) fn split(mut self, decode: bool, account: &Account) -> (Head, Coming) {
        self.begin(decode, account);
        (self.head, self.coming)
    }

    /// A body of the request that still waits for the server's word stays where it is.
    fn begin(&mut self, decode: bool, account: &Account) {
        account.answered();
        if decode {
            self.coming.body.decode(self.head.headers.map());
        }
    }
}

impl Coming {
    /// The next bytes, or `None` when the body has ended.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        self.body.poll_next(&mut self.connection, cx)
    }

    /// Reads all that is still to come.
    pub(crate) async fn gather(&mut self, wish: &Wish) -> Result<Bytes, Fault> {
        self.body.gather(&mut self.connection, wish).await
    }

    /// Completes a reply whose body has just come.
    pub(crate) fn complete(self, account: &Account, reply: &mut Reply) {
        let now = self.connection.read_at_once().unwrap_or_else(Instant::now);
        (reply.sizes, reply.trailers) = self.finish(now, account, &mut reply.timings);
    }

    /// What has come until now.
    pub(crate) fn sizes(&self, account: &Account) -> Sizes {
        Sizes { sent: account.sent(), received: self.body.received(), decoded: self.body.decoded() }
    }

    /// Gives the connection back, the body having ended `now`, and tells what there was.
    pub(crate) fn finish(
        mut self,
        now: Instant,
        account: &Account,
        timings: &mut Timings,
    ) -> (Sizes, Option<Box<HeaderMap>>) {
        timings.ended(now);
        let sizes = self.sizes(account);
        let trailers = self.body.take_trailers();
        if self.connection.is_reusable() {
            self.pool.put(&self.origin, self.connection, now);
        }
        (sizes, trailers)
    }
}
