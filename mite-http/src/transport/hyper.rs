//! HTTP/1.1 on hyper, for sessions that ask for it, with the connection driven inside the task that waits for the response.
//! It is the one file that knows hyper's connections: no task is spawned for one, and none stands between the socket and the
//! journey.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http::Request;
use hyper::{
    body::{Body, Frame},
    client::conn::http1::{Connection, SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::task::coop::{self, unconstrained};

use super::{Answer, CLOSED, Incoming, NOT_HTTP1, UNSENDABLE, broken_off, tls_fault};
use crate::{
    error::{Class, Fault},
    outgoing::Outgoing,
    payload::Payload,
    wire::{Marks, Wire},
};

pub(crate) struct OnHyper {
    sender: SendRequest<Payload>,
    driver: Driver,
    marks: Rc<Marks>,
}

impl OnHyper {
    pub(crate) async fn start(wire: Wire) -> Result<Self, Fault> {
        let marks = Rc::clone(wire.marks());
        let (sender, connection) = handshake(TokioIo::new(wire))
            .await
            .map_err(|error| Fault::new(Class::Protocol, "failed to start HTTP/1.1").because(error))?;
        Ok(Self { sender, driver: Driver { connection: Some(connection) }, marks })
    }

    pub(crate) async fn send(
        &mut self,
        request: &Outgoing<'_>,
        payload: &mut Option<Payload>,
    ) -> Result<Answer, Fault> {
        let mut request = request.with(payload.take().unwrap_or_default())?;
        if let Some(expectation) = request.body().expectation() {
            hyper::ext::on_informational(&mut request, move |said| expectation.said(said.status()));
        }
        let Self { sender, driver, marks } = self;
        marks.reset();
        // Both the answer and the frames of the body come into being while the connection is driven, which is done with
        // the task's own waker: asking for them needs none. It must not count against the task's budget either, since a
        // refusal would wake nobody.
        let mut answer = pin!(unconstrained(sender.try_send_request(request)));
        let answer = poll_fn(|cx| {
            let progress = driver.drive(cx);
            match answer.as_mut().poll(&mut nobody()) {
                Poll::Pending if progress.is_ready() => Poll::Ready(None),
                polled => polled.map(Some),
            }
        })
        .await;

        match answer {
            Some(Ok(answer)) => {
                let (head, body) = answer.into_parts();
                Ok(Answer { head: head.into(), body: Incoming::Hyper(body) })
            }
            Some(Err(mut error)) => {
                *payload = error.take_message().map(Request::into_body);
                Err(fault_of(error.into_error(), None))
            }
            None => Err(Fault::new(Class::Closed, CLOSED)),
        }
    }

    /// See [`Connection::poll_piece`](super::Connection::poll_piece).
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut hyper::body::Incoming,
        received: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        // One read brings as many frames as a server likes, and who takes them must not keep the others from their turn.
        let turn = ready!(coop::poll_proceed(cx));
        let progress = self.driver.drive(cx);
        let mut frame = unconstrained(poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)));
        let polled = Pin::new(&mut frame).poll(&mut nobody());
        if polled.is_ready() {
            turn.made_progress();
        }
        match polled {
            Poll::Ready(frame) => {
                Poll::Ready(frame.map(|frame| frame.map_err(|error| fault_of(error, Some(received)))))
            }
            Poll::Pending if progress.is_ready() => {
                Poll::Ready(Some(Err(Fault::new(Class::Body, broken_off(received)))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Whether the connection is open, has nothing more to read or write, and takes another request.
    pub(crate) fn is_open(&mut self) -> bool {
        // Nobody waits for an idle connection. A task's waker left in it would keep the memory of that task after its
        // end, for as long as the connection is idle.
        self.driver.drive(&mut nobody()).is_pending() && self.sender.is_ready()
    }

    pub(crate) fn marks(&self) -> &Rc<Marks> {
        &self.marks
    }
}

impl fmt::Debug for OnHyper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnHyper").finish_non_exhaustive()
    }
}

fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// The half of a connection that reads and writes.
struct Driver {
    /// `None` once it has ended. It is dropped at once, since what waits for it is answered by its drop.
    connection: Option<Connection<TokioIo<Wire>, Payload>>,
}

impl Driver {
    /// Reads and writes what can be; ready once the connection has ended. Its error goes to the request that waits for
    /// it; where none does, the connection is merely not used again.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(connection) = &mut self.connection {
            if Pin::new(connection).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.connection = None;
        }
        Poll::Ready(())
    }
}

/// Sorts hyper's errors into classes; `received` is the bytes of body that have come, if the head has.
fn fault_of(error: hyper::Error, received: Option<u64>) -> Fault {
    let fault = if let Some(fault) = of_tls(&error) {
        fault
    } else if let Some(received) = received {
        Fault::new(Class::Body, broken_off(received))
    } else if error.is_parse() {
        Fault::new(Class::Protocol, NOT_HTTP1)
    } else if error.is_user() {
        Fault::new(Class::Request, UNSENDABLE)
    } else {
        Fault::new(Class::Closed, CLOSED)
    };
    fault.because(error)
}

/// The error of the wire is somewhere among the causes.
fn of_tls(error: &hyper::Error) -> Option<Fault> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return tls_fault(error);
        }
        cause = error.source();
    }
    None
}
