//! Servers that break HTTP/1.1, or the connection under it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use mite_core::{Context, ensure};
use mite_http::HttpContext;

use crate::{
    alone,
    common::{
        LONG, in_turn, outcomes, passed,
        scripted::{Peer, Scripted},
    },
    row::{Row, answer_all, answers, ends_with, fails, says, times_out},
};

const HEAD: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

#[test]
fn connections_that_end_where_they_should_not() {
    let alone = alone();
    alone.check([
        // A load balancer without a service behind it: it accepts, and that is all.
        times_out("accepts and never answers", Some),
        times_out("reads the request and never answers", says("")),
        fails("closes at once", "closed", "before it had answered", |_| None),
        fails("ends in good order at once", "closed", "before it had answered", |mut peer| {
            peer.finish();
            Some(peer)
        }),
        fails("closes after the request", "closed", "before it had answered", ends_with("")),
        // The reset may come while the connection is still being made, as the client sees it.
        fails("resets at once", "closed|connect", "", |peer| {
            peer.reset();
            None
        }),
        fails("resets after the request", "closed", "before it had answered", |mut peer| {
            peer.request();
            peer.reset();
            None
        }),
        fails("closes in the status line", "closed", "before it had answered", ends_with("HTTP/1.1 20")),
        times_out("stalls in the status line", says("HTTP/1.1 20")),
        fails("closes in a header", "closed", "before it had answered", ends_with("HTTP/1.1 200 OK\r\nContent-Le")),
        fails("closes before the empty line", "closed", "before it had answered", ends_with(HEAD)),
        fails("resets in the head", "closed", "before it had answered", |mut peer| {
            peer.request();
            peer.write(HEAD);
            peer.reset();
            None
        }),
        fails(
            "closes in the body",
            "body",
            "broke off after 4 bytes",
            ends_with(format!("{HEAD}Content-Length: 10\r\n\r\nhalf")),
        ),
        times_out("stalls in the body", says(format!("{HEAD}Content-Length: 10\r\n\r\nhalf"))),
        fails("resets in the body", "body", "broke off", |mut peer| {
            peer.request();
            peer.write(format!("{HEAD}Content-Length: 10\r\n\r\nhalf"));
            peer.reset();
            None
        }),
        // As many proxies do with an upload that is too large: the answer comes, and what is left of the body does not
        // go anywhere.
        answers("answers before it has read the whole body", 413, "no", |mut peer| {
            peer.bytes(1000);
            peer.write("HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
            peer.finish();
            Some(peer)
        })
        .uploading(4 << 20),
        fails("resets in the middle of the request's body", "closed", "before it had answered", |mut peer| {
            peer.bytes(1000);
            peer.reset();
            None
        })
        .uploading(4 << 20),
        times_out("does not read the request's body", |mut peer| {
            peer.bytes(1000);
            thread::sleep(Duration::from_millis(200));
            Some(peer)
        })
        .uploading(16 << 20),
    ]);
}

#[test]
fn heads_that_are_none() {
    let alone = alone();
    let broken = |name, bytes: String| fails(name, "protocol", "not HTTP/1.1", says(bytes));
    let end = "Content-Length: 4\r\n\r\nbody";
    alone.check([
        broken("says something else", "220 mail.test ESMTP\r\n".into()),
        broken("says nothing but zeros", "\0".repeat(100)),
        broken("answers in HTTP/2", "\0\0\0\u{4}\0\0\0\0\0".into()),
        broken("answers in another version", format!("HTTP/1.2 200 OK\r\n{end}")),
        broken("answers in lower case", format!("http/1.1 200 OK\r\n{end}")),
        broken("has a status of two digits", format!("HTTP/1.1 20 OK\r\n{end}")),
        broken("has a status of four digits", format!("HTTP/1.1 2000 OK\r\n{end}")),
        broken("has a status of words", format!("HTTP/1.1 OK\r\n{end}")),
        broken("has the status 000", format!("HTTP/1.1 000 None\r\n{end}")),
        // No such class of status is known, but three digits it has: the journey may judge it.
        answers("has the status 999", 999, "body", says(format!("HTTP/1.1 999 Denied\r\nConnection: close\r\n{end}"))),
        broken("has a header without a colon", format!("{HEAD}nothing\r\n{end}")),
        broken("has a header without a name", format!("{HEAD}: value\r\n{end}")),
        broken("has a space before a colon", format!("{HEAD}Name : value\r\n{end}")),
        broken("has a header of two lines", format!("{HEAD}Name: value\r\n more\r\n{end}")),
        broken("has a NUL in a header", format!("{HEAD}Name: va\0lue\r\n{end}")),
        broken("has a bare CR in a header", format!("{HEAD}Name: va\rlue\r\n{end}")),
        broken("has a header of 1 MiB", format!("{HEAD}Name: {}\r\n{end}", "x".repeat(1 << 20))),
        broken("has a name of 1 MiB", format!("{HEAD}{}: value\r\n{end}", "x".repeat(1 << 20))),
        broken("has 100 000 headers", format!("{HEAD}{}{end}", "Name: value\r\n".repeat(100_000))),
        broken("has a reason of 1 MiB", format!("HTTP/1.1 200 {}\r\n{end}", "x".repeat(1 << 20))),
    ]);
}

#[test]
fn lengths_that_do_not_hold() {
    let alone = alone();
    let broken = |name, head: &str| fails(name, "protocol", "", says(format!("{HEAD}{head}\r\n\r\nbody")));
    let good = |name, said: String| answers(name, 200, "body", says(said));
    alone.check([
        good("sends more than it has announced", format!("{HEAD}Content-Length: 4\r\n\r\nbody and more")),
        good("sends a second response with the first", format!("{HEAD}Content-Length: 4\r\n\r\nbody{EVIL}")),
        answers("sends a body with a 204", 204, "", says(format!("HTTP/1.1 204 No Content\r\n\r\n{EVIL}"))),
        answers("sends a body with a 304", 304, "", says(format!("HTTP/1.1 304 Not Modified\r\n\r\n{EVIL}"))),
        fails(
            "sends less than it has announced",
            "body",
            "broke off after 4 bytes",
            ends_with(format!("{HEAD}Content-Length: 5\r\n\r\nbody")),
        ),
        broken("has a negative length", "Content-Length: -1"),
        broken("has a length with a sign", "Content-Length: +4"),
        broken("has a length that no number holds", "Content-Length: 18446744073709551616"),
        broken("has a length that is none", "Content-Length: four"),
        broken("has no length at all", "Content-Length: "),
        broken("has two lengths", "Content-Length: 4\r\nContent-Length: 5"),
        broken("has two lengths in one header", "Content-Length: 4, 5"),
        // All but the end of the memory: nothing is set aside for what was only announced.
        fails(
            "announces more than there is",
            "body",
            "",
            ends_with(format!("{HEAD}Content-Length: 9223372036854775807\r\n\r\nbody")),
        ),
    ]);
}

#[test]
fn chunks_that_do_not_add_up() {
    let alone = alone();
    let broken = |name, chunks: String| fails(name, "body", "broke off", says(format!("{CHUNKED}{chunks}")));
    alone.check([
            broken("has a chunk's size that is none", "zz\r\nbody\r\n0\r\n\r\n".into()),
            broken("has a chunk without a size", "\r\nbody\r\n0\r\n\r\n".into()),
            broken("has a chunk's size that no number holds", "10000000000000000\r\nbody\r\n0\r\n\r\n".into()),
            broken("has a negative chunk", "-4\r\nbody\r\n0\r\n\r\n".into()),
            broken("has no line's end after a chunk", "4\r\nbody0\r\n\r\n".into()),
            broken("has a chunk that is longer than its size", "2\r\nbody\r\n0\r\n\r\n".into()),
            broken("has an extension of 1 MiB", format!("4;{}\r\nbody\r\n0\r\n\r\n", "x".repeat(1 << 20))),
            broken("has extensions of 1 MiB in all", "1;xxxxxxxxxxxxxx\r\nb\r\n".repeat(1 << 16)),
            broken("has a trailer of 1 MiB", format!("4\r\nbody\r\n0\r\nX: {}\r\n\r\n", "x".repeat(1 << 20))),
            fails("ends within a chunk", "body", "broke off after 2 bytes", ends_with(format!("{CHUNKED}4\r\nbo"))),
            fails(
                "ends between chunks",
                "body",
                "broke off after 4 bytes",
                ends_with(format!("{CHUNKED}4\r\nbody\r\n")),
            ),
            fails("ends before the last empty line", "body", "", ends_with(format!("{CHUNKED}4\r\nbody\r\n0\r\n"))),
            times_out("stalls between chunks", says(format!("{CHUNKED}4\r\nbody\r\n"))),
            answers(
                "has more after the last chunk",
                200,
                "body",
                says(format!("{CHUNKED}4\r\nbody\r\n0\r\n\r\n{EVIL}")),
            ),
            // RFC 9112, 6.3: the chunks count; and after such a message nothing on its connection is to be trusted.
            answers(
                "has chunks and a length",
                200,
                "body",
                says(format!(
                    "{HEAD}Content-Length: 40\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
                )),
            ),
        ],
    );
}

/// A server that never comes to an end, but for its client's patience.
fn endless(name: &'static str, begins: &'static str, goes_on: &'static str, every: Duration) -> Row {
    times_out(name, move |mut peer: Peer| {
        peer.request();
        peer.write(begins);
        for byte in goes_on.bytes().cycle() {
            if !peer.write([byte]) {
                break;
            }
            thread::sleep(every);
        }
        Some(peer)
    })
}

#[test]
fn slowness_does_not_stretch_a_timeout() {
    let alone = alone();
    let every = Duration::from_millis(10);
    alone.check([
        endless("sends its headers byte by byte", HEAD, "Name: value\r\n", every),
        endless("sends its body byte by byte", "HTTP/1.1 200 OK\r\n\r\n", "x", every),
        endless("sends its chunks byte by byte", CHUNKED, "1\r\nx\r\n", every),
        endless("sends its status line byte by byte", "HTTP/1.1 200 O", "K", every),
    ]);
}

#[test]
fn a_response_that_nobody_asked_for_is_never_taken_for_an_answer() {
    let _alone = alone();
    let (sent, has_sent) = mpsc::channel();
    let first = AtomicBool::new(true);
    let server = Scripted::start(move |mut peer| {
        while peer.request().is_some() {
            peer.ok("asked for");
            if first.swap(false, Ordering::Relaxed) {
                // A moment later, when the connection is idle.
                thread::sleep(Duration::from_millis(50));
                peer.write(EVIL);
                sent.send(()).unwrap();
            }
        }
        Some(peer)
    });
    let (url, has_sent) = (server.url("/"), Arc::new(std::sync::Mutex::new(has_sent)));
    let report = passed(in_turn(1, async move |ctx: &mut Context| {
        ensure!(ctx.http().get(&url).await?.bytes() == "asked for");
        // The worker is blocked, so that its runtime has not heard of it either.
        has_sent.lock().unwrap().recv_timeout(LONG)?;
        for _ in 0..3 {
            ensure!(ctx.http().get(&url).await?.bytes() == "asked for");
        }
        Ok(())
    }));
    assert_eq!(outcomes(&report), [("GET", 200, None, 4)]);
    assert_eq!(server.account().accepted, 2);
}

#[test]
fn ends_of_lines_and_empty_lines_are_read_as_the_rfc_allows() {
    let alone = alone();
    alone.check([
        // RFC 9112, 2.2: a recipient may take a single LF for the end of a line.
        answers(
            "ends its lines with LF",
            200,
            "body",
            says("HTTP/1.1 200 OK\nConnection: close\nContent-Length: 4\n\nbody"),
        ),
        answers(
            "has no reason",
            200,
            "body",
            says("HTTP/1.1 200\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"),
        ),
        answers(
            "says its length twice",
            200,
            "body",
            says("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody"),
        ),
        answers("answers after interim responses", 200, "body", |mut peer| {
            peer.request();
            peer.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            peer.write(format!("{HEAD}Connection: close\r\nContent-Length: 4\r\n\r\nbody"));
            Some(peer)
        }),
        answers("ends its body with the connection", 200, "body", ends_with("HTTP/1.0 200 OK\r\n\r\nbody")),
    ]);
}

#[test]
fn a_body_has_the_size_that_the_session_allows() {
    let alone = alone();
    let limited = || crate::common::settings().max_body(100_000);
    let rows = [
        fails(
            "announces a body that is too large",
            "body",
            "100000",
            says(format!("{HEAD}Content-Length: 100001\r\n\r\n")),
        ),
        fails("sends a body without end", "body", "100000", |mut peer| {
            peer.request();
            peer.write("HTTP/1.1 200 OK\r\n\r\n");
            peer.flood([b'x'; 10_000]);
            Some(peer)
        }),
        fails("sends chunks without end", "body", "100000", |mut peer| {
            peer.request();
            peer.write(CHUNKED);
            peer.flood("10\r\n0123456789abcdef\r\n".repeat(1000));
            Some(peer)
        }),
    ];
    alone.check(rows.map(|row| row.speaking("http", limited(), answer_all)));
}
