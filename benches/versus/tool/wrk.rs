//! wrk: C, epoll, HTTP/1.1; the least that a request costs.
//! It is separate as every tool is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use mite::prelude::*;

use super::{Found, Tool, missing, number_before};
use crate::{load::Load, measured::Ended, programs::Programs};

/// See the module.
#[derive(Debug)]
pub(crate) struct Wrk(PathBuf);

impl Wrk {
    pub(crate) fn find(programs: &Programs) -> Found {
        let program = programs.find("wrk").ok_or_else(|| missing("wrk"))?;
        Ok(Box::new(Self(program)))
    }
}

impl Tool for Wrk {
    fn name(&self) -> String {
        "wrk".to_owned()
    }

    fn command(&self, load: &Load, folder: &Path) -> Result<Command> {
        let mut command = Command::new(&self.0);
        let (connections, seconds) = (load.connections.to_string(), format!("{}s", load.seconds));
        command.args(["--threads", "1", "--connections", &connections, "--duration", &seconds]);
        if let Some(body) = load.body {
            let script = folder.join("post.lua");
            let text = format!(
                "wrk.method = \"POST\"\nwrk.body = [==[{body}]==]\nwrk.headers[\"Content-Type\"] = \"application/json\"\n"
            );
            fs::write(&script, text)?;
            command.arg("--script").arg(script);
        }
        command.arg(&load.url);
        Ok(command)
    }

    fn requests(&self, ended: &Ended, _folder: &Path) -> Result<u64> {
        ended.succeeded()?;
        let out = &ended.stdout;
        ensure!(!out.contains("Non-2xx") && !out.contains("Socket errors"), "some requests failed: {out}");
        number_before(out, " requests in ")
            .ok_or_else(|| Error::msg(format!("it does not say how many requests: {out}")))
    }
}
