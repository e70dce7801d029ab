//! All that was measured, as JSON.
//! It is separate because it has every round, where the tables have medians.

use std::{fs, path::Path};

use mite::prelude::*;
use serde_json::json;

use crate::{machine::Machine, section::Outcome};

/// Writes what was found so far.
pub(crate) fn write(file: &Path, machine: &Machine, outcomes: &[(&str, Outcome)]) -> Result {
    let sections: Vec<_> = outcomes.iter().map(|(name, outcome)| json!({"section": name, "found": outcome})).collect();
    let all = json!({"schema": "mite.versus/1", "machine": machine, "sections": sections});
    let text = serde_json::to_string_pretty(&all)? + "\n";
    fs::write(file, text).map_err(|error| Error::msg(format!("failed to write {}: {error}", file.display())))
}
