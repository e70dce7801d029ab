//! HTTP/1.1 on hyper, with the connection driven inside the task that waits for the response.
//! It is the one file that knows hyper: no task is spawned for a connection, and none stands between the socket and the
//! journey.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::{
    body::{Body, Incoming},
    client::conn::http1::{Connection, SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::task::coop::unconstrained;

use super::{Failure, Outgoing, Reply};
use crate::{
    error::{Class, Fault},
    wire::Wire,
};

/// What is set aside for a body at most before its bytes have come: a server's `Content-Length` is only a claim.
const MAX_RESERVED: u64 = 1 << 20;

pub(crate) struct Http1 {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
}

impl Http1 {
    pub(crate) async fn start(wire: Wire) -> Result<Self, Fault> {
        let (sender, connection) = handshake(TokioIo::new(wire))
            .await
            .map_err(|error| Fault::new(Class::Protocol, "failed to start HTTP/1.1").because(error))?;
        Ok(Self { sender, driver: Driver { connection: Some(connection) } })
    }

    pub(crate) async fn exchange(&mut self, request: Outgoing) -> Result<Reply, Failure> {
        let Self { sender, driver } = self;
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

        let response = match answer {
            Some(Ok(response)) => response,
            Some(Err(mut error)) => {
                let unsent = error.take_message();
                return Err(Failure { fault: fault_of(error.into_error(), None), unsent });
            }
            None => {
                return Err(Failure { fault: Fault::new(Class::Closed, CLOSED), unsent: None });
            }
        };
        let (head, incoming) = response.into_parts();
        let body = read_whole(incoming, driver).await.map_err(|received| Failure { fault: received, unsent: None })?;
        Ok(Reply { head, body })
    }

    /// Whether the connection is open, has nothing more to read or write, and takes another request.
    pub(crate) fn is_ready(&mut self) -> bool {
        // Nobody waits for an idle connection. A task's waker left in it would keep the memory of that task after its
        // end, for as long as the connection is idle.
        self.driver.drive(&mut nobody()).is_pending() && self.sender.is_ready()
    }
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1").finish_non_exhaustive()
    }
}

fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// The half of a connection that reads and writes.
struct Driver {
    /// `None` once it has ended. It is dropped at once, since what waits for it is answered by its drop.
    connection: Option<Connection<TokioIo<Wire>, Full<Bytes>>>,
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

async fn read_whole(mut incoming: Incoming, driver: &mut Driver) -> Result<Bytes, Fault> {
    let announced = incoming.size_hint().lower().min(MAX_RESERVED) as usize;
    let mut body = Gathered::Nothing;
    poll_fn(|cx| {
        loop {
            let progress = driver.drive(cx);
            let mut frame = unconstrained(poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)));
            match Pin::new(&mut frame).poll(&mut nobody()) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        body.push(data, announced);
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(fault_of(error, Some(body.len()))));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending if progress.is_ready() => {
                    return Poll::Ready(Err(Fault::new(Class::Body, broken_off(body.len()))));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await?;
    Ok(body.into_bytes())
}

/// A body as it comes in. Most come in one piece, which is not copied.
enum Gathered {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Gathered {
    fn push(&mut self, data: Bytes, announced: usize) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => Self::One(data),
            Self::One(first) => {
                let mut all = BytesMut::with_capacity(announced.max(first.len() + data.len()));
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
                Self::Many(all)
            }
            Self::Many(mut all) => {
                all.extend_from_slice(&data);
                Self::Many(all)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(data) => data.len(),
            Self::Many(data) => data.len(),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(data) => data,
            Self::Many(data) => data.freeze(),
        }
    }
}

const CLOSED: &str = "the server closed the connection before it had answered";

fn broken_off(received: usize) -> String {
    format!("the response's body broke off after {received} bytes")
}

/// Sorts hyper's errors into classes; `received` is the bytes of body that have come, if the head has.
fn fault_of(error: hyper::Error, received: Option<usize>) -> Fault {
    let fault = if is_tls(&error) {
        Fault::new(Class::Tls, "the TLS connection broke")
    } else if let Some(received) = received {
        Fault::new(Class::Body, broken_off(received))
    } else if error.is_parse() {
        Fault::new(Class::Protocol, "the server's answer is not HTTP/1.1")
    } else if error.is_user() {
        Fault::new(Class::Request, "the request cannot be sent")
    } else {
        Fault::new(Class::Closed, CLOSED)
    };
    fault.because(error)
}

/// rustls's errors arrive wrapped in an [`io::Error`].
#[cfg(feature = "tls")]
fn is_tls(error: &hyper::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            return inner.is::<rustls::Error>();
        }
        cause = error.source();
    }
    false
}

#[cfg(not(feature = "tls"))]
fn is_tls(_: &hyper::Error) -> bool {
    false
}
