//! A log within a process: a queue of items behind a lock, and the ids that were appended lately.
//! It is apart from the bus and the register of a process, with which it has nothing in common.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::time::Instant;

use super::lock;
use crate::bus::{BusError, Discard, Item, Kept, Later, Log, Reader, check_id, check_pattern, check_subject, matches};

/// What an item is counted as beside its own bytes: the order of what JetStream adds.
const OVERHEAD: u64 = 100;

#[derive(Debug)]
pub(super) struct LocalLog {
    name: String,
    kept: Kept,
    state: Arc<Mutex<State>>,
    /// Told with each item, and with the log's end.
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    is_deleted: bool,
    /// The number of the first item that is kept, or of the next one.
    first: u64,
    items: VecDeque<Stored>,
    bytes: u64,
    /// Numbers by id, and when each was appended.
    ids: HashMap<String, u64>,
    ids_by_age: VecDeque<(Instant, String)>,
}

#[derive(Debug)]
struct Stored {
    at: Instant,
    item: Item,
}

impl Stored {
    fn bytes(&self) -> u64 {
        let Item { lane, id, payload, .. } = &self.item;
        (lane.len() + id.len() + payload.len()) as u64 + OVERHEAD
    }
}

impl State {
    /// The number of the next item.
    fn next(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    fn forget_oldest(&mut self) {
        if let Some(stored) = self.items.pop_front() {
            self.bytes -= stored.bytes();
            self.first += 1;
        }
    }

    /// Forgets what is too old.
    fn age(&mut self, kept: &Kept) {
        let now = Instant::now();
        if let Some(age) = kept.age {
            while self.items.front().is_some_and(|stored| now.duration_since(stored.at) >= age) {
                self.forget_oldest();
            }
        }
        while let Some((_, id)) =
            self.ids_by_age.pop_front_if(|(appended, _)| now.duration_since(*appended) >= kept.dedupe)
        {
            self.ids.remove(&id);
        }
    }

    fn append(&mut self, kept: &Kept, lane: String, id: String, payload: Vec<u8>) -> Result<u64, BusError> {
        if let Some(sequence) = self.ids.get(&id) {
            return Ok(*sequence);
        }
        let (at, sequence) = (Instant::now(), self.next());
        let stored = Stored { at, item: Item { sequence, lane, id: id.clone(), payload } };
        let bytes = stored.bytes();
        if let Some(most) = kept.most_bytes {
            match kept.discard {
                Discard::New if self.bytes + bytes > most => {
                    return Err(BusError::full(format_args!(
                        "the log is full: it has {} bytes of at most {most}, and the item has {bytes}",
                        self.bytes
                    )));
                }
                Discard::Old if bytes > most => {
                    return Err(BusError::invalid(format_args!(
                        "an item of {bytes} bytes is larger than the log, which has at most {most}"
                    )));
                }
                Discard::New | Discard::Old => {}
            }
            while self.bytes + bytes > most {
                self.forget_oldest();
            }
        }
        self.bytes += bytes;
        self.items.push_back(stored);
        self.ids.insert(id.clone(), sequence);
        self.ids_by_age.push_back((at, id));
        Ok(sequence)
    }

    fn purge_to(&mut self, sequence: u64) {
        while self.first < sequence && !self.items.is_empty() {
            self.forget_oldest();
        }
    }

    /// The first item from a number on that a pattern is about; otherwise the number to go on from.
    fn find(&self, lanes: &str, from: u64) -> Result<Item, u64> {
        let skipped = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let items = self.items.iter().skip(skipped).map(|stored| &stored.item);
        items.clone().find(|item| matches(lanes, &item.lane)).cloned().ok_or_else(|| from.max(self.next()))
    }
}

impl LocalLog {
    pub(super) fn new(name: &str, kept: Kept) -> Self {
        let state = State {
            is_deleted: false,
            first: 1,
            items: VecDeque::new(),
            bytes: 0,
            ids: HashMap::new(),
            ids_by_age: VecDeque::new(),
        };
        Self { name: name.to_owned(), kept, state: Arc::new(Mutex::new(state)), changes: watch::Sender::new(()) }
    }

    pub(super) fn kept(&self) -> Kept {
        self.kept
    }

    pub(super) fn delete_all(&self) {
        let mut state = lock(&self.state);
        state.is_deleted = true;
        state.items.clear();
        drop(state);
        self.changes.send_replace(());
    }

    /// Lets a function have what is kept by now.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> Result<T, BusError>) -> Result<T, BusError> {
        with(&self.state, &self.name, &self.kept, act)
    }
}

fn with<T>(
    state: &Mutex<State>,
    name: &str,
    kept: &Kept,
    act: impl FnOnce(&mut State) -> Result<T, BusError>,
) -> Result<T, BusError> {
    let mut state = lock(state);
    if state.is_deleted {
        return Err(deleted(name));
    }
    state.age(kept);
    act(&mut state)
}

fn deleted(name: &str) -> BusError {
    BusError::not_found(format_args!("the log {name} was deleted"))
}

impl Log for LocalLog {
    fn append(&self, lane: &str, id: &str, payload: Vec<u8>) -> Later<'_, u64> {
        let (lane, id) = (lane.to_owned(), id.to_owned());
        Box::pin(async move {
            check_subject(&lane)?;
            check_id(&id)?;
            let sequence = self.with(|state| state.append(&self.kept, lane, id, payload))?;
            self.changes.send_replace(());
            Ok(sequence)
        })
    }

    fn read(&self, lanes: &str, from: u64) -> Later<'_, Box<dyn Reader>> {
        let lanes = lanes.to_owned();
        Box::pin(async move {
            check_pattern(&lanes)?;
            self.with(|_| Ok(()))?;
            let (state, name, kept, changes) =
                (Arc::clone(&self.state), self.name.clone(), self.kept, self.changes.subscribe());
            Ok(Box::new(LocalReader { lanes, next: from.max(1), state, name, kept, changes }) as Box<dyn Reader>)
        })
    }

    fn last(&self) -> Later<'_, u64> {
        Box::pin(async { self.with(|state| Ok(state.next() - 1)) })
    }

    fn purge_to(&self, sequence: u64) -> Later<'_, ()> {
        Box::pin(async move {
            self.with(|state| {
                state.purge_to(sequence);
                Ok(())
            })
        })
    }
}

#[derive(Debug)]
struct LocalReader {
    lanes: String,
    /// The number to go on from.
    next: u64,
    state: Arc<Mutex<State>>,
    name: String,
    kept: Kept,
    changes: watch::Receiver<()>,
}

impl Reader for LocalReader {
    fn next(&mut self) -> Later<'_, Item> {
        Box::pin(async {
            loop {
                self.changes.mark_unchanged();
                match with(&self.state, &self.name, &self.kept, |state| Ok(state.find(&self.lanes, self.next)))? {
                    Ok(item) => {
                        self.next = item.sequence + 1;
                        return Ok(item);
                    }
                    Err(next) => self.next = next,
                }
                // The log may be gone with the process's last handle: then there are no items any more.
                self.changes.changed().await.map_err(|_| deleted(&self.name))?;
            }
        })
    }
}
