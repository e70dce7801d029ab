//! What the command line shows while a run goes on: on a terminal that is resized and interrupted, and elsewhere.
//!
//! The terminal is the kernel's; what it would show is kept by a parser of the escapes.
#![cfg(target_os = "linux")]

#[path = "../examples/signup/service.rs"]
mod service;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use service::{Result, Service};

/// So long a machine may be busy with something else.
const PATIENCE: Duration = Duration::from_secs(120);

/// A signup service, and the load test that is built for it.
struct Signup {
    service: Service,
    folder: tempfile::TempDir,
}

impl Signup {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let service = Service::start(&folder.path().join("users.db")).await?;
        Ok(Self { service, folder })
    }

    /// The example itself, not cargo: what is signalled and what ends is one process.
    fn program() -> PathBuf {
        let mut build = Command::new(env!("CARGO"));
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let built = build.args(["build", "--quiet", "--manifest-path", manifest, "--example", "signup"]).status();
        assert!(built.expect("cargo is there").success());
        let test = std::env::current_exe().expect("this test has a path");
        test.ancestors().nth(2).expect("deps/ is in the profile's folder").join("examples/signup")
    }

    /// What users are created with, until somebody stops it.
    fn arguments(&self) -> Vec<String> {
        let url = format!("app_url={}", self.service.url());
        ["journey", "test", "create_user", "--volume=20", "--max-start-lag=1h", "--set", &url].map(str::to_owned).into()
    }

    /// With nothing that says how a terminal is, or which colours somebody likes.
    fn command(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env("TERM", "xterm-256color");
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command
    }

    fn piped(&self, more: &[&str]) -> Result<Output> {
        let mut command = Self::command(Self::program(), self.folder.path());
        Ok(command.args(self.arguments()).args(more).stdin(Stdio::null()).output()?)
    }

    fn on_terminal(&self, size: (u16, u16), more: &[&str], variables: &[(&str, &str)]) -> Result<Terminal> {
        // It makes the terminal the one that controls the process, so that Ctrl-C and resizing are signalled.
        let mut command = Self::command("setsid", self.folder.path());
        command.arg("--ctty").arg(Self::program()).args(self.arguments()).args(more).envs(variables.iter().copied());
        Terminal::start(command, size)
    }
}

/// A process on a terminal.
struct Terminal {
    child: Child,
    master: File,
    before: Termios,
    told: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
    screen: vt100::Parser,
}

impl Terminal {
    fn start(mut command: Command, (columns, rows): (u16, u16)) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave = File::from(rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?);
        tcsetwinsize(&master, size(columns, rows))?;
        let before = tcgetattr(&slave)?;
        command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
        let child = command.spawn()?;
        // The command has handles of the terminal, which is read until nobody has any.
        drop(command);
        let master = File::from(master);
        let mut reader = master.try_clone()?;
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            // Once nobody has the terminal open any more, reading it is an error.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if tell.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let size = |size| NonZero::new(size).expect("terminals have rows and columns");
        let screen = vt100::Parser::new(size(rows), size(columns), 1000);
        Ok(Self { child, master, before, told, bytes: Vec::new(), screen })
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Looks at the screen until it is as one wants it.
    #[track_caller]
    fn until(&mut self, what: &str, is_there: impl Fn(&str) -> bool) {
        while !is_there(&self.text()) {
            let Ok(bytes) = self.told.recv_timeout(PATIENCE) else { panic!("{what} was not shown:\n{}", self.text()) };
            self.screen.process(&bytes);
            self.bytes.extend(bytes);
        }
    }

    fn resize(&mut self, columns: u16, rows: u16) -> Result<()> {
        self.screen.screen_mut().set_size(NonZero::new(rows).unwrap(), NonZero::new(columns).unwrap());
        tcsetwinsize(&self.master, size(columns, rows))?;
        Ok(())
    }

    fn press_ctrl_c(&mut self) -> Result<()> {
        Ok(self.master.write_all(b"\x03")?)
    }

    /// Waits for the end, and says what the terminal shows then.
    fn end(mut self) -> Result<(ExitStatus, String, Vec<u8>)> {
        let status = self.child.wait()?;
        while let Ok(bytes) = self.told.recv_timeout(PATIENCE) {
            self.screen.process(&bytes);
            self.bytes.extend(bytes);
        }
        let screen = self.screen.screen();
        assert!(!screen.hide_cursor());
        assert!(!screen.alternate_screen());
        assert_eq!(modes(&tcgetattr(&self.master)?), modes(&self.before));
        let text = screen.contents();
        let told = std::mem::take(&mut self.bytes);
        let bytes = String::from_utf8_lossy(&told);
        for (mode, usual) in [("7", 'h'), ("2026", 'l')] {
            let last = bytes.rfind(&format!("\x1b[?{mode}")).map(|at| &bytes[at + 3 + mode.len()..]);
            assert!(last.is_none_or(|rest| rest.starts_with(usual)), "mode {mode} is left changed");
        }
        drop(bytes);
        Ok((status, text, told))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It is over where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}

fn modes(of: &Termios) -> String {
    format!("{:?} {:?} {:?} {:?}", of.input_modes, of.output_modes, of.control_modes, of.local_modes)
}

/// How wide the widest line of all frames is, had the terminal room for it.
fn widest(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let frames = text.split("\x1b[?7l").skip(1).map(|rest| rest.split("\x1b[?7h").next().unwrap_or_default());
    let width = |line: &str| {
        let mut wide = vt100::Parser::new(NonZero::new(1).unwrap(), NonZero::new(2000).unwrap(), 0);
        wide.process(line.as_bytes());
        wide.screen().contents().trim_end().chars().count()
    };
    frames.flat_map(|frame| frame.split("\r\n")).map(width).max().unwrap_or(0)
}

const WANTED: [&str; 10] = [
    "create_user of create_users",
    "running",
    "20/s wanted",
    "p50",
    "p95",
    "p99",
    "max",
    "requests",
    "errors",
    "start lag",
];

fn has_all(text: &str) -> bool {
    WANTED.iter().all(|wanted| text.contains(wanted)) && text.contains("201 ")
}

#[tokio::test]
async fn a_terminal_shows_the_run_and_is_as_before_at_its_end() -> Result<()> {
    let signup = Signup::start().await?;
    let mut terminal = signup.on_terminal((80, 24), &[], &[])?;
    terminal.until("the run", has_all);
    assert!(terminal.text().starts_with("running "), "{}", terminal.text());
    assert!(widest(&terminal.bytes) < 80, "{}", widest(&terminal.bytes));

    let drawn = terminal.bytes.len();
    terminal.resize(200, 50)?;
    let before = terminal.text();
    terminal.until("the larger run", |text| text != before && text.contains("rate, 1 min") && has_all(text));
    assert!(widest(&terminal.bytes) < 200);

    let large = terminal.bytes.len();
    terminal.resize(20, 5)?;
    terminal.until("the smaller run", |text| text.lines().any(|line| line.starts_with("p99 ")));
    terminal.resize(80, 24)?;
    terminal.until("the run again", has_all);
    assert!(large > drawn);

    terminal.press_ctrl_c()?;
    terminal.until("the report", |text| text.contains("create_users: aborted in "));
    let (status, text, bytes) = terminal.end()?;
    assert_eq!(status.code(), Some(130), "{text}");
    let told = String::from_utf8_lossy(&bytes);
    assert!(told.contains("stopping: no new starts; what runs may finish. Ctrl-C again ends it now\r\n"), "{told}");
    // The block is taken away, and the report is there.
    assert!(!text.contains("rate, 1 min") && !text.contains("━"), "{text}");
    assert!(text.contains("requests, ") && text.contains("generator: "), "{text}");
    assert!(told.contains("\x1b[33maborted"), "the verdict has its colour");
    Ok(())
}

#[tokio::test]
async fn interrupted_twice_it_ends_at_once() -> Result<()> {
    let signup = Signup::start().await?;
    let mut terminal = signup.on_terminal((80, 24), &[], &[])?;
    terminal.until("the run", has_all);
    terminal.press_ctrl_c()?;
    terminal.press_ctrl_c()?;
    let (status, text, _) = terminal.end()?;
    assert_eq!(status.code(), Some(130), "{text}");
    assert!(!text.contains("rate, 1 min") && text.contains("create_users: aborted in "), "{text}");
    Ok(())
}

#[tokio::test]
async fn who_wants_no_colour_or_no_escapes_gets_none() -> Result<()> {
    let signup = Signup::start().await?;
    let mut terminal = signup.on_terminal((80, 24), &[], &[("NO_COLOR", "1")])?;
    terminal.until("the run", has_all);
    terminal.press_ctrl_c()?;
    let (_, _, bytes) = terminal.end()?;
    let told = String::from_utf8_lossy(&bytes);
    let colours = told
        .split("\x1b[")
        .skip(1)
        .filter(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'));
    assert_eq!(colours.count(), 0, "{told}");

    let (nothing, dumb): (&[&str], _) = (&[], [("TERM", "dumb")]);
    for (more, variables) in [(nothing, &dumb[..]), (&["--progress=lines"], &[])] {
        let mut terminal = signup.on_terminal((80, 24), more, variables)?;
        terminal.until("a line", |text| text.contains("phase=running"));
        terminal.press_ctrl_c()?;
        let (_, text, bytes) = terminal.end()?;
        // The report may have colours, where escapes are.
        let progress = String::from_utf8_lossy(&bytes);
        let progress = progress.split("create_users: ").next().unwrap_or_default();
        assert!(!progress.contains('\x1b'), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_log_file_has_plain_lines() -> Result<()> {
    let signup = Signup::start().await?;
    let output = signup.piped(&["--duration=5s"])?;
    let (told, report) = (String::from_utf8(output.stderr)?, String::from_utf8(output.stdout)?);
    assert!(!told.contains('\x1b') && !report.contains('\x1b'), "{told}{report}");
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("time=")).collect();
    assert!((1..=2).contains(&lines.len()), "{told}");
    for line in &lines {
        for word in ["wanted=20/s", "achieved=", "running=", "p50=", "p99=", "requests=", "errors=0"] {
            assert!(line.split(' ').any(|found| found.starts_with(word)), "{line}");
        }
    }

    for more in [["--duration=3s", "--progress=none"], ["--duration=3s", "--quiet"]] {
        let output = signup.piped(&more)?;
        let told = String::from_utf8(output.stderr)?;
        assert!(!told.contains("time="), "{told}");
        if more[1] == "--quiet" {
            assert_eq!((told.as_str(), output.stdout.len()), ("", 0));
        }
    }

    let output = signup.piped(&["--progress=screen"])?;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr)?.starts_with("error: standard error is no terminal"));
    Ok(())
}
