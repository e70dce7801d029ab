//! nginx: keep-alive and its limits, connections by policy, bodies both ways, statuses, a proxy before a slow service.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, mpsc},
    time::Duration,
};

use mite_core::{Context, ensure};
use mite_http::{Connections, HttpContext, Settings, StatusCode, Version};

use crate::common::{
    LONG, at_once, in_turn,
    nginx::{Logged, Nginx, connections},
    outcomes, passed, ran,
    scripted::{Scripted, ok},
    total,
};

const HELLO: &str = "server { listen 127.0.0.1:@PORT0@; location / { return 200 hello; } }";

/// nginx with these servers, and nothing in its folder.
fn start(servers: &str) -> Option<Nginx> {
    Nginx::start(servers, |_| ())
}

/// A journey that asks for `url` so many times, one after the other, and is answered each time.
fn asks(url: String, times: u64, settings: Settings) -> impl AsyncFn(&mut Context) -> mite_core::Result + Clone + Send {
    async move |ctx: &mut Context| {
        let ctx = ctx.http_session(settings.clone());
        for _ in 0..times {
            let response = ctx.http().get(&url).await?.error_for_status()?;
            ensure!(response.text()? == "hello" && response.version() == Version::HTTP_11);
        }
        Ok(())
    }
}

#[test]
fn a_connection_is_left_when_the_server_says_that_it_was_the_last_request() {
    let Some(nginx) = start(&format!("keepalive_requests 5; {HELLO}")) else { return };
    let report = passed(in_turn(3, asks(nginx.url("/"), 20, crate::common::settings())));
    let log = nginx.end();
    assert_eq!(outcomes(&report), [("GET", 200, None, 60)]);
    assert_eq!(total(&report, |row| row.bytes), log.iter().map(|logged| logged.sent).sum::<u64>());
    assert_eq!(total(&report, |row| row.connect.count()), 12);
    assert_eq!(connections(&log).values().collect::<Vec<_>>(), [&5; 12]);
}

#[test]
fn connections_that_the_server_has_closed_meanwhile_are_left_alone() {
    let Some(nginx) = start(&format!("keepalive_timeout 1s; {HELLO}")) else { return };
    let url = nginx.url("");
    let run = at_once(10, 10, async move |ctx: &mut Context| {
        for path in ["/before", "/after"] {
            ctx.http().get(format!("{url}{path}")).await?.error_for_status()?;
            // Longer than the server keeps a connection, however late it is.
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        Ok(())
    });
    let report = passed(run);
    let log = nginx.end();
    assert_eq!(outcomes(&report), [("GET", 200, None, 20)]);
    assert_eq!(log.len(), 20);
    assert_eq!(total(&report, |row| row.connect.count()), connections(&log).len() as u64);
    // What one of them has just used, another may; but what was used before the pause is closed.
    let used = |path: &str| {
        log.iter().filter(|logged| logged.uri == path).map(|logged| logged.connection).collect::<BTreeSet<_>>()
    };
    let (before, after) = (used("/before"), used("/after"));
    assert!(!before.is_empty() && !after.is_empty() && before.is_disjoint(&after), "{before:?}, {after:?}");
}

#[test]
fn each_policy_opens_as_many_connections_as_it_says() {
    let table = [
        // The policy, and the connections of five journeys with four requests each.
        (crate::common::settings(), 1),
        (crate::common::settings().connections(Connections::PerJourney), 5),
        (crate::common::settings().connections(Connections::PerRequest), 20),
        (crate::common::settings().max_requests_per_connection(3), 7),
    ];
    for (settings, expected) in table {
        let status = "server { listen 127.0.0.1:@PORT1@; access_log off; location / { stub_status; } }";
        let Some(nginx) = start(&format!("{HELLO} {status}")) else { return };
        let before = accepted(&nginx);
        let report = passed(in_turn(5, asks(nginx.url("/"), 4, settings.clone())));
        // The second look at the account is itself a connection.
        let accepted = accepted(&nginx) - before - 1;
        let log = nginx.end();
        assert_eq!(outcomes(&report), [("GET", 200, None, 20)]);
        let counts = (total(&report, |row| row.connect.count()), accepted, connections(&log).len() as u64);
        assert_eq!(counts, (expected, expected, expected), "{settings:?}");
    }
}

/// How many connections nginx has accepted, this one included.
fn accepted(nginx: &Nginx) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", nginx.port(1))).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut status = String::new();
    stream.read_to_string(&mut status).unwrap();
    let mut figures = status.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1).unwrap().split(' ');
    figures.find(|figure| !figure.is_empty()).unwrap().parse().unwrap()
}

#[test]
fn large_bodies_go_both_ways_and_sizes_agree() {
    const SIZE: usize = 10_000_000;
    let servers = "server { listen 127.0.0.1:@PORT0@; root @FOLDER@;
            location /up { client_body_in_file_only on; proxy_pass http://127.0.0.1:@PORT1@; } }
        server { listen 127.0.0.1:@PORT1@; access_log off; location / { return 201 kept; } }";
    let file: Vec<u8> = (0..SIZE).map(|at| at.to_le_bytes()[at % 3]).collect();
    let Some(nginx) = Nginx::start(servers, |folder| fs::write(folder.join("down"), &file).unwrap()) else { return };
    let (down, up, body) = (nginx.url("/down"), nginx.url("/up"), file.clone());
    let report = passed(in_turn(3, async move |ctx: &mut Context| {
        ensure!(ctx.http().get(&down).await?.bytes() == body);
        let response = ctx.http().put(&up).body(body.clone()).await?;
        ensure!(response.status() == StatusCode::CREATED && response.bytes() == "kept");
        Ok(())
    }));

    let bodies = fs::read_dir(nginx.folder().join("client_body")).unwrap();
    for body in bodies.map(|entry| fs::read(entry.unwrap().path()).unwrap()) {
        assert!(body == file, "what came is what was sent");
    }
    assert_eq!(fs::read_dir(nginx.folder().join("client_body")).unwrap().count(), 3);
    let log = nginx.end();
    assert_eq!(outcomes(&report), [("GET", 200, None, 3), ("PUT", 201, None, 3)]);
    for row in &report.requests {
        let logged: Vec<_> = log.iter().filter(|logged| logged.method == row.method).collect();
        assert_eq!(row.bytes, logged.iter().map(|logged| logged.sent).sum::<u64>());
        let sent = if row.method == "PUT" { SIZE as u64 } else { 0 };
        assert!(logged.iter().all(|logged| (sent..sent + 1000).contains(&logged.received)), "{logged:?}");
    }
}

#[test]
fn statuses_have_rows_of_their_own() {
    let servers = "server { listen 127.0.0.1:@PORT0@;
        location /200 { return 200; } location /204 { return 204; } location /404 { return 404 no; }
        location /500 { return 500; } location /closed { return 444; } }";
    let Some(nginx) = start(servers) else { return };
    let url = nginx.url("");
    let report = passed(in_turn(5, async move |ctx: &mut Context| {
        for path in ["/200", "/204", "/404", "/500", "/closed"] {
            let answer = ctx.http().get(format!("{url}{path}")).await;
            let code =
                answer.map_or_else(|error| error.class().to_owned(), |answer| answer.status().as_str().to_owned());
            ensure!(path == format!("/{code}"), "{path} was {code}");
        }
        ensure!(ctx.http().head(format!("{url}/404")).await?.bytes().is_empty());
        Ok(())
    }));
    let expected = [
        ("GET", 0, Some("closed"), 5),
        ("GET", 200, None, 5),
        ("GET", 204, None, 5),
        ("GET", 404, None, 5),
        ("GET", 500, None, 5),
        ("HEAD", 404, None, 5),
    ];
    assert_eq!(outcomes(&report), expected);
    let log = nginx.end();
    for row in &report.requests {
        // 444 is nginx's word for a connection that it closed without an answer.
        let status = if row.code == 0 { 444 } else { row.code };
        let is_row = |logged: &&Logged| logged.status == status && logged.method == row.method;
        assert_eq!(log.iter().filter(is_row).count() as u64, row.count, "{row:?}");
        assert_eq!(log.iter().filter(is_row).map(|logged| logged.sent).sum::<u64>(), row.bytes, "{row:?}");
    }
}

#[test]
fn a_slow_service_behind_the_proxy_holds_up_nobody_else() {
    let (go, going) = mpsc::channel::<()>();
    let going = Arc::new(std::sync::Mutex::new(going));
    let service = Scripted::start(move |mut peer| {
        while let Some(received) = peer.request() {
            if received.line().contains("/slow") {
                let _ = going.lock().unwrap().recv_timeout(LONG);
            }
            peer.write(ok("done"));
        }
        Some(peer)
    });
    let servers =
        format!("server {{ listen 127.0.0.1:@PORT0@; location / {{ proxy_pass http://{}; }} }}", service.address);
    let Some(nginx) = start(&servers) else { return };
    let url = nginx.url("");
    let run = at_once(10, 10, async move |ctx: &mut Context| {
        if ctx.start_index() == 0 {
            let slow = ctx.http().get(format!("{url}/slow")).timeout(Duration::from_secs(2)).await;
            let error = slow.expect_err("the service waits for the test's word");
            ensure!(error.class() == "timeout" && error.to_string().contains("2s"), "{error}");
            return Ok(());
        }
        for _ in 0..10 {
            ensure!(ctx.http().get(format!("{url}/fast")).await?.bytes() == "done");
        }
        Ok(())
    });
    let report = passed(run);
    drop(go);
    assert_eq!(outcomes(&report), [("GET", 0, Some("timeout"), 1), ("GET", 200, None, 90)]);
    let slow = report.requests.iter().find(|row| row.code == 0).unwrap();
    assert_eq!((slow.connect.count(), slow.first_byte.count(), slow.bytes), (1, 0, 0));
    let log = nginx.end();
    // 499 is nginx's word for a client that did not wait for the answer, if it had read the request by then.
    let codes = |status| log.iter().filter(|logged| logged.status == status).count();
    assert!(codes(200) == 90 && codes(499) <= 1 && log.len() == 90 + codes(499), "{log:#?}");
}

#[test]
fn a_chunked_response_through_the_proxy_is_counted_without_its_framing() {
    let service = Scripted::answering(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n4;x=y\r\n two\r\n0\r\nX-End: yes\r\n\r\n"
            .to_owned()
    });
    let servers = format!(
        "server {{ listen 127.0.0.1:@PORT0@; location / {{ proxy_http_version 1.1; proxy_pass http://{}; }} }}",
        service.address
    );
    let Some(nginx) = start(&servers) else { return };
    let url = nginx.url("/");
    let report = ran(in_turn(5, async move |ctx: &mut Context| {
        let response = ctx.http().get(&url).await?;
        ensure!(response.bytes() == "one two");
        ensure!(response.headers().get("transfer-encoding").is_some_and(|coding| coding == "chunked"));
        Ok(())
    }));
    assert!(report.passed(), "{report}");
    assert_eq!(outcomes(&report), [("GET", 200, None, 5)]);
    assert_eq!(total(&report, |row| row.bytes), 5 * "one two".len() as u64);
    assert_eq!(connections(&nginx.end()).values().collect::<Vec<_>>(), [&5]);
}
