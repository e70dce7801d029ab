//! Tables of metrics as another process is told of them, and as they are read there.
//!
//! They are apart from the tables, which know of no format, and whose keys and sums are here checked for what they may be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Amount, Flaws, Room, Shape, Table, Tables};
use crate::stats::MetricKind;
use crate::stats::distribution::ToldDistribution;

/// One metric, or some of its series.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ToldTable {
    name: String,
    kind: MetricKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    help: String,
    #[serde(default)]
    labels: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bounds: Vec<f64>,
    series: Vec<(Key, ToldAmount)>,
    #[serde(default)]
    flaws: Flaws,
}

/// The key of a series, which is no text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key(Box<[u8]>);

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl serde::de::Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the bytes of a key")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Key, E> {
                Ok(Key(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ToldAmount {
    Sum(f64),
    Last { value: f64, time: f64 },
    Spread(ToldDistribution),
}

/// All metrics.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ToldTables {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tables: Vec<ToldTable>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    mistakes: BTreeSet<String>,
    out_of_names: bool,
}

impl From<Tables> for ToldTables {
    fn from(tables: Tables) -> Self {
        let Tables { declared, others, mistakes, out_of_names, room: _ } = tables;
        let tables = declared.into_iter().chain(others.into_values()).map(ToldTable::from).collect();
        Self { tables, mistakes, out_of_names }
    }
}

impl From<Table> for ToldTable {
    fn from(table: Table) -> Self {
        let Table { shape, series, named: _, flaws } = table;
        let told = |amount| match amount {
            Amount::Sum(sum) => ToldAmount::Sum(sum),
            Amount::Last { value, time } => ToldAmount::Last { value, time },
            Amount::Spread(spread) => ToldAmount::Spread((*spread).into()),
        };
        Self {
            name: shape.name.to_string(),
            kind: shape.kind,
            help: shape.help.clone(),
            labels: shape.labels.clone(),
            bounds: shape.bounds.to_vec(),
            series: series.into_iter().map(|(key, amount)| (Key(key), told(amount))).collect(),
            flaws,
        }
    }
}

impl ToldTables {
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.mistakes.is_empty() && !self.out_of_names
    }

    /// How many parts it could be told in: one for each series.
    pub(crate) fn parts(&self) -> usize {
        self.tables.iter().map(ToldTable::parts).sum()
    }

    /// Takes the first parts out, as many as `left` says, which is then so many less. What is said of all is said with the first.
    pub(crate) fn take_first(&mut self, left: &mut usize) -> Self {
        let mut first = Self::default();
        if *left == 0 {
            return first;
        }
        (first.mistakes, first.out_of_names) =
            (std::mem::take(&mut self.mistakes), std::mem::take(&mut self.out_of_names));
        let whole = self.tables.iter().scan(0, |sum, table| {
            *sum += table.parts();
            Some(*sum)
        });
        let whole = whole.take_while(|sum| *sum <= *left).count();
        first.tables.extend(self.tables.drain(..whole));
        *left -= first.parts();
        if *left > 0
            && let Some(next) = self.tables.first_mut()
        {
            let series = next.series.drain(..*left).collect();
            let (name, help, labels, bounds) =
                (next.name.clone(), next.help.clone(), next.labels.clone(), next.bounds.clone());
            let flaws = std::mem::take(&mut next.flaws);
            first.tables.push(ToldTable { name, kind: next.kind, help, labels, bounds, series, flaws });
            *left = 0;
        }
        first
    }

    /// Puts together what was told in parts.
    pub(crate) fn append(&mut self, mut next: Self) {
        self.tables.append(&mut next.tables);
        self.mistakes.append(&mut next.mistakes);
        self.out_of_names |= next.out_of_names;
    }

    /// The tables, unless there is something in them that cannot be.
    pub(crate) fn into_tables(self) -> Result<Tables, String> {
        let mut others: BTreeMap<Arc<str>, Table> = BTreeMap::new();
        for told in self.tables {
            let table = told.into_table()?;
            match others.get_mut(&table.shape.name) {
                None => _ = others.insert(Arc::clone(&table.shape.name), table),
                Some(first) if first.shape == table.shape => first.merge(&table, &mut Room::default()),
                Some(_) => return Err(format!("two metrics are named {:?}", table.shape.name)),
            }
        }
        Ok(Tables { others, mistakes: self.mistakes, out_of_names: self.out_of_names, ..Tables::default() })
    }
}

impl ToldTable {
    fn parts(&self) -> usize {
        self.series.len().max(1)
    }

    fn into_table(self) -> Result<Table, String> {
        let Self { name, kind, help, labels, bounds, series, flaws } = self;
        let rise = bounds.windows(2).all(|two| two[0] < two[1]) && bounds.iter().all(|bound| bound.is_finite());
        if !rise || (kind != MetricKind::Histogram && !bounds.is_empty()) {
            return Err(format!("the metric {name:?} has bounds that cannot be"));
        }
        let shape = Shape { name: name.into(), kind, help, labels, bounds: bounds.into() };
        let mut table = Table::new(Arc::new(shape));
        let shape = &table.shape;
        let wrong = |why: &str| format!("the metric {:?} has a value that cannot be: {why}", shape.name);
        for (Key(key), told) in series {
            let amount = match (kind, told) {
                (MetricKind::Counter | MetricKind::Accumulator, ToldAmount::Sum(sum)) => Amount::Sum(sum),
                (MetricKind::Gauge, ToldAmount::Last { value, time }) if !time.is_nan() => Amount::Last { value, time },
                (MetricKind::Histogram, ToldAmount::Spread(spread)) => {
                    Amount::Spread(Box::new(spread.into_distribution(&shape.bounds).map_err(wrong)?))
                }
                _ => return Err(wrong("it is one of another kind of metric")),
            };
            if let Amount::Sum(value) | Amount::Last { value, .. } = amount
                && let Some(why) = kind.refuses(value)
            {
                return Err(wrong(&format!("{value}, {why}")));
            }
            if table.series.insert(key, amount).is_some() {
                return Err(wrong("it comes twice"));
            }
        }
        table.flaws = flaws;
        Ok(table)
    }
}
