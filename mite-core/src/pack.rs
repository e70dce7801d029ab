//! Packing of any serde value as MessagePack, in the one form that files and messages have, and finding where a value ends.
//!
//! `rmp-serde`'s serializer comes near, but writes `f32` as 32 bits; here structs are maps, floats are always 64
//! bits, integers take their shortest form, and serde is told *human readable*, so that a `Uuid` is a string.

use std::fmt::Display;

use rmp::{Marker, encode as rmp_encode};
use serde::ser::{self, Serialize};

pub use crate::scan::{ScanError, read_value};

/// Why a value could not be packed: serde's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to pack as MessagePack: {0}")]
pub struct PackError(String);

impl ser::Error for PackError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Packs one value.
///
/// # Errors
/// What the value's own `Serialize` says, an integer beyond 64 bits, or more than 2³² − 1 elements.
///
/// ```
/// let packed = mite_core::pack::to_vec(&("a", 300, 1.5f32)).unwrap();
/// assert_eq!(packed, b"\x93\xa1a\xcd\x01\x2c\xcb\x3f\xf8\0\0\0\0\0\0");
/// ```
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, PackError> {
    let mut out = Vec::new();
    write(&mut out, value)?;
    Ok(out)
}

/// Packs one value at the end of `out`; after an error `out` is as it was.
///
/// # Errors
/// As [`to_vec`].
pub fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), PackError> {
    let start = out.len();
    let packed = value.serialize(Packer { out });
    if packed.is_err() {
        out.truncate(start);
    }
    packed
}

// Writing to a `Vec` cannot fail, which rmp's signatures cannot say.
macro_rules! infallible {
    ($e:expr) => {
        $e.expect("writing to memory does not fail")
    };
}

// Names are short, numbers often, and nearly all lengths are: these are written in place, since rmp's way through `io::Write`
// takes longer than all the rest of a record.

#[inline]
pub(crate) fn write_str(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        len @ ..32 => out.push(Marker::FixStr(len as u8).to_u8()),
        len @ ..256 => out.extend_from_slice(&[Marker::Str8.to_u8(), len as u8]),
        _ => return write_long_str(out, text),
    }
    out.extend_from_slice(text.as_bytes());
}

fn write_long_str(out: &mut Vec<u8>, text: &str) {
    infallible!(rmp_encode::write_str_len(out, text.len() as u32));
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn write_f64(out: &mut Vec<u8>, value: f64) {
    infallible!(rmp_encode::write_f64(out, value));
}

#[inline]
pub(crate) fn write_uint(out: &mut Vec<u8>, value: u64) {
    if value < 128 {
        out.push(value as u8);
    } else {
        infallible!(rmp_encode::write_uint(out, value));
    }
}

pub(crate) fn write_bool(out: &mut Vec<u8>, value: bool) {
    infallible!(rmp_encode::write_bool(out, value));
}

pub(crate) fn write_nil(out: &mut Vec<u8>) {
    infallible!(rmp_encode::write_nil(out));
}

pub(crate) fn write_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    infallible!(rmp_encode::write_bin(out, bytes));
}

pub(crate) fn write_array_len(out: &mut Vec<u8>, elements: u32) {
    infallible!(rmp_encode::write_array_len(out, elements));
}

#[inline]
pub(crate) fn write_map_len(out: &mut Vec<u8>, entries: u32) {
    if entries < 16 {
        out.push(Marker::FixMap(entries as u8).to_u8());
    } else {
        infallible!(rmp_encode::write_map_len(out, entries));
    }
}

struct Packer<'a> {
    out: &'a mut Vec<u8>,
}

#[inline]
fn length(len: usize) -> Result<u32, PackError> {
    u32::try_from(len).map_err(|_| PackError(format!("{len} elements are more than MessagePack can hold")))
}

impl<'a> ser::Serializer for Packer<'a> {
    type Ok = ();
    type Error = PackError;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Elements<'a>;
    type SerializeTupleVariant = Elements<'a>;
    type SerializeMap = Elements<'a>;
    type SerializeStruct = Elements<'a>;
    type SerializeStructVariant = Elements<'a>;

    fn serialize_bool(self, v: bool) -> Result<(), PackError> {
        write_bool(self.out, v);
        Ok(())
    }

    fn serialize_i8(self, v: i8) -> Result<(), PackError> {
        self.serialize_i64(v.into())
    }

    fn serialize_i16(self, v: i16) -> Result<(), PackError> {
        self.serialize_i64(v.into())
    }

    fn serialize_i32(self, v: i32) -> Result<(), PackError> {
        self.serialize_i64(v.into())
    }

    fn serialize_i64(self, v: i64) -> Result<(), PackError> {
        infallible!(rmp_encode::write_sint(self.out, v));
        Ok(())
    }

    fn serialize_i128(self, v: i128) -> Result<(), PackError> {
        match (i64::try_from(v), u64::try_from(v)) {
            (Ok(v), _) => self.serialize_i64(v),
            (_, Ok(v)) => self.serialize_u64(v),
            _ => Err(PackError(format!("the integer {v} has more than 64 bits"))),
        }
    }

    fn serialize_u8(self, v: u8) -> Result<(), PackError> {
        self.serialize_u64(v.into())
    }

    fn serialize_u16(self, v: u16) -> Result<(), PackError> {
        self.serialize_u64(v.into())
    }

    fn serialize_u32(self, v: u32) -> Result<(), PackError> {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u64(self, v: u64) -> Result<(), PackError> {
        write_uint(self.out, v);
        Ok(())
    }

    fn serialize_u128(self, v: u128) -> Result<(), PackError> {
        let v = u64::try_from(v).map_err(|_| PackError(format!("the integer {v} has more than 64 bits")))?;
        self.serialize_u64(v)
    }

    fn serialize_f32(self, v: f32) -> Result<(), PackError> {
        self.serialize_f64(v.into())
    }

    fn serialize_f64(self, v: f64) -> Result<(), PackError> {
        write_f64(self.out, v);
        Ok(())
    }

    fn serialize_char(self, v: char) -> Result<(), PackError> {
        write_str(self.out, v.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    #[inline]
    fn serialize_str(self, v: &str) -> Result<(), PackError> {
        length(v.len())?;
        write_str(self.out, v);
        Ok(())
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), PackError> {
        length(v.len())?;
        infallible!(rmp_encode::write_bin(self.out, v));
        Ok(())
    }

    fn serialize_none(self) -> Result<(), PackError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), PackError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), PackError> {
        write_nil(self.out);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), PackError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<(), PackError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), PackError> {
        if name == EXTENSION {
            return write_extension(self.out, value);
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), PackError> {
        write_map_len(self.out, 1);
        write_str(self.out, variant);
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Elements<'a>, PackError> {
        Elements::begin(self.out, len, Shape::Array)
    }

    fn serialize_tuple(self, len: usize) -> Result<Elements<'a>, PackError> {
        Elements::begin(self.out, Some(len), Shape::Array)
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Elements<'a>, PackError> {
        Elements::begin(self.out, Some(len), Shape::Array)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Elements<'a>, PackError> {
        write_map_len(self.out, 1);
        write_str(self.out, variant);
        Elements::begin(self.out, Some(len), Shape::Array)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Elements<'a>, PackError> {
        Elements::begin(self.out, len, Shape::Map)
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Elements<'a>, PackError> {
        Elements::begin(self.out, Some(len), Shape::Map)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Elements<'a>, PackError> {
        write_map_len(self.out, 1);
        write_str(self.out, variant);
        Elements::begin(self.out, Some(len), Shape::Map)
    }
}

#[derive(Clone, Copy)]
enum Shape {
    Array,
    Map,
}

fn write_header(out: &mut Vec<u8>, shape: Shape, len: u32) {
    match shape {
        Shape::Array => {
            infallible!(rmp_encode::write_array_len(out, len));
        }
        Shape::Map => write_map_len(out, len),
    }
}

/// The elements of an array or a map; the length that serde announced is checked against what came, since a wrong
/// one would break every record after it.
struct Elements<'a> {
    out: &'a mut Vec<u8>,
    shape: Shape,
    announced: Option<u32>,
    header_at: usize,
    written: u32,
}

impl<'a> Elements<'a> {
    #[inline]
    fn begin(out: &'a mut Vec<u8>, len: Option<usize>, shape: Shape) -> Result<Self, PackError> {
        let announced = len.map(length).transpose()?;
        let header_at = out.len();
        if let Some(len) = announced {
            write_header(out, shape, len);
        }
        Ok(Self { out, shape, announced, header_at, written: 0 })
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PackError> {
        self.count()?;
        value.serialize(Packer { out: self.out })
    }

    #[inline]
    fn count(&mut self) -> Result<(), PackError> {
        self.written = self.written.checked_add(1).ok_or_else(|| PackError("too many elements".into()))?;
        Ok(())
    }

    #[inline]
    fn finish(self) -> Result<(), PackError> {
        match self.announced {
            Some(announced) if announced == self.written => Ok(()),
            Some(announced) => {
                Err(PackError(format!("a length of {announced} was announced, but {} came", self.written)))
            }
            None => {
                let mut header = Vec::with_capacity(5);
                write_header(&mut header, self.shape, self.written);
                self.out.splice(self.header_at..self.header_at, header);
                Ok(())
            }
        }
    }
}

macro_rules! elements {
    ($($of:ident $method:ident($($key:ident)?);)*) => { $(
        impl ser::$of for Elements<'_> {
            type Ok = ();
            type Error = PackError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $($key: &'static str,)? value: &T) -> Result<(), PackError> {
                $(write_str(self.out, $key);)?
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result<(), PackError> {
                self.finish()
            }
        }
    )* };
}
elements! {
    SerializeSeq serialize_element();
    SerializeTuple serialize_element();
    SerializeTupleStruct serialize_field();
    SerializeTupleVariant serialize_field();
    SerializeStruct serialize_field(key);
    SerializeStructVariant serialize_field(key);
}

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = PackError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), PackError> {
        self.element(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PackError> {
        value.serialize(Packer { out: self.out })
    }

    fn end(self) -> Result<(), PackError> {
        self.finish()
    }
}

/// The name by which `rmpv` and `rmp-serde` hand over a MessagePack extension: a pair of its tag and its bytes.
const EXTENSION: &str = "_ExtStruct";

fn write_extension<T: Serialize + ?Sized>(out: &mut Vec<u8>, pair: &T) -> Result<(), PackError> {
    let pair = to_vec(pair)?;
    let mut rest = pair.as_slice();
    let mut parts = || {
        let 2 = rmp::decode::read_array_len(&mut rest).ok()? else { return None };
        let tag: i8 = rmp::decode::read_int(&mut rest).ok()?;
        let len = rmp::decode::read_bin_len(&mut rest).ok()?;
        Some((tag, len))
    };
    let (tag, len) = parts().ok_or_else(|| PackError("an extension is a pair of a tag and its bytes".into()))?;
    infallible!(rmp_encode::write_ext_meta(out, len, tag));
    out.extend_from_slice(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_kind_of_value_has_its_one_form() {
        #[derive(Serialize)]
        struct User {
            name: &'static str,
            age: u64,
        }
        #[derive(Serialize)]
        enum Plan {
            Free,
            Paid { cents: u32 },
        }
        let cases: [(Vec<u8>, &[u8]); 9] = [
            // A struct is a map with the names of its fields, in their order.
            (to_vec(&User { name: "a", age: 200 }).unwrap(), b"\x82\xa4name\xa1a\xa3age\xcc\xc8"),
            // Integers are as short as they can be, signed ones that are positive too.
            (to_vec(&[-1i64, 127, 128]).unwrap(), b"\x93\xff\x7f\xcc\x80"),
            // A float has 64 bits, also when it had 32.
            (to_vec(&0.5f32).unwrap(), b"\xcb\x3f\xe0\0\0\0\0\0\0"),
            (to_vec(&Plan::Free).unwrap(), b"\xa4Free"),
            (to_vec(&Plan::Paid { cents: 5 }).unwrap(), b"\x81\xa4Paid\x81\xa5cents\x05"),
            (to_vec(&None::<u8>).unwrap(), b"\xc0"),
            // serde is told human readable: a UUID is its text.
            (to_vec(&Uuid::nil()).unwrap(), b"\xd9\x2400000000-0000-0000-0000-000000000000"),
            (to_vec(&bytes::Bytes::from_static(b"\0\xff")).unwrap(), b"\xc4\x02\0\xff"),
            (to_vec(&rmpv::Value::Ext(7, vec![1, 2])).unwrap(), b"\xd5\x07\x01\x02"),
        ];
        for (index, (packed, expected)) in cases.iter().enumerate() {
            assert_eq!(packed, expected, "case {index}");
        }
    }

    #[test]
    fn a_length_that_is_not_known_is_filled_in() {
        struct Unsized;
        impl Serialize for Unsized {
            fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq((0..20).filter(|n| n % 2 == 0))
            }
        }
        assert_eq!(to_vec(&Unsized).unwrap(), b"\x9a\0\x02\x04\x06\x08\x0a\x0c\x0e\x10\x12");
    }

    #[test]
    fn a_wrong_length_leaves_nothing_behind() {
        struct Liar;
        impl Serialize for Liar {
            fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use ser::SerializeSeq as _;
                let mut seq = serializer.serialize_seq(Some(3))?;
                seq.serialize_element(&1)?;
                seq.end()
            }
        }
        let mut out = b"kept".to_vec();
        assert!(write(&mut out, &Liar).unwrap_err().to_string().contains("length of 3"));
        assert_eq!(out, b"kept");
    }
}
