//! The files that a report is written to: opened before the run, since an hour's figures must not be lost to a folder that is
//! not there, and written at its end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use mite_core::Report;

/// What a file is given of a report.
#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Html,
    Junit,
    Csv,
}

const FORMS: [(&str, Form); 4] =
    [("json", Form::Json), ("html", Form::Html), ("junit", Form::Junit), ("csv", Form::Csv)];

impl Form {
    fn of(self, report: &Report) -> String {
        match self {
            Self::Json => report.to_json() + "\n",
            Self::Html => report.html(),
            Self::Junit => report.junit(),
            Self::Csv => report.csv(),
        }
    }
}

/// The files that were asked for. Where no report is written, those that were made for it are taken away again, and those that
/// were there are as they were.
#[derive(Debug)]
pub(crate) struct Outputs(Vec<Output>);

#[derive(Debug)]
struct Output {
    form: Form,
    path: PathBuf,
    file: File,
    is_made: bool,
}

impl Outputs {
    /// Opens all files.
    pub(crate) fn open(arguments: &ArgMatches) -> Result<Self, String> {
        let mut outputs = Self(Vec::new());
        for (option, form) in FORMS {
            // A verb may not have all of them.
            let Ok(Some(path)) = arguments.try_get_one::<PathBuf>(option) else { continue };
            outputs.add(form, path)?;
        }
        Ok(outputs)
    }

    /// Whether nothing is to be written.
    pub(crate) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, form: Form, path: &Path) -> Result<(), String> {
        if self.0.iter().any(|output| output.path == path) {
            return Err(format!("{} is asked for twice: give each form a file of its own", path.display()));
        }
        let (file, is_made) = open(path).map_err(|error| format!("failed to create {}: {error}", path.display()))?;
        self.0.push(Output { form, path: path.to_owned(), file, is_made });
        Ok(())
    }

    /// Writes the report to each file; one that fails does not keep it from the others.
    pub(crate) fn write(mut self, report: &Report) -> Result<(), String> {
        let mut failed = Vec::new();
        for output in std::mem::take(&mut self.0) {
            if let Err(error) = rewrite(&output.file, &output.form.of(report)) {
                failed.push(format!("failed to write {}: {error}", output.path.display()));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        for output in &self.0 {
            if output.is_made {
                // An empty file that stays is no harm that could be told anybody.
                let _ = fs::remove_file(&output.path);
            }
        }
    }
}

/// The file, and whether it was made; one that was there is not touched yet.
fn open(path: &Path) -> io::Result<(File, bool)> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // A link that leads nowhere is there and is not.
            OpenOptions::new().write(true).create(true).truncate(false).open(path).map(|file| (file, false))
        }
        Err(error) => Err(error),
    }
}

/// Writes `text` in the place of what the file had.
fn rewrite(mut file: &File, text: &str) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    file.write_all(text.as_bytes())?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_report_nothing_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old.json"), folder.path().join("new.csv"));
        fs::write(&old, "yesterday's").unwrap();
        let mut outputs = Outputs(Vec::new());
        outputs.add(Form::Json, &old).unwrap();
        outputs.add(Form::Csv, &new).unwrap();
        assert!(new.exists());
        let told = outputs.add(Form::Html, &old).unwrap_err();
        assert!(told.ends_with("old.json is asked for twice: give each form a file of its own"), "{told}");
        let told = outputs.add(Form::Html, &folder.path().join("no/such.html")).unwrap_err();
        assert!(told.contains("no/such.html: "), "{told}");
        drop(outputs);
        assert_eq!(fs::read_to_string(old).unwrap(), "yesterday's");
        assert!(!new.exists());
    }

    #[test]
    fn what_was_longer_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        fs::write(&path, "a long report of yesterday").unwrap();
        rewrite(&open(&path).unwrap().0, "short").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "short");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_is_full_is_told() {
        let (file, is_made) = open(Path::new("/dev/full")).unwrap();
        assert!(!is_made);
        assert!(rewrite(&file, "text").is_err());
    }
}
