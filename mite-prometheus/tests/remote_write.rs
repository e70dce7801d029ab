//! Receivers that are not well, that refuse, and that are not there: what was written is told, and the run goes on.

mod common;

use std::net::TcpListener;
use std::time::Duration;

use common::{ran, server, shopping};
use mite_core::Report;
use mite_http::StatusCode;
use mite_http::testing::{Reply, StubServer};
use mite_prometheus::RemoteWrite;

/// Some seconds have figures.
const A_WHILE: Duration = Duration::from_millis(2500);
const PATH: &str = "/api/v1/write";

fn receiver(answer: impl FnMut() -> Reply + Send + 'static) -> (StubServer, RemoteWrite) {
    let receiver = StubServer::start().unwrap();
    let mut answer = answer;
    receiver.on("POST", PATH).with(move |_| answer());
    let written = RemoteWrite::to(&(receiver.url() + PATH)).unwrap();
    (receiver, written)
}

/// What the report says of what was written, and the run's other figures, which are as without it.
fn told(written: RemoteWrite) -> (Option<String>, Report) {
    let server = server();
    let report = ran(shopping(&server, A_WHILE).sink(written));
    assert_eq!(report.journey("shop:buy").completed, 100, "{report}");
    let [sink] = &report.sinks[..] else { panic!("{:?}", report.sinks) };
    assert_eq!((&*sink.sink, sink.taken, sink.dropped), ("remote write", 0, 0));
    (sink.failure.clone(), report)
}

fn status(code: u16) -> Reply {
    Reply::text("out of order\nand more").status(StatusCode::from_u16(code).unwrap())
}

#[test]
fn what_may_be_taken_later_is_written_again_in_its_order() {
    let mut answers = [204, 503, 429, 500].into_iter();
    let (receiver, written) = receiver(move || status(answers.next().unwrap_or(204)));
    let written = written.header("X-Scope-OrgID", "shop").unwrap().basic_auth("me", "secret").unwrap();
    let (failure, _) = told(written);
    assert_eq!(failure, None);
    let asked = receiver.close();
    let bodies: Vec<_> = asked.iter().map(|asked| asked.body().clone()).collect();
    // The second is tried four times, then come the others.
    assert!(bodies.len() >= 6, "{}", bodies.len());
    assert!(bodies[1..5].iter().all(|body| *body == bodies[1]));
    assert!(bodies[0] != bodies[1] && bodies[5] != bodies[4]);
    for asked in asked {
        let header = |name| asked.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("x-prometheus-remote-write-version"), "0.1.0");
        assert_eq!(
            (header("content-type"), header("content-encoding")),
            ("application/x-protobuf".into(), "snappy".into())
        );
        assert_eq!((header("x-scope-orgid"), header("authorization")), ("shop".into(), "Basic bWU6c2VjcmV0".into()));
        assert!(header("user-agent").starts_with("mite/"));
    }
}

#[test]
fn what_is_refused_is_not_written_again_and_is_told() {
    let mut answers = [204, 400].into_iter();
    let (receiver, written) = receiver(move || status(answers.next().unwrap_or(204)));
    let (failure, report) = told(written);
    let asked = receiver.close().len();
    let told = format!("has taken {} of {asked} writes: 400 Bad Request: out of order", asked - 1);
    assert!(failure.as_ref().is_some_and(|failure| failure.ends_with(&told)), "{failure:?} {told}");
    let warning = format!("the remote write failed: {}", failure.unwrap());
    assert!(report.warnings.contains(&warning), "{:?}", report.warnings);
}

#[test]
fn a_receiver_that_is_not_there_holds_up_nothing() {
    // A port that nobody listens on.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let written =
        RemoteWrite::to(&format!("http://{address}{PATH}")).unwrap().give_up_after(Duration::from_millis(300));
    let failure = told(written).0.unwrap();
    assert!(failure.contains("has taken 0 of ") && failure.contains("failed to connect: "), "{failure}");
}

#[test]
fn a_receiver_that_never_answers_holds_up_nothing() {
    // Connections wait to be accepted, and are not.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
    let failure = told(RemoteWrite::to(&url).unwrap().give_up_after(Duration::from_millis(300))).0.unwrap();
    assert!(failure.ends_with("the receiver had no time to take them"), "{failure}");
}

#[test]
fn figures_are_written_as_often_as_was_asked_and_at_the_end() {
    let (receiver, written) = receiver(|| status(204));
    let (failure, _) = told(written.interval(Duration::from_secs(60)));
    assert_eq!(failure, None);
    // Those of the first second, and those of the whole run.
    assert_eq!(receiver.close().len(), 2);
}

#[cfg(feature = "tls")]
mod tls {
    //! Over https, to a receiver whose certificate the system's roots vouch for, or not.

    use std::env;
    use std::net::SocketAddr;
    use std::process::Command;
    use std::sync::Arc;
    use std::thread;

    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    /// Tells the test's second process where the receiver is.
    const URL: &str = "MITE_TEST_RECEIVER";

    /// Takes everything, on connections that it closes after each answer; gives its certificate besides.
    fn receiver() -> (SocketAddr, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                let _ = take_one(&mut stream);
            }
        });
        (address, made.cert.pem())
    }

    fn take_one(stream: &mut (impl std::io::Read + std::io::Write)) -> std::io::Result<()> {
        let (mut read, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        let (mut head, mut length) = (None, 0);
        while head.is_none_or(|head| read.len() < head + length) {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                more => read.extend_from_slice(&buffer[..more]),
            }
            head = read.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4);
            if let Some(head) = head {
                let text = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
                length = text.split_once("content-length: ").unwrap().1.lines().next().unwrap().parse().unwrap();
            }
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")?;
        stream.flush()
    }

    #[test]
    fn a_receiver_whose_certificate_nobody_vouches_for_is_given_nothing() {
        let (address, _) = receiver();
        let url = format!("https://localhost:{}{PATH}", address.port());
        let failure = told(RemoteWrite::to(&url).unwrap().give_up_after(Duration::from_millis(300))).0.unwrap();
        assert!(failure.contains("has taken 0 of ") && failure.contains("invalid peer certificate"), "{failure}");
    }

    /// In a process of its own, to which the environment gives other roots.
    #[test]
    fn a_receiver_whose_certificate_the_roots_vouch_for_is_written_to() {
        if let Some(url) = env::var_os(URL) {
            assert_eq!(told(RemoteWrite::to(url.to_str().unwrap()).unwrap()).0, None);
            return;
        }
        let (address, certificate) = receiver();
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("roots.pem");
        std::fs::write(&roots, certificate).unwrap();
        let own_name = "tls::a_receiver_whose_certificate_the_roots_vouch_for_is_written_to";
        let again = Command::new(env::current_exe().unwrap())
            .args(["--exact", own_name])
            .env("SSL_CERT_FILE", &roots)
            .env(URL, format!("https://localhost:{}{PATH}", address.port()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&again.stdout);
        assert!(again.status.success() && said.contains("1 passed"), "{said}");
    }
}
