//! The bus on NATS: its subjects with the prefix, and requests that the server fails where nobody listens.
//! It is separate because it alone does not go through JetStream.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use mite_core::bus::{Bus, BusError, Delivery, Later, Respond, Subscription, check_pattern, check_subject};
use serde_json::{Value, json};

use crate::jetstream::Failure;
use crate::link::{Again, Link, Unanswered};

#[derive(Debug)]
pub(crate) struct NatsBus {
    link: Arc<Link>,
}

impl NatsBus {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Returns once the server has taken all that was sent to it before.
    async fn settle(&self, what: &str) -> Result<(), BusError> {
        // It answers in order, and that there is no such stream is an answer.
        let nowhere = format!("STREAM.INFO.{}", self.link.prefix);
        match self.link.api::<Value>(what, &nowhere, &json!({})).await {
            Ok(_) | Err(Failure::Refused(_)) => Ok(()),
            Err(failure) => Err(self.link.error(what, failure)),
        }
    }
}

impl Bus for NatsBus {
    fn publish(&self, subject: &str, payload: Vec<u8>) -> Later<'_, ()> {
        let subject = subject.to_owned();
        Box::pin(async move {
            check_subject(&subject)?;
            let on_the_server = format!("{}.{subject}", self.link.prefix);
            self.link.send(&format!("to publish to {subject}"), &on_the_server, payload).await
        })
    }

    fn subscribe(&self, pattern: &str) -> Later<'_, Box<dyn Subscription>> {
        let pattern = pattern.to_owned();
        Box::pin(async move {
            check_pattern(&pattern)?;
            let what = format!("to subscribe to {pattern}");
            let subscriber = self.link.subscribe(&what, format!("{}.{pattern}", self.link.prefix)).await?;
            self.settle(&what).await?;
            Ok(Box::new(NatsSubscription { link: Arc::clone(&self.link), subscriber }) as Box<dyn Subscription>)
        })
    }

    fn request(&self, subject: &str, payload: Vec<u8>, within: Duration) -> Later<'_, Vec<u8>> {
        let subject = subject.to_owned();
        Box::pin(async move {
            check_subject(&subject)?;
            let what = format!("to a request on {subject}");
            let on_the_server = format!("{}.{subject}", self.link.prefix);
            match self.link.ask(&what, &on_the_server, None, payload, within, Again::No).await {
                Ok(answer) => Ok(answer.payload.into()),
                Err(Unanswered::NobodyListens) => {
                    Err(BusError::no_answer(format_args!("nobody answers requests on {subject}")))
                }
                Err(Unanswered::Error(error)) => Err(error),
            }
        })
    }
}

#[derive(Debug)]
struct NatsSubscription {
    link: Arc<Link>,
    subscriber: Subscriber,
}

impl NatsSubscription {
    fn delivery(&self, message: Message) -> Delivery {
        let subject = message.subject.as_str();
        let subject = subject.get(self.link.prefix.len() + 1..).unwrap_or(subject).to_owned();
        let respond = message.reply.map(|reply| {
            Box::new(NatsRespond { link: Arc::clone(&self.link), reply: reply.to_string() }) as Box<dyn Respond>
        });
        Delivery::new(subject, message.payload.into(), respond)
    }
}

impl Subscription for NatsSubscription {
    fn next(&mut self) -> Later<'_, Option<Delivery>> {
        Box::pin(async { Ok(self.subscriber.next().await.map(|message| self.delivery(message))) })
    }
}

struct NatsRespond {
    link: Arc<Link>,
    reply: String,
}

impl Respond for NatsRespond {
    fn respond(self: Box<Self>, payload: Vec<u8>) -> Later<'static, ()> {
        Box::pin(async move { self.link.send("to answer a request", &self.reply, payload).await })
    }
}
