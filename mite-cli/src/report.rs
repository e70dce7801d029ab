//! `report show FILE…`: reports of earlier runs, as they were printed at their ends, or as other files; `report compare FILE
//! FILE…`: what has changed from one to the others.

use std::fs;
use std::path::PathBuf;

use clap::ArgMatches;
use mite_core::Comparison;

use crate::baseline::{Baseline, refusal};
use crate::fault::Fault;
use crate::outputs::Outputs;
use crate::stored::read;
use crate::{FAILED, PASSED, stdout};

/// Prints each report, or writes the one that there is to the files that are asked for.
pub(crate) fn show(arguments: &ArgMatches) -> Result<u8, Fault> {
    let files: Vec<&PathBuf> = arguments.get_many("files").into_iter().flatten().collect();
    let reports = files.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let outputs = Outputs::open(arguments)?;
    if outputs.are_none() {
        let texts: Vec<String> = reports.iter().map(ToString::to_string).collect();
        stdout::print(&texts.join("\n"))?;
        return Ok(PASSED);
    }
    let [report] = &reports[..] else {
        return Err(Fault::Usage("files are made of one report: name one, or leave out what to write".to_owned()));
    };
    outputs.write(report).map_err(Fault::Failed)?;
    Ok(PASSED)
}

/// Compares each report after the first with that one.
pub(crate) fn compare(arguments: &ArgMatches) -> Result<u8, Fault> {
    let files: Vec<&PathBuf> = arguments.get_many("files").into_iter().flatten().collect();
    let [first, others @ ..] = &files[..] else { return Err(too_few()) };
    if others.is_empty() {
        return Err(too_few());
    }
    let baseline = Baseline::read(first, arguments)?;
    let reports = others.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let mut code = PASSED;
    let mut comparisons = Vec::new();
    for (path, report) in others.iter().zip(&reports) {
        let comparison = baseline.compare(report).map_err(|error| Fault::Usage(refusal(path, &error)))?;
        if baseline.held(&comparison).is_some_and(|held| !held.passed()) {
            code = FAILED;
        }
        comparisons.push(comparison);
    }
    let texts: Vec<String> = comparisons.iter().map(|comparison| baseline.told(comparison)).collect();
    let printed = stdout::print(&texts.join("\n"));
    if let Some(path) = arguments.get_one::<PathBuf>("json") {
        let json: Vec<String> = comparisons.iter().map(Comparison::to_json).collect();
        fs::write(path, format!("[{}]\n", json.join(",\n")))
            .map_err(|error| Fault::Failed(format!("failed to write {}: {error}", path.display())))?;
    }
    printed?;
    Ok(code)
}

fn too_few() -> Fault {
    Fault::Usage("it takes two reports: the baseline, and what is compared with it".to_owned())
}
