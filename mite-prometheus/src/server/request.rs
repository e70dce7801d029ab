//! What a scraper asks, out of the bytes that it sends.
//!
//! It is apart from the server, since it is pure: no connection is known here.

/// As many headers are read of a request, and as many bytes.
const MOST_HEADERS: usize = 64;
pub(crate) const LARGEST_HEAD: usize = 16 * 1024;

/// How a page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Other,
}

/// A request, without a body: none is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Without a query.
    pub(crate) path: String,
    /// What is said of formats; empty where nothing is.
    pub(crate) accept: String,
}

/// What has come of a request so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrived {
    Whole(Request),
    Part,
    /// It has too much in it.
    TooLarge,
    /// It is no HTTP.
    Broken,
}

impl Arrived {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) if bytes.len() < LARGEST_HEAD => return Self::Part,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Self::TooLarge,
            Err(_) => return Self::Broken,
        }
        let (Some(method), Some(target)) = (request.method, request.path) else { return Self::Broken };
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        let path = target.split_once('?').map_or(target, |(path, _)| path).to_owned();
        let accept = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("accept"));
        let accept: Vec<_> = accept.map(|header| String::from_utf8_lossy(header.value)).collect();
        Self::Whole(Request { method, path, accept: accept.join(",") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_come() {
        let whole = |method, path: &str, accept: &str| {
            Arrived::Whole(Request { method, path: path.to_owned(), accept: accept.to_owned() })
        };
        let head = "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\naccept: text/plain\r\nX: y\r\nAccept: */*;q=0.1\r\n\r\n";
        assert_eq!(Arrived::of(head.as_bytes()), whole(Method::Get, "/metrics", "text/plain,*/*;q=0.1"));
        for end in 0..head.len() {
            assert_eq!(Arrived::of(&head.as_bytes()[..end]), Arrived::Part, "{end}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
        let large = format!("GET /{}", "x".repeat(LARGEST_HEAD));
        let rows = [
            ("HEAD / HTTP/1.0\r\n\r\n", whole(Method::Head, "/", "")),
            ("DELETE /metrics HTTP/1.1\r\n\r\nmore", whole(Method::Other, "/metrics", "")),
            ("no HTTP at all\r\n\r\n", Arrived::Broken),
            ("\u{16}\u{3}\u{1}", Arrived::Broken),
            (&many, Arrived::TooLarge),
            (&large, Arrived::TooLarge),
        ];
        for (bytes, arrived) in rows {
            assert_eq!(Arrived::of(bytes.as_bytes()), arrived, "{bytes}");
        }
    }
}
