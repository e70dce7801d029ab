//! When each phase of a request began and ended, and what is derived from it for `http_metrics` and the report.
//! It is separate so that the layers only note instants, and the arithmetic is tested without a network.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use serde::{Serialize, Serializer};

use crate::response::Response;

/// A phase that took place: from when to when.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Instant,
    to: Instant,
}

impl Span {
    fn length(self) -> Duration {
        self.to.duration_since(self.from)
    }
}

/// How long each phase of a request took.
///
/// A phase that did not happen has no duration: a reused connection was neither resolved nor connected, an address needs
/// no DNS, and plain HTTP has no TLS.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    start: Instant,
    dns: Option<Span>,
    connect: Option<Span>,
    tls: Option<Span>,
    /// The request is about to be written.
    transfer: Option<Instant>,
    /// The last of its bytes was handed to the operating system.
    sent: Option<Instant>,
    first_byte: Option<Instant>,
    end: Option<Instant>,
}

impl Timings {
    pub(crate) fn starting(start: Instant) -> Self {
        Self { start, dns: None, connect: None, tls: None, transfer: None, sent: None, first_byte: None, end: None }
    }

    pub(crate) fn resolved(&mut self, from: Instant) {
        self.dns = Some(Span { from, to: Instant::now() });
    }

    pub(crate) fn connected(&mut self, from: Instant) {
        self.connect = Some(Span { from, to: Instant::now() });
    }

    pub(crate) fn secured(&mut self, from: Instant) {
        self.tls = Some(Span { from, to: Instant::now() });
    }

    pub(crate) fn transferring(&mut self) {
        self.transfer = Some(Instant::now());
    }

    pub(crate) fn transferred(&mut self, sent: Option<Instant>, first_byte: Option<Instant>) {
        self.sent = sent;
        self.first_byte = first_byte;
    }

    pub(crate) fn ended(&mut self, end: Instant) {
        self.end = Some(end);
    }

    /// When the request began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Resolving the name of the server.
    pub fn dns(&self) -> Option<Duration> {
        self.dns.map(Span::length)
    }

    /// Opening the TCP connection.
    pub fn connect(&self) -> Option<Duration> {
        self.connect.map(Span::length)
    }

    /// The TLS handshake.
    pub fn tls(&self) -> Option<Duration> {
        self.tls.map(Span::length)
    }

    /// From the request having been sent to the first byte of the response.
    pub fn first_byte(&self) -> Option<Duration> {
        // A server may answer before it has read the whole request.
        Some(self.first_byte?.saturating_duration_since(self.sent?))
    }

    /// From the start of the request to the end of its body, or to its failure.
    pub fn total(&self) -> Duration {
        self.end.map_or(Duration::ZERO, |end| end.duration_since(self.start))
    }

    fn since_start(&self, at: Option<Instant>) -> f64 {
        at.map_or(0.0, |at| at.saturating_duration_since(self.start).as_secs_f64())
    }
}

/// The fields of an `http_metrics` message, in the order of the format. The times are seconds from the start of the
/// request, as curl gives them: each includes those before it.
#[derive(Debug, Serialize)]
pub(crate) struct HttpMetrics<'a> {
    start_time: f64,
    effective_url: &'a str,
    response_code: u16,
    dns_time: f64,
    connect_time: f64,
    tls_time: f64,
    transfer_start_time: f64,
    first_byte_time: f64,
    total_time: f64,
    #[serde(serialize_with = "as_text")]
    primary_ip: Option<IpAddr>,
    method: &'a str,
    download_size: u64,
}

impl<'a> HttpMetrics<'a> {
    /// The metrics of `response`, whose request began at `start_time` (Unix seconds).
    pub(crate) fn new(start_time: f64, response: &'a Response) -> Self {
        let timings = response.timings();
        Self {
            start_time,
            effective_url: response.url().as_str(),
            response_code: response.status().as_u16(),
            dns_time: timings.since_start(timings.dns.map(|span| span.to)),
            connect_time: timings.since_start(timings.connect.map(|span| span.to)),
            tls_time: timings.since_start(timings.tls.map(|span| span.to)),
            transfer_start_time: timings.since_start(timings.transfer),
            first_byte_time: timings.since_start(timings.first_byte),
            total_time: timings.total().as_secs_f64(),
            primary_ip: response.remote_addr().map(|address| address.ip()),
            method: response.method().as_str(),
            download_size: response.received(),
        }
    }
}

/// A binary format would take the bytes of the address, where readers of the message expect its text. As with curl, it
/// is empty where there is none.
#[expect(clippy::ref_option, reason = "serde gives it so")]
fn as_text<S: Serializer>(ip: &Option<IpAddr>, serializer: S) -> Result<S::Ok, S::Error> {
    match ip {
        Some(ip) => serializer.collect_str(ip),
        None => serializer.serialize_str(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_alone_in_the_report_and_add_up_in_the_metrics() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timings = Timings::starting(start);
        timings.dns = Some(Span { from: at(1), to: at(3) });
        timings.connect = Some(Span { from: at(3), to: at(10) });
        timings.transfer = Some(at(11));
        timings.transferred(Some(at(12)), Some(at(30)));
        timings.ended(at(31));

        assert_eq!(timings.dns(), Some(Duration::from_millis(2)));
        assert_eq!(timings.connect(), Some(Duration::from_millis(7)));
        assert_eq!(timings.tls(), None);
        assert_eq!(timings.first_byte(), Some(Duration::from_millis(18)));
        assert_eq!(timings.total(), Duration::from_millis(31));
        assert!((timings.since_start(timings.connect.map(|span| span.to)) - 0.010).abs() < 1e-9);
        assert!(timings.since_start(timings.tls.map(|span| span.to)).abs() < 1e-9, "a phase that did not happen is 0");
    }

    #[test]
    fn a_response_before_the_end_of_the_request_waited_for_nothing() {
        let start = Instant::now();
        let mut timings = Timings::starting(start);
        timings.transferred(Some(start + Duration::from_millis(5)), Some(start + Duration::from_millis(4)));
        assert_eq!(timings.first_byte(), Some(Duration::ZERO));
    }
}
