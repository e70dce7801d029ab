//! One row of a table of broken servers, and the run that holds the library against it.

use std::{
    error::Error,
    fmt::{self, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use mite_core::{Context, Result};
use mite_http::{Connections, HttpContext, HttpError, Response, Settings};
use tokio::sync::watch;

use crate::{
    Alone,
    common::{
        LONG, descriptors_after, in_turn, outcomes, ran,
        scripted::{Account, Peer, Scripted, Watch},
    },
};

/// How often each journey is started.
const STARTS: u64 = 3;

/// How long a request waits for a server from which nothing is expected any more.
const SHORT: Duration = Duration::from_millis(150);

/// What a server answers once it is mended.
pub(crate) const HEALTHY: &str = "healthy";

/// What the server does with a connection. What it hands back must be closed by the client.
type Script = Box<dyn Fn(Peer) -> Option<Peer> + Send + Sync>;

/// What it does with a connection once it is mended; each request that it answers counts.
type Mended = Box<dyn Fn(Peer, &AtomicU64) -> Option<Peer> + Send + Sync>;

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The class of the error, or several with bars between, and a piece of its text or of its causes'.
    Fails(&'static str, String),
    Answers(u16, String),
}

/// A broken server, and what is expected of a request to it.
pub(crate) struct Row {
    name: &'static str,
    does: Script,
    mended: Mended,
    comes: Outcome,
    timeout: Duration,
    uploads: usize,
    scheme: &'static str,
    settings: Settings,
    /// How many connections may be open after the request.
    most_open: u64,
}

/// A server from which an error of this class comes, with these words in it or in its causes.
pub(crate) fn fails(
    name: &'static str,
    class: &'static str,
    words: &str,
    does: impl Fn(Peer) -> Option<Peer> + Send + Sync + 'static,
) -> Row {
    Row::new(name, Outcome::Fails(class, words.to_owned()), does)
}

/// A server that is given up when the request's time is over.
pub(crate) fn times_out(name: &'static str, does: impl Fn(Peer) -> Option<Peer> + Send + Sync + 'static) -> Row {
    Row { timeout: SHORT, ..fails(name, "timeout", "150ms", does) }
}

/// A server whose answer is taken, and nothing more of what it says.
pub(crate) fn answers(
    name: &'static str,
    code: u16,
    body: &str,
    does: impl Fn(Peer) -> Option<Peer> + Send + Sync + 'static,
) -> Row {
    Row::new(name, Outcome::Answers(code, body.to_owned()), does)
}

/// A script that reads the request, and says this.
pub(crate) fn says(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> impl Fn(Peer) -> Option<Peer> + Send + Sync {
    move |mut peer| {
        peer.request();
        peer.write(&bytes);
        Some(peer)
    }
}

/// A script that reads the request, says this, and that it will say nothing more.
pub(crate) fn ends_with(
    bytes: impl AsRef<[u8]> + Send + Sync + 'static,
) -> impl Fn(Peer) -> Option<Peer> + Send + Sync {
    move |mut peer| {
        peer.request();
        peer.write(&bytes);
        peer.finish();
        Some(peer)
    }
}

impl Row {
    fn new(name: &'static str, comes: Outcome, does: impl Fn(Peer) -> Option<Peer> + Send + Sync + 'static) -> Self {
        Self {
            name,
            does: Box::new(does),
            mended: Box::new(answer_all),
            comes,
            timeout: LONG,
            uploads: 0,
            scheme: "http",
            settings: crate::common::settings(),
            most_open: 0,
        }
    }

    /// What went wrong is the stream's own affair: its connection is used again.
    #[cfg(feature = "http2")]
    pub(crate) fn on_a_stream(self) -> Self {
        Self { most_open: 1, ..self }
    }

    /// The request has a body of so many bytes.
    pub(crate) fn uploading(self, uploads: usize) -> Self {
        Self { uploads, ..self }
    }

    /// The requests are of this session, and to a URL with this scheme; once it is mended, the server answers them so.
    pub(crate) fn speaking(
        self,
        scheme: &'static str,
        settings: Settings,
        mended: impl Fn(Peer, &AtomicU64) -> Option<Peer> + Send + Sync + 'static,
    ) -> Self {
        Self { scheme, settings, mended: Box::new(mended), ..self }
    }
}

/// Answers all requests over HTTP/1.1.
#[expect(clippy::unnecessary_wraps, reason = "it is a script, others of which close by themselves")]
pub(crate) fn answer_all(mut peer: Peer, answered: &AtomicU64) -> Option<Peer> {
    while peer.request().is_some() {
        answered.fetch_add(1, Ordering::Relaxed);
        peer.ok(HEALTHY);
    }
    Some(peer)
}

/// What a test sees of a request.
fn seen(outcome: Result<Response, HttpError>) -> Outcome {
    match outcome {
        Ok(response) => {
            Outcome::Answers(response.status().as_u16(), String::from_utf8_lossy(&response.bytes()).into_owned())
        }
        Err(error) => Outcome::Fails(error.class(), in_full(&error)),
    }
}

/// The text of an error with its causes.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

impl Outcome {
    fn is(&self, expected: &Self) -> bool {
        match (self, expected) {
            (Self::Fails(class, text), Self::Fails(classes, words)) => {
                classes.split('|').any(|expected| expected == *class) && text.contains(words)
            }
            _ => self == expected,
        }
    }

    /// The report's row for one such request.
    fn row<'a>(&'a self, method: &'a str) -> (&'a str, u16, Option<&'a str>, u64) {
        match self {
            Self::Fails(class, _) => (method, 0, Some(class), 1),
            Self::Answers(code, _) => (method, *code, None, 1),
        }
    }
}

/// A server that breaks the rules while it is told to, and otherwise does not.
struct Broken {
    server: Scripted,
    breaks: Arc<AtomicBool>,
    /// How many connections have looked at that.
    begun: Arc<watch::Sender<u64>>,
    healthy: Arc<AtomicU64>,
}

impl Broken {
    fn start(does: Script, mended: Mended) -> Self {
        let (breaks, healthy) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let begun = Arc::new(watch::Sender::new(0));
        let (is_broken, answered, begins) = (Arc::clone(&breaks), Arc::clone(&healthy), Arc::clone(&begun));
        let server = Scripted::start(move |peer| {
            let is_broken = is_broken.load(Ordering::Acquire);
            begins.send_modify(|begun| *begun += 1);
            if is_broken { does(peer) } else { mended(peer, &answered) }
        });
        Self { server, breaks, begun, healthy }
    }
}

/// What the journeys of a row have noted.
#[derive(Debug, Default)]
struct Notes {
    broken: Vec<Outcome>,
    after: Vec<Outcome>,
    left: Vec<Account>,
}

/// A journey's own part of a row.
#[derive(Clone)]
struct Visit {
    url: String,
    settings: Settings,
    timeout: Duration,
    uploads: usize,
    most_open: u64,
    breaks: Arc<AtomicBool>,
    begun: watch::Receiver<u64>,
    account: Watch,
    notes: Arc<Mutex<Notes>>,
}

impl Visit {
    async fn make(mut self, ctx: &mut Context) -> Result {
        let mut ctx = ctx.http_session(self.settings.clone());
        let before = *self.begun.borrow();
        self.breaks.store(true, Ordering::Release);
        let broken = ctx.transaction("broken", async |ctx| Ok(self.ask(ctx, self.timeout).await)).await?;
        // On a machine without time for it, the server may yet have to hear of the connection.
        let _ = tokio::time::timeout(LONG, self.begun.wait_for(|begun| *begun > before)).await;
        // The session goes on: whatever is left must not be due to its end.
        let left = self.account.until(|account| account.open() <= self.most_open).await;
        self.breaks.store(false, Ordering::Release);
        // What the server has closed, the system delivers when it comes to that, and the runtime hears of it when it looks
        // there again: neither can be awaited from here.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let after = ctx.transaction("after", async |ctx| Ok(self.ask(ctx, LONG).await)).await?;
        let mut notes = self.notes.lock().unwrap();
        notes.broken.push(broken);
        notes.after.push(after);
        notes.left.extend(left.err());
        Ok(())
    }

    async fn ask(&self, ctx: &Context, timeout: Duration) -> Outcome {
        let request = match self.uploads {
            0 => ctx.http().get(&self.url),
            uploads => ctx.http().post(&self.url).body(vec![b'x'; uploads]),
        };
        seen(request.timeout(timeout).await)
    }
}

impl Alone {
    /// Holds the library against each of the rows, and tells of all that are not as they should be.
    pub(crate) fn check(&self, rows: impl IntoIterator<Item = Row>) {
        let mut wrong = String::new();
        for row in rows {
            let name = row.name;
            // For whoever waits for one that hangs.
            eprintln!("a server that {name}");
            let mut found = Findings::default();
            row.run(&mut found);
            found.equal("descriptors", &self.descriptors, &descriptors_after(self.descriptors));
            if !found.0.is_empty() {
                let _ = writeln!(wrong, "a server that {name}:{}", found.0);
            }
        }
        assert!(wrong.is_empty(), "\n{wrong}");
    }
}

/// What is not as it should be.
#[derive(Default)]
struct Findings(String);

impl Findings {
    fn equal<T: PartialEq + fmt::Debug>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            self.tell(what, expected, found);
        }
    }

    fn tell(&mut self, what: &str, expected: &impl fmt::Debug, found: &impl fmt::Debug) {
        let _ = write!(self.0, "\n  {what}: expected {expected:?}, found {found:?}");
    }
}

impl Row {
    fn run(self, found: &mut Findings) {
        let broken = Broken::start(self.does, self.mended);
        let notes = Arc::new(Mutex::new(Notes::default()));
        let visit = Visit {
            url: format!("{}://localhost:{}/", self.scheme, broken.server.address.port()),
            // What is mended at the end of one journey is broken at the beginning of the next; and a lookup could take
            // all of a short timeout.
            settings: self.settings.connections(Connections::PerJourney).resolve("localhost", [broken.server.address]),
            timeout: self.timeout,
            uploads: self.uploads,
            most_open: self.most_open,
            breaks: Arc::clone(&broken.breaks),
            begun: broken.begun.subscribe(),
            account: broken.server.watch(),
            notes: Arc::clone(&notes),
        };
        let report = ran(in_turn(STARTS, async move |ctx: &mut Context| visit.clone().make(ctx).await));

        let notes = std::mem::take(&mut *notes.lock().unwrap());
        for outcome in notes.broken.iter().filter(|outcome| !outcome.is(&self.comes)) {
            found.tell("the request", &self.comes, outcome);
        }
        let after = vec![Outcome::Answers(200, HEALTHY.to_owned()); STARTS as usize];
        found.equal("the requests after it", &after, &notes.after);
        found.equal("connections left open", &Vec::new(), &notes.left);

        let method = if self.uploads == 0 { "GET" } else { "POST" };
        let mut asked: Vec<_> = notes.broken.iter().chain(&notes.after).map(|outcome| outcome.row(method)).collect();
        asked.sort_unstable();
        found.equal("the report's requests", &in_sum(asked), &in_sum(outcomes(&report)));
        let mended = broken.healthy.load(Ordering::Relaxed);
        let account = broken.server.watch();
        drop(broken.server);
        let Account { accepted, closed, kept } = account.now();
        if self.most_open == 0 {
            found.equal("answers of the mended server", &STARTS, &mended);
        } else {
            // It was the stream's own affair, and its connection has answered afterwards, if it had begun at all before
            // the time was over.
            found.equal("connections", &(STARTS + mended), &accepted);
            if self.timeout == LONG {
                found.equal("answers of the mended server", &0, &mended);
            }
        }
        found.equal("connections closed", &accepted, &closed);
        found.equal("connections that the client never closed", &0, &kept);
    }
}

/// Sorted rows of requests, those with one outcome together.
fn in_sum<'a>(outcomes: Vec<(&'a str, u16, Option<&'a str>, u64)>) -> Vec<(&'a str, u16, Option<&'a str>, u64)> {
    let mut sum: Vec<(&str, u16, Option<&str>, u64)> = Vec::new();
    for (method, code, class, count) in outcomes {
        match sum.last_mut() {
            Some(last) if (last.0, last.1, last.2) == (method, code, class) => last.3 += count,
            _ => sum.push((method, code, class, count)),
        }
    }
    sum
}
