//! oha: Rust on hyper.
//! It is separate as every tool is.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use mite::prelude::*;

use super::{Found, Tool, missing};
use crate::{load::Load, measured::Ended, programs::Programs};

/// See the module.
#[derive(Debug)]
pub(crate) struct Oha(PathBuf);

impl Oha {
    pub(crate) fn find(programs: &Programs) -> Found {
        let program = programs.find("oha").ok_or_else(|| missing("oha"))?;
        Ok(Box::new(Self(program)))
    }
}

impl Tool for Oha {
    fn name(&self) -> String {
        "oha".to_owned()
    }

    fn command(&self, load: &Load, _folder: &Path) -> Result<Command> {
        ensure!(load.body.is_none() && load.streams == 1, "oha is only asked for GET over HTTP/1.1");
        let mut command = Command::new(&self.0);
        let (connections, seconds) = (load.connections.to_string(), format!("{}s", load.seconds));
        command.args(["--no-tui", "--output-format", "json", "-c", &connections, "-z", &seconds, &load.url]);
        Ok(command)
    }

    fn requests(&self, ended: &Ended, _folder: &Path) -> Result<u64> {
        ended.succeeded()?;
        let told: serde_json::Value = serde_json::from_str(&ended.stdout)?;
        let Some(statuses) = told["statusCodeDistribution"].as_object() else {
            bail!("it does not say how many requests: {told}")
        };
        let wrong = statuses.keys().find(|status| *status != "200");
        ensure!(wrong.is_none(), "some were answered with {wrong:?}");
        Ok(statuses.values().filter_map(serde_json::Value::as_u64).sum())
    }
}
