//! Dropping a run's future, at whatever moment, ends its threads, brings its items back, and leaves whole records.
//!
//! In a process of its own, since it counts the threads.
#![cfg(target_os = "linux")]

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::task::{Context as TaskContext, Waker};
use std::time::{Duration, Instant};

use common::forever;
use mite_core::volume::{SECOND, constant};
use mite_core::{Checkout, Config, Context, DataPool, Result, Row, Run, Scenario, recorded};

/// Counts what is out.
#[derive(Debug, Default)]
struct Leases(AtomicI64, AtomicI64);

impl DataPool for Leases {
    type Item = (u64,);

    async fn checkout(&self, _config: &Config) -> Result<Checkout<(u64,)>> {
        let id = self.1.fetch_add(1, SeqCst) as u64;
        tokio::time::sleep(Duration::from_millis(id % 3)).await;
        self.0.fetch_add(1, SeqCst);
        Ok(Checkout::Item { id, item: (id,) })
    }

    fn checkin(&self, _id: u64) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

async fn recording(ctx: &mut Context, id: u64) -> Result {
    ctx.transaction("record", async |ctx| {
        for n in 0..20u64 {
            ctx.record("ids", (id, n)).await?;
        }
        if id.is_multiple_of(2) { forever(ctx).await } else { Ok(()) }
    })
    .await
}

fn drop_after(delay: Duration, workers: usize) {
    let before = threads();
    let (leases, folder) = (Arc::<Leases>::default(), tempfile::tempdir().unwrap());
    let open = Row::new(recording, Arc::clone(&leases), constant(1000, 600 * SECOND));
    let closed = Row::new(recording, Arc::clone(&leases), constant(5, 600 * SECOND).running());
    let run = Run::new(Scenario::new().row(open).row(closed)).workers(workers).recorder(folder.path());
    {
        let mut future = pin!(run.run());
        let start = Instant::now();
        loop {
            let polled = future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            if start.elapsed() >= delay {
                break;
            }
            std::thread::yield_now();
        }
    }
    // The last thread of the run says that all is done just before it ends.
    while threads() > before {
        std::thread::yield_now();
    }
    assert_eq!(leases.0.load(SeqCst), 0, "dropped after {delay:?}");
    let path = folder.path().join("ids.msgpack");
    if path.exists() {
        let rows = recorded::<(u64, u64)>(path).unwrap();
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), rows.len());
    }
}

#[test]
fn at_many_moments() {
    for workers in 1..=3 {
        for step in 0..40u64 {
            drop_after(Duration::from_micros(step * step * 40), workers);
        }
    }
}
