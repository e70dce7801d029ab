//! A server in a process of its own, so that its instructions are not counted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use mite::prelude::*;

pub(crate) struct Server {
    process: Child,
    address: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
        let Some(said) = process.stdout.take() else { bail!("the server says nothing") };
        let mut server = Self { process, address: String::new() };
        BufReader::new(said).read_line(&mut server.address)?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> &str {
        self.address.trim()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn serve() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || answer(stream));
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
