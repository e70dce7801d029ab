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
    /// The item that it was given, where there is data.
    pub(crate) item: u64,
}

/// What a start says with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is there, and that is all.
    Arrives,
    /// From now on it uses its item.
    Begins,
    /// It uses it.
    Uses,
    /// It has used its item.
    Ends,
}

/// What one start sends at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) k: u64,
    pub(crate) runner: u32,
    pub(crate) item: u64,
    pub(crate) step: Step,
}

/// The bytes of it.
pub(crate) const BYTES: usize = 21;

impl Told {
    pub(crate) fn to_bytes(self) -> [u8; BYTES] {
        let Self { k, runner, item, step } = self;
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&k.to_le_bytes());
        bytes[8..12].copy_from_slice(&runner.to_le_bytes());
        bytes[12..20].copy_from_slice(&item.to_le_bytes());
        bytes[20] = match step {
            Step::Arrives => 0,
            Step::Begins => 1,
            Step::Uses => 2,
            Step::Ends => 3,
        };
        bytes
    }

    fn from_bytes(bytes: [u8; BYTES]) -> Self {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let runner = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
        let step = match bytes[20] {
            0 => Step::Arrives,
            1 => Step::Begins,
            2 => Step::Uses,
            _ => Step::Ends,
        };
        Self { k: word(0), runner, item: word(12), step }
    }
}

/// One start's use of its item, by the boot clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub(crate) item: u64,
    pub(crate) runner: u32,
    pub(crate) begun: u64,
    /// When it did something with it last.
    pub(crate) last: u64,
    pub(crate) over: Option<Over>,
}

/// How a use was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The start has said so.
    Ended(u64),
    /// Its connection was closed: it was cancelled, or its process is gone.
    Closed(u64),
}

impl Over {
    /// When it was, by the boot clock.
    pub(crate) fn at(self) -> u64 {
        match self {
            Self::Ended(at) | Self::Closed(at) => at,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: String,
    noted: Arc<Mutex<Noted>>,
    answers: watch::Sender<bool>,
}

/// What was noted, in the order in which it arrived.
#[derive(Debug, Default)]
struct Noted {
    arrivals: Vec<Arrival>,
    uses: Vec<Use>,
}

impl Target {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let noted = Arc::new(Mutex::new(Noted::default()));
        let (answers, answering) = watch::channel(true);
        let notes = Arc::clone(&noted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&notes), answering.clone()));
            }
        });
        Self { address, noted, answers }
    }

    /// From now on starts are noted and not answered, or answered again.
    pub(crate) fn answer(&self, answers: bool) {
        self.answers.send_replace(answers);
    }

    /// All that has arrived, in that order.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).arrivals.clone()
    }

    /// All uses of items, in the order in which they were begun.
    pub(crate) fn uses(&self) -> Vec<Use> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).uses.clone()
    }
}

async fn serve(mut stream: TcpStream, noted: Arc<Mutex<Noted>>, mut answers: watch::Receiver<bool>) {
    let mut record = [0; BYTES];
    let mut in_use = None;
    let _ = stream.set_nodelay(true);
    while stream.read_exact(&mut record).await.is_ok() {
        noted.lock().unwrap_or_else(PoisonError::into_inner).take(Told::from_bytes(record), &mut in_use);
        if answers.wait_for(|answers| *answers).await.is_err() || stream.write_all(b"!").await.is_err() {
            break;
        }
    }
    noted.lock().unwrap_or_else(PoisonError::into_inner).over(&mut in_use, Over::Closed);
}

impl Noted {
    /// Notes what a start has told on a connection; `in_use` is the place of the use that goes on there.
    fn take(&mut self, told: Told, in_use: &mut Option<usize>) {
        let (Told { k, runner, item, step }, at) = (told, boot_nanos());
        if let Some(of) = *in_use {
            self.uses[of].last = at;
        }
        match step {
            Step::Arrives | Step::Begins => self.arrivals.push(Arrival { at, k, runner, item }),
            Step::Uses => {}
            Step::Ends => self.over(in_use, Over::Ended),
        }
        if step == Step::Begins {
            *in_use = Some(self.uses.len());
            self.uses.push(Use { item, runner, begun: at, last: at, over: None });
        }
    }

    fn over(&mut self, in_use: &mut Option<usize>, how: fn(u64) -> Over) {
        if let Some(of) = in_use.take() {
            self.uses[of].over = Some(how(boot_nanos()));
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
