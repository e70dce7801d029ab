//! h2load: C++ on nghttp2, HTTP/1.1 and HTTP/2.
//! It is separate as every tool is.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use mite::prelude::*;

use super::{Found, Tool, missing, number_before};
use crate::{load::Load, measured::Ended, programs::Programs};

/// See the module.
#[derive(Debug)]
pub(crate) struct H2load {
    program: PathBuf,
    http1: bool,
}

impl H2load {
    /// HTTP/1.1, or HTTP/2.
    pub(crate) fn find(programs: &Programs, http1: bool) -> Found {
        let program = programs.find("h2load").ok_or_else(|| missing("h2load"))?;
        Ok(Box::new(Self { program, http1 }))
    }
}

impl Tool for H2load {
    fn name(&self) -> String {
        if self.http1 { "h2load --h1".to_owned() } else { "h2load".to_owned() }
    }

    fn command(&self, load: &Load, _folder: &Path) -> Result<Command> {
        ensure!(load.body.is_none(), "h2load is only asked for GET");
        let mut command = Command::new(&self.program);
        command.args(["--threads", "1", "--clients", &load.connections.to_string()]);
        command.args(["--max-concurrent-streams", &load.streams.to_string(), "--duration", &load.seconds.to_string()]);
        if self.http1 {
            command.arg("--h1");
        }
        command.arg(&load.url);
        Ok(command)
    }

    fn requests(&self, ended: &Ended, _folder: &Path) -> Result<u64> {
        ended.succeeded()?;
        let out = &ended.stdout;
        let wrong = || Error::msg(format!("it does not say how many requests: {}", last(out)));
        let line = out.lines().find(|line| line.starts_with("requests: ")).ok_or_else(wrong)?;
        // In its words: done, and of these succeeded, failed, errored and timed out.
        let number = |label| number_before(line, label).ok_or_else(wrong);
        ensure!(number(" failed")? == 0 && number(" errored")? == 0, "some requests failed: {line}");
        number(" succeeded")
    }
}

fn last(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}
