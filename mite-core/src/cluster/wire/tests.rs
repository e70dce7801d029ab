//! One run told in two ways: by its workers to one process, and over the bytes of their runners to another.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use rmpv::Value;

use super::*;
use crate::cluster::gather::Gathered;
use crate::exchange::{ExchangeText, FailedExchange};
use crate::figures::{ErrorKey, Figures, Outcome, PartFigures, StartDelay};
use crate::histogram::{Histogram, v2};
use crate::limits::RanOut;
use crate::message::Head;
use crate::names::NameCache;
use crate::report::metrics::metrics;
use crate::report::tabulate::place;
use crate::report::{MetricReport, PerSecond};
use crate::request::RequestSample;
use crate::seconds::{Seconds, WorkerSeconds};
use crate::stats::{
    Accumulator, Chosen, Counting, Handle, Meter, Metrics, Setting, Spreading, Stats, Tables, matcher_by_type,
};

/// With setup and teardown.
const ROWS: usize = 4;
const SECOND: u64 = 1_000_000_000;
const SINKS: usize = 3;

fn names() -> Arc<Names> {
    let journeys = ["setup", "shop:buy", "shop:look", "shop:idle"].map(str::to_owned);
    Arc::new(Names::new("shop".to_owned(), journeys.into()))
}

fn declared() -> Arc<Metrics> {
    let orders = || matcher_by_type(["order"]);
    let basket = crate::stats::Histogram::new("basket", orders()).value("total").buckets([10.0, 50.0, 100.0]);
    let revenue = Accumulator::new("revenue", orders()).labels(["type"]).value("total").help("In euros.");
    let stats = Stats::new("shop").with(revenue).with(basket);
    Arc::new(Metrics::of(vec![stats], &Chosen::default()).unwrap())
}

/// One thing that happens on one worker.
#[derive(Debug, Clone)]
struct Op {
    worker: usize,
    kind: u8,
    a: usize,
    b: usize,
    value: u64,
    /// Nanoseconds that pass before it.
    after: u64,
}

fn op() -> impl Strategy<Value = Op> {
    let value = (0u32..44, any::<u64>()).prop_map(|(shift, value)| value >> 20 >> shift);
    let numbers = (0usize..12, 0u8..14, 0usize..60, 0usize..60);
    (numbers, value, 0u64..SECOND / 4).prop_map(|((worker, kind, a, b), value, after)| Op {
        worker,
        kind,
        a,
        b,
        value,
        after,
    })
}

/// A worker's figures by the names of one process.
struct Worker {
    cache: NameCache,
    figures: Figures,
    seconds: WorkerSeconds,
    meter: Meter,
}

impl Worker {
    fn new(names: &Arc<Names>) -> Self {
        Self {
            cache: NameCache::new(Arc::clone(names)),
            figures: Figures::new(ROWS),
            seconds: WorkerSeconds::new(ROWS),
            meter: Meter::new(declared(), Arc::clone(names), u64::MAX),
        }
    }

    fn path(&mut self, row: u32, number: usize) -> PathId {
        let within =
            [&[][..], &["Log in"], &["Log in", "inner"], &["a :: b"], &["a", "b"], &["日本"], &["__overflow__", "x"]];
        within[number % within.len()].iter().fold(Names::root(row), |path, name| self.cache.child(path, name))
    }

    fn does(&mut self, now: u64, op: &Op) {
        let Op { kind, a, b, value, .. } = *op;
        let row = 1 + (a % 3) as u32;
        let path = self.path(row, b);
        let is_warm_up = b.is_multiple_of(5);
        let part = if is_warm_up { &mut self.figures.warm_up } else { &mut self.figures.measured };
        let method = ["GET", "POST"][a % 2];
        let (code, error) = [(200, None), (404, None), (0, Some("timeout")), (0, Some("connect"))][b % 4];
        let some = |number: usize| (!b.is_multiple_of(number)).then(|| Duration::from_nanos(value / number as u64));
        let sample = RequestSample {
            method,
            name: [None, Some("/users/{id}"), Some("")][a % 3],
            code,
            error,
            bytes: value % 5000,
            total: Duration::from_nanos(value),
            dns: some(2),
            connect: some(3),
            tls: some(7),
            first_byte: some(11),
        };
        match kind {
            0 | 1 => {
                let delay = StartDelay { generator_lag: value, queue_wait: value / 3, data_wait: value % 1_000_000 };
                part.started(row, delay);
                self.seconds.started(now, row);
            }
            2 | 3 => {
                let outcome = [Outcome::Completed, Outcome::Failed, Outcome::Cancelled][b % 3];
                part.ended(row, outcome, value, value / 2);
                self.seconds.ended(now, row, outcome, value / 1000);
            }
            4 | 5 => part.transaction(row, path, b.is_multiple_of(3), (!b.is_multiple_of(7)).then_some(value)),
            6 | 7 => part.request(row, path, &sample),
            8 => {
                let text = ["no such user", "no answer", "", "日本"][a % 4];
                let key = ErrorKey { path, ex_type: "E".into(), message: text.into(), location: "f:1:g".into() };
                part.error(&key);
                *part.ran_out.entry([RanOut::Files, RanOut::Ports][a % 2]).or_default() += 1;
            }
            9 => part.check(path, ["has a cart", "", "is cheap"][a % 3], b.is_multiple_of(2)),
            10 => {
                let text = ExchangeText { url: "http://a".into(), request: format!("{value}"), ..Default::default() };
                // Each at a time of its own.
                part.failed_exchange(path, Duration::from_nanos(now), &sample, text);
            }
            11 => {
                let row = &mut part.rows[row as usize];
                (row.dropped, row.starved, row.unstarted) =
                    (row.dropped + 1, row.starved + value % 3, row.unstarted + 1);
                (row.planned, row.not_planned) = (row.planned + value % 7, row.not_planned + 1);
                self.seconds.planned(now, 1);
            }
            12 => {
                let kind = self.cache.kind("order");
                let mut own = Vec::new();
                pack::write_str(&mut own, "total");
                pack::write_f64(&mut own, (value % 1000) as f64);
                self.meter.message(&Head { kind, time: now as f64, place: None, own: 1, end: 0 }, &own);
            }
            _ => {
                let (name, time, label) = (["one", "other"][a % 2], now as f64, ["rome", "berlin", ""][b % 3]);
                let meter = Some(&self.meter);
                Handle::<Counting>::new(meter, &format!("{name}_total"), time).label("shop", label).add(value % 100);
                Handle::<Setting>::new(meter, &format!("{name}_stock"), time).label("shop", label).set(value as f64);
                Handle::<Spreading>::new(meter, name, time).record((value % 5000) as f64 - 100.0);
            }
        }
    }

    fn tell(&mut self) -> FiguresTold {
        let mut told = FiguresTold { warm_up: self.figures.warm_up.tell(), measured: self.figures.measured.tell() };
        told.measured.metrics = self.meter.tell();
        told
    }

    fn result(self, number: usize) -> WorkerResult {
        let Figures { warm_up, measured } = self.figures;
        let mut figures = FiguresTold { warm_up: warm_up.tell_all(), measured: measured.tell_all() };
        figures.measured.metrics = self.meter.tell();
        let sent_messages = (0..SINKS).map(|sink| (sink + number) as u64).collect();
        WorkerResult { figures, sent_messages, miscounted: vec![(1, number as u64, 7)] }
    }
}

/// What the controller does with what it is told.
struct Controller {
    names: Arc<Names>,
    figures: Figures,
    seconds: Seconds,
    latest: u64,
    sent: [u64; SINKS],
    miscounted: Vec<(u32, u64, u64)>,
}

impl Controller {
    fn new(names: Arc<Names>, workers: usize) -> Self {
        let mut figures = Figures::new(ROWS);
        figures.measured.metrics = Tables::new(&declared());
        let seconds = Seconds::new(workers as u32, ROWS - 1);
        Self { names, figures, seconds, latest: 0, sent: [0; SINKS], miscounted: Vec::new() }
    }

    fn told(&mut self, second: u64, told: &FiguresTold) {
        self.seconds.count(second, told.measured.requests(), told.measured.errors());
        self.figures.add_second(second, told);
        self.latest = self.latest.max(second);
    }

    fn seconds(&mut self, worker: usize, seconds: Vec<Second>, told: &FiguresTold) {
        if let Some(last) = seconds.last() {
            self.told(last.index, told);
        }
        self.seconds.add(worker as u32, seconds);
    }

    fn result(&mut self, result: WorkerResult) {
        self.figures.add_second(self.latest + 1, &result.figures);
        self.sent.iter_mut().zip(result.sent_messages).for_each(|(sent, more)| *sent += more);
        self.miscounted.extend(result.miscounted);
    }

    fn whole(mut self) -> Whole {
        self.figures.measured.complete_halves();
        self.miscounted.sort_unstable();
        let Self { names, figures, seconds, latest, sent, miscounted } = self;
        Whole {
            measured: Facts::of(figures.measured, &names),
            warm_up: Facts::of(figures.warm_up, &names),
            per_second: seconds.into_report(latest, 0, |_, _, row| row.planned),
            sent,
            miscounted,
        }
    }
}

/// All that figures are, by name.
#[derive(Debug, PartialEq)]
struct Whole {
    measured: Facts,
    warm_up: Facts,
    per_second: Vec<PerSecond>,
    sent: [u64; SINKS],
    miscounted: Vec<(u32, u64, u64)>,
}

#[derive(Debug, PartialEq)]
struct Facts {
    /// Each count and each bucket, with the share of even seconds.
    series: BTreeMap<String, Value>,
    errors: BTreeMap<String, u64>,
    checks: BTreeMap<String, (u64, u64)>,
    exchanges: Vec<FailedExchange>,
    ran_out: BTreeMap<RanOut, u64>,
    metrics: Vec<MetricReport>,
    warnings: Vec<String>,
    flags: [bool; 2],
}

/// A histogram with all that it is.
#[derive(Serialize)]
struct Times<'a>(#[serde(serialize_with = "v2::serialize")] &'a Histogram);

impl Facts {
    fn of(figures: PartFigures, names: &Names) -> Self {
        let value = |of: &dyn Fn() -> Vec<u8>| rmpv::decode::read_value(&mut &of()[..]).unwrap();
        let paths = names.paths_from(0);
        let place_of = |path: usize| {
            // By the names one within the other: joined, those of two transactions may be the same.
            let within = |path: &usize| Some(paths[*path].parent as usize).filter(|_| *path >= 2 * ROWS);
            let names: Vec<_> = std::iter::successors(Some(path), within).map(|path| &*paths[path].name).collect();
            format!("{} {names:?}", paths[path].row)
        };
        let mut series = BTreeMap::new();
        let half = |even: &Option<Box<crate::figures::Half>>| {
            even.as_ref().map(|half| {
                format!("{} {} {}", half.count, half.errors, value(&|| pack::to_vec(&Times(&half.time)).unwrap()))
            })
        };
        let mut add = |name: String, told: Value, half: Option<String>| {
            let told = Value::Array(vec![told, half.map_or(Value::Nil, Value::from)]);
            assert_eq!(series.insert(name, told), None, "a series is there once");
        };
        for (row, stats) in figures.rows.iter().enumerate() {
            add(format!("row {row}"), value(&|| pack::to_vec(stats).unwrap()), half(&stats.even));
        }
        for (path, stats) in figures.transactions.iter().enumerate().filter(|(_, stats)| stats.count > 0) {
            add(format!("transaction {}", place_of(path)), value(&|| pack::to_vec(stats).unwrap()), half(&stats.even));
        }
        for (path, stats) in
            figures.requests.iter().enumerate().flat_map(|(path, of)| of.iter().map(move |of| (path, of)))
        {
            let kind = (&stats.method, &stats.name, stats.code, stats.error);
            let name = format!("request {} {kind:?}", place_of(path));
            add(name, value(&|| pack::to_vec(stats).unwrap()), half(&stats.even));
        }
        let error = |(key, count): (&ErrorKey, &u64)| {
            (format!("{} {:?}", place_of(key.path.index()), (&key.ex_type, &key.message, &key.location)), *count)
        };
        let of_path = |(path, of): (&PathId, _)| {
            let of: &rustc_hash::FxHashMap<String, crate::figures::CheckStats> = of;
            let place = place_of(path.index());
            of.iter()
                .map(|(name, stats)| (format!("{place} {name:?}"), (stats.passed, stats.failed)))
                .collect::<Vec<_>>()
        };
        Self {
            errors: figures.errors.iter().map(error).collect(),
            checks: figures.checks.iter().flat_map(of_path).collect(),
            exchanges: figures.failed_exchanges.told(|path| place(names, path)),
            ran_out: figures.ran_out,
            metrics: metrics(&figures.metrics),
            warnings: figures.metrics.warnings(),
            flags: [figures.out_of_room, figures.out_of_kinds],
            series,
        }
    }
}

/// A runner: its names, what its workers tell, and what it has appended to its log.
struct Runner {
    gathered: Gathered,
    packer: Packer,
    log: Vec<Vec<u8>>,
    workers: Vec<usize>,
}

impl Runner {
    fn append(&mut self, entry: Entry) {
        self.log.extend(self.packer.pack(entry).unwrap());
    }

    fn append_seconds(&mut self) {
        while let Some(second) = self.gathered.take() {
            self.append(Entry::Second(second));
        }
    }
}

/// Reads a runner's log, and hands over what is in it as one worker would.
fn read_log(log: &[Vec<u8>], number: usize, controller: &mut Controller) {
    let mut unpacker = Unpacker::new(Arc::clone(&controller.names));
    let mut has_ended = false;
    for bytes in log {
        match unpacker.unpack(bytes, 1000).unwrap() {
            Unpacked::Part => {}
            Unpacked::Second(OfSecond { second, figures }) => controller.seconds(number, vec![second], &figures),
            Unpacked::End { result, differences, .. } => {
                assert_eq!(differences, [""; 0]);
                controller.seconds.finished(number as u32);
                controller.result(result);
                has_ended = true;
            }
        }
    }
    assert!(has_ended);
}

/// Carries out a run on runners of so many workers each; the logs of the runners, and what one process has of it.
fn run(ops: &[Op], runners: &[usize]) -> (Vec<Vec<Vec<u8>>>, Whole) {
    let direct_names = names();
    let workers: usize = runners.iter().sum();
    let mut direct = Controller::new(Arc::clone(&direct_names), workers);
    let mut of_direct: Vec<_> = (0..workers).map(|_| Worker::new(&direct_names)).collect();
    let (mut of_runners, mut cluster) = (Vec::new(), Vec::new());
    for (number, count) in runners.iter().enumerate() {
        let names = names();
        // So that the same path has another number in each.
        for other in 0..number {
            names.child(Names::root(1), &format!("of runner {number}: {other}"));
        }
        let first = of_runners.len();
        of_runners.extend((0..*count).map(|_| Worker::new(&names)));
        cluster.push(Runner {
            gathered: Gathered::new(*count as u32, ROWS),
            packer: Packer::new(names),
            log: Vec::new(),
            workers: (first..of_runners.len()).collect(),
        });
    }
    let owner = |worker: usize, cluster: &[Runner]| {
        let runner = cluster.iter().position(|runner| runner.workers.contains(&worker)).unwrap();
        (runner, worker - cluster[runner].workers[0])
    };
    let mut now = 0;
    for op in ops {
        now += 1 + op.after;
        let worker = op.worker % workers;
        let (runner, number) = owner(worker, &cluster);
        let (in_direct, in_runner) = (&mut of_direct[worker], &mut of_runners[worker]);
        in_direct.seconds.roll(now);
        let closed = in_direct.seconds.take_closed();
        if !closed.is_empty() {
            direct.seconds(worker, closed, &in_direct.tell());
            in_runner.seconds.roll(now);
            let runner = &mut cluster[runner];
            runner.gathered.add(number as u32, in_runner.seconds.take_closed(), &in_runner.tell());
            runner.append_seconds();
        }
        if op.kind == 0 && op.b.is_multiple_of(9) {
            // It is asked for what is new.
            direct.told(now / SECOND, &in_direct.tell());
            cluster[runner].gathered.add_figures(now / SECOND, &in_runner.tell());
        }
        in_direct.does(now, op);
        in_runner.does(now, op);
    }
    for (worker, (in_direct, in_runner)) in of_direct.iter_mut().zip(&mut of_runners).enumerate() {
        direct.seconds(worker, in_direct.seconds.take_all(now), &in_direct.tell());
        direct.seconds.finished(worker as u32);
        let (runner, number) = owner(worker, &cluster);
        let gathered = &mut cluster[runner].gathered;
        gathered.add(number as u32, in_runner.seconds.take_all(now), &in_runner.tell());
        gathered.finished(number as u32);
    }
    for (number, worker) in of_direct.into_iter().enumerate() {
        direct.result(worker.result(number));
    }
    let mut of_runners = of_runners.into_iter().enumerate();
    let logs = cluster.into_iter().map(|mut runner| {
        runner.append_seconds();
        let results =
            of_runners.by_ref().take(runner.workers.len()).map(|(number, worker)| worker.result(number)).collect();
        let gathered = std::mem::replace(&mut runner.gathered, Gathered::new(0, ROWS));
        gathered.end(results, Vec::new()).into_iter().for_each(|entry| runner.append(entry));
        runner.log
    });
    (logs.collect(), direct.whole())
}

/// What is read of runners' logs, by a process with names of its own.
fn read_logs(logs: &[Vec<Vec<u8>>]) -> Whole {
    let names = names();
    names.child(Names::root(2), "of the controller");
    let mut controller = Controller::new(names, logs.len());
    for (number, log) in logs.iter().enumerate() {
        read_log(log, number, &mut controller);
    }
    controller.whole()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Bucket for bucket and count for count.
    #[test]
    fn what_runners_tell_is_what_their_workers_would(
        ops in prop::collection::vec(op(), 0..400),
        runners in prop::collection::vec(1usize..=4, 1..=3),
    ) {
        let (logs, direct) = run(&ops, &runners);
        let read = read_logs(&logs);
        prop_assert_eq!(&read, &direct);
        prop_assert_eq!(&read_logs(&logs), &read, "one who reads from the start again has the same");
    }
}

/// The pieces that one worker's figures of one second become.
fn pieces(names: &Arc<Names>, packer: &mut Packer, worker: &mut Worker, second: u64) -> Vec<Vec<u8>> {
    let rows = vec![RowSecond::default(); names.journeys.len()];
    let entry = OfSecond { second: Second { index: second, rows }, figures: worker.tell() };
    packer.pack(Entry::Second(entry)).unwrap()
}

fn error_of(bytes: &[u8]) -> WireError {
    Unpacker::new(names()).unpack(bytes, 1000).unwrap_err()
}

/// Any entries, with something of each kind in them.
fn some_log() -> Vec<Vec<u8>> {
    let op = |index: usize| {
        let (kind, value) = ((index % 14) as u8, 1 << (index % 40));
        Op { worker: index % 2, kind, a: index / 14, b: index / 3, value, after: SECOND / 100 }
    };
    let (mut logs, _) = run(&(0..400).map(op).collect::<Vec<_>>(), &[2]);
    logs.remove(0)
}

/// A usual second of a large run: 25 transactions and 25 kinds of request, a thousand times each.
#[test]
fn an_entry_of_fifty_series_is_small() {
    let names = names();
    let (mut packer, mut worker) = (Packer::new(Arc::clone(&names)), Worker::new(&names));
    // Durations about 5 ms, a few far longer, as a log-normal distribution has them.
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut duration = || {
        let normal = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        Duration::from_secs_f64(0.005 * (normal * 0.5).exp())
    };
    let mut sizes = Vec::new();
    for second in 0..2 {
        for series in 0..25 {
            let path = worker.cache.child(Names::root(1), &format!("transaction {series}"));
            for sample in 0..1000 {
                let (total, first_byte) = (duration(), Some(duration()));
                let connect = (sample % 100 == 0).then(&mut duration);
                worker.figures.measured.transaction(1, path, false, Some(total.as_nanos() as u64));
                let request = RequestSample {
                    method: "GET",
                    code: 200,
                    bytes: 500,
                    total,
                    first_byte,
                    connect,
                    ..Default::default()
                };
                worker.figures.measured.request(1, path, &request);
            }
        }
        let pieces = pieces(&names, &mut packer, &mut worker, second);
        assert_eq!(pieces.len(), 1);
        sizes.push(pieces[0].len());
    }
    println!("an entry of 25 transactions and 25 kinds of request with 1000 samples each: {sizes:?} bytes");
    assert!(sizes[1] < 150_000, "{sizes:?}");
}

/// Each kind of list at once, far more than one piece may have.
#[test]
fn what_is_too_long_is_told_in_parts() {
    let (runners, own) = (names(), names());
    let (mut packer, mut unpacker) = (Packer::new(Arc::clone(&runners)), Unpacker::new(Arc::clone(&own)));
    let (mut worker, mut other) = (Worker::new(&runners), Worker::new(&own));
    for worker in [&mut other, &mut worker] {
        for number in 0..3000 {
            let name = format!("{number} {}", "x".repeat(300));
            let path = worker.cache.child(Names::root(1), &name);
            let measured = &mut worker.figures.measured;
            measured.transaction(1, path, false, Some(number * 1000));
            let sample = RequestSample { method: "GET", name: Some(&name), code: 500, ..Default::default() };
            measured.request(1, path, &sample);
            let text = || "y".repeat(16 * 1024);
            let exchange = ExchangeText { url: text(), message: Some(text()), request: text(), response: text() };
            measured.failed_exchange(path, Duration::from_micros(number), &sample, exchange);
            let error = ErrorKey { path, ex_type: "E".into(), message: name.repeat(3), location: "f:1:g".into() };
            if number < 900 {
                measured.error(&error);
                measured.check(path, &name, true);
            }
            Handle::<Counting>::new(Some(&worker.meter), "shops_total", 1.0).label("shop", &name[..200]).add(number);
        }
    }
    let told = worker.tell();
    let kept = std::mem::take(&mut worker.figures.measured.failed_exchanges);
    let mut figures = FiguresTold { ..told };
    figures.measured.failed_exchanges = kept;
    let rows = vec![RowSecond { started: 3, ..RowSecond::default() }; ROWS];
    let entry = OfSecond { second: Second { index: 7, rows }, figures };
    let pieces = packer.pack(Entry::Second(entry)).unwrap();
    assert!(pieces.len() > 8, "{}", pieces.len());
    assert!(
        pieces.iter().all(|piece| piece.len() <= MOST_BYTES && piece.len() > 1000),
        "{:?}",
        pieces.iter().map(Vec::len)
    );
    let (last, first) = pieces.split_last().unwrap();
    for piece in first {
        assert!(matches!(unpacker.unpack(piece, 8), Ok(Unpacked::Part)));
    }
    let Ok(Unpacked::Second(read)) = unpacker.unpack(last, 8) else { panic!("the last piece ends the second") };
    assert_eq!((read.second.index, read.second.rows.iter().map(|row| row.started).sum::<u64>()), (7, 12));
    let facts = |told: &FiguresTold, names: &Names| {
        let mut figures = Figures::new(ROWS);
        figures.add(told);
        Facts::of(figures.measured, names)
    };
    let mut expected = other.tell();
    expected.measured.failed_exchanges = std::mem::take(&mut other.figures.measured.failed_exchanges);
    assert_eq!(facts(&read.figures, &own), facts(&expected, &own));
}

#[test]
fn texts_of_any_length_are_told_cut() {
    let names = names();
    let (mut packer, mut worker) = (Packer::new(Arc::clone(&names)), Worker::new(&names));
    let message = "z".repeat(2_000_000);
    let key = ErrorKey { path: Names::root(1), ex_type: "E".into(), message, location: String::new() };
    worker.figures.measured.error(&key);
    let pieces = pieces(&names, &mut packer, &mut worker, 0);
    assert!(pieces.len() == 1 && pieces[0].len() < 20_000);
    let Ok(Unpacked::Second(read)) = Unpacker::new(names).unpack(&pieces[0], 1) else { panic!("a second") };
    let errors: Vec<_> = read.figures.measured.errors.iter().collect();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].0.message.ends_with(" bytes more") && *errors[0].1 == 1);
}

#[test]
fn what_waits_may_be_merged_and_counts_stay() {
    let log = some_log();
    let mut unpacker = Unpacker::new(names());
    let mut seconds = Vec::new();
    for bytes in &log {
        match unpacker.unpack(bytes, 1000).unwrap() {
            Unpacked::Second(second) => seconds.push(second),
            Unpacked::End { .. } => {}
            Unpacked::Part => panic!("a small one is not parted"),
        }
    }
    assert!(seconds.len() >= 4, "{}", seconds.len());
    let totals = |seconds: &[OfSecond]| {
        let mut totals = Totals::default();
        for OfSecond { second, figures } in seconds {
            totals.add(figures);
            totals.add_second(&second.rows);
        }
        totals.told()
    };
    let before = totals(&seconds);
    let last = &seconds.last().unwrap().second;
    let last = (last.index, last.rows.iter().map(|row| row.running).collect::<Vec<_>>());
    let mut seconds = seconds.into_iter();
    let mut merged = seconds.next().unwrap();
    seconds.for_each(|later| merged.merge(later));
    assert_eq!(merged.second.index, last.0);
    assert_eq!(merged.second.rows.iter().map(|row| row.running).collect::<Vec<_>>(), last.1);
    assert_eq!(totals(&[merged]), before);
}

/// A field of a map within a piece, by its name.
fn field<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    let Value::Map(fields) = value else { panic!("no map: {value}") };
    let found = fields.iter_mut().find(|(key, _)| key.as_str() == Some(name));
    &mut found.unwrap_or_else(|| panic!("no {name}")).1
}

fn changed(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value = rmpv::decode::read_value(&mut &bytes[..]).unwrap();
    change(&mut value);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &value).unwrap();
    bytes
}

fn add_field(value: &mut Value) {
    let Value::Map(fields) = value else { panic!("no map: {value}") };
    fields.push(("of a later version".into(), Value::Map(vec![("a".into(), 1.into())])));
}

#[test]
fn fields_that_are_not_known_are_passed_over() {
    let bytes = changed(&some_log()[0], |message| {
        let Value::Array(rows) = field(field(message, "measured"), "rows") else { panic!("no rows") };
        let Value::Array(row) = &mut rows[0] else { panic!("no row") };
        add_field(&mut row[1]);
        add_field(field(message, "second"));
        add_field(message);
    });
    assert!(matches!(Unpacker::new(names()).unpack(&bytes, 1000), Ok(Unpacked::Second(_))));
}

#[test]
fn what_is_lost_on_the_way_is_told() {
    let mut log = some_log();
    log[0] = changed(&log[0], |message| {
        let Value::Array(rows) = field(field(message, "measured"), "rows") else { panic!("no rows") };
        let Value::Array(row) = &mut rows[0] else { panic!("no row") };
        let started = field(&mut row[1], "started");
        *started = (started.as_u64().unwrap() + 5).into();
    });
    let mut unpacker = Unpacker::new(names());
    let told: Vec<_> = log.iter().map(|bytes| unpacker.unpack(bytes, 1000).unwrap()).collect();
    let Some(Unpacked::End { differences, .. }) = told.last() else { panic!("no end") };
    let [difference] = &differences[..] else { panic!("one difference: {differences:?}") };
    assert!(difference.starts_with("measured, row ") && difference.contains("started: the runner has"), "{difference}");
}

#[test]
fn what_is_no_entry_is_refused_at_its_first_byte() {
    for bytes in [&b""[..], b"hello", b"\x80", b"\x81\xa1w\x01", b"\x81\xa1v\xa1x", b"\xc1", b"\xdf\xff\xff\xff\xff"] {
        let error = error_of(bytes);
        assert!(matches!(error, WireError::Broken { at: 0, .. }), "{bytes:?}: {error}");
        assert!(error.to_string().starts_with("byte 0 of a runner's entry: "));
    }
    assert_eq!(error_of(b"\x81\xa1v\x02"), WireError::Version { found: 2 });
}

#[test]
fn each_entry_comes_in_its_turn() {
    let log = some_log();
    assert_eq!(error_of(&log[1]), WireError::Order { expected: 0, found: 1 });
    let mut unpacker = Unpacker::new(names());
    unpacker.unpack(&log[0], 1000).unwrap();
    assert_eq!(unpacker.unpack(&log[0], 1000).unwrap_err(), WireError::Order { expected: 1, found: 0 });
}

/// Each is well formed, and says what cannot be; nothing is read after it.
#[test]
fn what_cannot_be_is_refused_in_words() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 9] = [
        (|message| *field(message, "rows") = 9.into(), "a run of 9 rows"),
        (|message| *field(field(message, "second"), "index") = 1000.into(), "of second 1000"),
        (|message| *field(field(message, "second"), "index") = u64::MAX.into(), "of second 18446744073709551615"),
        (|message| *field(at(field(message, "paths"), &[0]), "number") = 70_000.into(), "the path 70000 where 8"),
        (
            |message| *field(at(field(message, "paths"), &[0]), "parent") = 4_000_000.into(),
            "never named the path 4000000",
        ),
        (|message| *field(at(field(message, "paths"), &[0]), "row") = 3.into(), "of row 3"),
        (|message| *at(field(field(message, "measured"), "rows"), &[0, 0]) = u32::MAX.into(), "no row 4294967295"),
        (
            |message| *field(at(field(field(message, "measured"), "rows"), &[0, 1]), "started") = u64::MAX.into(),
            "18446744073709551615 started",
        ),
        (
            |message| *at(field(field(message, "measured"), "transactions"), &[0, 0]) = 77_777.into(),
            "never named the path 77777",
        ),
    ];
    let log = some_log();
    for (change, why) in cases {
        let mut unpacker = Unpacker::new(names());
        let error = unpacker.unpack(&changed(&log[0], change), 1000).unwrap_err();
        assert!(
            matches!(&error, WireError::Wrong { seq: 0, .. }) && error.to_string().contains(why),
            "{error}, not {why}"
        );
        assert!(matches!(unpacker.unpack(&log[1], 1000), Err(WireError::Order { .. })));
    }
}

/// An element of an array within arrays.
fn at<'a>(mut value: &'a mut Value, indices: &[usize]) -> &'a mut Value {
    for index in indices {
        let Value::Array(elements) = value else { panic!("no array: {value}") };
        value = &mut elements[*index];
    }
    value
}

#[test]
fn an_entry_that_is_cut_off_is_told_with_the_byte() {
    let log = some_log();
    let whole = &log[0];
    for len in (8..whole.len()).step_by(7) {
        match error_of(&whole[..len]) {
            WireError::Broken { at, .. } => assert!(at <= len as u64, "{at} of {len}"),
            other => panic!("{len} bytes: {other}"),
        }
    }
    let longer = [&whole[..], b"\0"].concat();
    let end = whole.len() as u64;
    assert!(matches!(error_of(&longer), WireError::Broken { at, .. } if at == end));
}

proptest! {
    /// Whatever is read, nothing panics, also when what was read is added up.
    #[test]
    fn bytes_that_are_broken_do_no_harm(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let log = LOG.with(Clone::clone);
        let which = which.index(log.len());
        let names = names();
        let (mut unpacker, mut controller) = (Unpacker::new(Arc::clone(&names)), Controller::new(names, 1));
        for (number, bytes) in log.iter().enumerate().take(which + 1) {
            let mut bytes = bytes.clone();
            if number == which {
                for (at, byte) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
            }
            match unpacker.unpack(&bytes, 1000) {
                Ok(Unpacked::Second(OfSecond { second, figures })) => controller.seconds(0, vec![second], &figures),
                Ok(Unpacked::End { result, .. }) => controller.result(result),
                Ok(Unpacked::Part) => {}
                Err(WireError::Broken { at, .. }) => prop_assert!(at <= bytes.len() as u64),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
        controller.whole();
    }
}

thread_local! {
    static LOG: Vec<Vec<u8>> = some_log();
}
