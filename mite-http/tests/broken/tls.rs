//! Servers that break TLS, or whose certificates are not to be trusted.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use mite_http::Settings;
use tokio_rustls::rustls::ServerConfig;

use crate::{
    alone,
    common::{
        authority::{Authority, Secured, request, shake_hands},
        scripted::{Peer, ok},
    },
    row::{HEALTHY, Row, fails, times_out},
};

/// The rows of a client that trusts one authority, and a server that has a good certificate of it once it is mended.
struct Trusting {
    authority: Authority,
    good: Arc<ServerConfig>,
    settings: Settings,
}

impl Trusting {
    fn new() -> Self {
        let authority = Authority::new("the table's authority");
        let good = authority.issue("localhost").server();
        let settings = crate::common::settings().only_root_certificates(&authority.pem);
        Self { authority, good, settings }
    }

    fn rows<const N: usize>(&self, rows: [Row; N]) -> [Row; N] {
        rows.map(|row| {
            let good = Arc::clone(&self.good);
            row.speaking("https", self.settings.clone(), move |peer, answered| answer_all(peer, &good, answered))
        })
    }

    /// See [`then`].
    fn good(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.good)
    }
}

/// A script that goes on after a good handshake, and then says nothing more.
fn then(
    good: Arc<ServerConfig>,
    script: impl Fn(&mut Secured) + Send + Sync,
) -> impl Fn(Peer) -> Option<Peer> + Send + Sync {
    move |mut peer: Peer| {
        let mut stream = shake_hands(&peer, &good)?;
        script(&mut stream);
        peer.finish();
        Some(peer)
    }
}

fn answer_all(peer: Peer, server: &Arc<ServerConfig>, answered: &AtomicU64) -> Option<Peer> {
    let mut stream = shake_hands(&peer, server)?;
    while request(&mut stream).is_some() {
        answered.fetch_add(1, Ordering::Relaxed);
        stream.write_all(ok(HEALTHY).as_bytes()).ok()?;
    }
    Some(peer)
}

/// A script that waits for the client's first words, and says this.
fn replies(bytes: &'static [u8]) -> impl Fn(Peer) -> Option<Peer> + Send + Sync {
    move |mut peer| {
        peer.bytes(5);
        peer.write(bytes);
        Some(peer)
    }
}

/// As [`replies`], and closes.
fn replies_and_ends(bytes: &'static [u8]) -> impl Fn(Peer) -> Option<Peer> + Send + Sync {
    move |mut peer| {
        peer.bytes(5);
        peer.write(bytes);
        peer.finish();
        Some(peer)
    }
}

/// A script that shakes hands with this certificate, which the client refuses.
fn presents(server: Arc<ServerConfig>) -> impl Fn(Peer) -> Option<Peer> + Send + Sync {
    move |peer| {
        // A client of TLS 1.3 may have finished before it says no; it must not have sent its request.
        if let Some(mut stream) = shake_hands(&peer, &server) {
            assert!(request(&mut stream).is_none(), "a request came over an untrusted connection");
        }
        Some(peer)
    }
}

#[test]
fn handshakes_that_come_to_nothing() {
    let alone = alone();
    let trusting = Trusting::new();
    alone.check(trusting.rows([
        fails(
            "speaks plain HTTP on the port of TLS",
            "tls",
            "does not speak TLS",
            replies(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ),
        fails("answers the handshake with garbage", "tls", "handshake", replies(&[b'x'; 2000])),
        fails("answers the handshake with zeros", "tls", "handshake", replies(&[0; 2000])),
        fails("has no version in common", "tls", "version", replies(b"\x15\x03\x03\x00\x02\x02\x46")),
        fails("refuses the handshake", "tls", "handshake", replies(b"\x15\x03\x03\x00\x02\x02\x28")),
        fails(
            "announces more in a handshake than anybody reads",
            "tls",
            "handshake",
            replies(b"\x16\x03\x03\xff\xffxx"),
        ),
        fails("changes ciphers without end", "tls", "handshake", |mut peer: Peer| {
            peer.bytes(5);
            peer.flood(b"\x14\x03\x03\x00\x01\x01".repeat(100));
            Some(peer)
        }),
        fails("closes in the handshake", "tls", "handshake", replies_and_ends(b"")),
        fails("closes in the middle of a record", "tls", "handshake", replies_and_ends(b"\x16\x03\x03\x00\x7a\x02")),
        fails("resets in the handshake", "tls", "handshake", |mut peer: Peer| {
            peer.bytes(5);
            peer.reset();
            None
        }),
        times_out("never answers the handshake", Some),
        times_out("stalls in the handshake", replies(b"\x16\x03\x03\x00\x7a\x02")),
    ]));
}

#[test]
fn certificates_that_are_not_to_be_trusted() {
    let alone = alone();
    let trusting = Trusting::new();
    let stranger = Authority::new("a stranger");
    let authority = &trusting.authority;
    alone.check(trusting.rows([
        fails(
            "has a certificate from nobody known",
            "tls",
            "root_certificate",
            presents(stranger.issue("localhost").server()),
        ),
        fails(
            "has a certificate that has expired",
            "tls",
            "expired",
            presents(authority.issue_expired("localhost").server()),
        ),
        fails(
            "has a certificate for another name",
            "tls",
            "other.test",
            presents(authority.issue("other.test").server()),
        ),
    ]));
}

#[test]
fn connections_that_break_after_the_handshake() {
    let alone = alone();
    let trusting = Trusting::new();
    alone.check(trusting.rows([
        fails("closes after the handshake", "closed", "before it had answered", then(trusting.good(), |_| ())),
        fails(
            "closes after the request",
            "closed",
            "before it had answered",
            then(trusting.good(), |stream| {
                request(stream);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }),
        ),
        fails(
            "says something that is no TLS after the handshake",
            "tls",
            "",
            then(trusting.good(), |stream| {
                request(stream);
                let _ = stream.sock.write_all(&[b'x'; 2000]);
            }),
        ),
        fails(
            "forges a record",
            "tls",
            "",
            then(trusting.good(), |stream| {
                request(stream);
                let _ = stream.sock.write_all(b"\x17\x03\x03\x00\x20abcdefghijklmnopqrstuvwxyz012345");
            }),
        ),
        fails(
            "closes in the body",
            "body",
            "broke off after 4 bytes",
            then(trusting.good(), |stream| {
                request(stream);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }),
        ),
        // Whoever is between could have cut it off: without TLS's own goodbye, the end of the body is not certain.
        fails(
            "ends a body of no length without a goodbye",
            "body|tls",
            "",
            then(trusting.good(), |stream| {
                request(stream);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf");
            }),
        ),
        times_out("stalls after the handshake", then(trusting.good(), |stream| while request(stream).is_some() {})),
    ]));
    alone.check([fails("speaks TLS on the port of plain HTTP", "protocol", "not HTTP/1.1", |mut peer: Peer| {
        peer.request();
        peer.write(b"\x15\x03\x01\x00\x02\x02\x46");
        Some(peer)
    })]);
}
