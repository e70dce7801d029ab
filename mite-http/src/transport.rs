//! The seam between the session and whatever speaks HTTP below it: a connection takes a request, answers with a head, and
//! then with the body piece by piece. What a session does (cookies, pooling, timing, errors) is above it, so that another
//! implementation of HTTP can come below without a change to the session.

mod http1;
#[cfg(feature = "http2")]
mod http2;
#[cfg(feature = "hyper")]
mod hyper;

use std::{
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Version};
#[cfg(feature = "hyper")]
use http_body::Body as _;
use http_body::Frame;

pub(crate) use self::http1::Scratch;
#[cfg(feature = "http2")]
pub(crate) use self::http2::Shared;
#[cfg(not(feature = "hyper"))]
use crate::network::NO_HYPER;
#[cfg(feature = "tls")]
use crate::tls;
use crate::{
    connector::{ForwardProxy, Opened},
    error::{Class, Fault},
    head::Head,
    network::Http1,
    outgoing::Outgoing,
    payload::Payload,
    room::Seat,
    wire::Marks,
};

/// The head of a response, and the body that is still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Incoming,
}

/// A body that is still to come, from the connection which answered.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// How many bytes the server has announced. The rest is known to the connection.
    Http1(u64),
    #[cfg(feature = "hyper")]
    Hyper(::hyper::body::Incoming),
    #[cfg(feature = "http2")]
    Http2(h2::RecvStream, Option<u64>),
}

impl Incoming {
    /// How many bytes the server has announced, or at least those that have come already.
    pub(crate) fn announced(&self) -> u64 {
        match self {
            Self::Http1(announced) => *announced,
            #[cfg(feature = "hyper")]
            Self::Hyper(body) => body.size_hint().lower(),
            #[cfg(feature = "http2")]
            Self::Http2(_, announced) => announced.unwrap_or_default(),
        }
    }
}

/// A piece of a body.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    /// So many bytes, which were read and forgotten.
    Skipped(u64),
    /// What follows the body.
    Trailers(Box<HeaderMap>),
}

impl From<Frame<Bytes>> for Piece {
    fn from(frame: Frame<Bytes>) -> Self {
        match frame.into_data() {
            Ok(data) => Self::Data(data),
            Err(frame) => Self::Trailers(Box::new(frame.into_trailers().unwrap_or_default())),
        }
    }
}

/// A connection to a server, or one stream of it. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    protocol: Protocol,
    remote: Option<SocketAddr>,
    served: u32,
    seat: Option<Seat>,
    /// Boxed, because few have one, and connections are moved often.
    forward_proxy: Option<Box<ForwardProxy>>,
}

/// Boxed, because a connection is moved into and out of the pool, and through each request's future.
#[derive(Debug)]
enum Protocol {
    Http1(Box<http1::Http1>),
    #[cfg(feature = "hyper")]
    Hyper(Box<hyper::OnHyper>),
    #[cfg(feature = "http2")]
    Http2(Box<http2::Stream>),
}

/// Calls one method on whichever protocol is there.
macro_rules! on_protocol {
    ($protocol:expr, $connection:ident => $call:expr) => {
        match $protocol {
            Protocol::Http1($connection) => $call,
            #[cfg(feature = "hyper")]
            Protocol::Hyper($connection) => $call,
            #[cfg(feature = "http2")]
            Protocol::Http2($connection) => $call,
        }
    };
}

impl Connection {
    /// Starts HTTP on what has been opened; `scratch` is lent to it when it reads or writes.
    #[cfg_attr(
        not(any(feature = "http2", feature = "hyper")),
        expect(clippy::unused_async, reason = "the others have something to say first")
    )]
    pub(crate) async fn start(opened: Opened, scratch: &Rc<Scratch>) -> Result<Self, Fault> {
        let Opened { wire, remote, version, http1, forward_proxy } = opened;
        let protocol = match version {
            // The connection is the first stream of it.
            #[cfg(feature = "http2")]
            Version::HTTP_2 => Protocol::Http2(Box::new(http2::Stream::first(wire, remote).await?)),
            _ => match http1 {
                Http1::Mite => Protocol::Http1(Box::new(http1::Http1::new(wire, Rc::clone(scratch)))),
                // Boxed, because few sessions ask for it.
                #[cfg(feature = "hyper")]
                Http1::Hyper => Protocol::Hyper(Box::new(Box::pin(hyper::OnHyper::start(wire)).await?)),
                // The settings refuse it already.
                #[cfg(not(feature = "hyper"))]
                Http1::Hyper => return Err(Fault::new(Class::Request, NO_HYPER)),
            },
        };
        Ok(Self { protocol, remote, served: 0, seat: None, forward_proxy: forward_proxy.map(Box::new) })
    }

    pub(crate) fn version(&self) -> Version {
        match &self.protocol {
            Protocol::Http1(_) => Version::HTTP_11,
            #[cfg(feature = "hyper")]
            Protocol::Hyper(_) => Version::HTTP_11,
            #[cfg(feature = "http2")]
            Protocol::Http2(_) => Version::HTTP_2,
        }
    }

    /// Gives the connection its seat, which is free again when it is closed.
    pub(crate) fn sit(&mut self, seat: Option<Seat>) {
        #[cfg(feature = "http2")]
        if let Protocol::Http2(stream) = &mut self.protocol {
            return stream.sit(seat);
        }
        self.seat = seat;
    }

    /// What other requests can have streams of, if they can.
    #[cfg(feature = "http2")]
    pub(crate) fn shared(&self) -> Option<Shared> {
        if let Protocol::Http2(stream) = &self.protocol { Some(stream.shared()) } else { None }
    }

    /// Whether other requests use it at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        self.version() == Version::HTTP_2
    }

    /// Whether it could be shared, and no other request uses it now.
    pub(crate) fn is_alone(&self) -> bool {
        match &self.protocol {
            Protocol::Http1(_) => false,
            #[cfg(feature = "hyper")]
            Protocol::Hyper(_) => false,
            #[cfg(feature = "http2")]
            Protocol::Http2(stream) => stream.shared().is_of_one(),
        }
    }

    /// Sends `request` with `payload`, which is taken, and waits for the head of the response.
    ///
    /// A connection whose exchange failed or was cancelled must not be used again. Where it failed and it is certain that the
    /// server has not begun to process the request, the payload is back in its place.
    pub(crate) async fn send(
        &mut self,
        request: &Outgoing<'_>,
        payload: &mut Option<Payload>,
    ) -> Result<Answer, Fault> {
        self.served += 1;
        match &mut self.protocol {
            Protocol::Http1(connection) => connection.send(request, payload).await,
            // Boxed, so that a request over HTTP/1.1 is not as large as these.
            #[cfg(feature = "hyper")]
            Protocol::Hyper(connection) => Box::pin(connection.send(request, payload)).await,
            #[cfg(feature = "http2")]
            Protocol::Http2(stream) => Box::pin(stream.send(request, payload)).await,
        }
    }

    /// All of the body of the response that was answered last, if it is here already, as nearly each short one is.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        match &mut self.protocol {
            Protocol::Http1(connection) => connection.take_whole(),
            #[cfg(feature = "hyper")]
            Protocol::Hyper(_) => None,
            #[cfg(feature = "http2")]
            Protocol::Http2(_) => None,
        }
    }

    /// The next piece of the body of the response that was answered last; `received` is how many bytes have come, and `keep`
    /// whether anybody wants to have them.
    pub(crate) fn poll_piece(
        &mut self,
        body: &mut Incoming,
        keep: bool,
        received: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, Fault>>> {
        match (&mut self.protocol, body) {
            (Protocol::Http1(connection), Incoming::Http1(_)) => connection.poll_piece(keep, received, cx),
            #[cfg(feature = "hyper")]
            (Protocol::Hyper(connection), Incoming::Hyper(body)) => {
                connection.poll_frame(body, received, cx).map_ok(Piece::from)
            }
            #[cfg(feature = "http2")]
            (Protocol::Http2(stream), Incoming::Http2(body, _)) => {
                stream.poll_frame(body, received, cx).map_ok(Piece::from)
            }
            #[cfg(any(feature = "http2", feature = "hyper"))]
            _ => unreachable!("a body is read from the connection which answered"),
        }
    }

    /// Whether another request may follow the exchange that has just been completed, by what was said in it.
    pub(crate) fn is_reusable(&mut self) -> bool {
        match &mut self.protocol {
            Protocol::Http1(connection) => connection.is_free(),
            #[cfg(feature = "hyper")]
            Protocol::Hyper(connection) => connection.is_open(),
            #[cfg(feature = "http2")]
            Protocol::Http2(_) => true,
        }
    }

    /// Whether an idle connection can still be used, by what the runtime has heard of it.
    pub(crate) fn is_open(&mut self) -> bool {
        on_protocol!(&mut self.protocol, connection => connection.is_open())
    }

    /// Whether an idle connection can still be used, by everything that has arrived at its socket until now.
    pub(crate) fn is_alive(&mut self) -> bool {
        let marks = Rc::clone(self.marks());
        marks.probing(|| self.is_open())
    }

    /// Whether an exchange that failed with `fault` found it closed.
    pub(crate) fn was_stale(&self, fault: &Fault) -> bool {
        !self.is_shared() && self.first_byte().is_none() && fault.class() == Class::Closed
    }

    /// The proxy at its other end, if that passes single requests on.
    pub(crate) fn forward_proxy(&self) -> Option<&ForwardProxy> {
        self.forward_proxy.as_deref()
    }

    /// How many requests it has been used for.
    pub(crate) fn served(&self) -> u32 {
        #[cfg(feature = "http2")]
        if let Protocol::Http2(stream) = &self.protocol {
            return stream.shared().served();
        }
        self.served
    }

    /// What the wire tells while something is being sent on it.
    pub(crate) fn marks(&self) -> &Rc<Marks> {
        on_protocol!(&self.protocol, connection => connection.marks())
    }

    /// When the last byte of the request was written.
    pub(crate) fn sent(&self) -> Option<Instant> {
        self.marks().sent()
    }

    /// When the first byte of the response came.
    pub(crate) fn first_byte(&self) -> Option<Instant> {
        self.marks().first_byte()
    }

    /// When the response was read, if that was at once.
    pub(crate) fn read_at_once(&self) -> Option<Instant> {
        self.marks().read_at_once()
    }

    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }
}

const NOT_HTTP1: &str = "the server's answer is not HTTP/1.1";

const UNSENDABLE: &str = "the request cannot be sent";

const CLOSED: &str = "the server closed the connection before it had answered";

fn broken_off(received: u64) -> String {
    format!("the response's body broke off after {received} bytes")
}

/// The fault behind an error of the wire that is one of TLS: rustls's errors come wrapped.
#[cfg(feature = "tls")]
fn tls_fault(error: &std::io::Error) -> Option<Fault> {
    error.get_ref().filter(|inner| inner.is::<rustls::Error>())?;
    // With TLS 1.3 a server refuses a client's certificate, or the lack of one, after the handshake.
    let meaning = tls::explained(error).map_or(String::new(), |meaning| format!(": {meaning}"));
    Some(Fault::new(Class::Tls, format!("the TLS connection broke{meaning}")))
}

#[cfg(not(feature = "tls"))]
fn tls_fault(_: &std::io::Error) -> Option<Fault> {
    None
}

#[cfg(all(test, feature = "hyper"))]
mod tests;
