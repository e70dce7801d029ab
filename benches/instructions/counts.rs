//! The figures that are kept in the repository: a name and a number on each line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mite::prelude::*;

pub(crate) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/counts.txt");

#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub(crate) fn read() -> Result<Self> {
        let text = std::fs::read_to_string(PATH)?;
        let mut counts = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, count)) = line.split_once(' ') else { bail!("{PATH}: {line:?} is no name and number") };
            counts.set(name, count.trim().parse()?);
        }
        Ok(counts)
    }

    pub(crate) fn write(&self) -> Result {
        let mut text = String::from("# Written by `cargo bench --bench instructions -- --keep`.\n");
        for (name, count) in &self.0 {
            writeln!(text, "{name} {count}")?;
        }
        Ok(std::fs::write(PATH, text)?)
    }

    pub(crate) fn of(&self, name: &str) -> Result<u64> {
        self.0
            .get(name)
            .copied()
            .ok_or_else(|| Error::msg(format_args!("{PATH} has no {name:?}: write it down by `--keep`")))
    }

    pub(crate) fn set(&mut self, name: &str, count: u64) {
        self.0.insert(name.to_owned(), count);
    }
}
