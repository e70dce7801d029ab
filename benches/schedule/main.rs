//! `cargo bench --bench schedule [-- SECTION…]`: whether what was asked for is what is sent and what is told, and what that
//! costs. Without a section's name all of them run, each in a process of its own, so that none adds to another's memory.
//!
//! Figures depend on the machine and on what else it does: compare within one run.

mod bar;
mod lag;
mod limit;
mod memory;
mod omission;
mod running;
mod series;
#[path = "../../tests/common/stall.rs"]
mod stall;

use std::process::Command;

use mite::prelude::*;

type Section = (&'static str, fn() -> Result);

const SECTIONS: [Section; 6] = [
    ("lag", lag::run),
    ("running", running::run),
    ("omission", omission::run),
    ("memory", memory::run),
    ("series", series::run),
    ("limit", limit::run),
];

fn main() -> Result {
    // Cargo adds options of its own, such as `--bench`.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for name in &named {
        let section = SECTIONS.iter().find(|(known, _)| known == name);
        let known = SECTIONS.map(|(known, _)| known).join(", ");
        let Some((_, run)) = section else { bail!("there is no section {name:?}, only {known}") };
        run()?;
    }
    if named.is_empty() {
        for (name, _) in SECTIONS {
            let status = Command::new(std::env::current_exe()?).arg(name).status()?;
            ensure!(status.success(), "{name}: {status}");
        }
    }
    Ok(())
}
