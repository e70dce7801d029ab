//! A user's own crate, `tests/outside/`, builds on mite by path and its suite passes: mite as a dependency.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_suite_of_a_crate_outside_passes() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let outside = root.join("tests/outside");
    // The versions that this test was built with: nothing else need be downloaded.
    fs::copy(root.join("Cargo.lock"), outside.join("Cargo.lock"))?;
    let suite = Command::new(env!("CARGO"))
        .args(["test", "--quiet"])
        .current_dir(&outside)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside"))
        .output()?;
    let told = format!("{}{}", String::from_utf8_lossy(&suite.stdout), String::from_utf8_lossy(&suite.stderr));
    assert!(suite.status.success(), "{told}");
    assert_eq!(told.matches("1 passed").count(), 2, "{told}");
    Ok(())
}
