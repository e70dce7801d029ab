//! Chunks, whole and in pieces, and all that is none.

use proptest::prelude::*;

use super::*;

/// What `input` is, given in reads of so many bytes: its data, and how much of it was used.
fn decoded(input: &[u8], at_once: usize) -> Result<(Vec<u8>, usize, Chunks), BadChunk> {
    let (mut chunks, mut data, mut used) = (Chunks::default(), Vec::new(), 0);
    for read in input.chunks(at_once.max(1)) {
        used += chunks.decode(read, |bytes| data.extend_from_slice(bytes))?;
    }
    Ok((data, used, chunks))
}

#[test]
fn chunks_are_data_however_they_are_cut() {
    let table: [(&str, &str); 6] = [
        ("0\r\n\r\n", ""),
        ("4\r\nbody\r\n0\r\n\r\n", "body"),
        ("3\r\nbod\r\n1\r\ny\r\n0\r\n\r\n", "body"),
        ("00A;a=\"b\"\r\n0123456789\r\n0 \t;x\r\n\r\n", "0123456789"),
        ("a\r\n0123456789\r\n000\r\n\r\n", "0123456789"),
        ("1\r\n\n\r\n0\r\nA: b\r\nC: d\r\n\r\n", "\n"),
    ];
    for (input, data) in table {
        let all = [input.as_bytes(), b"and more"].concat();
        for at_once in 1..=all.len() {
            let (found, used, chunks) = decoded(&all, at_once).unwrap();
            assert_eq!((found.as_slice(), used), (data.as_bytes(), input.len()), "{input:?} by {at_once}");
            assert!(chunks.is_done());
        }
        for until in 0..input.len() {
            assert!(!decoded(&input.as_bytes()[..until], 3).unwrap().2.is_done(), "{input:?} until {until}");
        }
    }
}

#[test]
fn what_is_no_chunk_is_refused() {
    let table = [
        ("\r\n", BadChunk::Size),
        ("zz\r\n", BadChunk::Size),
        ("-4\r\n", BadChunk::Size),
        (" 4\r\n", BadChunk::Size),
        ("4 4\r\n", BadChunk::Size),
        ("4\n", BadChunk::Size),
        ("0x4\r\n", BadChunk::Size),
        ("10000000000000000\r\n", BadChunk::Overflow),
        ("4\rbody", BadChunk::Line),
        ("4;a\nbody", BadChunk::Extension),
        ("4\r\nbody0\r\n", BadChunk::Line),
        ("4\r\nbody\n", BadChunk::Line),
        ("0\r\n\rX", BadChunk::Line),
        ("0\r\nA: b\rC", BadChunk::Line),
    ];
    for (input, bad) in table {
        for at_once in [1, input.len()] {
            assert_eq!(decoded(input.as_bytes(), at_once).map(|_| ()), Err(bad), "{input:?}");
        }
    }
}

#[test]
fn extensions_and_trailers_have_limits() {
    let extended = |count| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(count));
    assert!(decoded(extended(MAX_EXTENSIONS - 1).as_bytes(), 1000).is_ok());
    assert_eq!(decoded(extended(MAX_EXTENSIONS).as_bytes(), 1000).map(|_| ()), Err(BadChunk::Extensions));
    let in_sum = "1;eeeeeee\r\nx\r\n".repeat(MAX_EXTENSIONS / 7 + 1);
    assert_eq!(decoded(in_sum.as_bytes(), 1000).map(|_| ()), Err(BadChunk::Extensions));

    let long = |count| format!("0\r\nA: {}\r\n\r\n", "b".repeat(count));
    assert!(decoded(long(MAX_TRAILERS - 10).as_bytes(), 1000).is_ok());
    assert_eq!(decoded(long(MAX_TRAILERS).as_bytes(), 1000).map(|_| ()), Err(BadChunk::Trailers));
    let many = |count| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    let mut most = decoded(many(MAX_HEADERS).as_bytes(), 1000).unwrap().2;
    assert_eq!(most.take_trailers().unwrap().unwrap().get_all("a").iter().count(), MAX_HEADERS);
    assert_eq!(decoded(many(MAX_HEADERS + 1).as_bytes(), 1000).map(|_| ()), Err(BadChunk::Trailers));
}

#[test]
fn trailers_are_headers_or_nothing() {
    let trailers = |lines: &str| decoded(format!("0\r\n{lines}\r\n").as_bytes(), 5).unwrap().2.take_trailers();
    assert_eq!(trailers(""), Ok(None));
    assert_eq!(trailers("X-Sum: 7\r\nA: b\r\n").unwrap().unwrap()["x-sum"], "7");
    for bad in ["nothing\r\n", ": value\r\n", "A : b\r\n", "A: b\r\n c\r\n", "A: b\nC: d\r\n"] {
        assert_eq!(trailers(bad), Err(BadChunk::Trailers), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic_and_no_cut_makes_a_difference(
        input in prop_oneof!["[0-9a-f;\r\n]{0,40}", "([0-3]\r\n[0-9]{0,3}\r\n){0,5}0\r\n\r\n"],
        at_once in 1..10_usize,
    ) {
        let of = |at_once| decoded(input.as_bytes(), at_once).map(|(data, used, chunks)| (data, used, chunks.is_done()));
        prop_assert_eq!(of(at_once), of(input.len()));
    }
}
