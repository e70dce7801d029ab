//! When each phase of a request began and ended, and how long it took.
//! It is separate so that the layers only note instants, and the arithmetic is tested without a network.

use std::time::{Duration, Instant};

/// An instant, in nanoseconds from the start of the request; or that there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At(u64);

impl At {
    const NEVER: Self = Self(u64::MAX);

    fn duration(self) -> Option<Duration> {
        (self != Self::NEVER).then(|| Duration::from_nanos(self.0))
    }

    /// From then until `end`, if both took place.
    fn until(self, end: Self) -> Option<Duration> {
        Some(end.duration()?.saturating_sub(self.duration()?))
    }
}

/// From when to when a phase was.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: At,
    to: At,
}

impl Span {
    const NEVER: Self = Self { from: At::NEVER, to: At::NEVER };
}

/// How long each phase of a request took.
///
/// A phase that did not happen has no duration: a reused connection was neither resolved nor connected, an address needs
/// no DNS, and plain HTTP has no TLS.
///
/// ```
/// # use mite_core::{Context, Result};
/// # use mite_http::HttpContext;
/// # async fn visit(ctx: &mut Context) -> Result {
/// let response = ctx.http().get("http://localhost:8080/").await?;
/// let timings = response.timings();
/// println!("connected in {:?}, answered in {:?}, in all {:?}", timings.connect(), timings.first_byte(), timings.total());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    start: Instant,
    dns: Span,
    connect: Span,
    tls: Span,
    /// The request is about to be written.
    transfer: At,
    /// The last of its bytes was handed to the operating system.
    sent: At,
    first_byte: At,
    end: At,
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
        Self {
            start,
            dns: Span::NEVER,
            connect: Span::NEVER,
            tls: Span::NEVER,
            transfer: At(0),
            sent: At::NEVER,
            first_byte: At::NEVER,
            end: At::NEVER,
        }
    }

    fn at(&self, instant: Instant) -> At {
        At(instant.saturating_duration_since(self.start).as_nanos() as u64)
    }

    fn since(&self, from: Instant) -> Span {
        Span { from: self.at(from), to: self.at(Instant::now()) }
    }

    pub(crate) fn resolved(&mut self, from: Instant) {
        self.dns = self.since(from);
    }

    pub(crate) fn connected(&mut self, from: Instant) {
        self.connect = self.since(from);
    }

    pub(crate) fn secured(&mut self, from: Instant) {
        self.tls = self.since(from);
    }

    /// The request is about to be written; unless this is said, that is so from its start on.
    pub(crate) fn transferring(&mut self, from: Instant) {
        self.transfer = self.at(from);
    }

    pub(crate) fn transferred(&mut self, sent: Option<Instant>, first_byte: Option<Instant>) {
        let at = |instant: Option<Instant>| instant.map_or(At::NEVER, |instant| self.at(instant));
        (self.sent, self.first_byte) = (at(sent), at(first_byte));
    }

    pub(crate) fn ended(&mut self, end: Instant) {
        self.end = self.at(end);
    }

    /// When the request began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Resolving the name of the server.
    pub fn dns(&self) -> Option<Duration> {
        self.dns.from.until(self.dns.to)
    }

    /// Opening the TCP connection.
    pub fn connect(&self) -> Option<Duration> {
        self.connect.from.until(self.connect.to)
    }

    /// The TLS handshake.
    pub fn tls(&self) -> Option<Duration> {
        self.tls.from.until(self.tls.to)
    }

    /// From the request having been sent to the first byte of the response.
    pub fn first_byte(&self) -> Option<Duration> {
        // A server may answer before it has read the whole request.
        self.sent.until(self.first_byte)
    }

    /// From the start of the request to the end of its body, or to its failure.
    pub fn total(&self) -> Duration {
        self.end.duration().unwrap_or_default()
    }

    /// The ends of the phases, see [`Ends`].
    pub(crate) fn ends(&self) -> Ends {
        let seconds = |at: At| at.duration().map_or(0.0, |since| since.as_secs_f64());
        Ends {
            dns: seconds(self.dns.to),
            connect: seconds(self.connect.to),
            tls: seconds(self.tls.to),
            transfer_start: seconds(self.transfer),
            first_byte: seconds(self.first_byte),
        }
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
        let span = |from, to| Span { from: timings.at(at(from)), to: timings.at(at(to)) };
        (timings.dns, timings.connect) = (span(1, 3), span(3, 10));
        timings.transferring(at(11));
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
