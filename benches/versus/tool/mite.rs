//! mite: its example `load`, as `scenario test` runs it: transactions, metrics, the recorder and the report.
//! It is separate as every tool is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use mite::prelude::*;

use super::{Found, Tool, last_lines};
use crate::{load::Load, measured::Ended, programs::Programs};

/// The exit code of a run that made fewer starts than it should have.
const GENERATOR_LIMITED: i32 = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Mite {
    name: String,
    program: PathBuf,
    scenario: &'static str,
    workers: usize,
    set: Vec<String>,
}

impl Mite {
    /// One of the example's scenarios, on one worker.
    pub(crate) fn new(programs: &Programs, scenario: &'static str) -> Self {
        let (name, program) = ("mite".to_owned(), programs.load.clone());
        Self { name, program, scenario, workers: 1, set: Vec::new() }
    }

    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.set.push(format!("{key}={value}"));
        self
    }

    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    pub(crate) fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands beside tools that may be missing")]
    pub(crate) fn found(self) -> Found {
        Ok(Box::new(self))
    }
}

impl Tool for Mite {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn command(&self, load: &Load, folder: &Path) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.args(["scenario", "test", self.scenario, "--workers", &self.workers.to_string(), "--json"]);
        command.arg(folder.join("report.json")).arg("--recorder-dir").arg(folder.join("recorder-data"));
        let own =
            [format!("url={}", load.url), format!("running={}", load.running()), format!("seconds={}", load.seconds)];
        for pair in own.iter().chain(&self.set) {
            command.args(["--set", pair]);
        }
        Ok(command)
    }

    fn requests(&self, ended: &Ended, folder: &Path) -> Result<u64> {
        let (status, said) = (ended.status, last_lines(&ended.stderr, &ended.stdout));
        ensure!(status.success() || status.code() == Some(GENERATOR_LIMITED), "{status}: {said}");
        let report: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("report.json"))?)?;
        let Some(rows) = report["requests"].as_array() else { bail!("the report has no requests") };
        let wrong = rows.iter().find(|row| row["code"] != 200);
        ensure!(wrong.is_none(), "some requests failed: {wrong:?}");
        Ok(rows.iter().filter_map(|row| row["count"].as_u64()).sum())
    }

    /// What was begun is brought to its end.
    fn leaves(&self, _load: &Load) -> u64 {
        0
    }
}
