//! `cargo bench --bench instructions [-- CASE…]`: how many instructions each step of a run costs, as callgrind counts them: a
//! figure that a busy machine does not change. Needs valgrind.
//!
//! Each figure stands beside the one that is kept in `counts.txt`, and the program fails where one is more than 5 % above.
//! Where that is on purpose, `cargo bench --bench instructions -- --keep` writes the new figures down.

mod callgrind;
mod cases;
mod counts;
mod server;

use std::process::ExitCode;

use cases::{CASES, Case};
use counts::Counts;
use mite::prelude::*;
use server::Server;

/// How far above the kept figure one may be: another version of the C library makes a difference of its own.
const MOST_ABOVE: f64 = 5.0;

fn main() -> Result<ExitCode> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => server::serve().map(|()| ExitCode::SUCCESS),
        ["run", name, times, address] => {
            (case(name)?.run)(times.parse()?, address)?;
            Ok(ExitCode::SUCCESS)
        }
        ["--keep"] => keep(),
        names => compare(names),
    }
}

fn case(name: &str) -> Result<&'static Case> {
    let known = CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
    CASES
        .iter()
        .find(|case| case.name == name)
        .ok_or_else(|| Error::msg(format_args!("there is no {name:?}, only {known}")))
}

fn compare(names: &[&str]) -> Result<ExitCode> {
    if !callgrind::is_there() {
        println!("SKIPPED: valgrind is not installed, so that no instructions were counted");
        return Ok(if std::env::var_os("CI").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    let cases = if names.is_empty() {
        CASES.iter().collect()
    } else {
        names.iter().map(|name| case(name)).collect::<Result<Vec<_>>>()?
    };
    let (kept, server) = (Counts::read()?, Server::start()?);
    let mut missed = false;
    println!("{:<12}{:>14}{:>10}{:>12}", "", "instructions", "kept", "difference");
    for case in cases {
        let (counted, kept) = (callgrind::count(case, server.address())?, kept.of(case.name)?);
        let above = (counted as f64 / kept as f64 - 1.0) * 100.0;
        let over = above > MOST_ABOVE;
        missed |= over;
        let note = if over { ": MORE" } else { "" };
        println!("{:<12}{counted:>14}{kept:>10}{above:>+10.1} %{note}", case.name);
    }
    if missed {
        println!(
            "\nMore than {MOST_ABOVE} % above what is kept in {}. If that is on purpose, write it down by \
             `cargo bench --bench instructions -- --keep`.",
            counts::PATH
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn keep() -> Result<ExitCode> {
    let (mut counts, server) = (Counts::default(), Server::start()?);
    for case in &CASES {
        let counted = callgrind::count(case, server.address())?;
        println!("{:<12}{counted:>14}", case.name);
        counts.set(case.name, counted);
    }
    counts.write()?;
    Ok(ExitCode::SUCCESS)
}
