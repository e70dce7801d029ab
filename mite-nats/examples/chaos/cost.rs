//! What taking part in a cluster costs: CPU for each request beside that of one process, and messages and bytes on the bus.
//!
//! It is apart from the other tests: nothing goes wrong here, and its figures are those of a machine with nothing else to do.

use std::time::Duration;

use mite_nats::testing::{Server, ServerOptions};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cases::Form;
use crate::cluster::{Cluster, Outcome, SECOND, Setting, told};
use crate::process::Process;
use crate::table::Findings;
use crate::target::Target;

/// What the server of NATS tells of a connection.
#[derive(Debug, Clone, Deserialize)]
struct Connection {
    name: String,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Connections {
    connections: Vec<Connection>,
}

/// A server that tells what its connections carry.
pub(crate) fn watched_server() -> Option<Server> {
    Server::start_with(&ServerOptions { config: "http: \"127.0.0.1:-1\"".to_owned(), ..ServerOptions::default() })
}

/// Messages and bytes that a runner of 50 series sends and is sent.
pub(crate) async fn traffic(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let mut setting = Setting { runners: 2, ..Setting::new(2000, form.either(9, 30)) };
    setting.plan.series = 50;
    let said = server.said();
    let address = said.split("Starting http monitor on ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let address = address.ok_or_else(|| format!("the server did not tell where it can be watched: {said}"))?.to_owned();
    let mut cluster = Cluster::start(server, setting).await?;
    cluster.until(2 * SECOND).await;
    let (before, first) = (connections(&address).await?, cluster.now());
    cluster.until((cluster.setting.plan.seconds - 1) * SECOND).await;
    let (after, last) = (connections(&address).await?, cluster.now());
    let seconds = (last - first) as f64 / SECOND as f64;
    let sum = |of: &[Connection], what: fn(&Connection) -> u64| of.iter().map(what).sum::<u64>() as f64;
    let each_second = |what| (sum(&after, what) - sum(&before, what)) / seconds / cluster.setting.runners as f64;
    findings.equal("connections of runners", after.len(), cluster.setting.runners);
    findings.at_most("messages of a runner", each_second(|of| of.in_msgs + of.out_msgs), 20.0, "/s");
    findings.at_most("bytes of a runner with 50 series", each_second(|of| of.in_bytes + of.out_bytes) / 1000.0, 200.0, "KB/s");
    let report = cluster.end().await?;
    cluster.arrived().hold(findings, &report);
    Ok(())
}

async fn connections(address: &str) -> Outcome<Vec<Connection>> {
    let mut stream = TcpStream::connect(address).await.map_err(told)?;
    stream.write_all(b"GET /connz HTTP/1.0\r\n\r\n").await.map_err(told)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(told)?;
    let body = answer.split("\r\n\r\n").nth(1).ok_or("the server has not answered")?;
    let told: Connections = serde_json::from_str(body).map_err(told)?;
    Ok(told.connections.into_iter().filter(|connection| connection.name == "runner").collect())
}

/// CPU for each request of a runner, beside that of the same in one process: the pairs follow each other.
pub(crate) async fn cpu(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let pairs = form.either(3, 9);
    let setting = Setting { runners: 1, ..Setting::new(5000, form.either(5, 15)) };
    let mut server = Some(server);
    let mut ratios = Vec::new();
    for _ in 0..pairs {
        let target = Target::start().await;
        let mut arguments = setting.plan.arguments();
        arguments.push(format!("target={}", target.address));
        let alone = used(&mut Process::start("alone", &arguments)).await?;
        let mut cluster = Cluster::start(server.take().ok_or("there is no server")?, setting.clone()).await?;
        cluster.end().await?;
        let runner = cluster.runners.get_mut(&1).ok_or("there is no runner")?;
        ratios.push(used(runner).await? / alone);
        server = Some(cluster.server);
    }
    ratios.sort_by(f64::total_cmp);
    findings.note("all ratios", format!("{ratios:.3?}"));
    findings.at_most("CPU of a request, against one process", ratios[ratios.len() / 2], 1.05, "");
    Ok(())
}

/// Nanoseconds of CPU for each start that a process made.
async fn used(process: &mut Process) -> Outcome<f64> {
    let (word, rest) = process.says(&["ended", "failed"], Duration::from_secs(60)).await?;
    let mut fields = rest.split(' ');
    let mut number = |skipped| fields.nth(skipped).and_then(|field| field.parse::<f64>().ok());
    match (word.as_str(), number(0), number(1)) {
        ("ended", Some(started), Some(used)) => Ok(used / started),
        _ => Err(format!("{}: {word} {rest}", process.name)),
    }
}
