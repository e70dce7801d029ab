//! One message on its way to the sinks: a map of its own fields and of where it came from.
//!
//! The own fields are packed by the sender; the rest stays plain numbers until a sink asks for the whole map, since the
//! recorder, for one, never does.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::names::{JOINT, KindId, NameCache, Names, PathId};
use crate::part::Part;
use crate::{pack, plain, recorded, scan};

/// The fields that mite adds to every message; a user's own may not have these names.
pub const RESERVED: [&str; 10] = [
    "type",
    "time",
    "test",
    "runner_id",
    "journey",
    "context_id",
    "scenario_id",
    "scenario_data_id",
    "transaction",
    "transaction_id",
];

/// Where a message came from, in numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) kind: KindId,
    /// Unix seconds.
    pub(crate) time: f64,
    /// `None` for the controller's own messages, which have no place in a journey.
    pub(crate) place: Option<Place>,
    /// How many own fields there are.
    pub(crate) own: u32,
    /// Where the own fields end in the batch's bytes.
    pub(crate) end: usize,
}

/// The place in a journey.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The number of its process among those of the run, from 1; there are never so many.
    pub(crate) runner: u16,
    pub(crate) row: u32,
    pub(crate) context_id: u64,
    pub(crate) data_id: Option<u64>,
    pub(crate) path: Option<PathId>,
    pub(crate) transaction_id: u64,
    /// The part of the run in which its journey was due.
    pub(crate) part: Part,
}

/// Messages that a worker hands over together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) heads: Vec<Head>,
    pub(crate) bytes: Vec<u8>,
}

impl Batch {
    /// An empty one with room for about as much as is in this one, but for no more than `most` bytes.
    pub(crate) fn next(&self, most: usize) -> Self {
        let room = |len: usize, size: usize| (len + len / 8).min(most / size);
        let heads = Vec::with_capacity(room(self.heads.len(), size_of::<Head>()));
        Self { heads, bytes: Vec::with_capacity(room(self.bytes.len(), 1)) }
    }

    pub(crate) fn push(&mut self, mut head: Head, own: &[u8]) {
        self.bytes.extend_from_slice(own);
        head.end = self.bytes.len();
        self.heads.push(head);
    }

    /// What it takes in memory.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.heads.len() * size_of::<Head>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub(crate) fn messages<'a>(&'a self, names: &'a Names) -> impl Iterator<Item = Message<'a>> {
        let mut start = 0;
        self.heads.iter().map(move |head| {
            let own = &self.bytes[start..head.end];
            start = head.end;
            Message { head, own, names }
        })
    }
}

/// A message as a [`Sink`](crate::Sink) gets it.
///
/// ```
/// # use mite_core::Message;
/// /// How long a transaction took, in seconds.
/// fn duration(message: &Message<'_>) -> Option<f64> {
///     if &*message.kind() != "txn" {
///         return None;
///     }
///     Some(message.number("end_time")? - message.number("start_time")?)
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    head: &'a Head,
    own: &'a [u8],
    names: &'a Names,
}

impl<'a> Message<'a> {
    pub(crate) fn new(head: &'a Head, own: &'a [u8], names: &'a Names) -> Self {
        Self { head, own, names }
    }
}

impl Message<'_> {
    /// The message's `type`: `txn`, `data_created`, …
    pub fn kind(&self) -> Arc<str> {
        self.names.kind(self.head.kind)
    }

    pub(crate) fn is(&self, kind: KindId) -> bool {
        self.head.kind == kind
    }

    /// When it was sent, in Unix seconds.
    pub fn time(&self) -> f64 {
        self.head.time
    }

    /// The name of the journey that sent it, `module:function`.
    pub fn journey(&self) -> Option<&str> {
        self.head.place.map(|place| self.names.journey(place.row))
    }

    /// The transaction that it was sent in: `__root__ :: Log in`.
    pub fn transaction(&self) -> Option<Arc<str>> {
        self.head.place.and_then(|place| place.path).map(|path| self.names.path(path).full)
    }

    /// The value of one of its own fields, as MessagePack.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        field(self.own, self.head.own, name)
    }

    /// The value of one of its own fields as any type that serde reads; `None` where it has no such field.
    ///
    /// # Errors
    /// The value is of another type.
    ///
    /// ```
    /// # use mite_core::Message;
    /// fn items(message: &Message<'_>) -> u64 {
    ///     // None where there is no such field, and an error where it is no number.
    ///     message.get("items").ok().flatten().unwrap_or(0)
    /// }
    /// ```
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, MessageError> {
        let read = |value| {
            recorded::unpack(value).map_err(|(place, why)| match &*place {
                "." => self.unreadable(name, why),
                place => self.unreadable(&format!("{name}.{place}"), why),
            })
        };
        self.field(name).map(read).transpose()
    }

    /// The whole map, with the fields that mite adds, as any type that serde reads.
    ///
    /// # Errors
    /// It does not fit.
    ///
    /// ```
    /// # use mite_core::Message;
    /// #[derive(serde::Deserialize)]
    /// struct Order {
    ///     journey: String,
    ///     total: u32,
    /// }
    ///
    /// fn order(message: &Message<'_>) -> Option<Order> {
    ///     message.read().ok()
    /// }
    /// ```
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, MessageError> {
        let mut packed = Vec::new();
        self.pack(&mut packed);
        recorded::unpack(&packed).map_err(|(place, why)| self.unreadable(&place, why))
    }

    fn unreadable(&self, field: &str, why: String) -> MessageError {
        MessageError::Unreadable { kind: self.kind().to_string(), field: field.to_owned(), why }
    }

    /// A field as text, whether its own or one of [`RESERVED`]: what is no text as Python's `str` tells it (`True`, `200`,
    /// `None`), bytes as the text that they are, with U+FFFD where they are none. `None` without such a field, and for a list or a
    /// map.
    ///
    /// ```
    /// # use mite_core::Message;
    /// fn country(message: &Message<'_>) -> String {
    ///     message.text("country").unwrap_or_default().into_owned()
    /// }
    /// ```
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.reserved(name) {
            Some(reserved) => reserved.into_text(),
            None => self.field(name).and_then(plain::text),
        }
    }

    /// A field as a number, whether its own or one of [`RESERVED`]; `true` is 1. `None` where there is none, or it is no number.
    ///
    /// ```
    /// # use mite_core::Message;
    /// fn failed(message: &Message<'_>) -> bool {
    ///     message.number("had_error") == Some(1.0)
    /// }
    /// ```
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.reserved(name) {
            Some(Reserved::Integer(number)) => Some(number as f64),
            Some(Reserved::Float(number)) => Some(number),
            Some(_) => None,
            None => self.field(name).and_then(plain::number),
        }
    }

    /// What a field that is a map holds, those of its values that are numbers: `required` and `actual` of `controller_report` by
    /// `scenario_id`. Nothing where it is none.
    ///
    /// ```
    /// # use mite_core::Message;
    /// /// What is wanted of all rows together.
    /// fn required(report: &Message<'_>) -> f64 {
    ///     report.numbers("required").into_iter().map(|(_row, number)| number).sum()
    /// }
    /// ```
    pub fn numbers(&self, name: &str) -> Vec<(String, f64)> {
        let pairs = self.field(name).and_then(plain::pairs).into_iter().flatten();
        pairs.filter_map(|(key, value)| Some((plain::text(key)?.into_owned(), plain::number(value)?))).collect()
    }

    /// A field that mite adds; `None` for one that it does not.
    fn reserved(&self, name: &str) -> Option<Reserved<'_>> {
        if !RESERVED.contains(&name) {
            return None;
        }
        let integer = |number: Option<u64>| number.map_or(Reserved::Nil, Reserved::Integer);
        Some(match (name, self.head.place) {
            ("type", _) => Reserved::Shared(self.kind()),
            ("time", _) => Reserved::Float(self.head.time),
            ("test", _) => Reserved::Text(&self.names.test),
            (_, None) => Reserved::Absent,
            ("runner_id", Some(place)) => Reserved::Integer(place.runner.into()),
            ("journey", Some(place)) => Reserved::Text(self.names.journey(place.row)),
            ("context_id", Some(place)) => Reserved::Integer(place.context_id),
            ("scenario_id", Some(place)) => Reserved::Integer(place.row.into()),
            ("scenario_data_id", Some(place)) => integer(place.data_id),
            ("transaction", _) => self.transaction().map_or(Reserved::Nil, Reserved::Shared),
            (_, Some(place)) => integer(place.path.map(|_| place.transaction_id)),
        })
    }

    /// The names of its own fields, and their values.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        counted_fields(self.own, self.head.own)
    }

    /// Appends the whole map as MessagePack: its own fields first, then `type`, `time` and where it came from.
    pub fn pack(&self, out: &mut Vec<u8>) {
        let added = if self.head.place.is_some() { RESERVED.len() as u32 } else { 3 };
        pack::write_map_len(out, self.head.own + added);
        out.extend_from_slice(self.own);
        let mut text = |key: &str, value: &str| {
            pack::write_str(out, key);
            pack::write_str(out, value);
        };
        text("type", &self.kind());
        pack::write_str(out, "time");
        pack::write_f64(out, self.head.time);
        pack::write_str(out, "test");
        pack::write_str(out, &self.names.test);
        let Some(place) = self.head.place else { return };
        let optional = |out: &mut Vec<u8>, key: &str, value: Option<u64>| {
            pack::write_str(out, key);
            match value {
                Some(value) => pack::write_uint(out, value),
                None => pack::write_nil(out),
            }
        };
        optional(out, "runner_id", Some(place.runner.into()));
        pack::write_str(out, "journey");
        pack::write_str(out, self.names.journey(place.row));
        optional(out, "context_id", Some(place.context_id));
        optional(out, "scenario_id", Some(place.row.into()));
        optional(out, "scenario_data_id", place.data_id);
        pack::write_str(out, "transaction");
        match place.path {
            Some(path) => pack::write_str(out, &self.names.path(path).full),
            None => pack::write_nil(out),
        }
        optional(out, "transaction_id", place.path.map(|_| place.transaction_id));
    }
}

/// Reads a message that another process of the run has packed: its head, and its own fields. `None` where it is none.
pub(crate) fn unpack<'a>(packed: &'a [u8], names: &mut NameCache) -> Option<(Head, &'a [u8])> {
    let mut rest = packed;
    let mut fields = rmp::decode::read_map_len(&mut rest).ok()?;
    let own_fields = rest;
    let mut own = 0;
    // Those that mite adds come after all others, and `type` first.
    while let (key, value) = split_text(rest)?
        && key != b"type"
    {
        rest = value.get(scan::value_len(value).ok()?..)?;
        own += 1;
    }
    let own_bytes = &own_fields[..own_fields.len() - rest.len()];
    fields = fields.checked_sub(own)?;
    let mut kind = None;
    let mut time = None;
    let mut place =
        Place { runner: 0, row: 0, context_id: 0, data_id: None, path: None, transaction_id: 0, part: Part::Measured };
    let mut transaction = None;
    for _ in 0..fields {
        let (key, value) = split_text(rest)?;
        let (value, after) = value.split_at_checked(scan::value_len(value).ok()?)?;
        rest = after;
        let number = |mut value: &[u8]| rmp::decode::read_int::<u64, _>(&mut value).ok();
        let text = |value: &'a [u8]| std::str::from_utf8(split_text(value)?.0).ok();
        match key {
            b"type" => kind = Some(names.kind(text(value)?)),
            b"time" => time = Some(plain::number(value)?),
            b"runner_id" => place.runner = number(value)?.try_into().ok()?,
            b"context_id" => place.context_id = number(value)?,
            b"scenario_id" => place.row = number(value)?.try_into().ok()?,
            b"scenario_data_id" => place.data_id = number(value),
            b"transaction" => transaction = text(value),
            b"transaction_id" => place.transaction_id = number(value).unwrap_or_default(),
            // What all messages of the run have, or all of the row.
            b"test" | b"journey" => {}
            _ => return None,
        }
    }
    let has_place = place.runner > 0;
    if has_place && let Some(full) = transaction {
        let root = names.root(place.row)?;
        place.path = Some(full.split(JOINT).skip(1).fold(root, |within, name| names.child(within, name)));
    }
    let place = has_place.then_some(place);
    Some((Head { kind: kind?, time: time?, place, own, end: 0 }, own_bytes))
}

/// The value of a field that mite has added.
enum Reserved<'a> {
    /// This message does not have it.
    Absent,
    Nil,
    Integer(u64),
    Float(f64),
    Text(&'a str),
    Shared(Arc<str>),
}

impl<'a> Reserved<'a> {
    fn into_text(self) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Absent => return None,
            Self::Nil => "None".into(),
            Self::Integer(number) => number.to_string().into(),
            Self::Float(number) => plain::float(number).into(),
            Self::Text(text) => text.into(),
            Self::Shared(text) => text.to_string().into(),
        })
    }
}

/// The fields of packed pairs of a text and any value. What is not of that form ends it: [`own_fields`] has checked.
fn fields(mut pairs: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (key, rest) = split_text(pairs)?;
        let (value, rest) = rest.split_at_checked(scan::value_len(rest).ok()?)?;
        pairs = rest;
        Some((key, value))
    })
}

/// The value of the field `name` among so many packed own fields.
pub(crate) fn field<'a>(own: &'a [u8], count: u32, name: &str) -> Option<&'a [u8]> {
    counted_fields(own, count).find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
}

/// So many pairs as [`fields`]. The last value is all that is left: its end is not searched for, which in a record would take
/// longer than all the rest.
fn counted_fields(mut pairs: &[u8], count: u32) -> impl Iterator<Item = (&[u8], &[u8])> {
    (0..count).rev().map_while(move |after| {
        let (key, rest) = split_text(pairs)?;
        let len = if after == 0 { rest.len() } else { scan::value_len(rest).ok()? };
        let (value, rest) = rest.split_at_checked(len)?;
        pairs = rest;
        Some((key, value))
    })
}

/// The text that `packed` begins with, and what comes after it.
pub(crate) fn split_text(packed: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = packed;
    let len = rmp::decode::read_str_len(&mut rest).ok()?;
    rest.split_at_checked(len as usize)
}

/// Packs the own fields of a `data_created` message; gives how many there are.
pub(crate) fn record_fields<T: serde::Serialize + ?Sized>(
    name: &str,
    data: &T,
    out: &mut Vec<u8>,
) -> Result<u32, pack::PackError> {
    pack::write_str(out, "name");
    pack::write_str(out, name);
    pack::write_str(out, "data");
    pack::write(out, data)?;
    Ok(2)
}

/// Why a value cannot be the own fields of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It cannot be packed.
    #[error(transparent)]
    Pack(#[from] pack::PackError),
    /// Only a map with text as keys has fields: a struct, a map, `json!({…})`.
    #[error("a message of type {kind:?} is a map with names as keys, which this value is not")]
    NoMap {
        /// The message's type.
        kind: String,
    },
    /// The name is one of those that mite adds itself.
    #[error("a message of type {kind:?} cannot have a field of its own named {field:?}: mite adds that one itself")]
    Reserved {
        /// The message's type.
        kind: String,
        /// The name of the field.
        field: String,
    },
    /// It is read as what it is not.
    #[error("the field {field:?} of a message of type {kind:?} cannot be read: {why}")]
    Unreadable {
        /// The message's type.
        kind: String,
        /// Where in it.
        field: String,
        /// What is there.
        why: String,
    },
}

/// Packs `value` and checks that it can be the own fields of a message: how many there are, and where in `out` they begin.
pub(crate) fn own_fields<T: serde::Serialize + ?Sized>(
    kind: &str,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(u32, usize), MessageError> {
    let start = out.len();
    pack::write(out, value)?;
    let no_map = || MessageError::NoMap { kind: kind.to_owned() };
    let mut rest = &out[start..];
    if rest == [0xc0] {
        // `()` and `None`: a message without fields of its own.
        return Ok((0, out.len()));
    }
    let own = rmp::decode::read_map_len(&mut rest).map_err(|_| no_map())?;
    let pairs = out.len() - rest.len();
    let mut seen = 0;
    for (key, _) in fields(&out[pairs..]) {
        seen += 1;
        if let Some(field) = RESERVED.iter().find(|reserved| reserved.as_bytes() == key) {
            return Err(MessageError::Reserved { kind: kind.to_owned(), field: (*field).to_owned() });
        }
    }
    if seen == own { Ok((own, pairs)) } else { Err(no_map()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::names::NameCache;

    #[test]
    fn own_fields_come_first_and_all_others_follow() {
        let names = Arc::new(Names::new("my_scenario".into(), vec!["setup".into(), "signup:signin".into()]));
        let mut cache = NameCache::new(names.clone());
        let path = cache.child(Names::root(1), "Log in");
        let mut own = Vec::new();
        let (count, start) = own_fields("data_created", &json!({"name": "users", "data": 7}), &mut own).unwrap();
        let head = Head {
            kind: cache.kind("data_created"),
            time: 1.5,
            place: Some(Place {
                runner: 1,
                row: 1,
                context_id: 3,
                data_id: None,
                path: Some(path),
                transaction_id: 2,
                part: Part::Measured,
            }),
            own: count,
            end: 0,
        };
        let mut batch = Batch::default();
        batch.push(head, &own[start..]);
        batch.push(Head { place: None, kind: cache.kind("controller_report"), own: 0, ..head }, b"");
        let mut packed = Vec::new();
        let messages: Vec<_> = batch.messages(&names).collect();
        messages[0].pack(&mut packed);
        let value = rmpv::decode::read_value(&mut &packed[..]).unwrap();
        assert_eq!(
            value.to_string(),
            "{\"data\": 7, \"name\": \"users\", \"type\": \"data_created\", \"time\": 1.5, \"test\": \"my_scenario\", \
             \"runner_id\": 1, \"journey\": \"signup:signin\", \"context_id\": 3, \"scenario_id\": 1, \
             \"scenario_data_id\": nil, \"transaction\": \"__root__ :: Log in\", \"transaction_id\": 2}"
        );
        assert_eq!(messages[0].field("name"), Some(&b"\xa5users"[..]));
        assert_eq!(messages[0].field("type"), None);
        packed.clear();
        messages[1].pack(&mut packed);
        let value = rmpv::decode::read_value(&mut &packed[..]).unwrap();
        assert_eq!(value.to_string(), "{\"type\": \"controller_report\", \"time\": 1.5, \"test\": \"my_scenario\"}");
    }

    #[test]
    fn what_another_process_has_packed_is_read_as_it_was() {
        let names = || Arc::new(Names::new("my_scenario".into(), vec!["setup".into(), "signup:signin".into()]));
        let (there, here) = (names(), names());
        let mut cache = NameCache::new(there.clone());
        let outer = cache.child(Names::root(1), "Log in");
        let path = cache.child(outer, "inner");
        let mut own = Vec::new();
        let (count, start) = own_fields("note", &json!({"a": [1, {"type": 2}], "b": "type"}), &mut own).unwrap();
        let kind = cache.kind("note");
        let place = |path: Option<PathId>| {
            let data_id = path.map(|_| 9);
            Some(Place { runner: 7, row: 1, context_id: 3, data_id, path, transaction_id: 2, part: Part::Measured })
        };
        let mut reading = NameCache::new(here.clone());
        // So that numbers differ.
        reading.child(Names::root(1), "Log out");
        for place in [place(Some(path)), place(Some(Names::root(1))), place(None), None] {
            for own in [(count, &own[start..]), (0, &[][..])] {
                let head = Head { kind, time: 1.5, place, own: own.0, end: 0 };
                let mut packed = Vec::new();
                Message::new(&head, own.1, &there).pack(&mut packed);
                let (head, fields) = unpack(&packed, &mut reading).unwrap();
                let mut again = Vec::new();
                Message::new(&head, fields, &here).pack(&mut again);
                assert_eq!(again, packed);
                for end in 0..packed.len() {
                    assert!(unpack(&packed[..end], &mut reading).is_none(), "{end}");
                }
            }
        }
        assert!(unpack(b"\xc1", &mut reading).is_none());
    }

    #[test]
    fn what_is_no_map_or_takes_a_name_of_ours_is_refused() {
        let refused = |value: serde_json::Value| own_fields("note", &value, &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(
            refused(json!({"journey": 1})),
            "a message of type \"note\" cannot have a field of its own named \"journey\": mite adds that one itself"
        );
        let no_map = "a message of type \"note\" is a map with names as keys, which this value is not";
        assert_eq!(refused(json!([1])), no_map);
        assert_eq!(
            own_fields("note", &std::collections::BTreeMap::from([(1, 2)]), &mut Vec::new()).unwrap_err().to_string(),
            no_map
        );
        assert_eq!(own_fields("note", &(), &mut Vec::new()).unwrap().0, 0);
    }
}
