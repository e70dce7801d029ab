//! HTTP/2 on h2: requests share a connection, which a task of its own drives, and each has a stream.
//! It is the one file that knows h2. A driver there must be: one request that is given up must not hold up the others.

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{Builder, Connection as Driver, ResponseFuture, SendRequest},
};
use http::{
    HeaderMap, Request, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, Scheme},
};
use http_body::{Body, Frame};
use tokio::{sync::oneshot, time::timeout};

use super::{Answer, CLOSED, Connection, Incoming, Protocol, broken_off, tls_fault};
use crate::{
    error::{Class, Fault},
    expectation::Expectation,
    outgoing::Outgoing,
    payload::Payload,
    room::Seat,
    wire::{Marks, Wire},
};

/// What a server may send without having been told that it was read: the windows of hyper and of browsers.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 5 << 20;

/// How many requests in a row are given up, with nothing heard of the server meanwhile, before a connection is taken for
/// dead: where packets are lost on the way nobody says so.
const MOST_GIVEN_UP: u32 = 3;

/// How long a connection that nobody needs any more has to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that many requests can have streams of. It ends when the last of them and the pool have let go of it.
#[derive(Clone)]
pub(crate) struct Shared(Rc<Inner>);

struct Inner {
    sender: RefCell<SendRequest<Bytes>>,
    scheme: Scheme,
    remote: Option<SocketAddr>,
    streams: Cell<usize>,
    served: Cell<u32>,
    idle_since: Cell<Instant>,
    /// The marks of the connection.
    wire: Rc<Marks>,
    /// Requests given up since anything was heard.
    given_up: Cell<u32>,
    seat: RefCell<Option<Seat>>,
    /// Tells the driver, by its drop, that nobody needs the connection any more.
    _needed: oneshot::Sender<()>,
}

impl Shared {
    /// Whether the server takes more requests on it.
    pub(crate) fn is_open(&self) -> bool {
        if self.0.given_up.get() >= MOST_GIVEN_UP {
            return false;
        }
        let polled = self.0.sender.borrow_mut().poll_ready(&mut Context::from_waker(Waker::noop()));
        !matches!(polled, Poll::Ready(Err(_)))
    }

    /// A stream of it, if the server allows one more at the same time.
    pub(crate) fn stream(&self) -> Option<Connection> {
        let most = self.0.sender.borrow().current_max_send_streams();
        if self.0.streams.get() >= most {
            return None;
        }
        let protocol = Protocol::Http2(Box::new(Stream::new(self.clone())));
        Some(Connection { protocol, remote: self.0.remote, served: 0, seat: None, forward_proxy: None })
    }

    /// A request was given up that was sent when so much had been read.
    fn given_up(&self, read_before: u64) {
        let is_silent = self.0.wire.reads() == read_before;
        self.0.given_up.set(if is_silent { self.0.given_up.get() + 1 } else { 0 });
    }

    /// Whether one request alone has a stream of it.
    pub(crate) fn is_of_one(&self) -> bool {
        self.0.streams.get() == 1
    }

    /// How many requests it has been used for.
    pub(crate) fn served(&self) -> u32 {
        self.0.served.get()
    }

    /// From when on it has carried no request, if it carries none by `now`.
    pub(crate) fn idle_since(&self, now: Instant) -> Option<Instant> {
        (self.0.streams.get() == 0).then(|| self.0.idle_since.get().min(now))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("streams", &self.0.streams).finish_non_exhaustive()
    }
}

/// One request's place on a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    shared: Shared,
    /// Sends what is left of the request's body, which may go on while the response is read.
    pump: Option<Pump>,
    /// The connection's own are those of all its streams.
    marks: Rc<Marks>,
    /// What the connection had read when the request was sent, until it is answered.
    unanswered: Option<u64>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(read_before) = self.unanswered {
            self.shared.given_up(read_before);
        }
        let Inner { streams, idle_since, seat, .. } = &*self.shared.0;
        streams.set(streams.get() - 1);
        if streams.get() == 0 {
            idle_since.set(Instant::now());
        }
        if let Some(seat) = &*seat.borrow() {
            seat.call_next();
        }
    }
}

impl Stream {
    /// Starts HTTP/2 on `wire`.
    pub(crate) async fn first(wire: Wire, remote: Option<SocketAddr>) -> Result<Self, Fault> {
        let marks = Rc::clone(wire.marks());
        let scheme = if wire.is_tls() { Scheme::HTTPS } else { Scheme::HTTP };
        let (sender, driver) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false)
            .handshake::<_, Bytes>(wire)
            .await
            .map_err(|error| fault_of(error, None))?;
        let (needed, released) = oneshot::channel();
        tokio::task::spawn_local(drive(driver, released));
        let inner = Inner {
            sender: RefCell::new(sender),
            scheme,
            remote,
            streams: Cell::new(0),
            served: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            wire: marks,
            given_up: Cell::new(0),
            seat: RefCell::default(),
            _needed: needed,
        };
        Ok(Self::new(Shared(Rc::new(inner))))
    }

    fn new(shared: Shared) -> Self {
        shared.0.streams.set(shared.0.streams.get() + 1);
        shared.0.served.set(shared.0.served.get().saturating_add(1));
        Self { shared, pump: None, marks: Rc::default(), unanswered: None }
    }

    pub(crate) fn shared(&self) -> Shared {
        self.shared.clone()
    }

    pub(crate) fn sit(&mut self, seat: Option<Seat>) {
        *self.shared.0.seat.borrow_mut() = seat;
    }

    pub(crate) fn is_open(&mut self) -> bool {
        self.shared.is_open()
    }

    /// When the request was handed to the connection, and when the head of the response came.
    pub(crate) fn marks(&self) -> &Rc<Marks> {
        &self.marks
    }

    pub(crate) async fn send(
        &mut self,
        request: &Outgoing<'_>,
        payload: &mut Option<Payload>,
    ) -> Result<Answer, Fault> {
        let given = payload.take().unwrap_or_default();
        let copy = given.replay();
        let refused = |error: h2::Error| {
            *payload = is_unprocessed(&error).then_some(copy).flatten();
            fault_of(error, None)
        };
        let ends_with_head = given.is_end_stream();
        let head = head_of(request, &given, &self.shared.0.scheme)?;
        self.unanswered = Some(self.shared.0.wire.reads());
        let begun = self.shared.0.sender.borrow_mut().send_request(head, ends_with_head);
        let (response, stream) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                self.unanswered = None;
                return Err(refused(error));
            }
        };
        self.pump = Some(Pump::new(stream, given));
        let answer = self.answer(response).await;
        self.unanswered = None;
        match answer {
            Ok(answer) => {
                let announced = announced(answer.headers());
                let (head, body) = answer.into_parts();
                Ok(Answer { head: head.into(), body: Incoming::Http2(body, announced) })
            }
            Err(Unanswered::Broken(error)) => Err(refused(error)),
            Err(Unanswered::Unsendable(fault)) => Err(fault),
        }
    }

    /// Waits for the head of the response, while the body of the request is sent.
    async fn answer(&mut self, mut response: ResponseFuture) -> Result<http::Response<RecvStream>, Unanswered> {
        let mut expectation = self.pump.as_ref().and_then(Pump::expectation);
        poll_fn(|cx| {
            while let Some(expected) = &expectation
                && let Poll::Ready(said) = response.poll_informational(cx)
            {
                match said {
                    Some(Ok(said)) => expected.said(said.status()),
                    _ => expectation = None,
                }
            }
            let pumped = self.pump(cx);
            // The server's own word on why it takes no more of the body comes first.
            if let Poll::Ready(answer) = Pin::new(&mut response).poll(cx) {
                self.marks.answered(Instant::now());
                return Poll::Ready(answer.map_err(Unanswered::Broken));
            }
            match pumped {
                Poll::Ready(Err(unsent)) => Poll::Ready(Err(unsent)),
                _ => Poll::Pending,
            }
        })
        .await
    }

    fn pump(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unanswered>> {
        let Some(pump) = &mut self.pump else { return Poll::Ready(Ok(())) };
        let pumped = ready!(pump.poll(cx));
        self.pump = None;
        self.marks.written(Instant::now());
        Poll::Ready(pumped)
    }

    /// See [`Connection::poll_frame`].
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut RecvStream,
        received: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        // That the server takes no more of the request does not make its answer worth less.
        if let Poll::Ready(Err(Unanswered::Unsendable(fault))) = self.pump(cx) {
            return Poll::Ready(Some(Err(fault)));
        }
        poll_body(body, received, cx)
    }
}

enum Unanswered {
    Broken(h2::Error),
    Unsendable(Fault),
}

/// Drives a connection until the server closes it, or nobody needs it any more.
async fn drive(mut connection: Driver<Wire, Bytes>, mut released: oneshot::Receiver<()>) {
    let has_ended = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        // Its error is that of the streams, too.
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => Pin::new(&mut released).poll(cx).map(|_| false),
    })
    .await;
    if !has_ended {
        let _ = timeout(GOODBYE, connection).await;
    }
}

/// Sends the body of a request as the server takes it.
#[derive(Debug)]
struct Pump {
    stream: SendStream<Bytes>,
    payload: Option<Payload>,
    /// What the payload has given and the connection has not taken yet.
    left: Bytes,
}

impl Pump {
    fn new(stream: SendStream<Bytes>, payload: Payload) -> Self {
        let payload = Some(payload).filter(|payload| !payload.is_end_stream());
        Self { stream, payload, left: Bytes::new() }
    }

    fn expectation(&self) -> Option<Expectation> {
        self.payload.as_ref()?.expectation()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unanswered>> {
        while let Some(payload) = &mut self.payload {
            if self.left.is_empty() {
                let frame = match Pin::new(payload).poll_frame(cx) {
                    Poll::Ready(frame) => frame,
                    Poll::Pending => return Poll::Pending,
                };
                match frame {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => self.left = data,
                        Err(frame) => return Poll::Ready(self.end(frame.into_trailers().ok())),
                    },
                    Some(Err(error)) => {
                        self.stream.send_reset(Reason::CANCEL);
                        let fault = Fault::new(Class::Request, "the request cannot be sent").because(error);
                        return Poll::Ready(Err(Unanswered::Unsendable(fault)));
                    }
                    None => return Poll::Ready(self.end(None)),
                }
                continue;
            }
            self.stream.reserve_capacity(self.left.len());
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(capacity))) => {
                    let data = self.left.split_to(capacity.min(self.left.len()));
                    self.stream.send_data(data, false).map_err(Unanswered::Broken)?;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Unanswered::Broken(error))),
                // The stream is closed for more: the server has answered without waiting for all of it.
                Poll::Ready(None) => self.payload = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Unanswered> {
        self.payload = None;
        match trailers {
            Some(trailers) => self.stream.send_trailers(trailers),
            None => self.stream.send_data(Bytes::new(), true),
        }
        .map_err(Unanswered::Broken)
    }
}

fn poll_body(body: &mut RecvStream, received: u64, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
    let broken = |error| fault_of(error, Some(received));
    match body.poll_data(cx) {
        Poll::Ready(Some(Ok(data))) => {
            // It has been read: the server may send as much again. A stream that has ended needs no more.
            let _ = body.flow_control().release_capacity(data.len());
            Poll::Ready(Some(Ok(Frame::data(data))))
        }
        // The server has said all that it wants to, and does not wait for the rest of the request (RFC 9113, 8.1).
        Poll::Ready(Some(Err(error))) if error.reason() == Some(Reason::NO_ERROR) => Poll::Ready(None),
        Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(broken(error)))),
        Poll::Ready(None) => match body.poll_trailers(cx) {
            Poll::Ready(Ok(trailers)) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Poll::Ready(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => Poll::Ready(None),
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(broken(error)))),
            Poll::Pending => Poll::Pending,
        },
        Poll::Pending => Poll::Pending,
    }
}

/// The head of a request in the form of HTTP/2: an absolute URI in the place of `Host`, and nothing that is about an
/// HTTP/1.1 connection (RFC 9113, 8.2.2).
fn head_of(request: &Outgoing<'_>, payload: &Payload, scheme: &Scheme) -> Result<Request<()>, Fault> {
    let (mut parts, ()) = request.with(())?.into_parts();
    let unfit = |error: http::Error| Fault::new(Class::Request, "the request cannot be sent").because(error);
    if let Some(host) = parts.headers.remove(HOST) {
        let authority = Authority::try_from(host.as_bytes()).map_err(|error| unfit(error.into()))?;
        let mut uri = parts.uri.into_parts();
        uri.scheme = Some(scheme.clone());
        uri.authority = Some(authority);
        parts.uri = Uri::from_parts(uri).map_err(|error| unfit(error.into()))?;
    }
    for name in [CONNECTION.as_str(), TRANSFER_ENCODING.as_str(), UPGRADE.as_str(), "keep-alive", "proxy-connection"] {
        parts.headers.remove(name);
    }
    if parts.headers.get(TE).is_some_and(|value| value != "trailers") {
        parts.headers.remove(TE);
    }
    if let Some(length) = payload.size_hint().exact()
        && length > 0
    {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    parts.version = Version::HTTP_2;
    Ok(Request::from_parts(parts, ()))
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the server has said that it did not begin to process the request (RFC 9113, 8.7): it refused the stream, or it
/// said goodbye before it, in which case streams that it did begin end otherwise.
fn is_unprocessed(error: &h2::Error) -> bool {
    let is_refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && (is_refused || error.is_go_away())
}

/// Sorts h2's errors into classes; `received` is the bytes of body that have come, if the head has.
fn fault_of(error: h2::Error, received: Option<u64>) -> Fault {
    let fault = if let Some(fault) = error.get_io().and_then(tls_fault) {
        fault
    } else if let Some(received) = received {
        Fault::new(Class::Body, broken_off(received))
    } else if error.is_remote() {
        Fault::new(Class::Closed, ENDED)
    } else if error.is_library() {
        Fault::new(Class::Protocol, "the server's answer is not HTTP/2")
    } else if error.is_io() {
        Fault::new(Class::Closed, CLOSED)
    } else {
        Fault::new(Class::Request, "the request cannot be sent")
    };
    fault.because(error)
}

const ENDED: &str = "the server ended the stream before it had answered";

#[cfg(test)]
mod tests;
