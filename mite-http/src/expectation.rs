//! `Expect: 100-continue`: a body that waits until its server has said that it wants it.
//! It is separate from the body because two others have a say in it: the connection, which hears the server, and whoever
//! waits for the answer.

use std::{
    fmt,
    future::{Future, pending},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::StatusCode;
use tokio::{sync::watch, time::timeout};

/// How long a server has to say something, as with curl. Many never do, and take the body all the same.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Awaited,
    Continue,
    Answered,
}

/// Where the server's word comes in.
#[derive(Debug, Clone)]
pub(crate) struct Expectation(watch::Sender<Word>);

/// Waited for by the body.
pub(crate) struct Permission(Pin<Box<dyn Future<Output = ()>>>);

impl Expectation {
    pub(crate) fn new() -> (Self, Permission) {
        let (word, heard) = watch::channel(Word::Awaited);
        (Self(word), Permission(Box::pin(granted(heard))))
    }

    /// The server has said something before its answer.
    pub(crate) fn said(&self, status: StatusCode) {
        if status == StatusCode::CONTINUE {
            self.0.send_replace(Word::Continue);
        }
    }

    /// The server has answered. A body that it has not waited for stays where it is.
    pub(crate) fn answered(&self) {
        self.0.send_replace(Word::Answered);
    }
}

async fn granted(mut heard: watch::Receiver<Word>) {
    let word = timeout(PATIENCE, heard.wait_for(|word| *word != Word::Awaited)).await;
    let granted = match word {
        Ok(Ok(word)) => *word == Word::Continue,
        Ok(Err(_nobody_can_speak)) => false,
        Err(_elapsed) => true,
    };
    if !granted {
        pending::<()>().await;
    }
}

impl Permission {
    pub(crate) fn poll_granted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permission").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
