//! The messages of a journey that was run by itself: kept whole, and read as any type.
//!
//! They are apart from the messages on their way, which are gone when a test looks.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;

use crate::names::{JOINT, ROOT};
use crate::{Error, Message, Result, Sink, SinkError, Wants, WhenFull, message, recorded};

/// A message that a journey has sent, or that was sent of it.
#[derive(Clone)]
pub struct Sent {
    kind: Arc<str>,
    time: f64,
    transaction: Option<String>,
    /// The whole map as MessagePack.
    packed: Vec<u8>,
}

impl Sent {
    /// The message's `type`: `txn`, `data_created`, or one of the journey's own.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// When it was sent, in Unix seconds.
    pub fn time(&self) -> f64 {
        self.time
    }

    /// The transaction that it was sent in, without `__root__ :: `; `__root__` outside of all.
    pub fn transaction(&self) -> Option<&str> {
        self.transaction.as_deref()
    }

    /// The value of one field.
    ///
    /// # Errors
    /// There is no such field, or it is of another type.
    ///
    /// ```
    /// # use mite_core::{Context, Result, bail};
    /// # use mite_core::testing::run_journey_blocking;
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ctx.transaction("Pay", async |ctx| ctx.record("orders", "tea").await).await?;
    ///     ctx.check("is a bargain", true);
    ///     ctx.send("order", serde_json::json!({"total": 20})).await
    /// }
    ///
    /// let run = run_journey_blocking(buy, ())?;
    /// let order = run.messages_of("order").next().expect("it was sent");
    /// assert_eq!((order.kind(), order.field::<u32>("total")?), ("order", 20));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn field<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let Some(value) = self.packed_field(name) else {
            return Err(Error::msg(format_args!("a message of type {:?} has no field {name:?}: {self:?}", self.kind)));
        };
        unpacked(value)
    }

    /// The whole map, with the fields that mite adds.
    ///
    /// # Errors
    /// It does not fit.
    ///
    /// ```
    /// # use mite_core::{Context, Result, bail};
    /// # use mite_core::testing::run_journey_blocking;
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ctx.transaction("Pay", async |ctx| ctx.record("orders", "tea").await).await?;
    ///     ctx.check("is a bargain", true);
    ///     ctx.send("order", serde_json::json!({"total": 20})).await
    /// }
    ///
    /// let run = run_journey_blocking(buy, ())?;
    /// let order = run.messages_of("order").next().expect("it was sent");
    /// let order: serde_json::Value = order.read()?;
    /// assert_eq!((&order["type"], &order["total"]), (&"order".into(), &20.into()));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        unpacked(&self.packed)
    }

    /// The whole map as MessagePack.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    fn packed_field(&self, name: &str) -> Option<&[u8]> {
        let mut fields = &self.packed[..];
        let count = rmp::decode::read_map_len(&mut fields).ok()?;
        message::field(fields, count, name)
    }
}

fn unpacked<T: DeserializeOwned>(value: &[u8]) -> Result<T> {
    recorded::unpack(value).map_err(|(field, message)| match &*field {
        "." => Error::msg(message),
        _ => Error::msg(format_args!("field `{field}`: {message}")),
    })
}

/// Its type and its map as JSON.
impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.read::<serde_json::Value>() {
            Ok(map) => write!(f, "{} {map}", self.kind),
            // Bytes, or keys that are no text.
            Err(_) => write!(f, "{} ({} bytes that are no JSON)", self.kind, self.packed.len()),
        }
    }
}

/// What the sink of a run has kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Messages(Arc<Mutex<Vec<Sent>>>);

impl Messages {
    pub(super) fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps the messages of journeys.
pub(super) struct Keeper(Messages);

impl Keeper {
    pub(super) fn new(messages: &Messages) -> Self {
        Self(messages.clone())
    }
}

impl Sink for Keeper {
    fn name(&self) -> &'static str {
        "test's keeper"
    }

    fn wants(&self) -> Wants {
        Wants::Everything
    }

    fn when_full(&self) -> WhenFull {
        WhenFull::Wait
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        // What the controller sends is of no journey.
        if message.journey().is_none() {
            return Ok(());
        }
        let mut packed = Vec::new();
        message.pack(&mut packed);
        let short =
            |full: &str| full.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix(JOINT)).unwrap_or(full).to_owned();
        let transaction = message.transaction().map(|full| short(&full));
        let sent = Sent { kind: message.kind(), time: message.time(), transaction, packed };
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
        Ok(())
    }
}
