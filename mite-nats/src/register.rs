//! A register on NATS: a key-value bucket, written over the revision that is expected and read from the stream's leader.
//! It is separate because it must never read what a follower or a consumer has.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use mite_core::bus::{BusError, Entry, Later, Register, Watch, check_pattern, check_subject};
use serde_json::json;

use crate::ahead::{Ahead, Next};
use crate::jetstream::{EXPECTED_LAST, EXPECTED_STREAM, Failure, OPERATION, StoredMessage, StreamInfo, headers};
use crate::link::{Again, Link};
use crate::tail::{Tail, Told};

/// How many keys are read at the same time when they are listed.
const READS: usize = 32;

#[derive(Debug, Clone)]
pub(crate) struct NatsRegister {
    link: Arc<Link>,
    name: String,
    stream: String,
    /// What stands before a key.
    before: String,
}

impl NatsRegister {
    pub(crate) fn new(link: Arc<Link>, name: &str, bucket: &str) -> Self {
        Self { link, name: name.to_owned(), stream: format!("KV_{bucket}"), before: format!("$KV.{bucket}.") }
    }

    /// The last message of a key, from the leader.
    async fn last(&self, what: &str, key: &str) -> Result<Option<StoredMessage>, BusError> {
        let which = json!({"last_by_subj": format!("{}{key}", self.before)});
        let last = self.link.message(what, &self.stream, &which).await;
        last.map_err(|failure| self.link.error(what, failure))
    }

    /// Writes if the last message of the key has a number; 0 for that there is none.
    async fn store(&self, what: &str, key: &str, last: u64, value: Vec<u8>) -> Result<u64, Failure> {
        let subject = format!("{}{key}", self.before);
        let with = headers([(EXPECTED_STREAM, self.stream.as_str()), (EXPECTED_LAST, &last.to_string())]);
        // Not again: the second time would conflict with the first.
        Ok(self.link.store(what, (&self.stream, &subject), with, value, Again::No).await?.seq)
    }

    async fn write(&self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Result<u64, BusError> {
        check_subject(key)?;
        let what = format!("to set {key} of the register {}", self.name);
        let mut last = expected.unwrap_or(0);
        loop {
            match self.store(&what, key, last, value.clone()).await {
                Ok(revision) => return Ok(revision),
                Err(Failure::Refused(refusal)) if refusal.is_wrong_last() => {
                    if expected.is_none() && last == 0 {
                        // A key that was deleted has a last message, which says so.
                        if let Some(message) = self.last(&what, key).await?
                            && is_end(message.header(OPERATION))
                        {
                            last = message.sequence;
                            continue;
                        }
                    }
                    let wanted =
                        expected.map_or_else(|| "no value".to_owned(), |expected| format!("revision {expected}"));
                    return Err(BusError::conflict(format_args!(
                        "{key} of the register {} has not {wanted}",
                        self.name
                    ))
                    .with_source(refusal));
                }
                Err(failure) => return Err(self.link.error(&what, failure)),
            }
        }
    }

    async fn entry(&self, what: &str, key: &str) -> Result<Option<Entry>, BusError> {
        let last = self.last(what, key).await?;
        let value = last.filter(|message| !is_end(message.header(OPERATION)));
        Ok(value.map(|message| Entry { revision: message.sequence, value: message.payload }))
    }

    /// All keys of a pattern that have a last message, with a value or not.
    async fn subjects(&self, what: &str, pattern: &str) -> Result<BTreeSet<String>, BusError> {
        let mut keys = BTreeSet::new();
        loop {
            let which = json!({"subjects_filter": format!("{}{pattern}", self.before), "offset": keys.len()});
            let info = self.link.api(what, &format!("STREAM.INFO.{}", self.stream), &which).await;
            let info: StreamInfo = info.map_err(|failure| self.link.error(what, failure))?;
            let page = info.state.subjects.unwrap_or_default();
            let before = keys.len();
            keys.extend(page.into_keys().filter_map(|subject| subject.strip_prefix(&self.before).map(str::to_owned)));
            if keys.len() >= info.total || keys.len() == before {
                return Ok(keys);
            }
        }
    }

    async fn list(&self, pattern: &str) -> Result<Vec<String>, BusError> {
        check_pattern(pattern)?;
        let what = format!("to list keys of the register {}", self.name);
        let found = self.subjects(&what, pattern).await?;
        let with_value = futures_util::stream::iter(found).map(|key| {
            let (register, what) = (self.clone(), what.clone());
            async move { Ok::<_, BusError>(register.entry(&what, &key).await?.map(|_| key)) }
        });
        with_value.buffered(READS).try_filter_map(|key| std::future::ready(Ok(key))).try_collect().await
    }

    async fn end(&self, key: &str) -> Result<(), BusError> {
        check_subject(key)?;
        let what = format!("to delete {key} of the register {}", self.name);
        if self.entry(&what, key).await?.is_none() {
            return Ok(());
        }
        let subject = format!("{}{key}", self.before);
        let with = headers([(EXPECTED_STREAM, self.stream.as_str()), (OPERATION, "DEL")]);
        let stored = self.link.store(&what, (&self.stream, &subject), with, Vec::new(), Again::No).await;
        stored.map(|_| ()).map_err(|failure| self.link.error(&what, failure))
    }
}

/// Whether a message is no value but the end of one.
fn is_end(operation: Option<&str>) -> bool {
    matches!(operation, Some("DEL" | "PURGE"))
}

impl Register for NatsRegister {
    fn get(&self, key: &str) -> Later<'_, Option<Entry>> {
        let key = key.to_owned();
        Box::pin(async move {
            check_subject(&key)?;
            self.entry(&format!("to read {key} of the register {}", self.name), &key).await
        })
    }

    fn set_if(&self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Later<'_, u64> {
        let key = key.to_owned();
        Box::pin(async move { self.write(&key, expected, value).await })
    }

    fn keys(&self, pattern: &str) -> Later<'_, Vec<String>> {
        let pattern = pattern.to_owned();
        Box::pin(async move { self.list(&pattern).await })
    }

    fn watch(&self, key: &str) -> Later<'_, Box<dyn Watch>> {
        let key = key.to_owned();
        Box::pin(async move {
            check_subject(&key)?;
            let what = format!("to follow {key} of the register {}", self.name);
            // What is there is told at first.
            let from = self.entry(&what, &key).await?.map(|entry| entry.revision);
            let from = if let Some(revision) = from {
                revision
            } else {
                let info = self.link.stream(&what, &self.stream, false).await;
                info.map_err(|failure| self.link.error(&what, failure))?.state.last_seq + 1
            };
            let tail =
                Tail::open(Arc::clone(&self.link), self.stream.clone(), format!("{}{key}", self.before), from, what);
            Ok(Box::new(NatsWatch(Ahead::of(Values { tail: tail.await? }))) as Box<dyn Watch>)
        })
    }

    fn delete(&self, key: &str) -> Later<'_, ()> {
        let key = key.to_owned();
        Box::pin(async move { self.end(&key).await })
    }
}

#[derive(Debug)]
struct NatsWatch(Ahead<Option<Entry>>);

impl Watch for NatsWatch {
    fn next(&mut self) -> Later<'_, Option<Entry>> {
        Box::pin(self.0.next())
    }
}

/// The values of a key.
#[derive(Debug)]
struct Values {
    tail: Tail,
}

impl Next for Values {
    type Told = Option<Entry>;

    async fn next(&mut self) -> Result<Self::Told, BusError> {
        loop {
            // It may have begun anew: each message is the newest of its key all the same.
            if let Told::Message(told) = self.tail.tell().await? {
                let is_end = is_end(told.header(OPERATION));
                return Ok((!is_end).then(|| Entry { revision: told.sequence, value: told.payload.into() }));
            }
        }
    }
}
