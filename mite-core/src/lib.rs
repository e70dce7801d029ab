//! Skeleton of the core: the signatures that extensions build on.
#![allow(missing_docs, missing_debug_implementations, clippy::all, clippy::pedantic, unused)]
use std::{any::Any, panic::Location, rc::Rc, time::{Duration, Instant}};

/// What user code fails with (opaque, from any `std::error::Error` by `?`).
pub struct Error(String, Option<std::borrow::Cow<'static, str>>);
pub type Result<T = (), E = Error> = std::result::Result<T, E>;
impl std::fmt::Debug for Error { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) } }
impl std::fmt::Display for Error { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) } }
impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    #[track_caller]
    fn from(e: E) -> Self { let _ = Location::caller(); Error(e.to_string(), None) }
}
pub struct Config;
impl Config {
    /// The value of `key` as `T`; text is parsed as the type asked for.
    pub fn get<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<T> { unimplemented!() }
}
/// One call of a journey hands this to it. Not `Send`: a journey stays on its worker's thread.
pub struct Context { _p: Rc<()> }
impl Context {
    pub fn config(&self) -> &Config { unimplemented!() }
    /// An owned, cheap handle on the place where this context stands now: sends and measures as part of the transaction it was taken in.
    pub fn scope(&self) -> Scope { unimplemented!() }
    /// What was attached to this visit under the type `T`.
    pub fn extension<T: 'static>(&self) -> Option<Rc<T>> { unimplemented!() }
    /// Attaches (`Some`) or detaches (`None`) for this visit, and gives what was attached before. Dropped when the visit ends.
    pub fn set_extension<T: 'static>(&self, value: Option<Rc<T>>) -> Option<Rc<T>> { unimplemented!() }
    /// What belongs to the worker thread and outlives the visit (a connection pool); made when first asked for, dropped with the worker.
    pub fn worker_extension<T: 'static>(&self, init: impl FnOnce() -> T) -> Rc<T> { unimplemented!() }
    pub async fn transaction<T>(&mut self, name: &str, body: impl AsyncFnOnce(&mut Context) -> Result<T>) -> Result<T> { body(self).await }
}
/// See [`Context::scope`].
#[derive(Clone)]
pub struct Scope { _p: Rc<()> }
impl Scope {
    pub fn config(&self) -> &Config { unimplemented!() }
    /// Whether any sink wants messages of this type: if not, there is no need to build one.
    pub fn wants(&self, kind: &str) -> bool { unimplemented!() }
    /// Sends a message that nobody waits for (metrics).
    pub fn emit<T: serde::Serialize + ?Sized>(&self, kind: &'static str, fields: &T) { unimplemented!() }
    /// Counts one request in the report's `requests`.
    pub fn request(&self, sample: &RequestSample<'_>) { unimplemented!() }
    /// Unix seconds of a monotonic instant, on the run's clock.
    pub fn unix_time(&self, at: Instant) -> f64 { unimplemented!() }
}
/// One request as measured by a protocol's session. All durations are of the phase alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestSample<'a> {
    /// The method or operation: `POST`.
    pub method: &'a str,
    /// The response's code; 0 when there was no response.
    pub code: u16,
    /// The class of the error of a request without a response: `connect`, `timeout`, …
    pub error: Option<&'static str>,
    /// Bytes of body received.
    pub bytes: u64,
    /// From the start of the request to the end of its body, or to the failure.
    pub total: Duration,
    pub dns: Option<Duration>,
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    /// From the request having been sent to the first byte of the response.
    pub first_byte: Option<Duration>,
}
