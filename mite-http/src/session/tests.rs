//! A session against a server: cookies, headers, base, and what it refuses.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::*;
use crate::{
    peers::{Server, nobody, ok, url},
    target::Target,
};

fn session(settings: Settings) -> Session {
    Session::new(settings, Rc::new(Client::default()))
}

fn draft(method: Method, url: &Url) -> Box<Draft> {
    Box::new(Draft::to(method, Target::of(url.clone())))
}

async fn get(session: &Session, url: &Url) -> Result<Response, HttpError> {
    session.perform(draft(Method::GET, url), |_| {}).await
}

/// What the report would get: the status or the class of the error of each request that was sent, and where.
async fn perform(session: &Session, draft: Box<Draft>) -> (Vec<String>, Result<Response, HttpError>) {
    let mut told = Vec::new();
    let outcome = session
        .perform(draft, |ended| {
            assert!(ended.timings.total() > Duration::ZERO);
            let how = ended
                .outcome
                .map_or_else(|error| error.class().to_owned(), |answered| answered.head.status.as_str().to_owned());
            told.push(format!("{} {} {how}", ended.sent.method(), ended.sent.url().path()));
        })
        .await;
    (told, outcome)
}

#[tokio::test(flavor = "local")]
async fn cookies_belong_to_a_session_and_connections_to_the_worker() {
    let server = Server::answering(|received| {
        let cookies = received.header("cookie").unwrap_or("none").to_owned();
        format!("HTTP/1.1 200 OK\r\nSet-Cookie: id=7; Path=/\r\nContent-Length: {}\r\n\r\n{cookies}", cookies.len())
    })
    .await;
    let client = Rc::new(Client::default());
    for _ in 0..2 {
        let session = Session::new(Settings::new(), Rc::clone(&client));
        assert_eq!(get(&session, &server.url("/")).await.unwrap().text().unwrap(), "none");
        assert_eq!(get(&session, &server.url("/")).await.unwrap().text().unwrap(), "id=7");
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test(flavor = "local")]
async fn a_request_arrives_as_it_was_built() {
    let server = Server::answering(|received| {
        assert_eq!(received.line(), "POST /users?notify=no HTTP/1.1");
        assert_eq!(received.header("content-type"), Some("application/json"));
        assert_eq!(received.header("x-session"), Some("1"));
        assert_eq!(received.header("transfer-encoding"), None);
        ok(received.text())
    })
    .await;
    let mut draft = draft(Method::POST, &server.url("/users"));
    draft.query(&[("notify", "no")]).unwrap();
    draft.json(&json!({"username": "ann"})).unwrap();
    let (told, outcome) = perform(&session(Settings::new().header("x-session", "1")), draft).await;
    assert_eq!(told, ["POST /users 200"]);
    assert_eq!(outcome.unwrap().text().unwrap(), r#"{"username":"ann"}"#);
}

#[tokio::test(flavor = "local")]
async fn an_error_names_the_request_and_counts_with_its_class() {
    let (address, _bound) = nobody();
    let url = url(address, "/x");
    let (told, outcome) = perform(&session(Settings::new()), draft(Method::POST, &url)).await;
    assert_eq!(told, ["POST /x connect"]);
    let error = outcome.unwrap_err();
    let address = &url[url::Position::BeforeHost..url::Position::AfterPort];
    assert_eq!(error.to_string(), format!("POST http://{address}/x: failed to connect to {address}"));
    assert_eq!((error.class(), error.is_connect()), ("connect", true));
}

#[tokio::test(flavor = "local")]
async fn a_redirect_that_is_not_wanted_is_returned_as_it_is() {
    let server = Server::answering(|_| redirect("302 Found", "/there")).await;
    let response = get(&session(Settings::new().no_redirects()), &server.url("/")).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], "/there");
    assert!(response.history().is_empty());
    response.error_for_status().unwrap();

    let mut draft = draft(Method::GET, &server.url("/"));
    draft.options().redirects = Some(Redirects::NotFollowed);
    assert_eq!(perform(&session(Settings::new()), draft).await.0, ["GET / 302"]);
}

fn redirect(status: &str, location: &str) -> String {
    format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 4\r\n\r\ngone")
}

#[tokio::test(flavor = "local")]
async fn redirects_are_followed_and_each_is_told() {
    let server = Server::answering(|received| match received.line() {
        "POST /login HTTP/1.1" => {
            assert_eq!(received.text(), "name=ann");
            redirect("302 Found", "/welcome?a=1").replace("Location", "Set-Cookie: session=7; Path=/\r\nLocation")
        }
        "GET /welcome?a=1 HTTP/1.1" => {
            assert_eq!((received.header("cookie"), received.header("content-type")), (Some("session=7"), None));
            assert_eq!((received.header("content-length"), received.header("referer")), (None, None));
            assert_eq!(received.header("x-own"), Some("1"));
            redirect("308 Permanent Redirect", "shop")
        }
        "GET /shop HTTP/1.1" => ok("shop"),
        other => panic!("{other}"),
    })
    .await;
    let mut login = draft(Method::POST, &server.url("/login#part"));
    login.form(&[("name", "ann")]).unwrap();
    login.header("x-own", "1").unwrap();
    let (told, outcome) = perform(&session(Settings::new()), login).await;
    assert_eq!(told, ["POST /login 302", "GET /welcome 308", "GET /shop 200"]);
    let response = outcome.unwrap();
    assert_eq!((response.url(), response.text().unwrap().as_str()), (&server.url("/shop#part"), "shop"));
    let hop =
        |hop: &Response| (hop.method().clone(), hop.url().path().to_owned(), hop.status().as_u16(), hop.bytes().len());
    let hops: Vec<_> = response.history().iter().map(hop).collect();
    assert_eq!(hops, [(Method::POST, "/login".into(), 302, 4), (Method::GET, "/welcome".into(), 308, 4)]);
    assert!(response.history()[0].timings().start() < response.timings().start());
    assert_eq!(server.accepted(), 1);
}

#[tokio::test(flavor = "local")]
async fn a_body_is_sent_again_where_the_status_says_so() {
    let server = Server::answering(|received| match received.line() {
        "PUT /a HTTP/1.1" => redirect("307 Temporary Redirect", "/b"),
        _ => ok(&format!("{} {} {}", received.line(), received.header("content-type").unwrap(), received.text())),
    })
    .await;
    let mut put = draft(Method::PUT, &server.url("/a"));
    put.json(&json!(1)).unwrap();
    let (_, outcome) = perform(&session(Settings::new()), put).await;
    assert_eq!(outcome.unwrap().text().unwrap(), "PUT /b HTTP/1.1 application/json 1");
}

#[tokio::test(flavor = "local")]
async fn what_was_said_in_confidence_stays_at_its_origin() {
    let confidential = ["authorization", "proxy-authorization", "cookie", "x-key", "x-session-key"];
    let list = move |received: &crate::peers::Received| {
        confidential.iter().filter(|name| received.header(name).is_some()).copied().collect::<Vec<_>>().join(" ")
    };
    let other = Server::answering(move |received| {
        assert!(received.header("host").is_some_and(|host| host != "virtual.test"));
        assert_eq!((received.header("x-plain"), received.header("x-session")), (Some("1"), Some("1")));
        match received.line() {
            "GET /back HTTP/1.1" => redirect("302 Found", received.header("x-back").unwrap()),
            "GET /own HTTP/1.1" => {
                redirect("302 Found", &format!("http://ann:pw@{}/end", received.header("host").unwrap()))
            }
            _ => ok(&list(received)),
        }
    })
    .await;
    let away = other.url("");
    let home = Server::answering(move |received| match received.line() {
        "GET /stay HTTP/1.1" => redirect("302 Found", "/home"),
        "GET /leave HTTP/1.1" => redirect("302 Found", &format!("{away}end")),
        "GET /return HTTP/1.1" => redirect("302 Found", &format!("{away}back")),
        "GET /own HTTP/1.1" => redirect("302 Found", &format!("{away}own")),
        _ => ok(&list(received)),
    })
    .await;

    let mut key = http::HeaderValue::from_static("k");
    key.set_sensitive(true);
    let session =
        session(Settings::new().header("x-session", "1").header("x-session-key", key.clone()).header("cookie", "a=1"));
    let at = |path: &str| {
        let mut url = home.url(path);
        url.set_username("ann").unwrap();
        let mut draft = draft(Method::GET, &url);
        draft.header("proxy-authorization", "Basic eA==").unwrap();
        draft.header("x-key", key.clone()).unwrap();
        draft.header("x-plain", "1").unwrap();
        draft.header("x-back", home.url("/home").as_str()).unwrap();
        draft.header("host", "virtual.test").unwrap();
        draft
    };
    let all = confidential.join(" ");
    for (path, arrived) in [("/stay", &*all), ("/leave", ""), ("/return", ""), ("/own", "authorization")] {
        let response = perform(&session, at(path)).await.1.unwrap();
        assert_eq!(response.text().unwrap(), arrived, "{path}");
        assert!(!response.url().as_str().contains("ann"), "{}", response.url());
    }
}

#[tokio::test(flavor = "local")]
async fn a_redirect_that_cannot_be_followed_is_an_error_after_its_response() {
    let server = Server::answering(|received| match received.line() {
        "GET /loop?token=1 HTTP/1.1" => redirect("302 Found", "/loop?token=1"),
        "GET /mail HTTP/1.1" => redirect("302 Found", "mailto:ann@app.test"),
        _ => ok("end"),
    })
    .await;
    let session = session(Settings::new().redirects(2));
    let (told, outcome) = perform(&session, draft(Method::GET, &server.url("/loop?token=1"))).await;
    assert_eq!(told, ["GET /loop 302"; 3]);
    let error = outcome.unwrap_err();
    assert_eq!((error.class(), error.status().unwrap().as_u16()), ("redirect", 302));
    let url = server.url("/loop?token=1");
    assert_eq!(error.to_string(), format!("GET {url}: redirected more than 2 times, at last to `{url}`"));

    let (told, outcome) = perform(&session, draft(Method::GET, &server.url("/mail"))).await;
    assert_eq!((told, outcome.unwrap_err().class()), (vec!["GET /mail 302".to_owned()], "redirect"));

    let mut none = draft(Method::GET, &server.url("/loop?token=1"));
    none.options().redirects = Some(Redirects::UpTo(0));
    assert_eq!(perform(&session, none).await.1.unwrap_err().class(), "redirect");

    let usual = self::session(Settings::new());
    let (told, outcome) = perform(&usual, draft(Method::GET, &server.url("/loop?token=1"))).await;
    assert_eq!((told.len(), outcome.unwrap_err().class()), (11, "redirect"));
}

#[tokio::test(flavor = "local")]
async fn a_hop_that_fails_is_told_as_redirected() {
    let (nobody, _bound) = nobody();
    let server = Server::answering(move |_| redirect("302 Found", &format!("http://{nobody}/x"))).await;
    let mut named = draft(Method::GET, &server.url("/users/7"));
    named.options().name = Some(crate::name::Name { text: "/users/{id}".into(), redirected: false });
    let (told, outcome) = perform(&session(Settings::new()), named).await;
    assert_eq!(told, ["GET /users/7 302", "GET /x connect"]);
    let error = outcome.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("GET http://{nobody} (redirected from /users/{{id}}): failed to connect to {nobody}")
    );
}

#[tokio::test(flavor = "local")]
async fn the_timeout_is_for_all_hops_together() {
    // Two answers fit into it.
    let (limit, each) = (Duration::from_millis(60), Duration::from_millis(25));
    let server = Server::start(move |mut peer, _| async move {
        while peer.request().await.is_some() {
            tokio::time::sleep(each).await;
            peer.write(redirect("302 Found", "/again")).await;
        }
    })
    .await;
    let (told, outcome) = perform(&session(Settings::new().timeout(limit)), draft(Method::GET, &server.url("/"))).await;
    let error = outcome.unwrap_err();
    assert!(error.is_timeout() && error.to_string().ends_with("the request was not done within 60ms"), "{error}");
    assert!(told.len() <= 3 && told.last().unwrap().ends_with(" timeout"), "{told:?}");
}

#[tokio::test(flavor = "local")]
async fn a_jar_that_is_given_outlives_the_session() {
    let server = Server::answering(|received| {
        let shown = received.header("cookie").unwrap_or("none").to_owned();
        format!("HTTP/1.1 200 OK\r\nSet-Cookie: id=7; Path=/\r\nContent-Length: {}\r\n\r\n{shown}", shown.len())
    })
    .await;
    let jar = CookieJar::new();
    for expected in ["none", "id=7"] {
        let session = session(Settings::new().cookie_jar(jar.clone()));
        assert_eq!(get(&session, &server.url("/")).await.unwrap().text().unwrap(), expected);
    }
    jar.clear();
    assert_eq!(get(&session(Settings::new().cookie_jar(jar)), &server.url("/")).await.unwrap().text().unwrap(), "none");

    let own = session(Settings::new());
    assert!(own.jar.get().is_none());
    own.jar().set(server.url("/"), "id=8").unwrap();
    assert_eq!(get(&own, &server.url("/")).await.unwrap().text().unwrap(), "id=8");
}

#[tokio::test(flavor = "local")]
async fn a_server_may_take_so_long_for_the_head_and_longer_for_the_body() {
    let limit = Duration::from_millis(200);
    let server = Server::start(move |mut peer, _| async move {
        let received = peer.request().await.unwrap();
        if received.line().starts_with("GET /never") {
            // Until the client has had enough.
            assert!(peer.request().await.is_none());
            return;
        }
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").await;
        tokio::time::sleep(limit * 2).await;
        peer.write("body").await;
    })
    .await;
    let patient = session(Settings::new().first_byte_timeout(limit));
    assert_eq!(get(&patient, &server.url("/")).await.unwrap().text().unwrap(), "body");
    let error = get(&patient, &server.url("/never")).await.unwrap_err();
    assert!(error.is_timeout());
    let what = "timeout: the head of the response was not there within 200ms of the request's end";
    assert!(error.to_string().ends_with(what), "{error}");

    let mut own = draft(Method::GET, &server.url("/never"));
    own.options().first_byte_timeout = Some(limit / 10);
    let error = perform(&patient, own).await.1.unwrap_err();
    assert!(error.to_string().contains("within 20ms"), "{error}");
}

#[test]
fn the_limits_of_a_request_come_before_those_of_its_session() {
    let seconds = Duration::from_secs;
    let settings = Settings::new().timeout(seconds(1)).connect_timeout(seconds(2)).first_byte_timeout(seconds(3));
    let mut own = draft(Method::GET, &"http://h/".parse().unwrap());
    let shown = |limits: Limits| [Some(limits.request), Some(limits.connect), limits.first_byte];
    assert_eq!(shown(settings.limits(&own)), [1, 2, 3].map(|count| Some(seconds(count))));
    assert_eq!(Settings::new().limits(&own).first_byte, None);
    own.timeout = Some(seconds(4));
    own.options().connect_timeout = Some(seconds(5));
    own.options().first_byte_timeout = Some(seconds(6));
    assert_eq!(shown(settings.limits(&own)), [4, 5, 6].map(|count| Some(seconds(count))));
}

#[tokio::test(flavor = "local")]
async fn what_was_sent_can_be_typed() {
    let server =
        Server::answering(|_| "HTTP/1.1 200 OK\r\nSet-Cookie: id=7; Path=/\r\nContent-Length: 0\r\n\r\n".to_owned())
            .await;
    let session = session(Settings::new().header("x-session", "1"));
    let mut post = draft(Method::POST, &server.url("/users?a=1"));
    post.basic_auth("ann", "pw").unwrap();
    post.json(&json!({"name": "O'Hara"})).unwrap();
    let agent = concat!("mite/", env!("CARGO_PKG_VERSION"));
    let expected = |cookie: &str| {
        format!(
            "curl -X 'POST' '{}' -H 'user-agent: {agent}' -H 'x-session: 1' -H 'authorization: Basic YW5uOnB3' \
             -H 'content-type: application/json'{cookie} --data-raw '{{\"name\":\"O'\\''Hara\"}}'",
            server.url("/users?a=1")
        )
    };
    assert_eq!(session.to_curl(&post), expected(""));
    let first = perform(&session, post.clone()).await.1.unwrap();
    assert_eq!(first.to_curl(), expected(""));
    assert_eq!(session.to_curl(&post), expected(" -H 'cookie: id=7'"));
    let second = perform(&session, post).await.1.unwrap();
    assert_eq!(second.to_curl(), expected(" -H 'cookie: id=7'"));
}

#[test]
fn a_response_goes_to_any_thread() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Response>();
    check::<Settings>();
}

#[tokio::test(flavor = "local")]
async fn timeouts_are_the_sessions_unless_the_request_has_its_own() {
    let server = Server::start(|mut peer, _| async move { while peer.request().await.is_some() {} }).await;
    let short = Duration::from_millis(10);
    let slow = get(&session(Settings::new().timeout(short)), &server.url("/")).await.unwrap_err();
    assert_eq!(slow.to_string(), format!("GET {}: timeout: the request was not done within 10ms", server.url("/")));

    let mut draft = draft(Method::GET, &server.url("/"));
    draft.timeout = Some(short);
    assert!(perform(&session(Settings::new()), draft).await.1.unwrap_err().is_timeout());
}

#[tokio::test(flavor = "local")]
async fn a_session_that_has_ended_or_has_a_mistake_sends_nothing() {
    let (address, _bound) = nobody();
    let url = url(address, "/");
    let ended = session(Settings::new());
    ended.close();
    let error = get(&ended, &url).await.unwrap_err();
    assert!(error.class() == "request" && error.to_string().contains("has ended"), "{error}");

    let mistaken = session(Settings::new().header("no name", "x").user_agent("\n"));
    let error = get(&mistaken, &url).await.unwrap_err();
    assert!(error.class() == "request" && error.to_string().contains("invalid HTTP header name"), "{error}");
}

#[test]
fn the_base_comes_from_the_configuration() {
    let based = session(Settings::new().base("app_url"));
    let base = based.base(|key| Ok(format!("http://{key}.test/api"))).unwrap();
    assert_eq!(base.as_str(), "http://app_url.test/api");
    based.base(|_| panic!("it is asked for once")).unwrap();

    let error = session(Settings::new()).base(|_| panic!("there is no key")).unwrap_err().of_none();
    assert!(error.to_string().contains("#[mite_http(base = \"app_url\")]"), "{error}");
    for wrong in ["nowhere", "ftp://h/", "http://h/?a=1", "http://h/#a"] {
        let error = session(Settings::new().base("app_url")).base(|_| Ok(wrong.into())).unwrap_err().of_none();
        assert_eq!(error.to_string(), "the session's base `app_url`");
    }
    let error = based_error("`app_url` is not in the configuration");
    assert_eq!(error, "`app_url` is not in the configuration");
}

fn based_error(cause: &str) -> String {
    let error = session(Settings::new().base("app_url")).base(|_| Err(cause.into())).unwrap_err().of_none();
    std::error::Error::source(&error).unwrap().to_string()
}

#[test]
fn only_default_settings_share_a_session() {
    let own = session(Settings::new().base("app_url"));
    assert!(own.serves(&Settings::new()));
    assert!(!own.serves(&Settings::new().base("app_url")));
    own.close();
    assert!(!own.serves(&Settings::new()));
}

#[cfg(feature = "tls")]
mod https {
    use std::sync::Arc;

    use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::{
        connector::Connector,
        network::{Network, trust::Trust},
        peers::Peer,
        policy::Policy,
    };

    struct TlsServer {
        url: Url,
        certificate: rustls::pki_types::CertificateDer<'static>,
        task: tokio::task::JoinHandle<()>,
    }

    impl TlsServer {
        async fn start(name: &str) -> Self {
            let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            let certificate = made.cert.der().clone();
            let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
            let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.clone()], key.into())
                .unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("https://127.0.0.1:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
            let task = tokio::task::spawn_local(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let acceptor = acceptor.clone();
                    tokio::task::spawn_local(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            Peer::new(stream).serve(|received| ok(received.line())).await;
                        }
                    });
                }
            });
            Self { url, certificate, task }
        }
    }

    impl Drop for TlsServer {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    fn trusting(server: &TlsServer) -> Session {
        let trust = Trust { roots: vec![server.certificate.clone()], only_roots: true, ..Trust::default() };
        let connector = Connector::new(Arc::new(Network { trust, ..Network::default() }));
        Session::new(Settings::new(), Rc::new(Client::new(Policy::default(), Rc::new(connector), Rc::default())))
    }

    #[tokio::test(flavor = "local")]
    async fn a_self_signed_certificate_is_refused() {
        let server = TlsServer::start("127.0.0.1").await;
        let error = get(&session(Settings::new()), &server.url).await.unwrap_err();
        assert_eq!(error.class(), "tls");
        assert!(error.to_string().contains("failed the TLS handshake with 127.0.0.1:"), "{error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("certificate"), "{cause}");
    }

    #[tokio::test(flavor = "local")]
    async fn a_trusted_certificate_serves_and_its_connection_is_used_again() {
        let server = TlsServer::start("127.0.0.1").await;
        let session = trusting(&server);
        let first = get(&session, &server.url).await.unwrap();
        assert_eq!(first.text().unwrap(), "GET / HTTP/1.1");
        assert!(first.timings().tls().is_some());
        for _ in 0..3 {
            let again = get(&session, &server.url).await.unwrap();
            assert!(again.timings().connect().is_none() && again.timings().tls().is_none());
        }
    }

    #[tokio::test(flavor = "local")]
    async fn a_certificate_for_another_name_is_refused() {
        let server = TlsServer::start("other.test").await;
        let error = get(&trusting(&server), &server.url).await.unwrap_err();
        assert_eq!(error.class(), "tls");
    }

    #[tokio::test(flavor = "local")]
    async fn https_to_a_plain_server_is_a_tls_error() {
        let server = Server::start(|mut peer, _| async move {
            peer.write("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        })
        .await;
        let url = server.url("/").as_str().replace("http:", "https:").parse().unwrap();
        assert_eq!(get(&session(Settings::new()), &url).await.unwrap_err().class(), "tls");
    }
}

#[cfg(not(feature = "tls"))]
#[tokio::test(flavor = "local")]
async fn https_without_the_feature_says_what_is_missing() {
    let error = get(&session(Settings::new()), &"https://h/".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.class(), "tls");
    assert!(error.to_string().contains("feature `tls`"), "{error}");
}

#[tokio::test(flavor = "local")]
async fn the_future_of_a_request_is_small() {
    // glibc keeps what was freed at hand up to 1 032 bytes; beyond them a request costs some hundred instructions more.
    // Besides this future, that of the builder holds the session, the scope and the draft.
    let session = Session::new(Settings::new(), Rc::new(Client::default()));
    let draft = Draft::to(Method::GET, Target::of("http://h/".parse().unwrap()));
    let size = size_of_val(&session.perform(Box::new(draft), |_| ()));
    assert!(size + 48 <= 1032, "{size} bytes");
}
