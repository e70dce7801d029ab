//! Counting: a case is run in processes of its own under valgrind, and what is common to them falls out of the difference.

use std::process::{Command, Stdio};

use mite::prelude::*;

use crate::cases::Case;

pub(crate) fn is_there() -> bool {
    Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The instructions that doing a case's step once more costs: what starting a run costs is in both counts, and so not in their
/// difference.
pub(crate) fn count(case: &Case, address: &str) -> Result<u64> {
    let (few, many) = (case.times, case.times * 11);
    let (of_few, of_many) = (total(case, few, address)?, total(case, many, address)?);
    let Some(difference) = of_many.checked_sub(of_few) else {
        bail!("{:?} takes {of_many} instructions {many} times, and {of_few} only {few} times", case.name)
    };
    Ok(difference.div_ceil(many - few))
}

fn total(case: &Case, times: u64, address: &str) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["run", case.name, &times.to_string(), address])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let total = said.lines().find_map(|line| line.split_once("Collected : "));
    match total {
        Some((_, total)) if output.status.success() => Ok(total.trim().parse()?),
        _ => bail!("the counted process of {:?} failed:\n{said}", case.name),
    }
}
