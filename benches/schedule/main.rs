//! `cargo bench --bench schedule`: what mite itself costs, by section; `cargo bench --bench schedule -- series` runs one.
//!
//! Each section runs in a process of its own, so that none inherits another's memory. Figures depend on the machine and on
//! what else it does: compare within one run.

mod rates;
mod series;

use std::process::{Command, ExitCode};

use mite::prelude::*;

const SECTIONS: [(&str, fn() -> Result); 2] = [("rates", rates::run), ("series", series::run)];

/// Says to a process which section it is.
const SECTION: &str = "MITE_BENCH_SECTION";

fn main() -> Result<ExitCode> {
    if let Ok(name) = std::env::var(SECTION) {
        let section = SECTIONS.iter().find(|(section, _)| *section == name);
        let Some((_, run)) = section else { bail!("there is no section {name:?}") };
        run()?;
        return Ok(ExitCode::SUCCESS);
    }
    // cargo itself adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| !SECTIONS.iter().any(|(section, _)| section == name)) {
        bail!("there is no section {unknown:?}, only {}", SECTIONS.map(|(section, _)| section).join(", "));
    }
    let mut all_ran = true;
    for (name, _) in SECTIONS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name)) {
        println!("\n{name}");
        all_ran &= Command::new(std::env::current_exe()?).env(SECTION, name).status()?.success();
    }
    Ok(if all_ran { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
