//! Prometheus itself, on a free port and with a folder of its own, and its API.
//!
//! It is apart from the tests, which only ask it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{LONG, ask};
use crate::process::{Process, find};

/// A running Prometheus.
#[derive(Debug)]
pub(crate) struct Prometheus {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

/// A series' labels in their order, without those that the scrape adds.
pub(crate) type Labels = Vec<(String, String)>;

fn program(name: &str) -> Option<PathBuf> {
    find(name, "apt-get install prometheus")
}

impl Prometheus {
    /// Scrapes `targets` once a second; none where it is not installed.
    pub(crate) fn start(targets: &[SocketAddr], options: &[&str]) -> Option<Self> {
        let program = program("prometheus")?;
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("prometheus.yml");
        let mut text = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n".to_owned();
        for (number, target) in targets.iter().enumerate() {
            let _ = writeln!(text, "- {{job_name: mite{number}, static_configs: [{{targets: ['{target}']}}]}}");
        }
        std::fs::write(&config, text).unwrap();
        let (process, [port]) = Process::serve("Server is ready", |[port]: [u16; 1]| {
            let mut command = Command::new(&program);
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", folder.path().join(port.to_string()).display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .args(options)
                .stdout(Stdio::null());
            command
        });
        Some(Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)), _folder: folder })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn end(self) {
        self.process.end();
    }

    fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut query = String::new();
        for (name, value) in parameters {
            let _ = write!(query, "{}{name}=", if query.is_empty() { "?" } else { "&" });
            for byte in value.bytes() {
                let _ = write!(query, "%{byte:02X}");
            }
        }
        let answer = ask(self.address, "GET", &format!("/api/v1/{path}{query}"), "");
        let mut json: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
        assert_eq!(json["status"], "success", "{parameters:?}: {json}");
        json["data"].take()
    }

    /// What an expression is now.
    pub(crate) fn query(&self, expression: &str) -> Vec<(Labels, f64)> {
        let mut data = self.api("query", &[("query", expression)]);
        let results = data["result"].take();
        results
            .as_array()
            .unwrap()
            .iter()
            .map(|result| (labels(&result["metric"]), number(&result["value"][1])))
            .collect()
    }

    /// All that an expression has been in the last minutes, at any second.
    pub(crate) fn range(&self, expression: &str) -> Vec<(Labels, Vec<f64>)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (start, end) = ((now - 180).to_string(), (now + 1).to_string());
        let parameters = [("query", expression), ("start", &start), ("end", &end), ("step", "1")];
        let data = self.api("query_range", &parameters);
        let values =
            |series: &Value| series["values"].as_array().unwrap().iter().map(|value| number(&value[1])).collect();
        let results = data["result"].as_array().unwrap().iter();
        results.map(|series| (labels(&series["metric"]), values(series))).collect()
    }

    /// Asks until an expression has a series: what was scraped, or written, is there a moment later.
    pub(crate) fn wait_for(&self, expression: &str) -> Vec<(Labels, f64)> {
        let began = Instant::now();
        loop {
            let found = self.query(expression);
            if !found.is_empty() {
                return found;
            }
            assert!(began.elapsed() < LONG, "{expression} has come to nothing");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn labels(metric: &Value) -> Labels {
    let labels = metric.as_object().unwrap().iter();
    let mut labels: Vec<_> = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    labels.retain(|(name, _)| name != "job" && name != "instance" && name != "__name__");
    labels.sort();
    labels
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// What `promtool check metrics` says of a scrape, and whether it is content; none where it is not installed.
pub(crate) fn check_metrics(scrape: &str) -> Option<(String, bool)> {
    use std::io::Write as _;
    let mut command = Command::new(program("promtool")?);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(scrape.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((String::from_utf8(said).unwrap(), output.status.success()))
}
