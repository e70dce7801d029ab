//! nginx with a configuration of the test's own, and its account of what it was asked.
//! It is separate from the tests because some of them are in a program of their own.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, process::Command};

use tempfile::TempDir;

use super::process::{Process, find};

/// How many ports a server has: `@PORT0@` and so on in its configuration.
const PORTS: usize = 3;

/// All that is not a test's own. Everything that nginx writes is in the test's folder, whoever runs it.
const CONFIG: &str = "
daemon off;
master_process off;
pid @FOLDER@/nginx.pid;
error_log stderr notice;
events {
    worker_connections 2048;
}
http {
    client_body_temp_path @FOLDER@/client_body;
    proxy_temp_path @FOLDER@/proxy;
    fastcgi_temp_path @FOLDER@/fastcgi;
    uwsgi_temp_path @FOLDER@/uwsgi;
    scgi_temp_path @FOLDER@/scgi;
    log_format account '$connection|$connection_requests|$request_method|$request_uri|$status|$server_protocol|\
$ssl_protocol|$ssl_client_verify|$ssl_session_reused|$body_bytes_sent|$request_length|$http_authorization|$http_cookie';
    access_log @FOLDER@/access.log account;
    default_type text/plain;
    client_max_body_size 0;
@SERVERS@
}
";

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Process,
    ports: [u16; PORTS],
    folder: TempDir,
}

/// One line of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    /// A number that no other connection has.
    pub(crate) connection: u64,
    /// Which of the connection's requests this was, from 1.
    pub(crate) nth: u64,
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) status: u16,
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub(crate) version: String,
    /// `TLSv1.3`; empty without TLS.
    pub(crate) tls: String,
    /// `SUCCESS`, `NONE`, …; empty without TLS.
    pub(crate) client_certificate: String,
    pub(crate) is_resumed: bool,
    /// Bytes of body that were sent.
    pub(crate) sent: u64,
    /// Bytes that were received, head and body.
    pub(crate) received: u64,
    pub(crate) authorization: String,
    pub(crate) cookie: String,
}

impl Nginx {
    /// nginx with these servers, in a folder that `fill` may put files in; none where nginx is not installed. In `servers`,
    /// `@PORT0@` to `@PORT2@` are its ports, and `@FOLDER@` is the folder.
    pub(crate) fn start(servers: &str, fill: impl FnOnce(&Path)) -> Option<Self> {
        let program = find("nginx", "apt-get install nginx-light")?;
        let folder = TempDir::new().unwrap();
        fill(folder.path());
        let place = folder.path().to_str().unwrap();
        let mut servers = servers.to_owned();
        for port in (0..PORTS).map(|number| format!("@PORT{number}@")) {
            // Each is connected to before the test begins.
            if !servers.contains(&port) {
                let _ = write!(servers, "\nserver {{ listen 127.0.0.1:{port}; }}");
            }
        }
        let config = CONFIG.replace("@SERVERS@", &servers).replace("@FOLDER@", place);
        // nginx listens before it says how it will wait for events.
        let (process, ports) = Process::serve("event method", |ports: [u16; PORTS]| {
            let mut config = config.clone();
            for (number, port) in ports.iter().enumerate() {
                config = config.replace(&format!("@PORT{number}@"), &port.to_string());
            }
            let file = folder.path().join("nginx.conf");
            fs::write(&file, config).unwrap();
            let mut command = Command::new(&program);
            command.arg("-e").arg("stderr").arg("-p").arg(folder.path()).arg("-c").arg(file);
            command
        });
        Some(Self { process, ports, folder })
    }

    pub(crate) fn port(&self, number: usize) -> u16 {
        self.ports[number]
    }

    /// A URL of the server on the first port.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port(0))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it, and gives its account.
    pub(crate) fn end(self) -> Vec<Logged> {
        self.process.end();
        let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        log.lines().map(Logged::parse).collect()
    }
}

impl Logged {
    fn parse(line: &str) -> Self {
        let fields: Vec<_> = line.split('|').map(|field| if field == "-" { "" } else { field }).collect();
        let number = |nth: usize| fields[nth].parse().unwrap_or_else(|error| panic!("{error}: {line}"));
        Self {
            connection: number(0),
            nth: number(1),
            method: fields[2].to_owned(),
            uri: fields[3].to_owned(),
            status: fields[4].parse().unwrap(),
            version: fields[5].to_owned(),
            tls: fields[6].to_owned(),
            client_certificate: fields[7].to_owned(),
            is_resumed: fields[8] == "r",
            sent: number(9),
            received: number(10),
            authorization: fields[11].to_owned(),
            cookie: fields[12].to_owned(),
        }
    }
}

/// How many requests came over each connection, by its number.
pub(crate) fn connections(log: &[Logged]) -> BTreeMap<u64, u64> {
    let mut requests = BTreeMap::new();
    for logged in log {
        *requests.entry(logged.connection).or_default() += 1;
    }
    requests
}
