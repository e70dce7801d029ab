//! One request to a receiver and its answer, on a connection of its own, plain or by TLS.
//!
//! It is apart from the sender, which decides what is sent again and when. A connection for each write is little where there is one a
//! second, and none of them can have been closed meanwhile.

use std::io;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::target::Target;

/// As much is read of an answer.
const MOST_READ: usize = 64 * 1024;
const MOST_HEADERS: usize = 128;

/// What a write fails with before it is answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("failed to connect: {0}")]
    Connect(#[source] io::Error),
    #[error("failed to write: {0}")]
    Write(#[source] io::Error),
    #[error("the connection was closed before an answer")]
    Closed,
    #[error("the answer is no HTTP: {0}")]
    NoHttp(#[source] httparse::Error),
}

/// What is answered: the status, and the first line of the body where it was not taken.
pub(crate) type Answered = (StatusCode, String);

/// Writes a body.
pub(crate) async fn write(target: &Target, body: &[u8]) -> Result<Answered, Unanswered> {
    let stream = TcpStream::connect((&*target.host, target.port)).await.map_err(Unanswered::Connect)?;
    match target.is_https {
        false => on(stream, target, body).await,
        #[cfg(feature = "tls")]
        true => on(super::tls::connect(&target.host, stream).await.map_err(Unanswered::Connect)?, target, body).await,
        // Without TLS no target is made that asks for it.
        #[cfg(not(feature = "tls"))]
        true => Err(Unanswered::Connect(io::ErrorKind::Unsupported.into())),
    }
}

async fn on(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    target: &Target,
    body: &[u8],
) -> Result<Answered, Unanswered> {
    let written = async {
        stream.write_all(&target.request(body)).await?;
        stream.flush().await
    };
    let written = written.await;
    let mut bytes = Vec::new();
    let mut ended = false;
    loop {
        match answer(&bytes, ended)? {
            Answer::Whole(answered) => return Ok(answered),
            // A receiver may have answered before it closed on what was being written.
            Answer::None => return Err(written.err().map_or(Unanswered::Closed, Unanswered::Write)),
            Answer::Part => {}
        }
        // Some close without a word of TLS's own; what has come is what there is.
        ended = stream.read_buf(&mut bytes).await.unwrap_or_default() == 0 || bytes.len() >= MOST_READ;
    }
}

/// What has come of an answer.
#[derive(Debug, PartialEq)]
enum Answer {
    Whole(Answered),
    Part,
    None,
}

/// `ended`: nothing more will come.
fn answer(mut bytes: &[u8], ended: bool) -> Result<Answer, Unanswered> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes).map_err(Unanswered::NoHttp)? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial if ended => return Ok(Answer::None),
            httparse::Status::Partial => return Ok(Answer::Part),
        };
        let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(Unanswered::NoHttp(httparse::Error::Status))?;
        let rest = &bytes[length..];
        if status.is_informational() {
            bytes = rest;
            continue;
        }
        let header = |name: &str| {
            let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.and_then(|header| str::from_utf8(header.value).ok()).map(str::trim)
        };
        let is_chunked = header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        // The first chunk has the first line.
        let said = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete((at, _))) if is_chunked => &rest[at..],
            _ if is_chunked => &[],
            _ => rest,
        };
        let all = header("content-length").and_then(|length| length.parse().ok());
        let has_all = all.is_some_and(|all: usize| !is_chunked && rest.len() >= all);
        if ended || status.is_success() || has_all || said.contains(&b'\n') {
            let line = String::from_utf8_lossy(said).lines().next().unwrap_or_default().trim().to_owned();
            return Ok(Answer::Whole((status, line)));
        }
        return Ok(Answer::Part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_first_line() {
        let whole = |code, line: &str| Answer::Whole((StatusCode::from_u16(code).unwrap(), line.to_owned()));
        let rows = [
            ("", false, Answer::Part),
            ("", true, Answer::None),
            ("HTTP/1.1 400 Bad", true, Answer::None),
            ("HTTP/1.1 204 No Content\r\n\r\n", false, whole(204, "")),
            // What is said of a success is not waited for.
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", false, whole(200, "")),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n", false, whole(202, "")),
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\nno", false, Answer::Part),
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\nno!", false, whole(400, "no!")),
            ("HTTP/1.0 400 Bad Request\r\n\r\nno", false, Answer::Part),
            ("HTTP/1.0 400 Bad Request\r\n\r\nno", true, whole(400, "no")),
            ("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nno\nnever\r\n", false, whole(500, "no")),
            ("HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n", true, whole(500, "")),
        ];
        for (bytes, ended, expected) in rows {
            assert_eq!(answer(bytes.as_bytes(), ended).unwrap(), expected, "{bytes}");
        }
        assert!(answer(b"SSH-2.0-OpenSSH\r\n", false).is_err());
    }
}
