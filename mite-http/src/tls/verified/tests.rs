//! Handshakes with servers in this process, which tell what they have seen of the session's settings.

use std::{rc::Rc, time::Duration};

use http::Method;
use rustls::{HandshakeKind, ProtocolVersion, version::TLS12};

use super::*;
use crate::{
    Settings, TlsVersion as Oldest,
    connector::{Connector, Opened},
    network::HttpVersion,
    peers::{ask, outgoing},
    timing::Timings,
    tls_peers::{Authority, Seen, Setup, TlsServer, self_signed},
    transport::Connection,
};

fn connector(settings: &Settings) -> Connector {
    assert_eq!(settings.mistake, None);
    Connector::new(settings.network().cloned().unwrap_or_default())
}

async fn open(connector: &Connector, url: &url::Url) -> Result<Opened, Fault> {
    connector.prepare(url).await?;
    connector.connect(url, Duration::from_mins(1), &mut Timings::starting(std::time::Instant::now())).await
}

/// Asks over a connection of its own, and closes it.
async fn get(connector: &Connector, url: &url::Url) -> Result<(), Fault> {
    let opened = open(connector, url).await?;
    let body = ask(&mut Connection::start(opened, &Rc::default()).await?, &outgoing(Method::GET, url, "")).await?;
    assert_eq!(body, "GET / HTTP/1.1");
    Ok(())
}

async fn refused(settings: &Settings, url: &url::Url) -> String {
    let fault = get(&connector(settings), url).await.unwrap_err();
    assert_eq!(fault.class(), Class::Tls, "{fault:?}");
    let error = fault.of_none();
    assert!(error.to_string().contains("TLS"), "{error}");
    error.to_string()
}

fn seen(server: &TlsServer) -> Vec<Seen> {
    server.seen().into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "local")]
async fn own_roots_are_trusted_and_by_whom_is_said() {
    let (authority, other) = (Authority::new(), Authority::new());
    let pair = authority.issue(&["127.0.0.1"]);
    let server = TlsServer::start(Setup::new(&pair)).await;
    let url = server.url("127.0.0.1");

    let error = refused(&Settings::new(), &url).await;
    assert!(error.starts_with(&format!("failed the TLS handshake with {}: ", server.address)), "{error}");
    assert!(error.contains("from nobody known; .root_certificate(…)"), "{error}");
    refused(&Settings::new().root_certificate(&other.pem), &url).await;
    refused(&Settings::new().only_root_certificates(&other.pem), &url).await;

    let trusting = [
        Settings::new().root_certificate(&authority.pem),
        Settings::new().root_certificate(&other.pem).root_certificate(&authority.pem),
        Settings::new().root_certificate(other.pem.clone() + &authority.pem),
        Settings::new().only_root_certificates(&authority.pem),
        Settings::new().only_root_certificates(&other.pem).root_certificate(&authority.pem),
    ];
    for settings in trusting {
        get(&connector(&settings), &url).await.unwrap();
    }
}

#[tokio::test(flavor = "local")]
async fn the_default_roots_are_trusted_besides_ones_own_and_not_in_their_place() {
    // What verifies is the two verifiers: the one that stands for the default roots knows `theirs`.
    let (own, theirs) = (Authority::new(), Authority::new());
    let provider = Arc::new(ring::default_provider());
    let of = |authority: &Authority| {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        trusting(roots, &provider).unwrap()
    };
    let either = EitherOf(of(&own), of(&theirs));
    let verify = |authority: &Authority, name: &str| {
        let pair = authority.issue(&["a.test"]);
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = rustls::pki_types::UnixTime::now();
        either.verify_server_cert(&pair.certificate, &[], &name, &[], now).map(drop)
    };
    verify(&own, "a.test").unwrap();
    verify(&theirs, "a.test").unwrap();
    for (authority, name, says) in [
        (&own, "b.test", "NotValidForName"),
        (&theirs, "b.test", "NotValidForName"),
        (&Authority::new(), "a.test", "UnknownIssuer"),
    ] {
        let error = verify(authority, name).unwrap_err();
        assert!(format!("{error:?}").contains(says), "{error:?}");
    }
}

#[tokio::test(flavor = "local")]
async fn a_certificate_that_is_not_valid_says_how() {
    let authority = Authority::new();
    let trusting = Settings::new().root_certificate(&authority.pem);
    // Made anew, and not for the session.
    let anew = (Authority::named("Once and again"), Authority::named("Once and again"));
    let trusting = trusting.root_certificate(&anew.0.pem);
    let table = [
        (anew.1.issue(&["127.0.0.1"]), "perhaps the root certificate was made anew"),
        (authority.issue_expired(&["127.0.0.1"]), "its certificate expired 9"),
        (authority.issue(&["a.test", "b.test"]), "not valid for 127.0.0.1, but for a.test, b.test; .server_name(…)"),
        (self_signed("127.0.0.1", false), "from nobody known"),
    ];
    for (pair, says) in table {
        let server = TlsServer::start(Setup::new(&pair)).await;
        let url = server.url("127.0.0.1");
        let error = refused(&trusting, &url).await;
        assert!(error.contains(says), "{error}");
        assert!(error.contains(".danger_accept_invalid_certs(true)"), "{error}");
        get(&connector(&Settings::new().danger_accept_invalid_certs(true)), &url).await.unwrap();
    }

    let server = self_signed("127.0.0.1", false);
    let trusting = Settings::new().root_certificate(&server.pem);
    let server = TlsServer::start(Setup::new(&server)).await;
    get(&connector(&trusting), &server.url("127.0.0.1")).await.unwrap();

    let server = self_signed("127.0.0.1", true);
    let trusting = Settings::new().root_certificate(&server.pem);
    let server = TlsServer::start(Setup::new(&server)).await;
    let error = refused(&trusting, &server.url("127.0.0.1")).await;
    assert!(error.contains("that of a CA"), "{error}");
}

#[tokio::test(flavor = "local")]
async fn who_accepts_any_certificate_still_wants_its_key() {
    let (shown, held) = (self_signed("a.test", false), self_signed("a.test", false));
    let name = ServerName::try_from("a.test").unwrap();
    let verifier = Unverified(ring::default_provider().signature_verification_algorithms);
    let now = rustls::pki_types::UnixTime::now();
    verifier.verify_server_cert(&shown.certificate, &[], &name, &[], now).unwrap();

    // A server that signs with another key than that of the certificate it shows.
    let key =
        rustls::pki_types::PrivatePkcs8KeyDer::from(rcgen::KeyPair::from_pem(&held.key_pem).unwrap().serialize_der());
    let key = ring::default_provider().key_provider.load_private_key(key.into()).unwrap();
    let pair = rustls::sign::CertifiedKey::new(vec![shown.certificate.clone()], key);
    for version in [&TLS13, &TLS12] {
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair.clone())));
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let impostor = tokio::task::spawn_local(async move {
            let (stream, _) = listener.accept().await.unwrap();
            assert!(acceptor.accept(stream).await.is_err());
        });
        let fault = get(&connector(&Settings::new().danger_accept_invalid_certs(true)), &url).await.unwrap_err();
        let cause = std::error::Error::source(&fault.of_none()).unwrap().to_string();
        assert!(cause.contains("BadSignature"), "{cause}");
        impostor.await.unwrap();
    }
}

#[tokio::test(flavor = "local")]
async fn a_client_certificate_is_presented() {
    let authority = Authority::new();
    let (pair, ann) = (authority.issue(&["127.0.0.1"]), authority.issue(&["ann"]));
    let stranger = self_signed("stranger", false);
    let trusting = || Settings::new().root_certificate(&authority.pem);
    for (versions, version) in [(&[&TLS13][..], ProtocolVersion::TLSv1_3), (&[&TLS12][..], ProtocolVersion::TLSv1_2)] {
        let server = TlsServer::start(Setup { versions, clients: Some(&authority), ..Setup::new(&pair) }).await;
        let url = server.url("127.0.0.1");
        get(&connector(&trusting().client_certificate(&ann.pem, &ann.key_pem)), &url).await.unwrap();
        let first = seen(&server).remove(0);
        assert_eq!((first.client, first.version), (Some(ann.certificate.clone()), Some(version)));

        let none = refused(&trusting(), &url).await;
        let other = refused(&trusting().client_certificate(&stranger.pem, &stranger.key_pem), &url).await;
        if version == ProtocolVersion::TLSv1_2 {
            // In TLS 1.3 the client is done before the server has seen its certificate.
            assert!(none.contains("client certificate"), "{none}");
            assert!(other.contains("client certificate"), "{other}");
        }
        assert_eq!(server.seen().iter().filter(|seen| seen.is_err()).count(), 2, "{:?}", server.seen());
    }
}

#[tokio::test(flavor = "local")]
async fn the_server_sees_the_name_that_is_asked_for() {
    let authority = Authority::new();
    let pair = authority.issue(&["localhost", "127.0.0.1", "api.test"]);
    let server = TlsServer::start(Setup::new(&pair)).await;
    let trusting = || Settings::new().root_certificate(&authority.pem).resolve("localhost", [server.address]);
    let table = [
        (trusting(), "localhost", Some("localhost")),
        (trusting(), "127.0.0.1", None),
        (trusting().server_name("api.test"), "127.0.0.1", Some("api.test")),
        (trusting().server_name("api.test"), "localhost", Some("api.test")),
        (trusting().server_name("127.0.0.1"), "localhost", None),
        (trusting().resolve("api.test", [server.address]), "api.test", Some("api.test")),
    ];
    for (settings, host, name) in table {
        get(&connector(&settings), &server.url(host)).await.unwrap();
        assert_eq!(seen(&server).pop().unwrap().name.as_deref(), name, "{host}");
    }
    let error = refused(&trusting().server_name("other.test"), &server.url("127.0.0.1")).await;
    assert!(error.contains("not valid for other.test, but for"), "{error}");
}

#[tokio::test(flavor = "local")]
async fn versions_that_are_too_old_are_refused() {
    let authority = Authority::new();
    let pair = authority.issue(&["127.0.0.1"]);
    let trusting = || Settings::new().root_certificate(&authority.pem);
    let old = TlsServer::start(Setup { versions: &[&TLS12], ..Setup::new(&pair) }).await;
    get(&connector(&trusting()), &old.url("127.0.0.1")).await.unwrap();
    get(&connector(&trusting().min_tls_version(Oldest::V1_2)), &old.url("127.0.0.1")).await.unwrap();
    let error = refused(&trusting().min_tls_version(Oldest::V1_3), &old.url("127.0.0.1")).await;
    assert!(error.contains("no version of TLS in common"), "{error}");

    let both = TlsServer::start(Setup::new(&pair)).await;
    get(&connector(&trusting().min_tls_version(Oldest::V1_3)), &both.url("127.0.0.1")).await.unwrap();
    assert_eq!(seen(&both)[0].version, Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test(flavor = "local")]
async fn sessions_are_resumed_unless_told_otherwise() {
    let authority = Authority::new();
    let pair = authority.issue(&["127.0.0.1"]);
    for versions in [&[&TLS13][..], &[&TLS12][..]] {
        for (resumption, later) in [(true, HandshakeKind::Resumed), (false, HandshakeKind::Full)] {
            let server = TlsServer::start(Setup { versions, ..Setup::new(&pair) }).await;
            let settings = Settings::new().root_certificate(&authority.pem).tls_session_resumption(resumption);
            let connector = connector(&settings);
            for _ in 0..3 {
                get(&connector, &server.url("127.0.0.1")).await.unwrap();
            }
            let kinds: Vec<_> = seen(&server).into_iter().map(|seen| seen.kind.unwrap()).collect();
            assert_eq!(kinds, [HandshakeKind::Full, later, later], "{versions:?}, resumption: {resumption}");
        }
    }
}

#[tokio::test(flavor = "local")]
async fn another_connector_takes_up_no_session() {
    let authority = Authority::new();
    let pair = authority.issue(&["127.0.0.1"]);
    let server = TlsServer::start(Setup::new(&pair)).await;
    for _ in 0..2 {
        let connector = connector(&Settings::new().root_certificate(&authority.pem));
        get(&connector, &server.url("127.0.0.1")).await.unwrap();
    }
    assert!(seen(&server).iter().all(|seen| seen.kind == Some(HandshakeKind::Full)));
}

#[tokio::test(flavor = "local")]
async fn the_server_chooses_from_what_the_session_speaks() {
    type Case = (HttpVersion, &'static [&'static [u8]], Option<&'static [u8]>, Version);

    let authority = Authority::new();
    let pair = authority.issue(&["127.0.0.1"]);
    let of = |http_version| {
        let settings = Settings::new().root_certificate(&authority.pem);
        let network = Network { http_version, ..(**settings.network().unwrap()).clone() };
        Connector::new(Arc::new(network))
    };
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    let auto = if HTTP2 { (&b"h2"[..], Version::HTTP_2) } else { (&b"http/1.1"[..], Version::HTTP_11) };
    let table: [Case; 6] = [
        (HttpVersion::Auto, both, Some(auto.0), auto.1),
        (HttpVersion::Http1, both, Some(b"http/1.1"), Version::HTTP_11),
        (HttpVersion::Http2PriorKnowledge, both, Some(b"h2"), Version::HTTP_2),
        // Servers that choose nothing.
        (HttpVersion::Auto, &[], None, Version::HTTP_11),
        (HttpVersion::Http1, &[], None, Version::HTTP_11),
        (HttpVersion::Http2PriorKnowledge, &[], None, Version::HTTP_2),
    ];
    for (version, alpn, chosen, spoken) in table {
        let server = TlsServer::start(Setup { alpn, ..Setup::new(&pair) }).await;
        let opened = open(&of(version), &server.url("127.0.0.1")).await.unwrap();
        assert_eq!(opened.version, spoken, "{version:?}");
        // A client is done before its server.
        while server.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(seen(&server)[0].alpn.as_deref(), chosen, "{version:?}");
    }
    let server = TlsServer::start(Setup { alpn: &[b"http/1.1"], ..Setup::new(&pair) }).await;
    let fault = open(&of(HttpVersion::Http2PriorKnowledge), &server.url("127.0.0.1")).await.unwrap_err();
    let error = fault.of_none().to_string();
    assert!(error.contains("none of the versions of HTTP") && error.contains(".http_version(…)"), "{error}");
}

#[tokio::test(flavor = "local")]
async fn a_server_that_speaks_no_tls_is_said_to() {
    let server = crate::peers::Server::start(|mut peer, _| async move {
        peer.write("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        peer.request().await;
    })
    .await;
    let url = format!("https://{}/", server.address).parse().unwrap();
    let error = refused(&Settings::new(), &url).await;
    assert!(error.contains("does not speak TLS on this port; perhaps the URL should begin with http://"), "{error}");

    let server = crate::peers::Server::start(|_, _| async {}).await;
    let url = format!("https://{}/", server.address).parse().unwrap();
    refused(&Settings::new(), &url).await;
}

#[tokio::test(flavor = "local")]
async fn a_handshake_that_stalls_has_a_limit_of_its_own() {
    let server = crate::peers::Server::start(|peer, _| async move {
        let _silent = peer;
        std::future::pending::<()>().await;
    })
    .await;
    let url = format!("https://{}/", server.address).parse().unwrap();
    let settings = Settings::new().tls_timeout(Duration::from_millis(20));
    let fault = get(&connector(&settings), &url).await.unwrap_err();
    assert_eq!(fault.class(), Class::Timeout);
    let error = fault.of_none().to_string();
    assert_eq!(error, format!("timeout: the TLS handshake with {} was not done within 20ms", server.address));

    let connector = connector(&Settings::new());
    connector.prepare(&url).await.unwrap();
    let mut timings = Timings::starting(std::time::Instant::now());
    let fault = connector.connect(&url, Duration::from_millis(200), &mut timings).await.unwrap_err();
    let error = fault.of_none().to_string();
    let peer = server.address;
    assert_eq!(error, format!("timeout: no connection to {peer} within 200ms: the TLS handshake was not done"));
    assert!(timings.connect().is_some() && timings.tls().is_none());
}

#[tokio::test(flavor = "local")]
async fn own_roots_do_not_copy_those_of_the_process() {
    let authority = Authority::new();
    let ann = authority.issue(&["ann"]);
    let settings = Settings::new().root_certificate(&authority.pem).client_certificate(&ann.pem, &ann.key_pem);
    let trust = &settings.network().unwrap().trust;
    configured(trust, &[]).await.unwrap();
    let begun = std::time::Instant::now();
    let made: Vec<_> = futures::future::join_all((0..1_000).map(|_| configured(trust, &[]))).await;
    eprintln!("{:?} for each configuration", begun.elapsed() / 1_000);
    assert!(made.iter().all(Result::is_ok));
    assert!(Arc::strong_count(&OfTheProcess::get().await.unwrap().verifier) > 1_000);
}
