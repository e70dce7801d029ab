//! One worker's metrics: each message that they are of is looked at where it is made, and journeys count beside it.
//!
//! It is apart from the tables, which know nothing of messages.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::key::KeyBuffer;
use super::kind::MetricKind;
use super::metric::{Spec, Take};
use super::name::{label_mistake, metric_mistake};
use super::set::Metrics;
use super::table::{Sample, Tables};
use crate::message::{Head, Message};
use crate::names::{KindId, Names};
use crate::panics;

/// Counts what one thread's messages and journeys give.
pub(crate) struct Meter {
    metrics: Arc<Metrics>,
    names: Arc<Names>,
    /// Which metrics are of a type of messages.
    by_type: RefCell<FxHashMap<KindId, Rc<[usize]>>>,
    tables: RefCell<Tables>,
    key: RefCell<KeyBuffer>,
    /// Whether there is anything to tell.
    is_new: Cell<bool>,
}

impl Meter {
    /// Its tables may take so many bytes before label values are told as `__overflow__`.
    pub(crate) fn new(metrics: Arc<Metrics>, names: Arc<Names>, most_bytes: u64) -> Self {
        let mut tables = Tables::new(&metrics);
        tables.limit(most_bytes);
        Self {
            metrics,
            names,
            by_type: RefCell::default(),
            tables: RefCell::new(tables),
            key: RefCell::default(),
            is_new: Cell::new(false),
        }
    }

    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// What is new since the last time.
    pub(crate) fn tell(&self) -> Tables {
        if self.is_new.replace(false) { self.tables.borrow_mut().tell() } else { Tables::default() }
    }

    /// Works out the metrics of a message.
    pub(crate) fn message(&self, head: &Head, own: &[u8]) {
        let message = Message::new(head, own, &self.names);
        let metrics = self.of_type(head.kind);
        for index in metrics.iter().copied() {
            self.measure(index, &message);
        }
    }

    fn of_type(&self, kind: KindId) -> Rc<[usize]> {
        if let Some(known) = self.by_type.borrow().get(&kind) {
            return Rc::clone(known);
        }
        let text = self.names.kind(kind);
        let specs = self.metrics.specs().iter().enumerate();
        let of_it: Rc<[usize]> = specs.filter(|(_, spec)| spec.matcher.is_of(&text)).map(|(index, _)| index).collect();
        // There are as many types as names allow.
        self.by_type.borrow_mut().insert(kind, Rc::clone(&of_it));
        of_it
    }

    fn measure(&self, index: usize, message: &Message<'_>) {
        let spec = &self.metrics.specs()[index];
        if self.metrics.is_broken(index) || !self.called(index, || spec.matcher.holds(message)).unwrap_or(false) {
            return;
        }
        self.is_new.set(true);
        match &spec.take {
            Take::Each(each) => {
                let Some(all) = self.called(index, || each(message)) else { return };
                for (labels, value) in all {
                    self.add_given(index, spec, &labels, Sample { value, time: message.time() });
                }
            }
            Take::Field(field) => match message.number(field) {
                Some(value) => self.add_fields(index, spec, message, value),
                None => self.refuse(index, || format!("that of {field:?}, which is no number")),
            },
            Take::One | Take::Nothing => self.add_fields(index, spec, message, 1.0),
        }
    }

    /// Calls a function of a user, or gives none where it panics: its metric is left out from then on.
    fn called<T>(&self, index: usize, call: impl FnOnce() -> T) -> Option<T> {
        let (text, place) = match panics::caught_apart(call) {
            Ok(value) => return Some(value),
            Err(panic) => panic,
        };
        if self.metrics.set_broken(index) {
            self.is_new.set(true);
            let name = &self.metrics.specs()[index].shape.name;
            self.tables.borrow_mut().mistake(format!(
                "the metric {name:?} was left out from then on when its function panicked: {text} (at {place})"
            ));
        }
        None
    }

    /// A value with the labels that a message has.
    fn add_fields(&self, index: usize, spec: &Spec, message: &Message<'_>, value: f64) {
        let mut key = self.key.borrow_mut();
        key.clear();
        for label in spec.shape.labels.iter().flatten() {
            match message.text(label) {
                Some(value) => key.value(&value),
                None if message.field(label).is_none() => key.value(""),
                None => return self.refuse(index, || format!("one whose label {label:?} is a list or a map")),
            }
        }
        self.add(index, &key, Sample { value, time: message.time() });
    }

    /// A value with the labels that a function gave.
    fn add_given(&self, index: usize, spec: &Spec, labels: &[String], sample: Sample) {
        let wanted = spec.shape.labels.as_ref().map_or(0, Vec::len);
        if labels.len() != wanted {
            return self.refuse(index, || format!("one with {} label values instead of {wanted}", labels.len()));
        }
        let mut key = self.key.borrow_mut();
        key.clear();
        for label in labels {
            key.value(label);
        }
        self.add(index, &key, sample);
    }

    fn add(&self, index: usize, key: &KeyBuffer, sample: Sample) {
        let mut tables = self.tables.borrow_mut();
        if key.cut {
            tables.declared(index).cut();
        }
        tables.add_declared(index, key.bytes(), sample);
    }

    fn refuse(&self, index: usize, why: impl FnOnce() -> String) {
        self.tables.borrow_mut().declared(index).refuse(why);
    }

    /// A value that a journey has counted. Labels are sorted by name.
    pub(super) fn direct(&self, kind: MetricKind, name: &str, labels: &[(&str, &str)], sample: Sample) {
        self.is_new.set(true);
        let mut tables = self.tables.borrow_mut();
        if let Some(why) = metric_mistake(name) {
            return tables.mistake(format!("journeys counted under the name {name:?}, which is left out: {why}"));
        }
        for (index, (label, _)) in labels.iter().enumerate() {
            let twice = (index > 0 && labels[index - 1].0 == *label).then_some("there is one of that name");
            if let Some(why) = label_mistake(label).or(twice) {
                return tables.mistake(format!(
                    "journeys counted under the name {name:?} with a label named {label:?}, which is left out: {why}"
                ));
            }
        }
        let mut key = self.key.borrow_mut();
        key.clear();
        // One that is empty is as good as none.
        labels.iter().filter(|(_, value)| !value.is_empty()).for_each(|(label, value)| key.named(label, value));
        tables.add_direct(name, kind, key.bytes(), key.cut, sample);
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}
