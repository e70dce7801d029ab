//! A run within somebody else's program: in any runtime, on threads of its own, and with no trace beside its report.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use mite::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[mite_http(base = "app_url")]
async fn browse(ctx: &mut Context) -> Result {
    ctx.http().get("/").await?.error_for_status()?;
    Ok(())
}

async fn pause(_ctx: &mut Context) -> Result {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    Ok(())
}

/// Forty starts. How late they are on a busy machine is not what these tests are about.
fn run(journey: impl AsyncFn(&mut Context) -> Result + Clone + Send + 'static) -> Run {
    let row = Row::new(journey, NoData, constant(400, SECOND / 10)).named("journey");
    Run::new(Scenario::new().named("embedded").row(row)).max_start_lag(HOUR)
}

#[track_caller]
fn assert_ran(report: &Report) {
    assert!(report.passed(), "{report}");
    assert_eq!(report.journeys[0].completed, 40);
}

/// A service in the runtime that this is called in, and how often it was asked.
async fn service() -> Result<(String, Arc<AtomicU64>)> {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let router = Router::new().route(
        "/",
        get(async move || {
            count.fetch_add(1, Relaxed);
            "hello"
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok((url, asked))
}

#[tokio::test]
async fn on_the_one_thread_that_serves_the_system_under_test() -> Result {
    let (url, asked) = service().await?;
    assert_ran(&run(browse).config("app_url", url).run().await?);
    assert_eq!(asked.load(Relaxed), 40);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_runtime_of_many_threads() -> Result {
    let (url, asked) = service().await?;
    // Runs can be spawned, since they are `Send`, and awaited side by side.
    let runs = (0..4).map(|_| tokio::spawn(run(browse).config("app_url", &url).workers(2).run()));
    for joined in runs.collect::<Vec<_>>() {
        assert_ran(&joined.await??);
    }
    assert_eq!(asked.load(Relaxed), 160);
    Ok(())
}

#[test]
fn in_code_that_is_not_async() -> Result {
    assert_ran(&run(pause).run_blocking()?);
    Ok(())
}

#[test]
fn in_smol() -> Result {
    let (one, other) = smol::block_on(smol::future::zip(run(pause).run(), run(pause).run()));
    assert_ran(&one?);
    assert_ran(&other?);
    Ok(())
}

#[test]
fn in_actix() -> Result {
    let report = actix_rt::System::new().block_on(run(pause).run())?;
    assert_ran(&report);
    Ok(())
}

/// Says to a process that it is the one that is looked at.
const CHILD: &str = "MITE_TEST_EMBEDDED";

/// The signals that this process handles, in the system's words.
#[cfg(target_os = "linux")]
fn handled_signals() -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let handled = status.lines().find(|line| line.starts_with("SigCgt:"));
    Ok(handled.ok_or_else(|| Error::msg("Linux tells them"))?.to_owned())
}

/// What the child does: nothing but runs that pass, fail and panic.
#[cfg(target_os = "linux")]
#[test]
fn quietly() -> Result {
    if std::env::var_os(CHILD).is_none() {
        return Ok(());
    }
    let before = handled_signals()?;
    assert_ran(&run(pause).run_blocking()?);
    let failing = run(async |ctx: &mut Context| match ctx.start_index() {
        0 => panic!("a journey's panic is told in the report"),
        1 => bail!("and so is its error"),
        _ => Ok(()),
    });
    assert_eq!(failing.run_blocking()?.journeys[0].failed, 2);
    assert_eq!(handled_signals()?, before);
    assert!(!tracing::dispatcher::has_been_set(), "a run sets no subscriber");
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_printed_or_written_and_no_signal_is_handled() -> Result {
    let folder = tempfile::tempdir()?;
    let child = Command::new(std::env::current_exe()?)
        .args(["--exact", "quietly", "--nocapture", "--quiet"])
        .env(CHILD, "1")
        .current_dir(folder.path())
        .output()?;
    let (told, errors) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{told}{errors}");
    assert_eq!(errors, "");
    // What the test harness itself prints: how many tests there are, a dot, and the result.
    let lines: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
    assert!(matches!(lines[..], ["running 1 test", ".", result] if result.starts_with("test result: ok.")), "{told}");
    assert!(is_empty(folder.path())?);
    Ok(())
}

#[cfg(target_os = "linux")]
fn is_empty(folder: &Path) -> Result<bool> {
    Ok(std::fs::read_dir(folder)?.next().is_none())
}

/// Keeps the names and fields of spans, and the spans that each event was told in.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    spans: Vec<String>,
    /// What each thread is in just now.
    entered: BTreeMap<String, Vec<usize>>,
    events: Vec<String>,
}

/// Fields as `key=value`.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        use std::fmt::Write as _;
        let _ = write!(self.0, " {field}={value:?}");
    }
}

fn thread() -> String {
    format!("{:?}", std::thread::current().id())
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("mite") || metadata.target().starts_with("embedded")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(span.metadata().name().to_owned());
        span.record(&mut fields);
        let mut heard = self.0.lock().unwrap();
        let entered = heard.entered.get(&thread()).and_then(|entered| entered.last().copied());
        let parent = span.parent().map(|parent| parent.into_u64() as usize - 1).or(entered);
        let within = parent.map_or_else(String::new, |parent| format!("{} > ", heard.spans[parent]));
        heard.spans.push(format!("{within}{}", fields.0));
        Id::from_u64(heard.spans.len() as u64)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let mut heard = self.0.lock().unwrap();
        let within = heard.entered.get(&thread()).and_then(|entered| entered.last().copied());
        let within = within.map_or("nowhere", |span| &*heard.spans[span]).to_owned();
        heard.events.push(format!("{within}:{}", fields.0));
    }

    fn enter(&self, span: &Id) {
        let index = span.into_u64() as usize - 1;
        self.0.lock().unwrap().entered.entry(thread()).or_default().push(index);
    }

    fn exit(&self, _span: &Id) {
        if let Some(entered) = self.0.lock().unwrap().entered.get_mut(&thread()) {
            entered.pop();
        }
    }
}

#[test]
fn what_is_told_goes_to_the_callers_subscriber_within_spans() -> Result {
    let journey = async |ctx: &mut Context| {
        tracing::info!(start = ctx.start_index(), "browsing");
        ensure!(ctx.start_index() != 7, "no luck");
        Ok(())
    };
    for virtually in [false, true] {
        let listener = Listener::default();
        let report = tracing::subscriber::with_default(listener.clone(), || {
            tracing::info_span!("suite").in_scope(|| {
                let run = run(journey).workers(2);
                if virtually { run.virtually().run_blocking() } else { run.run_blocking() }
            })
        })?;
        assert_eq!(report.journeys[0].failed, 1);
        let heard = listener.0.lock().unwrap();
        let mut spans = heard.spans.clone();
        spans.sort();
        let of_run = "suite > mite_run scenario=\"embedded\"";
        let workers = [0, 1].map(|number| format!("{of_run} > worker number={number}"));
        // On a virtual clock there are no workers' threads.
        let of_workers = if virtually { [of_run, of_run] } else { workers.each_ref().map(String::as_str) };
        let mut expected = vec!["suite", of_run];
        expected.extend(of_workers.iter().filter(|_| !virtually));
        assert_eq!(spans, expected);
        for start in 0..40 {
            let told = format!("{}: message=browsing start={start}", of_workers[start % 2]);
            assert_eq!(heard.events.iter().filter(|heard| **heard == told).count(), 1, "{told}\n{:#?}", heard.events);
        }
        let failed = format!("{}: message=Error: no luck journey=\"journey\"", of_workers[1]);
        assert_eq!(heard.events.iter().filter(|heard| heard.starts_with(&failed)).count(), 1, "{:#?}", heard.events);
    }
    Ok(())
}
