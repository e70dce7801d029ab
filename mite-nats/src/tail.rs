//! The end of a stream, followed from a number on, whatever becomes of the connection, the server and its consumers.
//! It is separate because readers and watches are both made of it: a consumer in the server's memory, which is thrown away
//! and made anew from the next number whenever there is a doubt about it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use mite_core::bus::BusError;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::link::{Breaks, Link};

/// How many messages are asked for at once.
const BATCH: usize = 256;
/// For how long the server remembers that it was asked.
const EXPIRES: Duration = Duration::from_secs(1);
/// How often it says that it does.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// A server that has said nothing for so long has forgotten.
const SILENCE: Duration = Duration::from_millis(1_600);
/// When the server forgets a consumer that nobody asks.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Tail {
    link: Arc<Link>,
    stream: String,
    filter: String,
    /// For errors: "to read the log `run7_records`".
    what: String,
    /// The number that comes next, or a later one.
    next: u64,
    consumer: Option<Consumer>,
}

/// What the server has of us, and we of it.
#[derive(Debug)]
struct Consumer {
    name: String,
    inbox: String,
    messages: Subscriber,
    breaks: Breaks,
    /// How many messages it has delivered; it numbers them.
    delivered: u64,
    /// How many it still will.
    asked: usize,
}

/// What a tail tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// It has begun anew: what is read now may be of another history than what was read before.
    Anew,
    Message(TailMessage),
}

#[derive(Debug)]
pub(crate) struct TailMessage {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    pub(crate) payload: Bytes,
    headers: Option<async_nats::HeaderMap>,
}

impl TailMessage {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str)
    }
}

#[derive(Deserialize)]
struct Made {
    name: String,
}

impl Tail {
    /// # Errors
    /// The stream is not there, or the server does not answer.
    pub(crate) async fn open(
        link: Arc<Link>,
        stream: String,
        filter: String,
        from: u64,
        what: String,
    ) -> Result<Self, BusError> {
        let mut tail = Self { link, stream, filter, what, next: from.max(1), consumer: None };
        tail.consumer = Some(tail.make().await?);
        Ok(tail)
    }

    /// The number that comes next, or a later one.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Waits for what comes next. It is read by a task of its own ([`Ahead`](crate::ahead::Ahead)): a future of it that is dropped again
    /// and again would never notice that the server is silent.
    ///
    /// # Errors
    /// The stream is not there any more, or the connection was closed for good.
    pub(crate) async fn tell(&mut self) -> Result<Told, BusError> {
        loop {
            let Some(consumer) = &mut self.consumer else {
                match self.make().await {
                    Ok(consumer) => {
                        self.consumer = Some(consumer);
                        return Ok(Told::Anew);
                    }
                    Err(error) => {
                        self.link.wait_out(error).await?;
                        continue;
                    }
                }
            };
            if consumer.asked == 0
                && let Err(error) = consumer.ask(&self.link, &self.stream, &self.what).await
            {
                tracing::debug!("{error}");
                self.consumer = None;
                continue;
            }
            match consumer.hear().await {
                Heard::Message(message, sequence) => {
                    // One that begins before what was asked for, because that is not there yet.
                    if sequence < self.next {
                        continue;
                    }
                    self.next = sequence + 1;
                    let Message { subject, payload, headers, .. } = message;
                    return Ok(Told::Message(TailMessage { sequence, subject: subject.to_string(), payload, headers }));
                }
                Heard::Nothing => {}
                Heard::Doubt(why) => {
                    tracing::debug!("a new consumer is made {}: {why}", self.what);
                    self.consumer = None;
                }
            }
        }
    }

    async fn make(&self) -> Result<Consumer, BusError> {
        let Self { link, stream, filter, what, next, .. } = self;
        let breaks = link.breaks();
        let inbox = link.inbox();
        let messages = link.subscribe(what, inbox.clone()).await?;
        let body = json!({"stream_name": stream, "config": {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": next,
            "filter_subject": filter,
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": nanoseconds(IDLE),
        }});
        let made = link.api(what, &format!("CONSUMER.CREATE.{stream}"), &body).await;
        let Made { name } = made.map_err(|failure| link.error(what, failure))?;
        Ok(Consumer { name, inbox, messages, breaks, delivered: 0, asked: 0 })
    }
}

/// What was heard of a consumer.
enum Heard {
    /// With its number in the stream.
    Message(Message, u64),
    Nothing,
    /// It may not be there any more, or has said something that did not arrive.
    Doubt(String),
}

impl Consumer {
    async fn ask(&mut self, link: &Link, stream: &str, what: &str) -> Result<(), BusError> {
        let body = json!({"batch": BATCH, "expires": nanoseconds(EXPIRES), "idle_heartbeat": nanoseconds(HEARTBEAT)});
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", self.name);
        link.send_with_reply(what, subject, self.inbox.clone(), body.to_string().into_bytes()).await?;
        self.asked = BATCH;
        Ok(())
    }

    async fn hear(&mut self) -> Heard {
        let message = tokio::select! {
            biased;
            message = timeout(SILENCE, self.messages.next()) => match message {
                Ok(Some(message)) => message,
                Ok(None) => return Heard::Doubt("the connection is closed".to_owned()),
                Err(_) => return Heard::Doubt("the server is silent".to_owned()),
            },
            () = self.breaks.broken() => return Heard::Doubt("the connection has broken".to_owned()),
        };
        match message.status {
            None | Some(StatusCode::OK) => {}
            Some(StatusCode::IDLE_HEARTBEAT) => return Heard::Nothing,
            // What was asked has expired, or there was nothing.
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                self.asked = 0;
                return Heard::Nothing;
            }
            Some(status) => {
                return Heard::Doubt(format!("{status} {}", message.description.as_deref().unwrap_or_default()));
            }
        }
        let Some((in_stream, in_consumer)) = message.reply.as_ref().and_then(|reply| numbers(reply.as_str())) else {
            return Heard::Doubt("a message without its numbers".to_owned());
        };
        if in_consumer != self.delivered + 1 {
            return Heard::Doubt(format!("message {in_consumer} came after {}", self.delivered));
        }
        self.delivered = in_consumer;
        self.asked -= 1;
        Heard::Message(message, in_stream)
    }
}

/// A message's numbers in its stream and in its consumer, which are in the subject that acknowledges it:
/// `$JS.ACK.STREAM.CONSUMER.DELIVERIES.IN_STREAM.IN_CONSUMER.TIME.PENDING`, from some servers with a domain and a hash before the
/// stream.
fn numbers(reply: &str) -> Option<(u64, u64)> {
    let tokens: Vec<_> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let before = match tokens.len() {
        7 => 0,
        9.. => 2,
        _ => return None,
    };
    Some((tokens.get(before + 3)?.parse().ok()?, tokens.get(before + 4)?.parse().ok()?))
}

fn nanoseconds(duration: Duration) -> Value {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_the_subject_for_acknowledgements() {
        for (reply, found) in [
            // nats-server 2.9 to 2.14
            ("$JS.ACK.mite_log.abc.1.100.7.1790230470084404000.42", Some((100, 7))),
            // With a domain and a hash.
            ("$JS.ACK.hub.hash.mite_log.abc.1.100.7.1790230470084404000.42", Some((100, 7))),
            ("$JS.ACK.hub.hash.mite_log.abc.1.100.7.1790230470084404000.42.token", Some((100, 7))),
            ("$JS.ACK.mite_log.abc.1.100.x.1790230470084404000.42", None),
            ("$JS.ACK.mite_log", None),
            ("_INBOX.abc", None),
        ] {
            assert_eq!(numbers(reply), found, "{reply}");
        }
    }
}
