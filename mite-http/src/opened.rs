//! A response whose head has come, before anybody reads its body.
//! It is separate from the stream that a journey reads because a redirect's body is read by the session.

use std::{net::SocketAddr, pin::Pin, time::Instant};

use tokio::time::{Sleep, timeout_at};

use crate::{
    arriving::Wish,
    client::Limits,
    ended::Ended,
    error::HttpError,
    exchange::{Coming, Reply},
    head::Head,
    payload::Account,
    response::Response,
    sent::Sent,
    timing::Timings,
};

/// A request that was sent, and the head of its response.
pub(crate) struct Opened {
    pub(crate) sent: Sent,
    pub(crate) timings: Timings,
    pub(crate) head: Head,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) limits: Limits,
    pub(crate) account: Account,
    pub(crate) coming: Coming,
    pub(crate) deadline: Pin<Box<Sleep>>,
    /// The redirects on the way.
    pub(crate) history: Vec<Response>,
}

impl Opened {
    /// Reads all of the body, and tells `ended`.
    pub(crate) async fn read(self, wish: &Wish, ended: &mut impl FnMut(&Ended<'_>)) -> Result<Response, HttpError> {
        let Self { sent, timings, head, remote, limits, account, mut coming, deadline, .. } = self;
        let mut response = Response::new(sent, Reply { head, remote, ..Reply::awaited(timings) });
        let (_, reply) = response.halves();
        let outcome = match timeout_at(deadline.deadline(), coming.gather(wish)).await {
            Ok(body) => body.map(|body| {
                reply.body = body;
                coming.complete(&account, reply);
            }),
            Err(_elapsed) => Err(limits.elapsed()),
        };
        if outcome.is_err() {
            reply.timings.ended(Instant::now());
        }
        Ended::conclude(response, &account, outcome, ended)
    }
}
