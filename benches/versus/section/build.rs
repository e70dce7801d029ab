//! What a user waits for first: a clean release build of a crate of one file.
//! It is separate as every section is; here no load is sent.

use std::{collections::BTreeSet, fs, path::Path};

use mite::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::{Outcome, ratio};
use crate::{
    bar::Bar,
    bench::Bench,
    measured::{self, Usage},
    programs::{self, package},
    spread::Spread,
    table::Table,
};

/// Two journeys of little, in the words of each framework.
const MITE: &str = r#"use mite::prelude::*;

#[mite_http(base = "app_url")]
async fn visit(ctx: &mut Context) -> Result {
    ctx.transaction("Front page", async |ctx| {
        ctx.http().get("/").await?.error_for_status()?;
        Ok(())
    })
    .await
}

fn visitors() -> Scenario {
    Scenario::new().journey(visit, NoData, constant(100, MINUTE))
}

mite::main!(visitors);
"#;
const GOOSE: &str = r#"use goose::prelude::*;

async fn visit(user: &mut GooseUser) -> TransactionResult {
    user.get("/").await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let visitors = scenario!("visitors").register_transaction(transaction!(visit));
    GooseAttack::initialize()?.register_scenario(visitors).execute().await?;
    Ok(())
}
"#;

/// A crate that was built.
#[derive(Debug, Serialize)]
struct Built {
    framework: &'static str,
    /// Beside the crate itself.
    crates: usize,
    usage: Usage,
}

/// Each once: minutes of the compiler vary less than seconds of load.
pub(crate) fn run(bench: &Bench) -> Result<Outcome> {
    let mite = format!("mite-load = {{ path = '{}' }}", package().display());
    let goose = "goose = \"0.19\"\ntokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }";
    bench.tell("a crate on mite");
    let mite = build(bench, "mite", &mite, MITE, &package().join("Cargo.lock"))?;
    bench.tell("a crate on goose");
    let goose = build(bench, "goose", goose, GOOSE, &package().join("benches/peers/goose/Cargo.lock"))?;
    let mut table = Table::new(["", "crates", "seconds", "CPU seconds"]);
    for built in [&mite, &goose] {
        let (wall, cpu) = (format!("{:.0}", built.usage.wall), format!("{:.0}", built.usage.cpu()));
        table.row(vec![built.framework.to_owned(), built.crates.to_string(), wall, cpu]);
    }
    let bar = Bar::AtMost(0.6, 0.4);
    let to_goose = |figure: fn(&Built) -> f64| Spread::of([figure(&mite) / figure(&goose)]);
    let held = vec![
        ratio("seconds to those on goose", bar, to_goose(|built| built.usage.wall)),
        ratio("CPU seconds to those on goose", bar, to_goose(|built| built.usage.cpu())),
        ratio("crates to those on goose", bar, to_goose(|built| built.crates as f64)),
    ];
    let about = format!(
        "`cargo build --release` of a crate of one file with nothing built before, sources at hand, default features and \
         default profile, on {} cores.",
        bench.machine.cores.len()
    );
    let tools = serde_json::to_value([&mite, &goose])?;
    Ok(Outcome { about, table, held, notes: Vec::new(), tools })
}

fn build(bench: &Bench, framework: &'static str, dependencies: &str, main: &str, lock: &Path) -> Result<Built> {
    let folder = tempfile::tempdir()?;
    let manifest = format!(
        "[package]\nname = \"one-file\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}\n\n[workspace]\n"
    );
    fs::write(folder.path().join("Cargo.toml"), manifest)?;
    fs::create_dir(folder.path().join("src"))?;
    fs::write(folder.path().join("src/main.rs"), main)?;
    // The versions that are known here; cargo leaves out what is not needed.
    fs::copy(lock, folder.path().join("Cargo.lock"))?;
    let fetched = programs::cargo().arg("fetch").current_dir(folder.path()).output()?;
    ensure!(fetched.status.success(), "{framework}: cargo fetch: {}", String::from_utf8_lossy(&fetched.stderr));
    let mut command = programs::cargo();
    command.args(["build", "--release", "--offline", "--message-format", "json"]).current_dir(folder.path());
    command.env("CARGO_TARGET_DIR", folder.path().join("target"));
    let ended = measured::run(&command, &bench.machine.cores)?;
    ensure!(ended.status.success(), "{framework}: cargo build: {}", ended.stderr);
    let messages = ended.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let artifacts = messages.filter(|message| message["reason"] == "compiler-artifact");
    let packages: BTreeSet<String> = artifacts.map(|artifact| artifact["package_id"].to_string()).collect();
    Ok(Built { framework, crates: packages.len() - 1, usage: ended.usage })
}
