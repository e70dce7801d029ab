//! Requests over HTTP/2 against servers that share, limit, refuse, reset and say goodbye.

use std::{cell::RefCell, future::poll_fn, num::NonZeroU32, rc::Rc, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{self, SendResponse},
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    sync::{Barrier, Notify, Semaphore},
    task::JoinHandle,
};
use url::Url;

use crate::{
    client::{Client, Limits},
    connector::Connector,
    error::{Class, Fault},
    exchange::Reply,
    network::{HttpVersion, Network},
    peers::{Server, outgoing, url},
    policy::{Connections, Policy},
    timing::Timings,
};

const LIMITS: Limits =
    Limits { connect: Duration::from_mins(1), first_byte: None, request: Duration::from_mins(1), since: None };

/// A request as the server got it, and the way to answer it.
struct Got {
    request: Request<RecvStream>,
    answer: SendResponse<Bytes>,
    /// On which connection, from 0.
    connection: usize,
}

impl Got {
    async fn body(&mut self) -> Vec<u8> {
        let body = self.request.body_mut();
        let mut whole = Vec::new();
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            whole.extend_from_slice(&data);
        }
        whole
    }

    fn ok(mut self, body: impl Into<Bytes>) {
        let mut stream = self.answer.send_response(Response::new(()), false).unwrap();
        stream.send_data(body.into(), true).unwrap();
    }
}

/// What a server may be told while it serves.
struct Control {
    accepted: RefCell<usize>,
    /// Says goodbye to the connection that is served next, after the requests that have come.
    goodbye: Notify,
    /// Has a permit for each connection that ended.
    closed: Semaphore,
}

struct H2Server {
    url: Url,
    control: Rc<Control>,
    task: JoinHandle<()>,
}

impl H2Server {
    async fn start<F: Future<Output = ()> + 'static>(most_streams: u32, serve: impl Fn(Got) -> F + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url(listener.local_addr().unwrap(), "/");
        let control = Rc::new(Control { accepted: RefCell::new(0), goodbye: Notify::new(), closed: Semaphore::new(0) });
        let serve = Rc::new(serve);
        let task = tokio::task::spawn_local({
            let control = Rc::clone(&control);
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let number = control.accepted.replace_with(|count| *count + 1);
                    let mut builder = server::Builder::new();
                    builder.max_concurrent_streams(most_streams);
                    let connection = builder.handshake(stream).await.unwrap();
                    tokio::task::spawn_local(serve_one(connection, number, Rc::clone(&control), Rc::clone(&serve)));
                }
            }
        });
        Self { url, control, task }
    }

    /// Waits until one more connection has ended.
    async fn closed(&self) {
        self.control.closed.acquire().await.unwrap().forget();
    }

    fn accepted(&self) -> usize {
        *self.control.accepted.borrow()
    }
}

async fn serve_one<F: Future<Output = ()> + 'static>(
    mut connection: server::Connection<tokio::net::TcpStream, Bytes>,
    number: usize,
    control: Rc<Control>,
    serve: Rc<impl Fn(Got) -> F + 'static>,
) {
    loop {
        let mut goodbye = std::pin::pin!(control.goodbye.notified());
        let accepted = poll_fn(|cx| match connection.poll_accept(cx) {
            Poll::Pending => goodbye.as_mut().poll(cx).map(|()| None),
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        })
        .await;
        match accepted {
            Some(Some(Ok((request, answer)))) => {
                tokio::task::spawn_local(serve(Got { request, answer, connection: number }));
            }
            Some(_) => {
                control.closed.add_permits(1);
                return;
            }
            None => connection.graceful_shutdown(),
        }
    }
}

impl Drop for H2Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connector that takes servers to speak HTTP/2.
fn connector() -> Rc<Connector> {
    let network = Network { http_version: HttpVersion::Http2PriorKnowledge, ..Network::default() };
    Rc::new(Connector::new(Arc::new(network)))
}

fn client(policy: Policy) -> Client {
    Client::new(policy, connector(), Rc::default())
}

async fn exchange(client: &Client, method: Method, url: &Url, body: &str) -> (Timings, Result<Reply, Fault>) {
    let (timings, outcome) = client.exchange(outgoing(method, url, body.to_owned()), LIMITS).await;
    (timings, outcome)
}

async fn get(client: &Client, url: &Url) -> Result<Reply, Fault> {
    exchange(client, Method::GET, url, "").await.1
}

/// So many requests at once, and what came of them.
async fn many(client: &Rc<Client>, url: &Url, count: usize) -> Vec<Result<Reply, Fault>> {
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let (client, url) = (Rc::clone(client), url.clone());
            tokio::task::spawn_local(async move { get(&client, &url).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[tokio::test(flavor = "local")]
async fn requests_at_the_same_time_share_one_connection() {
    const MANY: usize = 20;
    // Nobody is answered before all have come.
    let all = Rc::new(Barrier::new(MANY));
    let server = H2Server::start(100, move |got| {
        let all = Rc::clone(&all);
        async move {
            all.wait().await;
            let line = format!("{} {}", got.request.method(), got.request.uri());
            got.ok(line);
        }
    })
    .await;
    let client = Rc::new(client(Policy::default()));
    for outcome in many(&client, &server.url, MANY).await {
        let reply = outcome.unwrap();
        assert_eq!((reply.head.status, reply.head.version), (StatusCode::OK, Version::HTTP_2));
        assert_eq!(reply.body, format!("GET {}", server.url));
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test(flavor = "local")]
async fn the_phases_are_those_of_the_stream() {
    let server = H2Server::start(100, async |got| got.ok("x")).await;
    let client = client(Policy::default());
    let (first, outcome) = exchange(&client, Method::GET, &server.url, "").await;
    assert_eq!(outcome.unwrap().sizes.received, 1);
    assert!(first.connect().is_some() && first.first_byte().is_some());
    let (second, outcome) = exchange(&client, Method::GET, &server.url, "").await;
    outcome.unwrap();
    assert!(second.connect().is_none() && second.first_byte().is_some());
}

#[tokio::test(flavor = "local")]
async fn more_than_the_server_takes_at_once_go_over_more_connections_or_wait() {
    for (most_per_origin, connections) in [(None, 4), (NonZeroU32::new(1), 1), (NonZeroU32::new(2), 2)] {
        let running = Rc::new(RefCell::new((0, 0)));
        let server = H2Server::start(3, {
            let running = Rc::clone(&running);
            move |got| {
                let running = Rc::clone(&running);
                async move {
                    {
                        let (now, most) = &mut *running.borrow_mut();
                        *now += 1;
                        *most = (*most).max(*now);
                    }
                    tokio::task::yield_now().await;
                    running.borrow_mut().0 -= 1;
                    got.ok("x");
                }
            }
        })
        .await;
        let client = Rc::new(client(Policy { most_per_origin, ..Policy::default() }));
        // The server's limit comes with its first frame.
        get(&client, &server.url).await.unwrap();
        for outcome in many(&client, &server.url, 12).await {
            outcome.unwrap();
        }
        assert!(server.accepted() <= connections, "{} of {connections}", server.accepted());
        assert!(running.borrow().1 <= 3 * connections);
    }
}

#[tokio::test(flavor = "local")]
async fn what_comes_after_the_servers_goodbye_goes_to_another_connection() {
    let answered = Rc::new(RefCell::new(Vec::new()));
    let server = H2Server::start(100, {
        let answered = Rc::clone(&answered);
        move |got| {
            answered.borrow_mut().push(got.connection);
            async move { got.ok("x") }
        }
    })
    .await;
    let client = client(Policy::default());
    get(&client, &server.url).await.unwrap();
    server.control.goodbye.notify_one();
    server.closed().await;
    get(&client, &server.url).await.unwrap();
    assert_eq!((server.accepted(), &*answered.borrow()), (2, &vec![0, 1]));
}

#[tokio::test(flavor = "local")]
async fn a_refused_stream_is_sent_again_and_one_that_was_begun_is_not() {
    let table = [
        // Reset with, how often, answered after all, requests that came.
        (Reason::REFUSED_STREAM, 2, true, 3),
        (Reason::REFUSED_STREAM, usize::MAX, false, 5),
        (Reason::INTERNAL_ERROR, 1, false, 1),
        (Reason::CANCEL, 1, false, 1),
        (Reason::ENHANCE_YOUR_CALM, 1, false, 1),
    ];
    for (reason, times, is_answered, came) in table {
        let seen = Rc::new(RefCell::new(0));
        let server = H2Server::start(100, {
            let seen = Rc::clone(&seen);
            move |mut got| {
                let seen = Rc::clone(&seen);
                async move {
                    *seen.borrow_mut() += 1;
                    if *seen.borrow() <= times {
                        got.answer.send_reset(reason);
                    } else {
                        let body = got.body().await;
                        got.ok(body);
                    }
                }
            }
        })
        .await;
        let client = client(Policy::default());
        let outcome = exchange(&client, Method::POST, &server.url, "the body").await.1;
        assert_eq!(outcome.is_ok(), is_answered, "{reason:?} {times}: {outcome:?}");
        match outcome {
            Ok(reply) => assert_eq!(reply.body, "the body"),
            Err(fault) => assert_eq!(fault.class(), Class::Closed, "{reason:?}"),
        }
        assert_eq!((*seen.borrow(), server.accepted()), (came, 1), "{reason:?} {times}");
    }
}

#[tokio::test(flavor = "local")]
async fn a_stream_that_breaks_in_its_body_is_told_with_what_came() {
    let server = H2Server::start(100, async |mut got| {
        let mut stream = got.answer.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"half"), false).unwrap();
        // What has been sent must have left before the reset would take its place.
        tokio::task::yield_now().await;
        stream.send_reset(Reason::INTERNAL_ERROR);
    })
    .await;
    let fault = get(&client(Policy::default()), &server.url).await.unwrap_err();
    assert_eq!(fault.class(), Class::Body);
}

#[tokio::test(flavor = "local")]
async fn a_body_larger_than_the_window_goes_through_both_ways() {
    let server = H2Server::start(100, async |mut got| {
        let body = got.body().await;
        got.ok(body);
    })
    .await;
    let body = "0123456789".repeat(1_000_000);
    let reply = exchange(&client(Policy::default()), Method::POST, &server.url, &body).await.1.unwrap();
    assert!(reply.body == body.as_bytes());
    assert_eq!(reply.sizes.received, body.len() as u64);
}

#[tokio::test(flavor = "local")]
async fn an_answer_before_the_end_of_the_body_is_the_answer() {
    let server = H2Server::start(100, async |mut got| {
        let response = Response::builder().status(413).body(()).unwrap();
        let mut stream = got.answer.send_response(response, false).unwrap();
        stream.send_data(Bytes::from_static(b"too large"), true).unwrap();
        tokio::task::yield_now().await;
        stream.send_reset(Reason::NO_ERROR);
    })
    .await;
    let body = "0123456789".repeat(1_000_000);
    let reply = exchange(&client(Policy::default()), Method::POST, &server.url, &body).await.1.unwrap();
    assert_eq!((reply.head.status, &reply.body[..]), (StatusCode::PAYLOAD_TOO_LARGE, &b"too large"[..]));
}

#[tokio::test(flavor = "local")]
async fn trailers_come_after_the_body() {
    let server = H2Server::start(100, async |mut got| {
        let mut stream = got.answer.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"x"), false).unwrap();
        let trailers = HeaderMap::from_iter([("checksum".parse().unwrap(), HeaderValue::from_static("1"))]);
        stream.send_trailers(trailers).unwrap();
    })
    .await;
    let reply = get(&client(Policy::default()), &server.url).await.unwrap();
    assert_eq!((&reply.body[..], &reply.trailers.unwrap()["checksum"]), (&b"x"[..], &HeaderValue::from_static("1")));
}

#[tokio::test(flavor = "local")]
async fn a_request_that_is_given_up_resets_its_stream_and_holds_nobody_up() {
    let reset = Rc::new(Notify::new());
    let server = H2Server::start(100, {
        let reset = Rc::clone(&reset);
        move |mut got| {
            let reset = Rc::clone(&reset);
            async move {
                if got.request.method() == Method::POST {
                    let reason = poll_fn(|cx| got.answer.poll_reset(cx)).await.unwrap();
                    assert_eq!(reason, Reason::CANCEL);
                    reset.notify_one();
                } else {
                    got.ok("x");
                }
            }
        }
    })
    .await;
    let client = client(Policy::default());
    get(&client, &server.url).await.unwrap();
    let limits = Limits { request: Duration::from_millis(20), ..LIMITS };
    let (_, outcome) = client.exchange(outgoing(Method::POST, &server.url, ""), limits).await;
    assert_eq!(outcome.unwrap_err().class(), Class::Timeout);
    reset.notified().await;
    get(&client, &server.url).await.unwrap();
    assert_eq!(server.accepted(), 1);
}

#[tokio::test(flavor = "local")]
async fn a_connection_on_which_nothing_is_heard_any_more_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(listener.local_addr().unwrap(), "/");
    let (answered, silent) = tokio::sync::oneshot::channel();
    let server = tokio::task::spawn_local(async move {
        // The first connection answers one request, and then is not looked at any more.
        let (stream, _) = listener.accept().await.unwrap();
        let mut dead = server::handshake(stream).await.unwrap();
        let (_request, mut answer) = dead.accept().await.unwrap().unwrap();
        answer.send_response(Response::new(()), true).unwrap();
        let mut silent = std::pin::pin!(silent);
        poll_fn(|cx| {
            let _ = dead.poll_accept(cx);
            silent.as_mut().poll(cx)
        })
        .await
        .unwrap();

        let (stream, _) = listener.accept().await.unwrap();
        let mut alive = server::handshake(stream).await.unwrap();
        while let Some(Ok((_request, mut answer))) = alive.accept().await {
            answer.send_response(Response::new(()), true).unwrap();
        }
    });
    let client = client(Policy::default());
    get(&client, &url).await.unwrap();
    answered.send(()).unwrap();
    let limits = Limits { request: Duration::from_millis(100), ..LIMITS };
    let mut given_up = 0;
    while let (_, Err(fault)) = client.exchange(outgoing(Method::GET, &url, ""), limits).await {
        assert_eq!(fault.class(), Class::Timeout);
        given_up += 1;
        assert!(given_up < 50, "the dead connection is used for ever");
    }
    assert!(given_up >= 3);
    server.abort();
}

#[tokio::test(flavor = "local")]
async fn connections_end_with_the_policy_the_idle_timeout_and_the_pool() {
    let server = H2Server::start(100, async |got| got.ok("x")).await;
    let expectations = [
        (Policy { most_requests: NonZeroU32::new(2), ..Policy::default() }, 2),
        (Policy { connections: Connections::PerRequest, ..Policy::default() }, 4),
        (Policy { idle_timeout: Duration::ZERO, ..Policy::default() }, 4),
        (Policy::default(), 1),
    ];
    for (policy, connections) in expectations {
        let before = server.accepted();
        let client = client(policy);
        for _ in 0..4 {
            get(&client, &server.url).await.unwrap();
            if policy.idle_timeout.is_zero() {
                // The sweeper closes it.
                server.closed().await;
            }
        }
        assert_eq!(server.accepted() - before, connections, "{policy:?}");
        drop(client);
        if !policy.idle_timeout.is_zero() {
            for _ in 0..connections {
                server.closed().await;
            }
        }
    }
}

#[tokio::test(flavor = "local")]
async fn a_server_that_does_not_speak_it_is_told_so() {
    let answers: [&[u8]; 3] =
        [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"\0\0\x05\x04\0\0\0\0\0hello", &[0xff; 64]];
    for answer in answers {
        let server = Server::start(move |mut peer, _| async move {
            peer.write(answer).await;
            let _ = peer.request().await;
        })
        .await;
        let fault = get(&client(Policy::default()), &server.url("/")).await.unwrap_err();
        assert_eq!(fault.class(), Class::Protocol, "{fault:?}");
    }
}

#[tokio::test(flavor = "local")]
async fn a_server_that_hangs_up_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(listener.local_addr().unwrap(), "/");
    let server = tokio::task::spawn_local(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let fault = get(&client(Policy::default()), &url).await.unwrap_err();
    assert_eq!(fault.class(), Class::Closed, "{fault:?}");
    server.await.unwrap();
}
