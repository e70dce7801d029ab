//! The connection: how it is made, what is known of it, and how something is asked over it.
//! It is separate because everything else only asks, and should not know what becomes of a question when a connection breaks.

use std::error::Error as StdError;
use std::fmt::{self, Debug};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, HeaderMap, Message, Request};
use async_nats::{PublishErrorKind, RequestErrorKind, ServerAddr, Subscriber};
use bytes::Bytes;
use mite_core::bus::BusError;
use percent_encoding::percent_decode_str;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::options::{Login, Options};
use crate::tls;

/// The oldest server that is known to do what is asked of it.
const OLDEST: (i64, i64, i64) = (2, 9, 10);
/// How often the server is asked whether it is there; the connection is given up when it has not answered for twice that.
const PING: Duration = Duration::from_secs(1);
/// The longest wait between two attempts to connect, before chance takes up to half of it.
const MOST_DELAY: Duration = Duration::from_millis(500);

/// What is waited before a server that was not ready is asked again.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// A connection that is made again whenever it breaks.
pub(crate) struct Link {
    client: Client,
    /// Without who asks.
    pub(crate) places: String,
    pub(crate) prefix: String,
    pub(crate) within: Duration,
    state: watch::Receiver<State>,
    /// What the server has last complained of.
    complaint: Arc<Mutex<Option<String>>>,
}

/// What is known of a connection.
#[derive(Debug, Clone, Copy)]
struct State {
    is_connected: bool,
    is_closed: bool,
    /// How often it has broken.
    broken: u64,
}

/// Whether a question may be asked once more when the connection breaks before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It changes nothing, or the same when it is asked twice.
    Yes,
    No,
}

/// What a question came to, other than an answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// Nobody listens to the subject.
    NobodyListens,
    Error(BusError),
}

impl Link {
    pub(crate) async fn connect(options: &Options) -> Result<Self, BusError> {
        options.check()?;
        let places = options.places();
        let (told, state) = watch::channel(State { is_connected: true, is_closed: false, broken: 0 });
        let complaint = Arc::new(Mutex::new(None));
        let noting = Noting { told, complaint: Arc::clone(&complaint), places: places.clone() };
        let with = with_login(ConnectOptions::new(), options).await?;
        let mut with = with
            .name(&options.name)
            .ping_interval(PING)
            .connection_timeout(options.connect_timeout)
            .tls_client_config(tls::config(options)?)
            .reconnect_delay_callback(|attempts| delay(attempts, RandomState::new().build_hasher().finish()))
            .event_callback(move |event| {
                noting.note(&event);
                std::future::ready(())
            });
        if !options.tls_roots.is_empty() || options.client_certificate.is_some() {
            with = with.require_tls(true);
        }
        let client = with.connect(options.urls.clone()).await.map_err(|error| cannot_connect(&places, error))?;
        let (prefix, within) = (options.prefix.clone(), options.request_timeout);
        let link = Self { client, places, prefix, within, state, complaint };
        link.check_server()?;
        Ok(link)
    }

    /// Whether this server will do.
    fn check_server(&self) -> Result<(), BusError> {
        let Self { client, places, .. } = self;
        let (major, minor, patch) = OLDEST;
        let version = self.version();
        if !client.is_server_compatible(major, minor, patch) {
            return Err(BusError::invalid(format_args!(
                "nats-server {version} at {places} is too old: mite needs {major}.{minor}.{patch} or newer"
            )));
        }
        if !client.server_info().jetstream {
            return Err(BusError::invalid(format_args!(
                "the nats-server at {places} has no JetStream: start it with `nats-server -js`"
            )));
        }
        Ok(())
    }

    fn version(&self) -> String {
        self.client.server_info().version
    }

    pub(crate) fn description(&self) -> String {
        format!("{} (nats-server {})", self.places, self.version())
    }

    /// Asks, and waits for an answer. `what` is for errors: "to read the register run7".
    pub(crate) async fn ask(
        &self,
        what: &str,
        subject: &str,
        headers: Option<HeaderMap>,
        payload: impl Into<Bytes>,
        within: Duration,
        again: Again,
    ) -> Result<Message, Unanswered> {
        let deadline = Instant::now() + within;
        let mut state = self.state.clone();
        let payload = payload.into();
        loop {
            let State { broken, .. } = self.connected(&mut state, deadline, what).await.map_err(Unanswered::Error)?;
            let mut request = Request::new().payload(payload.clone()).timeout(None);
            if let Some(headers) = &headers {
                request = request.headers(headers.clone());
            }
            tokio::select! {
                biased;
                answer = self.client.send_request(subject.to_owned(), request) => match answer {
                    Ok(message) => return Ok(message),
                    Err(error) if error.kind() == RequestErrorKind::NoResponders => return Err(Unanswered::NobodyListens),
                    Err(error) => return Err(Unanswered::Error(self.refused(error.kind() == RequestErrorKind::MaxPayloadExceeded, what, error))),
                },
                _ = state.wait_for(|state| state.broken != broken || state.is_closed) => {
                    if again == Again::No {
                        return Err(Unanswered::Error(BusError::disconnected(format_args!(
                            "the connection to {} broke before it answered the request {what}", self.places
                        ))));
                    }
                }
                () = sleep_until(deadline) => return Err(Unanswered::Error(self.late(what, within))),
            }
        }
    }

    /// Sends, and does not wait for anything.
    pub(crate) async fn send(&self, what: &str, subject: &str, payload: Vec<u8>) -> Result<(), BusError> {
        if !self.state.borrow().is_connected {
            return Err(self.not_connected(what));
        }
        match timeout(self.within, self.client.publish(subject.to_owned(), Bytes::from(payload))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.refused(error.kind() == PublishErrorKind::MaxPayloadExceeded, what, error)),
            Err(_) => Err(self.late(what, self.within)),
        }
    }

    /// Sends with a subject for answers, and does not wait for anything.
    pub(crate) async fn send_with_reply(
        &self,
        what: &str,
        subject: String,
        reply: String,
        payload: Vec<u8>,
    ) -> Result<(), BusError> {
        match timeout(self.within, self.client.publish_with_reply(subject, reply, Bytes::from(payload))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.refused(error.kind() == PublishErrorKind::MaxPayloadExceeded, what, error)),
            Err(_) => Err(self.late(what, self.within)),
        }
    }

    pub(crate) async fn subscribe(&self, what: &str, subject: String) -> Result<Subscriber, BusError> {
        match timeout(self.within, self.client.subscribe(subject)).await {
            Ok(Ok(subscriber)) => Ok(subscriber),
            Ok(Err(error)) => Err(self.refused(false, what, error)),
            Err(_) => Err(self.late(what, self.within)),
        }
    }

    /// A subject that nobody else has.
    pub(crate) fn inbox(&self) -> String {
        self.client.new_inbox()
    }

    /// What tells that the connection has broken since now.
    pub(crate) fn breaks(&self) -> Breaks {
        let state = self.state.clone();
        let broken = state.borrow().broken;
        Breaks { state, broken }
    }

    /// Waits until something may be tried again that failed because there is no connection, or no answer.
    ///
    /// # Errors
    /// The error, if it is of another kind; or the connection was closed for good.
    pub(crate) async fn wait_out(&self, error: BusError) -> Result<(), BusError> {
        if !error.is_disconnected() && !error.is_timeout() {
            return Err(error);
        }
        tracing::debug!("{error}");
        let mut state = self.state.clone();
        let found = state.wait_for(|state| state.is_connected || state.is_closed).await.map(|state| *state);
        match found {
            Ok(State { is_closed: false, .. }) => {
                sleep(PAUSE).await;
                Ok(())
            }
            Ok(_) | Err(_) => Err(self.closed()),
        }
    }

    async fn connected(
        &self,
        state: &mut watch::Receiver<State>,
        deadline: Instant,
        what: &str,
    ) -> Result<State, BusError> {
        let found = timeout_at(deadline, state.wait_for(|state| state.is_connected || state.is_closed)).await;
        match found.map(|found| found.map(|state| *state)) {
            Ok(Ok(state)) if !state.is_closed => Ok(state),
            Ok(_) => Err(self.closed()),
            Err(_) => Err(self.not_connected(what)),
        }
    }

    /// That there was no answer in time, with what the server has said meanwhile.
    pub(crate) fn late(&self, what: &str, within: Duration) -> BusError {
        let error = BusError::timeout(format_args!("no answer from {} in {within:?} {what}", self.places));
        match self.complaint() {
            // A server that refuses says so, but not to which request.
            Some(complaint) => error.with_source(format!("the server has said: {complaint}")),
            None => error,
        }
    }

    fn not_connected(&self, what: &str) -> BusError {
        BusError::disconnected(format_args!("there is no connection to {} {what}", self.places))
    }

    fn closed(&self) -> BusError {
        let error = BusError::disconnected(format_args!("the connection to {} was closed for good", self.places));
        match self.complaint() {
            Some(complaint) => error.with_source(complaint),
            None => error,
        }
    }

    fn complaint(&self) -> Option<String> {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refused(&self, is_too_large: bool, what: &str, error: impl StdError + Send + Sync + 'static) -> BusError {
        if is_too_large {
            let most = self.client.max_payload();
            return BusError::invalid(format_args!(
                "what was to be sent {what} is larger than the {most} bytes that {} takes: `max_payload` in its configuration",
                self.places
            ))
            .with_source(error);
        }
        BusError::other(format_args!("failed {what} at {}", self.places)).with_source(error)
    }
}

impl Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("places", &self.places)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

/// Tells when a connection has broken.
#[derive(Debug)]
pub(crate) struct Breaks {
    state: watch::Receiver<State>,
    broken: u64,
}

impl Breaks {
    /// Returns once it has.
    pub(crate) async fn broken(&mut self) {
        let broken = self.broken;
        // Where there are no news any more, it was closed.
        let _ = self.state.wait_for(|state| state.broken != broken || state.is_closed).await;
    }
}

/// Keeps what the client tells of its connection.
struct Noting {
    told: watch::Sender<State>,
    complaint: Arc<Mutex<Option<String>>>,
    places: String,
}

impl Drop for Noting {
    /// The client's task has ended, whether it has said so or not. Nobody waits for it any more, or asks again and again.
    fn drop(&mut self) {
        self.told.send_modify(|state| (state.is_connected, state.is_closed) = (false, true));
    }
}

impl Noting {
    fn note(&self, event: &Event) {
        let places = &self.places;
        match event {
            Event::Connected => {
                tracing::debug!("connected to {places}");
                self.told.send_modify(|state| state.is_connected = true);
            }
            Event::Disconnected => {
                tracing::warn!("the connection to {places} has broken, and is made again");
                self.told.send_modify(|state| {
                    state.is_connected = false;
                    state.broken += 1;
                });
            }
            Event::Closed => {
                tracing::debug!("the connection to {places} is closed");
                self.told.send_modify(|state| {
                    state.is_connected = false;
                    state.is_closed = true;
                });
            }
            Event::ServerError(error) => {
                tracing::warn!("{places} says: {error}");
                *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
            other => tracing::debug!("{places}: {other}"),
        }
    }
}

/// How long to wait before an attempt to connect: the first is made at once but for some chance.
fn delay(attempts: usize, chance: u64) -> Duration {
    let exponent = u32::try_from(attempts).unwrap_or(u32::MAX).min(16);
    let most = Duration::from_millis(4 << exponent).min(MOST_DELAY);
    // From a half of it to all of it.
    most.mul_f64(0.5 + (chance >> 11) as f64 / (1_u64 << 54) as f64)
}

/// Options with who asks.
async fn with_login(with: ConnectOptions, options: &Options) -> Result<ConnectOptions, BusError> {
    Ok(match &options.login {
        Login::Url => with_login_of_urls(with, options)?,
        Login::UserPassword(user, password) => with.user_and_password(user.clone(), password.clone()),
        Login::Token(token) => with.token(token.clone()),
        Login::NkeyFile(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, "seed of an NKey", error))?;
            let seed = text.lines().map(str::trim).find(|line| line.starts_with('S')).ok_or_else(|| {
                BusError::invalid(format_args!(
                    "{} has no seed of an NKey: a line that begins with `SU`",
                    file.display()
                ))
            })?;
            with.nkey(seed.to_owned())
        }
        Login::Credentials(file) => {
            with.credentials_file(file).await.map_err(|error| unreadable(file, "credentials", error))?
        }
    })
}

/// Options with who the first of the URLs says that has somebody: the client itself looks at hosts and ports alone.
fn with_login_of_urls(with: ConnectOptions, options: &Options) -> Result<ConnectOptions, BusError> {
    for url in &options.urls {
        let server: ServerAddr = url.parse().map_err(|error| no_url(&options.places(), error))?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        match (server.username().map(decoded), server.password().map(decoded)) {
            (Some(user), Some(password)) => return Ok(with.user_and_password(user, password)),
            (Some(token), None) => return Ok(with.token(token)),
            (None, _) => {}
        }
    }
    Ok(with)
}

fn no_url(places: &str, error: impl StdError + Send + Sync + 'static) -> BusError {
    BusError::invalid(format_args!("{places} is no URL of a NATS server: `nats://HOST:4222`")).with_source(error)
}

fn unreadable(file: &Path, what: &str, error: io::Error) -> BusError {
    BusError::invalid(format_args!("failed to read the {what} in {}", file.display())).with_source(error)
}

/// What a failed attempt to connect means, and the mend.
fn cannot_connect(places: &str, error: ConnectError) -> BusError {
    let kind = if is_of_tls(&error) { ConnectErrorKind::Tls } else { error.kind() };
    let text = match kind {
        ConnectErrorKind::ServerParse => return no_url(places, error),
        ConnectErrorKind::Authentication => {
            return BusError::invalid(format_args!("the credentials for {places} cannot be used")).with_source(error);
        }
        ConnectErrorKind::AuthorizationViolation => {
            return BusError::invalid(format_args!(
                "{places} refuses the login: give user and password, a token, an NKey or a credentials file that it knows"
            ))
            .with_source(error);
        }
        ConnectErrorKind::Tls => {
            return BusError::invalid(format_args!(
                "no TLS with {places}: give the certificates that sign the server's, and a client certificate where it asks for one"
            ))
            .with_source(error);
        }
        ConnectErrorKind::Dns => format!("the host of {places} is not known"),
        ConnectErrorKind::TimedOut => format!("{places} does not answer"),
        ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects => {
            format!("no server at {places}: start one with `nats-server -js`, or give the URL of one that runs")
        }
    };
    BusError::disconnected(text).with_source(error)
}

/// What the client takes to be an error of the connection, though it is one of what was said over it.
fn is_of_tls(error: &ConnectError) -> bool {
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>()).and_then(io::Error::get_ref);
    cause.and_then(|cause| cause.downcast_ref::<async_nats::rustls::Error>()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_clients_task_has_ended_it_is_closed() {
        let (told, state) = watch::channel(State { is_connected: true, is_closed: false, broken: 0 });
        let noting = Noting { told, complaint: Arc::default(), places: String::new() };
        noting.note(&Event::Connected);
        assert!(!state.borrow().is_closed);
        drop(noting);
        assert!(state.borrow().is_closed && !state.borrow().is_connected);
    }

    #[test]
    fn attempts_come_later_and_never_much_later() {
        for (attempts, least, most) in [
            // The first.
            (0, 2.0, 4.0),
            (1, 4.0, 8.0),
            (4, 32.0, 64.0),
            (10, 250.0, 500.0),
            (usize::MAX, 250.0, 500.0),
        ] {
            let milliseconds = |chance| delay(attempts, chance).as_secs_f64() * 1e3;
            assert!((milliseconds(0) - least).abs() < 0.01, "{attempts}: {}", milliseconds(0));
            assert!((milliseconds(u64::MAX) - most).abs() < 0.01, "{attempts}: {}", milliseconds(u64::MAX));
        }
    }
}
