//! What has become of metrics: a table for each of them, from label values to what their values add up to.
//!
//! A worker's table has what is new since it was told last, a run's what all of them have told; both are bounded, and say what
//! they could not hold.

mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::distribution::{Distribution, added};
use super::key::{self, OVERFLOW};
use super::kind::MetricKind;
use super::set::Metrics;
use super::shape::Shape;
use crate::names;
use crate::report::units::counted;

pub(crate) use told::ToldTables;

/// How many sets of label values one metric tells apart: a label made from a user's id must not eat the memory.
const MOST_SERIES: usize = 10_000;
/// How many names of labels the values of one direct handle's metric may bring.
const MOST_LABELS: usize = 32;
/// How many metrics direct handles may make.
pub(super) const MOST_DIRECT: usize = 1000;
/// How many mistakes are told.
const MOST_MISTAKES: usize = 100;
/// What a distribution may grow to when there is no more room, and what is set aside for it from the start.
const LEAST_SLOTS: usize = 64;
const SET_ASIDE: usize = 2048;

/// One value on its way into a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    /// Unix seconds.
    pub(crate) time: f64,
}

/// What values add up to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Amount {
    Sum(f64),
    Last { value: f64, time: f64 },
    Spread(Box<Distribution>),
}

impl Amount {
    fn new(shape: &Shape) -> Self {
        match shape.kind {
            MetricKind::Counter | MetricKind::Accumulator => Self::Sum(0.0),
            MetricKind::Gauge => Self::Last { value: 0.0, time: f64::NEG_INFINITY },
            MetricKind::Histogram => Self::Spread(Box::new(Distribution::new(Arc::clone(&shape.bounds)))),
        }
    }

    fn add(&mut self, sample: Sample, most_slots: usize) {
        match self {
            Self::Sum(sum) => *sum = added(*sum, sample.value),
            // What one thread sets comes in order, whatever the clock does.
            Self::Last { value, time } => (*value, *time) = (sample.value, sample.time.max(*time)),
            Self::Spread(spread) => spread.record(sample.value, most_slots),
        }
    }

    fn merge(&mut self, other: &Self, most_slots: usize) {
        match (self, other) {
            (Self::Sum(sum), Self::Sum(more)) => *sum = added(*sum, *more),
            (Self::Last { value, time }, Self::Last { value: other, time: at }) if (*at, *other) > (*time, *value) => {
                (*value, *time) = (*other, *at);
            }
            (Self::Spread(spread), Self::Spread(more)) => spread.merge(more, most_slots),
            // An earlier one; tables of different kinds are not merged.
            _ => {}
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Spread(spread) => SET_ASIDE.max(size_of::<Distribution>() + spread.heap_bytes()),
            _ => 0,
        }
    }
}

/// The bytes that tables take and may take.
#[derive(Debug, Clone, Copy)]
struct Room {
    bytes: usize,
    most: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: 0, most: usize::MAX }
    }
}

impl Room {
    fn most_slots(self) -> usize {
        if self.bytes < self.most { usize::MAX } else { LEAST_SLOTS }
    }
}

/// What has become of one metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) shape: Arc<Shape>,
    series: FxHashMap<Box<[u8]>, Amount>,
    /// The names that labels have brought, where they do.
    named: BTreeSet<String>,
    flaws: Flaws,
}

/// What is not in a table as it was given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Flaws {
    overflowed: bool,
    cut: bool,
    refused: u64,
    /// The first value that was refused, and why.
    first: Option<String>,
}

impl Flaws {
    fn merge(&mut self, other: &Self) {
        self.overflowed |= other.overflowed;
        self.cut |= other.cut;
        self.refused += other.refused;
        if self.first.is_none() {
            self.first.clone_from(&other.first);
        }
    }
}

impl Table {
    pub(super) fn new(shape: Arc<Shape>) -> Self {
        Self { shape, series: FxHashMap::default(), named: BTreeSet::new(), flaws: Flaws::default() }
    }

    fn is_empty(&self) -> bool {
        self.series.is_empty() && self.flaws == Flaws::default()
    }

    /// Its series, with label values in the order of [`Table::labels`], and in the order of these.
    pub(crate) fn series(&self) -> Vec<(Vec<String>, &Amount)> {
        let labels = self.labels();
        let values = |key: &[u8]| {
            if key == OVERFLOW {
                return vec![names::OVERFLOW.to_owned(); labels.len()];
            }
            if self.shape.labels.is_some() {
                return key::values(key, labels.len());
            }
            let mut values = vec![String::new(); labels.len()];
            for (name, value) in key::named(key) {
                if let Some(at) = labels.iter().position(|label| **label == *name) {
                    values[at] = value.into_owned();
                }
            }
            values
        };
        let mut series: Vec<_> = self.series.iter().map(|(key, amount)| (values(key), amount)).collect();
        series.sort_by(|one, other| one.0.cmp(&other.0));
        series
    }

    /// The names of its labels.
    pub(crate) fn labels(&self) -> Vec<String> {
        self.shape.labels.clone().unwrap_or_else(|| self.named.iter().cloned().collect())
    }

    /// What the report says of it besides its values.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let Self { shape: shape_of, flaws, .. } = self;
        let name = &shape_of.name;
        let mut warnings = Vec::new();
        if flaws.overflowed {
            warnings.push(format!(
                "the metric {name:?} had more sets of label values than there is room for: those that came later are told as \
                 `__overflow__`. A label should not hold what differs from user to user"
            ));
        }
        if flaws.cut {
            warnings
                .push(format!("the metric {name:?} had label values of over 256 bytes: they are told cut, with a `…`"));
        }
        if let Some(first) = &flaws.first {
            let values = counted(flaws.refused, "value");
            warnings.push(format!("the metric {name:?} has left out {values}, of which the first was {first}"));
        }
        warnings
    }

    pub(super) fn cut(&mut self) {
        self.flaws.cut = true;
    }

    /// Counts a value that the metric does not take; `why` is the second half of a sentence on it.
    pub(super) fn refuse(&mut self, why: impl FnOnce() -> String) {
        self.flaws.refused += 1;
        self.flaws.first.get_or_insert_with(why);
    }

    fn add(&mut self, key: &[u8], sample: Sample, room: &mut Room) {
        if let Some(why) = self.shape.kind.refuses(sample.value) {
            return self.refuse(|| format!("{}, {why}", sample.value));
        }
        let most_slots = room.most_slots();
        let is_histogram = self.shape.kind == MetricKind::Histogram;
        let amount = self.amount(key, room);
        if is_histogram {
            let before = amount.heap_bytes();
            amount.add(sample, most_slots);
            room.bytes = (room.bytes + amount.heap_bytes()).saturating_sub(before);
        } else {
            amount.add(sample, most_slots);
        }
    }

    fn merge(&mut self, other: &Self, room: &mut Room) {
        self.flaws.merge(&other.flaws);
        for (key, theirs) in &other.series {
            let most_slots = room.most_slots();
            let amount = self.amount(key, room);
            let before = amount.heap_bytes();
            amount.merge(theirs, most_slots);
            room.bytes = (room.bytes + amount.heap_bytes()).saturating_sub(before);
        }
    }

    /// What belongs to these label values; to those of what overflowed, where there is no room for more.
    fn amount(&mut self, key: &[u8], room: &mut Room) -> &mut Amount {
        // Looked up twice, since the compiler does not see that what was found is not needed after it.
        if self.series.contains_key(key) {
            return self.series.get_mut(key).expect("it was found just now");
        }
        let key = if self.has_room(key, *room) { key } else { OVERFLOW };
        self.flaws.overflowed |= key == OVERFLOW;
        self.series.entry(key.into()).or_insert_with(|| {
            let amount = Amount::new(&self.shape);
            // With what a map takes for an entry.
            room.bytes += key.len() + size_of::<(Box<[u8]>, Amount)>() * 2 + amount.heap_bytes();
            amount
        })
    }

    /// Whether a series of this new key can be told apart; the names that it brings are noted then.
    fn has_room(&mut self, key: &[u8], room: Room) -> bool {
        let most = MOST_SERIES + usize::from(self.series.contains_key(OVERFLOW));
        if self.series.len() >= most || room.bytes >= room.most {
            return false;
        }
        if self.shape.labels.is_none() {
            let new: BTreeSet<String> =
                key::named(key).map(|(name, _)| name.into_owned()).filter(|name| !self.named.contains(name)).collect();
            if self.named.len() + new.len() > MOST_LABELS {
                return false;
            }
            self.named.extend(new);
        }
        true
    }
}

/// What has become of all metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    /// Those that were declared come first, in their order.
    declared: Vec<Table>,
    /// By name, those of direct handles; in what is told, all.
    others: BTreeMap<Arc<str>, Table>,
    /// In words, what was wrong about metrics besides their values.
    mistakes: BTreeSet<String>,
    out_of_names: bool,
    room: Room,
}

impl Tables {
    /// With a table for each of these.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let declared = metrics.shapes().map(|shape| Table::new(Arc::new(shape.clone()))).collect();
        Self { declared, ..Self::default() }
    }

    /// Once they take more than so many bytes, series that are new are told as `__overflow__`.
    pub(crate) fn limit(&mut self, bytes: u64) {
        self.room.most = usize::try_from(bytes).unwrap_or(usize::MAX);
    }

    /// The tables of all metrics: those that were declared, then by name.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Table> {
        self.declared.iter().chain(self.others.values())
    }

    /// What the report says of them besides their values.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.tables().flat_map(Table::warnings).collect();
        warnings.extend(self.mistakes.iter().cloned());
        if self.out_of_names {
            warnings.push(format!(
                "journeys counted under more than {MOST_DIRECT} names of metrics: those that came later are told as one of \
                 each kind, named `__overflow__…`. What differs from user to user belongs into a label, or nowhere"
            ));
        }
        warnings
    }

    pub(super) fn declared(&mut self, index: usize) -> &mut Table {
        &mut self.declared[index]
    }

    pub(super) fn add_declared(&mut self, index: usize, key: &[u8], sample: Sample) {
        self.declared[index].add(key, sample, &mut self.room);
    }

    pub(super) fn mistake(&mut self, told: String) {
        if self.mistakes.len() < MOST_MISTAKES {
            self.mistakes.insert(told);
        }
    }

    /// The table of a direct handle; `None`, and a mistake, where the name is that of another kind of metric.
    pub(super) fn direct(&mut self, name: &str, kind: MetricKind) -> Option<&mut Table> {
        let shape = || Shape::new(name.into(), kind);
        self.of_name(name, kind, true, shape)
    }

    pub(super) fn add_direct(&mut self, name: &str, kind: MetricKind, key: &[u8], cut: bool, sample: Sample) {
        let mut room = self.room;
        if let Some(table) = self.direct(name, kind) {
            table.flaws.cut |= cut;
            table.add(key, sample, &mut room);
            self.room.bytes = room.bytes;
        }
    }

    fn of_name(
        &mut self,
        name: &str,
        kind: MetricKind,
        is_direct: bool,
        shape: impl FnOnce() -> Shape,
    ) -> Option<&mut Table> {
        let declared = self.declared.iter().position(|table| *table.shape.name == *name);
        if declared.is_some() && is_direct {
            self.mistake(format!(
                "journeys counted under the name {name:?}, which is that of a metric of messages: what they counted is left \
                 out. Use another name"
            ));
            return None;
        }
        if let Some(index) = declared {
            return Some(&mut self.declared[index]);
        }
        let mut name = name;
        let overflow = format_args!("{}{kind}", names::OVERFLOW).to_string();
        if is_direct && !self.others.contains_key(name) && !self.has_room_for_name(name) {
            self.out_of_names = true;
            name = &overflow;
        }
        if let Some(other) = self.others.get(name).map(|table| table.shape.kind).filter(|other| *other != kind) {
            let (one, two) = if other.to_string() < kind.to_string() { (other, kind) } else { (kind, other) };
            self.mistake(format!(
                "journeys counted under the name {name:?} as a {one} and as a {two}: one of them is left out. Give each a name \
                 of its own"
            ));
            return None;
        }
        if !self.others.contains_key(name) {
            let shape = Shape { name: name.into(), ..shape() };
            self.others.insert(name.into(), Table::new(Arc::new(shape)));
        }
        self.others.get_mut(name)
    }

    /// Whether there is room for a new name of a direct handle's metric: for those of what overflowed there always is.
    fn has_room_for_name(&self, name: &str) -> bool {
        let is_overflow = |name: &str| name.starts_with(names::OVERFLOW);
        let overflowed = || {
            let from = (Bound::Included(names::OVERFLOW), Bound::Unbounded);
            self.others.range::<str, _>(from).take_while(|(name, _)| is_overflow(name)).count()
        };
        is_overflow(name) || self.others.len() < MOST_DIRECT || self.others.len() < MOST_DIRECT + overflowed()
    }

    /// What is new; the tables are empty then.
    pub(crate) fn tell(&mut self) -> Self {
        let most = self.room.most;
        let told = self.declared.iter_mut().filter(|table| !table.is_empty()).map(|table| {
            let empty = Table::new(Arc::clone(&table.shape));
            std::mem::replace(table, empty)
        });
        let mut others = std::mem::take(&mut self.others);
        others.extend(told.map(|table| (Arc::clone(&table.shape.name), table)));
        self.room = Room { bytes: 0, most };
        Self {
            declared: Vec::new(),
            others,
            mistakes: std::mem::take(&mut self.mistakes),
            out_of_names: std::mem::take(&mut self.out_of_names),
            room: Room::default(),
        }
    }

    /// Adds what was told elsewhere.
    pub(crate) fn merge(&mut self, told: &Self) {
        for theirs in told.tables() {
            let mut room = self.room;
            // Those of direct handles are known by bringing the names of their labels.
            let (name, is_direct) = (&*theirs.shape.name, theirs.shape.labels.is_none());
            if let Some(table) = self.of_name(name, theirs.shape.kind, is_direct, || (*theirs.shape).clone()) {
                table.merge(theirs, &mut room);
                self.room.bytes = room.bytes;
            }
        }
        told.mistakes.iter().for_each(|mistake| self.mistake(mistake.clone()));
        self.out_of_names |= told.out_of_names;
    }
}

#[cfg(test)]
mod tests;
