//! A line of JSON as MessagePack, in the form in which mite packs.
//!
//! It is apart from the way there, with which it has only the steps of MessagePack in common.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::token::{Token, whole};

/// Deeper values are refused, so that no stack is eaten up: cat writes none.
const DEEPEST: usize = 128;

/// What is wrong in a line, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct Mistake {
    /// In bytes, from 1.
    pub column: usize,
    /// What is wrong, and the mend.
    pub message: String,
}

/// The value of one line.
pub(super) fn packed(line: &[u8]) -> Result<Vec<u8>, Mistake> {
    let text = std::str::from_utf8(line)
        .map_err(|error| Mistake { column: error.valid_up_to() + 1, message: "it is no UTF-8".to_owned() })?;
    let value: &RawValue = serde_json::from_str(text).map_err(|error| Mistake {
        column: error.column().max(1),
        message: format!("it is no JSON: {}", words(&error)),
    })?;
    let mut packer = Packer { line: text, out: Vec::with_capacity(line.len()) };
    packer.value(value, 0)?;
    Ok(packer.out)
}

/// What serde says, without its own account of the place.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(words, _)| words.to_owned())
}

/// The members of an object in their order, those that are there twice too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

struct Packer<'a> {
    line: &'a str,
    out: Vec<u8>,
}

impl<'a> Packer<'a> {
    fn value(&mut self, raw: &'a RawValue, depth: usize) -> Result<(), Mistake> {
        let json = raw.get();
        if depth > DEEPEST {
            return Err(self.mistake(json, format!("it is nested more than {DEEPEST} deep")));
        }
        match json.as_bytes().first() {
            Some(b'{') => {
                let Members(members) = self.read(json)?;
                if let [(name, value)] = &*members
                    && let Some(escape) = Escape::of(name)
                {
                    return self.escape(escape, value);
                }
                self.token(json, Token::Map(u32::try_from(members.len()).unwrap_or(u32::MAX)))?;
                for (key, value) in members {
                    self.key(json, &key)?;
                    self.value(value, depth + 1)?;
                }
                Ok(())
            }
            Some(b'[') => {
                let values: Vec<&RawValue> = self.read(json)?;
                self.token(json, Token::Array(u32::try_from(values.len()).unwrap_or(u32::MAX)))?;
                values.into_iter().try_for_each(|value| self.value(value, depth + 1))
            }
            Some(b'"') => {
                let text: String = self.read(json)?;
                self.token(json, Token::Str(text.as_bytes()))
            }
            _ => match scalar(json) {
                Ok(token) => self.token(json, token),
                Err(message) => Err(self.mistake(json, message)),
            },
        }
    }

    fn key(&mut self, place: &str, key: &str) -> Result<(), Mistake> {
        let Some(special) = key.strip_prefix('$') else {
            return self.token(place, Token::Str(key.as_bytes()));
        };
        if special.starts_with('$') {
            return self.token(place, Token::Str(special.as_bytes()));
        }
        if let Some(hex) = special.strip_prefix("raw:") {
            return self.raw(place, hex);
        }
        // Whatever begins so is JSON, or not.
        let is_json = serde_json::from_str::<&RawValue>(special).is_ok_and(|raw| raw.get() == special);
        match scalar(special) {
            Ok(token) if is_json => self.token(place, token),
            _ => {
                let message =
                    format!("the key {key:?} means nothing: write one that begins with `$` as {:?}", format!("${key}"));
                Err(self.mistake(place, message))
            }
        }
    }

    fn escape(&mut self, escape: Escape, raw: &'a RawValue) -> Result<(), Mistake> {
        let json = raw.get();
        let bytes =
            |text: &str| BASE64.decode(text).map_err(|error| self.mistake(json, format!("it is no base64: {error}")));
        match escape {
            Escape::Bin => {
                let text: String = self.read(json)?;
                self.token(json, Token::Bin(text.as_bytes()))
            }
            Escape::Bin64 => {
                let bytes = bytes(&self.read::<String>(json)?)?;
                self.token(json, Token::Bin(&bytes))
            }
            Escape::Str64 => {
                let bytes = bytes(&self.read::<String>(json)?)?;
                self.token(json, Token::Str(&bytes))
            }
            Escape::Ext => {
                let (kind, text): (i8, String) = self.read(json)?;
                let bytes = bytes(&text)?;
                self.token(json, Token::Ext(kind, &bytes))
            }
            Escape::F32 => {
                let float = float(json).map_err(|message| self.mistake(json, message))?;
                self.token(json, Token::F32(float))
            }
            Escape::F64 => {
                let float = float(json).map_err(|message| self.mistake(json, message))?;
                self.token(json, Token::F64(float))
            }
            Escape::Raw => {
                let hex: String = self.read(json)?;
                self.raw(json, &hex)
            }
        }
    }

    /// Bytes of MessagePack as they are.
    fn raw(&mut self, place: &str, hex: &str) -> Result<(), Mistake> {
        let bytes = bytes_of(hex)
            .ok_or_else(|| self.mistake(place, "it is no hex: write two digits for each byte".to_owned()))?;
        if whole(&mut &*bytes) != Some(&*bytes) {
            return Err(self.mistake(place, "these bytes are not one whole value of MessagePack".to_owned()));
        }
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    fn token(&mut self, place: &str, token: Token<'_>) -> Result<(), Mistake> {
        match token.write(&mut self.out) {
            Some(()) => Ok(()),
            None => Err(self.mistake(place, "it is longer than MessagePack can say".to_owned())),
        }
    }

    fn read<T: Deserialize<'a>>(&self, json: &'a str) -> Result<T, Mistake> {
        serde_json::from_str(json).map_err(|error| {
            let mistake = self.mistake(json, words(&error));
            Mistake { column: mistake.column + error.column().saturating_sub(1), ..mistake }
        })
    }

    /// A mistake at a part of the line.
    fn mistake(&self, part: &str, message: String) -> Mistake {
        let column = (part.as_ptr() as usize).wrapping_sub(self.line.as_ptr() as usize) + 1;
        Mistake { column, message }
    }
}

/// The objects with one key that stand for what JSON has no word for.
#[derive(Debug, Clone, Copy)]
enum Escape {
    Bin,
    Bin64,
    Str64,
    Ext,
    F32,
    F64,
    Raw,
}

impl Escape {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "$bin" => Self::Bin,
            "$bin64" => Self::Bin64,
            "$str64" => Self::Str64,
            "$ext" => Self::Ext,
            "$f32" => Self::F32,
            "$f64" => Self::F64,
            "$raw" => Self::Raw,
            _ => return None,
        })
    }
}

/// A number, or one of JSON's three words.
fn scalar(json: &str) -> Result<Token<'static>, String> {
    match json {
        "null" => return Ok(Token::Nil),
        "true" => return Ok(Token::Bool(true)),
        "false" => return Ok(Token::Bool(false)),
        _ => {}
    }
    if json.contains(['.', 'e', 'E']) {
        return float(json).map(Token::F64);
    }
    let beyond = || format!("{json} is beyond 64 bits: write it as text, or with a point");
    if json.starts_with('-') {
        let value: i64 = json.parse().map_err(|_| beyond())?;
        return Ok(u64::try_from(value).map_or(Token::Int(value), Token::Uint));
    }
    json.parse().map(Token::Uint).map_err(|_| beyond())
}

/// A number with a point, or one of the three that JSON does not have.
fn float<T: std::str::FromStr + Into<f64> + Copy>(json: &str) -> Result<T, String> {
    let special = matches!(json, "\"NaN\"" | "\"Infinity\"" | "\"-Infinity\"");
    let text = if special { json.trim_matches('"') } else { json };
    let wrong = || format!("{json} is no number, nor \"NaN\", \"Infinity\" or \"-Infinity\"");
    let value: T = text.parse().map_err(|_| wrong())?;
    if !special && !value.into().is_finite() {
        return Err(format!("{json} is too large for a float"));
    }
    Ok(value)
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    if digits.len() % 2 == 1 {
        return None;
    }
    digits.chunks_exact(2).map(byte).collect()
}
