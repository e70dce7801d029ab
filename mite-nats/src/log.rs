//! A log on NATS: a stream, to which items are published until it says that it has them, and readers that prove that they
//! miss nothing.
//! It is separate because it is where whatever must not be lost goes through.

use std::sync::Arc;

use mite_core::bus::{BusError, Item, Later, Log, Reader, check_id, check_pattern, check_subject};
use serde_json::{Value, json};

use crate::ahead::{Ahead, Next};
use crate::jetstream::{EXPECTED_STREAM, Failure, MESSAGE_ID, StreamInfo, headers};
use crate::link::{Again, Link};
use crate::tail::{Tail, TailMessage, Told};

#[derive(Debug)]
pub(crate) struct NatsLog {
    link: Arc<Link>,
    name: String,
    stream: String,
    /// What stands before a lane.
    before: String,
    /// When the stream was made.
    created: String,
}

impl NatsLog {
    pub(crate) fn new(link: Arc<Link>, name: &str, created: String) -> Self {
        let (stream, before) = (format!("{}_{name}", link.prefix), format!("{}_log.{name}.", link.prefix));
        Self { link, name: name.to_owned(), stream, before, created }
    }

    async fn store(&self, lane: &str, id: &str, payload: Vec<u8>) -> Result<u64, BusError> {
        check_subject(lane)?;
        check_id(id)?;
        let what = format!("to append to the log {}", self.name);
        let subject = format!("{}{lane}", self.before);
        let with = headers([(MESSAGE_ID, id), (EXPECTED_STREAM, self.stream.as_str())]);
        // Again, since the stream knows the id.
        let stored = self.link.store(&what, (&self.stream, &subject), with, payload, Again::Yes).await;
        stored.map(|stored| stored.seq).map_err(|failure| self.link.error(&what, failure))
    }

    async fn info(&self, what: &str) -> Result<StreamInfo, BusError> {
        self.link.stream(what, &self.stream, false).await.map_err(|failure| self.link.error(what, failure))
    }

    async fn purge(&self, sequence: u64) -> Result<(), BusError> {
        let what = format!("to purge the log {}", self.name);
        // Past its end the server would go on with that number.
        let sequence = sequence.min(self.info(&what).await?.state.last_seq + 1);
        // The server takes 0 for all there is.
        if sequence > 1 {
            let purged = self.purge_before(&what, sequence).await;
            purged.map_err(|failure| self.link.error(&what, failure))?;
        }
        Ok(())
    }

    async fn purge_before(&self, what: &str, sequence: u64) -> Result<(), Failure> {
        let request = format!("STREAM.PURGE.{}", self.stream);
        self.link.api::<Value>(what, &request, &json!({"seq": sequence})).await.map(|_| ())
    }

    async fn open(&self, lanes: &str, from: u64) -> Result<Box<dyn Reader>, BusError> {
        check_pattern(lanes)?;
        let what = format!("to read the log {}", self.name);
        let filter = format!("{}{lanes}", self.before);
        let tail = Tail::open(Arc::clone(&self.link), self.stream.clone(), filter, from, what.clone()).await?;
        Ok(Box::new(NatsReader(Ahead::of(Items {
            tail,
            link: Arc::clone(&self.link),
            what,
            stream: self.stream.clone(),
            before: self.before.clone(),
            created: self.created.clone(),
            is_of_all: lanes == ">",
            is_checked: false,
            read: None,
        }))))
    }
}

impl Log for NatsLog {
    fn append(&self, lane: &str, id: &str, payload: Vec<u8>) -> Later<'_, u64> {
        let (lane, id) = (lane.to_owned(), id.to_owned());
        Box::pin(async move { self.store(&lane, &id, payload).await })
    }

    fn read(&self, lanes: &str, from: u64) -> Later<'_, Box<dyn Reader>> {
        let lanes = lanes.to_owned();
        Box::pin(async move { self.open(&lanes, from).await })
    }

    fn last(&self) -> Later<'_, u64> {
        Box::pin(async { Ok(self.info(&format!("to ask for the end of the log {}", self.name)).await?.state.last_seq) })
    }

    fn purge_to(&self, sequence: u64) -> Later<'_, ()> {
        Box::pin(self.purge(sequence))
    }
}

#[derive(Debug)]
struct NatsReader(Ahead<Item>);

impl Reader for NatsReader {
    fn next(&mut self) -> Later<'_, Item> {
        Box::pin(self.0.next())
    }
}

/// The items of a log, and the proof that none of them is missing.
#[derive(Debug)]
struct Items {
    tail: Tail,
    link: Arc<Link>,
    what: String,
    stream: String,
    before: String,
    created: String,
    /// Whether it reads all lanes, so that each number is due.
    is_of_all: bool,
    /// Whether the stream is known to be that of which it has read, with nothing missing.
    is_checked: bool,
    /// The item that was read last, which must still be what it was.
    read: Option<(u64, String)>,
}

impl Next for Items {
    type Told = Item;

    async fn next(&mut self) -> Result<Item, BusError> {
        loop {
            if !self.is_checked {
                self.check().await?;
                self.is_checked = true;
            }
            let due = self.tail.next();
            match self.tail.tell().await? {
                Told::Anew => self.is_checked = false,
                Told::Message(message) => {
                    if self.is_of_all && message.sequence > due {
                        self.check_jump(due, message.sequence).await?;
                    }
                    let item = self.made(message);
                    self.read = Some((item.sequence, item.id.clone()));
                    return Ok(item);
                }
            }
        }
    }
}

impl Items {
    fn made(&self, message: TailMessage) -> Item {
        let lane = message.subject.strip_prefix(&self.before).unwrap_or(&message.subject).to_owned();
        let id = message.header(MESSAGE_ID).unwrap_or_default().to_owned();
        Item { sequence: message.sequence, lane, id, payload: message.payload.into() }
    }

    /// Checks that the stream has not lost anything.
    async fn check(&self) -> Result<(), BusError> {
        let info = self.info(!self.is_of_all).await?;
        if info.created != self.created {
            return Err(BusError::gap(format_args!("{} was deleted and made anew, {}", self.stream, self.what)));
        }
        let (first, last) = (info.state.first_seq, info.state.last_seq);
        if let Some((sequence, id)) = &self.read {
            if *sequence > last {
                return Err(BusError::gap(format_args!(
                    "{} ends at {last}, but {sequence} was read already: the server has lost what it had acknowledged",
                    self.stream
                )));
            }
            if *sequence >= first {
                self.check_read(*sequence, id).await?;
            }
        }
        let due = self.tail.next().max(first);
        match info.state.deleted.unwrap_or_default().into_iter().find(|deleted| *deleted >= due) {
            Some(missing) => Err(BusError::gap(format_args!(
                "item {missing} of {} is missing, but neither purged nor forgotten: its items begin at {first} and end at {last}",
                self.stream
            ))),
            None => Ok(()),
        }
    }

    /// Checks that under the number that was read last there is still what was read.
    async fn check_read(&self, sequence: u64, id: &str) -> Result<(), BusError> {
        let found = loop {
            match self.link.message(&self.what, &self.stream, &json!({"seq": sequence})).await {
                Ok(found) => break found,
                Err(failure) => self.link.wait_out(self.link.error(&self.what, failure)).await?,
            }
        };
        match found {
            Some(message) if message.header(MESSAGE_ID).unwrap_or_default() != id => Err(BusError::gap(format_args!(
                "item {sequence} of {} was read as {id}, and is {} now: the server has lost what it had acknowledged",
                self.stream,
                message.header(MESSAGE_ID).unwrap_or_default()
            ))),
            // None where it was purged meanwhile.
            Some(_) | None => Ok(()),
        }
    }

    /// Checks that what was jumped over was forgotten.
    async fn check_jump(&self, due: u64, found: u64) -> Result<(), BusError> {
        let first = self.info(false).await?.state.first_seq;
        if found > first.max(due) {
            return Err(BusError::gap(format_args!(
                "item {due} of {} was due, and {found} came, but what is between was neither purged nor forgotten",
                self.stream
            )));
        }
        Ok(())
    }

    /// What the stream says of itself, however long that takes.
    async fn info(&self, with_deleted: bool) -> Result<StreamInfo, BusError> {
        loop {
            match self.link.stream(&self.what, &self.stream, with_deleted).await {
                Ok(info) => return Ok(info),
                Err(failure) => self.link.wait_out(self.link.error(&self.what, failure)).await?,
            }
        }
    }
}
