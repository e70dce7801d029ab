//! `cargo bench --bench versus [-- SECTION…]`: what mite's load costs beside that of other load generators, each a process of
//! its own, on one machine, in turns. `docs/performance.md` has the figures and says how to read them.
//!
//! Sections are named below. `--rounds N`, `--seconds N` (of each round) and `--minutes N` (of `soak`) say how long it takes;
//! `--json FILE` writes every round, and `--markdown=FILE` puts what was measured into a page that has marks for it.

mod bar;
mod bench;
mod comparison;
mod json;
mod load;
mod machine;
mod measured;
mod options;
mod page;
mod programs;
mod section;
mod server;
mod spread;
mod table;
mod tool;

use std::process::ExitCode;

use mite::prelude::*;

use crate::{bench::Bench, options::Options, section::Outcome};

fn main() -> Result<ExitCode> {
    if let Some(code) = measured::as_asked()? {
        return Ok(code);
    }
    let options = Options::from_command_line(section::help());
    let sections = section::chosen(&options.sections)?;
    let bench = Bench::new(options)?;
    let mut outcomes = Vec::new();
    let mut failed = false;
    println!("{}\n", bench.machine);
    for section in sections {
        eprintln!("== {}", section.name);
        match (section.run)(&bench) {
            Ok(outcome) => {
                println!("## {}\n\n{outcome}", section.name);
                outcomes.push((section.name, outcome));
                keep(&bench, &outcomes)?;
            }
            Err(error) => {
                eprintln!("FAILED: {}: {error}", section.name);
                failed = true;
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Writes what was found so far: it may have taken long.
fn keep(bench: &Bench, outcomes: &[(&'static str, Outcome)]) -> Result {
    if let Some(file) = &bench.options.json {
        json::write(file, &bench.machine, outcomes)?;
    }
    if let (Some(page), Some((name, outcome))) = (&bench.options.page, outcomes.last()) {
        page::renew(page, &bench.machine, name, outcome)?;
    }
    Ok(())
}
