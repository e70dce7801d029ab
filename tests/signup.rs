//! The signup example, run as its users run it: the whole flow, a precise number of users, and SIGINT.

#[path = "../examples/signup/service.rs"]
mod service;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use service::{Result, Service};

fn example(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    command.args(["run", "--quiet", "--manifest-path", manifest, "--example", name, "--"]).current_dir(folder);
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// These tests are not about time.
const ON_A_BUSY_MACHINE: &str = "--max-start-lag=1h";

fn rows(folder: &Path) -> usize {
    mite::recorded_rows::<rmpv::Value>(folder.join("recorder-data/users.msgpack"))
        .expect("the file is there")
        .map(|row| row.expect("the file is whole"))
        .filter(|row| row["username"].is_str())
        .count()
}

/// The rows as Python reads them; `None` where Python or its msgpack is not there.
fn rows_in_python(folder: &Path) -> Option<usize> {
    let script = "import msgpack, sys\n\
        rows = list(msgpack.Unpacker(open(sys.argv[1], 'rb'), raw=False, use_list=False))\n\
        assert all(len(row['username']) == 32 for row in rows)\n\
        print(len(rows))";
    let there = Command::new("python3").args(["-c", "import msgpack"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "CI has python3 with msgpack");
        eprintln!("SKIPPED: python3 with msgpack is not there, so that it was not asked to read the records");
        return None;
    }
    let python = Command::new("python3").args(["-c", script]).arg(folder.join("recorder-data/users.msgpack")).output();
    let python = python.expect("python3 was there a moment ago");
    assert!(python.status.success(), "{}", text(&python));
    Some(String::from_utf8_lossy(&python.stdout).trim().parse().expect("a number"))
}

#[test]
fn users_are_created_and_signed_in_again_and_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for _ in 0..2 {
        let output = example("signup", folder.path()).output()?;
        let told = text(&output);
        assert!(output.status.success(), "{told}");
        assert!(told.contains("250 rows in the database, 250 records"), "{told}");
        assert!(told.contains("my_scenario: passed"), "{told}");
        assert_eq!(rows(folder.path()), 250);
        if let Some(rows) = rows_in_python(folder.path()) {
            assert_eq!(rows, 250);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_pool_makes_a_precise_number_of_users() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Service::start(&folder.path().join("users.db")).await?;
    let url = format!("app_url={}", service.url());
    let arguments =
        ["scenario", "test", "create_exactly", "--set", &url, "--json", "report.json", ON_A_BUSY_MACHINE, "--set"];
    let output = example("signup", folder.path()).args(arguments).arg("users=123").output()?;
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!((service.users()?, rows(folder.path())), (123, 123));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.path().join("report.json"))?)?;
    assert_eq!(report["schema"], "mite.report/1");
    assert_eq!(report["scenario"], "create_exactly");
    assert_eq!(report["journeys"][0]["planned"], 123);
    assert_eq!(report["records"]["users"], 123);

    // The model ends before the pool: 1000 starts, and the rest of the pool is told.
    let output = example("signup", folder.path()).args(arguments).arg("users=1200").output()?;
    assert!(text(&output).contains("200 items of its data pool were not used"), "{}", text(&output));
    assert_eq!((service.users()?, rows(folder.path())), (1123, 1000));
    Ok(())
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("the child is there");
}

#[tokio::test]
async fn sigint_lets_running_journeys_finish_and_keeps_all_records() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Service::start(&folder.path().join("users.db")).await?;
    let url = format!("app_url={}", service.url());
    // Cargo stays between: the signal must reach the example itself, so that it is started by its path.
    let built = example("signup", folder.path()).args(["scenario", "list"]).output()?;
    assert_eq!(text(&built), "create_users\nmy_scenario\ncreate_exactly\n");
    let program =
        std::env::current_exe()?.ancestors().nth(2).expect("deps/ is in the profile's folder").join("examples/signup");
    let mut child = Command::new(program);
    child.args(["scenario", "test", "create_users", "--set", &url]).current_dir(folder.path());
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    while service.users()? < 20 {
        tokio::task::yield_now().await;
    }
    interrupt(&child);
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(130), "{}", text(&output));
    assert!(text(&output).contains("create_users: aborted"), "{}", text(&output));
    let users = service.users()?;
    assert!((20..250).contains(&users), "{users}");
    assert_eq!(rows(folder.path()) as u64, users);
    Ok(())
}

#[test]
fn a_second_sigint_ends_it_now() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let built = example("load", folder.path()).args(["scenario", "list"]).output()?;
    assert_eq!(text(&built), "open\nclosed\npost\ndownload\nhold\nnoop\nsleep\n");
    let program =
        std::env::current_exe()?.ancestors().nth(2).expect("deps/ is in the profile's folder").join("examples/load");
    let mut child = Command::new(program);
    child.args([
        "scenario",
        "test",
        "sleep",
        "--set",
        "pause_ms=600000",
        "--set",
        "running=10",
        "--set",
        "seconds=600",
        "--progress=none",
    ]);
    let mut child = child.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut told = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let mut expect = |wanted: &str| {
        let line = told.next().expect("there is a line").expect("it is text");
        assert!(line.starts_with(wanted), "{line}");
    };
    expect("running sleep");
    interrupt(&child);
    expect("stopping");
    interrupt(&child);
    expect("ending now");
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(130), "{}", text(&output));
    assert!(text(&output).contains("sleep: aborted"), "{}", text(&output));
    Ok(())
}

#[test]
fn what_is_refused_before_it_starts_exits_with_2() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cases: [(&[&str], &str); 4] = [
        (&["my_scenario"], "(run the scenario that records it first)"),
        (&["my_scenaro"], "a similar value exists: 'my_scenario'"),
        (&["create_users", "--recorder-dir", "/dev/null/x"], "failed to look for /dev/null/x: Not a directory"),
        (&["create_users", "--json", "no/such/report.json"], "failed to create no/such/report.json"),
    ];
    for (arguments, words) in cases {
        let output = example("signup", folder.path()).args(["scenario", "test"]).args(arguments).output()?;
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(words), "{}", text(&output));
        assert!(output.stdout.is_empty(), "{}", text(&output));
    }
    assert!(std::fs::read_dir(folder.path())?.next().is_none(), "nothing is left behind");
    Ok(())
}

#[test]
fn a_service_that_is_not_there_fails_each_journey_with_its_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Port 1 is nobody's on any machine; one that was just freed may be another test's by now.
    let arguments = ["scenario", "test", "create_users", "--set", "app_url=http://127.0.0.1:1", ON_A_BUSY_MACHINE];
    let output = example("signup", folder.path()).args(arguments).output()?;
    let told = text(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("250 × HttpError: POST http://"), "{told}");
    assert!(told.contains("at examples/signup/scenarios.rs:"), "{told}");
    assert!(!folder.path().join("recorder-data").exists(), "no record, no folder");
    Ok(())
}
