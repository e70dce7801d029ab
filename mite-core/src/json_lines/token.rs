//! One step through MessagePack: a plain value, or the beginning of an array or a map.
//!
//! It is apart from both ways because each stands on it: what is packed as [`Token::write`] packs it comes back from JSON.

use rmp::{Marker, encode};

/// A plain value, or how many follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Nil,
    Bool(bool),
    Uint(u64),
    /// Less than nothing: what is not is a [`Token::Uint`].
    Int(i64),
    F32(f32),
    F64(f64),
    /// UTF-8, or not.
    Str(&'a [u8]),
    Bin(&'a [u8]),
    Ext(i8, &'a [u8]),
    Array(u32),
    /// Twice as many values follow.
    Map(u32),
}

impl<'a> Token<'a> {
    /// Takes the next one off `bytes`; `None` where there is no whole one.
    pub(super) fn take(bytes: &mut &'a [u8]) -> Option<Self> {
        let marker = Marker::from_u8(number::<1>(bytes)?[0]);
        Some(match marker {
            Marker::FixPos(value) => Self::Uint(value.into()),
            Marker::FixNeg(value) => Self::int(value.into()),
            Marker::Null => Self::Nil,
            Marker::True => Self::Bool(true),
            Marker::False => Self::Bool(false),
            Marker::U8 => Self::Uint(number::<1>(bytes)?[0].into()),
            Marker::U16 => Self::Uint(u16::from_be_bytes(number(bytes)?).into()),
            Marker::U32 => Self::Uint(u32::from_be_bytes(number(bytes)?).into()),
            Marker::U64 => Self::Uint(u64::from_be_bytes(number(bytes)?)),
            Marker::I8 => Self::int(i8::from_be_bytes(number(bytes)?).into()),
            Marker::I16 => Self::int(i16::from_be_bytes(number(bytes)?).into()),
            Marker::I32 => Self::int(i32::from_be_bytes(number(bytes)?).into()),
            Marker::I64 => Self::int(i64::from_be_bytes(number(bytes)?)),
            Marker::F32 => Self::F32(f32::from_be_bytes(number(bytes)?)),
            Marker::F64 => Self::F64(f64::from_be_bytes(number(bytes)?)),
            Marker::FixStr(length) => Self::Str(some(bytes, length.into())?),
            Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let length = length(marker, bytes)?;
                Self::Str(some(bytes, length)?)
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length = length(marker, bytes)?;
                Self::Bin(some(bytes, length)?)
            }
            Marker::FixExt1 => Self::ext(bytes, 1)?,
            Marker::FixExt2 => Self::ext(bytes, 2)?,
            Marker::FixExt4 => Self::ext(bytes, 4)?,
            Marker::FixExt8 => Self::ext(bytes, 8)?,
            Marker::FixExt16 => Self::ext(bytes, 16)?,
            Marker::Ext8 | Marker::Ext16 | Marker::Ext32 => {
                let length = length(marker, bytes)?;
                Self::ext(bytes, length)?
            }
            Marker::FixArray(values) => Self::Array(values.into()),
            Marker::Array16 | Marker::Array32 => Self::Array(length(marker, bytes)?),
            Marker::FixMap(entries) => Self::Map(entries.into()),
            Marker::Map16 | Marker::Map32 => Self::Map(length(marker, bytes)?),
            Marker::Reserved => return None,
        })
    }

    fn int(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Int(value), Self::Uint)
    }

    fn ext(bytes: &mut &'a [u8], length: u32) -> Option<Self> {
        let kind = i8::from_be_bytes(number(bytes)?);
        Some(Self::Ext(kind, some(bytes, length)?))
    }

    /// Packs it, in the shortest form that its type has; `None` where it is too long for MessagePack.
    pub(super) fn write(self, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Nil => out.push(Marker::Null.to_u8()),
            Self::Bool(true) => out.push(Marker::True.to_u8()),
            Self::Bool(false) => out.push(Marker::False.to_u8()),
            Self::Uint(value) => {
                encode::write_uint(out, value).ok()?;
            }
            Self::Int(value) => {
                encode::write_sint(out, value).ok()?;
            }
            Self::F32(value) => encode::write_f32(out, value).ok()?,
            Self::F64(value) => encode::write_f64(out, value).ok()?,
            Self::Str(bytes) => {
                encode::write_str_len(out, u32::try_from(bytes.len()).ok()?).ok()?;
                out.extend_from_slice(bytes);
            }
            Self::Bin(bytes) => {
                encode::write_bin_len(out, u32::try_from(bytes.len()).ok()?).ok()?;
                out.extend_from_slice(bytes);
            }
            Self::Ext(kind, bytes) => {
                encode::write_ext_meta(out, u32::try_from(bytes.len()).ok()?, kind).ok()?;
                out.extend_from_slice(bytes);
            }
            Self::Array(values) => {
                encode::write_array_len(out, values).ok()?;
            }
            Self::Map(entries) => {
                encode::write_map_len(out, entries).ok()?;
            }
        }
        Some(())
    }
}

/// The value that `bytes` begin with, whole, however deep it is; `None` where there is none.
pub(super) fn whole<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let all = *bytes;
    let mut missing = 1_u64;
    while missing > 0 {
        missing += match Token::take(bytes)? {
            Token::Array(values) => u64::from(values),
            Token::Map(entries) => 2 * u64::from(entries),
            _ => 0,
        };
        missing -= 1;
    }
    Some(&all[..all.len() - bytes.len()])
}

fn some<'a>(bytes: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
    let (some, rest) = bytes.split_at_checked(length as usize)?;
    *bytes = rest;
    Some(some)
}

fn number<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (number, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*number)
}

fn length(marker: Marker, bytes: &mut &[u8]) -> Option<u32> {
    Some(match marker {
        Marker::Str8 | Marker::Bin8 | Marker::Ext8 => number::<1>(bytes)?[0].into(),
        Marker::Str16 | Marker::Bin16 | Marker::Ext16 | Marker::Array16 | Marker::Map16 => {
            u16::from_be_bytes(number(bytes)?).into()
        }
        _ => u32::from_be_bytes(number(bytes)?),
    })
}
