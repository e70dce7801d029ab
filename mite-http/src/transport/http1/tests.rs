//! What a connection takes while it is idle, and how often it asks the system for anything.

use std::{borrow::Cow, cell::RefCell, collections::VecDeque};

use http::Method;

use super::*;
use crate::headers::Layered;
use crate::{
    target::Target,
    wire::{
        Socket,
        scripted::{End, Read, Script, Scripted},
    },
};

/// Thousands of connections are idle at once.
const MOST_BYTES: usize = 256;

fn connection(reads: &[&str]) -> (Http1, Rc<RefCell<Script>>) {
    let script = Script {
        reads: reads.iter().map(|read| Read::Bytes(read.as_bytes().to_vec())).collect(),
        end: End::Stalls,
        writes: VecDeque::new(),
        breaks_after: None,
        written: Vec::new(),
        silent_until: 0,
    };
    let script = Rc::new(RefCell::new(script));
    let wire = Wire::plain(Socket::scripted(Scripted(Rc::clone(&script))));
    (Http1::new(wire, Rc::default()), script)
}

fn poll<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

fn get(connection: &mut Http1) -> Vec<u8> {
    let target = Target::of("http://server/".parse().unwrap());
    let request = Outgoing::new(&Method::GET, &target, Layered::alone(Cow::default()));
    let answer = poll(connection.send(&request, &mut Some(Payload::default()))).unwrap();
    assert_eq!(answer.head.status, 200);
    let mut body = Vec::new();
    loop {
        let next = poll(poll_fn(|cx| connection.poll_piece(true, body.len() as u64, cx)));
        match next.transpose().unwrap() {
            Some(Piece::Data(data)) => body.extend_from_slice(&data),
            Some(piece) => panic!("{piece:?}"),
            None => return body,
        }
    }
}

#[test]
fn a_plain_exchange_is_one_write_and_one_read() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
    let (mut connection, script) = connection(&[response, response]);
    for left in [1, 0] {
        // One write: the next finds a script that takes nothing.
        script.borrow_mut().writes = VecDeque::from([usize::MAX]);
        assert_eq!(get(&mut connection), b"body");
        assert_eq!(script.borrow().reads.len(), left);
        assert!(script.borrow().writes.is_empty());
    }
}

#[test]
fn an_idle_connection_is_small_and_holds_no_buffer() {
    assert!(size_of::<Http1>() <= MOST_BYTES, "{} bytes", size_of::<Http1>());
    let (mut connection, _script) = connection(&["HTTP/1.1 200 O", "K\r\nContent-Length: 4\r\n\r\nbo", "dy"]);
    assert_eq!(get(&mut connection), b"body");
    assert!(connection.is_free() && connection.is_open());
    let Http1 { unread, partial, upload, .. } = &connection;
    assert!(unread.is_empty() && partial.capacity() == 0 && upload.is_none());
    // What is sliced off to its end still holds on to its memory.
    assert!(unread.is_unique() || unread.as_ptr() == Bytes::new().as_ptr());
}
