//! JetStream's requests, which are JSON, and what is made of its answers.
//! It is separate because registers, logs and readers all ask by it; it is ours because when a request is asked again, and what
//! each refusal means, is what they promise.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt::{self, Display};

use async_nats::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mite_core::bus::BusError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::link::{Again, Link, PAUSE, Unanswered};

/// The header that a stream knows an item again by.
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The header that says that a message is for this stream or none.
pub(crate) const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// The header with the sequence that the last message of the subject must have; 0 where there must be none.
pub(crate) const EXPECTED_LAST: &str = "Nats-Expected-Last-Subject-Sequence";
/// The header that says that a message is no value but the end of one.
pub(crate) const OPERATION: &str = "KV-Operation";

/// A stream's configuration: the fields that nats-server 2.9 has. It ignores those that it does not know, and says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamConfig {
    pub(crate) name: String,
    pub(crate) subjects: Vec<String>,
    pub(crate) retention: String,
    pub(crate) max_consumers: i64,
    pub(crate) max_msgs: i64,
    pub(crate) max_bytes: i64,
    /// Nanoseconds; 0 for any.
    pub(crate) max_age: u64,
    pub(crate) max_msgs_per_subject: i64,
    pub(crate) discard: String,
    pub(crate) storage: String,
    pub(crate) num_replicas: u32,
    /// Nanoseconds.
    pub(crate) duplicate_window: u64,
    #[serde(default)]
    pub(crate) deny_delete: bool,
    /// From followers: never where it matters what is newest.
    #[serde(default)]
    pub(crate) allow_direct: bool,
}

impl StreamConfig {
    /// The fields that differ, for people.
    fn differences(&self, other: &Self) -> String {
        let (ours, theirs) = (json!(self), json!(other));
        let fields = ours.as_object().into_iter().flatten();
        let different = fields.filter(|(field, value)| theirs.get(field.as_str()) != Some(value));
        let told = different.map(|(field, value)| {
            format!("{field} is {}, not {value}", theirs.get(field.as_str()).unwrap_or(&Value::Null))
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

/// What a stream says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: StreamConfig,
    /// When it was made, which tells it from another one of its name.
    pub(crate) created: String,
    pub(crate) state: StreamState,
    /// How many subjects there are, of which `state` has a part.
    #[serde(default)]
    pub(crate) total: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// Within the two.
    #[serde(default)]
    pub(crate) deleted: Option<Vec<u64>>,
    #[serde(default)]
    pub(crate) subjects: Option<HashMap<String, u64>>,
}

/// That a stream has stored something.
#[derive(Debug, Deserialize)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
}

/// A message as a stream has stored it.
#[derive(Debug)]
pub(crate) struct StoredMessage {
    pub(crate) sequence: u64,
    pub(crate) payload: Vec<u8>,
    /// As on the wire.
    headers: Vec<u8>,
}

impl StoredMessage {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = std::str::from_utf8(&self.headers).ok()?.lines();
        lines.filter_map(|line| line.split_once(':')).find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    }
}

#[derive(Deserialize)]
struct RawAnswer {
    message: RawMessage,
}

#[derive(Deserialize)]
struct RawMessage {
    seq: u64,
    #[serde(default)]
    hdrs: Option<String>,
    #[serde(default)]
    data: Option<String>,
}

/// A refusal: JetStream's own error.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Refusal {
    code: u16,
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: String,
}

impl Refusal {
    /// No stream has that name.
    pub(crate) fn is_no_stream(&self) -> bool {
        self.err_code == 10_059
    }

    /// No message has that number or subject.
    fn is_no_message(&self) -> bool {
        self.err_code == 10_037
    }

    /// A stream of that name is there, with another configuration.
    fn is_other_config(&self) -> bool {
        self.err_code == 10_058
    }

    /// A stream is there with some of its subjects: another one, or the same where somebody else is just making it too.
    fn is_overlap(&self) -> bool {
        self.err_code == 10_065
    }

    /// The subject's last message is not the expected one.
    pub(crate) fn is_wrong_last(&self) -> bool {
        self.err_code == 10_071
    }

    /// Nothing more is stored: the stream, the account or the server has reached a limit.
    pub(crate) fn is_full(&self) -> bool {
        let is_limit = self.description.contains("maximum bytes") || self.description.contains("maximum messages");
        self.err_code == 10_077 && is_limit || matches!(self.err_code, 10_002 | 10_023 | 10_028 | 10_047)
    }

    /// It is not ready for an instant, as when it has just been started.
    fn is_for_now(&self) -> bool {
        self.err_code == 10_008
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (JetStream error {}, code {})", self.description, self.err_code, self.code)
    }
}

impl StdError for Refusal {}

/// What a request came to, other than what was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Refusal),
    /// There is no such stream, or no JetStream.
    NobodyListens,
    Error(BusError),
}

impl From<BusError> for Failure {
    fn from(error: BusError) -> Self {
        Self::Error(error)
    }
}

#[derive(Deserialize)]
struct WithError {
    error: Refusal,
}

impl Link {
    /// Asks JetStream, by the name of a request and what goes with it.
    pub(crate) async fn api<T: DeserializeOwned>(&self, what: &str, request: &str, body: &Value) -> Result<T, Failure> {
        // Each of them changes nothing, or the same when it is asked twice.
        let payload = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.answer(what, &format!("$JS.API.{request}"), None, payload, Again::Yes).await
    }

    /// Publishes to a stream, by its name and one of its subjects, and waits until it is stored.
    pub(crate) async fn store(
        &self,
        what: &str,
        (stream, subject): (&str, &str),
        headers: HeaderMap,
        payload: Vec<u8>,
        again: Again,
    ) -> Result<Stored, Failure> {
        let (payload, deadline) = (Bytes::from(payload), Instant::now() + self.within);
        loop {
            let stored = self.answer(what, subject, Some(headers.clone()), payload.clone(), again).await;
            // A stream that somebody made a moment ago is there before it listens. What nobody has heard may be said again.
            let is_early =
                matches!(stored, Err(Failure::NobodyListens)) && self.stream(what, stream, false).await.is_ok();
            if !is_early || Instant::now() >= deadline {
                return stored;
            }
            sleep(PAUSE).await;
        }
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        what: &str,
        subject: &str,
        headers: Option<HeaderMap>,
        payload: impl Into<Bytes>,
        again: Again,
    ) -> Result<T, Failure> {
        let answer = match self.ask(what, subject, headers, payload, self.within, again).await {
            Ok(answer) => answer,
            Err(Unanswered::NobodyListens) => return Err(Failure::NobodyListens),
            Err(Unanswered::Error(error)) => return Err(Failure::Error(error)),
        };
        if let Ok(WithError { error }) = serde_json::from_slice(&answer.payload) {
            return Err(Failure::Refused(error));
        }
        serde_json::from_slice(&answer.payload).map_err(|error| {
            let text = format!("{} answered in a way that is not understood {what}", self.places);
            Failure::Error(BusError::other(text).with_source(error))
        })
    }

    /// The error of a failure that means nothing particular to the caller. `what` is for people: "to read the register run7".
    pub(crate) fn error(&self, what: &str, failure: Failure) -> BusError {
        match failure {
            Failure::Error(error) => error,
            Failure::NobodyListens => BusError::not_found(format_args!(
                "nothing at {} takes what was asked {what}: it was deleted, or JetStream has been turned off",
                self.places
            )),
            Failure::Refused(refusal) if refusal.is_no_stream() => {
                BusError::not_found(format_args!("failed {what} at {}: it was deleted", self.places))
                    .with_source(refusal)
            }
            Failure::Refused(refusal) if refusal.is_for_now() => {
                BusError::disconnected(format_args!("{} is not ready {what}", self.places)).with_source(refusal)
            }
            Failure::Refused(refusal) if refusal.is_full() => {
                BusError::full(format_args!("there is no room {what} at {}", self.places)).with_source(refusal)
            }
            Failure::Refused(refusal) => {
                BusError::other(format_args!("failed {what} at {}", self.places)).with_source(refusal)
            }
        }
    }

    /// Makes a stream where it is not there.
    ///
    /// # Errors
    /// It is there with another configuration, or the server has made it so.
    pub(crate) async fn make_stream(&self, what: &str, config: &StreamConfig) -> Result<StreamInfo, BusError> {
        let info = match self.api(what, &format!("STREAM.CREATE.{}", config.name), &json!(config)).await {
            Err(Failure::Refused(refusal)) if refusal.is_other_config() => self.stream(what, &config.name, false).await,
            Err(Failure::Refused(overlap)) if overlap.is_overlap() => {
                match self.stream(what, &config.name, false).await {
                    Err(Failure::Refused(refusal)) if refusal.is_no_stream() => Err(Failure::Refused(overlap)),
                    there => there,
                }
            }
            made => made,
        };
        let info: StreamInfo = info.map_err(|failure| self.error(what, failure))?;
        if info.config == *config {
            return Ok(info);
        }
        Err(BusError::invalid(format_args!(
            "failed {what}: the stream {} at {} is there already, or was made otherwise than asked: {}",
            config.name,
            self.places,
            config.differences(&info.config)
        )))
    }

    /// Deletes a stream; one that is not there is no error.
    pub(crate) async fn delete_stream(&self, what: &str, name: &str) -> Result<(), BusError> {
        match self.api::<Value>(what, &format!("STREAM.DELETE.{name}"), &Value::Null).await {
            Ok(_) => Ok(()),
            Err(Failure::Refused(refusal)) if refusal.is_no_stream() => Ok(()),
            Err(failure) => Err(self.error(what, failure)),
        }
    }

    /// What a stream says of itself; with which of its messages are missing, if that is asked for.
    pub(crate) async fn stream(&self, what: &str, name: &str, with_deleted: bool) -> Result<StreamInfo, Failure> {
        self.api(what, &format!("STREAM.INFO.{name}"), &json!({"deleted_details": with_deleted})).await
    }

    /// Asks the stream's leader for a message, never a follower.
    pub(crate) async fn message(
        &self,
        what: &str,
        stream: &str,
        which: &Value,
    ) -> Result<Option<StoredMessage>, Failure> {
        let raw = match self.api(what, &format!("STREAM.MSG.GET.{stream}"), which).await {
            Ok(RawAnswer { message }) => message,
            Err(Failure::Refused(refusal)) if refusal.is_no_message() => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let decode = |text: Option<String>| {
            STANDARD.decode(text.unwrap_or_default()).map_err(|error| {
                BusError::other(format_args!("{} answered in a way that is not understood {what}", self.places))
                    .with_source(error)
            })
        };
        Ok(Some(StoredMessage { sequence: raw.seq, payload: decode(raw.data)?, headers: decode(raw.hdrs)? }))
    }
}

/// Headers of which each value is plain: what was checked, or a number.
pub(crate) fn headers<const N: usize>(headers: [(&'static str, &str); N]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name, HeaderValue::from(value));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_headers_are_found() {
        let headers = b"NATS/1.0\r\nNats-Msg-Id: runner3.1\r\nKV-Operation:DEL\r\n\r\n".to_vec();
        let message = StoredMessage { sequence: 1, payload: Vec::new(), headers };
        assert_eq!(message.header(MESSAGE_ID), Some("runner3.1"));
        assert_eq!(message.header(OPERATION), Some("DEL"));
        assert_eq!(message.header(EXPECTED_LAST), None);
    }
}
