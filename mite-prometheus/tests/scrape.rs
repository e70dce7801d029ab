//! A run is scraped: by several at once, by who is slow, by who asks for what is not there, while it goes on and at its end.

mod common;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Answer, LONG, ask, last_scrape, ran, sent, server, shopping, value};
use mite_core::volume::{HOUR, at_once, constant};
use mite_core::{Context, LiveFigures, NoData, Report, Result, Run, Scenario, Sink, SinkError, VolumeModel, Wants};
use mite_prometheus::Prometheus;

/// As long as the plans here take.
const SOON: Duration = Duration::from_millis(500);

fn prometheus() -> (Prometheus, SocketAddr) {
    let prometheus = Prometheus::bind("127.0.0.1:0").unwrap().linger(LONG);
    let address = prometheus.local_addr();
    (prometheus, address)
}

async fn look(_ctx: &mut Context) -> Result {
    std::future::ready(Ok(())).await
}

fn looking(volume: impl VolumeModel + 'static) -> Run {
    Run::new(Scenario::new().named("looking").journey(look, NoData, volume)).max_start_lag(HOUR).min_achieved(0.0)
}

fn started(run: Run) -> thread::JoinHandle<Report> {
    thread::spawn(move || ran(run))
}

/// How many journeys a scrape tells of.
fn looked(told: &str) -> f64 {
    let sample =
        r#"mite_transaction_total{test="looking",journey="scrape:look",transaction="__root__",had_error="False"}"#;
    value(told, sample).unwrap_or_default()
}

#[test]
fn the_last_scrape_has_the_figures_of_the_whole_run() {
    let (prometheus, address) = prometheus();
    let server = server();
    let run = started(shopping(&server, SOON).sink(prometheus));
    let last = last_scrape(address);
    let report = run.join().unwrap();
    let place = r#"{test="shop\\ping",journey="shop:buy",transaction="__root__ :: Look :: Pay""#;
    let told = |sample: String| value(&last, &sample);
    assert_eq!(report.journey("shop:buy").completed, 20, "{report}");
    assert_eq!(told(format!(r#"mite_transaction_total{place},had_error="False"}}"#)), Some(20.0));
    assert_eq!(told(format!(r#"mite_http_response_total{place},method="POST",response_code="201"}}"#)), Some(20.0));
    assert_eq!(told(format!("mite_transaction_seconds_count{place}}}")), Some(20.0));
    assert_eq!(server.requests_to("POST", "/pay").len(), 20);
    assert!(report.sinks.iter().all(|sink| sink.failure.is_none()), "{:?}", report.sinks);
}

#[test]
fn what_is_scraped_while_the_run_goes_on_never_falls() {
    let (prometheus, address) = prometheus();
    let run = started(looking(constant(200, 3 * SOON)).workers(2).sink(prometheus));
    let scrapers: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                let mut seen = vec![0.0];
                while let Some(answer) = common::try_to_ask(address, "GET", "/metrics", "") {
                    seen.push(looked(answer.text()));
                }
                seen
            })
        })
        .collect();
    let seen: Vec<Vec<f64>> = scrapers.into_iter().map(|scraper| scraper.join().unwrap()).collect();
    let report = run.join().unwrap();
    assert_eq!(report.journeys[0].completed, 300);
    assert!(seen.iter().all(|seen| seen.is_sorted()), "{seen:?}");
    // One of them has had the last, and some have seen how it came to be.
    assert!(seen.iter().any(|seen| seen.ends_with(&[300.0])), "{seen:?}");
    assert!(seen.iter().flatten().any(|looked| (1.0..300.0).contains(looked)), "{seen:?}");
}

#[test]
fn what_is_not_there_is_told_with_where_it_is() {
    let (prometheus, address) = prometheus();
    let run = looking(constant(10, HOUR)).sink(prometheus).start().unwrap();
    let (stop, report) = (run.stopper(), thread::spawn(move || run.wait().unwrap()));
    let told = |method: &str, path: &str| {
        let answer = ask(address, method, path, "");
        (answer.status, answer.text().to_owned(), answer.head)
    };
    let (status, text, _) = told("GET", "/");
    assert_eq!((status, &*text), (404, "there is nothing here: the metrics are at /metrics\n"));
    let (status, text, head) = told("POST", "/metrics");
    assert_eq!((status, &*text), (405, "metrics are read: ask by GET\n"));
    assert!(head.contains("\r\nallow: get, head"), "{head}");
    let (status, text, head) = told("HEAD", "/metrics");
    assert_eq!((status, &*text), (200, ""));
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(!head.contains("\r\ncontent-length: 0"), "{head}");
    let (status, text, _) = told("GET", "/metrics?name[]=up");
    assert_eq!(status, 200);
    assert!(text.starts_with("# HELP "), "{text}");
    let openmetrics = ask(address, "GET", "/metrics", "accept: application/openmetrics-text; version=1.0.0\r\n");
    assert!(openmetrics.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{openmetrics:?}");
    assert!(openmetrics.text().ends_with("\n# EOF\n"));
    let large = format!("x: {}\r\n", "x".repeat(100_000));
    let large = Answer::read(sent(address, &format!("GET /metrics HTTP/1.1\r\n{large}\r\n")).unwrap());
    assert!(large.as_ref().is_none_or(|answer| answer.status == 431), "{large:?}");
    assert_eq!(Answer::read(sent(address, "no HTTP at all\r\n\r\n").unwrap()).unwrap().status, 400);
    stop.stop();
    last_scrape(address);
    report.join().unwrap();
}

#[test]
fn who_is_slow_holds_up_neither_others_nor_the_end() {
    let (prometheus, address) = prometheus();
    let run = started(looking(constant(10, SOON)).sink(prometheus));
    // Some say nothing, some half of what they want, and some do not read the answer.
    let mut slow: Vec<TcpStream> = (0..10).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (at, stream) in slow.iter_mut().enumerate() {
        let request = ["", "GET /met", "GET /metrics HTTP/1.1\r\n\r\n"][at % 3];
        stream.write_all(request.as_bytes()).unwrap();
    }
    let last = last_scrape(address);
    assert_eq!((looked(&last), run.join().unwrap().journeys[0].completed), (5.0, 5));
    drop(slow);
}

#[test]
fn without_a_scrape_it_goes_after_the_time_that_it_was_given() {
    let began = Instant::now();
    let prometheus = Prometheus::bind("127.0.0.1:0").unwrap().linger(SOON);
    let address = prometheus.local_addr();
    let report = ran(looking(at_once(3)).sink(prometheus));
    assert_eq!(report.journeys[0].completed, 3);
    assert!(began.elapsed() >= SOON, "{:?}", began.elapsed());
    // It listens no more.
    assert!(TcpStream::connect(address).is_err());
    // What only looks whether it is there is no scrape.
    let prometheus = Prometheus::bind("127.0.0.1:0").unwrap().linger(SOON);
    let address = prometheus.local_addr();
    let (tell, told) = mpsc::channel();
    let looks = thread::spawn(move || {
        while common::try_to_ask(address, "HEAD", "/metrics", "").is_some() {
            let _ = tell.send(Instant::now());
        }
    });
    let began = Instant::now();
    ran(looking(at_once(3)).sink(prometheus));
    assert!(began.elapsed() >= SOON, "{:?}", began.elapsed());
    looks.join().unwrap();
    assert!(told.try_iter().count() > 0);
}

#[test]
fn an_address_that_cannot_be_had_is_refused_before_the_run() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = Prometheus::bind(&address).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("failed to listen on {address} for Prometheus: give another address, or port 0 for any that is free")
    );
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("in use"), "{cause}");
    for wrong in ["", "9301", ":9301", "localhost", "localhost:", "localhost:http", "localhost:99999"] {
        assert_eq!(
            Prometheus::bind(wrong).unwrap_err().to_string(),
            format!(
                "`{wrong}` is no address to listen on: write it as `127.0.0.1:9301`, or `0.0.0.0:9301` for all interfaces"
            )
        );
    }
    assert!(Prometheus::bind("[::1]:0").is_ok() || Prometheus::bind("localhost:0").is_ok());
}

/// Fails at its first message, and with it the run.
struct Failing;

impl Sink for Failing {
    fn name(&self) -> &'static str {
        "archive"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&["txn"])
    }

    fn is_essential(&self) -> bool {
        true
    }

    fn bytes(&mut self, _: &[u8]) -> Result<(), SinkError> {
        Err("it is full".into())
    }
}

#[test]
fn a_run_that_fails_waits_for_no_scrape() {
    let (prometheus, address) = prometheus();
    let failed = looking(constant(100, HOUR)).sink(prometheus).sink(Failing).run_blocking().unwrap_err();
    assert_eq!(failed.to_string(), "the archive failed: it is full");
    assert!(TcpStream::connect(address).is_err());
}

/// Refuses to be opened, and with it the run.
struct Closed;

impl Sink for Closed {
    fn name(&self) -> &'static str {
        "archive"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&[])
    }

    fn open(&mut self, _: &LiveFigures) -> Result<(), SinkError> {
        Err("it is closed".into())
    }
}

#[tokio::test]
async fn a_run_that_is_refused_leaves_nothing_behind() {
    let (prometheus, address) = prometheus();
    let refused = looking(at_once(1)).sink(prometheus).sink(Closed).start().map(drop).unwrap_err();
    assert_eq!(refused.to_string(), "the archive failed: it is closed");
    assert!(TcpStream::connect(address).is_err());
}
