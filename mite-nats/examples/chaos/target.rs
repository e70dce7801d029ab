//! The system under test: it notes which start of the plan has arrived, from which runner and when, and answers.
//!
//! It is what all counts are held against: starts that came twice, or did not come, are counted here and not estimated.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A start as it has arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Nanoseconds of the boot clock.
    pub(crate) at: u64,
    /// The start's number in the plan.
    pub(crate) k: u64,
    pub(crate) runner: u32,
}

/// The bytes that one start sends: its number and its runner's.
pub(crate) const BYTES: usize = 12;

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: String,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    answers: watch::Sender<bool>,
}

impl Target {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let (answers, answering) = watch::channel(true);
        let noted = Arc::clone(&arrivals);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&noted), answering.clone()));
            }
        });
        Self { address, arrivals, answers }
    }

    /// From now on starts are noted and not answered, or answered again.
    pub(crate) fn answer(&self, answers: bool) {
        self.answers.send_replace(answers);
    }

    /// All that has arrived, in that order.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut stream: TcpStream, arrivals: Arc<Mutex<Vec<Arrival>>>, mut answers: watch::Receiver<bool>) {
    let mut record = [0; BYTES];
    let _ = stream.set_nodelay(true);
    while stream.read_exact(&mut record).await.is_ok() {
        let at = boot_nanos();
        let (k, runner) = record.split_at(8);
        let k = u64::from_le_bytes(k.try_into().expect("eight bytes"));
        let runner = u32::from_le_bytes(runner.try_into().expect("four bytes"));
        arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival { at, k, runner });
        if answers.wait_for(|answers| *answers).await.is_err() || stream.write_all(b"!").await.is_err() {
            return;
        }
    }
}

/// What has become of a plan's starts.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Those that came more than once.
    pub(crate) doubles: Vec<u64>,
    /// Those that did not come.
    pub(crate) missing: Vec<u64>,
    /// Those that are not in the plan.
    pub(crate) strange: Vec<u64>,
}

/// Holds what has arrived against a plan of so many starts.
pub(crate) fn count(arrivals: &[Arrival], planned: u64) -> Counted {
    let mut times: BTreeMap<u64, u32> = BTreeMap::new();
    for arrival in arrivals {
        *times.entry(arrival.k).or_default() += 1;
    }
    Counted {
        doubles: times.iter().filter(|(_, times)| **times > 1).map(|(k, _)| *k).collect(),
        missing: (0..planned).filter(|k| !times.contains_key(k)).collect(),
        strange: times.keys().copied().filter(|k| *k >= planned).collect(),
    }
}

/// What the boot clock says, which all processes of a machine share.
pub(crate) fn boot_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
