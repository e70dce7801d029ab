//! The names of one run as small numbers: transaction paths, message types and journeys.
//!
//! What happens per request is keyed by numbers; the text is looked up where it is read. The numbers hold for the whole
//! run, so that the workers' figures merge by them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// The name of each journey's outermost transaction.
pub(crate) const ROOT: &str = "__root__";
/// What joins the names of nested transactions.
pub(crate) const JOINT: &str = " :: ";
/// Where names end up that came after too many others.
pub(crate) const OVERFLOW: &str = "__overflow__";

/// How many transaction paths, or message types, are told apart in one run: a name made from a user's id must not eat the
/// memory.
const MOST_NAMES: usize = 10_000;

/// A transaction's place below its row: `__root__ :: Log in` of row 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PathId(pub(crate) u32);

impl PathId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KindId(pub(crate) u32);

/// The message that carries a record.
pub(crate) const DATA_CREATED: &str = "data_created";
/// The message that deletes a file of records.
pub(crate) const PURGE_DATA: &str = "purge_data";

/// What the recorder takes is known by number beforehand: there may be millions of records in a second.
impl KindId {
    pub(crate) const DATA_CREATED: Self = Self(0);
    pub(crate) const PURGE_DATA: Self = Self(1);
}

#[derive(Debug, Clone)]
pub(crate) struct Path {
    /// 0 for setup and teardown, from 1 for the scenario's rows.
    pub(crate) row: u32,
    /// With `__root__`.
    pub(crate) full: Arc<str>,
    /// The transaction that it is within; of those that each row has from the start, its root.
    parent: PathId,
}

impl Path {
    /// Without `__root__ :: `, as reports tell it; the root is itself.
    pub(crate) fn short(&self) -> &str {
        self.full.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix(JOINT)).unwrap_or(&self.full)
    }
}

/// A transaction as another process is told of it, whose numbers are others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToldPath {
    pub(crate) number: u32,
    /// The number of the one that it is within.
    pub(crate) parent: u32,
    pub(crate) name: String,
    pub(crate) row: u32,
}

/// All names of a run, shared by its threads.
#[derive(Debug)]
pub(crate) struct Names {
    /// The scenario's name: `test` in messages.
    pub(crate) test: String,
    /// Journeys by row.
    pub(crate) journeys: Vec<String>,
    /// The number of this process among those of the run, from 1: `runner_id` in messages.
    pub(crate) runner: u16,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    paths: Vec<Path>,
    children: HashMap<(PathId, Box<str>), PathId>,
    kinds: Vec<Arc<str>>,
    overflowed: bool,
}

impl Names {
    /// `journeys` begins with the name that setup and teardown go by.
    pub(crate) fn new(test: String, journeys: Vec<String>) -> Self {
        // In the order of their numbers.
        let kinds = vec![DATA_CREATED.into(), PURGE_DATA.into()];
        let mut tables = Tables { kinds, ..Tables::default() };
        let overflow: Arc<str> = [ROOT, JOINT, OVERFLOW].concat().into();
        for full in [ROOT.into(), overflow] {
            let path = |row| Path { row, full: Arc::clone(&full), parent: Self::root(row) };
            tables.paths.extend((0..journeys.len() as u32).map(path));
        }
        for row in 0..journeys.len() as u32 {
            tables.children.insert((Self::root(row), OVERFLOW.into()), Self::overflow(row, journeys.len()));
        }
        Self { test, journeys, runner: 1, tables: Mutex::new(tables) }
    }

    /// The names of a process of a cluster.
    pub(crate) fn of_runner(self, runner: u16) -> Self {
        Self { runner, ..self }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn root(row: u32) -> PathId {
        PathId(row)
    }

    /// Where a row's transactions are told that there is no room for, in a run of so many rows.
    pub(crate) fn overflow(row: u32, rows: usize) -> PathId {
        PathId(rows as u32 + row)
    }

    /// The transaction `name` within `parent`.
    pub(crate) fn child(&self, parent: PathId, name: &str) -> PathId {
        let mut tables = self.tables();
        if let Some(id) = tables.children.get(&(parent, name.into())) {
            return *id;
        }
        let row = tables.paths[parent.index()].row;
        if tables.paths.len() >= MOST_NAMES {
            tables.overflowed = true;
            return Self::overflow(row, self.journeys.len());
        }
        let id = PathId(tables.paths.len() as u32);
        let full = [&*tables.paths[parent.index()].full, JOINT, name].concat().into();
        tables.paths.push(Path { row, full, parent });
        tables.children.insert((parent, name.into()), id);
        id
    }

    pub(crate) fn path(&self, id: PathId) -> Path {
        self.tables().paths[id.index()].clone()
    }

    fn kind_id(&self, kind: &str) -> KindId {
        let mut tables = self.tables();
        if let Some(id) = tables.kinds.iter().position(|known| **known == *kind) {
            return KindId(id as u32);
        }
        let kind = if tables.kinds.len() < MOST_NAMES { kind } else { OVERFLOW };
        tables.kinds.push(kind.into());
        KindId(tables.kinds.len() as u32 - 1)
    }

    pub(crate) fn kind(&self, id: KindId) -> Arc<str> {
        self.tables().kinds[id.0 as usize].clone()
    }

    /// The paths from this number on, each after the one that it is within.
    pub(crate) fn paths_from(&self, first: usize) -> Vec<ToldPath> {
        let tables = self.tables();
        let told = |(number, path): (usize, &Path)| {
            let within = tables.paths[path.parent.index()].full.len() + JOINT.len();
            let name = path.full.get(within..).unwrap_or_default().to_owned();
            ToldPath { number: number as u32, parent: path.parent.0, name, row: path.row }
        };
        tables.paths.iter().enumerate().skip(first).map(told).collect()
    }

    /// Makes known that names were more than are told apart, in another process.
    pub(crate) fn set_overflowed(&self) {
        self.tables().overflowed = true;
    }

    pub(crate) fn journey(&self, row: u32) -> &str {
        &self.journeys[row as usize]
    }

    /// Whether there were more names than are told apart.
    pub(crate) fn overflowed(&self) -> bool {
        self.tables().overflowed
    }
}

/// One thread's view of the names: what it has seen once it finds without a lock.
#[derive(Debug)]
pub(crate) struct NameCache {
    names: Arc<Names>,
    /// By path.
    children: Vec<Children>,
    kinds: FxHashMap<Box<str>, KindId>,
}

/// The transactions within one that a thread has seen.
#[derive(Debug, Default)]
struct Children {
    /// The first ones: among so few, a search from the front takes half as long as a hash.
    few: Vec<(Box<str>, PathId)>,
    others: FxHashMap<Box<str>, PathId>,
}

const FEW: usize = 8;

impl Children {
    #[inline]
    fn get(&self, name: &str) -> Option<PathId> {
        let few = self.few.iter().find(|(known, _)| **known == *name).map(|(_, id)| *id);
        few.or_else(|| self.others.get(name).copied())
    }

    fn remember(&mut self, name: &str, id: PathId) {
        if self.few.len() < FEW {
            self.few.push((name.into(), id));
        } else if self.others.len() < MOST_NAMES {
            // What overflowed is not remembered by its own name, or this cache would be what eats the memory.
            self.others.insert(name.into(), id);
        }
    }
}

impl NameCache {
    pub(crate) fn new(names: Arc<Names>) -> Self {
        Self { names, children: Vec::new(), kinds: FxHashMap::default() }
    }

    pub(crate) fn child(&mut self, parent: PathId, name: &str) -> PathId {
        if let Some(id) = self.children.get(parent.index()).and_then(|children| children.get(name)) {
            return id;
        }
        let id = self.names.child(parent, name);
        if self.children.len() <= parent.index() {
            self.children.resize_with(parent.index() + 1, Children::default);
        }
        self.children[parent.index()].remember(name, id);
        id
    }

    pub(crate) fn kind_name(&self, kind: KindId) -> Arc<str> {
        self.names.kind(kind)
    }

    /// The outermost transaction of a row, if there is such a row.
    pub(crate) fn root(&self, row: u32) -> Option<PathId> {
        ((row as usize) < self.names.journeys.len()).then(|| Names::root(row))
    }

    pub(crate) fn kind(&mut self, kind: &str) -> KindId {
        if let Some(id) = self.kinds.get(kind) {
            return *id;
        }
        let id = self.names.kind_id(kind);
        if self.kinds.len() < MOST_NAMES {
            self.kinds.insert(kind.into(), id);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Arc<Names> {
        Arc::new(Names::new("test".into(), vec!["setup".into(), "a:b".into()]))
    }

    #[test]
    fn nested_names_are_joined_and_the_same_for_each_thread() {
        let names = names();
        let (mut one, mut other) = (NameCache::new(names.clone()), NameCache::new(names.clone()));
        let outer = one.child(Names::root(1), "Log in");
        let inner = one.child(outer, "inner");
        assert_eq!(other.child(other.names.child(Names::root(1), "Log in"), "inner"), inner);
        assert_eq!(&*names.path(inner).full, "__root__ :: Log in :: inner");
        assert_eq!(names.path(inner).short(), "Log in :: inner");
        assert_eq!(names.path(Names::root(1)).short(), "__root__");
    }

    #[test]
    fn what_the_recorder_takes_has_numbers_of_its_own() {
        let names = names();
        let mut cache = NameCache::new(names.clone());
        assert_ne!(cache.kind("txn"), cache.kind(DATA_CREATED));
        for (kind, id) in [(DATA_CREATED, KindId::DATA_CREATED), (PURGE_DATA, KindId::PURGE_DATA)] {
            assert_eq!(cache.kind(kind), id);
            assert_eq!(&*names.kind(id), kind);
        }
    }

    #[test]
    fn too_many_names_end_in_one() {
        let names = names();
        let mut cache = NameCache::new(names.clone());
        let ids: Vec<_> =
            (0..MOST_NAMES + 5).map(|user| cache.child(Names::root(1), &format!("user {user}"))).collect();
        assert_eq!(names.path(ids[MOST_NAMES + 4]).short(), OVERFLOW);
        assert_eq!(ids[MOST_NAMES + 3], ids[MOST_NAMES + 4]);
        assert!(names.overflowed());
    }
}
