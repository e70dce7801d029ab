//! A stream in memory for the tests of what speaks over one: each read gives a piece of the script, each write takes as much
//! as the script lets it.
//! It is separate from the servers of the tests because it needs no runtime: what is polled once has done all that it can.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a read finds.
#[cfg_attr(not(feature = "hyper"), expect(dead_code, reason = "long scripts are those of the comparison with hyper"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Read {
    Bytes(Vec<u8>),
    /// Nothing yet: whoever reads has to come again.
    Later,
}

/// What comes when nothing more is to be read.
#[cfg_attr(not(feature = "hyper"), expect(dead_code, reason = "long scripts are those of the comparison with hyper"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Closes,
    Resets,
    Stalls,
}

/// What the other end does.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) reads: VecDeque<Read>,
    pub(crate) end: End,
    /// How much each write takes; everything once this is used up.
    pub(crate) writes: VecDeque<usize>,
    /// After how many bytes writes fail.
    pub(crate) breaks_after: Option<usize>,
    pub(crate) written: Vec<u8>,
    /// Nothing is to be read before more than so many bytes have been written: a server answers.
    pub(crate) silent_until: usize,
}

/// One end of a connection, the other of which is a script.
#[derive(Debug, Clone)]
pub(crate) struct Scripted(pub(crate) Rc<RefCell<Script>>);

impl AsyncRead for Scripted {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut script = self.0.borrow_mut();
        if script.written.len() <= script.silent_until {
            return Poll::Pending;
        }
        match script.reads.pop_front() {
            Some(Read::Bytes(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(buf.remaining()));
                if !rest.is_empty() {
                    script.reads.push_front(Read::Bytes(rest));
                }
                buf.put_slice(&bytes);
                Poll::Ready(Ok(()))
            }
            Some(Read::Later) => Poll::Pending,
            None => match script.end {
                End::Closes => Poll::Ready(Ok(())),
                End::Resets => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                End::Stalls => Poll::Pending,
            },
        }
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut script = self.0.borrow_mut();
        if script.breaks_after.is_some_and(|most| script.written.len() >= most) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        match script.writes.pop_front() {
            Some(0) => Poll::Pending,
            takes => {
                let taken = &buf[..takes.unwrap_or(usize::MAX).min(buf.len())];
                script.written.extend_from_slice(taken);
                Poll::Ready(Ok(taken.len()))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
