//! A report that is read from a file again.
//!
//! It is apart from the verbs that show and compare reports, since a run's baseline is one too.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use mite_core::Report;

use crate::fault::Fault;

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
