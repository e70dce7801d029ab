//! The worker's client against servers that keep, close, stall, break off and lie.

use std::{
    collections::HashMap,
    future::poll_fn,
    io::{Read, Write},
    num::NonZeroU32,
    sync::mpsc,
    task::Poll,
    thread,
};

use http::{Method, StatusCode, Version};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    time::{Instant as Moment, sleep},
};

use super::*;
use crate::{
    draft::Draft,
    peers::{Peer, Server, nobody, ok, outgoing, url},
};

const LIMITS: Limits =
    Limits { connect: Duration::from_mins(1), first_byte: None, request: Duration::from_mins(1), since: None };

/// Bodies have tests of their own.
const WISH: Wish = Wish { max: u64::MAX, discard: false, decode: false };

impl Client {
    /// Sends a request for its whole answer.
    pub(crate) async fn exchange(&self, draft: Draft, limits: Limits) -> (Timings, Result<Reply, Fault>) {
        let (mut request, payload) = draft.halves();
        let account = payload.account();
        let mut reply = Reply::awaited(Timings::starting(Instant::now()));
        let outcome = self.carry_out(&mut request, &mut Some(payload), &account, &limits, &WISH, &mut reply).await;
        (reply.timings, outcome.map(|()| reply))
    }
}

async fn send(client: &Client, method: Method, url: &Url) -> Result<Reply, Fault> {
    client.exchange(outgoing(method, url, ""), LIMITS).await.1
}

async fn get(client: &Client, url: &Url) -> Result<Reply, Fault> {
    send(client, Method::GET, url).await
}

#[tokio::test(flavor = "local")]
async fn a_connection_is_used_again_and_the_phases_say_so() {
    let server = Server::answering(|received| ok(received.line())).await;
    let (client, url) = (Client::default(), server.url("/a?b=c"));

    let (first, outcome) = client.exchange(outgoing(Method::GET, &url, ""), LIMITS).await;
    let reply = outcome.unwrap();
    assert_eq!((reply.head.status, reply.head.version), (StatusCode::OK, Version::HTTP_11));
    assert_eq!(reply.body, "GET /a?b=c HTTP/1.1");
    assert_eq!(reply.remote, Some(server.address));
    assert!(first.dns().is_none() && first.tls().is_none(), "an address is not resolved: {first:?}");
    assert!(first.connect().is_some() && first.first_byte().is_some());
    assert!(first.total() >= first.connect().unwrap() + first.first_byte().unwrap());

    let (second, outcome) = client.exchange(outgoing(Method::GET, &url, ""), LIMITS).await;
    outcome.unwrap();
    assert!(second.connect().is_none() && second.first_byte().is_some());
    assert_eq!((server.accepted(), client.pool.len()), (1, 1));
}

#[tokio::test(flavor = "local")]
async fn names_are_resolved() {
    let server = Server::answering(|received| ok(received.header("host").unwrap())).await;
    let url: Url = format!("http://localhost:{}/", server.address.port()).parse().unwrap();
    let (timings, outcome) = Client::default().exchange(outgoing(Method::GET, &url, ""), LIMITS).await;
    assert_eq!(outcome.unwrap().body, format!("localhost:{}", server.address.port()));
    assert!(timings.dns().is_some() && timings.connect().is_some());
}

#[tokio::test(flavor = "local")]
async fn requests_at_the_same_time_have_a_connection_each() {
    let server = Server::answering(|_| ok("")).await;
    let (client, url) = (Client::default(), server.url("/"));
    let (a, b) = tokio::join!(get(&client, &url), get(&client, &url));
    a.unwrap();
    b.unwrap();
    assert_eq!((server.accepted(), client.pool.len()), (2, 2));
    get(&client, &url).await.unwrap();
    assert_eq!((server.accepted(), client.pool.len()), (2, 2));
}

#[tokio::test(flavor = "local")]
async fn origins_do_not_share_connections() {
    let (one, two) = (Server::answering(|_| ok("one")).await, Server::answering(|_| ok("two")).await);
    let client = Client::default();
    for _ in 0..2 {
        assert_eq!(get(&client, &one.url("/")).await.unwrap().body, "one");
        assert_eq!(get(&client, &two.url("/")).await.unwrap().body, "two");
    }
    assert_eq!((one.accepted(), two.accepted()), (1, 1));
}

/// A worker that is busy has not heard from its reactor what has reached its sockets.
#[tokio::test(flavor = "local")]
async fn a_goodbye_is_noticed_though_the_runtime_has_not_heard_it() {
    for goodbye in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = url(listener.local_addr().unwrap(), "/");
        let (close, closing) = mpsc::channel();
        let (closed, wait_until_closed) = mpsc::channel();
        let server = thread::spawn(move || {
            for last in [false, true] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut received = [0; 4096];
                assert!(stream.read(&mut received).unwrap() > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
                if !last {
                    closing.recv().unwrap();
                    stream.write_all(goodbye).unwrap();
                    drop(stream);
                    closed.send(()).unwrap();
                }
            }
        });

        let client = Client::default();
        send(&client, Method::POST, &url).await.unwrap();
        assert_eq!(client.pool.len(), 1);
        // The thread is blocked, and with it the runtime: from here to the next request it polls nothing.
        close.send(()).unwrap();
        wait_until_closed.recv().unwrap();
        let (timings, outcome) = client.exchange(outgoing(Method::POST, &url, ""), LIMITS).await;
        outcome.unwrap();
        assert!(timings.connect().is_some(), "it went over a new connection");
        server.join().unwrap();
    }
}

#[tokio::test(flavor = "local")]
async fn a_request_that_meets_the_closing_is_not_repeated_and_says_why() {
    // The server reads the second request on a connection, and closes in the place of an answer.
    let server = Server::start(|mut peer, _| async move {
        peer.request().await.unwrap();
        peer.ok("").await;
        peer.request().await;
    })
    .await;
    let (client, url) = (Client::default(), server.url("/"));
    send(&client, Method::POST, &url).await.unwrap();
    let fault = send(&client, Method::POST, &url).await.unwrap_err();
    assert_eq!(fault.class(), Class::Closed);
    let error = fault.of(&Method::POST, &url).to_string();
    assert!(error.contains("closed the connection that was being reused"), "{error}");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test(flavor = "local")]
async fn a_new_connection_that_is_closed_is_not_called_reused() {
    let server = Server::start(|mut peer, _| async move {
        peer.request().await;
    })
    .await;
    let fault = get(&Client::default(), &server.url("/")).await.unwrap_err();
    assert_eq!(fault.class(), Class::Closed);
    let error = fault.of(&Method::GET, &server.url("/")).to_string();
    assert!(error.contains("before it had answered"), "{error}");
}

#[tokio::test(flavor = "local")]
async fn a_service_that_is_not_there_fails_each_request_at_once() {
    let (address, _bound) = nobody();
    let url = url(address, "/");
    let client = Client::default();
    for _ in 0..100 {
        let (timings, outcome) = client.exchange(outgoing(Method::GET, &url, ""), LIMITS).await;
        let fault = outcome.unwrap_err();
        assert_eq!(fault.class(), Class::Connect);
        assert!(timings.connect().is_none());
        let error = fault.of(&Method::GET, &url);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("refused"), "{cause}");
    }
}

#[tokio::test(flavor = "local")]
async fn a_name_that_is_none_is_a_connect_error() {
    let url: Url = "http://no-such-name.invalid/".parse().unwrap();
    let fault = get(&Client::default(), &url).await.unwrap_err();
    assert_eq!(fault.class(), Class::Connect);
    let error = fault.of(&Method::GET, &url).to_string();
    assert_eq!(
        error,
        "GET http://no-such-name.invalid/: failed to connect to no-such-name.invalid:80: its name was not resolved"
    );
}

#[tokio::test(flavor = "local")]
async fn the_request_timeout_ends_a_stall_in_the_head_and_in_the_body() {
    for beginning in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"] {
        let (closed, client_closed) = oneshot::channel();
        let closed = Rc::new(std::cell::Cell::new(Some(closed)));
        let server = Server::start(move |mut peer, _| {
            let closed = Rc::clone(&closed);
            async move {
                peer.request().await.unwrap();
                peer.write(beginning).await;
                assert!(peer.request().await.is_none());
                closed.take().unwrap().send(()).unwrap();
            }
        })
        .await;
        let (client, url) = (Client::default(), server.url("/"));
        let limits = Limits { request: Duration::from_millis(20), ..LIMITS };
        let (timings, outcome) = client.exchange(outgoing(Method::GET, &url, ""), limits).await;
        assert_eq!(outcome.unwrap_err().class(), Class::Timeout);
        assert!(timings.total() >= limits.request);
        client_closed.await.unwrap();
        assert_eq!(client.pool.len(), 0);
    }
}

#[tokio::test(flavor = "local")]
async fn the_connect_timeout_ends_a_handshake_that_stalls() {
    // A listener whose queue is full answers no more connections.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await {
        filling.push(stream);
    }
    let limits = Limits { connect: Duration::from_millis(20), ..LIMITS };
    let url = url(address, "/");
    let (_, outcome) = Client::default().exchange(outgoing(Method::GET, &url, ""), limits).await;
    let fault = outcome.unwrap_err();
    assert_eq!(fault.class(), Class::Timeout);
}

#[tokio::test(flavor = "local")]
async fn a_cancelled_request_closes_its_connection() {
    let (arrived, has_arrived) = oneshot::channel();
    let (closed, client_closed) = oneshot::channel();
    let events = Rc::new(std::cell::Cell::new(Some((arrived, closed))));
    let server = Server::start(move |mut peer, number| {
        let events = Rc::clone(&events);
        async move {
            if number > 0 {
                return peer.serve(|_| ok("second")).await;
            }
            let (arrived, closed) = events.take().unwrap();
            peer.request().await.unwrap();
            arrived.send(()).unwrap();
            assert!(peer.request().await.is_none());
            closed.send(()).unwrap();
        }
    })
    .await;
    let (client, url) = (Client::default(), server.url("/"));
    tokio::select! {
        biased;
        _ = has_arrived => {}
        _ = get(&client, &url) => panic!("there is no answer"),
    }
    client_closed.await.unwrap();
    assert_eq!(client.pool.len(), 0);
    assert_eq!(get(&client, &url).await.unwrap().body, "second");
}

#[tokio::test(flavor = "local")]
async fn a_request_may_be_dropped_at_any_poll() {
    for polls in 0..12 {
        let server = Server::answering(|_| ok("whole")).await;
        let (client, url) = (Client::default(), server.url("/"));
        {
            let mut request = Box::pin(get(&client, &url));
            for _ in 0..polls {
                let done = poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx).is_ready())).await;
                if done {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(get(&client, &url).await.unwrap().body, "whole", "after {polls} polls");
    }
}

#[tokio::test(flavor = "local")]
async fn bodies_of_every_framing_are_read_whole_and_only_whole_connections_come_back() {
    let long = "x".repeat(300_000);
    let cases: [(&str, Method, String, &str, usize); 9] = [
        ("length", Method::GET, ok("hello"), "hello", 1),
        ("several reads", Method::GET, ok(&long), &long, 1),
        (
            "chunks",
            Method::GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".into(),
            "abcde",
            1,
        ),
        ("HEAD", Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".into(), "", 1),
        ("204", Method::GET, "HTTP/1.1 204 No Content\r\n\r\n".into(), "", 1),
        ("304", Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".into(), "", 1),
        ("1xx first", Method::GET, format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{}", ok("late")), "late", 1),
        (
            "told to close",
            Method::GET,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye".into(),
            "bye",
            0,
        ),
        ("HTTP/1.0", Method::GET, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold".into(), "old", 0),
    ];
    for (name, method, answer, body, kept) in cases {
        let server = Server::answering(move |_| answer.clone()).await;
        let (client, url) = (Client::default(), server.url("/"));
        for round in 1..=2 {
            let reply = send(&client, method.clone(), &url).await.unwrap();
            assert!(reply.body == body, "{name}, round {round}: {} bytes", reply.body.len());
            assert_eq!(client.pool.len(), kept, "{name}, round {round}");
        }
        assert_eq!(server.accepted(), if kept == 1 { 1 } else { 2 }, "{name}");
    }
}

#[tokio::test(flavor = "local")]
async fn a_body_may_end_with_the_connection() {
    let server = Server::start(|mut peer, _| async move {
        peer.request().await.unwrap();
        peer.write("HTTP/1.1 200 OK\r\n\r\nuntil the end").await;
    })
    .await;
    let client = Client::default();
    assert_eq!(get(&client, &server.url("/")).await.unwrap().body, "until the end");
    assert_eq!(client.pool.len(), 0);
}

#[tokio::test(flavor = "local")]
async fn a_body_that_breaks_off_and_an_answer_that_is_not_http_have_their_classes() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Class::Body),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Class::Body),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", Class::Protocol),
        ("HTTP/1.1 200", Class::Closed),
    ];
    for (answer, class) in cases {
        let server = Server::start(move |mut peer, _| async move {
            peer.request().await.unwrap();
            peer.write(answer).await;
        })
        .await;
        let client = Client::default();
        assert_eq!(get(&client, &server.url("/")).await.unwrap_err().class(), class, "{answer}");
        assert_eq!(client.pool.len(), 0);
    }
}

#[tokio::test(flavor = "local")]
async fn bytes_after_a_response_keep_its_connection_from_being_used_again() {
    let server = Server::answering(|_| ok("one") + "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled").await;
    let (client, url) = (Client::default(), server.url("/"));
    for _ in 0..3 {
        assert_eq!(get(&client, &url).await.unwrap().body, "one");
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test(flavor = "local")]
async fn idle_connections_are_swept_and_the_sweeper_goes_with_the_last() {
    let (closed, client_closed) = oneshot::channel();
    let closed = Rc::new(std::cell::Cell::new(Some(closed)));
    let server = Server::start(move |mut peer, _| {
        let closed = Rc::clone(&closed);
        async move {
            peer.serve(|_| ok("")).await;
            closed.take().unwrap().send(()).unwrap();
        }
    })
    .await;
    let client = Client::new(
        Policy { idle_timeout: Duration::from_millis(20), ..Policy::default() },
        Rc::default(),
        Rc::default(),
    );
    assert!(!client.pool.is_sweeping());
    get(&client, &server.url("/")).await.unwrap();
    assert!(client.pool.is_sweeping());
    client_closed.await.unwrap();
    assert_eq!(client.pool.len(), 0);
    assert!(!client.pool.is_sweeping());
}

/// A server that keeps idle connections for 50 ms, and tells which requests it has seen.
async fn close_after_50_ms(listener: TcpListener, seen: mpsc::Sender<String>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let seen = seen.clone();
        tokio::task::spawn_local(async move {
            let mut peer = Peer::new(stream);
            let mut next = peer.request().await;
            while let Some(received) = next {
                seen.send(received.text().to_owned()).unwrap();
                peer.ok("").await;
                next = timeout(Duration::from_millis(50), peer.request()).await.unwrap_or(None);
            }
        });
    }
}

#[tokio::test(flavor = "local")]
async fn the_keep_alive_race_is_rare_and_never_doubles_a_request() {
    const TASKS: usize = 250;
    const EACH: usize = 40;

    let (seen, requests) = mpsc::channel();
    let (bound, address) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            bound.send(listener.local_addr().unwrap()).unwrap();
            tokio::select! {
                () = close_after_50_ms(listener, seen) => {}
                _ = stopped => {}
            }
        });
    });

    let client = Rc::new(Client::default());
    let url = Rc::new(url(address.await.unwrap(), "/"));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (client, url) = (Rc::clone(&client), Rc::clone(&url));
            tokio::task::spawn_local(async move {
                // Journeys do not start all at once.
                sleep(Duration::from_micros(200 * task as u64)).await;
                let mut failed = 0;
                for request in 0..EACH {
                    let number = task * EACH + request;
                    let (_, outcome) = client.exchange(outgoing(Method::POST, &url, number.to_string()), LIMITS).await;
                    if let Err(fault) = outcome {
                        assert_eq!(fault.class(), Class::Closed, "{fault:?}");
                        failed += 1;
                    }
                    // 45 to 55 ms, in steps of some microseconds.
                    let pause = Duration::from_micros(45_000 + (number as u64 * 7_919) % 10_000);
                    sleep(pause).await;
                }
                failed
            })
        })
        .collect();
    let begun = Moment::now();
    let mut failed = 0;
    for task in tasks {
        failed += task.await.unwrap();
    }
    eprintln!("{failed} of {} failed in {:?}", TASKS * EACH, begun.elapsed());
    drop(stop);
    server.join().unwrap();

    let mut times: HashMap<String, usize> = HashMap::new();
    for request in requests {
        *times.entry(request).or_default() += 1;
    }
    assert!(times.values().all(|&times| times == 1), "a request was received twice");
    assert!(times.len() + failed >= TASKS * EACH, "a request succeeded that the server never saw");
    assert!(failed <= TASKS * EACH / 200, "{failed} of {} failed", TASKS * EACH);
}

fn policy(change: impl FnOnce(&mut Policy)) -> Client {
    let mut policy = Policy::default();
    change(&mut policy);
    Client::new(policy, Rc::default(), Rc::default())
}

#[tokio::test(flavor = "local")]
async fn no_more_connections_than_allowed_and_the_first_come_is_the_first_served() {
    const REQUESTS: usize = 20;
    let open = Rc::new(std::cell::RefCell::new((0, 0)));
    let order = Rc::new(std::cell::RefCell::new(Vec::new()));
    let server = Server::start({
        let (open, order) = (Rc::clone(&open), Rc::clone(&order));
        move |mut peer, _| {
            let (open, order) = (Rc::clone(&open), Rc::clone(&order));
            async move {
                {
                    let (now, most) = &mut *open.borrow_mut();
                    *now += 1;
                    *most = (*most).max(*now);
                }
                peer.serve(|received| {
                    order.borrow_mut().push(received.line().to_owned());
                    ok("")
                })
                .await;
                open.borrow_mut().0 -= 1;
            }
        }
    })
    .await;
    let client = Rc::new(policy(|policy| policy.most_per_origin = NonZeroU32::new(1)));
    let requests: Vec<_> = (0..REQUESTS)
        .map(|number| {
            let (client, url) = (Rc::clone(&client), server.url(&format!("/{number:02}")));
            tokio::task::spawn_local(async move { get(&client, &url).await })
        })
        .collect();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert_eq!((server.accepted(), open.borrow().1), (1, 1));
    assert!(order.borrow().is_sorted(), "{order:?}");
}

#[tokio::test(flavor = "local")]
async fn a_request_that_fails_or_is_given_up_makes_room_for_the_next() {
    let server = Server::start(|mut peer, number| async move {
        let _ = peer.request().await;
        if number == 2 {
            peer.ok("at last").await;
        } else if number == 1 {
            // Until the client gives up.
            let _ = peer.request().await;
        }
    })
    .await;
    let client = Rc::new(policy(|policy| policy.most_per_origin = NonZeroU32::new(1)));
    let url = server.url("/");
    let given_up = Limits { request: Duration::from_millis(50), ..LIMITS };
    let (first, second, third) = tokio::join!(
        get(&client, &url),
        client.exchange(outgoing(Method::GET, &url, ""), given_up),
        get(&client, &url),
    );
    assert_eq!(first.unwrap_err().class(), Class::Closed);
    assert_eq!(second.1.unwrap_err().class(), Class::Timeout);
    assert_eq!(third.unwrap().body, "at last");
}

#[tokio::test(flavor = "local")]
async fn a_connection_is_used_as_often_as_the_policy_says() {
    let table = [
        // Requests per connection, connections for six requests.
        (policy(|policy| policy.most_requests = NonZeroU32::new(1)), 6, None),
        (policy(|policy| policy.most_requests = NonZeroU32::new(2)), 3, None),
        (policy(|policy| policy.most_requests = NonZeroU32::new(4)), 2, None),
        (policy(|policy| policy.connections = Connections::PerRequest), 6, Some("close")),
        (policy(|_| {}), 1, None),
    ];
    for (client, connections, said) in table {
        let server = Server::answering(move |received| ok(received.header("connection").unwrap_or("nothing"))).await;
        for _ in 0..6 {
            let reply = get(&client, &server.url("/")).await.unwrap();
            assert_eq!(reply.body, said.unwrap_or("nothing"));
        }
        assert_eq!(server.accepted(), connections);
    }
}
