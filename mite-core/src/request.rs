//! One request, as a protocol's session tells of it, and what tells it from the others of its transaction.
//!
//! It is apart from what is made of it, which is two things: figures of all requests, and a sample of those that failed.

pub(crate) mod error_class;

use std::time::Duration;

/// One request as a protocol's session measured it: each duration is that of its phase alone.
///
/// What an extension hands to [`Scope::request`](crate::Scope::request) for each request, with or without a response.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestSample<'a> {
    /// The method or operation: `POST`.
    pub method: &'a str,
    /// What the journey calls a request whose address differs from user to user: `/users/{id}`. Requests of one transaction
    /// with different names are told apart, so that names should be few; an empty one is none.
    pub name: Option<&'a str>,
    /// The response's code; 0 when there was none.
    pub code: u16,
    /// The class of the error of a request without a response: `connect`, `timeout`, …
    pub error: Option<&'static str>,
    /// Bytes of body received.
    pub bytes: u64,
    /// From the start of the request to the end of its body, or to its failure.
    pub total: Duration,
    /// Finding the address, where that was needed.
    pub dns: Option<Duration>,
    /// Connecting, where there was no connection.
    pub connect: Option<Duration>,
    /// The handshake of TLS.
    pub tls: Option<Duration>,
    /// From the request having been sent to the first byte of the response.
    pub first_byte: Option<Duration>,
}

/// What tells the requests of one transaction apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestKind<'a> {
    // What is compared in one step comes first.
    pub(crate) code: u16,
    pub(crate) error: Option<&'static str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) method: &'a str,
}

impl<'a> RequestKind<'a> {
    pub(crate) fn of(sample: &RequestSample<'a>) -> Self {
        let name = sample.name.filter(|name| !name.is_empty());
        Self { code: sample.code, error: sample.error, name, method: sample.method }
    }

    /// The bytes of its texts.
    pub(crate) fn text_bytes(&self) -> usize {
        self.method.len() + self.name.map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_differ_by_each_of_their_parts() {
        let sample = RequestSample { method: "GET", name: Some("/users/{id}"), code: 200, ..Default::default() };
        let kind = RequestKind::of(&sample);
        let others = [
            RequestSample { method: "PUT", ..sample },
            RequestSample { name: Some("/users"), ..sample },
            RequestSample { name: None, ..sample },
            RequestSample { code: 404, ..sample },
            RequestSample { error: Some("timeout"), ..sample },
        ];
        for other in others {
            assert_ne!(RequestKind::of(&other), kind, "{other:?}");
        }
        assert_eq!(RequestKind::of(&RequestSample { bytes: 5, total: Duration::from_secs(1), ..sample }), kind);
        assert_eq!(kind.text_bytes(), 14);
    }

    #[test]
    fn an_empty_name_is_none() {
        let sample = RequestSample { method: "GET", name: Some(""), ..Default::default() };
        assert_eq!(RequestKind::of(&sample), RequestKind::of(&RequestSample { name: None, ..sample }));
    }
}
