//! Pools over files of ten million rows: how soon they are ready, in how much memory, and what a checkout takes.
//!
//! Prints the figures for each format, in order and shuffled, and fails when one misses its bar: ready in 5 s, within 250 MB, 2 µs for
//! a checkout, and each row once. What something takes is the CPU time of the thread; on a machine that takes the processor away the
//! clock tells of that, and is printed beside it. Each format has a process of its own, whose peak of memory is then the pool's. The file is in the
//! system's cache, since it has just been written.
//!
//! `cargo bench -p mite-core --bench file_pool -- 1000000` takes another number of rows, and a format's name after it that one alone.

use std::fs::File;
use std::future::Future;
use std::hint::black_box;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::pin::pin;
use std::process::{Command, ExitCode};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use mite_core::{Checkout, Config, DataPool, FileDataPool, FileRowsError, pack};
use rustix::time::ClockId;
use serde::{Deserialize, Serialize};

const ROWS: u64 = 10_000_000;
const FORMATS: [&str; 3] = ["msgpack", "csv", "json_lines"];
const LONGEST_OPEN: Duration = Duration::from_secs(5);
const MOST_MEMORY: u64 = 250_000_000;
const LONGEST_CHECKOUT: Duration = Duration::from_micros(2);

#[derive(Serialize, Deserialize)]
struct User {
    number: u64,
    username: String,
}

type Pool = FileDataPool<(u64, String)>;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let rows = match arguments.first().map(|rows| rows.parse()) {
        None => ROWS,
        Some(Ok(rows)) => rows,
        Some(Err(error)) => {
            eprintln!("error: the number of rows: {error}");
            return ExitCode::from(2);
        }
    };
    let all_met = match arguments.get(1) {
        Some(format) => measure(format, rows),
        None => FORMATS.iter().fold(true, |all_met, format| {
            let program = std::env::current_exe().expect("the program has a place");
            let status = Command::new(program).args([&rows.to_string(), *format]).status().expect("it starts again");
            all_met && status.success()
        }),
    };
    if all_met {
        ExitCode::SUCCESS
    } else {
        println!("a bar was missed");
        ExitCode::FAILURE
    }
}

/// Whether all bars were met.
fn measure(format: &str, rows: u64) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("users");
    write(format, &path, rows).expect("the file is written");
    let size = path.metadata().expect("the file is there").len();

    let begin = (cpu_time(), Instant::now());
    let pool = open(format, &path).expect("the file is right");
    let (ready, wall) = (cpu_time().saturating_sub(begin.0), begin.1.elapsed());
    assert_eq!(pool.rows().len(), rows);
    println!("{format}: {rows} rows, {:.0} MB", size as f64 / 1e6);
    let [ready_s, wall_s] = [ready, wall].map(|time| time.as_secs_f64());
    println!("  ready in                 {ready_s:>8.2} s    (within {LONGEST_OPEN:?}; {wall_s:.2} s by the clock)");

    let shuffled = pool.clone().shuffled(1);
    let (in_order, in_order_again) = (checkouts(&pool), checkouts(&pool.clone().recyclable()));
    let (apart, apart_again) = (checkouts(&shuffled), checkouts(&shuffled.clone().recyclable()));
    let mut longest = Duration::ZERO;
    for (what, [cpu, wall]) in [
        ("in order", in_order),
        ("in order, recyclable", in_order_again),
        ("shuffled", apart),
        ("shuffled, recyclable", apart_again),
    ] {
        let (cpu_ns, wall_ns) = (cpu.as_nanos(), wall.as_nanos());
        println!("  {what:<24} {cpu_ns:>8} ns   (within {LONGEST_CHECKOUT:?}; {wall_ns} ns by the clock)");
        longest = longest.max(cpu);
    }
    let memory = peak_memory();
    match memory {
        Some(peak) => println!(
            "  peak memory              {:>8.1} MB   (within {} MB)",
            peak as f64 / 1e6,
            MOST_MEMORY / 1_000_000
        ),
        None => println!("  SKIPPED: only Linux tells how much memory a process has had"),
    }
    ready <= LONGEST_OPEN && longest <= LONGEST_CHECKOUT && memory.is_none_or(|peak| peak <= MOST_MEMORY)
}

fn open(format: &str, path: &Path) -> Result<Pool, FileRowsError> {
    match format {
        "csv" => FileDataPool::csv(path),
        "json_lines" => Ok(FileDataPool::json_lines(path)?.map(|user: User| (user.number, user.username))),
        _ => Ok(FileDataPool::msgpack(path)?.map(|user: User| (user.number, user.username))),
    }
}

fn write(format: &str, path: &Path, rows: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    if format == "csv" {
        writeln!(file, "number,username")?;
    }
    let mut packed = Vec::new();
    for number in 0..rows {
        let username = format!("78af93af262f4c9dbe09bd73{number:08x}");
        match format {
            "csv" => writeln!(file, "{number},{username}")?,
            "json_lines" => writeln!(file, r#"{{"number": {number}, "username": "{username}"}}"#)?,
            _ => {
                packed.clear();
                pack::write(&mut packed, &User { number, username }).map_err(io::Error::other)?;
                file.write_all(&packed)?;
            }
        }
    }
    file.into_inner()?.sync_all()
}

/// Checks all rows out, and in again where the pool wants them back: what one takes of the thread's CPU time, and by the clock. Each row
/// must come once.
fn checkouts(pool: &Pool) -> [Duration; 2] {
    let (config, rows) = (Config::new(), pool.rows().len());
    let mut sum = 0;
    let (cpu, wall) = (cpu_time(), Instant::now());
    for _ in 0..rows {
        match now(pool.checkout(&config)).expect("the row fits") {
            Checkout::Item { id, item: (number, username) } => {
                assert_eq!(id, number + 1);
                sum += number;
                black_box(username);
                pool.checkin(id);
            }
            other => panic!("{other:?}"),
        }
    }
    let took = [cpu_time().saturating_sub(cpu), wall.elapsed()];
    assert_eq!(sum, rows * (rows - 1) / 2, "each row once");
    if pool.left() == Some(0) {
        assert!(matches!(now(pool.checkout(&config)), Ok(Checkout::Exhausted)));
    }
    took.map(|took| took.div_f64(rows as f64))
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What a future gives that never waits.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a pool of a file does not wait"),
    }
}

/// The most memory that this process has had, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
