//! When each phase of a request began and ended, and how long it took.
//! It is separate so that the layers only note instants, and the arithmetic is tested without a network.

use std::time::{Duration, Instant};

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

/// When each phase had ended, in seconds from the start of the request, as curl gives them: each includes those before it.
/// A phase that did not happen is 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) dns: f64,
    pub(crate) connect: f64,
    pub(crate) tls: f64,
    /// The request was about to be written.
    pub(crate) transfer_start: f64,
    pub(crate) first_byte: f64,
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

    pub(crate) fn transferring(&mut self, from: Instant) {
        self.transfer = Some(from);
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

    /// The ends of the phases, see [`Ends`].
    pub(crate) fn ends(&self) -> Ends {
        Ends {
            dns: self.since_start(self.dns.map(|span| span.to)),
            connect: self.since_start(self.connect.map(|span| span.to)),
            tls: self.since_start(self.tls.map(|span| span.to)),
            transfer_start: self.since_start(self.transfer),
            first_byte: self.since_start(self.first_byte),
        }
    }

    fn since_start(&self, at: Option<Instant>) -> f64 {
        at.map_or(0.0, |at| at.saturating_duration_since(self.start).as_secs_f64())
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
        let ends = timings.ends();
        assert!((ends.connect - 0.010).abs() < 1e-9);
        assert!(ends.tls.abs() < 1e-9, "a phase that did not happen is 0");
    }

    #[test]
    fn a_response_before_the_end_of_the_request_waited_for_nothing() {
        let start = Instant::now();
        let mut timings = Timings::starting(start);
        timings.transferred(Some(start + Duration::from_millis(5)), Some(start + Duration::from_millis(4)));
        assert_eq!(timings.first_byte(), Some(Duration::ZERO));
    }
}
