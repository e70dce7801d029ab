//! The mistakes that are made most often, and what the compiler and mite say to them: the messages are those that the guide's
//! chapter on troubleshooting shows, each with its mend. They are here, in the place of a user's crate, since most are of
//! several of mite's crates together.

use std::error::Error as _;
use std::path::Path;
use std::{fs, io};

use mite::prelude::*;
use mite::threshold::{ms, p99};

const GUIDE: &str = include_str!("../../../docs/src/troubleshooting.md");

#[test]
fn the_compiler_names_the_mend() {
    trybuild::TestCases::new().compile_fail("tests/mistakes/*.rs");
}

/// The blocks of the guide that are messages of the compiler.
fn shown() -> impl Iterator<Item = &'static str> {
    let blocks = GUIDE.split("```text\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    // Those of the command line are held by tests of its own.
    blocks.filter(|block| block.starts_with("error") && !block.starts_with("error: invalid value"))
}

/// Whether the lines of a block stand in a message in this order; lines between them may be left out, and `…` is any text.
fn stand_in(block: &str, message: &str) -> bool {
    let mut lines = message.lines().map(str::trim_end);
    block.lines().all(|shown| match shown.split_once('…') {
        Some((begins, ends)) => lines.any(|line| line.starts_with(begins) && line.ends_with(ends)),
        None => lines.any(|line| line == shown),
    })
}

#[test]
fn the_guide_shows_what_the_compiler_says() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let mut messages = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "stderr") {
            messages.push((path.clone(), fs::read_to_string(path)?));
        }
    }
    assert!(messages.len() >= 20, "{}", messages.len());
    for block in shown() {
        assert!(messages.iter().any(|(_, message)| stand_in(block, message)), "the compiler does not say:\n{block}");
    }
    for (path, message) in &messages {
        assert!(
            shown().any(|block| stand_in(block, message)),
            "the guide does not show {}:\n{message}",
            path.display()
        );
    }
    Ok(())
}

#[mite_http]
async fn relative(ctx: &mut Context) -> Result {
    ctx.http().get("/").await?;
    Ok(())
}

#[mite_http(base = "app_url")]
async fn visit(ctx: &mut Context) -> Result {
    ctx.http().get("/").await?.error_for_status()?;
    Ok(())
}

async fn create_user(ctx: &mut Context) -> Result {
    ctx.record("users", "ann").await
}

async fn rename(ctx: &mut Context) -> Result {
    ctx.send("renamed", serde_json::json!({"journey": "mine"})).await
}

async fn nothing_at_all(_ctx: &mut Context) -> Result {
    Ok(())
}

async fn signin(_ctx: &mut Context, _username: String) -> Result {
    Ok(())
}

/// What a journey's first error says.
fn error_of(run: Run) -> Result<String> {
    let report = run.max_start_lag(HOUR).run_blocking()?;
    report.errors.first().map(|error| error.message.clone()).ok_or_else(|| Error::new("the journey had no error"))
}

/// Why a run is refused, with all causes.
fn refusal(scenario: Scenario) -> Result<String> {
    let refused = match Run::new(scenario).run_blocking() {
        Ok(report) => bail!("it was run: {report}"),
        Err(error) => error,
    };
    let mut told = refused.to_string();
    let mut source = refused.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        source = cause.source();
    }
    Ok(told)
}

fn once(journey: impl mite::Journey<()>) -> Scenario {
    Scenario::new().journey(journey, NoData, mite::volume::at_once(1))
}

#[test]
fn the_guide_shows_what_mite_says() -> Result {
    let names = || IterableDataPool::new([("ann".to_owned(),)]);
    let used = names();
    Run::new(Scenario::new().journey(signin, used.clone(), constant(10, SECOND))).max_start_lag(HOUR).run_blocking()?;
    let report = Run::new(once(nothing_at_all)).max_start_lag(HOUR).run_blocking()?;
    let folder = tempfile::tempdir()?;
    let closure = async |_ctx: &mut Context| Ok(());

    let messages = [
        error_of(Run::new(once(visit)))?,
        error_of(Run::new(once(relative)))?,
        error_of(Run::new(once(visit)).config("app_url", "http://127.0.0.1:1"))?,
        error_of(Run::new(once(visit)).config("app_url", "localhost:8080"))?,
        error_of(Run::new(once(create_user)))?,
        error_of(Run::new(once(rename)))?,
        refusal(once(closure))?,
        refusal(Scenario::new().journey(nothing_at_all, NoData, |_start, _end| 100))?,
        refusal(Scenario::new().journey(nothing_at_all, NoData, ramp(MINUTE).to(50)))?,
        refusal(Scenario::new().journey(signin, IterableDataPool::<(String,)>::new([]), constant(10, SECOND)))?,
        refusal(Scenario::new().journey(signin, used, constant(10, SECOND)))?,
        refusal(Scenario::new())?,
        p99("signup").under(ms(300)).check(&report).to_string(),
        match recorded::<String>(folder.path().join("users.msgpack")) {
            Ok(_) => bail!("there is no such file"),
            Err(error) => error.to_string().replace(&format!("{}/", folder.path().display()), "recorder-data/"),
        },
    ];
    // Of a row: not its place, which is in this file.
    let told = messages.iter().map(|message| {
        message.split_once("): ").filter(|(row, _)| row.starts_with("row ")).map_or(&**message, |(_, told)| told)
    });
    let missing: Vec<&str> = told.filter(|told| !GUIDE.contains(&format!("```text\n{told}\n```"))).collect();
    assert!(missing.is_empty(), "the guide does not show: {missing:#?}");
    Ok(())
}
