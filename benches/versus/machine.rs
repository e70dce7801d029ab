//! What is measured on: the machine, the day, and what else it did.
//! It is separate because figures mean nothing without it.

use std::{fmt, fs, process::Command};

use mite::prelude::*;
use rustix::thread::{CpuSet, sched_getaffinity};
use serde::Serialize;

/// The machine as it is found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    processor: String,
    kernel: String,
    compiler: String,
    /// Those that this process may use.
    pub(crate) cores: Vec<usize>,
    /// The machine's load of the last minute before anything was measured.
    busy: f64,
    pub(crate) command: String,
}

impl Machine {
    pub(crate) fn found() -> Result<Self> {
        let told = fs::read_to_string("/proc/cpuinfo")?;
        let model = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = fs::read_to_string("/proc/loadavg")?;
        let set = sched_getaffinity(None)?;
        let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
        let separator = if arguments.is_empty() { "" } else { " -- " };
        Ok(Self {
            date: said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?,
            processor: model.map_or_else(|| "unknown processor".to_owned(), |(_, model)| model.to_owned()),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            compiler: said(Command::new("rustc").arg("--version"))?,
            cores: (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect(),
            busy: load.split(' ').next().unwrap_or_default().parse()?,
            command: format!("cargo bench --bench versus{separator}{}", arguments.join(" ")),
        })
    }

    /// The core for the server, which has no other work where there is another one.
    pub(crate) fn for_server(&self) -> usize {
        self.cores.first().copied().unwrap_or_default()
    }

    /// The core for the tools.
    pub(crate) fn for_tool(&self) -> usize {
        self.cores.last().copied().unwrap_or_default()
    }
}

fn said(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|error| Error::msg(format!("failed to run {program}: {error}")))?;
    ensure!(output.status.success(), "{program}: {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, processor, kernel, compiler, cores, busy, command } = self;
        write!(
            f,
            "{date}, {processor}, {} cores, Linux {kernel}, {compiler}, load {busy} before: `{command}`.",
            cores.len()
        )?;
        if cores.len() < 2 {
            write!(
                f,
                " The server and the tools share the ONE CORE that is here, which no figure says anything about."
            )?;
        }
        // What others do at the same time costs caches, which both sides of a ratio pay.
        if *busy > 0.5 {
            write!(f, " OTHER PROGRAMS WERE RUNNING: read the ratios, not the figures.")?;
        }
        Ok(())
    }
}
