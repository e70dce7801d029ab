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
#[test]
fn a_receiver_whose_certificate_nobody_vouches_for_is_given_nothing() {
    let (receiver, _) = receiver(|| status(204));
    // What it speaks is no TLS at all.
    let url = format!("https://{}{PATH}", receiver.address());
    let failure = told(RemoteWrite::to(&url).unwrap().give_up_after(Duration::from_millis(300))).0.unwrap();
    assert!(failure.contains("failed to connect: "), "{failure}");
    assert_eq!(receiver.close().len(), 0);
}
