//! The same bytes to both of what speaks HTTP/1.1, however they are cut into reads and wherever they end: both must make the
//! same of them, but for what stands in [`Difference`].
//!
//! The long form: `PROPTEST_CASES=1000000 cargo test --release -p mite-http --lib transport::tests`.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use futures::stream;
use http::{
    HeaderMap, HeaderValue, Method, Version,
    header::{CONNECTION, HOST},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::{Answer, Connection, Piece};
use crate::{
    connector::Opened,
    error::{Class, Fault},
    headers::Layered,
    network::Http1,
    outgoing::Outgoing,
    payload::{BoxError, Measured, Payload, Segment},
    target::Target,
    wire::{
        Socket, Wire,
        scripted::{End, Read, Script, Scripted},
    },
};

/// A request of a case, as data.
#[derive(Debug, Clone)]
struct Asked {
    method: Method,
    closes: bool,
    body: Carries,
}

#[derive(Debug, Clone)]
enum Carries {
    Whole(Vec<u8>),
    /// With its length, or in chunks.
    Pieces(Vec<Vec<u8>>, bool),
    Trailers(Vec<u8>),
    /// Waits for the server's word.
    Expects(Vec<u8>),
    /// Fails after this.
    Fails(Vec<u8>),
}

/// What a server does with some requests.
#[derive(Debug, Clone)]
struct Case {
    /// Each with what the server says to it.
    asked: Vec<(Asked, Vec<u8>)>,
    /// Where what it says is cut, in parts of 2^32 of it, and whether the rest comes later.
    cuts: Vec<(u32, bool)>,
    end: End,
    writes: Vec<usize>,
    breaks_after: Option<usize>,
    discard: bool,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
enum Came {
    Answer(Box<Answered>),
    /// Its class, and whether the request was handed back.
    Fails(Class, bool),
    Stalls,
}

#[derive(Debug, Clone, PartialEq)]
struct Answered {
    status: u16,
    version: Version,
    headers: Vec<(String, Vec<u8>)>,
    announced: u64,
    length: u64,
    body: Vec<u8>,
    trailers: Option<Vec<(String, Vec<u8>)>>,
    /// How the body ended: all of it has come, or the class of the error, or it stalls.
    end: BodyEnd,
    /// Whether the connection can be used again, by all that comes of it.
    reusable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyEnd {
    Whole,
    Fails(Class),
    Stalls,
}

#[derive(Debug, Clone)]
struct Outcome {
    came: Vec<Came>,
    written: Vec<u8>,
}

impl Outcome {
    /// Whether both are the same. How much goes out on a connection that is given up is nobody's business.
    fn is(&self, other: &Self) -> bool {
        let is_kept = matches!(self.came.last(), Some(Came::Answer(answered)) if answered.reusable);
        let (long, short) = (self.written.len().max(other.written.len()), self.written.len().min(other.written.len()));
        let is_written_alike = self.written[..short] == other.written[..short];
        self.came == other.came && is_written_alike && (long == short || !is_kept)
    }
}

/// The headers and the body of a request.
fn prepared(asked: &Asked) -> (HeaderMap, Payload) {
    let bytes = |bytes: &Vec<u8>| Segment::Bytes(Bytes::from(bytes.clone()));
    let pieces =
        |all: Vec<Result<Bytes, BoxError>>, length| Segment::Pieces(Measured::new(Box::pin(stream::iter(all)), length));
    let payload = match &asked.body {
        Carries::Whole(body) => Payload::whole(Bytes::from(body.clone())),
        Carries::Pieces(all, is_measured) => {
            let length = all.iter().map(Vec::len).sum::<usize>() as u64;
            let all = all.iter().map(|piece| Ok(Bytes::from(piece.clone()))).collect();
            Payload::streamed(
                vec![pieces(all, is_measured.then_some(length).filter(|length| *length > 0))],
                None,
                false,
            )
        }
        Carries::Trailers(body) => {
            let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("7"))]);
            Payload::streamed(vec![bytes(body)], Some(trailers), false)
        }
        Carries::Expects(body) => Payload::streamed(vec![bytes(body)], None, true),
        Carries::Fails(body) => {
            let all = vec![Ok(Bytes::from(body.clone())), Err("no more".into())];
            Payload::streamed(vec![pieces(all, Some(body.len() as u64 + 1))], None, false)
        }
    };
    let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("server"))]);
    if asked.closes {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Payload::Streamed(streamed) = &payload {
        streamed.describe(&mut headers).unwrap();
    }
    (headers, payload)
}

/// Whether a task was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls until there is something, or nothing more can come.
fn finish<T>(script: &Rc<RefCell<Script>>, future: impl Future<Output = T>) -> Option<T> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    let left = || {
        let script = script.borrow();
        (script.reads.len(), script.writes.len(), script.written.len())
    };
    loop {
        let before = left();
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(done);
        }
        if left() == before && !woken.0.swap(false, Ordering::Relaxed) {
            return None;
        }
    }
}

impl Case {
    /// What is said, cut into reads.
    fn reads(&self, says: &[u8]) -> Vec<Read> {
        let (mut reads, mut begin) = (Vec::new(), 0);
        for (cut, is_later) in &self.cuts {
            let end = ((u64::from(*cut) * (says.len() as u64 + 1)) >> 32) as usize;
            let end = end.max(begin);
            reads.extend((end > begin).then(|| Read::Bytes(says[begin..end].to_vec())));
            reads.extend(is_later.then_some(Read::Later));
            begin = end;
        }
        reads.extend((begin < says.len()).then(|| Read::Bytes(says[begin..].to_vec())));
        reads
    }

    fn carry_out(&self, http1: Http1) -> Outcome {
        let script = Rc::new(RefCell::new(Script {
            reads: VecDeque::new(),
            end: End::Stalls,
            writes: self.writes.iter().copied().collect(),
            breaks_after: self.breaks_after,
            written: Vec::new(),
            silent_until: 0,
        }));
        let wire = Wire::plain(Socket::scripted(Scripted(Rc::clone(&script))));
        let opened = Opened { wire, remote: None, version: Version::HTTP_11, http1, forward_proxy: None };
        let mut connection = finish(&script, Connection::start(opened, &Rc::default())).unwrap().unwrap();
        let mut came = Vec::new();
        let target = Target::of("http://server/path?a=b".parse().unwrap());
        for (place, (asked, says)) in self.asked.iter().enumerate() {
            {
                let mut script = script.borrow_mut();
                script.reads.extend(self.reads(says));
                script.silent_until = script.written.len();
                script.end = if place + 1 == self.asked.len() { self.end } else { End::Stalls };
            }
            let (headers, payload) = prepared(asked);
            let request = Outgoing::new(&asked.method, &target, Layered::alone(Cow::Borrowed(&headers)));
            let one = self.exchange(&script, &mut connection, &request, payload);
            let goes_on = matches!(&one, Came::Answer(answered) if answered.reusable);
            came.push(one);
            if !goes_on {
                break;
            }
        }
        drop(connection);
        let written = script.borrow().written.clone();
        Outcome { came, written }
    }

    fn exchange(
        &self,
        script: &Rc<RefCell<Script>>,
        connection: &mut Connection,
        request: &Outgoing<'_>,
        payload: Payload,
    ) -> Came {
        let account = payload.account();
        let class = |fault: Fault| account.cause(fault).class();
        let mut payload = Some(payload);
        let answer = match finish(script, connection.send(request, &mut payload)) {
            None => return Came::Stalls,
            Some(Err(fault)) => return Came::Fails(class(fault), payload.is_some()),
            Some(Ok(answer)) => answer,
        };
        account.answered();
        let Answer { head, body: mut incoming } = answer;
        let mut answered = Answered {
            status: head.status.as_u16(),
            version: head.version,
            headers: listed(head.headers.map()),
            announced: incoming.announced(),
            length: 0,
            body: Vec::new(),
            trailers: None,
            end: BodyEnd::Stalls,
            reusable: false,
        };
        let keep = !self.discard;
        while let Some(next) =
            finish(script, poll_fn(|cx| connection.poll_piece(&mut incoming, keep, answered.length, cx)))
        {
            match next {
                Some(Ok(Piece::Data(data))) => {
                    answered.length += data.len() as u64;
                    if keep {
                        answered.body.extend_from_slice(&data);
                    }
                }
                Some(Ok(Piece::Skipped(count))) => answered.length += count,
                Some(Ok(Piece::Trailers(trailers))) => answered.trailers = Some(listed(&trailers)),
                Some(Err(fault)) => {
                    answered.end = BodyEnd::Fails(class(fault));
                    break;
                }
                None => {
                    answered.end = BodyEnd::Whole;
                    break;
                }
            }
        }
        if answered.end == BodyEnd::Whole {
            // Each look may find that something comes later.
            answered.reusable = connection.is_reusable() && (0..=self.cuts.len()).all(|_| connection.is_alive());
        }
        Came::Answer(Box::new(answered))
    }
}

fn listed(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

/// Where both may make different things of the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    /// Hyper looks at a head that came in pieces only when it ends. What is none already is told at once by us, which takes
    /// less time and leaves less to wait for.
    LateLook,
    /// Chunks and a length at once: RFC 9112, 6.3, has the chunks count, and takes it for an attempt to have somebody see two
    /// messages. Hyper uses the connection again; we do not.
    TwoEnds,
    /// What broke while the request was written: hyper fails at once. We take the answer, or the rest of it, if it has come
    /// already (RFC 9112, 9.5), and hand the request back if nothing of it has left.
    BrokenWrite,
    /// The whole answer has come while the request was still being written. Hyper writes on whenever somebody looks whether the
    /// connection can be used again, and may come to its end; we give the connection up.
    EarlyAnswer,
    /// A server of HTTP/1.0 that keeps its connection is sent no chunks: hyper sends nothing of such a body, and does not say
    /// so. We hand the request back, for another connection.
    ChunksToHttp10,
}

impl Case {
    /// What explains that ours and hyper's outcome are not the same.
    fn explains(&self, ours: &Outcome, hypers: &Outcome) -> Option<Difference> {
        if self.breaks_after.is_some() {
            return Some(Difference::BrokenWrite);
        }
        let place = ours.came.iter().zip(&hypers.came).position(|(ours, hypers)| ours != hypers)?;
        match (&ours.came[place], &hypers.came[place]) {
            (Came::Fails(Class::Protocol, false), Came::Stalls | Came::Fails(Class::Closed, _))
                if !self.cuts.is_empty() =>
            {
                Some(Difference::LateLook)
            }
            (Came::Fails(Class::Request, true), _) if place > 0 => Some(Difference::ChunksToHttp10),
            (Came::Answer(ours), Came::Answer(hypers)) => {
                let has = |name: &str| ours.headers.iter().any(|(known, _)| known == name);
                let is_given_up = **ours == Answered { reusable: false, ..(**hypers).clone() };
                match is_given_up {
                    true if has("transfer-encoding") && has("content-length") => Some(Difference::TwoEnds),
                    true if self.writes.contains(&0) => Some(Difference::EarlyAnswer),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        // What waits for the server's word has a timer, which never runs out here.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _guard = runtime.enter();
        let (ours, hypers) = (self.carry_out(Http1::Mite), self.carry_out(Http1::Hyper));
        if !ours.is(&hypers) {
            prop_assert!(self.explains(&ours, &hypers).is_some(), "{self}\nours   {ours:?}\nhyper's {hypers:?}");
        }
        // Whatever the cuts, what comes of it is the same. Where writes are held up, so is what is read beside them.
        if self.writes.is_empty() && self.breaks_after.is_none() {
            let uncut = Case { cuts: Vec::new(), ..self.clone() }.carry_out(Http1::Mite);
            prop_assert_eq!(&uncut.came, &ours.came, "{}", self);
        }
        Ok(())
    }
}

/// What a server says that keeps to the rules, if with a large vocabulary.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let interim = select(vec![
        "",
        "",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\nX: y\r\n\r\n",
    ]);
    let line = select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 Not Modified",
        "HTTP/1.1 404 Nicht da \u{fc}",
        "HTTP/1.1 101 Switching Protocols",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 999 What",
        "\r\nHTTP/1.1 200 OK",
    ]);
    let header = select(vec![
        "Server: x",
        "X-Empty:",
        "X-Spaced: \t a b \t ",
        "Set-Cookie: a=b",
        "Set-Cookie: c=d",
        "Connection: close",
        "Connection: keep-alive",
        "connection: Keep-Alive, x",
        "Connection: x,  CLOSE",
        "X-Text: \u{e9}",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT",
    ]);
    let newline = prop_oneof![9 => Just("\r\n"), 1 => Just("\n")];
    (interim, line, vec(header, 0..4), bodies(), newline, 0..10_usize).prop_map(
        |(interim, line, headers, body, newline, more)| {
            let (framing, body) = body;
            let mut said = interim.to_owned().into_bytes();
            for line in std::iter::once(line).chain(headers).chain(framing.lines()) {
                said.extend_from_slice(line.as_bytes());
                said.extend_from_slice(newline.as_bytes());
            }
            said.extend_from_slice(newline.as_bytes());
            said.extend_from_slice(&body);
            match more {
                0 => said.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmore"),
                1 => {}
                _ => {
                    said.extend_from_slice(b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
                }
            }
            said
        },
    )
}

/// The headers that frame a body, and the body.
fn bodies() -> impl Strategy<Value = (String, Vec<u8>)> {
    let data =
        || prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => Just(vec![b'z'; 4_000]), 1 => Just(vec![b'x'; 70_000])];
    let length = |data: Vec<u8>| (format!("Content-Length: {}", data.len()), data);
    let extension = select(vec!["", "", "", ";a=b", " ;x", "\t", ";\"q\""]);
    let trailers =
        select(vec!["", "", "", "X-Sum: 7\r\n", "A: b\r\nA: c\r\n", "Bad\r\n", ": no\r\n", "A: b\nC: d\r\n"]);
    let coding = select(vec!["chunked", "chunked", "Chunked", "gzip, chunked", "gzip", "chunked, gzip"]);
    let chunked =
        (vec((vec(any::<u8>(), 1..40), extension), 0..6), trailers, coding).prop_map(|(chunks, trailers, coding)| {
            let mut body = Vec::new();
            for (data, extension) in chunks {
                body.extend_from_slice(format!("{:x}{extension}\r\n", data.len()).as_bytes());
                body.extend_from_slice(&data);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
            (format!("Transfer-Encoding: {coding}"), body)
        });
    prop_oneof![
        4 => data().prop_map(length),
        4 => chunked.clone(),
        1 => data().prop_map(|data| (String::new(), data)),
        1 => data().prop_map(move |data| {
            let (length, body) = length(data);
            (format!("{length}\n{length}"), body)
        }),
        1 => chunked.prop_map(|(coding, body)| (format!("Content-Length: 7\n{coding}"), body)),
        1 => (select(vec!["-1", "+4", "4, 4", "4,5", "", " ", "0x4", "18446744073709551615", "18446744073709551613", "4 4"]),
              data()).prop_map(|(length, data)| (format!("Content-Length: {length}"), data)),
    ]
}

/// A change to what is said: at which place, how many bytes go, and what comes instead.
fn changes() -> impl Strategy<Value = Vec<(Index, usize, Vec<u8>)>> {
    let comes = prop_oneof![
        vec(any::<u8>(), 0..3),
        select(vec![
            "\r",
            "\n",
            "\r\n",
            "\r\n\r\n",
            "\0",
            " ",
            "\t",
            ":",
            ";",
            ",",
            "0",
            "f",
            "HTTP/1.1 ",
            "HTTP/1.0 200 OK\r\n",
            " x",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: close\r\n",
            "\r\n x",
            "0\r\n\r\n",
            "\u{e9}",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        1 => Just(Vec::new()),
        1 => vec((any::<Index>(), 0..4_usize, comes), 1..4),
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    let small = || vec(any::<u8>(), 0..30);
    let body = prop_oneof![
        6 => Just(Carries::Whole(Vec::new())),
        2 => small().prop_map(Carries::Whole),
        1 => Just(Carries::Whole(vec![b'y'; 5_000])),
        2 => (vec(small(), 0..4), any::<bool>()).prop_map(|(pieces, is_measured)| Carries::Pieces(pieces, is_measured)),
        1 => small().prop_map(Carries::Trailers),
        1 => vec(any::<u8>(), 1..30).prop_map(Carries::Expects),
        1 => small().prop_map(Carries::Fails),
    ];
    let method = select(vec![Method::GET, Method::GET, Method::POST, Method::HEAD]);
    (method, prop::bool::weighted(0.1), body).prop_map(|(method, closes, body)| Asked { method, closes, body })
}

fn cases() -> impl Strategy<Value = Case> {
    let end = select(vec![End::Closes, End::Resets, End::Stalls]);
    let cuts = vec((any::<u32>(), any::<bool>()), 0..6);
    let writes = prop_oneof![3 => Just(Vec::new()), 1 => vec(select(vec![0, 1, 7, 100]), 1..8)];
    let breaks_after = prop_oneof![9 => Just(None), 1 => (0..200_usize).prop_map(Some)];
    let says = (responses(), changes()).prop_map(|(mut says, changes)| {
        for (place, gone, comes) in changes {
            let place = place.index(says.len() + 1);
            let until = (place + gone).min(says.len());
            says.splice(place..until, comes);
        }
        says
    });
    (vec((asked(), says), 1..3), cuts, end, writes, breaks_after, any::<bool>()).prop_map(
        |(asked, mut cuts, end, writes, breaks_after, discard)| {
            cuts.sort_unstable();
            Case { asked, cuts, end, writes, breaks_after, discard }
        },
    )
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (asked, says) in &self.asked {
            writeln!(f, "{} {:?}: {:?}", asked.method, asked.body, String::from_utf8_lossy(says))?;
            let reads = self.reads(says).into_iter().map(|read| match read {
                Read::Bytes(bytes) => String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned(),
                Read::Later => "later".to_owned(),
            });
            writeln!(f, "  in reads of {:?}", reads.collect::<Vec<_>>())?;
        }
        write!(f, "{:?}, writes {:?}, breaks after {:?}", self.end, self.writes, self.breaks_after)
    }
}

/// As many as one asks for, and enough otherwise.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(1_000), max_shrink_iters: 2_000, ..asked }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn both_make_the_same_of_the_same_bytes(case in cases()) {
        case.check()?;
    }
}

fn get(says: impl Into<Vec<u8>>) -> Case {
    let asked = Asked { method: Method::GET, closes: false, body: Carries::Whole(Vec::new()) };
    Case {
        asked: vec![(asked, says.into())],
        cuts: Vec::new(),
        end: End::Stalls,
        writes: Vec::new(),
        breaks_after: None,
        discard: false,
    }
}

/// The cut before the byte `at` of so many.
fn place(at: usize, of: usize) -> u32 {
    ((at as u64) << 32).div_ceil(of as u64 + 1) as u32
}

const WELL_FORMED: [&str; 8] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nServer: x\r\n\r\nbody",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 7\r\nY: z\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 200 OK\nConnection: close\nContent-Length: 1\n\nx",
];

#[test]
fn responses_are_the_same_wherever_they_are_cut_and_wherever_they_end() {
    for says in WELL_FORMED {
        for end in [End::Closes, End::Resets, End::Stalls] {
            for at in 0..=says.len() {
                // All of it in two reads, the second perhaps later; and only the first of them.
                for is_later in [false, true] {
                    let cuts = vec![(place(at, says.len()), is_later)];
                    Case { cuts, end, ..get(says) }.check().unwrap();
                }
                Case { end, ..get(&says[..at]) }.check().unwrap();
            }
            let bytewise = (0..says.len()).map(|at| (place(at, says.len()), at % 2 == 0)).collect();
            Case { cuts: bytewise, end, ..get(says) }.check().unwrap();
        }
    }
}

#[test]
fn each_difference_is_there_for_its_reason() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let table = [
        (Difference::LateLook, Case { cuts: vec![(place(15, 25), false)], ..get("HTTP/1.1 200 O\r\nbad name") }),
        (
            Difference::TwoEnds,
            get("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        ),
        (Difference::BrokenWrite, Case { breaks_after: Some(0), ..get(ok) }),
        (Difference::BrokenWrite, Case { breaks_after: Some(5), writes: vec![5], ..get(ok) }),
        (Difference::EarlyAnswer, Case { writes: vec![1, 0, 0], ..get(ok) }),
        (Difference::ChunksToHttp10, {
            let mut case = get("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n");
            let chunks = Carries::Pieces(vec![b"x".to_vec()], false);
            case.asked.push((Asked { method: Method::POST, closes: false, body: chunks }, ok.into()));
            case
        }),
    ];
    for (difference, case) in table {
        let (ours, hypers) = (case.carry_out(Http1::Mite), case.carry_out(Http1::Hyper));
        assert!(!ours.is(&hypers), "{difference:?} is none any more: {case}\n{ours:?}");
        assert_eq!(case.explains(&ours, &hypers), Some(difference), "{case}\n{ours:?}\n{hypers:?}");
    }
}

#[test]
fn the_other_tests_pass_on_hyper_too() {
    let tests = std::env::current_exe().unwrap();
    let mut again = std::process::Command::new(tests);
    // A filter of names would be that of a run by hand; this module looks at both by itself.
    let status = again.args(["--skip", "transport::tests"]).env("MITE_TEST_ON_HYPER", "1").status().unwrap();
    assert!(status.success(), "they do not: `MITE_TEST_ON_HYPER=1 cargo test -p mite-http --lib` says more");
}
