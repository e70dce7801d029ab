//! The bytes under a connection: a TCP or Unix stream, with or without TLS, that notes when it first wrote and read.
//! It is separate because two things are known only here: the instant of the first byte, and what has reached the
//! socket although the runtime has not been told of it yet.

#[cfg(test)]
pub(crate) mod scripted;

use std::{
    cell::Cell,
    io::{self, Read},
    mem::MaybeUninit,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use socket2::SockRef;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    task::yield_now,
};

/// How many bytes are read in large pieces before others have their turn.
const TURN: usize = 64 << 10;

/// What a plain response does not fill, and what comes without end does.
const LARGE: usize = 4 << 10;

/// What a connection and the wire under it tell each other.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    probing: Cell<bool>,
    /// How many bytes were read in large pieces since others had their turn.
    in_this_turn: Cell<usize>,
    /// Whether others are to have theirs before the next read.
    pausing: Cell<bool>,
    sent: Cell<Option<Instant>>,
    first_byte: Cell<Option<Instant>>,
    /// Whether more of the response came after its first byte.
    has_more: Cell<bool>,
    reads: Cell<u64>,
}

impl Marks {
    /// Counts what was read in one piece.
    #[cold]
    fn read(&self, bytes: usize) {
        let in_this_turn = self.in_this_turn.get() + bytes;
        self.in_this_turn.set(in_this_turn);
        self.pausing.set(in_this_turn >= TURN);
    }

    /// Lets others have their turn.
    ///
    /// A server may go on without end with what needs no answer, such as interim responses, and whoever reads goes on as long
    /// as there is something: neither timeouts nor the worker's other journeys would have theirs.
    #[cold]
    fn pause<T>(&self, cx: &mut Context<'_>) -> Poll<T> {
        self.in_this_turn.set(0);
        self.pausing.set(false);
        // Whoever yields has his next turn once the runtime has looked at its timers and sockets. Woken at once he would have some
        // thirty before that.
        let _pending = pin!(yield_now()).poll(cx);
        Poll::Pending
    }

    /// Forgets the request before.
    pub(crate) fn reset(&self) {
        self.sent.set(None);
        self.first_byte.set(None);
        self.has_more.set(false);
    }

    /// When the last byte of the request was written, if any was.
    pub(crate) fn sent(&self) -> Option<Instant> {
        self.sent.get()
    }

    /// When the first byte of the response was read, if any was.
    pub(crate) fn first_byte(&self) -> Option<Instant> {
        self.first_byte.get()
    }

    /// When all that has been read of the response was read, if that was at once: the clock need not be read again for it.
    pub(crate) fn read_at_once(&self) -> Option<Instant> {
        self.first_byte.get().filter(|_| !self.has_more.get())
    }

    /// Some of the request has been written.
    #[cfg(feature = "http2")]
    pub(crate) fn written(&self, at: Instant) {
        self.sent.set(Some(at));
    }

    /// Some of the response has been read.
    #[cfg(feature = "http2")]
    pub(crate) fn answered(&self, at: Instant) {
        if self.first_byte.get().is_none() {
            self.first_byte.set(Some(at));
        }
        self.has_more.set(true);
        // Before the end of the request, perhaps.
        if self.sent.get().is_none() {
            self.sent.set(Some(at));
        }
    }

    /// How often something came.
    #[cfg(feature = "http2")]
    pub(crate) fn reads(&self) -> u64 {
        self.reads.get()
    }

    /// Runs `poll`, in which reads ask the socket itself where the runtime knows of nothing to read.
    pub(crate) fn probing<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.probing.set(true);
        let answer = poll();
        self.probing.set(false);
        answer
    }
}

/// What a socket stands on.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// The TLS that is spoken with a proxy.
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<Socket>>),
    #[cfg(test)]
    Scripted(scripted::Scripted),
}

/// A stream that can be read past the runtime's readiness.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    marks: Rc<Marks>,
}

/// Calls one method on whichever stream is there.
macro_rules! on_stream {
    ($socket:expr, $method:ident($($argument:expr),*)) => {
        match &mut $socket.stream {
            Stream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            #[cfg(unix)]
            Stream::Unix(stream) => Pin::new(stream).$method($($argument),*),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
            #[cfg(test)]
            Stream::Scripted(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl Socket {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        Self { stream: Stream::Tcp(stream), marks: Rc::default() }
    }

    #[cfg(test)]
    pub(crate) fn scripted(stream: scripted::Scripted) -> Self {
        Self { stream: Stream::Scripted(stream), marks: Rc::default() }
    }

    #[cfg(unix)]
    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self { stream: Stream::Unix(stream), marks: Rc::default() }
    }

    /// A socket within the TLS of a proxy.
    #[cfg(feature = "tls")]
    pub(crate) fn within(stream: tokio_rustls::client::TlsStream<Self>) -> Self {
        Self { marks: Rc::clone(&stream.get_ref().0.marks), stream: Stream::Tls(Box::new(stream)) }
    }

    fn may_have_news(&self) -> bool {
        let nothing = || Ok(());
        match &self.stream {
            Stream::Tcp(stream) => stream.try_io(Interest::READABLE, nothing).is_ok(),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.try_io(Interest::READABLE, nothing).is_ok(),
            #[cfg(feature = "tls")]
            Stream::Tls(_) => true,
            #[cfg(test)]
            Stream::Scripted(_) => true,
        }
    }

    fn is_bare(&self) -> bool {
        match &self.stream {
            Stream::Tcp(_) => true,
            #[cfg(unix)]
            Stream::Unix(_) => true,
            #[cfg(feature = "tls")]
            Stream::Tls(_) => false,
            #[cfg(test)]
            Stream::Scripted(_) => true,
        }
    }

    /// Reads what the socket holds now.
    ///
    /// The runtime learns that a socket is readable when it next asks the operating system, which a busy worker does
    /// rarely. A server's goodbye that arrived meanwhile would go unseen, and the next request be sent to nobody.
    fn read_unannounced(&self, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = match &self.stream {
            Stream::Tcp(stream) => SockRef::from(stream),
            #[cfg(unix)]
            Stream::Unix(stream) => SockRef::from(stream),
            // The socket under it has been asked already.
            #[cfg(feature = "tls")]
            Stream::Tls(_) => return Poll::Pending,
            #[cfg(test)]
            Stream::Scripted(_) => return Poll::Pending,
        };
        // Peeking at one byte first spares the usual case, an idle connection, the clearing of a whole buffer.
        match socket.peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => Poll::Ready(Ok(())),
            Ok(_) => {
                let read = (&*socket).read(buf.initialize_unfilled())?;
                buf.advance(read);
                Poll::Ready(Ok(()))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = on_stream!(self, poll_read(cx, buf));
        if polled.is_pending() && self.marks.probing.get() {
            return self.read_unannounced(buf);
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.is_write_vectored(),
            #[cfg(test)]
            Stream::Scripted(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, poll_shutdown(cx))
    }
}

#[derive(Debug)]
enum Layer {
    Plain(Socket),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<Socket>>),
}

/// A stream ready for HTTP.
#[derive(Debug)]
pub(crate) struct Wire {
    layer: Layer,
    marks: Rc<Marks>,
}

/// Calls one method on whichever stream is there.
macro_rules! on_layer {
    ($wire:expr, $method:ident($($argument:expr),*)) => {
        match &mut $wire.layer {
            Layer::Plain(stream) => Pin::new(stream).$method($($argument),*),
            #[cfg(feature = "tls")]
            Layer::Tls(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
        }
    };
}

impl Wire {
    pub(crate) fn plain(socket: Socket) -> Self {
        Self { marks: Rc::clone(&socket.marks), layer: Layer::Plain(socket) }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(stream: tokio_rustls::client::TlsStream<Socket>) -> Self {
        Self { marks: Rc::clone(&stream.get_ref().0.marks), layer: Layer::Tls(Box::new(stream)) }
    }

    /// Whether what is sent is encrypted.
    #[cfg(feature = "http2")]
    pub(crate) fn is_tls(&self) -> bool {
        !matches!(self.layer, Layer::Plain(_))
    }

    /// Whether what is written goes to the operating system as it is.
    pub(crate) fn is_bare(&self) -> bool {
        match &self.layer {
            Layer::Plain(socket) => socket.is_bare(),
            #[cfg(feature = "tls")]
            Layer::Tls(_) => false,
        }
    }

    pub(crate) fn marks(&self) -> &Rc<Marks> {
        &self.marks
    }

    /// Whether there may be something to read, by what the runtime has heard: to read would say the same at six times the cost.
    pub(crate) fn may_have_news(&self) -> bool {
        match &self.layer {
            Layer::Plain(socket) => self.marks.probing.get() || socket.may_have_news(),
            #[cfg(feature = "tls")]
            Layer::Tls(_) => true,
        }
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(count)) if *count > 0) {
            self.marks.sent.set(Some(Instant::now()));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.marks.pausing.get() && !self.marks.probing.get() {
            return self.marks.pause(cx);
        }
        let before = buf.filled().len();
        let polled = on_layer!(self, poll_read(cx, buf));
        let read = buf.filled().len() - before;
        if read >= LARGE {
            self.marks.read(read);
        }
        if read > 0 {
            self.marks.reads.set(self.marks.reads.get() + 1);
            match self.marks.first_byte.get() {
                None => self.marks.first_byte.set(Some(Instant::now())),
                Some(_) => self.marks.has_more.set(true),
            }
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = on_layer!(self, poll_write(cx, buf));
        self.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = on_layer!(self, poll_write_vectored(cx, bufs));
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        match &self.layer {
            Layer::Plain(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Layer::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_layer!(self, poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_layer!(self, poll_shutdown(cx))
    }
}
