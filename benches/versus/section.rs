//! A part of the comparison, and what comes of it.
//! It is separate because all are chosen, printed and written in the same way.

mod get;

use std::fmt;

use mite::prelude::*;
use serde::Serialize;

use crate::{bar::Held, bench::Bench, comparison::Comparison, table::Table};

/// See the module.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    /// Runs unless others are named.
    usual: bool,
    pub(crate) run: fn(&Bench) -> Result<Outcome>,
}

/// What a section found.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    /// What was done, in a sentence or two.
    pub(crate) about: String,
    pub(crate) comparison: Comparison,
    /// Where it is not that of the comparison.
    #[serde(skip)]
    pub(crate) table: Option<Table>,
    pub(crate) held: Vec<Held>,
}

const SECTIONS: [Section; 1] = [Section { name: "get", usual: true, run: get::run }];

/// Those that are named, the usual ones where none is, and every one for `all`.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Section>> {
    if names.is_empty() {
        return Ok(SECTIONS.iter().filter(|section| section.usual).collect());
    }
    if names == ["all"] {
        return Ok(SECTIONS.iter().collect());
    }
    let known = || SECTIONS.map(|section| section.name).join(", ");
    let find = |name: &String| SECTIONS.iter().find(|section| section.name == name);
    let found = names.iter().map(|name| {
        find(name).ok_or_else(|| Error::msg(format!("there is no section {name:?}, only {} and all", known())))
    });
    found.collect()
}

/// What the command line says of sections.
pub(crate) fn help() -> String {
    let names = |usual: bool| {
        let names: Vec<_> = SECTIONS.iter().filter(|section| section.usual == usual).map(|section| section.name).collect();
        names.join(", ")
    };
    format!("{} [default: these]; {}; or all", names(true), names(false))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.about)?;
        match &self.table {
            Some(table) => writeln!(f, "{table}")?,
            None => writeln!(f, "{}", self.comparison.table())?,
        }
        let mut bars = Table::new(Held::HEAD);
        for held in &self.held {
            bars.row(held.cells());
        }
        writeln!(f, "{bars}")?;
        for note in &self.comparison.notes {
            writeln!(f, "- {note}")?;
        }
        if !self.comparison.notes.is_empty() {
            writeln!(f)?;
        }
        Ok(())
    }
}
