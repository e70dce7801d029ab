//! How many instructions a plain GET over a kept connection costs, the journey around it included, as callgrind counts
//! them: a figure that a busy machine does not change. There is a line for each of what can speak HTTP/1.1.
//!
//! `cargo bench -p mite-http --bench instructions`, with valgrind installed.

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
};

use mite_core::{
    Context, NoData, Row, Run, Scenario,
    volume::{SECOND, constant},
};
use mite_http::{Http1, HttpContext, Settings};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// What starting and connecting costs is in both counts, and so in neither difference.
const FEW: u64 = 1_000;
const MANY: u64 = 11_000;

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => serve(),
        ["get", address, count, by] => get(address, count.parse()?, engine(by)?),
        _ => compare(),
    }
}

fn compare() -> Outcome {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("SKIPPED: valgrind is not installed, so that nothing was counted");
        return Ok(());
    }
    let server = Server::start()?;
    for by in ["mite", "hyper"] {
        let few = count(&server.address, FEW, by)?;
        let many = count(&server.address, MANY, by)?;
        println!("{by}: {} instructions for each plain GET", (many - few) / (MANY - FEW));
    }
    Ok(())
}

fn engine(name: &str) -> Outcome<Http1> {
    match name {
        "mite" => Ok(Http1::Mite),
        "hyper" => Ok(Http1::Hyper),
        _ => Err(format!("nothing is called {name}").into()),
    }
}

/// The instructions of a process that sends `requests`.
fn count(address: &str, requests: u64, by: &str) -> Outcome<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["get", address, &requests.to_string(), by])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let total = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, total)| total.trim().parse());
    match total {
        Some(total) if output.status.success() => Ok(total?),
        _ => Err(format!("the counted process failed:\n{said}").into()),
    }
}

/// One journey that sends all of the requests, one after the other.
fn get(address: &str, count: u64, by: Http1) -> Outcome {
    let url = format!("http://{address}/");
    let journey = async move |ctx: &mut Context| {
        let ctx = ctx.http_session(Settings::new().http1(by));
        let http = ctx.http();
        for _ in 0..count {
            http.get(&url).await?.error_for_status()?;
        }
        Ok(())
    };
    let row = Row::new(journey, NoData, constant(1, SECOND)).named("get");
    let scenario = Scenario::new().row(row);
    let run = Run::new(scenario).graceful_stop(300 * SECOND);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(run.run())?;
    let answered: u64 = report.requests.iter().map(|row| row.count).sum();
    if answered != count {
        return Err(format!("{answered} of {count} requests were answered").into());
    }
    Ok(())
}

/// A server in a process of its own, so that its instructions are not counted.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Outcome<Self> {
        let mut process = Command::new(env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        let said = process.stdout.take().ok_or("the server says nothing")?;
        BufReader::new(said).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || answer(stream));
    }
    Ok(())
}

/// Answers whatever comes in: a request is one piece, since it waits for its answer.
fn answer(mut stream: TcpStream) {
    let mut request = [0; 4096];
    while matches!(stream.read(&mut request), Ok(read) if read > 0) {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}
