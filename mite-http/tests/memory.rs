//! Bodies larger than the memory that they may take, both ways. The test is alone in its program, since it looks at what
//! the whole of it takes.

use std::{
    fs, io,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    pin::Pin,
    task::{Context as Task, Poll},
    thread,
};

use mite_core::{Context, Result, ensure, testing::run_journey};
use mite_http::{Body, Bytes, Http1, HttpContext, Settings};

const CHUNK: usize = 64 * 1024;
/// 500 MiB each way.
const CHUNKS: usize = 8_000;
/// What may be taken meanwhile, for buffers of every kind.
const MAX_GROWTH: u64 = 64 << 20;

/// The most memory that this process has ever had.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// A server that reads whatever is sent, and answers each request with as much.
fn serve(listener: &TcpListener) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    let mut stream = BufReader::new(stream);
    let chunk = [format!("{CHUNK:x}\r\n").as_bytes(), &vec![b'x'; CHUNK], b"\r\n"].concat();
    loop {
        let (mut length, mut line) = (0, String::new());
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(("content-length", value)) = line.split_once(": ") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        io::copy(&mut (&mut stream).take(length), &mut io::sink())?;
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for _ in 0..CHUNKS {
            stream.get_mut().write_all(&chunk)?;
        }
        stream.get_mut().write_all(b"0\r\n\r\n")?;
    }
}

/// As much to be sent.
struct Large(usize);

impl futures_core::Stream for Large {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        self.0 = self.0.saturating_sub(1);
        Poll::Ready((self.0 > 0).then(|| Ok(Bytes::from(vec![b'x'; CHUNK]))))
    }
}

#[test]
fn bodies_of_half_a_gigabyte_take_no_more_than_their_buffers() {
    if cfg!(not(target_os = "linux")) {
        println!("SKIPPED: only Linux tells how much memory a process has had");
        return;
    }
    take_no_more_than_their_buffers(Http1::Mite);
    if cfg!(feature = "hyper") {
        take_no_more_than_their_buffers(Http1::Hyper);
    }
}

fn take_no_more_than_their_buffers(http1: Http1) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || serve(&listener));
    let journey = async move |ctx: &mut Context, url: String| -> Result {
        let ctx = ctx.http_session(Settings::new().http1(http1));
        let all = (CHUNKS * CHUNK) as u64;
        let before = peak();
        let sizes = ctx.http().get(&url).discard().await?.sizes();
        ensure!(sizes.received == all, "{sizes:?}");
        let response = ctx.http().post(&url).body(Body::stream(Large(CHUNKS + 1)).with_length(all)).discard().await?;
        ensure!(response.sizes().sent == all && response.sizes().received == all, "{:?}", response.sizes());
        let mut response = ctx.http().get(&url).stream().await?;
        let mut received = 0;
        while let Some(piece) = response.next().await {
            received += piece?.len() as u64;
        }
        ensure!(received == all, "{received} bytes came");
        let error = ctx.http().get(&url).max_body(1 << 20).await.unwrap_err();
        ensure!(error.class() == "body", "{error}");
        let grown = peak() - before;
        ensure!(grown < MAX_GROWTH, "it took {grown} bytes more");
        Ok(())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run_journey(journey, (url,))).unwrap().assert_ok();
    // The client has closed the last of its connections in the middle of an answer.
    drop(server.join().unwrap());
}
