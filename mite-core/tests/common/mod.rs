//! What the tests share: the two sums that each report keeps, a sink that keeps messages, and journeys that tell on
//! themselves.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mite_core::volume::HOUR;
use mite_core::{Context, Message, Report, Result, Run, RunError, Sink, SinkError, Wants};
use rmpv::Value;

/// A tenth of a second: the length of most plans here.
pub(crate) const TENTH: Duration = Duration::from_millis(100);

/// Checks that both sums hold for each row, and that the report's parts agree with each other.
#[track_caller]
pub(crate) fn checked(report: Report) -> Report {
    for row in &report.journeys {
        assert_eq!(row.planned, row.started + row.dropped + row.starved + row.unstarted, "{row:#?}");
        assert_eq!(row.started, row.completed + row.failed + row.cancelled, "{row:#?}");
        assert_eq!(row.start_lag.count(), row.started);
        assert_eq!(row.response_time.count(), row.completed);
        assert_eq!(row.failed_time.count(), row.failed);
        let halves = row.halves.as_ref().expect("a run has halves");
        let times = halves.even.time.count + halves.odd.time.count;
        assert_eq!((halves.even.count + halves.odd.count, times), (row.started, row.completed), "{halves:?}");
        assert_eq!(halves.even.errors + halves.odd.errors, row.failed, "{halves:?}");
    }
    for row in &report.requests {
        let halves = row.halves.as_ref().expect("a run has halves");
        assert_eq!(halves.even.count + halves.odd.count, row.count, "{halves:?}");
        assert_eq!(halves.even.time.count + halves.odd.time.count, row.time.count(), "{halves:?}");
    }
    assert!(!report.reasons.iter().any(|reason| reason.contains("a bug of mite")), "{:?}", report.reasons);
    let sum = |of: fn(&mite_core::PerSecond) -> u64| report.per_second.iter().map(of).sum::<u64>();
    let all = |of: fn(&mite_core::JourneyReport) -> u64| report.journeys.iter().map(of).sum::<u64>();
    let warm_up = report.warm_up.clone().unwrap_or_default();
    assert_eq!(warm_up.planned, warm_up.started + warm_up.dropped + warm_up.starved + warm_up.unstarted, "{warm_up:?}");
    assert_eq!(warm_up.started, warm_up.completed + warm_up.failed + warm_up.cancelled, "{warm_up:?}");
    assert_eq!(sum(|second| second.started), all(|row| row.started) + warm_up.started, "{:#?}", report.per_second);
    assert_eq!(sum(|second| second.completed), all(|row| row.completed) + warm_up.completed);
    assert_eq!(sum(|second| second.failed), all(|row| row.failed) + warm_up.failed);
    for second in &report.per_second {
        assert_eq!(second.response_time.count, second.completed, "{second:?}");
        if report.journeys.len() == 1 {
            assert!(second.rows.is_empty());
            continue;
        }
        assert!(second.rows.iter().all(|row| row.response_time.count == row.completed), "{second:?}");
        let rows = |of: fn(&mite_core::SecondRow) -> u64| second.rows.iter().map(of).sum::<u64>();
        assert_eq!(rows(|row| row.planned), second.planned);
        assert_eq!(rows(|row| row.started), second.started);
        assert_eq!(rows(|row| row.completed), second.completed);
        assert_eq!(rows(|row| row.failed), second.failed);
        assert_eq!(rows(|row| row.running), second.running);
        let slowest = second.rows.iter().map(|row| row.response_time.max).max();
        assert_eq!(slowest, Some(second.response_time.max));
    }
    for row in &report.journeys {
        let seconds = report.per_second.iter().filter_map(|second| second.rows.get(row.row as usize - 1));
        if report.journeys.len() > 1 && report.warm_up.is_none() {
            assert_eq!(seconds.map(|second| second.completed).sum::<u64>(), row.completed);
        }
    }
    report
}

/// Runs and checks. How late the generator may be is left open: these tests are about what is started, on any machine.
pub(crate) async fn ran(run: Run) -> Report {
    checked(run.max_start_lag(HOUR).run().await.unwrap())
}

/// Runs what cannot be carried out, and gives the error.
pub(crate) async fn failed(run: Run) -> RunError {
    match run.run().await {
        Ok(report) => panic!("the run should have failed\n{report}"),
        Err(error) => error,
    }
}

pub(crate) async fn noop(_ctx: &mut Context) -> Result {
    std::future::ready(Ok(())).await
}

/// Never ends by itself.
pub(crate) async fn forever(_ctx: &mut Context) -> Result {
    std::future::pending().await
}

/// The numbers of the starts that were made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Starts(Arc<Mutex<Vec<u64>>>);

impl Starts {
    pub(crate) fn note(&self, ctx: &Context) {
        self.0.lock().unwrap().push(ctx.start_index());
    }

    /// In rising order.
    pub(crate) fn sorted(&self) -> Vec<u64> {
        let mut starts = self.0.lock().unwrap().clone();
        starts.sort_unstable();
        starts
    }
}

/// Keeps all messages of the types that it wants.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    wants: Wants,
    messages: Arc<Mutex<Vec<Value>>>,
}

impl Kept {
    pub(crate) fn everything() -> Self {
        Self { wants: Wants::Everything, messages: Arc::default() }
    }

    pub(crate) fn types(types: &'static [&'static str]) -> Self {
        Self { wants: Wants::Types(types), messages: Arc::default() }
    }

    pub(crate) fn all(&self) -> Vec<Value> {
        self.messages.lock().unwrap().clone()
    }

    pub(crate) fn of(&self, kind: &str) -> Vec<Value> {
        self.all().into_iter().filter(|message| message["type"] == kind.into()).collect()
    }

    /// The texts of one field of the messages of one type.
    pub(crate) fn texts(&self, kind: &str, field: &str) -> Vec<String> {
        self.of(kind).iter().map(|message| message[field].as_str().unwrap().to_owned()).collect()
    }
}

impl Sink for Kept {
    fn name(&self) -> &'static str {
        "keeper"
    }

    fn wants(&self) -> Wants {
        self.wants.clone()
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        let mut packed = Vec::new();
        message.pack(&mut packed);
        self.messages.lock().unwrap().push(rmpv::decode::read_value(&mut &packed[..])?);
        Ok(())
    }
}

/// The errors of a report: transaction, type, message, location, count.
pub(crate) fn errors(report: &Report) -> Vec<(&str, &str, &str, &str, u64)> {
    report
        .errors
        .iter()
        .map(|error| (&*error.transaction, &*error.ex_type, &*error.message, &*error.location, error.count))
        .collect()
}

/// The records of a file, in order.
pub(crate) fn records(folder: &std::path::Path, name: &str) -> Vec<Value> {
    mite_core::recorded::<Value>(folder.join(format!("{name}.msgpack"))).unwrap()
}

/// How often each value comes.
pub(crate) fn tally<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, u64> {
    let mut tally = BTreeMap::new();
    for value in values {
        *tally.entry(value).or_default() += 1;
    }
    tally
}
