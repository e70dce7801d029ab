//! Messages within a process: each subscription is a bounded queue.
//! It is apart from the register and the log of a process, with which it has nothing in common.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::lock;
use crate::bus::{Bus, BusError, Delivery, Later, Respond, Subscription, check_pattern, check_subject, matches};

/// Messages that wait for a subscription at the most: as many as the client for NATS keeps.
const QUEUE: usize = 65_536;

/// Who has subscribed to what.
#[derive(Debug, Default)]
pub(super) struct LocalBus {
    subscribers: Arc<Mutex<Subscribers>>,
}

#[derive(Debug, Default)]
struct Subscribers {
    next: u64,
    by_number: BTreeMap<u64, Subscriber>,
}

#[derive(Debug)]
struct Subscriber {
    pattern: String,
    queue: mpsc::Sender<Delivery>,
}

impl LocalBus {
    /// How many were meant.
    fn deliver(
        &self,
        subject: &str,
        payload: &[u8],
        respond: Option<&mpsc::Sender<Vec<u8>>>,
    ) -> Result<usize, BusError> {
        check_subject(subject)?;
        let subscribers = lock(&self.subscribers);
        let meant = subscribers.by_number.values().filter(|subscriber| matches(&subscriber.pattern, subject));
        Ok(meant
            .map(|subscriber| {
                let respond = respond.map(|answers| Box::new(LocalRespond(answers.clone())) as Box<dyn Respond>);
                // One that does not keep up loses it.
                let _ = subscriber.queue.try_send(Delivery::new(subject.to_owned(), payload.to_vec(), respond));
            })
            .count())
    }
}

impl Bus for LocalBus {
    fn publish(&self, subject: &str, payload: Vec<u8>) -> Later<'_, ()> {
        let subject = subject.to_owned();
        Box::pin(async move { self.deliver(&subject, &payload, None).map(|_| ()) })
    }

    fn subscribe(&self, pattern: &str) -> Later<'_, Box<dyn Subscription>> {
        let pattern = pattern.to_owned();
        Box::pin(async move {
            check_pattern(&pattern)?;
            let (queue, deliveries) = mpsc::channel(QUEUE);
            let mut subscribers = lock(&self.subscribers);
            let number = subscribers.next;
            subscribers.next += 1;
            subscribers.by_number.insert(number, Subscriber { pattern, queue });
            let subscribers = Arc::downgrade(&self.subscribers);
            Ok(Box::new(LocalSubscription { number, deliveries, subscribers }) as Box<dyn Subscription>)
        })
    }

    fn request(&self, subject: &str, payload: Vec<u8>, within: Duration) -> Later<'_, Vec<u8>> {
        let subject = subject.to_owned();
        Box::pin(async move {
            let (respond, mut answers) = mpsc::channel(1);
            if self.deliver(&subject, &payload, Some(&respond))? == 0 {
                return Err(BusError::no_answer(format_args!("nobody answers requests on {subject}")));
            }
            // `respond` is still there, so that it waits also when those who were asked have dropped the request.
            match timeout(within, answers.recv()).await {
                Ok(Some(answer)) => Ok(answer),
                Ok(None) | Err(_) => {
                    Err(BusError::timeout(format_args!("no answer to a request on {subject} in {within:?}")))
                }
            }
        })
    }
}

#[derive(Debug)]
struct LocalSubscription {
    number: u64,
    deliveries: mpsc::Receiver<Delivery>,
    subscribers: Weak<Mutex<Subscribers>>,
}

impl Subscription for LocalSubscription {
    fn next(&mut self) -> Later<'_, Option<Delivery>> {
        Box::pin(async { Ok(self.deliveries.recv().await) })
    }
}

impl Drop for LocalSubscription {
    fn drop(&mut self) {
        if let Some(subscribers) = self.subscribers.upgrade() {
            lock(&subscribers).by_number.remove(&self.number);
        }
    }
}

struct LocalRespond(mpsc::Sender<Vec<u8>>);

impl Respond for LocalRespond {
    fn respond(self: Box<Self>, payload: Vec<u8>) -> Later<'static, ()> {
        Box::pin(async move {
            // The first answer counts, and one that nobody waits for any more is lost.
            let _ = self.0.try_send(payload);
            Ok(())
        })
    }
}
