//! Codings as values: what was encoded comes back however it is cut, and what was not encoded is an error.

use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};
use proptest::prelude::*;

use super::*;
use crate::error::Class;

const ALL: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

fn decoder(codings: &str) -> Option<Decoder> {
    Decoder::of(&HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::try_from(codings).unwrap())]))
}

pub(crate) fn encode(coding: &str, data: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" | "x-gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "raw" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut encoded = Vec::new();
            brotli::CompressorWriter::new(&mut encoded, 4096, 5, 20).write_all(data).unwrap();
            encoded
        }
        "zstd" => {
            let mut encoded = Vec::with_capacity(zstd_safe::compress_bound(data.len()));
            zstd_safe::compress(&mut encoded, data, 3).unwrap();
            encoded
        }
        other => panic!("{other}"),
    }
}

/// Gives `pieces` to `decoder`, and takes all that it makes of them.
fn decoded<'a>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, String> {
    let mut pieces = pieces.into_iter();
    let mut whole = Vec::new();
    loop {
        match decoder.next() {
            Ok(Decoded::Bytes(bytes)) => {
                assert!(!bytes.is_empty());
                whole.extend_from_slice(&bytes);
            }
            Ok(Decoded::Hungry) => match pieces.next() {
                Some(piece) => decoder.feed(Bytes::copy_from_slice(piece)),
                None => decoder.end(),
            },
            Ok(Decoded::End) => return Ok(whole),
            Err(fault) => {
                assert_eq!(fault.class(), Class::Decode);
                let error = fault.of_none();
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                return Err(format!("{error}: {cause}"));
            }
        }
    }
}

fn text() -> Vec<u8> {
    (0..40_000_u32).flat_map(|number| format!("line {number} of {}\n", number % 97).into_bytes()).collect()
}

#[test]
fn what_was_encoded_comes_back() {
    for coding in ALL {
        let encoded = encode(coding, &text());
        assert!(encoded.len() < text().len() / 2);
        for size in [1, 7, 4096, encoded.len()] {
            let back = decoded(decoder(coding).unwrap(), encoded.chunks(size)).unwrap();
            assert!(back == text(), "{coding} in pieces of {size}");
        }
        let empty = encode(coding, b"");
        assert_eq!(decoded(decoder(coding).unwrap(), [empty.as_slice()]).unwrap(), b"", "{coding}");
    }
    let bare = encode("raw", &text());
    assert!(decoded(decoder("deflate").unwrap(), bare.chunks(1)).unwrap() == text());
    assert!(decoded(decoder("deflate").unwrap(), [bare.as_slice()]).unwrap() == text());
}

#[test]
fn headers_say_what_is_undone_and_in_which_order() {
    for nothing in ["identity", "", " , "] {
        assert!(decoder(nothing).is_none(), "{nothing:?}");
    }
    let twice = encode("br", &encode("gzip", b"twice"));
    assert_eq!(decoded(decoder("gzip, br").unwrap(), [twice.as_slice()]).unwrap(), b"twice");
    assert_eq!(decoded(decoder("X-GZIP ,identity,  BR").unwrap(), twice.chunks(1)).unwrap(), b"twice");

    let lines = HeaderMap::from_iter(
        ["deflate", "zstd", "gzip"].map(|name| (CONTENT_ENCODING, HeaderValue::from_static(name))),
    );
    let mut appended = HeaderMap::new();
    for value in lines.get_all(CONTENT_ENCODING) {
        appended.append(CONTENT_ENCODING, value.clone());
    }
    for name in ["deflate", "zstd"] {
        appended.append(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    let mut data = b"three times".to_vec();
    for value in appended.get_all(CONTENT_ENCODING) {
        data = encode(value.to_str().unwrap(), &data);
    }
    assert_eq!(decoded(Decoder::of(&appended).unwrap(), [data.as_slice()]).unwrap(), b"three times");
}

#[test]
fn what_is_not_known_is_refused_unless_there_is_no_body() {
    let table = [
        ("compress", "failed to decode the body: its coding `compress` is not known: "),
        ("gzip, klingon", "failed to decode the body: its coding `klingon` is not known: "),
        ("br,br,br,br,br,br", "failed to decode the body: it has 6 codings, and 5 are allowed: "),
    ];
    for (codings, error) in table {
        assert_eq!(decoded(decoder(codings).unwrap(), [&b"x"[..]]).unwrap_err(), error);
        assert_eq!(decoded(decoder(codings).unwrap(), []).unwrap(), b"");
    }
    for coding in ALL {
        assert_eq!(decoded(decoder(coding).unwrap(), []).unwrap(), b"", "{coding}");
    }
}

#[test]
fn members_and_frames_may_follow_each_other_and_nothing_else() {
    for coding in ["gzip", "zstd"] {
        let several: Vec<u8> = ["one ", "", "two"].iter().flat_map(|part| encode(coding, part.as_bytes())).collect();
        for size in [1, 5, several.len()] {
            assert_eq!(decoded(decoder(coding).unwrap(), several.chunks(size)).unwrap(), b"one two", "{coding}");
        }
    }
    for coding in ALL {
        let mut surplus = encode(coding, b"whole");
        surplus.extend_from_slice(b"surplus");
        for size in [1, surplus.len()] {
            let error = decoded(decoder(coding).unwrap(), surplus.chunks(size)).unwrap_err();
            assert!(error.starts_with(&format!("failed to decode the body as {coding}: ")), "{error}");
        }
    }
}

#[test]
fn a_gzip_header_may_have_every_part() {
    let data = encode("gzip", b"data");
    let parts: [(u8, &[u8]); 4] = [(4, b"\x03\x00abc"), (8, b"a name\0"), (16, b"a comment\0"), (2, b"\x12\x34")];
    for which in 0..16_u8 {
        let chosen = || parts.iter().enumerate().filter(move |(at, _)| which & 1 << at != 0).map(|(_, part)| part);
        let mut encoded = data[..10].to_vec();
        encoded[3] = chosen().map(|(flag, _)| flag).sum();
        encoded.extend(chosen().flat_map(|(_, part)| part.iter()));
        encoded.extend_from_slice(&data[10..]);
        for size in [1, encoded.len()] {
            assert_eq!(decoded(decoder("gzip").unwrap(), encoded.chunks(size)).unwrap(), b"data", "{which:b}");
        }
    }
    for (at, byte, why) in [(0, b'x', "no header of gzip"), (2, 7, "no header of gzip"), (3, 0x80, "no header of gzip")]
    {
        let mut encoded = data.clone();
        encoded[at] = byte;
        assert!(decoded(decoder("gzip").unwrap(), [encoded.as_slice()]).unwrap_err().contains(why));
    }
    let mut encoded = data.clone();
    encoded[data.len() - 5] ^= 1;
    assert!(decoded(decoder("gzip").unwrap(), [encoded.as_slice()]).unwrap_err().contains("its checksum is wrong"));
}

/// What a server flushes can be read before anything follows: a stream of events may pause for hours.
#[test]
fn what_is_flushed_comes_out_at_once() {
    fn flushed(coding: &str, data: &[u8]) -> Vec<u8> {
        match coding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.flush().unwrap();
                encoder.get_ref().clone()
            }
            "deflate" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.flush().unwrap();
                encoder.get_ref().clone()
            }
            "br" => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
                encoder.write_all(data).unwrap();
                encoder.flush().unwrap();
                encoder.get_ref().clone()
            }
            _ => {
                let mut context = zstd_safe::CCtx::create();
                let mut encoded = Vec::with_capacity(zstd_safe::compress_bound(data.len()) + 100);
                let mut to = zstd_safe::OutBuffer::around(&mut encoded);
                context.compress_stream(&mut to, &mut zstd_safe::InBuffer::around(data)).unwrap();
                assert_eq!(context.flush_stream(&mut to).unwrap(), 0);
                encoded
            }
        }
    }
    for coding in ALL {
        for data in [&b"event: 1\n\n"[..], &text()[..300_000]] {
            let mut decoder = decoder(coding).unwrap();
            decoder.feed(flushed(coding, data).into());
            let mut came = Vec::new();
            while let Decoded::Bytes(bytes) = decoder.next().unwrap() {
                came.extend_from_slice(&bytes);
            }
            assert!(came == data, "{coding}: {} of {} bytes", came.len(), data.len());
        }
    }
}

/// A few bytes that become many come out in small pieces, so that whoever reads can stop.
#[test]
fn a_bomb_goes_off_slowly() {
    let zeros = vec![0; 20_000_000];
    for coding in ALL {
        let bomb = encode(coding, &zeros);
        let mut decoder = decoder(coding).unwrap();
        decoder.feed(bomb.into());
        for _ in 0..100 {
            match decoder.next().unwrap() {
                Decoded::Bytes(bytes) => assert!(bytes.len() <= 16 * 1024, "{coding}"),
                other => panic!("{coding}: {other:?}"),
            }
        }
    }
}

/// RFC 9659: a client need not keep more than 8 MiB.
#[test]
fn a_window_that_is_too_large_is_refused() {
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::WindowLog(24)).unwrap();
    let data = vec![7; 20_000_000];
    let mut encoded = Vec::with_capacity(zstd_safe::compress_bound(data.len()));
    let mut to = zstd_safe::OutBuffer::around(&mut encoded);
    context.compress_stream(&mut to, &mut zstd_safe::InBuffer::around(&data)).unwrap();
    context.end_stream(&mut to).unwrap();
    let error = decoded(decoder("zstd").unwrap(), [encoded.as_slice()]).unwrap_err();
    assert!(error.contains("too much memory") || error.contains("window"), "{error}");
}

fn any_coding() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(ALL.to_vec()), 1..4).prop_map(|names| names.join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn there_and_back(
        codings in any_coding(),
        data in prop::collection::vec(any::<u8>(), 0..5_000),
        cuts in prop::collection::vec(1_usize..600, 1..40),
    ) {
        let encoded = codings.split(", ").fold(data.clone(), |data, coding| encode(coding, &data));
        let pieces = pieces(&encoded, &cuts);
        prop_assert_eq!(decoded(decoder(&codings).unwrap(), pieces).unwrap(), data);
    }

    #[test]
    fn what_is_cut_is_an_error(
        codings in any_coding(),
        data in prop::collection::vec(any::<u8>(), 0..500),
        at in any::<prop::sample::Index>(),
        size in 1_usize..50,
    ) {
        let encoded = codings.split(", ").fold(data, |data, coding| encode(coding, &data));
        // A body of no bytes is no coding that was cut, and brotli needs but one byte for nothing.
        prop_assume!(encoded.len() > 1);
        let at = 1 + at.index(encoded.len() - 1);
        let error = decoded(decoder(&codings).unwrap(), encoded[..at].chunks(size)).unwrap_err();
        prop_assert!(error.contains("it breaks off after"), "{}", error);
    }

    #[test]
    fn garbage_is_no_panic(
        codings in any_coding(),
        data in prop::collection::vec(any::<u8>(), 1..2_000),
        size in 1_usize..600,
    ) {
        // Few bytes may by chance be something.
        let _ = decoded(decoder(&codings).unwrap(), data.chunks(size));
    }

    #[test]
    fn what_is_damaged_is_an_error_or_not_but_no_panic(
        coding in prop::sample::select(ALL.to_vec()),
        data in prop::collection::vec(any::<u8>(), 0..2_000),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut encoded = encode(coding, &data);
        let at = at.index(encoded.len());
        encoded[at] = byte;
        let back = decoded(decoder(coding).unwrap(), [encoded.as_slice()]);
        if coding == "gzip" {
            // Its checksum finds whatever makes a difference.
            prop_assert!(back.is_err() || back == Ok(data));
        }
    }
}

fn pieces<'a>(mut data: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, rest) = data.split_at((*cut).min(data.len()));
        pieces.push(piece);
        data = rest;
    }
    pieces.push(data);
    pieces.into_iter().filter(|piece| !piece.is_empty()).collect()
}
