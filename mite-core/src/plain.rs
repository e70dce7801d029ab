//! Packed values as plain text and as numbers, in the way in which Python's `str` tells them.
//!
//! They are apart from messages, whose fields they are, since what comes of a value has nothing to do with where it stands.

use std::borrow::Cow;

use rmp::Marker;
use rmp::decode;

use crate::scan;

/// The text of one packed value; `None` for a list, a map or an extension.
pub(crate) fn text(packed: &[u8]) -> Option<Cow<'_, str>> {
    if let Some(bytes) = bytes(packed) {
        return Some(String::from_utf8_lossy(bytes));
    }
    Some(match Marker::from_u8(*packed.first()?) {
        Marker::Null => "None".into(),
        Marker::True => "True".into(),
        Marker::False => "False".into(),
        Marker::F32 | Marker::F64 => float(number(packed)?).into(),
        _ => integer(packed)?.to_string().into(),
    })
}

/// One packed value as a number: `True` is 1, as in Python; `None` for what is none.
pub(crate) fn number(packed: &[u8]) -> Option<f64> {
    let mut rest = packed;
    match Marker::from_u8(*packed.first()?) {
        Marker::True => Some(1.0),
        Marker::False => Some(0.0),
        Marker::F32 => decode::read_f32(&mut rest).ok().map(f64::from),
        Marker::F64 => decode::read_f64(&mut rest).ok(),
        _ => integer(packed).map(|integer| integer as f64),
    }
}

/// The pairs of a packed map.
pub(crate) fn pairs(packed: &[u8]) -> Option<impl Iterator<Item = (&[u8], &[u8])>> {
    let mut rest = packed;
    let len = decode::read_map_len(&mut rest).ok()?;
    Some((0..len).map_while(move |_| {
        let (key, after) = rest.split_at_checked(scan::value_len(rest).ok()?)?;
        let (value, after) = after.split_at_checked(scan::value_len(after).ok()?)?;
        rest = after;
        Some((key, value))
    }))
}

fn integer(packed: &[u8]) -> Option<i128> {
    let (mut signed, mut unsigned) = (packed, packed);
    let signed = decode::read_int::<i64, _>(&mut signed).ok().map(i128::from);
    signed.or_else(|| decode::read_int::<u64, _>(&mut unsigned).ok().map(i128::from))
}

/// What a packed text or binary value holds.
fn bytes(packed: &[u8]) -> Option<&[u8]> {
    let (mut text, mut binary) = (packed, packed);
    if let Ok(len) = decode::read_str_len(&mut text) {
        return text.get(..len as usize);
    }
    let len = decode::read_bin_len(&mut binary).ok()?;
    binary.get(..len as usize)
}

/// A float as Python's `repr` has it.
pub(crate) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number == 0.0 || number.is_infinite() || (1e-4..1e16).contains(&number.abs()) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

#[cfg(test)]
mod tests {
    use rmpv::Value;

    use super::*;

    fn packed(value: impl Into<Value>) -> Vec<u8> {
        let mut out = Vec::new();
        rmpv::encode::write_value(&mut out, &value.into()).unwrap();
        out
    }

    #[test]
    fn values_are_told_as_in_python() {
        let cases: [(Vec<u8>, Option<&str>, Option<f64>); 19] = [
            (packed("a \"b\"\n"), Some("a \"b\"\n"), None),
            (packed(&b"GET"[..]), Some("GET"), None),
            // What is no UTF-8, as text and as bytes.
            (b"\xa2a\xff".to_vec(), Some("a\u{fffd}"), None),
            (packed(&b"\xffb"[..]), Some("\u{fffd}b"), None),
            (packed(true), Some("True"), Some(1.0)),
            (packed(false), Some("False"), Some(0.0)),
            (packed(Value::Nil), Some("None"), None),
            (packed(7), Some("7"), Some(7.0)),
            (packed(-300), Some("-300"), Some(-300.0)),
            (packed(u64::MAX), Some("18446744073709551615"), Some(18_446_744_073_709_551_615.0)),
            (packed(1.0), Some("1.0"), Some(1.0)),
            (packed(0.1), Some("0.1"), Some(0.1)),
            (packed(1e16), Some("1e+16"), Some(1e16)),
            (packed(1.5e-7), Some("1.5e-07"), Some(1.5e-7)),
            (packed(1.25e300), Some("1.25e+300"), Some(1.25e300)),
            (packed(f64::NEG_INFINITY), Some("-inf"), Some(f64::NEG_INFINITY)),
            (packed(0.5_f32), Some("0.5"), Some(0.5)),
            (packed(Value::Array(vec![1.into()])), None, None),
            (packed(Value::Map(vec![])), None, None),
        ];
        for (packed, as_text, as_number) in cases {
            assert_eq!(text(&packed).as_deref(), as_text, "{packed:x?}");
            assert_eq!(number(&packed), as_number, "{packed:x?}");
        }
        assert_eq!((text(b""), number(b""), text(b"\xd9\x09abc")), (None, None, None), "torn");
        assert_eq!(float(f64::NAN), "nan");
    }

    #[test]
    fn a_map_has_pairs() {
        let map = packed(Value::Map(vec![(1.into(), 2.5.into()), ("a".into(), Value::Array(vec![1.into()]))]));
        let told: Vec<_> = pairs(&map).unwrap().map(|(key, value)| (text(key).unwrap(), number(value))).collect();
        assert_eq!(told, [("1".into(), Some(2.5)), ("a".into(), None)]);
        assert!(pairs(b"\x01").is_none());
    }
}
