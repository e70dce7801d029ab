//! A session against a server: cookies, headers, base, and what it refuses.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::peers::{Server, nobody, ok, url};

fn session(settings: Settings) -> Session {
    Session::new(settings, Rc::new(Client::default()))
}

fn draft(method: Method, url: &Url) -> Draft {
    Draft::new(method, url.as_str(), || panic!("{url} is absolute")).unwrap()
}

async fn get(session: &Session, url: &Url) -> Result<Response, HttpError> {
    session.perform(draft(Method::GET, url)).await?.outcome
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
    let exchange = session(Settings::new().header("x-session", "1")).perform(draft).await.unwrap();
    assert_eq!(exchange.outcome.unwrap().text().unwrap(), r#"{"username":"ann"}"#);
}

#[tokio::test(flavor = "local")]
async fn an_error_names_the_request_and_counts_with_its_class() {
    let (address, _bound) = nobody();
    let url = url(address, "/x");
    let exchange = session(Settings::new()).perform(draft(Method::POST, &url)).await.unwrap();
    assert_eq!(exchange.method, Method::POST);
    assert!(exchange.timings.total() > Duration::ZERO);
    let error = exchange.outcome.unwrap_err();
    let address = &url[url::Position::BeforeHost..url::Position::AfterPort];
    assert_eq!(error.to_string(), format!("POST http://{address}/x: failed to connect to {address}"));
    assert_eq!((error.class(), error.is_connect()), ("connect", true));
}

#[tokio::test(flavor = "local")]
async fn a_redirect_is_returned_as_it_is() {
    let server =
        Server::answering(|_| "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n".into()).await;
    let response = get(&session(Settings::new()), &server.url("/")).await.unwrap().error_for_status().unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], "/there");
}

#[tokio::test(flavor = "local")]
async fn timeouts_are_the_sessions_unless_the_request_has_its_own() {
    let server = Server::start(|mut peer, _| async move { while peer.request().await.is_some() {} }).await;
    let short = Duration::from_millis(10);
    let slow = get(&session(Settings::new().timeout(short)), &server.url("/")).await.unwrap_err();
    assert_eq!(slow.to_string(), format!("GET {}: timeout: the request was not done within 10ms", server.url("/")));

    let mut draft = draft(Method::GET, &server.url("/"));
    draft.timeout = Some(short);
    let exchange = session(Settings::new()).perform(draft).await.unwrap();
    assert!(exchange.outcome.unwrap_err().is_timeout());
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
        Session::new(Settings::new(), Rc::new(Client::new(Policy::default(), Rc::new(connector))))
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
