//! The command line as its users run it: the signup example through each verb, and what is said of wrong use.

#[path = "../examples/signup/service.rs"]
mod service;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use insta::assert_snapshot;
use serde_json::Value;
use service::{Result, Service};

/// These tests are not about time.
const ON_A_BUSY_MACHINE: &str = "--max-start-lag=1h";

/// An example's program, which cargo has built.
fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let build = ["build", "--quiet", "--manifest-path", manifest, "--example", "signup", "--example", "load"];
        let built = Command::new(env!("CARGO")).args(build).status().expect("cargo is there");
        assert!(built.success(), "the examples do not build");
    });
    let tests = std::env::current_exe().expect("a test has a path");
    tests.ancestors().nth(2).expect("deps/ is in the profile's folder").join("examples").join(name)
}

fn command(name: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program(name));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// What came of it: the exit code, standard output, standard error.
fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn done(name: &str, folder: &Path, arguments: &[&str]) -> (String, String) {
    let (code, out, err) = told(&command(name, folder, arguments).output().expect("the program is there"));
    assert_eq!(code, Some(0), "{arguments:?}\n{out}{err}");
    (out, err)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the file is there")).expect("it is JSON")
}

#[tokio::test]
async fn a_scenario_is_listed_previewed_and_run_with_all_its_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let service = Service::start(&path.join("users.db")).await?;
    let (listed, _) = done("signup", path, &["scenario", "list"]);
    assert_eq!(listed, "create_users\nmy_scenario\ncreate_exactly\n");
    let (drawn, _) = done("signup", path, &["scenario", "preview", "create_exactly"]);
    assert!(drawn.starts_with("signup::scenarios:create_named_user: 1000 starts, peak 100/s, 10 s\n"), "{drawn}");
    let (drawn, _) = done("signup", path, &["scenario", "preview", "create_users", "--duration", "1s"]);
    assert!(drawn.contains(": 50 starts, peak 50/s, 1 s\n"), "{drawn}");

    fs::write(path.join("load.toml"), format!("app_url = \"{}\"\nusers = 20\n", service.url()))?;
    let files = ["--json", "r.json", "--html", "r.html", "--junit", "r.xml", "--csv", "r.csv", "--config", "load.toml"];
    let run = [&["scenario", "test", "create_exactly", ON_A_BUSY_MACHINE], &files[..]].concat();
    let (out, err) = done("signup", path, &run);
    assert!(out.starts_with("create_exactly: passed"), "{out}");
    assert_eq!(err, "running create_exactly\n");
    assert_eq!((service.users()?, json(&path.join("r.json"))["records"]["users"].as_u64()), (20, Some(20)));
    assert!(fs::read_to_string(path.join("r.html"))?.starts_with("<!doctype html>"));
    assert!(fs::read_to_string(path.join("r.xml"))?.contains("<testsuite"));
    assert!(fs::read_to_string(path.join("r.csv"))?.lines().count() > 1);

    // Again, without a word; what was there is replaced.
    let (out, err) = done("signup", path, &[&run[..], &["--quiet", "--set", "users=3"]].concat());
    assert_eq!((out.as_str(), err.as_str()), ("", ""));
    assert_eq!((service.users()?, json(&path.join("r.json"))["records"]["users"].as_u64()), (23, Some(3)));
    Ok(())
}

#[tokio::test]
async fn a_run_is_scraped_at_the_address_that_it_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let service = Service::start(&path.join("users.db")).await?;
    let url = format!("app_url={}", service.url());
    let run = [
        "scenario",
        "test",
        "create_exactly",
        ON_A_BUSY_MACHINE,
        "--set",
        &url,
        "--set",
        "users=20",
        "--json",
        "r.json",
    ];
    let scraped = ["--web-address", "127.0.0.1:0", "--linger", "1m"];
    let mut command = command("signup", path, &[&run[..], &scraped[..]].concat());
    let mut run =
        command.env("MITE_HTTP_HISTOGRAM_BUCKETS", "3600").stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let told = BufReader::new(run.stderr.take().expect("it is piped")).lines().map_while(std::io::Result::ok);
    let mut told = told.filter_map(|line| Some(line.strip_prefix("metrics for Prometheus on http://")?.to_owned()));
    let address = told.next().expect("the address is said");
    let address = address.strip_suffix("/metrics").expect("it is a page of it").to_owned();
    // It is there until it has told the figures of the whole run.
    let mut last = String::new();
    while let Ok(scrape) = scrape(&address) {
        last = scrape;
    }
    assert!(run.wait()?.success());
    let report = json(&path.join("r.json"));
    assert_eq!(report["journeys"][0]["completed"], 20, "{report}");
    let place = "test=\"create_exactly\",journey=\"signup::scenarios:create_named_user\",transaction=\"__root__\"";
    for sample in [
        format!("mite_transaction_total{{{place},had_error=\"False\"}} 20"),
        format!("mite_transaction_seconds_bucket{{{place},le=\"3600\"}} 20"),
    ] {
        assert!(last.lines().any(|line| line == sample), "{sample}\n{last}");
    }
    Ok(())
}

fn scrape(address: &str) -> std::io::Result<String> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 OK") { Ok(answer) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

#[tokio::test]
async fn a_journey_is_run_once_and_shown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let service = Service::start(&path.join("users.db")).await?;
    let url = format!("app_url={}", service.url());
    let (out, err) = done("signup", path, &["journey", "run", "create_user", "--set", &url]);
    assert_eq!(service.users()?, 1);
    assert_eq!(err, "running signup::scenarios:create_user of create_users once\n");
    assert!(out.starts_with(&format!("\n1. POST {}/users/create, in \"Create user\"\n", service.url())), "{out}");
    for words in [
        "\n  > {\"password\":\"***\",\"username\":\"",
        "\n  < HTTP/1.1 201 Created\n",
        "\n  = 201, ",
        "connect ",
        "first byte ",
        "\ntransactions\n  Create user: ",
        "\nrecorded, in memory only (`--recorder-dir` keeps it)\n  users: 1 record\n    {\"username\": \"",
        "\nsignup::scenarios:create_user: passed in ",
    ] {
        assert!(out.contains(words), "{words}\n{out}");
    }
    assert!(!path.join("recorder-data").exists());

    // One item of the pool; and the records where they are asked for.
    let named = ["journey", "run", "create_exactly:create_named_user", "--set", &url, "--set", "prefix=ann"];
    done("signup", path, &[&named[..], &["--recorder-dir", "recorder-data"]].concat());
    assert_eq!(service.users()?, 2);
    // It is found after a scenario that fails, which is named and skipped.
    let (out, _) = done("signup", path, &["journey", "run", "my_scenario:signin", "--set", &url]);
    assert!(out.contains("\"username\":\"ann-1\"") && out.contains("signin: passed in"), "{out}");
    fs::remove_dir_all(path.join("recorder-data"))?;
    let (_, err) = done("signup", path, &["journey", "run", "create_named_user", "--set", &url]);
    assert!(err.starts_with("skipped scenario my_scenario: RecordedError: "), "{err}");

    // The same user again is refused, and the journey fails.
    let output = command("signup", path, &named).output()?;
    let (code, out, err) = told(&output);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("\n  < HTTP/1.1 409 Conflict\n"), "{out}");
    assert!(out.contains("\n  at examples/signup/scenarios.rs:"), "{out}");
    assert!(out.contains("create_named_user: failed in "), "{out}");
    let empty = [&named[..], &["--set", "users=0"]].concat();
    let (code, _, err) = told(&command("signup", path, &empty).output()?);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("the data pool has no items"), "{err}");
    Ok(())
}

#[tokio::test]
async fn a_journey_is_tested_at_a_volume_of_its_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let service = Service::start(&path.join("users.db")).await?;
    let url = format!("app_url={}", service.url());
    let test =
        ["journey", "test", "create_user", "--set", &url, ON_A_BUSY_MACHINE, "--volume", "20", "--json", "r.json"];
    let (_, err) = done("signup", path, &[&test[..], &["--duration", "1s"]].concat());
    assert_eq!(err, "running signup::scenarios:create_user of create_users at 20 per second\n");
    let report = json(&path.join("r.json"));
    assert_eq!(report["journeys"][0]["planned"], 20);
    assert_eq!(report["journeys"][0]["completed"].as_u64(), Some(service.users()?));

    // Without an end it says so, and Ctrl-C is one.
    let mut child = command("signup", path, &test).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let mut errors = BufReader::new(child.stderr.take().expect("it is piped"));
    errors.read_line(&mut line)?;
    assert!(line.ends_with(" at 20 per second until Ctrl-C: nothing else ends it\n"), "{line}");
    while service.users()? < 25 {
        tokio::task::yield_now().await;
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)?;
    line.clear();
    errors.read_line(&mut line)?;
    assert!(line.starts_with("stopping: "), "{line}");
    let (code, out, _) = told(&child.wait_with_output()?);
    assert_eq!(code, Some(130), "{out}");
    assert_eq!(json(&path.join("r.json"))["journeys"][0]["completed"].as_u64(), Some(service.users()? - 20));
    Ok(())
}

/// The exit code, standard output and standard error of a run of some users more.
fn held(folder: &Path, url: &str, thresholds: &[&str]) -> Result<(Option<i32>, String, String)> {
    let run = ["scenario", "test", "create_exactly", "--set", url, "--set", "users=10", ON_A_BUSY_MACHINE];
    Ok(told(&command("signup", folder, &[&run[..], thresholds].concat()).output()?))
}

#[tokio::test]
async fn thresholds_decide_what_passes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let service = Service::start(&path.join("users.db")).await?;
    let url = format!("app_url={}", service.url());
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--threshold", "count(\"create_named_user\") >= 10"], 0, "passed"),
        (&["--threshold", "max(all_requests()) < 1 us"], 1, "and should be under 1 µs"),
        (
            &["--threshold", "errors <= 5", "--threshold", "p99(\"Log on\") < 1 s"],
            1,
            "p99 of \"Log on\" should be under 1 s, and the report has nothing named \"Log on\"",
        ),
        (&["--max-errors-threshold", "0", "--max-response-time-threshold", "60000"], 0, "passed"),
        (&["--benchmark-percentiles", "50:60000,99:60000"], 0, "passed"),
        // What never comes about ends nothing.
        (&["--abort-when", "error_rate() > 50 %"], 0, "passed"),
    ];
    for (options, code, says) in cases {
        let (found, out, err) = held(path, &url, options)?;
        assert_eq!(found, Some(code), "{options:?}\n{out}{err}");
        assert!(out.contains(says), "{options:?}\n{out}");
    }
    Ok(())
}

#[test]
fn a_condition_ends_a_run_of_an_hour() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Nobody listens there.
    let run =
        ["scenario", "test", "open", "--set", "url=http://127.0.0.1:9/", "--set", "rate=20", "--set", "seconds=3600"];
    let abort = [ON_A_BUSY_MACHINE, "--abort-when", "error_rate() > 50 % in each 1 s"];
    let (code, out, err) = told(&command("load", folder.path(), &[&run[..], &abort].concat()).output()?);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        out.starts_with("open: aborted") && out.contains("aborted, since the error rate in each 1 s is 100 %"),
        "{out}"
    );
    Ok(())
}

#[tokio::test]
async fn a_report_is_shown_again_as_it_was() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let service = Service::start(&path.join("users.db")).await?;
    let url = format!("app_url={}", service.url());
    let files = ["--json", "r.json", "--html", "r.html", "--junit", "r.xml", "--csv", "r.csv"];
    let thresholds = ["--threshold", "p99(all_requests()) < 60 s", "--threshold", "errors <= 0"];
    let (code, out, err) = held(path, &url, &[&files[..], &thresholds].concat())?;
    assert_eq!(code, Some(0), "{out}{err}");
    let (shown, _) = done("signup", path, &["report", "show", "r.json"]);
    assert_eq!(shown, out);
    done("signup", path, &["report", "show", "r.json", "--html", "s.html", "--junit", "s.xml", "--csv", "s.csv"]);
    for (written, made) in [("r.html", "s.html"), ("r.xml", "s.xml"), ("r.csv", "s.csv")] {
        assert_eq!(fs::read_to_string(path.join(written))?, fs::read_to_string(path.join(made))?, "{made}");
    }
    Ok(())
}

/// Journeys that only sleep: no server's time is in it.
fn sleeping<'a>(pause: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    let run = ["scenario", "test", "sleep", "--set", "running=100", "--set", "seconds=4", ON_A_BUSY_MACHINE, "--set"];
    [&run[..], &[pause], options].concat()
}

#[test]
fn a_run_is_held_to_an_earlier_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let run = |arguments: &[&str]| -> Result<_> { Ok(told(&command("load", path, arguments).output()?)) };
    done("load", path, &sleeping("pause_ms=100", &["--json", "a.json"]));
    let held = ["--baseline", "a.json", "--fail-on-regression", "300%"];
    let (code, out, err) = run(&sleeping("pause_ms=100", &[&held[..], &["--json", "b.json"]].concat()))?;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("\n✓ no figure is worse than in the baseline by more than 300 %\n"), "{out}");
    let (code, out, err) =
        run(&sleeping("pause_ms=1000", &[&held[..], &["--json", "c.json", "--junit", "c.xml"]].concat()))?;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        out.starts_with("sleep: failed") && out.contains(" worse than in the baseline by more than 300 %: "),
        "{out}"
    );
    assert!(out.lines().any(|line| line.starts_with("  p50 ") && line.ends_with(" slower")), "{out}");
    assert!(fs::read_to_string(path.join("c.xml"))?.contains("<failure message=\""));
    let regressions = &json(&path.join("c.json"))["baseline"]["regressions"];
    assert!(regressions.as_array().is_some_and(|told| told.iter().all(|one| out.contains(one.as_str().unwrap()))));
    // The same of the files, and of both at once.
    let compare = ["report", "compare", "--fail-on-regression", "300%", "--json", "all.json", "a.json"];
    let (code, same, err) = run(&[&compare[..], &["b.json"]].concat())?;
    assert_eq!(code, Some(0), "{same}{err}");
    let (code, both, err) = run(&[&compare[..], &["b.json", "c.json"]].concat())?;
    assert_eq!(code, Some(1), "{both}{err}");
    assert!(both.starts_with(&same) && out.ends_with(&both[same.len()..]), "{out}\n\n{both}");
    assert_eq!(json(&path.join("all.json")).as_array().map(Vec::len), Some(2));
    // Without a limit it is only told.
    assert_eq!(run(&["report", "compare", "a.json", "c.json"])?.0, Some(0));
    Ok(())
}

#[test]
fn another_plan_is_refused_before_it_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let noop = |options: &[&'static str]| -> Result<_> {
        let run = ["scenario", "test", "noop", "--set", "rate=50", ON_A_BUSY_MACHINE];
        Ok(told(&command("load", path, &[&run[..], options].concat()).output()?))
    };
    assert_eq!(noop(&["--duration", "1s", "--json", "a.json"])?.0, Some(0));
    let (code, out, err) = noop(&["--duration", "2s", "--baseline", "a.json", "--json", "b.json"])?;
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let why = "a.json: the runs had different plans: row 1, ";
    let mend = ": 1.00 s long in the baseline, 2.00 s now; `--compare-anyway` compares them all the same\n";
    assert!(err.contains(why) && err.ends_with(mend), "{err}");
    assert!(!path.join("b.json").exists());
    let (code, out, _) = noop(&["--duration", "2s", "--baseline", "a.json", "--compare-anyway"])?;
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("\nwarning: the runs had different plans: row 1, "), "{out}");
    Ok(())
}

#[test]
fn the_later_source_of_the_config_wins() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("load.toml"), "rate = 2\nseconds = 4")?;
    let starts = |arguments: &[&str], environment: Option<&str>| -> String {
        let mut command = command("load", folder.path(), &[&["scenario", "preview", "noop"], arguments].concat());
        command.envs(environment.map(|rate| ("MITE_CONF_rate", rate)));
        let (code, out, err) = told(&command.output().expect("the program is there"));
        assert_eq!(code, Some(0), "{err}");
        out.lines().next().unwrap_or_default().to_owned()
    };
    let file = ["--config", "load.toml"];
    let add = [&file[..], &["--add-to-config", "rate:4"]].concat();
    let set = [&["--set", "rate=5"], &add[..]].concat();
    assert_eq!(starts(&[], None), "load:noop: 10000 starts, peak 1000/s, 10 s");
    assert_eq!(starts(&file, None), "load:noop: 8 starts, peak 2/s, 4 s");
    assert_eq!(starts(&file, Some("3")), "load:noop: 12 starts, peak 3/s, 4 s");
    assert_eq!(starts(&add, Some("3")), "load:noop: 16 starts, peak 4/s, 4 s");
    assert_eq!(starts(&set, Some("3")), "load:noop: 20 starts, peak 5/s, 4 s");
    Ok(())
}

#[test]
fn records_go_to_json_and_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for name in ["users", "values", "messages"] {
        let fixture = format!("{}/tests/fixtures/{name}.msgpack", env!("CARGO_MANIFEST_DIR"));
        let (lines, _) = done("load", folder.path(), &["cat", &fixture]);
        for line in lines.lines() {
            serde_json::from_str::<Value>(line)?;
        }
        fs::write(folder.path().join("lines"), &lines)?;
        let back = command("load", folder.path(), &["uncat", "lines"]).output()?;
        assert_eq!(back.stdout, fs::read(&fixture)?, "{name}");
        // By pipes as well.
        let mut child = command("load", folder.path(), &["uncat"]);
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.take().expect("it is piped").write_all(lines.as_bytes())?;
        assert_eq!(child.wait_with_output()?.stdout, back.stdout, "{name}");
    }
    // Who reads it may go: that is no error.
    let many = vec![0xc0; 1 << 20];
    fs::write(folder.path().join("many"), many)?;
    let mut child = command("load", folder.path(), &["cat", "many"]).stdout(Stdio::piped()).spawn()?;
    drop(child.stdout.take());
    assert_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn shells_are_told_the_names() {
    let folder = tempfile::tempdir().expect("there is room");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (script, _) = done("signup", folder.path(), &["completions", shell]);
        for name in ["create_exactly", "create_named_user"] {
            // clap's scripts for these two know verbs and options alone.
            assert!(script.contains(name) || shell == "elvish" || shell == "powershell", "{shell}: {name}");
        }
        assert!(script.contains("signup") && script.contains("prettify-timestamps"), "{shell}");
    }
    // A shell takes it, and completes by it.
    let ask_bash =
        "\nCOMP_WORDS=(signup scenario test my_); COMP_CWORD=3\n_signup signup my_ test\necho \"${COMPREPLY[@]}\"";
    let ask_fish = "\ncomplete -C 'signup journey run create_n'";
    for (shell, ask, completed) in [("bash", ask_bash, "my_scenario\n"), ("fish", ask_fish, "create_named_user\n")] {
        let (script, _) = done("signup", folder.path(), &["completions", shell]);
        match Command::new(shell).arg("-c").arg(script + ask).env("HOME", folder.path()).output() {
            Ok(output) => assert_eq!(told(&output), (Some(0), completed.to_owned(), String::new()), "{shell}"),
            Err(_) => eprintln!("SKIPPED: {shell} is not there, so that its completions were not tried"),
        }
    }
}

#[test]
fn each_error_is_one_sentence_and_the_mend() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes);
    write("broken", b"\x01\x92\x01\xc1")?;
    write("torn", b"\x01\xa5ab")?;
    write("lines", b"{\"a\": 1}\n\n{\"$ref\": 1}\n")?;
    write("report.json", b"{\"schema\": \"mite.report/2\"}")?;
    write("wrong.toml", b"rate = 5\nurl = here\n")?;
    let cases: [(&str, &str); 28] = [
        ("load", "scenario test open"),
        ("load", "scenario test noop --set rate=fast"),
        ("load", "scenario test noop --config no.toml"),
        ("load", "scenario test noop --config wrong.toml"),
        ("load", "scenario test noop --json no/such/report.json"),
        ("load", "scenario test noop --html same --csv same"),
        ("load", "scenario test noop --warm-up 5s --duration 2s"),
        ("load", "scenario preview sleep --spawn-rate 1 --set running=0"),
        ("load", "journey run nop"),
        ("load", "journey run noop:nop"),
        ("load", "journey test open:open"),
        ("signup", "journey test signin"),
        ("signup", "journey run creat_user"),
        ("load", "cat no-file"),
        ("load", "cat ."),
        ("load", "cat broken"),
        ("load", "cat torn"),
        ("load", "uncat lines"),
        ("load", "uncat broken"),
        ("load", "report show no-file"),
        ("load", "report show lines"),
        ("load", "report show report.json"),
        ("load", "report compare report.json"),
        ("load", "report compare lines lines"),
        ("load", "scenario test noop --baseline no-file --json new.json"),
        ("load", "scenario test noop --baseline torn"),
        ("load", "journey test noop --baseline report.json --fail-on-regression 5%"),
        ("load", "journey test noop --volume 5 --duration 1s --recorder-dir /dev/null/x"),
    ];
    let mut all = String::new();
    for (name, line) in cases {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = command(name, folder.path(), &arguments).output()?;
        let (code, _, err) = told(&output);
        let out = output.stdout.escape_ascii().to_string().replace("\\n", "\n");
        writeln!(all, "$ {name} {line}\n{out}{err}exit code {}\n", code.unwrap_or(-1))?;
    }
    assert_snapshot!(all);
    let mut left: Vec<_> =
        fs::read_dir(folder.path())?.map(|file| file.map(|file| file.file_name())).collect::<Result<_, _>>()?;
    left.sort();
    assert_eq!(left, ["broken", "lines", "report.json", "torn", "wrong.toml"], "nothing is left behind");
    Ok(())
}
