//! goose: Rust on reqwest, a framework as mite is. Its program is `benches/peers/goose`.
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
pub(crate) struct Goose(PathBuf);

impl Goose {
    pub(crate) fn find(programs: &Programs) -> Found {
        let program = programs.find("goose-peer").ok_or_else(|| missing("goose"))?;
        Ok(Box::new(Self(program)))
    }
}

impl Tool for Goose {
    fn name(&self) -> String {
        "goose".to_owned()
    }

    fn command(&self, load: &Load, folder: &Path) -> Result<Command> {
        ensure!(load.body.is_none() && load.streams == 1, "goose is only asked for GET over HTTP/1.1");
        let mut command = Command::new(&self.0);
        command.args([&load.url, &load.connections.to_string(), &load.seconds.to_string()]).current_dir(folder);
        Ok(command)
    }

    fn requests(&self, ended: &Ended, _folder: &Path) -> Result<u64> {
        ended.succeeded()?;
        let said = &ended.stdout;
        let number = |label| {
            let wrong = || Error::msg(format!("it does not say how many requests: {said}"));
            number_before(said, label).ok_or_else(wrong)
        };
        ensure!(number(" failed")? == 0, "some requests failed: {said}");
        number(" succeeded")
    }
}
