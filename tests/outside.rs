//! A user's own crate, `tests/outside/`, builds on mite by path: its suite passes, and finds the faults that its service can be
//! started with, in words that lead to them.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the suite's tests, with this fault in the service.
fn suite(arguments: &[&str], fault: Option<&str>) -> Result<(Output, String), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let outside = root.join("tests/outside");
    // The versions that this test was built with: nothing else need be downloaded.
    fs::copy(root.join("Cargo.lock"), outside.join("Cargo.lock"))?;
    let mut suite = Command::new(env!("CARGO"));
    suite.args(["test", "--quiet"]).args(arguments).current_dir(&outside);
    suite.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside"));
    suite.env_remove("SERVICE_FAULT").envs(fault.map(|fault| ("SERVICE_FAULT", fault)));
    let output = suite.output()?;
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output, told))
}

/// The lines that an assertion of the suite has told, from the one that begins so.
fn told_from<'a>(told: &'a str, begins: &str) -> Vec<&'a str> {
    told.lines().skip_while(|line| !line.starts_with(begins)).collect()
}

#[test]
fn the_suite_of_a_crate_outside_passes_and_finds_faults() -> Result<(), Box<dyn Error>> {
    let (output, told) = suite(&[], None)?;
    assert!(output.status.success(), "{told}");
    assert_eq!((told.matches("1 passed").count(), told.matches("2 passed").count()), (2, 1), "{told}");

    // A fifth of all users wait for half a second: the sentence, then the transaction and its requests.
    let (output, told) = suite(&["--test", "promises"], Some("slow-query"))?;
    assert!(!output.status.success() && told.contains("1 passed; 1 failed"), "{told}");
    assert!(told.contains("tests/promises.rs:"), "{told}");
    let lines = told_from(&told, "p95 of \"Log in\" is ");
    assert!(lines[0].ends_with(" ms, and should be under 300 ms"), "{told}");
    assert!(lines[2].starts_with("transaction  count  errors"), "{told}");
    assert!(lines[3].starts_with("Log in         200       0"), "{told}");
    assert!(lines[5].starts_with("request        result  count"), "{told}");
    assert!(lines[6].starts_with("POST · Log in     200    200"), "{told}");

    // Each tenth login fails: both thresholds that do not hold, and where the error came from.
    let (output, told) = suite(&["--test", "promises"], Some("no-connection"))?;
    assert!(!output.status.success() && told.contains("1 passed; 1 failed"), "{told}");
    let lines = told_from(&told, "the error rate is 10 % (20 of 200), and should be under 1 %");
    assert_eq!(lines[1], "the count of \"signin\" is 180, and should be at least 200", "{told}");
    assert!(
        lines.iter().any(|line| line.starts_with("promises:signin      200      200        180      20")),
        "{told}"
    );
    let error = lines.iter().position(|line| line.starts_with("      20 × ")).ok_or_else(|| told.clone())?;
    assert!(lines[error].contains("500 Internal Server Error"), "{told}");
    assert!(lines[error + 1].starts_with("           at tests/promises.rs:"), "{told}");
    assert!(lines[error + 1].ends_with(":signin in \"Log in\""), "{told}");
    Ok(())
}
