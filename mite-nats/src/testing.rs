//! A NATS server of a test's own, that can be killed, frozen and started again.
//! It is separate because it is there for tests and examples only (feature `testing`).

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use std::{env, fs, thread};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::TempDir;

/// Longer than a server takes to start, on any machine.
const LONG: Duration = Duration::from_secs(60);
/// How often another port is tried.
const ATTEMPTS: u32 = 10;

/// `nats-server -js` on a free port of the loopback interface, its store in a folder of its own. It is killed, and the folder
/// deleted, when this is dropped.
///
/// ```
/// use mite_core::bus::Fabric;
/// use mite_nats::testing::Server;
/// use mite_nats::{Nats, Options};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let Some(mut server) = Server::start() else { return }; // not installed: it has said so
/// let nats = Nats::connect(Options::new(server.url())).await.unwrap();
/// let register = nats.register("run7").await.unwrap();
/// register.set_if("volume", None, b"100".to_vec()).await.unwrap();
///
/// server.kill9();
/// server.restart();
/// assert_eq!(register.get("volume").await.unwrap().unwrap().value, b"100");
/// # });
/// ```
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    /// None while it is not there.
    child: Option<Child>,
    said: Arc<Mutex<String>>,
}

/// What a server is like, beside its port and its folder.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Whether it has JetStream.
    pub jetstream: bool,
    /// Lines of its configuration file: `authorization { user: ada, password: secret }`.
    pub config: String,
}

impl Default for ServerOptions {
    /// With JetStream, and open to everybody.
    fn default() -> Self {
        Self { jetstream: true, config: String::new() }
    }
}

impl Server {
    /// Starts a server. Where `nats-server` is not installed it returns none, after a line `SKIPPED: …` on standard error.
    ///
    /// # Panics
    /// It is not installed and `CI` is set in the environment, or it does not start.
    #[track_caller]
    pub fn start() -> Option<Self> {
        Self::start_with(&ServerOptions::default())
    }

    /// The same with options.
    ///
    /// # Panics
    /// As [`Server::start`].
    #[track_caller]
    pub fn start_with(options: &ServerOptions) -> Option<Self> {
        let program = find("nats-server", "apt-get install nats-server")?;
        let folder = TempDir::new().expect("there is a folder for temporary files");
        let mut config = options.config.clone();
        if options.jetstream {
            let store = folder.path().join("store");
            write!(config, "\njetstream {{ store_dir: {:?} }}\n", store.display().to_string())
                .expect("memory can be written");
        }
        fs::write(folder.path().join("server.conf"), config).expect("the folder can be written");
        let mut server = Self { program, folder, port: 0, child: None, said: Arc::default() };
        for _ in 0..ATTEMPTS {
            server.port = free_port();
            if server.spawn() {
                return Some(server);
            }
            // Somebody else was quicker; or it has another trouble, which it will have again.
            server.end();
        }
        panic!("nats-server did not start on any of {ATTEMPTS} ports:\n{}", server.said());
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where its store and its configuration are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that it has said, over all of its lives.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills it by SIGKILL, and waits until it is gone. What it has stored stays.
    pub fn kill9(&mut self) {
        self.end();
    }

    /// Ends it by SIGTERM, as an operator does, and waits until it is gone. What it has stored stays.
    ///
    /// # Panics
    /// It cannot be waited for.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        if let Some(mut child) = self.child.take() {
            child.wait().expect("a process of one's own can be waited for");
        }
    }

    /// Starts it again on the same port and store, and waits until it is ready; one that runs is killed before.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        self.end();
        assert!(self.spawn(), "nats-server did not start again:\n{}", self.said());
    }

    /// Stops its process where it stands, by SIGSTOP, and waits until it does: connections stay, and nothing is answered.
    ///
    /// # Panics
    /// It is not running.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        if let Some(child) = &self.child {
            // The signal is sent, but other threads of the process may still answer until the last has stopped.
            let status = waitpid(Some(Pid::from_child(child)), WaitOptions::UNTRACED);
            let is_stopped = status.is_ok_and(|status| status.is_some_and(|(_, status)| status.stopped()));
            assert!(is_stopped, "nats-server did not stop, but has ended:\n{}", self.said());
        }
    }

    /// Lets it go on, by SIGCONT.
    ///
    /// # Panics
    /// It has ended by itself.
    #[track_caller]
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            kill_process(Pid::from_child(child), signal).expect("a process of one's own takes signals");
        }
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether it is ready.
    fn spawn(&mut self) -> bool {
        let mut command = Command::new(&self.program);
        command
            .args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-c"])
            .arg(self.folder.path().join("server.conf"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
        let hearing = child.stderr.take().map(|stderr| listen(stderr, Arc::clone(&self.said)));
        self.child = Some(child);
        hearing.is_some_and(|hearing| hearing.recv_timeout(LONG).unwrap_or(false))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = writeln!(io::stderr(), "nats-server has said:\n{}", self.said());
        }
        self.end();
    }
}

/// Keeps what a server says, and tells once whether it is ready.
fn listen(stderr: ChildStderr, kept: Arc<Mutex<String>>) -> mpsc::Receiver<bool> {
    let (heard, hearing) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line.contains("Server is ready") {
                let _ = heard.send(true);
            }
            let mut said = kept.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_str(&line);
            said.push('\n');
        }
    });
    hearing
}

/// The place of `program`. Where it is not installed, a test has nothing to do, and says so; on a CI machine, which is to have
/// it, that is a failure.
#[track_caller]
fn find(program: &str, mend: &str) -> Option<PathBuf> {
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

/// A port that nobody has at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
