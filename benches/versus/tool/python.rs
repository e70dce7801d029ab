//! Python's mite, from `PyPI`: what mite here is written after. Its journey is `benches/peers/python`.
//! It is separate as every tool is.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use mite::prelude::*;

use super::{Found, Tool, missing, number_before};
use crate::{
    load::Load,
    measured::Ended,
    programs::{self, Programs},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Python(PathBuf);

impl Python {
    pub(crate) fn find(programs: &Programs) -> Found {
        // By its place: mite from here may well be installed under the same name.
        let program = programs.peers.join("python/bin/mite");
        if program.is_file() { Ok(Box::new(Self(program))) } else { Err(missing("Python's mite")) }
    }
}

impl Tool for Python {
    fn name(&self) -> String {
        "Python's mite".to_owned()
    }

    fn command(&self, load: &Load, folder: &Path) -> Result<Command> {
        ensure!(load.body.is_none() && load.streams == 1, "Python's mite is only asked for GET over HTTP/1.1");
        let mut command = Command::new(&self.0);
        command.args(["--log-level=ERROR", "--hide-constant-logs", "--spawn-rate=1000000"]);
        command.args(["scenario", "test", "peer:scenario"]).current_dir(folder);
        command.env("PYTHONPATH", programs::package().join("benches/peers/python")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("MITE_CONF_url", &load.url).env("MITE_CONF_running", load.connections.to_string());
        command.env("MITE_CONF_seconds", load.seconds.to_string());
        Ok(command)
    }

    fn requests(&self, ended: &Ended, _folder: &Path) -> Result<u64> {
        ended.succeeded()?;
        let wrong = || Error::msg(format!("it does not say how many requests: {}", ended.stdout));
        number_before(&ended.stdout, " requests in all").ok_or_else(wrong)
    }
}
