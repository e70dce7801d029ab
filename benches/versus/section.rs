//! A part of the comparison, and what comes of it.
//! It is separate because all are chosen, printed and written in the same way.

mod build;
mod download;
mod get;
mod hold;
mod open;
mod post;
mod scaling;
mod soak;
mod tls;

use std::fmt;

use mite::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::{
    bar::{Bar, Held},
    bench::Bench,
    comparison::Comparison,
    spread::Spread,
    table::Table,
};

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
    about: String,
    #[serde(skip)]
    table: Table,
    held: Vec<Held>,
    /// Who is missing, and what is to be known beside.
    notes: Vec<String>,
    /// Every round.
    tools: Value,
}

const SECTIONS: [Section; 10] = [
    Section { name: "get", usual: true, run: get::run },
    Section { name: "open", usual: true, run: open::run },
    Section { name: "post", usual: true, run: post::run },
    Section { name: "download", usual: true, run: download::run },
    Section { name: "hold", usual: true, run: hold::run },
    Section { name: "scaling", usual: true, run: scaling::run },
    Section { name: "https", usual: true, run: tls::run_https },
    Section { name: "http2", usual: true, run: tls::run_http2 },
    Section { name: "soak", usual: false, run: soak::run },
    Section { name: "build", usual: false, run: build::run },
];

impl Outcome {
    /// What was found of tools in turns.
    fn of(about: impl Into<String>, comparison: Comparison, held: Vec<Held>) -> Self {
        let (table, tools) = (comparison.table(), comparison.to_json());
        Self { about: about.into(), table, held, notes: comparison.notes, tools }
    }
}

/// A figure without a unit, beside its bar.
fn ratio(what: &str, bar: Bar, found: Option<Spread>) -> Held {
    Held { what: what.to_owned(), unit: "", bar, found }
}

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
        let names: Vec<_> =
            SECTIONS.iter().filter(|section| section.usual == usual).map(|section| section.name).collect();
        names.join(", ")
    };
    format!("{} [default: these]; {}; or all", names(true), names(false))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\n{}", self.about, self.table)?;
        let mut bars = Table::new(Held::HEAD);
        for held in &self.held {
            bars.row(held.cells());
        }
        writeln!(f, "{bars}")?;
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        Ok(())
    }
}
