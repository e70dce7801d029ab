//! Records on their way from sinks through a log to files, with whatever may happen to each of the three.
//!
//! They are apart from the parts, which each have tests of their own, since what is promised is promised of the way as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::oneshot;

use super::error::LogRecorderError;
use super::log_recorder::LogRecorder;
use super::sink::RecordSink;
use super::{KEPT, log_name};
use crate::bus::{Bus, BusError, Fabric, Item, Kept, Later, Local, Log, Reader, Register};
use crate::context::Rng;
use crate::pack;
use crate::recorder::Record;

const RUN: &str = "run7";

/// What is recorded in these tests: who recorded it, and its number there.
type Row = (u32, u64);

fn rows(folder: &Path, name: &str) -> Vec<Row> {
    let path = folder.join(format!("{name}.msgpack"));
    crate::recorded_rows::<Row>(path).unwrap().collect::<Result<_, _>>().unwrap()
}

fn take(sink: &mut RecordSink, name: &str, row: Row) {
    sink.take(name, &Record::Created(&pack::to_vec(&row).unwrap())).unwrap();
}

fn named() -> Arc<OnceLock<String>> {
    Arc::new(OnceLock::from(RUN.to_owned()))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// Fails if the rows of each are not all from 0 on, each once and in order; gives how many each has.
fn check_order(rows: &[Row]) -> BTreeMap<u32, u64> {
    let mut next = BTreeMap::new();
    for (who, number) in rows {
        let expected = next.entry(*who).or_insert(0);
        assert_eq!(number, expected, "of {who}");
        *expected += 1;
    }
    next
}

/// A fabric whose logs lose requests and acknowledgements.
#[derive(Debug)]
struct Flaky {
    local: Local,
    /// Of each thousand appends, so many fail.
    failing: u32,
    seed: AtomicU64,
}

impl Fabric for Flaky {
    fn bus(&self) -> Arc<dyn Bus> {
        self.local.bus()
    }

    fn register(&self, name: &str) -> Later<'_, Arc<dyn Register>> {
        self.local.register(name)
    }

    fn delete_register(&self, name: &str) -> Later<'_, ()> {
        self.local.delete_register(name)
    }

    fn log(&self, name: &str, kept: Kept) -> Later<'_, Arc<dyn Log>> {
        let name = name.to_owned();
        Box::pin(async move {
            let log = self.local.log(&name, kept).await?;
            let seed = AtomicU64::new(self.seed.fetch_add(1 << 32, Ordering::Relaxed));
            Ok(Arc::new(FlakyLog { log, failing: self.failing, seed }) as Arc<dyn Log>)
        })
    }

    fn delete_log(&self, name: &str) -> Later<'_, ()> {
        self.local.delete_log(name)
    }

    fn description(&self) -> String {
        self.local.description()
    }
}

#[derive(Debug)]
struct FlakyLog {
    log: Arc<dyn Log>,
    failing: u32,
    seed: AtomicU64,
}

impl Log for FlakyLog {
    fn append(&self, lane: &str, id: &str, payload: Vec<u8>) -> Later<'_, u64> {
        let (lane, mut id) = (lane.to_owned(), id.to_owned());
        Box::pin(async move {
            let mut random = Rng::seed_from_u64(self.seed.fetch_add(1, Ordering::Relaxed));
            let fails = random.random_range(0..1000) < self.failing;
            if fails && random.random_bool(0.5) {
                return Err(BusError::disconnected("the request was lost"));
            }
            if random.random_bool(0.5) {
                tokio::time::sleep(Duration::from_millis(random.random_range(0..3))).await;
            }
            if random.random_bool(0.1) && lane == super::LANE {
                // What the log does after its window for duplicates: it takes it twice, which here has an id that means the same.
                let again = id.replacen('.', ".0", 1);
                self.log.append(&lane, &again, payload.clone()).await?;
                id = id.replacen('.', ".00", 1);
            }
            let sequence = self.log.append(&lane, &id, payload).await?;
            if fails { Err(BusError::timeout("the acknowledgement was lost")) } else { Ok(sequence) }
        })
    }

    fn read(&self, lanes: &str, from: u64) -> Later<'_, Box<dyn Reader>> {
        self.log.read(lanes, from)
    }

    fn last(&self) -> Later<'_, u64> {
        self.log.last()
    }

    fn purge_to(&self, sequence: u64) -> Later<'_, ()> {
        self.log.purge_to(sequence)
    }
}

/// Records so many rows each from some sinks, on threads of their own.
fn record(fabric: &Arc<dyn Fabric>, sinks: u32, each: u64) -> Vec<std::thread::JoinHandle<()>> {
    let of = |rid| {
        let mut sink = RecordSink::new(Arc::clone(fabric), named(), rid, 0xb007 + u64::from(rid));
        std::thread::spawn(move || {
            for number in 0..each {
                take(&mut sink, "users", (rid, number));
                if number % 97 == 0 {
                    sink.push().unwrap();
                }
            }
            sink.drain().unwrap();
        })
    };
    (0..sinks).map(of).collect()
}

#[test]
fn all_is_recorded_once_and_in_order_though_requests_are_lost_and_the_recorder_dies() {
    for seed in 0..4 {
        let local = Local::new();
        let fabric: Arc<dyn Fabric> =
            Arc::new(Flaky { local: local.clone(), failing: 100, seed: AtomicU64::new(seed) });
        let dir = tempfile::tempdir().unwrap();
        let threads = record(&fabric, 3, 3000);
        let mut random = Rng::seed_from_u64(seed);
        runtime().block_on(async {
            // Recorders that die, one after another.
            while threads.iter().any(|thread| !thread.is_finished()) {
                let recorder = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
                let dies = Duration::from_millis(random.random_range(0..250));
                let run = tokio::time::timeout(dies, recorder.run(std::future::pending()));
                assert!(run.await.is_err(), "nobody has told it to end");
            }
            let last = local.log(&log_name(RUN), KEPT).await.unwrap().last().await.unwrap();
            let recorder = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
            let finished = recorder.run(std::future::ready(Some(last))).await.unwrap();
            assert_eq!(finished.records().taken().counts(), BTreeMap::from([("users".to_owned(), 9000)]));
            // One that is started again finds that nothing is left to do, and the same account.
            drop(finished);
            let recorder = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
            let finished = recorder.run(std::future::ready(Some(last))).await.unwrap();
            let recorded: Vec<Row> = finished.records().taken().read("users").unwrap();
            assert_eq!(recorded, rows(dir.path(), "users"));
            assert_eq!(*finished.warnings().lock().unwrap(), Vec::<String>::new());
            finished.close().unwrap();
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(check_order(&rows(dir.path(), "users")), BTreeMap::from([(0, 3000), (1, 3000), (2, 3000)]));
        let names: BTreeSet<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, BTreeSet::from(["users.msgpack".into()]));
    }
}

/// Where ten records of one runner wait, and the number of the last item of their log.
async fn ten_recorded() -> (Arc<dyn Fabric>, u64) {
    let fabric: Arc<dyn Fabric> = Arc::new(Local::new());
    for thread in record(&fabric, 1, 10) {
        thread.join().unwrap();
    }
    let last = fabric.log(&log_name(RUN), KEPT).await.unwrap().last().await.unwrap();
    (fabric, last)
}

#[test]
fn what_is_durable_is_purged_from_the_log_but_for_the_last() {
    runtime().block_on(async {
        let fabric: Arc<dyn Fabric> = Arc::new(Local::new());
        let dir = tempfile::tempdir().unwrap();
        for thread in record(&fabric, 1, 1000) {
            thread.join().unwrap();
        }
        let log = fabric.log(&log_name(RUN), KEPT).await.unwrap();
        let last = log.last().await.unwrap();
        let recorder = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
        let _finished = recorder.run(std::future::ready(Some(last))).await.unwrap();
        assert_eq!(log.read(">", 1).await.unwrap().next().await.unwrap().sequence, last);
    });
}

#[test]
fn a_recorder_without_the_folder_of_the_one_before_it_says_so() {
    runtime().block_on(async {
        let (fabric, last) = ten_recorded().await;
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let recorder = LogRecorder::open(&*fabric, RUN, first.path()).await.unwrap();
        recorder.run(std::future::ready(Some(last))).await.unwrap();
        // All is purged: without its own mark it would wait for ever.
        let recorder = LogRecorder::open(&*fabric, RUN, second.path()).await.unwrap();
        let error = recorder.run(std::future::ready(Some(last))).await.unwrap_err();
        assert!(matches!(error, LogRecorderError::Lost { from: 1, .. }), "{error}");
    });
}

#[test]
fn of_two_recorders_of_a_run_the_second_waits_for_the_end_of_the_first() {
    runtime().block_on(async {
        let (fabric, last) = ten_recorded().await;
        let dir = tempfile::tempdir().unwrap();
        let first = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
        let account = first.records();
        let mut first = Box::pin(first.run(std::future::pending()));
        tokio::select! {
            ended = &mut first => panic!("{ended:?}"),
            () = async { while account.counts().is_empty() { tokio::time::sleep(Duration::from_millis(1)).await } } => {}
        }
        let second = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
        let mut second = Box::pin(second.run(std::future::ready(Some(last))));
        // The first is there, and does nothing, as if it was stopped.
        assert!(tokio::time::timeout(Duration::from_millis(600), &mut second).await.is_err());
        drop(first);
        second.await.unwrap().close().unwrap();
        assert_eq!(check_order(&rows(dir.path(), "users")), BTreeMap::from([(0, 10)]));
    });
}

#[cfg(feature = "testing")]
#[test]
fn a_file_that_the_recorder_before_has_not_let_go_of_yet_is_waited_for() {
    runtime().block_on(async {
        let (fabric, last) = ten_recorded().await;
        let dir = tempfile::tempdir().unwrap();
        let first = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
        drop(first.run(std::future::ready(Some(last))).await.unwrap());
        let users = dir.path().join("users.msgpack");
        for is_let_go in [false, true] {
            let held = crate::recorder::RecordFile::open(users.clone()).unwrap();
            let second = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
            let mut second = Box::pin(second.run(std::future::ready(Some(last))));
            tokio::time::pause();
            assert!(tokio::time::timeout(Duration::from_secs(4), &mut second).await.is_err());
            let held = (!is_let_go).then_some(held);
            let recorded = second.await;
            tokio::time::resume();
            drop(held);
            match recorded {
                Ok(finished) => {
                    assert!(is_let_go);
                    finished.close().unwrap();
                }
                // Another run has it, for as long as it lasts.
                Err(error) => {
                    assert!(!is_let_go);
                    assert!(error.to_string().contains("users.msgpack is being written by another run"), "{error}");
                }
            }
        }
        assert_eq!(check_order(&rows(dir.path(), "users")), BTreeMap::from([(0, 10)]));
    });
}

#[test]
fn a_recorder_that_nobody_will_tell_of_the_end_makes_room_for_another() {
    runtime().block_on(async {
        let fabric: Arc<dyn Fabric> = Arc::new(Local::new());
        let dir = tempfile::tempdir().unwrap();
        for thread in record(&fabric, 1, 10) {
            thread.join().unwrap();
        }
        let recorder = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
        let (leads, told) = oneshot::channel::<u64>();
        let account = recorder.records();
        let (recorded, ()) = tokio::join!(recorder.run(async { told.await.ok() }), async {
            while account.counts().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(leads);
        });
        assert!(matches!(recorded, Err(LogRecorderError::Abandoned)), "{recorded:?}");
        let last = fabric.log(&log_name(RUN), KEPT).await.unwrap().last().await.unwrap();
        let recorder = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
        recorder.run(std::future::ready(Some(last))).await.unwrap().close().unwrap();
        assert_eq!(check_order(&rows(dir.path(), "users")), BTreeMap::from([(0, 10)]));
    });
}

#[test]
fn a_full_log_makes_journeys_wait_and_a_deleted_one_says_what_is_lost() {
    let fabric: Arc<dyn Fabric> = Arc::new(Local::new());
    let runtime = runtime();
    let log = runtime.block_on(fabric.log(&log_name(RUN), KEPT)).unwrap();
    let most = KEPT.most_bytes.unwrap();
    // What is there leaves no room.
    let filler = runtime.block_on(log.append("filler", "1", vec![0; usize::try_from(most).unwrap() - 200])).unwrap();
    let mut sink = RecordSink::new(Arc::clone(&fabric), named(), 1, 1);
    take(&mut sink, "users", (1, 0));
    sink.push().unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        sink.drain().unwrap();
        done.send(()).unwrap();
        sink
    });
    assert!(is_done.recv_timeout(Duration::from_millis(200)).is_err());
    runtime.block_on(log.purge_to(filler + 1)).unwrap();
    is_done.recv().unwrap();
    let mut sink = waiting.join().unwrap();

    runtime.block_on(fabric.delete_log(&log_name(RUN))).unwrap();
    for number in 1..=3 {
        take(&mut sink, "users", (1, number));
    }
    let error = sink.drain().unwrap_err();
    assert_eq!(
        error.to_string(),
        "3 records were not handed on, since the log of the run's records takes no more: the log run7_records was deleted"
    );
}

#[test]
fn names_and_sizes_are_checked() {
    let fabric: Arc<dyn Fabric> = Arc::new(Local::new());
    let mut sink = RecordSink::new(fabric, named(), 1, 1);
    let error = sink.take("../users", &Record::Purged).unwrap_err();
    assert_eq!(error.to_string(), "\"../users\" cannot name recorded data: it begins with a dot");
    sink.take("users", &Record::Created(&vec![0; 900_000])).unwrap();
    let error = sink.take("users", &Record::Created(&vec![0; 1_000_000])).unwrap_err();
    assert_eq!(error.to_string(), "a record of \"users\" has 1000005 bytes, and in a cluster one has at most 1000000");
    sink.drain().unwrap();
}

#[test]
fn what_never_came_is_told_at_the_end_and_what_came_after_it_is_recorded() {
    runtime().block_on(async {
        let fabric: Arc<dyn Fabric> = Arc::new(Local::new());
        let log = fabric.log(&log_name(RUN), KEPT).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        // A runner that was killed while its second batch was on its way, and its third was in the log.
        for number in [1, 3] {
            let mut batch = super::batch::Batch::default();
            batch.push("users", &Record::Created(&pack::to_vec(&(7, number)).unwrap()));
            log.append(super::LANE, &format!("7.b007.{number}"), batch.pack()).await.unwrap();
        }
        // What waits is not lost with the recorder.
        let recorder = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
        let account = recorder.records();
        tokio::select! {
            ended = recorder.run(std::future::pending()) => panic!("{ended:?}"),
            () = async { while log_is_kept(&*log).await { tokio::time::sleep(Duration::from_millis(1)).await } } => {}
        }
        assert_eq!(account.counts()["users"], 1);
        let recorder = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
        let finished = recorder.run(std::future::ready(Some(2))).await.unwrap();
        assert_eq!(
            *finished.warnings().lock().unwrap(),
            ["runner 7 ended before its batch 2 of records was in the log"]
        );
        finished.close().unwrap();
        assert_eq!(rows(dir.path(), "users"), [(7, 1), (7, 3)]);

        // More than can be on their way mean that one is gone.
        let dir = tempfile::tempdir().unwrap();
        fabric.delete_log(&log_name(RUN)).await.unwrap();
        let log = fabric.log(&log_name(RUN), KEPT).await.unwrap();
        for number in [1, 18] {
            log.append(super::LANE, &format!("7.b007.{number}"), super::batch::Batch::default().pack()).await.unwrap();
        }
        let recorder = LogRecorder::open(&*fabric, RUN, dir.path()).await.unwrap();
        let error = recorder.run(std::future::pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "batch 2 of runner 7's records is not in the log, and later ones are");
    });
}

/// Whether the log's first items are still there.
async fn log_is_kept(log: &dyn Log) -> bool {
    let mut reader = log.read(">", 1).await.unwrap();
    match tokio::time::timeout(Duration::from_millis(1), reader.next()).await {
        Ok(item) => matches!(item.unwrap(), Item { sequence: 1 | 2, .. }),
        Err(_) => false,
    }
}
