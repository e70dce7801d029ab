//! Servers that break HTTP/2, frame by frame.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
    mpsc,
};

use mite_core::{Context, ensure};
use mite_http::{HttpContext, HttpVersion, Settings};

use crate::{
    alone,
    common::{
        LONG, in_turn, outcomes, passed,
        scripted::{Peer, Scripted},
    },
    row::{HEALTHY, Row, fails, times_out},
};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `:status: 200`, as the table of HPACK has it.
pub(crate) const OK: &[u8] = b"\x88";

/// RFC 9113, 4.1.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn go_away(last: u32, error: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, [last.to_be_bytes(), error.to_be_bytes()].concat())
}

fn reset(stream: u32, error: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, error.to_be_bytes())
}

/// Reads the client's preface, and says the server's.
pub(crate) fn begin(peer: &mut Peer) -> Option<()> {
    peer.bytes(24)?;
    peer.write(frame(SETTINGS, 0, 0, "")).then_some(())
}

/// The next frame that is not about the connection: kind, flags, stream.
fn next(peer: &mut Peer) -> Option<(u8, u8, u32)> {
    loop {
        let head: [u8; 9] = peer.bytes(9)?.try_into().ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let payload = peer.bytes(u32::from_be_bytes([0, a, b, c]) as usize)?;
        match kind {
            SETTINGS if flags & ACK == 0 => {
                peer.write(frame(SETTINGS, ACK, 0, ""));
            }
            PING if flags & ACK == 0 => {
                peer.write(frame(PING, ACK, 0, payload));
            }
            SETTINGS | PING | WINDOW_UPDATE => {}
            _ => return Some((kind, flags, u32::from_be_bytes(stream))),
        }
    }
}

/// The stream of the next request, whose body is not waited for.
pub(crate) fn request(peer: &mut Peer) -> Option<u32> {
    loop {
        let (kind, _, stream) = next(peer)?;
        if kind == HEADERS {
            return Some(stream);
        }
    }
}

fn answer(peer: &mut Peer, stream: u32, body: &str) {
    peer.write([frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, END_STREAM, stream, body)].concat());
}

/// Answers all requests.
fn answer_all(mut peer: Peer, answered: &AtomicU64) -> Option<Peer> {
    begin(&mut peer)?;
    while let Some(stream) = request(&mut peer) {
        answered.fetch_add(1, Ordering::Relaxed);
        answer(&mut peer, stream, HEALTHY);
    }
    Some(peer)
}

/// A script that says what `says` makes of the request's stream.
fn says(says: impl Fn(u32) -> Vec<u8> + Send + Sync) -> impl Fn(Peer) -> Option<Peer> + Send + Sync {
    move |mut peer| {
        begin(&mut peer)?;
        let stream = request(&mut peer)?;
        peer.write(says(stream));
        Some(peer)
    }
}

/// As [`says`], and closes.
fn ends_with(bytes: impl Fn(u32) -> Vec<u8> + Send + Sync) -> impl Fn(Peer) -> Option<Peer> + Send + Sync {
    let says = says(bytes);
    move |peer| {
        let mut peer = says(peer)?;
        peer.finish();
        Some(peer)
    }
}

/// A script that says this, and closes as soon as the client says anything more.
fn says_until_reset(bytes: impl Fn(u32) -> Vec<u8> + Send + Sync) -> impl Fn(Peer) -> Option<Peer> + Send + Sync {
    let says = says(bytes);
    move |peer| {
        let mut peer = says(peer)?;
        next(&mut peer);
        None
    }
}

pub(crate) fn prior_knowledge() -> Settings {
    crate::common::settings().http_version(HttpVersion::Http2PriorKnowledge)
}

/// The rows of a client that takes servers to speak HTTP/2, which they do once they are mended.
fn speaking<const N: usize>(rows: [Row; N]) -> [Row; N] {
    rows.map(|row| row.speaking("http", prior_knowledge(), answer_all))
}

#[test]
fn connections_that_end_where_they_should_not() {
    let alone = alone();
    alone.check(speaking([
        fails("speaks HTTP/1.1", "protocol", "not HTTP/2", |mut peer: Peer| {
            peer.bytes(24);
            peer.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            Some(peer)
        }),
        fails("says nothing but zeros", "protocol", "not HTTP/2", |mut peer: Peer| {
            peer.bytes(24);
            peer.write([0; 1000]);
            Some(peer)
        }),
        fails("closes at once", "closed", "before it had answered", |_| None),
        fails("closes after the preface", "closed", "before it had answered", |mut peer: Peer| {
            begin(&mut peer)?;
            None
        }),
        fails("closes after the request", "closed", "before it had answered", ends_with(|_| Vec::new())),
        fails("resets after the request", "closed", "before it had answered", |mut peer: Peer| {
            begin(&mut peer)?;
            request(&mut peer)?;
            peer.reset();
            None
        }),
        fails("closes in the head", "closed", "", ends_with(|stream| frame(HEADERS, 0, stream, OK))),
        fails(
            "closes in a frame",
            "closed",
            "",
            ends_with(|stream| frame(HEADERS, END_HEADERS, stream, [0x88; 100])[..50].to_vec()),
        ),
        fails(
            "closes in the body",
            "body",
            "broke off after 4 bytes",
            ends_with(|stream| [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, "half")].concat()),
        ),
        fails("says goodbye with an error", "closed", "", ends_with(|stream| go_away(stream, 2))),
        // The request is one that it has begun with, and may still answer.
        times_out("says goodbye with an error and nothing more", says_until_reset(|stream| go_away(stream, 2))),
        fails(
            "says goodbye with an error in the body",
            "body",
            "broke off",
            ends_with(|stream| {
                [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, "half"), go_away(stream, 2)].concat()
            }),
        ),
        // It says that it has not begun, so that the request is sent again, but not without end.
        fails("says goodbye before every request", "closed", "", says(|_| go_away(0, 0))),
        fails("asks for calm before every request", "closed", "", says(|_| go_away(0, 11))),
    ]));
}

#[test]
fn streams_that_end_where_they_should_not() {
    let alone = alone();
    let broken =
        |name, class, words, bytes: fn(u32) -> Vec<u8>| fails(name, class, words, on_the_first(bytes)).on_a_stream();
    let stalls = |name, bytes: fn(u32) -> Vec<u8>| times_out(name, on_the_first(bytes)).on_a_stream();
    alone.check(speaking([
        broken("resets the stream", "closed", "", |stream| reset(stream, 2)),
        broken("cancels the stream", "closed", "", |stream| reset(stream, 8)),
        broken("wants HTTP/1.1 for it", "closed", "", |stream| reset(stream, 13)),
        broken("resets the stream in the body", "body", "broke off", |stream| {
            [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, "half"), reset(stream, 2)].concat()
        }),
        stalls("never answers", |_| Vec::new()),
        stalls("stalls in the body", |stream| {
            [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, "half")].concat()
        }),
        broken("has no status", "protocol", "", |stream| frame(HEADERS, END_HEADERS, stream, b"\x58\x01a")),
        broken("has a header that only HTTP/1.1 has", "protocol", "", |stream| {
            frame(HEADERS, END_HEADERS, stream, [OK, b"\x00\x0aconnection\x05close"].concat())
        }),
        broken("sends more than it has announced", "body", "", |stream| {
            let head = frame(HEADERS, END_HEADERS, stream, [OK, b"\x0f\x0d\x012"].concat());
            [head, frame(DATA, END_STREAM, stream, "body")].concat()
        }),
        broken("sends less than it has announced", "body", "", |stream| {
            let head = frame(HEADERS, END_HEADERS, stream, [OK, b"\x0f\x0d\x019"].concat());
            [head, frame(DATA, END_STREAM, stream, "body")].concat()
        }),
    ]));
    // The request has to have something left to send.
    let overflows = |stream| frame(WINDOW_UPDATE, 0, stream, 0x7fff_ffff_u32.to_be_bytes()).repeat(2);
    alone.check(speaking([fails("overflows the stream's window", "protocol|closed", "", on_the_first(overflows))
        .uploading(1 << 20)
        .on_a_stream()]));
    alone.check(speaking([
        // Each time it says that it has not begun.
        fails("refuses every stream", "closed", "", |mut peer: Peer| {
            begin(&mut peer)?;
            for _ in 0..5 {
                let stream = request(&mut peer)?;
                peer.write(reset(stream, 7));
            }
            while let Some(stream) = request(&mut peer) {
                answer(&mut peer, stream, HEALTHY);
            }
            Some(peer)
        })
        .on_a_stream(),
    ]));
}

/// A script that breaks on its first request, and answers those that follow.
fn on_the_first(bytes: impl Fn(u32) -> Vec<u8> + Send + Sync) -> impl Fn(Peer) -> Option<Peer> + Send + Sync {
    let says = says(bytes);
    move |peer| {
        let mut peer = says(peer)?;
        while let Some(stream) = request(&mut peer) {
            answer(&mut peer, stream, HEALTHY);
        }
        Some(peer)
    }
}

#[test]
fn frames_that_are_none() {
    let alone = alone();
    let broken = |name, bytes: fn(u32) -> Vec<u8>| fails(name, "protocol", "not HTTP/2", says(bytes));
    alone.check(speaking([
        broken("has settings of a size that is none", |_| frame(SETTINGS, 0, 0, "12345")),
        broken("has settings on a stream", |stream| frame(SETTINGS, 0, stream, "")),
        broken("has an initial window that is too large", |_| frame(SETTINGS, 0, 0, b"\x00\x04\xff\xff\xff\xff")),
        broken("has a ping of a size that is none", |_| frame(PING, 0, 0, "1234")),
        broken("has a frame larger than any that was allowed", |stream| {
            frame(HEADERS, END_HEADERS, stream, vec![0x88; 1 << 20])
        }),
        broken("has headers that are none", |stream| frame(HEADERS, END_HEADERS, stream, [0xff; 100])),
        broken("has a header in capitals", |stream| {
            frame(HEADERS, END_HEADERS, stream, [OK, b"\x00\x04Name\x01a"].concat())
        }),
        broken("overflows the connection's window", |_| frame(WINDOW_UPDATE, 0, 0, 0x7fff_ffff_u32.to_be_bytes())),
        broken("opens the connection's window by nothing", |_| frame(WINDOW_UPDATE, 0, 0, [0; 4])),
        broken("pushes though it was told not to", |stream| {
            frame(PUSH_PROMISE, END_HEADERS, stream, b"\x00\x00\x00\x02\x82\x84\x86")
        }),
        broken("sends data on a stream that nobody opened", |_| frame(DATA, END_STREAM, 99, "body")),
        broken("interrupts its headers", |stream| [frame(HEADERS, 0, stream, OK), frame(PING, 0, 0, [0; 8])].concat()),
        broken("continues what it has not begun", |stream| frame(CONTINUATION, END_HEADERS, stream, OK)),
        broken("continues its headers without end", |stream| {
            let more = frame(CONTINUATION, 0, stream, b"\x00\x04name\x05value");
            [frame(HEADERS, 0, stream, OK), more.repeat(10_000)].concat()
        }),
        times_out("ends its headers when nobody waits for them any more", |mut peer: Peer| {
            begin(&mut peer)?;
            let stream = request(&mut peer)?;
            peer.write(frame(HEADERS, 0, stream, OK));
            while next(&mut peer)?.0 != RST_STREAM {}
            peer.write(frame(CONTINUATION, END_HEADERS, stream, ""));
            while let Some(stream) = request(&mut peer) {
                answer(&mut peer, stream, HEALTHY);
            }
            Some(peer)
        })
        .on_a_stream(),
    ]));
}

#[test]
fn an_upload_that_is_not_taken_times_out() {
    let alone = alone();
    alone.check(speaking([times_out("opens no window for the request's body", |mut peer: Peer| {
        begin(&mut peer)?;
        // As much as fits into the window that it has from the beginning, and then that it gives up.
        while next(&mut peer)?.0 != RST_STREAM {}
        while let Some(stream) = request(&mut peer) {
            answer(&mut peer, stream, HEALTHY);
        }
        Some(peer)
    })
    .uploading(1 << 20)
    .on_a_stream()]));
}

/// As over HTTP/1.1: a worker that is busy has not heard from its reactor what has reached its sockets.
#[test]
fn a_goodbye_is_noticed_though_the_runtime_has_not_heard_it() {
    let _alone = alone();
    let (closed, has_closed) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        begin(&mut peer)?;
        let stream = request(&mut peer)?;
        answer(&mut peer, stream, HEALTHY);
        peer.finish();
        closed.send(()).unwrap();
        Some(peer)
    });
    let (url, has_closed) = (server.url("/"), Mutex::new(has_closed));
    let has_closed = Arc::new(has_closed);
    let report = passed(in_turn(1, async move |ctx: &mut Context| {
        let ctx = ctx.http_session(prior_knowledge());
        for _ in 0..10 {
            ensure!(ctx.http().get(&url).await?.bytes() == HEALTHY);
            // The thread is blocked, and with it the runtime.
            has_closed.lock().unwrap().recv_timeout(LONG)?;
        }
        Ok(())
    }));
    assert_eq!(outcomes(&report), [("GET", 200, None, 10)]);
    assert_eq!(server.account().accepted, 10);
}
