//! Programs that a test starts, waits for and ends, whatever becomes of the test.
//! It is separate because a program may be missing, which a test must say aloud.

use std::{
    env,
    ffi::OsStr,
    io::{self, BufRead, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
};

use rustix::process::{Pid, Signal, kill_process};

use super::LONG;

/// How often another port is tried.
const ATTEMPTS: u32 = 10;

/// The place of `program`. Where it is not installed, the test has nothing to do, and says so; on a CI machine, which is
/// to have it, that is a failure.
pub(crate) fn find(program: &str, mend: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Where Debian has its servers, and where an ordinary user's PATH does not lead.
    let places = env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = places.map(|place| place.join(program)).find(|file| file.is_file());
    if found.is_none() {
        let message = format!("{program} is not installed: {mend}");
        assert!(env::var_os("CI").is_none_or(|ci| ci.is_empty() || ci == OsStr::new("false")), "{message}");
        // Not by `eprintln!`, which the test harness keeps to itself.
        let _ = writeln!(io::stderr(), "SKIPPED: {message}");
    }
    found
}

/// Ports that nobody has at this moment.
fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until the last is found, so that they differ.
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// A program that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    listening: JoinHandle<()>,
}

impl Process {
    /// Starts a server on ports that are free, for which `command` makes the command; it is ready once it has said `ready`
    /// on its standard error, and accepts connections on each of the ports.
    pub(crate) fn serve<const N: usize>(
        ready: &'static str,
        mut command: impl FnMut([u16; N]) -> Command,
    ) -> (Self, [u16; N]) {
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let ports = free_ports();
            let (process, is_ready) = Self::start(&mut command(ports), ready);
            if is_ready {
                for port in ports {
                    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LONG).unwrap();
                }
                return (process, ports);
            }
            // Somebody else was quicker; or the program has another trouble, which it will have again.
            said = process.said();
        }
        panic!("the server did not start on any of {ATTEMPTS} ports:\n{said}");
    }

    /// Starts a program, and waits until it has said `ready`, or that its port is taken, or has ended.
    fn start(command: &mut Command, ready: &'static str) -> (Self, bool) {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
        let (heard, hearing) = mpsc::channel();
        let said = Arc::new(Mutex::new(String::new()));
        let (stderr, kept) = (child.stderr.take().unwrap(), Arc::clone(&said));
        let listening = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.contains(ready) {
                    let _ = heard.send(true);
                } else if line.contains("ddress already in use") {
                    let _ = heard.send(false);
                }
                let mut said = kept.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        let is_ready = hearing.recv_timeout(LONG).unwrap_or(false);
        (Self { child, said, listening }, is_ready)
    }

    /// What it has said on its standard error.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Asks it to end, waits until it has, and gives all that it has said.
    pub(crate) fn end(mut self) -> String {
        self.signal(Signal::TERM);
        self.child.wait().unwrap();
        // What it has written is there once its end of the pipe is closed.
        while !self.listening.is_finished() {
            thread::yield_now();
        }
        self.said()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = writeln!(io::stderr(), "the server has said:\n{}", self.said());
        }
        if self.has_ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
