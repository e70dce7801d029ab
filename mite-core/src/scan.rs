//! Finding where one MessagePack value ends, without building it.
//!
//! Files of values one after another are read through this: it says at which byte a file breaks, and tells a torn tail
//! (a value that the end of the file cut off) from bytes that were never MessagePack.

use std::io::{self, BufRead, Read};

use rmp::Marker;

/// Why no whole value could be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The input ends within the value.
    #[error("the value is cut off")]
    Torn,
    /// The byte is no beginning of a value; it stands so many bytes after the value's first.
    #[error("there is no MessagePack value")]
    Invalid {
        /// Bytes from the beginning of the value.
        offset: u64,
    },
    /// The input cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What follows a marker: bytes of its own, and values within it.
struct Body {
    bytes: u64,
    values: u64,
}

/// How many bytes after the marker hold a length, and what the length counts.
enum Length {
    None(Body),
    Bytes { width: u8, extra: u64 },
    Values { width: u8, each: u64 },
}

fn length_of(marker: Marker) -> Option<Length> {
    let plain = |bytes| Length::None(Body { bytes, values: 0 });
    Some(match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => plain(0),
        Marker::U8 | Marker::I8 => plain(1),
        Marker::U16 | Marker::I16 | Marker::FixExt1 => plain(2),
        Marker::U32 | Marker::I32 | Marker::F32 => plain(4),
        Marker::U64 | Marker::I64 | Marker::F64 => plain(8),
        Marker::FixStr(len) => plain(len.into()),
        Marker::FixExt2 => plain(3),
        Marker::FixExt4 => plain(5),
        Marker::FixExt8 => plain(9),
        Marker::FixExt16 => plain(17),
        Marker::FixArray(len) => Length::None(Body { bytes: 0, values: len.into() }),
        Marker::FixMap(len) => Length::None(Body { bytes: 0, values: 2 * u64::from(len) }),
        Marker::Str8 | Marker::Bin8 => Length::Bytes { width: 1, extra: 0 },
        Marker::Str16 | Marker::Bin16 => Length::Bytes { width: 2, extra: 0 },
        Marker::Str32 | Marker::Bin32 => Length::Bytes { width: 4, extra: 0 },
        Marker::Ext8 => Length::Bytes { width: 1, extra: 1 },
        Marker::Ext16 => Length::Bytes { width: 2, extra: 1 },
        Marker::Ext32 => Length::Bytes { width: 4, extra: 1 },
        Marker::Array16 => Length::Values { width: 2, each: 1 },
        Marker::Array32 => Length::Values { width: 4, each: 1 },
        Marker::Map16 => Length::Values { width: 2, each: 2 },
        Marker::Map32 => Length::Values { width: 4, each: 2 },
        Marker::Reserved => return None,
    })
}

/// The length in bytes of the value that `bytes` begins with.
pub(crate) fn value_len(bytes: &[u8]) -> Result<usize, ScanError> {
    let mut at = 0usize;
    let mut missing = 1u64;
    while missing > 0 {
        missing -= 1;
        let marker = *bytes.get(at).ok_or(ScanError::Torn)?;
        let length = length_of(Marker::from_u8(marker)).ok_or(ScanError::Invalid { offset: at as u64 })?;
        at += 1;
        let body = match length {
            Length::None(body) => body,
            Length::Bytes { width, extra } => {
                let len = big_endian(bytes.get(at..at + usize::from(width)).ok_or(ScanError::Torn)?);
                at += usize::from(width);
                Body { bytes: len + extra, values: 0 }
            }
            Length::Values { width, each } => {
                let len = big_endian(bytes.get(at..at + usize::from(width)).ok_or(ScanError::Torn)?);
                at += usize::from(width);
                Body { bytes: 0, values: len * each }
            }
        };
        at = usize::try_from(body.bytes).ok().and_then(|bytes| at.checked_add(bytes)).ok_or(ScanError::Torn)?;
        if at > bytes.len() {
            return Err(ScanError::Torn);
        }
        missing += body.values;
    }
    Ok(at)
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Reads the bytes of the next whole value into `value`, which is cleared first; `false` at the end of the input. However deep
/// a value is, it takes no more stack.
///
/// ```
/// let mut file: &[u8] = b"\x92\x01\xc0\x05";
/// let mut value = Vec::new();
/// assert!(mite_core::pack::read_value(&mut file, &mut value)?);
/// assert_eq!(value, b"\x92\x01\xc0");
/// # Ok::<(), mite_core::Error>(())
/// ```
///
/// # Errors
/// [`ScanError`]: the input ends within a value, or is no MessagePack.
pub fn read_value(reader: &mut impl BufRead, value: &mut Vec<u8>) -> Result<bool, ScanError> {
    value.clear();
    if reader.fill_buf()?.is_empty() {
        return Ok(false);
    }
    let mut missing = 1u64;
    while missing > 0 {
        missing -= 1;
        let marker_at = value.len() as u64;
        take(reader, 1, value)?;
        let marker = value[value.len() - 1];
        let length = length_of(Marker::from_u8(marker)).ok_or(ScanError::Invalid { offset: marker_at })?;
        match length {
            Length::None(body) => {
                take(reader, body.bytes, value)?;
                missing += body.values;
            }
            Length::Bytes { width, extra } => {
                let len = take_length(reader, width, value)?;
                take(reader, len + extra, value)?;
            }
            Length::Values { width, each } => missing += take_length(reader, width, value)? * each,
        }
    }
    Ok(true)
}

/// Appends `len` bytes; reading in steps, since a broken file may announce gigabytes that are not there.
fn take(reader: &mut impl BufRead, len: u64, value: &mut Vec<u8>) -> Result<(), ScanError> {
    if len == 0 {
        return Ok(());
    }
    let read = reader.take(len).read_to_end(value)?;
    if (read as u64) < len { Err(ScanError::Torn) } else { Ok(()) }
}

fn take_length(reader: &mut impl BufRead, width: u8, value: &mut Vec<u8>) -> Result<u64, ScanError> {
    let at = value.len();
    take(reader, width.into(), value)?;
    Ok(big_endian(&value[at..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pack;

    fn value() -> impl Strategy<Value = rmpv::Value> {
        let leaf = prop_oneof![
            Just(rmpv::Value::Nil),
            any::<bool>().prop_map(rmpv::Value::from),
            any::<i64>().prop_map(rmpv::Value::from),
            any::<u64>().prop_map(rmpv::Value::from),
            any::<f64>().prop_map(rmpv::Value::from),
            ".{0,300}".prop_map(rmpv::Value::from),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(rmpv::Value::from),
            (any::<i8>(), prop::collection::vec(any::<u8>(), 0..20))
                .prop_map(|(tag, data)| rmpv::Value::Ext(tag, data)),
        ];
        leaf.prop_recursive(3, 40, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(rmpv::Value::Array),
                prop::collection::vec((inner.clone(), inner), 0..20).prop_map(rmpv::Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn each_value_ends_where_it_ends(value in value(), cut in 0.0f64..1.0) {
            let mut packed = pack::to_vec(&value).unwrap();
            let len = packed.len();
            packed.extend_from_slice(b"\xc1 something else");
            prop_assert_eq!(value_len(&packed).unwrap(), len);
            let mut read = Vec::new();
            prop_assert!(read_value(&mut &packed[..], &mut read).unwrap());
            prop_assert_eq!(&read[..], &packed[..len]);
            // Cut anywhere before its end it is torn, never another value.
            let cut = (len as f64 * cut) as usize;
            prop_assert!(matches!(value_len(&packed[..cut]), Err(ScanError::Torn)));
            if cut > 0 {
                prop_assert!(matches!(read_value(&mut &packed[..cut], &mut read), Err(ScanError::Torn)));
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let slice = value_len(&bytes).ok();
            let mut value = Vec::new();
            let streamed = read_value(&mut &bytes[..], &mut value).ok().filter(|some| *some).map(|_| value.len());
            prop_assert_eq!(slice, streamed);
        }
    }

    #[test]
    fn a_byte_that_is_no_marker_is_named() {
        assert!(matches!(value_len(b"\x92\x01\xc1"), Err(ScanError::Invalid { offset: 2 })));
        assert!(matches!(
            read_value(&mut &b"\x92\x01\xc1"[..], &mut Vec::new()),
            Err(ScanError::Invalid { offset: 2 })
        ));
        assert!(!read_value(&mut &b""[..], &mut Vec::new()).unwrap());
    }

    #[test]
    fn gigabytes_that_are_not_there_are_not_allocated() {
        let mut value = Vec::new();
        assert!(matches!(read_value(&mut &b"\xc6\xff\xff\xff\xff.."[..], &mut value), Err(ScanError::Torn)));
        assert!(value.capacity() < 1 << 20);
    }
}
