//! A program that is run to its end, and what it took: CPU time, and memory.
//! It is separate from what is run, because each is the only child of a process of its own: the kernel's account of all
//! children is then the account of this one, and its peak is nobody else's.

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use mite::prelude::*;
use nix::sys::resource::{UsageWho, getrusage};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_setaffinity},
};
use serde::{Deserialize, Serialize};

/// The first argument of the process that has one child.
const ASKED: &str = "--measured";

/// What a program took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// CPU seconds in the program's own code.
    pub(crate) user: f64,
    /// CPU seconds in the kernel on its behalf.
    pub(crate) system: f64,
    /// The most resident memory, in bytes. It is never less than that of the process which started it, some 3 MB.
    pub(crate) peak: u64,
    /// Resident memory in bytes, at the end of each second.
    pub(crate) resident: Vec<u64>,
    /// Seconds from start to end.
    pub(crate) wall: f64,
}

impl Usage {
    pub(crate) fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) usage: Usage,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `command` on `cores` to its end.
///
/// # Errors
///
/// If it could not be started. That it failed is told by its status.
pub(crate) fn run(command: &Command, cores: &[usize]) -> Result<Ended> {
    let folder = tempfile::tempdir()?;
    let account = folder.path().join("usage.json");
    let cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
    let mut outer = Command::new(std::env::current_exe()?);
    outer.arg(ASKED).arg(&account).arg(cores.join(",")).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    let output = outer.stdin(Stdio::null()).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let program = command.get_program().display();
    let Ok(usage) = fs::read_to_string(&account) else { bail!("failed to run {program}: {stderr}") };
    let usage = serde_json::from_str(&usage)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Ended { usage, status: output.status, stdout, stderr })
}

/// Where this process was started by [`run`], does what it was started for.
pub(crate) fn as_asked() -> Result<Option<ExitCode>> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != ASKED) {
        return Ok(None);
    }
    let (Some(account), Some(cores), Some(program)) = (arguments.next(), arguments.next(), arguments.next()) else {
        bail!("{ASKED} ACCOUNT CORES PROGRAM [ARGUMENT…]");
    };
    pin(cores.to_str().unwrap_or_default())?;
    open_files_as_many_as_may_be()?;
    let (usage, status) = measure(Command::new(program).args(arguments))?;
    fs::write(Path::new(&account), serde_json::to_vec(&usage)?)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX);
    Ok(Some(ExitCode::from(code)))
}

fn measure(command: &mut Command) -> Result<(Usage, ExitStatus)> {
    let began = Instant::now();
    let mut child = command.spawn()?;
    let (status, resident) = watch(&mut child)?;
    let wall = began.elapsed().as_secs_f64();
    let children = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let (user, system) = (seconds(children.user_time()), seconds(children.system_time()));
    Ok((Usage { user, system, peak: children.max_rss() as u64 * 1024, resident, wall }, status))
}

/// Waits for its end, and notes its memory each second.
fn watch(child: &mut Child) -> Result<(ExitStatus, Vec<u64>)> {
    let account = format!("/proc/{}/status", child.id());
    let (ended, end) = channel::<()>();
    let notes = thread::spawn(move || {
        let mut resident = Vec::new();
        while end.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
            resident.extend(resident_now(&account));
        }
        resident
    });
    let status = child.wait()?;
    drop(ended);
    let Ok(resident) = notes.join() else { bail!("the thread that notes memory has panicked") };
    Ok((status, resident))
}

/// In bytes; none once the process has ended.
fn resident_now(account: &str) -> Option<u64> {
    let text = fs::read_to_string(account).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// This process and those that it starts run on these cores alone.
fn pin(cores: &str) -> Result {
    let mut set = CpuSet::new();
    for core in cores.split(',') {
        set.set(core.parse()?);
    }
    Ok(sched_setaffinity(None, &set)?)
}

fn open_files_as_many_as_may_be() -> Result {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}
