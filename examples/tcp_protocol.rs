//! `cargo run --release --example tcp_protocol -- 127.0.0.1:6379`: a protocol that mite does not know, spoken to a redis server.
//!
//! All that `mite-http` does is open to any crate: a journey gets its session by an extension trait, connections stay with their
//! worker, each command is a request of the report and a message of its own. Without an address the example starts a `redis-server`.

use std::cell::RefCell;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Instant;

use mite::prelude::*;
use mite::stats::{Counter, Histogram, Stats, matcher_by_type};
use mite::{ExchangeText, RequestSample, Scope};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// Gives a journey its session.
pub(crate) trait RedisContext {
    fn redis(&self) -> Redis;
}

impl RedisContext for Context {
    fn redis(&self) -> Redis {
        Redis { scope: self.scope(), idle: self.worker_extension(Idle::default) }
    }
}

/// Connections of a worker that no command is under way on.
#[derive(Default)]
struct Idle(RefCell<Vec<BufReader<TcpStream>>>);

/// A handle for the transaction in which it was taken.
pub(crate) struct Redis {
    scope: Scope,
    idle: Rc<Idle>,
}

/// The message of each command, beside the fields that mite adds.
#[derive(Serialize)]
struct RedisMetrics<'a> {
    command: &'a str,
    total_time: f64,
    had_error: bool,
}

impl Redis {
    /// Sends a command and waits for its reply; `None` is redis' nil.
    pub(crate) async fn command(&self, command: &str, arguments: &[&str]) -> Result<Option<String>> {
        let (start, words) = (Instant::now(), [&[command], arguments].concat());
        let mut sample = RequestSample { method: command, ..RequestSample::default() };
        let result = self.exchange(&words, &mut sample).await;
        sample.total = start.elapsed();
        self.scope.request(&sample);
        if let Err(error) = &result {
            let (request, response) = (words.join(" "), error.to_string());
            let text = || ExchangeText { url: "redis".to_owned(), request, response, message: None };
            self.scope.failed_exchange(&sample, text);
        }
        let (total_time, had_error) = (sample.total.as_secs_f64(), result.is_err());
        self.scope.emit("redis_metrics", &RedisMetrics { command, total_time, had_error });
        result
    }

    async fn exchange(&self, words: &[&str], sample: &mut RequestSample<'_>) -> Result<Option<String>> {
        sample.error = Some("connect");
        // Taken out: a command that is given up leaves its connection with it, and none is found with half a reply.
        let idle = self.idle.0.borrow_mut().pop();
        let mut connection = if let Some(connection) = idle {
            connection
        } else {
            let (address, start) = (self.scope.config().get::<String>("redis")?, Instant::now());
            let connection = TcpStream::connect(address).await?;
            connection.set_nodelay(true)?;
            sample.connect = Some(start.elapsed());
            BufReader::new(connection)
        };
        sample.error = Some("closed");
        let bulk = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let command = format!("*{}\r\n", words.len()) + &bulk.collect::<String>();
        connection.write_all(command.as_bytes()).await?;
        let mut head = String::new();
        ensure!(connection.read_line(&mut head).await? > 0, "redis has closed the connection");
        let (kind, head) = (head.remove(0), head.trim_end());
        let reply = match (kind, head.parse::<usize>()) {
            ('+' | ':', _) => Ok(Some(head.to_owned())),
            ('$', Ok(len)) => {
                let mut bulk = vec![0; len + 2];
                connection.read_exact(&mut bulk).await?;
                bulk.truncate(len);
                Ok(Some(String::from_utf8(bulk)?))
            }
            ('$', _) => Ok(None),
            _ => Err(Error::msg(head)),
        };
        self.idle.0.borrow_mut().push(connection);
        (sample.error, sample.code) = (None, if reply.is_ok() { 200 } else { 500 });
        sample.bytes = reply.iter().flatten().map(|text| text.len() as u64).sum();
        reply
    }
}

async fn remember(ctx: &mut Context) -> Result {
    let (key, value) = (format!("user:{}", ctx.start_index() % 100), format!("visit {}", ctx.start_index()));
    ctx.transaction("Write", async |ctx| ctx.redis().command("SET", &[&key, &value]).await).await?;
    ctx.transaction("Read", async |ctx| {
        let (redis, key) = (ctx.redis(), [&*key]);
        let (pong, found) = tokio::join!(redis.command("PING", &[]), redis.command("GET", &key));
        ensure!(pong?.as_deref() == Some("PONG") && found?.is_some_and(|found| found.starts_with("visit ")));
        Ok(())
    })
    .await
}

pub(crate) fn visits() -> Scenario {
    let commands = || matcher_by_type(["redis_metrics"]);
    let stats = Stats::new("redis")
        .with(Counter::new("redis_commands_total", commands()).labels(["command", "had_error"]))
        .with(Histogram::new("redis_command_seconds", commands()).labels(["command"]).value("total_time"));
    Scenario::new().journey(remember, NoData, constant(500, 4 * SECOND)).stats(stats)
}

fn main() -> Result {
    let (address, started) = std::env::args().nth(1).map_or_else(start_redis, |address| Ok((address, None)))?;
    // A server on this machine takes of its time: that must not fail the demonstration.
    let run = Run::new(visits().named("visits")).config("redis", &address).max_start_lag(SECOND);
    let report = run.run_blocking();
    if let Some(mut redis) = started {
        redis.kill().and_then(|()| redis.wait())?;
    }
    let report = report?;
    println!("{report}");
    ensure!(report.passed(), "the run should pass");
    Ok(())
}

pub(crate) fn start_redis() -> Result<(String, Option<Child>)> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut redis = Command::new("redis-server");
    redis.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]);
    let mut child = redis.stdout(Stdio::null()).spawn()?;
    while std::net::TcpStream::connect(address).is_err() {
        ensure!(child.try_wait()?.is_none(), "redis-server has ended before it began");
        std::thread::yield_now();
    }
    Ok((address.to_string(), Some(child)))
}
