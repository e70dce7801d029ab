//! A register within a process: a map behind a lock, and a number that each write raises.
//! It is apart from the bus and the log of a process, with which it has nothing in common.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::lock;
use crate::bus::register::revision_text;
use crate::bus::{BusError, Entry, Later, Register, Watch, check_pattern, check_subject, matches};

#[derive(Debug)]
pub(super) struct LocalRegister {
    name: String,
    state: Arc<Mutex<State>>,
    /// Told with each change.
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// None once it is deleted.
    keys: Option<BTreeMap<String, Entry>>,
    /// The last revision that any key was given.
    last: u64,
}

impl LocalRegister {
    pub(super) fn new(name: &str) -> Self {
        let state = State { keys: Some(BTreeMap::new()), last: 0 };
        Self { name: name.to_owned(), state: Arc::new(Mutex::new(state)), changes: watch::Sender::new(()) }
    }

    pub(super) fn delete_all(&self) {
        lock(&self.state).keys = None;
        self.changes.send_replace(());
    }

    /// Lets a function have the keys and the last revision.
    fn with<T>(
        &self,
        act: impl FnOnce(&mut BTreeMap<String, Entry>, &mut u64) -> Result<T, BusError>,
    ) -> Result<T, BusError> {
        let State { keys, last } = &mut *lock(&self.state);
        act(keys.as_mut().ok_or_else(|| deleted(&self.name))?, last)
    }

    fn write(&self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Result<u64, BusError> {
        check_subject(key)?;
        let revision = self.with(|keys, last| {
            let is = keys.get(key).map(|entry| entry.revision);
            if is != expected {
                return Err(BusError::conflict(format_args!(
                    "{key} has {}, not {}",
                    revision_text(is),
                    revision_text(expected)
                )));
            }
            *last += 1;
            keys.insert(key.to_owned(), Entry { revision: *last, value });
            Ok(*last)
        })?;
        self.changes.send_replace(());
        Ok(revision)
    }
}

fn deleted(name: &str) -> BusError {
    BusError::not_found(format_args!("the register {name} was deleted"))
}

impl Register for LocalRegister {
    fn get(&self, key: &str) -> Later<'_, Option<Entry>> {
        let key = key.to_owned();
        Box::pin(async move {
            check_subject(&key)?;
            self.with(|keys, _| Ok(keys.get(&key).cloned()))
        })
    }

    fn set_if(&self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Later<'_, u64> {
        let key = key.to_owned();
        Box::pin(async move { self.write(&key, expected, value) })
    }

    fn keys(&self, pattern: &str) -> Later<'_, Vec<String>> {
        let pattern = pattern.to_owned();
        Box::pin(async move {
            check_pattern(&pattern)?;
            self.with(|keys, _| Ok(keys.keys().filter(|key| matches(&pattern, key)).cloned().collect()))
        })
    }

    fn watch(&self, key: &str) -> Later<'_, Box<dyn Watch>> {
        let key = key.to_owned();
        Box::pin(async move {
            check_subject(&key)?;
            self.with(|_, _| Ok(()))?;
            let (state, name, changes) = (Arc::clone(&self.state), self.name.clone(), self.changes.subscribe());
            Ok(Box::new(LocalWatch { key, name, told: None, state, changes }) as Box<dyn Watch>)
        })
    }

    fn delete(&self, key: &str) -> Later<'_, ()> {
        let key = key.to_owned();
        Box::pin(async move {
            check_subject(&key)?;
            self.with(|keys, _| Ok(keys.remove(&key)))?;
            self.changes.send_replace(());
            Ok(())
        })
    }
}

#[derive(Debug)]
struct LocalWatch {
    key: String,
    name: String,
    /// The revision that was told; none where that was that there is no value.
    told: Option<u64>,
    state: Arc<Mutex<State>>,
    changes: watch::Receiver<()>,
}

/// What a watch finds.
enum News {
    None,
    /// The key's entry, or that it has none.
    Now(Option<Entry>),
}

impl LocalWatch {
    /// What is there, if it has not been told yet.
    fn news(&mut self) -> Result<News, BusError> {
        let state = lock(&self.state);
        let keys = state.keys.as_ref().ok_or_else(|| deleted(&self.name))?;
        let entry = keys.get(&self.key);
        let revision = entry.map(|entry| entry.revision);
        if revision == self.told {
            return Ok(News::None);
        }
        self.told = revision;
        Ok(News::Now(entry.cloned()))
    }
}

impl Watch for LocalWatch {
    fn next(&mut self) -> Later<'_, Option<Entry>> {
        Box::pin(async {
            loop {
                self.changes.mark_unchanged();
                if let News::Now(entry) = self.news()? {
                    return Ok(entry);
                }
                // The register may be gone with the process's last handle: then there are no changes any more.
                self.changes.changed().await.map_err(|_| deleted(&self.name))?;
            }
        })
    }
}
