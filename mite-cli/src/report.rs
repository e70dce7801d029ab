//! `report show FILE…`: reports of earlier runs, as they were printed at their ends, or as other files; `report compare FILE
//! FILE…`: what has changed from one to the others.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use mite_core::{Comparison, Report};

use crate::baseline::{Baseline, refusal};
use crate::fault::Fault;
use crate::outputs::Outputs;
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

/// The report that a file has, `-` being standard input.
pub(crate) fn read(path: &Path) -> Result<Report, Fault> {
    let failed = |error: io::Error| format!("failed to read {}: {error}", path.display());
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
    } else {
        bytes = fs::read(path).map_err(failed)?;
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("{}: it is no JSON: byte {at} is none of UTF-8", path.display())
    })?;
    Report::from_json(&text).map_err(|error| Fault::Usage(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_report_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let cases: [(&[u8], &str); 4] = [
            (b"", "report.json: it is no JSON: line 1, column 0"),
            (b"{}", "report.json: it is no report of mite: at `.` missing field `schema`"),
            (b"[1, \xff]", "report.json: it is no JSON: byte 4 is none of UTF-8"),
            (
                b"{\"schema\": 1}",
                "report.json: it is no report of mite: at `schema` invalid type: integer `1`, expected a string",
            ),
        ];
        for (bytes, told) in cases {
            fs::write(&path, bytes).unwrap();
            let fault = read(&path).unwrap_err();
            assert!(fault.message().ends_with(told), "{}", fault.message());
            assert_eq!(fault.code(), 2);
        }
        let fault = read(&folder.path().join("none.json")).unwrap_err();
        assert!(fault.message().starts_with("failed to read "), "{}", fault.message());
    }
}
