//! Python's `http.server`: HTTP/1.0 without keep-alive.

use std::{fs, process::Command};

use mite_core::Context;
use mite_http::{HttpContext, StatusCode, Version};
use tempfile::TempDir;

use crate::common::{
    in_turn, outcomes, passed,
    process::{Process, find},
    total,
};

/// `python3 -m http.server`, which says on its standard error that it listens, and each request with the client's port.
const PROGRAM: &str = "
import http.server, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    def address_string(self):
        return '%s:%d' % self.client_address

with http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler) as server:
    print('listens', file=sys.stderr, flush=True)
    server.serve_forever()
";

#[test]
fn each_response_ends_with_its_connection() {
    let Some(python) = find("python3", "apt-get install python3") else { return };
    let folder = TempDir::new().unwrap();
    let file: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
    fs::write(folder.path().join("file"), &file).unwrap();
    let (server, [port]) = Process::serve("listens", |[port]: [u16; 1]| {
        let mut command = Command::new(&python);
        command.args(["-c", PROGRAM, &port.to_string()]).current_dir(folder.path());
        command
    });

    let url = format!("http://127.0.0.1:{port}");
    let run = in_turn(5, async move |ctx: &mut Context| {
        let http = ctx.http();
        for _ in 0..8 {
            let listing = http.get(format!("{url}/")).await?;
            mite_core::ensure!(listing.version() == Version::HTTP_10);
            mite_core::ensure!(listing.text()?.contains("<a href=\"file\">file</a>"));
        }
        let missing = http.get(format!("{url}/missing")).await?;
        mite_core::ensure!(missing.status() == StatusCode::NOT_FOUND);
        mite_core::ensure!(http.get(format!("{url}/file")).await?.bytes() == file);
        Ok(())
    });
    let report = passed(run);

    assert_eq!(outcomes(&report), [("GET", 200, None, 45), ("GET", 404, None, 5)]);
    assert_eq!(total(&report, |row| row.connect.count()), 50, "each has a connection of its own");
    let said = server.end();
    let requests = |path: &str, status| {
        let end = format!("\"GET {path} HTTP/1.1\" {status} -");
        said.lines().filter(|line| line.ends_with(&end)).count()
    };
    assert_eq!((requests("/", 200), requests("/missing", 404), requests("/file", 200)), (40, 5, 5), "{said}");
    let mut clients: Vec<_> =
        said.lines().filter(|line| line.contains("\"GET ")).filter_map(|line| line.split(' ').next()).collect();
    clients.sort_unstable();
    clients.dedup();
    assert_eq!(clients.len(), 50, "a port is not used twice within a second: {said}");
}
