//! What came of one request: the facts that reports, messages and callbacks are made of.
//! It is separate from the response because a request may have none, or one whose body was a stream.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{
    error::{Fault, HttpError},
    exchange::Sizes,
    head::Head,
    payload::Account,
    response::Response,
    sent::Sent,
    timing::Timings,
};

/// One request that was sent, and what came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) sent: &'a Sent,
    pub(crate) timings: &'a Timings,
    pub(crate) outcome: Result<Answered<'a>, &'a HttpError>,
}

/// A response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) head: &'a Head,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) sizes: Sizes,
    /// The body, if it was read whole.
    pub(crate) body: Option<&'a Bytes>,
}

impl Ended<'_> {
    /// The end of a request whose response was read whole, or that failed: it is told, and what the journey gets is answered.
    pub(crate) fn conclude(
        mut response: Response,
        account: &Account,
        outcome: Result<(), Fault>,
        ended: &mut impl FnMut(&Ended<'_>),
    ) -> Result<Response, HttpError> {
        if let Err(fault) = outcome {
            let (sent, reply) = response.halves();
            return Err(Ended::failed(sent, &reply.timings, account.cause(fault), ended));
        }
        let outcome = Ok(Answered::from(&response));
        ended(&Ended { sent: response.sent(), timings: response.timings(), outcome });
        Ok(response)
    }

    /// The end of a request that failed: it is told, and the journey's error is answered.
    pub(crate) fn failed(
        sent: &Sent,
        timings: &Timings,
        fault: Fault,
        ended: &mut impl FnMut(&Ended<'_>),
    ) -> HttpError {
        let error = sent.error(fault);
        ended(&Ended { sent, timings, outcome: Err(&error) });
        error
    }
}

impl<'a> From<&'a Response> for Answered<'a> {
    fn from(response: &'a Response) -> Self {
        Self {
            head: response.head(),
            remote: response.remote_addr(),
            sizes: response.sizes(),
            body: response.content(),
        }
    }
}
