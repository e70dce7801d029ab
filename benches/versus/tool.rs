//! A load generator: how it is told what to do, and where it says what it did.
//! It is separate from what is measured of it, which is the same for all.

pub(crate) mod goose;
pub(crate) mod h2load;
pub(crate) mod mite;
pub(crate) mod oha;
pub(crate) mod python;
pub(crate) mod wrk;

use std::{path::Path, process::Command};

use ::mite::prelude::*;

use crate::{load::Load, measured::Ended};

/// See the module.
pub(crate) trait Tool {
    fn name(&self) -> String;

    /// The program and its arguments; `folder` is empty, and is the turn's own.
    ///
    /// # Errors
    ///
    /// If this tool cannot do it.
    fn command(&self, load: &Load, folder: &Path) -> Result<Command>;

    /// How many requests were answered, by the tool's own count.
    ///
    /// # Errors
    ///
    /// If it failed, did not say, or some were answered wrongly.
    fn requests(&self, ended: &Ended, folder: &Path) -> Result<u64>;

    /// How many requests it may leave without an answer when its time is over.
    fn leaves(&self, load: &Load) -> u64 {
        u64::from(load.running())
    }
}

/// A tool, or why it cannot be had.
pub(crate) type Found = Result<Box<dyn Tool>, String>;

/// What is said of a tool that is not here.
pub(crate) fn missing(name: &str) -> String {
    format!("SKIPPED: {name} is not installed (benches/install-peers.sh)")
}

/// The number that `text` has before `label`.
fn number_before(text: &str, label: &str) -> Option<u64> {
    text.split_once(label)?.0.split_whitespace().next_back()?.parse().ok()
}

impl Ended {
    /// # Errors
    ///
    /// If it did not succeed, with what it said.
    fn succeeded(&self) -> Result {
        ensure!(self.status.success(), "{}: {}", self.status, last_lines(&self.stderr, &self.stdout));
        Ok(())
    }
}

fn last_lines(stderr: &str, stdout: &str) -> String {
    let text = if stderr.trim().is_empty() { stdout } else { stderr };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" / ")
}
