//! The sink that Prometheus scrapes: an address, what is told there, and how long it stays.
//!
//! It is apart from its server, which is started when the run is, and ends with it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use mite_core::{LiveFigures, Sink, SinkError, Snapshot, Wants};
use tokio::sync::watch;

use crate::buckets::Buckets;
use crate::families::Shape;
use crate::server::{Server, Told};
use crate::stage::{Figures, Stage};

/// How long it stays for the last scrape unless told otherwise.
const LINGER: Duration = Duration::from_secs(5);

/// Serves a run's figures at `/metrics`, for Prometheus to scrape.
///
/// Each scrape has the figures as they are at that moment, merged of all workers. They are written as text, or as OpenMetrics where
/// that is asked for, as Prometheus does. After the run it stays until one more scrape has got the figures of all of it, for
/// [`linger`](Self::linger) at most.
///
/// ```
/// use mite_core::volume::{SECOND, constant};
/// use mite_core::{Context, NoData, Result, Run, Scenario};
/// use mite_prometheus::Prometheus;
///
/// async fn browse(_ctx: &mut Context) -> Result {
///     Ok(())
/// }
///
/// // On port 9301 as a rule; here on any that is free, and without waiting for who does not come.
/// let prometheus = Prometheus::bind("127.0.0.1:0")?.linger(SECOND / 100);
/// println!("http://{}/metrics", prometheus.local_addr());
/// let scenario = Scenario::new().journey(browse, NoData, constant(100, SECOND / 10));
/// let report = Run::new(scenario).sink(prometheus).run_blocking()?;
/// # assert_eq!(report.journeys[0].completed, 10);
/// # Ok::<(), mite_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "it serves nothing until a run has it as a sink"]
pub struct Prometheus {
    address: SocketAddr,
    /// Until the run is opened.
    listener: Option<TcpListener>,
    shape: Shape,
    linger: Duration,
    stage: watch::Sender<Stage>,
    server: Option<Server>,
}

/// There is nowhere to be scraped at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The text is no address.
    #[error(
        "`{address}` is no address to listen on: write it as `127.0.0.1:9301`, or `0.0.0.0:9301` for all interfaces"
    )]
    Address {
        /// The text.
        address: String,
    },
    /// The system does not give the address.
    #[error("failed to listen on {address} for Prometheus: give another address, or port 0 for any that is free")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
}

impl Prometheus {
    /// Listens on an address, `HOST:PORT`; from port 0 the system chooses one that is free, which
    /// [`local_addr`](Self::local_addr) tells. Who connects is answered once the run has started.
    ///
    /// # Errors
    /// [`BindError`]: the text is no address, or it is in use.
    pub fn bind(address: &str) -> Result<Self, BindError> {
        let (host, port) = address.rsplit_once(':').unwrap_or_default();
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(BindError::Address { address: address.to_owned() });
        }
        let listen = || {
            let listener = TcpListener::bind(address)?;
            Ok((listener.local_addr()?, listener))
        };
        let (bound, listener) = listen().map_err(|source| BindError::Listen { address: address.to_owned(), source })?;
        Ok(Self {
            address: bound,
            listener: Some(listener),
            shape: Shape::default(),
            linger: LINGER,
            stage: watch::Sender::new(Stage::UnderWay),
            server: None,
        })
    }

    /// Where it listens.
    ///
    /// ```
    /// # use mite_prometheus::{Buckets, Prometheus};
    /// let prometheus = Prometheus::bind("127.0.0.1:0")?;
    /// assert_ne!(prometheus.local_addr().port(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The buckets of all histograms but that of DNS.
    ///
    /// ```
    /// # use mite_prometheus::{Buckets, Prometheus};
    /// let prometheus = Prometheus::bind("127.0.0.1:0")?.buckets(Buckets::new([0.01, 0.1, 1.0])?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn buckets(mut self, buckets: Buckets) -> Self {
        self.shape.times = buckets;
        self
    }

    /// The buckets of `mite_dns_time`.
    pub fn dns_buckets(mut self, buckets: Buckets) -> Self {
        self.shape.dns = buckets;
        self
    }

    /// How long it stays after the run for a scrape of the figures of all of it: 5 s unless told otherwise. The run's report waits
    /// for it, and up to a second more for a scraper that is slow to read.
    ///
    /// ```
    /// # use mite_prometheus::{Buckets, Prometheus};
    /// let prometheus = Prometheus::bind("127.0.0.1:0")?.linger(std::time::Duration::from_secs(30));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Whether histograms are told as native ones too, to a Prometheus that asks for them (`--enable-feature=native-histograms`):
    /// not unless said here, since it then leaves out the classic ones (`…_bucket`), which dashboards may go by.
    pub fn native_histograms(mut self, native: bool) -> Self {
        self.shape.by_value = native;
        self
    }
}

impl Sink for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn wants(&self) -> Wants {
        Wants::Types(&[])
    }

    /// For those of the whole run.
    fn wants_snapshots(&self) -> bool {
        true
    }

    fn open(&mut self, live: &LiveFigures) -> Result<(), SinkError> {
        let Some(listener) = self.listener.take() else { return Err("it was open before".into()) };
        let figures = Figures::new(live.clone(), self.stage.subscribe());
        self.server = Some(Server::start(listener, Told { figures, shape: self.shape.clone(), cut: Arc::default() })?);
        Ok(())
    }

    fn snapshot(&mut self, figures: &Snapshot) -> Result<(), SinkError> {
        if figures.is_last {
            self.stage.send_replace(Stage::Over(Some(Arc::new(figures.clone()))));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        let has_last = matches!(&*self.stage.borrow(), Stage::Over(Some(_)));
        if !has_last {
            // The run has failed: who waits for its figures gets none.
            self.stage.send_replace(Stage::Over(None));
        } else if let Some(server) = &self.server {
            let _ = server.wait_for_scrape(self.linger);
        }
        self.server = None;
        Ok(())
    }
}
