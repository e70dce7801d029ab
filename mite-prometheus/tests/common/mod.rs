//! What the tests share: a client that asks once, and a shop with journeys that succeed and fail.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mite_core::stats::{Accumulator, Stats, matcher_by_type};
use mite_core::volume::{HOUR, constant};
use mite_core::{Context, NoData, Report, Result, Row, Run, Scenario, bail};
use mite_http::testing::{Reply, StubServer};
use mite_http::{HttpContext as _, StatusCode};
use serde_json::json;

/// Longer than anything takes, however slow the machine is.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// An answer, its body whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// What reads on until the other side closes gives; nothing where it breaks off.
    pub(crate) fn read(mut stream: TcpStream) -> Option<Self> {
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        Some(Self { status: head[9..12].parse().unwrap(), head, body: bytes.split_off(end + 4) })
    }
}

/// A connection on which this was sent.
pub(crate) fn sent(address: SocketAddr, request: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

/// Asks for a path, if somebody listens; `headers` end in line breaks.
pub(crate) fn try_to_ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> Option<Answer> {
    let stream = sent(address, &format!("{method} {path} HTTP/1.0\r\nhost: {address}\r\n{headers}\r\n"));
    Answer::read(stream.ok()?)
}

pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    try_to_ask(address, method, path, headers).unwrap_or_else(|| panic!("{method} {path} is not answered"))
}

/// Scrapes for as long as there is an answer, and gives the last one: the server ends once it has told the figures of the whole run.
pub(crate) fn last_scrape(address: SocketAddr) -> String {
    let mut last = None;
    while let Some(answer) = try_to_ask(address, "GET", "/metrics", "") {
        assert_eq!(answer.status, 200, "{answer:?}");
        last = Some(answer.text().to_owned());
    }
    last.expect("it has answered")
}

/// The value of the sample that begins with this, its labels included.
pub(crate) fn value(text: &str, sample: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

/// What the shop's third error says: all that must be escaped, and more than a label takes.
pub(crate) fn nasty() -> String {
    format!("he said \"no\\\",\n then {{left}} ü {}", "x".repeat(10_240))
}

/// A server that knows `/` and refuses `/closed`.
pub(crate) fn server() -> StubServer {
    let server = StubServer::start().unwrap();
    server.on("GET", "/").with(|_| Reply::ok());
    server.on("POST", "/pay").with(|_| Reply::ok().status(StatusCode::CREATED));
    server.on("GET", "/closed").with(|_| Reply::ok().status(StatusCode::SERVICE_UNAVAILABLE));
    server
}

/// A run against the server: journeys that succeed, some that fail, and a row of the closed model.
pub(crate) fn shopping(server: &StubServer, duration: Duration) -> Run {
    let url = server.url();
    let address = url.clone();
    let buy = async move |ctx: &mut Context| -> Result {
        let url = address.clone();
        ctx.transaction("Look", async |ctx| {
            ctx.http().get(format!("{url}/")).await?.error_for_status()?;
            ctx.transaction("Pay", async |ctx| {
                ctx.http().post(format!("{url}/pay")).json(&1).await?.error_for_status()?;
                let shop = if ctx.start_index() % 2 == 0 { "ber\\lin" } else { "\"rome\"\n" };
                ctx.counter("cart_items_total").label("shop", shop).add(3);
                ctx.gauge("last_cart").set(ctx.start_index() as f64);
                ctx.histogram("cart_value_euro").label("shop", shop).record(0.25 * (ctx.start_index() % 8) as f64);
                ctx.send("paid", json!({"euro": 5, "by": "card"})).await
            })
            .await
        })
        .await
    };
    let fail = async move |ctx: &mut Context| -> Result {
        let url = url.clone();
        ctx.transaction("Look \"closely\"", async |ctx| {
            if ctx.start_index() % 3 == 2 {
                bail!("{}", nasty());
            }
            ctx.http().get(format!("{url}/closed")).await?.error_for_status()?;
            Ok(())
        })
        .await
    };
    let wait = async |_ctx: &mut Context| -> Result {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    };
    let scenario = Scenario::new()
        .named("shop\\ping")
        .row(Row::new(buy, NoData, constant(40, duration)).named("shop:buy"))
        .row(Row::new(fail, NoData, constant(9, duration)).named("shop:fail"))
        .row(Row::new(wait, NoData, constant(3, duration).running()).named("shop:wait"));
    let sums =
        Accumulator::new("paid_euro_total", matcher_by_type(["paid"])).labels(["test", "by", "absent"]).value("euro");
    let scenario = scenario.stats(Stats::new("shop").with(sums));
    Run::new(scenario).workers(2).max_start_lag(HOUR).min_achieved(0.0)
}

pub(crate) fn ran(run: Run) -> Report {
    run.run_blocking().unwrap()
}
