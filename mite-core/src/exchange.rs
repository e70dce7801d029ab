//! Exchanges, what was sent and what came back: of a few requests of each kind that failed, and of all where somebody looks on.
//!
//! They are apart from the figures, since these count all requests and take no more memory with them, and a sample of texts
//! must be bounded by how many there are and how long each is.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{micros, whole_micros};
use crate::names::PathId;
use crate::request::{RequestKind, RequestSample, error_class};

/// A request without a response, or with one that tells of a failure, with what was sent and what came back.
///
/// The protocol's session decides what has failed and writes the texts out: in HTTP that is a request without a response, or
/// with one of a status from 400 to 599. What is secret is masked there. Where a text has a head and a body, the first empty
/// line is between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailedExchange {
    /// The journey's name.
    pub journey: String,
    /// The transaction's name without `__root__ :: `.
    pub transaction: String,
    /// When it had failed, from the start of the run; zero in a setup, which is before it.
    #[serde(rename = "at_us", with = "micros")]
    pub at: Duration,
    /// `POST`.
    pub method: String,
    /// What the journey calls it, where it has a name: `/users/{id}`.
    pub name: Option<String>,
    /// Where it was sent.
    pub url: String,
    /// The response's code; 0 when there was none.
    pub code: u16,
    /// Without a response, the class of its error: `connect`, `timeout`, …
    pub error: Option<String>,
    /// What the error said.
    pub message: Option<String>,
    /// From the start of the request to the end of its body, or to its failure.
    #[serde(rename = "duration_us", with = "micros")]
    pub duration: Duration,
    /// What was sent, at most 16 KiB of it; it says itself where it was cut.
    pub request: String,
    /// What came back, at most 16 KiB of it; empty where nothing did.
    pub response: String,
}

/// What a protocol's session writes out of an exchange that failed, for
/// [`Scope::failed_exchange`](crate::Scope::failed_exchange). What is longer than 16 KiB is cut, and says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExchangeText {
    /// Where the request was sent.
    pub url: String,
    /// What the error said, where there was one.
    pub message: Option<String>,
    /// What was sent: secrets masked, the head first, then an empty line and the body.
    pub request: String,
    /// What came back, likewise; empty where nothing did.
    pub response: String,
}

/// A request that has just ended, whatever came of it, as [`Run::on_exchange`](crate::Run::on_exchange) shows it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// The journey's name.
    pub journey: &'a str,
    /// The transaction's name without `__root__ :: `.
    pub transaction: &'a str,
    /// When it had ended, from the start of the run; zero in a setup, which is before it.
    pub at: Duration,
    /// Its figures, with the time of each phase.
    pub sample: RequestSample<'a>,
    /// What was sent and what came back. What is secret is masked, and what is long is cut, as in a [`FailedExchange`].
    pub text: ExchangeText,
}

/// What is called with each exchange.
pub(crate) struct OnExchange(Box<dyn Fn(&Exchange<'_>) + Send + Sync>);

impl OnExchange {
    pub(crate) fn new(callback: impl Fn(&Exchange<'_>) + Send + Sync + 'static) -> Self {
        Self(Box::new(callback))
    }

    pub(crate) fn call(&self, exchange: &mut Exchange<'_>) {
        exchange.text = std::mem::take(&mut exchange.text).cut();
        (self.0)(exchange);
    }
}

impl fmt::Debug for OnExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnExchange")
    }
}

/// The most that are kept, by each worker and in all.
const MOST: usize = 32;
/// The most of one series: of the same path, method, name, code and class of error.
const MOST_OF_SERIES: usize = 2;
/// The most bytes of each text.
const LONGEST_TEXT: usize = 16 * 1024;

impl ExchangeText {
    fn cut(self) -> Self {
        let Self { url, message, request, response } = self;
        Self { url: cut(url), message: message.map(cut), request: cut(request), response: cut(response) }
    }
}

/// A text of at most [`LONGEST_TEXT`] bytes that says how much is missing.
pub(crate) fn cut(mut text: String) -> String {
    /// The longest note that there can be.
    const NOTE: usize = "\n… 18446744073709551615 bytes more".len();
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let end = text.floor_char_boundary(LONGEST_TEXT - NOTE);
    let note = format!("\n… {} bytes more", text.len() - end);
    text.truncate(end);
    text.push_str(&note);
    // The rest of it is what must not be kept.
    text.shrink_to_fit();
    text
}

/// One exchange in the sample; by path, since names are looked up at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    at: Duration,
    pub(crate) path: PathId,
    code: u16,
    #[serde(deserialize_with = "error_class::deserialize")]
    error: Option<error_class::ErrorClass>,
    name: Option<Box<str>>,
    method: Box<str>,
    duration: Duration,
    #[serde(with = "ToldText")]
    text: ExchangeText,
}

/// How the texts are told to another process.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ExchangeText")]
struct ToldText {
    url: String,
    message: Option<String>,
    request: String,
    response: String,
}

impl Kept {
    fn is_of(&self, path: PathId, kind: RequestKind<'_>) -> bool {
        self.path == path && self.kind() == kind
    }

    fn kind(&self) -> RequestKind<'_> {
        RequestKind { code: self.code, error: self.error, name: self.name.as_deref(), method: &self.method }
    }
}

/// The first exchanges that failed, within both bounds.
///
/// What the first ones of all are is not changed by how they are spread over workers: one that is among the first of the run
/// is among the first of its worker. So the merge of what each worker has kept is what one worker alone would have kept.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct FailedExchanges {
    /// In the order in which they failed.
    kept: Vec<Kept>,
}

impl FailedExchanges {
    /// Whether another one of this kind would be kept: a look at how many there are once there is no room, and at most at
    /// [`MOST`] numbers before.
    pub(crate) fn has_room(&self, path: PathId, kind: RequestKind<'_>) -> bool {
        self.kept.len() < MOST && self.kept.iter().filter(|kept| kept.is_of(path, kind)).count() < MOST_OF_SERIES
    }

    /// Keeps one if there is room; none may have failed before those that are kept.
    pub(crate) fn offer(&mut self, path: PathId, at: Duration, sample: &RequestSample<'_>, text: ExchangeText) {
        let kind = RequestKind::of(sample);
        if !self.has_room(path, kind) {
            return;
        }
        let RequestKind { code, error, name, method } = kind;
        let (name, method) = (name.map(Into::into), method.into());
        self.kept.push(Kept { at, path, code, error, name, method, duration: sample.total, text: text.cut() });
    }

    /// Adds what another worker has kept. Of those that failed at the same time, its own come first.
    pub(crate) fn merge(&mut self, other: Self) {
        self.kept.extend(other.kept);
        self.kept.sort_by_key(|kept| kept.at);
        let all = std::mem::take(&mut self.kept);
        self.kept = first_of(all, |one, other| one.is_of(other.path, other.kind()));
    }

    /// One by one, to be told to another process.
    pub(crate) fn into_kept(self) -> Vec<Kept> {
        self.kept
    }

    /// What another process has told one by one.
    pub(crate) fn of_kept(mut kept: Vec<Kept>) -> Self {
        for one in &mut kept {
            one.text = std::mem::take(&mut one.text).cut();
        }
        let mut exchanges = Self::default();
        exchanges.merge(Self { kept });
        exchanges
    }

    /// With their names. Rows of the same name are told as one, so that theirs are of one series too.
    pub(crate) fn told(self, place: impl Fn(PathId) -> (u32, String, String)) -> Vec<FailedExchange> {
        let told = self.kept.into_iter().map(|kept| {
            let (row, journey, transaction) = place(kept.path);
            let Kept { at, code, error, name, method, duration, text, .. } = kept;
            let ExchangeText { url, message, request, response } = text;
            let (method, name, error) = (method.into(), name.map(Into::into), error.map(str::to_owned));
            let exchange = FailedExchange {
                journey,
                transaction,
                at: whole_micros(at),
                method,
                name,
                url,
                code,
                error,
                message,
                duration: whole_micros(duration),
                request,
                response,
            };
            (row > 0, exchange)
        });
        let series = |of: &(bool, FailedExchange)| {
            let FailedExchange { journey, transaction, method, name, code, error, .. } = of.1.clone();
            (of.0, journey, transaction, method, name, code, error)
        };
        let first = first_of(told.collect(), |one, other| series(one) == series(other));
        first.into_iter().map(|(_, exchange)| exchange).collect()
    }
}

/// Of what is in order the first ones, within both bounds.
fn first_of<T>(all: Vec<T>, is_same_series: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut first: Vec<T> = Vec::new();
    for next in all {
        let of_series = first.iter().filter(|kept| is_same_series(kept, &next)).count();
        if first.len() < MOST && of_series < MOST_OF_SERIES {
            first.push(next);
        }
    }
    first
}

#[cfg(test)]
mod tests;
