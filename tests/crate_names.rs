//! `#[mite_http]` finds mite by whatever name a user's crate depends on it. Only other crates can show it: see the four in
//! `tests/crate_names/`.

use std::{error::Error, fs, path::Path, process::Command};

#[test]
fn the_macro_finds_mite_by_whatever_name() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = root.join("tests/crate_names");
    // The versions that this test was built with: nothing else need be downloaded, and the test works without a network.
    fs::copy(root.join("Cargo.lock"), crates.join("Cargo.lock"))?;

    let check = Command::new(env!("CARGO"))
        .args(["check", "--workspace", "--quiet"])
        .current_dir(&crates)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("crate_names"))
        .output()?;

    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    Ok(())
}
