//! What a run takes does not grow with its journeys: bytes that are allocated are counted, and not what the allocator has of the
//! system.
//!
//! A program of its own, since it has an allocator of its own, and its tests take turns.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use futures::future::join_all;
use mite::{http::Settings, prelude::*};
use mite_core::RequestSample;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

static TURN: Mutex<()> = Mutex::new(());

/// What another test allocates would count, too.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes that are allocated, noted when journeys of these numbers start.
#[derive(Debug, Clone)]
struct Notes {
    at: [u64; 2],
    bytes: Arc<Mutex<[usize; 2]>>,
}

impl Notes {
    fn new(at: [u64; 2]) -> Self {
        Self { at, bytes: Arc::default() }
    }

    fn look(&self, ctx: &Context) {
        if let Some(place) = self.at.iter().position(|at| *at == ctx.start_index()) {
            self.bytes.lock().unwrap()[place] = HEAP.current_usage();
        }
    }

    /// How many more there were the second time.
    fn grown(&self) -> usize {
        let [before, after] = *self.bytes.lock().unwrap();
        assert!(before > 0 && after > 0, "both were noted");
        after.saturating_sub(before)
    }
}

/// Starts per second of each row.
const RATE: u64 = 20;
const MINUTES: u64 = 60;
/// What a second may take, and a row in it.
const OF_SECOND: usize = 10;
const OF_ROW: usize = 16;
/// Counters that widen as they count more, and the journeys that are under way.
const SETTLING: usize = 24 << 10;

/// An hour on a virtual clock: nothing but its seconds is kept, and these are small.
#[test]
fn an_hour_takes_what_its_seconds_take() {
    let _turn = turn();
    for rows in [1, 10] {
        let notes = Notes::new([2, MINUTES - 1].map(|minute| minute * 60 * RATE));
        let noted = notes.clone();
        let journey = async move |ctx: &mut Context| {
            noted.look(ctx);
            let number = ctx.start_index();
            ctx.transaction("work", async |ctx| {
                tokio::time::sleep(Duration::from_millis(1 + number % 20)).await;
                let sample = RequestSample { method: "GET", code: 200, bytes: 10, ..RequestSample::default() };
                ctx.scope().request(&sample);
                ctx.record("visits", number).await?;
                ensure!(!number.is_multiple_of(50), "each fiftieth fails");
                Ok(())
            })
            .await
        };
        let volume = || constant(RATE as f64, MINUTES as u32 * MINUTE);
        let of_row = |number| Row::new(journey.clone(), NoData, volume()).named(format!("row {number}"));
        let scenario = (0..rows).map(of_row).fold(Scenario::new(), Scenario::row);
        let folder = tempfile::tempdir().unwrap();
        let report = Run::new(scenario).recorder(folder.path()).virtually().run_blocking().unwrap();
        assert_eq!(report.journeys.iter().map(|row| row.started).sum::<u64>(), rows as u64 * MINUTES * 60 * RATE);
        let seconds = (MINUTES as usize - 3) * 60;
        let (grown, most) = (notes.grown(), seconds * (OF_SECOND + OF_ROW * rows) + SETTLING * rows);
        println!("{rows} rows: {grown} bytes in {seconds} s, and {most} at the most");
        assert!(grown <= most, "{rows} rows: {grown} bytes, and {most} at the most");
    }
}

/// Answers on as many connections as come. After the first one, so many are answered for the first time once all of them are asked.
fn serve(together: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let all = Arc::new(Barrier::new(together));
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (mut stream, all) = (stream.unwrap(), Arc::clone(&all));
            thread::spawn(move || {
                let mut lines = BufReader::with_capacity(1024, stream.try_clone().unwrap());
                let (mut line, mut first) = (String::with_capacity(256), (1..=together).contains(&number));
                while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line == "\r\n" {
                        if std::mem::take(&mut first) {
                            all.wait();
                        }
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
                    }
                    line.clear();
                }
            });
        }
    });
    url
}

const REQUESTS: u64 = 20_000;
/// Less than the smallest allocation for each of them.
const MOST_GROWN: usize = 128 << 10;

#[test]
fn requests_leave_nothing_behind() {
    let _turn = turn();
    let url = serve(0);
    let notes = Notes::new([REQUESTS / 20, REQUESTS - 1]);
    let noted = notes.clone();
    let journey = async move |ctx: &mut Context| {
        noted.look(ctx);
        ctx.transaction("get", async |ctx| {
            ctx.http().get(&url).await?.error_for_status()?;
            Ok(())
        })
        .await
    };
    let row = Row::new(journey, NoData, constant(8, HOUR).running().iterations(REQUESTS)).named("get");
    let report = Run::new(Scenario::new().row(row)).run_blocking().unwrap();
    assert_eq!(report.requests.iter().map(|row| row.count).sum::<u64>(), REQUESTS);
    let grown = notes.grown();
    println!("{grown} bytes");
    assert!(grown <= MOST_GROWN, "{grown} bytes");
}

/// Requests at once, as after a stall.
const BURST: usize = 300;
/// What counters take of it, and not the room that the pool had for its connections (53 KB), nor these (700 bytes each).
const MOST_LEFT: usize = 60 << 10;

#[test]
fn a_burst_leaves_nothing_behind_once_its_connections_are_closed() {
    let _turn = turn();
    let url = serve(BURST - 1);
    let journey = async move |ctx: &mut Context| -> Result {
        let ctx = ctx.http_session(Settings::new().idle_timeout(Duration::from_millis(50)));
        let get = async || ctx.http().get(&url).await?.error_for_status().map(drop);
        // What is read into is made with the first one.
        get().await?;
        let before = HEAP.current_usage();
        for answer in join_all((0..BURST).map(|_| get())).await {
            answer?;
        }
        let (burst, deadline) = (HEAP.current_usage() - before, Instant::now() + Duration::from_secs(60));
        // One connection stays in use all the time.
        while HEAP.current_usage() > before + MOST_LEFT {
            let left = HEAP.current_usage() - before;
            ensure!(Instant::now() < deadline, "{left} of {burst} bytes are left");
            get().await?;
        }
        println!("{} of {burst} bytes are left", HEAP.current_usage().saturating_sub(before));
        Ok(())
    };
    let row = Row::new(journey, NoData, constant(1, HOUR).running().iterations(1)).named("burst");
    let report = Run::new(Scenario::new().row(row)).max_start_lag(HOUR).run_blocking().unwrap();
    assert!(report.passed(), "{report}");
}
