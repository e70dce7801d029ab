//! Bytes as text that any format of serde can hold.
//! It is separate because cookies are bytes, and most formats that a jar is written in have text alone.

use serde::{Deserialize, Deserializer, Serializer};

/// A byte that is not ASCII stands as a character of its own, in Unicode's area for private use.
const PRIVATE: u32 = 0xf700;

pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&as_text(bytes))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    Ok(as_bytes(&String::deserialize(deserializer)?).collect())
}

pub(super) fn as_text(bytes: &[u8]) -> String {
    let private = |byte: u8| char::from_u32(PRIVATE + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER);
    bytes.iter().map(|&byte| if byte.is_ascii() { char::from(byte) } else { private(byte) }).collect()
}

/// The bytes that `text` stands for. What was not written by a jar may hold other characters: they stay.
pub(super) fn as_bytes(text: &str) -> impl Iterator<Item = u8> {
    text.chars().flat_map(|char| {
        let mut buffer = [0; 4];
        let length = match u32::from(char).checked_sub(PRIVATE).and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) if !byte.is_ascii() => {
                buffer[0] = byte;
                1
            }
            _ => char.encode_utf8(&mut buffer).len(),
        };
        buffer.into_iter().take(length)
    })
}
