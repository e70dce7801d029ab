//! The server that all tools load: nginx, with as many workers as it is given cores, and its own count of requests.
//! It is separate because what it is must be the same for all.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use mite::prelude::*;
use rustix::process::{Pid, Resource, Signal, getrlimit, getuid, kill_process};
use tempfile::TempDir;

use crate::programs::Programs;

/// How long nginx may take to start.
const LONG: Duration = Duration::from_secs(20);

/// The length of what `/order` answers.
const RECEIPT: usize = 1024;

/// What `/order` must be asked with, byte for byte as long: it answers 400 otherwise.
pub(crate) const ORDER: &str = r#"{"customer":"customer-0000000000","product":"a box of pencils, of twelve colours","quantity":12,"address":["12 Mill Lane","Llandudno","LL30 2TW"],"comment":"leave it with the neighbours at number 10"}"#;

/// The length of what `/large` answers.
pub(crate) const LARGE: usize = 1024 * 1024;

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    ports: Ports,
    _folder: TempDir,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    plain: u16,
    tls: u16,
    http2: u16,
    status: u16,
}

/// What nginx has counted since it was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) connections: u64,
    pub(crate) requests: u64,
}

impl Server {
    /// nginx with one worker on each of `cores`.
    ///
    /// # Errors
    ///
    /// If it is not installed, or does not start.
    pub(crate) fn start(programs: &Programs, cores: &[usize]) -> Result<Self> {
        let Some(program) = programs.find("nginx") else {
            bail!("nginx is not installed: nothing can be compared without it (benches/install-peers.sh)")
        };
        let folder = TempDir::new()?;
        fs::write(folder.path().join("large"), vec![b'.'; LARGE])?;
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        fs::write(folder.path().join("certificate.pem"), certificate.cert.pem())?;
        fs::write(folder.path().join("key.pem"), certificate.signing_key.serialize_pem())?;
        let ports = Ports::free()?;
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config(folder.path(), ports, cores)?)?;
        let mut command = Command::new(program);
        command.arg("-e").arg("stderr").arg("-p").arg(folder.path()).arg("-c").arg(file);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let Some(stderr) = process.stderr.take() else { bail!("nginx has no stderr") };
        let server = Self { process, ports, _folder: folder };
        await_workers(&reading(stderr), cores.len())?;
        Ok(server)
    }

    /// HTTP/1.1: `/` answers `ok`, `/order` JSON for JSON, `/large` much.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.plain)
    }

    /// The same with TLS 1.3 and HTTP/1.1.
    pub(crate) fn https_url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.ports.tls)
    }

    /// The same with TLS 1.3 and HTTP/2.
    pub(crate) fn http2_url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.ports.http2)
    }

    /// What it has counted, with this question.
    pub(crate) fn count(&self) -> Result<Count> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.ports.status))?;
        connection.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let numbers = answer.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1).unwrap_or_default();
        let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [connections, _, requests] = numbers[..] else { bail!("nginx does not say what it has counted: {answer}") };
        Ok(Count { connections, requests })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let asked = Pid::from_raw(self.process.id().cast_signed()).map(|pid| kill_process(pid, Signal::TERM));
        if !matches!(asked, Some(Ok(()))) {
            // Its workers would outlive it, so that this comes second.
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

impl Ports {
    /// Free a moment ago: nginx cannot be told to take any.
    fn free() -> Result<Self> {
        let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0"));
        let mut ports = [0; 4];
        for (port, listener) in ports.iter_mut().zip(listeners.iter()) {
            let listener = listener.as_ref().map_err(|error| Error::msg(format!("no port is free: {error}")))?;
            *port = listener.local_addr()?.port();
        }
        let [plain, tls, http2, status] = ports;
        Ok(Self { plain, tls, http2, status })
    }
}

/// The lines of a pipe, read to its end whether they are wanted or not.
fn reading(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (lines, read) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    read
}

fn await_workers(lines: &Receiver<String>, workers: usize) -> Result {
    let mut said = String::new();
    let mut started = 0;
    while started < workers {
        let Ok(line) = lines.recv_timeout(LONG) else { bail!("nginx did not start: {said}") };
        started += usize::from(line.contains("start worker process "));
        let _ = writeln!(said, "{line}");
    }
    Ok(())
}

fn config(folder: &Path, ports: Ports, cores: &[usize]) -> Result<String> {
    let files = getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20).min(1 << 20);
    let Ports { plain, tls, http2, status } = ports;
    let workers = cores.len();
    let masks: Vec<String> = cores.iter().map(|core| format!("1{}", "0".repeat(*core))).collect();
    let masks = masks.join(" ");
    let user = if getuid().is_root() { "user root;" } else { "" };
    let connections = files.saturating_sub(100).min(20_000);
    let Some(folder) = folder.to_str() else { bail!("{}: not UTF-8", folder.display()) };
    let (order, receipt) = (ORDER.len(), receipt());
    let answers = format!(
        r#"location = / {{ return 200 "ok"; }}
        location = /order {{
            default_type application/json;
            if ($content_length != {order}) {{ return 400; }}
            return 200 '{receipt}';
        }}
        location = /large {{ root {folder}; }}"#
    );
    Ok(format!(
        "daemon off;
{user}
worker_processes {workers};
worker_cpu_affinity {masks};
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    access_log off;
    default_type text/plain;
    sendfile on;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.3;
    server {{
        listen 127.0.0.1:{plain} backlog=4096;
        {answers}
    }}
    server {{
        listen 127.0.0.1:{tls} ssl backlog=4096;
        {answers}
    }}
    server {{
        listen 127.0.0.1:{http2} ssl http2 backlog=4096;
        http2_max_concurrent_streams 32;
        {answers}
    }}
    server {{
        listen 127.0.0.1:{status};
        location / {{ stub_status; }}
    }}
}}
"
    ))
}

/// JSON of just the right length.
fn receipt() -> String {
    let item = |product: &str| format!(r#"{{"product":"{product}","quantity":12,"price":3.95}}"#);
    let mut text = r#"{"number":4711,"customer":"customer-0000000000","items":["#.to_owned();
    // Room is left for the last, which is as long as need be.
    while text.len() < RECEIPT - 200 {
        text += &item("a box of pencils, of twelve colours");
        text.push(',');
    }
    let missing = RECEIPT - text.len() - item("").len() - "]}".len();
    text + &item(&"x".repeat(missing)) + "]}"
}
