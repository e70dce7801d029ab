//! The sink that writes a run's figures to a receiver, for runs that nobody can scrape.
//!
//! It is apart from the one that is scraped: it decides itself when figures are told, and must know what became of them.

mod exchange;
mod request;
mod retry;
mod sender;
mod target;
#[cfg(feature = "tls")]
mod tls;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mite_core::{LiveFigures, Sink, SinkError, Snapshot, Wants};

use crate::buckets::Buckets;
use crate::families::{Shape, families};
use crate::family::CutTold;
use sender::{Account, Sender};
use target::Target;

pub use target::RemoteWriteError;

/// How often figures are written unless told otherwise.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the report waits for what is not written yet.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
/// Figures come once a second, not to the millisecond.
const EARLY: Duration = Duration::from_millis(500);

/// Writes a run's figures to what takes Prometheus' remote write 1.0: Prometheus itself, Mimir, Thanos, VictoriaMetrics.
///
/// What the receiver has no time for (5xx, 429, no answer) is tried again, in order, up to a minute; what it refuses is not. Neither ends
/// the run: the log tells it at once, and the report at the end. Proxies of the environment are not used.
///
/// ```no_run
/// use mite_core::volume::{SECOND, constant};
/// use mite_core::{Context, NoData, Result, Run, Scenario};
/// use mite_prometheus::RemoteWrite;
///
/// async fn browse(_ctx: &mut Context) -> Result {
///     Ok(())
/// }
///
/// let written = RemoteWrite::to("https://prometheus.example/api/v1/write")?.bearer_token("secret")?;
/// let scenario = Scenario::new().journey(browse, NoData, constant(100, 60 * SECOND));
/// let report = Run::new(scenario).sink(written).run_blocking()?;
/// # Ok::<(), mite_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "it writes nothing until a run has it as a sink"]
pub struct RemoteWrite {
    target: Target,
    interval: Duration,
    give_up_after: Duration,
    shape: Shape,
    sender: Option<Sender>,
    /// When figures were last written, since the run's start.
    written_at: Option<Duration>,
    /// Milliseconds of Unix time that were told last.
    told_at: i64,
    cut: CutTold,
}

impl RemoteWrite {
    /// Writes to this URL, of http or (with the feature `tls`) https.
    ///
    /// # Errors
    /// [`RemoteWriteError`]: it is none, or has a password in it.
    pub fn to(url: &str) -> Result<Self, RemoteWriteError> {
        Ok(Self {
            target: Target::new(url)?,
            interval: INTERVAL,
            give_up_after: GIVE_UP_AFTER,
            shape: Shape::default(),
            sender: None,
            written_at: None,
            told_at: 0,
            cut: CutTold::default(),
        })
    }

    /// How often figures are written: each second unless told otherwise, which is the least. Those of the whole run are written at its
    /// end in any case.
    ///
    /// ```
    /// # use mite_prometheus::RemoteWrite;
    /// let write = RemoteWrite::to("http://localhost:9090/api/v1/write")?.interval(std::time::Duration::from_secs(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long the run's report waits for what is not written at its end: 10 s unless told otherwise.
    pub fn give_up_after(mut self, wait: Duration) -> Self {
        self.give_up_after = wait;
        self
    }

    /// Says a header in each request: `X-Scope-OrgID` for Mimir.
    ///
    /// # Errors
    /// [`RemoteWriteError::Header`]: no header can hold it, or the protocol itself says it.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, RemoteWriteError> {
        self.target.header(name, value)?;
        Ok(self)
    }

    /// Says who writes, by a token.
    ///
    /// # Errors
    /// [`RemoteWriteError::Header`]: it has what no header can hold.
    ///
    /// ```
    /// # use mite_prometheus::RemoteWrite;
    /// let write = RemoteWrite::to("http://localhost:9090/api/v1/write")?.bearer_token("a-token")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bearer_token(self, token: &str) -> Result<Self, RemoteWriteError> {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Says who writes, by a name and a password.
    ///
    /// # Errors
    /// As [`bearer_token`](Self::bearer_token).
    ///
    /// ```
    /// # use mite_prometheus::RemoteWrite;
    /// let write = RemoteWrite::to("http://localhost:9090/api/v1/write")?.basic_auth("ann", "test1234")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn basic_auth(mut self, name: &str, password: &str) -> Result<Self, RemoteWriteError> {
        self.target.basic_auth(name, password)?;
        Ok(self)
    }

    /// The buckets of all histograms but that of DNS.
    pub fn buckets(mut self, buckets: Buckets) -> Self {
        self.shape.times = buckets;
        self
    }

    /// The buckets of `mite_dns_time`.
    pub fn dns_buckets(mut self, buckets: Buckets) -> Self {
        self.shape.dns = buckets;
        self
    }

    fn body(&mut self, figures: &Snapshot) -> Result<Vec<u8>, snap::Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Receivers refuse what is not later than what they have, as after a clock was set back.
        self.told_at = i64::try_from(now.as_millis()).unwrap_or(i64::MAX).max(self.told_at.saturating_add(1));
        let families = families(figures, &self.shape);
        self.cut.look_at(&families);
        request::body(&families, self.told_at)
    }

    fn is_due(&self, elapsed: Duration) -> bool {
        self.written_at.is_none_or(|last| elapsed.saturating_sub(last) + EARLY >= self.interval)
    }
}

impl Sink for RemoteWrite {
    fn name(&self) -> &'static str {
        "remote write"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&[])
    }

    fn wants_snapshots(&self) -> bool {
        true
    }

    fn open(&mut self, _: &LiveFigures) -> Result<(), SinkError> {
        self.sender = Some(Sender::start(self.target.clone())?);
        Ok(())
    }

    fn snapshot(&mut self, figures: &Snapshot) -> Result<(), SinkError> {
        if figures.is_last {
            let last = self.body(figures)?;
            return self.finish(Some(last));
        }
        if self.is_due(figures.elapsed) {
            self.written_at = Some(figures.elapsed);
            let body = self.body(figures)?;
            self.sender.iter().for_each(|sender| sender.send(body.clone().into()));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        // Where the run has failed, there are no last figures.
        self.finish(None)
    }
}

impl RemoteWrite {
    fn finish(&mut self, last: Option<Vec<u8>>) -> Result<(), SinkError> {
        let Some(sender) = self.sender.take() else { return Ok(()) };
        let account = sender.end(last.map(Into::into), self.give_up_after);
        told(&self.target.url, &account).map_or(Ok(()), |failure| Err(failure.into()))
    }
}

/// What is said of bodies that were not taken.
fn told(url: &str, account: &Account) -> Option<String> {
    let Account { handed_over, taken, failure, .. } = account;
    let why = failure.as_deref().unwrap_or("the sender has ended");
    (taken < handed_over).then(|| format!("{url} has taken {taken} of {handed_over} writes: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_often_as_asked_for() {
        let mut written = RemoteWrite::to("http://localhost/").unwrap().interval(Duration::from_secs(5));
        let mut due = Vec::new();
        for second in 1..=20 {
            let elapsed = Duration::from_millis(second * 1000 + second % 3);
            if written.is_due(elapsed) {
                written.written_at = Some(elapsed);
                due.push(second);
            }
        }
        assert_eq!(due, [1, 6, 11, 16]);
    }

    #[test]
    fn what_was_not_taken_is_told() {
        let account = |taken, failure: Option<&str>| {
            let failure = failure.map(str::to_owned);
            Account { handed_over: 3, taken, failure, ..Account::default() }
        };
        // What was tried again and then taken is no failure.
        assert_eq!(told("http://a/", &account(3, Some("503"))), None);
        assert_eq!(
            told("http://a/", &account(1, Some("400 Bad Request: no"))).as_deref(),
            Some("http://a/ has taken 1 of 3 writes: 400 Bad Request: no")
        );
    }
}
