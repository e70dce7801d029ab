//! What a server does per second, one program asking it: `cargo run --release -p mite-nats --example throughput`. It starts
//! a server of its own, or asks the one whose URL is given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mite_core::bus::{BusError, Discard, Fabric, Kept, Log, Register};
use mite_nats::testing::Server;
use mite_nats::{Nats, Options};
use tokio::task::JoinSet;

/// How long each is measured, about.
const SPAN: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (server, url) = match std::env::args().nth(1) {
        Some(url) => (None, url),
        None => match Server::start() {
            Some(server) => {
                let url = server.url();
                (Some(server), url)
            }
            None => return Ok(()),
        },
    };
    let nats = Nats::connect(Options::new(url).prefix("throughput")).await?;
    println!("{}, a payload of 128 bytes:", nats.description());
    let kept = Kept { dedupe: Duration::from_secs(120), most_bytes: None, discard: Discard::New, age: None };
    for in_flight in [1, 16, 256] {
        nats.delete_log("measured").await?;
        let log = nats.log("measured", kept).await?;
        let (appended, took) = appends(&log, in_flight).await?;
        println!("append, {in_flight:3} in flight: {:7.0}/s", appended as f64 / took.as_secs_f64());
    }
    let log = nats.log("measured", kept).await?;
    let last = log.last().await?;
    let mut reader = log.read(">", 1).await?;
    let began = Instant::now();
    while reader.next().await?.sequence < last {}
    println!("read,     one reader: {:7.0}/s", last as f64 / began.elapsed().as_secs_f64());
    let register = nats.register("measured").await?;
    register.set_if("key", None, vec![7; 128]).await?;
    for in_flight in [1, 16, 256] {
        let (got, took) = gets(&register, in_flight).await?;
        println!("get,    {in_flight:3} in flight: {:7.0}/s", got as f64 / took.as_secs_f64());
    }
    nats.delete_log("measured").await?;
    nats.delete_register("measured").await?;
    drop(server);
    Ok(())
}

/// How many were appended in what time.
async fn appends(log: &Arc<dyn Log>, in_flight: u64) -> Result<(u64, Duration), BusError> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..in_flight {
        let log = Arc::clone(log);
        tasks.spawn(async move {
            let mut done = 0;
            while began.elapsed() < SPAN {
                log.append("lane", &format!("{task}.{done}"), vec![7; 128]).await?;
                done += 1;
            }
            Ok(done)
        });
    }
    total(tasks, began).await
}

/// How many were read in what time.
async fn gets(register: &Arc<dyn Register>, in_flight: u64) -> Result<(u64, Duration), BusError> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let register = Arc::clone(register);
        tasks.spawn(async move {
            let mut done = 0;
            while began.elapsed() < SPAN {
                register.get("key").await?;
                done += 1;
            }
            Ok(done)
        });
    }
    total(tasks, began).await
}

async fn total(tasks: JoinSet<Result<u64, BusError>>, began: Instant) -> Result<(u64, Duration), BusError> {
    let done: Result<Vec<u64>, BusError> = tasks.join_all().await.into_iter().collect();
    Ok((done?.into_iter().sum(), began.elapsed()))
}
