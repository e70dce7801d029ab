//! Connections to servers in this process: which addresses they go to, whence they come, and through what.

use std::{
    cell::RefCell,
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
};

use futures::FutureExt;
use http::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    AddressSelection, Dns, IpPreference, Settings,
    peers::{Peer as Client, Server, ask, nobody, ok, outgoing},
    transport::Connection,
};

fn connector(settings: &Settings) -> Connector {
    assert_eq!(settings.mistake, None);
    Connector::new(settings.network().cloned().unwrap_or_default())
}

/// What came of one request over a connection of its own.
#[derive(Debug)]
struct Got {
    body: String,
    remote: Option<SocketAddr>,
    timings: Timings,
}

/// Asks as the client does: of a proxy in the way that it wants.
async fn get(connector: &Connector, url: &str) -> Result<Got, Fault> {
    let url: Url = url.parse().unwrap();
    let mut timings = Timings::starting(Instant::now());
    connector.prepare(&url).await?;
    let opened = connector.connect(&url, Duration::from_mins(1), &mut timings).await?;
    assert_eq!(opened.version, Version::HTTP_11);
    let mut connection = Connection::start(opened, &Rc::default()).await?;
    let body = String::from_utf8(ask(&mut connection, &outgoing(Method::GET, &url, "")).await?.to_vec()).unwrap();
    assert!(connection.is_alive(), "it has been read to its end");
    Ok(Got { body, remote: connection.remote(), timings })
}

async fn failure(settings: &Settings, url: &str) -> (Class, String, String) {
    let fault = get(&connector(settings), url).await.unwrap_err();
    let class = fault.class();
    let error = fault.of_none();
    let cause = std::error::Error::source(&error).map_or(String::new(), ToString::to_string);
    (class, error.to_string(), cause)
}

/// A listener on each of these loopback addresses, all on one port; or none, where the machine has but one of them.
async fn on_one_port(ips: &[&str]) -> Option<Vec<TcpListener>> {
    'ports: loop {
        let first = TcpListener::bind((ips[0], 0)).await.ok()?;
        let port = first.local_addr().unwrap().port();
        let mut all = vec![first];
        for ip in &ips[1..] {
            match TcpListener::bind((*ip, port)).await {
                Ok(listener) => all.push(listener),
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => continue 'ports,
                Err(_) => return None,
            }
        }
        return Some(all);
    }
}

/// Answers every request on `listener` with the address of its client.
fn tell_whence(listener: TcpListener) -> tokio::task::JoinHandle<()> {
    tokio::task::spawn_local(async move {
        loop {
            let (stream, client) = listener.accept().await.unwrap();
            tokio::task::spawn_local(async move { Client::new(stream).serve(|_| ok(&client.ip().to_string())).await });
        }
    })
}

#[tokio::test(flavor = "local")]
async fn a_name_goes_where_the_session_says() {
    let server = Server::answering(|received| ok(received.header("host").unwrap())).await;
    let (refusing, _bound) = nobody();
    let port = server.address.port();
    let table = [
        (Settings::new().resolve("a.test", [server.address]), "http://a.test/", "a.test"),
        (Settings::new().resolve("a.test:81", [server.address]), "http://a.test:81/", "a.test:81"),
        // The last word counts.
        (Settings::new().resolve("a.test", [refusing]).resolve("a.test", [server.address]), "http://a.test/", "a.test"),
        // The next address is tried.
        (Settings::new().resolve("a.test", [refusing, server.address]), "http://a.test/", "a.test"),
        (Settings::new().resolve("192.0.2.1", [server.address]), "http://192.0.2.1/", "192.0.2.1"),
    ];
    for (settings, url, host) in table {
        let got = get(&connector(&settings), url).await.unwrap();
        assert_eq!((got.body.as_str(), got.remote), (host, Some(server.address)));
        assert!(got.timings.dns().is_none() && got.timings.connect().is_some(), "nobody was asked: {:?}", got.timings);
    }
    let zero = Settings::new().resolve("a.test", [SocketAddr::new(server.address.ip(), 0)]);
    get(&connector(&zero), &format!("http://a.test:{port}/")).await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn addresses_take_turns() {
    let Some(listeners) = on_one_port(&["127.0.0.1", "127.0.0.2"]).await else { return };
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let servers: Vec<_> = listeners.into_iter().map(tell_whence).collect();
    let of = |selection| Settings::new().resolve("a.test", addresses.clone()).address_selection(selection);

    let connector_in_turn = connector(&of(AddressSelection::RoundRobin));
    let mut remotes = Vec::new();
    for _ in 0..4 {
        remotes.push(get(&connector_in_turn, "http://a.test/").await.unwrap().remote.unwrap());
    }
    assert_ne!(remotes[0], remotes[1]);
    assert_eq!(remotes[..2], remotes[2..]);

    let connector_by_first = connector(&of(AddressSelection::First));
    for _ in 0..3 {
        assert_eq!(get(&connector_by_first, "http://a.test/").await.unwrap().remote, Some(addresses[0]));
    }

    // One that is not there costs no request.
    servers[0].abort();
    for _ in 0..3 {
        while TcpStream::connect(addresses[0]).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(get(&connector_in_turn, "http://a.test/").await.unwrap().remote, Some(addresses[1]));
    }
    servers[1].abort();
}

#[tokio::test(flavor = "local")]
async fn a_lookup_is_timed_and_one_that_was_kept_is_not() {
    let server = Server::answering(|_| ok("")).await;
    let url = format!("http://localhost:{}/", server.address.port());
    for (dns, later) in [(Dns::EachConnection, true), (Dns::Once, false), (Dns::Ttl(Duration::from_secs(3_600)), false)]
    {
        let connector = connector(&Settings::new().dns(dns).ip_preference(IpPreference::V4Only));
        assert!(get(&connector, &url).await.unwrap().timings.dns().is_some(), "{dns:?}");
        assert_eq!(get(&connector, &url).await.unwrap().timings.dns().is_some(), later, "{dns:?}");
    }
}

#[tokio::test(flavor = "local")]
async fn a_name_without_an_address_of_the_family_says_so() {
    let to = |preference| Settings::new().resolve("a.test", ["127.0.0.1:1".parse().unwrap()]).ip_preference(preference);
    let (class, error, cause) = failure(&to(IpPreference::V6Only), "http://a.test/").await;
    assert_eq!(class, Class::Connect);
    assert_eq!(error, "failed to connect to a.test:80: its name was not resolved");
    assert_eq!(cause, "the name has no IPv6 address");
}

#[tokio::test(flavor = "local")]
async fn connections_come_from_the_sources_in_turn() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tell_whence(listener);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();

    let from_one = connector(&Settings::new().source_address(ip("127.0.0.1")));
    assert_eq!(get(&from_one, &url).await.unwrap().body, "127.0.0.1");

    let sources = ["127.0.0.2", "::1", "127.0.0.3"].map(ip);
    // Not every system has all of 127.0.0.0/8.
    if std::net::TcpListener::bind("127.0.0.3:0").is_ok() {
        let in_turn = connector(&Settings::new().source_addresses(sources));
        for expected in ["127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3"] {
            assert_eq!(get(&in_turn, &url).await.unwrap().body, expected);
        }
    }

    let (class, error, _) = failure(&Settings::new().source_address(ip("::1")), &url).await;
    assert!(class == Class::Connect && error.contains("none of the session's source addresses"), "{error}");
    let (class, error, cause) = failure(&Settings::new().source_address(ip("192.0.2.1")), &url).await;
    assert!(class == Class::Connect && error.contains("from 192.0.2.1: that is no address of this"), "{error} {cause}");
    server.abort();
}

#[tokio::test(flavor = "local")]
async fn plain_http_is_passed_on_by_a_proxy() {
    let proxy = Server::answering(|received| {
        let asks = received.header("proxy-authorization").unwrap_or("nobody");
        ok(&format!("{} {} {asks}", received.line(), received.header("host").unwrap()))
    })
    .await;
    for (url, asks) in [
        (format!("http://{}", proxy.address), "nobody"),
        (format!("ann:secret@{}", proxy.address), "Basic YW5uOnNlY3JldA=="),
    ] {
        let connector = connector(&Settings::new().proxy(url));
        let got = get(&connector, "http://a.test:81/path?q=1").await.unwrap();
        assert_eq!(got.body, format!("GET http://a.test:81/path?q=1 HTTP/1.1 a.test:81 {asks}"));
        assert_eq!(got.remote, Some(proxy.address));
        assert!(got.timings.connect().is_some() && got.timings.dns().is_none());
    }
}

#[tokio::test(flavor = "local")]
async fn the_environments_proxy_is_used_unless_told_otherwise() {
    let proxy = Server::answering(|_| ok("proxy")).await;
    let server = Server::answering(|_| ok("server")).await;
    let named = proxy.address.to_string();
    let environment = Box::leak(Box::new(Environment::read(|name| (name == "http_proxy").then(|| named.clone()))));
    let url = server.url("/").to_string();
    for (settings, answers) in [(Settings::new(), "proxy"), (Settings::new().no_proxy(), "server")] {
        let network = settings.network().cloned().unwrap_or_default();
        let connector = Connector::with_environment(network, environment);
        assert_eq!(get(&connector, &url).await.unwrap().body, answers);
    }

    let broken = Box::leak(Box::new(Environment::read(|name| (name == "http_proxy").then(|| "ftp://p".to_owned()))));
    let fault = get(&Connector::with_environment(Arc::default(), broken), &url).await.unwrap_err();
    assert_eq!(fault.class(), Class::Connect);
    let error = fault.of_none().to_string();
    assert!(error.contains("the environment's http_proxy: `ftp` is no kind of proxy"), "{error}");
}

#[tokio::test(flavor = "local")]
async fn a_proxy_that_is_not_there_is_named() {
    let (address, _bound) = nobody();
    for (scheme, url) in [("http", "http://a.test/"), ("socks5h", "http://a.test/"), ("http", "https://a.test/")] {
        let settings = Settings::new().proxy(format!("{scheme}://ann:secret@{address}"));
        let connector = connector(&settings);
        let mut timings = Timings::starting(Instant::now());
        let url = url.parse().unwrap();
        let fault = connector.connect(&url, Duration::from_mins(1), &mut timings).await.unwrap_err();
        assert_eq!(fault.class(), Class::Connect);
        assert_eq!(fault.of_none().to_string(), format!("failed to connect to the proxy {address}"));
        assert!(timings.connect().is_none());
    }
}

#[tokio::test(flavor = "local")]
async fn a_proxy_that_stalls_is_what_the_timeout_names() {
    let proxy = Server::start(|peer, _| async move {
        let _silent = peer;
        std::future::pending::<()>().await;
    })
    .await;
    let connector = connector(&Settings::new().proxy(format!("socks5h://{}", proxy.address)));
    let mut timings = Timings::starting(Instant::now());
    let url = "http://a.test/".parse().unwrap();
    let fault = connector.connect(&url, Duration::from_millis(200), &mut timings).await.unwrap_err();
    assert_eq!(fault.class(), Class::Timeout);
    let error = fault.of_none().to_string();
    assert_eq!(error, "timeout: no connection to a.test:80 within 200ms: the proxy was still connecting");
}

#[cfg(feature = "tls")]
mod https {
    use super::*;
    use crate::tls_peers::{Authority, Setup, TlsServer};

    /// An HTTP proxy: passes `CONNECT` through to `target`, whatever it is for, unless `refusal` is to be said.
    async fn http_proxy(target: SocketAddr, refusal: Option<&'static str>) -> (SocketAddr, Asked) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Asked::default();
        let notes = Rc::clone(&asked);
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(pass_through(stream, target, refusal, Rc::clone(&notes)));
            }
        });
        (address, asked)
    }

    async fn pass_through(
        mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        target: SocketAddr,
        refusal: Option<&'static str>,
        asked: Asked,
    ) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        asked.borrow_mut().push(String::from_utf8(head).unwrap());
        let answer = refusal.unwrap_or("HTTP/1.1 200 Connection established\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        if refusal.is_none() {
            let mut onwards = TcpStream::connect(target).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut onwards).await;
        }
    }

    #[tokio::test(flavor = "local")]
    async fn https_goes_through_a_tunnel() {
        let authority = Authority::new();
        let pair = authority.issue(&["a.test"]);
        let server = TlsServer::start(Setup::new(&pair)).await;
        let (proxy, asked) = http_proxy(server.address, None).await;
        let settings = Settings::new().root_certificate(&authority.pem).proxy(format!("http://ann:secret@{proxy}"));
        let connector = connector(&settings);
        for _ in 0..2 {
            let got = get(&connector, "https://a.test/").await.unwrap();
            assert_eq!((got.body.as_str(), got.remote), ("GET / HTTP/1.1", Some(proxy)));
            assert!(got.timings.connect().is_some() && got.timings.tls().is_some());
        }
        assert_eq!(server.seen()[1].as_ref().unwrap().name.as_deref(), Some("a.test"));
        let asked = asked.borrow();
        assert_eq!(asked.len(), 2);
        let head = &asked[0];
        assert!(head.starts_with("CONNECT a.test:443 HTTP/1.1\r\n"), "{head}");
        for header in ["host: a.test:443\r\n", "proxy-authorization: basic yw5uonnly3jlda==\r\n"] {
            assert!(head.to_lowercase().contains(header), "{head}");
        }
    }

    #[tokio::test(flavor = "local")]
    async fn a_proxy_that_refuses_says_why() {
        let (nowhere, _bound) = nobody();
        let table = [
            (
                "",
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
                "asks for credentials (407 Proxy Authentication Required): put user:password@ before the host",
            ),
            (
                "ann:secret@",
                "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n",
                "does not accept the credentials in its URL",
            ),
            (
                "",
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
                "refused to connect to a.test:443: 403 Forbidden",
            ),
            ("", "HTTP/1.1 502 Bad Gateway\r\n\r\n", "refused to connect to a.test:443: 502 Bad Gateway"),
            ("", "SSH-2.0-x\r\n\r\n", "did not connect to a.test:443"),
            ("", "", "did not connect to a.test:443"),
            ("", "HTTP/1.1 200 OK\r\n\r\nand more", "did not connect to a.test:443"),
        ];
        for (credentials, answer, says) in table {
            let (proxy, asked) = http_proxy(nowhere, Some(answer)).await;
            let settings = Settings::new().proxy(format!("http://{credentials}{proxy}"));
            let (class, error, cause) = failure(&settings, "https://a.test/").await;
            assert_eq!(class, Class::Connect, "{error}");
            assert!(error.contains(&format!("the proxy {proxy} {says}")), "{error}: {cause}");
            assert!(!error.contains("secret"), "{error}");
            assert_eq!(asked.borrow().len(), 1);
        }
    }

    #[tokio::test(flavor = "local")]
    async fn the_proxy_itself_may_speak_tls() {
        let authority = Authority::new();
        let (pair, own) = (authority.issue(&["a.test"]), authority.issue(&["127.0.0.1"]));
        let server = TlsServer::start(Setup::new(&pair)).await;
        let plain = Server::answering(|received| ok(received.line())).await;
        let acceptor = Setup::new(&own).acceptor();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let asked = Asked::default();
        let notes = Rc::clone(&asked);
        let target = server.address;
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, notes) = (acceptor.clone(), Rc::clone(&notes));
                tokio::task::spawn_local(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    pass_through(stream, target, None, notes).await;
                });
            }
        });
        let settings = Settings::new().root_certificate(&authority.pem).proxy(format!("https://{proxy}"));
        let got = get(&connector(&settings), "https://a.test/").await.unwrap();
        assert_eq!(got.body, "GET / HTTP/1.1");
        assert!(asked.borrow()[0].starts_with("CONNECT a.test:443 HTTP/1.1\r\n"));
        assert_eq!(server.seen().len(), 1);
        drop(plain);

        let (class, error, _) = failure(&Settings::new().proxy(format!("https://{proxy}")), "https://a.test/").await;
        assert!(class == Class::Tls && error.contains(&format!("with the proxy {proxy}: ")), "{error}");
    }

    #[tokio::test(flavor = "local")]
    async fn plain_http_is_passed_on_by_a_proxy_that_speaks_tls() {
        let authority = Authority::new();
        let own = authority.issue(&["127.0.0.1"]);
        let proxy = TlsServer::start(Setup::new(&own)).await;
        let settings = Settings::new().root_certificate(&authority.pem).proxy(format!("https://{}", proxy.address));
        let got = get(&connector(&settings), "http://a.test/path").await.unwrap();
        assert_eq!(got.body, "GET http://a.test/path HTTP/1.1");
        assert!(got.timings.tls().is_none(), "the server's is the handshake that is timed");
    }

    #[cfg(unix)]
    #[tokio::test(flavor = "local")]
    async fn a_unix_socket_may_speak_tls() {
        let authority = Authority::new();
        let pair = authority.issue(&["a.test"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let acceptor = Setup::new(&pair).acceptor();
        tokio::task::spawn_local(async move {
            let (stream, _) = listener.accept().await.unwrap();
            crate::tls_peers::serve(acceptor, stream, Rc::default()).await;
        });
        let settings = Settings::new().unix_socket(&path).root_certificate(&authority.pem);
        let got = get(&connector(&settings), "https://a.test/").await.unwrap();
        assert_eq!((got.body.as_str(), got.remote), ("GET / HTTP/1.1", None));
        assert!(got.timings.tls().is_some());
    }
}

/// What a proxy was asked.
type Asked = Rc<RefCell<Vec<String>>>;

/// A SOCKS5 server that tells what it was asked, and connects to `target`, or answers with the code `refusal`.
async fn socks_proxy(target: SocketAddr, wants_password: bool, refusal: u8) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let notes = Rc::clone(&asked);
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let notes = Rc::clone(&notes);
            tokio::task::spawn_local(async move {
                // A client that has gone is part of some tests.
                let _ = socks(stream, target, wants_password, refusal, notes).await;
            });
        }
    });
    (address, asked)
}

async fn text(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8(bytes).unwrap())
}

async fn socks(
    mut stream: TcpStream,
    target: SocketAddr,
    wants_password: bool,
    refusal: u8,
    asked: Asked,
) -> std::io::Result<()> {
    assert_eq!(stream.read_u8().await?, 5);
    let mut methods = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut methods).await?;
    let method = if wants_password { 2 } else { 0 };
    if !methods.contains(&method) {
        return stream.write_all(&[5, 0xff]).await;
    }
    stream.write_all(&[5, method]).await?;
    let mut note = String::new();
    if wants_password {
        assert_eq!(stream.read_u8().await?, 1);
        let (user, password) = (text(&mut stream).await?, text(&mut stream).await?);
        let known = user == "ann" && password == "secret";
        stream.write_all(&[1, u8::from(!known)]).await?;
        if !known {
            return Ok(());
        }
        note = format!("{user} ");
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    assert_eq!(head[..3], [5, 1, 0]);
    let host = match head[3] {
        1 => Ipv4Addr::from(stream.read_u32().await?).to_string(),
        3 => text(&mut stream).await?,
        other => panic!("an address of type {other}"),
    };
    let port = stream.read_u16().await?;
    asked.borrow_mut().push(format!("{note}{host}:{port}"));
    stream.write_all(&[5, refusal, 0, 1, 127, 0, 0, 1, 0, 0]).await?;
    if refusal == 0 {
        let mut onwards = TcpStream::connect(target).await?;
        copy_bidirectional(&mut stream, &mut onwards).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "local")]
async fn socks_is_asked_for_names_or_for_addresses() {
    let server = Server::answering(|received| ok(received.line())).await;
    let table = [
        ("socks5h://", false, "a.test:81"),
        ("socks5h://ann:secret@", true, "ann a.test:81"),
        // The name is resolved here.
        ("socks5://", false, "10.0.0.7:8081"),
        ("socks5://ann:secret@", true, "ann 10.0.0.7:8081"),
    ];
    for (url, wants_password, told) in table {
        let (proxy, asked) = socks_proxy(server.address, wants_password, 0).await;
        let settings =
            Settings::new().proxy(format!("{url}{proxy}")).resolve("a.test", ["10.0.0.7:8081".parse().unwrap()]);
        let connector = connector(&settings);
        let got = get(&connector, "http://a.test:81/path").await.unwrap();
        // The request is one to the server.
        assert_eq!((got.body.as_str(), got.remote), ("GET /path HTTP/1.1", Some(proxy)));
        assert!(got.timings.connect().is_some() && got.timings.dns().is_none());
        assert_eq!(*asked.borrow(), [told], "{url}");
        get(&connector, "http://192.0.2.1/").await.unwrap();
        assert!(asked.borrow()[1].ends_with("192.0.2.1:80"), "{:?}", asked.borrow());
    }
    let (proxy, asked) = socks_proxy(server.address, false, 0).await;
    let settings = Settings::new().proxy(format!("socks5://{proxy}")).ip_preference(IpPreference::V4Only);
    let got = get(&connector(&settings), "http://localhost:81/").await.unwrap();
    assert!(got.timings.dns().is_some());
    assert_eq!(*asked.borrow(), ["127.0.0.1:81"]);
}

#[tokio::test(flavor = "local")]
async fn a_socks_proxy_that_refuses_says_why() {
    let (nowhere, _bound) = nobody();
    let table = [
        ("", true, 0, "asks for credentials", "no acceptable way to sign in"),
        ("ann:wrong@", true, 0, "does not accept the credentials in its URL", "user and password not accepted"),
        ("", false, 2, "refused to connect to a.test:80", "connection not allowed by its rules"),
        ("", false, 5, "refused to connect to a.test:80", "connection refused"),
    ];
    for (credentials, wants_password, refusal, says, why) in table {
        let (proxy, _) = socks_proxy(nowhere, wants_password, refusal).await;
        let settings = Settings::new().proxy(format!("socks5h://{credentials}{proxy}"));
        let (class, error, cause) = failure(&settings, "http://a.test/").await;
        assert_eq!(class, Class::Connect);
        assert!(error.starts_with(&format!("the proxy {proxy} {says}")) && cause == why, "{error}: {cause}");
        assert!(!error.contains("wrong"), "{error}");
    }
    let web = Server::start(|mut peer, _| async move {
        peer.write("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        peer.request().await;
    })
    .await;
    let settings = Settings::new().proxy(format!("socks5://{}", web.address));
    let (_, error, _) = failure(&settings, "http://192.0.2.1/").await;
    assert_eq!(error, format!("the proxy {} does not speak SOCKS5", web.address));
}

#[cfg(unix)]
#[tokio::test(flavor = "local")]
async fn a_unix_socket_serves_every_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::task::spawn_local(async move {
                Client::new(stream).serve(|received| ok(received.header("host").unwrap())).await;
            });
        }
    });
    let connector = connector(&Settings::new().unix_socket(&path));
    for host in ["docker", "a.test:81"] {
        let got = get(&connector, &format!("http://{host}/")).await.unwrap();
        assert_eq!((got.body.as_str(), got.remote), (host, None));
        assert!(got.timings.connect().is_some() && got.timings.dns().is_none());
    }
    server.abort();

    let missing = folder.path().join("none");
    let (class, error, cause) = failure(&Settings::new().unix_socket(&missing), "http://docker/").await;
    assert_eq!(class, Class::Connect);
    assert_eq!(error, format!("failed to connect to the Unix socket {} for docker:80", missing.display()));
    assert!(cause.contains("No such file"), "{cause}");
}

#[tokio::test(flavor = "local")]
async fn a_lookup_has_a_limit_of_its_own() {
    let never = within(Some(Duration::from_millis(5)), std::future::pending::<Result<(), Fault>>(), || "that".into());
    let fault = never.await.unwrap_err();
    assert_eq!(fault.class(), Class::Timeout);
    assert_eq!(fault.of_none().to_string(), "timeout: that was not done within 5ms");

    let settings = Settings::new().dns_timeout(Duration::from_millis(5));
    for dns in [Dns::EachConnection, Dns::Once] {
        let mut connector = connector(&settings);
        connector.resolver = Rc::new(Resolver::with(dns, |_| std::future::pending().boxed_local()));
        let fault = get(&connector, "http://a.test/").await.unwrap_err();
        assert_eq!(fault.class(), Class::Timeout);
        let error = fault.of_none().to_string();
        assert_eq!(error, "timeout: resolving the name of a.test:80 was not done within 5ms");
    }
}
