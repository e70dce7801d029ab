//! What goes to JSON comes back, whatever it is, and what is broken is told with its place.

use proptest::prelude::*;
use rmpv::Value;

use super::*;
use crate::pack;

fn there(value: &[u8]) -> String {
    to_json::line(value, false)
}

fn back(line: &str) -> Result<Vec<u8>, String> {
    from_json::packed(line.as_bytes()).map_err(|mistake| mistake.to_string())
}

/// Packed by other hands than cat's: by rmpv, but for text that is none, which rmpv takes for bytes.
fn packed(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    pack_into(&mut out, value);
    out
}

fn pack_into(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => {
            rmp::encode::write_str_len(out, text.as_bytes().len() as u32).unwrap();
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(values) => {
            rmp::encode::write_array_len(out, values.len() as u32).unwrap();
            for value in values {
                pack_into(out, value);
            }
        }
        Value::Map(entries) => {
            rmp::encode::write_map_len(out, entries.len() as u32).unwrap();
            for (key, value) in entries {
                pack_into(out, key);
                pack_into(out, value);
            }
        }
        other => rmpv::encode::write_value(out, other).unwrap(),
    }
}

/// Text that is none: only reading makes it.
fn no_utf8(bytes: &[u8]) -> Value {
    let mut packed = Vec::new();
    rmp::encode::write_str_len(&mut packed, bytes.len() as u32).unwrap();
    packed.extend_from_slice(bytes);
    rmpv::decode::read_value(&mut &*packed).unwrap()
}

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![".{0,40}", "\\$.{0,10}", Just("$bin".to_owned()), Just("$raw:00".to_owned()), "a{32,40}"];
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::sample::select(vec![i64::MIN, -129, -128, -33, -32, -1, 0, 127, 128, 255, 256, 65535, 65536, i64::MAX])
            .prop_map(Value::from),
        Just(Value::from(u64::MAX)),
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
        prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 5.0, 1e300])
            .prop_map(Value::F64),
        prop::sample::select(vec![f32::NAN, f32::INFINITY, -0.0, 0.1, f32::MAX, f32::MIN_POSITIVE])
            .prop_map(Value::F32),
        text.prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(Value::from),
        ".{0,20}".prop_map(|text| Value::Binary(text.into_bytes())),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| no_utf8(&bytes)),
        (any::<i8>(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(kind, bytes)| Value::Ext(kind, bytes)),
    ];
    leaf.prop_recursive(4, 40, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner), 0..20).prop_map(Value::Map),
        ]
    })
}

/// A value packed in any way that MessagePack allows, not in the shortest alone.
fn any_packed() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..200)
        .prop_filter_map("no value at its beginning", |bytes| token::whole(&mut &*bytes).map(<[u8]>::to_vec))
}

proptest! {
    #[test]
    fn every_value_comes_back_byte_for_byte(value in value()) {
        let bytes = packed(&value);
        let line = there(&bytes);
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(back(&line), Ok(bytes), "{}", line);
        // Others read the line too.
        prop_assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{}", line);
    }

    #[test]
    fn so_does_what_is_packed_in_an_unusual_way(bytes in any_packed()) {
        let line = there(&bytes);
        prop_assert_eq!(back(&line), Ok(bytes), "{}", line);
    }

    #[test]
    fn a_step_is_where_the_scanner_ends(bytes in any_packed()) {
        let mut value = Vec::new();
        prop_assert!(pack::read_value(&mut &*bytes, &mut value).unwrap());
        prop_assert_eq!(value, bytes);
    }

    #[test]
    fn any_line_is_survived(line in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = from_json::packed(&line);
    }

    #[test]
    fn whatever_looks_like_an_escape_is_survived(
        name in "\\$(bin|bin64|str64|ext|f32|f64|raw|raw:[0-9a-f]{0,4}|[0-9.e-]{0,5}|.{0,3})",
        inner in "(\"[0-9a-zA-Z=]{0,8}\"|\\[-?[0-9]{0,3}, ?\"[A-Za-z=]{0,5}\"\\]|-?[0-9]{1,4}(e[0-9]{1,3})?|null|\\{\\})",
    ) {
        let line = format!("{{{}: {inner}}}", serde_json::Value::from(name));
        if let Ok(bytes) = back(&line) {
            prop_assert_eq!(token::whole(&mut &*bytes), Some(&*bytes), "{}", line);
        }
    }
}

#[test]
fn json_says_what_it_can() {
    let map = |key: Value, value: Value| packed(&Value::Map(vec![(key, value)]));
    let cases = [
        (packed(&Value::from("naïve \"\n")), r#""naïve \"\n""#),
        (packed(&Value::from(5.0)), "5.0"),
        (packed(&Value::from(-0.0)), "-0.0"),
        (packed(&Value::from(u64::MAX)), "18446744073709551615"),
        (packed(&Value::from(i64::MIN)), "-9223372036854775808"),
        (map("a".into(), Value::Array(vec![1.into(), Value::Nil])), r#"{"a": [1, null]}"#),
        (map(1.into(), 2.into()), r#"{"$1": 2}"#),
        (map(Value::Nil, true.into()), r#"{"$null": true}"#),
        (map("$a".into(), 1.into()), r#"{"$$a": 1}"#),
        (map("$bin".into(), "x".into()), r#"{"$$bin": "x"}"#),
        (map(Value::Binary(vec![1]), 1.into()), r#"{"$raw:c40101": 1}"#),
        (packed(&Value::Binary(b"GET".to_vec())), r#"{"$bin": "GET"}"#),
        (packed(&Value::Binary(vec![0xff])), r#"{"$bin64": "/w=="}"#),
        (packed(&no_utf8(&[0xff])), r#"{"$str64": "/w=="}"#),
        (packed(&Value::Ext(-1, vec![0])), r#"{"$ext": [-1, "AA=="]}"#),
        (packed(&Value::F32(0.1)), r#"{"$f32": 0.1}"#),
        (packed(&Value::F64(f64::NAN)), r#"{"$f64": "NaN"}"#),
        (packed(&Value::F32(f32::NEG_INFINITY)), r#"{"$f32": "-Infinity"}"#),
        (packed(&Value::F64(f64::from_bits(0x7ff8_0000_0000_0001))), r#"{"$raw": "cb7ff8000000000001"}"#),
        // An integer, and an array, that take more bytes than they need.
        (b"\xcc\x05".to_vec(), r#"{"$raw": "cc05"}"#),
        (b"\xdc\x00\x01\xc0".to_vec(), r#"{"$raw": "dc0001c0"}"#),
    ];
    for (bytes, line) in cases {
        assert_eq!(there(&bytes), line);
        assert_eq!(back(line), Ok(bytes), "{line}");
    }
    // A map may have a key twice, which most readers of JSON do not.
    let twice = packed(&Value::Map(vec![("a".into(), 1.into()), ("a".into(), 2.into())]));
    assert_eq!(back(&there(&twice)), Ok(twice));
}

#[test]
fn depth_is_not_paid_for_with_the_stack() {
    let deep = [vec![0x91; 1_000_000], vec![0xc0]].concat();
    let line = there(&deep);
    assert!(line.starts_with("[[[[") && line.contains("{\"$raw\": \"9191"));
    assert_eq!(back(&line), Ok(deep));
    let keys = [vec![0x81; 100_000], vec![0xc0; 100_001]].concat();
    assert_eq!(back(&there(&keys)), Ok(keys));
    let told = back(&"[".repeat(200_000)).unwrap_err();
    assert!(told.starts_with("column 200000: it is no JSON: EOF"), "{told}");
    let told = back(&["[".repeat(1000), "]".repeat(1000)].concat()).unwrap_err();
    assert_eq!(told, "column 130: it is nested more than 128 deep");
}

#[test]
fn mistakes_in_a_line_have_their_place() {
    let cases = [
        ("{\"a\": nil}", "column 8: it is no JSON: expected ident"),
        ("1 2", "column 3: it is no JSON: trailing characters"),
        (
            "[1, 18446744073709551616]",
            "column 5: 18446744073709551616 is beyond 64 bits: write it as text, or with a point",
        ),
        ("-9223372036854775809", "column 1: -9223372036854775809 is beyond 64 bits: write it as text, or with a point"),
        ("[1e999]", "column 2: 1e999 is too large for a float"),
        ("{\"$ref\": 1}", "column 1: the key \"$ref\" means nothing: write one that begins with `$` as \"$$ref\""),
        ("{\"$bin64\": \"?\"}", "column 12: it is no base64: Invalid symbol 63, offset 0."),
        ("{\"$f64\": \"nan\"}", "column 10: \"nan\" is no number, nor \"NaN\", \"Infinity\" or \"-Infinity\""),
        ("{\"$raw\": \"9\"}", "column 10: it is no hex: write two digits for each byte"),
        ("{\"$raw\": \"91\"}", "column 10: these bytes are not one whole value of MessagePack"),
    ];
    for (line, told) in cases {
        assert_eq!(back(line).unwrap_err(), told, "{line}");
    }
    assert_eq!(from_json::packed(b"\"\xff\"").unwrap_err().message, "it is no UTF-8");
}

#[test]
fn times_are_dates_where_one_asks_for_them() {
    let message = Value::Map(vec![
        ("time".into(), Value::from(1_700_000_000.25)),
        ("start_time".into(), Value::from(0)),
        ("end_time".into(), Value::from("never")),
        ("total_time".into(), Value::from(0.5)),
        ("inner".into(), Value::Map(vec![("time".into(), Value::from(1))])),
    ]);
    assert_eq!(
        to_json::line(&packed(&message), true),
        "{\"time\": \"2023-11-14T22:13:20.250000Z\", \"start_time\": \"1970-01-01T00:00:00.000000Z\", \
         \"end_time\": \"never\", \"total_time\": 0.5, \"inner\": {\"time\": 1}}"
    );
    for beyond in [f64::NAN, -1.0, 1e18, 253_402_300_800.0] {
        let message = packed(&Value::Map(vec![("time".into(), Value::from(beyond))]));
        assert_eq!(to_json::line(&message, true), there(&message));
    }
}
