//! A process of this program in another role, which can be killed and stopped, and what it has said.
//!
//! It is apart from the roles, which do not know that somebody does so.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use tokio::time::timeout;

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Its lines on standard output; `true` once there will be no more.
    lines: watch::Receiver<(Vec<String>, bool)>,
    log: Arc<Mutex<String>>,
    pub(crate) name: String,
}

impl Process {
    pub(crate) fn start(role: &str, arguments: &[String]) -> Self {
        let program = std::env::current_exe().expect("a program knows its file");
        let mut command = Command::new(program);
        command.arg(format!("role={role}")).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("this program can be started again");
        let (told, lines) = watch::channel((Vec::new(), false));
        let stdout = child.stdout.take().expect("it is piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                told.send_modify(|(lines, _)| lines.push(line));
            }
            told.send_modify(|(_, over)| *over = true);
        });
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, kept) = (child.stderr.take().expect("it is piped"), Arc::clone(&log));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child, lines, log, name: role.to_owned() }
    }

    /// The rest of the first line that begins with one of these words, and the word.
    pub(crate) async fn says(&mut self, words: &[&str], within: Duration) -> Result<(String, String), String> {
        let find = |lines: &[String]| {
            lines.iter().find_map(|line| {
                let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
                words.contains(&word).then(|| (word.to_owned(), rest.to_owned()))
            })
        };
        let told = self.lines.wait_for(|(lines, over)| *over || find(lines).is_some());
        let found = match timeout(within, told).await {
            Ok(Ok(told)) => find(&told.0),
            Ok(Err(_)) => None,
            Err(_) => return Err(format!("{} did not say any of {words:?} in {within:?}", self.name)),
        };
        found.ok_or_else(|| format!("{} has ended without any of {words:?}", self.name))
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGSTOP.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGTERM.
    pub(crate) fn ask_to_leave(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        // One that has ended by itself takes none.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}
