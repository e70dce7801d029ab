//! `cargo run --release --example database_pool`: a data pool of one's own, which takes its items from a database.
//!
//! A pool is a type with a `checkout`. This one hands out accounts of a table, the one first that has been used least, marks each as
//! taken for as long as a journey has it, and so may be shared by several runs at once. The database is SQLite, on a disk here.

mod common;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::Path as UrlPath;
use axum::routing::get;
use common::Service;
use mite::Checkout;
use mite::prelude::*;
use rusqlite::{Connection, OptionalExtension as _};

/// Accounts that no journey has at the moment.
struct Accounts(Mutex<Connection>);

impl Accounts {
    fn open(database: &Path) -> Result<Self> {
        Ok(Self(Mutex::new(Connection::open(database)?)))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // Each call is one statement: there is nothing that a panic could have left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DataPool for Accounts {
    type Item = (String,);

    /// SQLite answers in microseconds. For a database across a network there is its own async driver: while a checkout waits,
    /// other journeys go on, and the time is told as *data wait*.
    async fn checkout(&self, _config: &Config) -> Result<Checkout<(String,)>> {
        let taken = self.connection().query_row(
            "UPDATE accounts SET is_taken = TRUE, uses = uses + 1
             WHERE id = (SELECT id FROM accounts WHERE NOT is_taken AND NOT is_locked ORDER BY uses, id LIMIT 1)
             RETURNING id, name",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)),
        );
        Ok(match taken.optional()? {
            Some((id, name)) => Checkout::Item { id: id.try_into()?, item: (name,) },
            None => Checkout::NoneFree,
        })
    }

    /// Also after an error, a panic, or when the journey was cancelled.
    fn checkin(&self, id: u64) {
        let freed = self.connection().execute("UPDATE accounts SET is_taken = FALSE WHERE id = ?1", [id.cast_signed()]);
        if let Err(error) = freed {
            eprintln!("account {id} stays taken: {error}");
        }
    }

    /// Before the run starts.
    fn check(&self) -> Result {
        let usable: u32 =
            self.connection().query_row("SELECT count(*) FROM accounts WHERE NOT is_locked", [], |row| row.get(0))?;
        ensure!(usable > 0, "the database has no account that is not locked: fill it first");
        Ok(())
    }
}

#[mite_http(base = "bank_url")]
async fn look_at_balance(ctx: &mut Context, name: String) -> Result {
    ctx.transaction("Balance", async |ctx| {
        let balance = ctx.http().get(format!("/balance/{name}")).name("/balance/{name}").await?.error_for_status()?;
        ensure!(balance.text()? == format!("{name} has 100"));
        Ok(())
    })
    .await
}

fn main() -> Result {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("accounts.db");
    fill(&database)?;
    let bank = Service::start(
        Router::new().route("/balance/{name}", get(async |UrlPath(name): UrlPath<String>| format!("{name} has 100"))),
    )?;

    let scenario = Scenario::new().journey(look_at_balance, Accounts::open(&database)?, constant(100, 5 * SECOND));
    let report = Run::new(scenario.named("balances"))
        .config("bank_url", bank.url())
        // The bank shares this machine, and a debug build of it is slow: that must not fail the demonstration.
        .max_start_lag(SECOND)
        .run_blocking()?;
    println!("{report}");

    let used: [u32; 4] = Connection::open(&database)?.query_row(
        "SELECT sum(uses), min(uses), max(uses), sum(is_taken) FROM accounts WHERE NOT is_locked",
        [],
        |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]),
    )?;
    let [uses, least, most, taken] = used;
    println!(
        "The database counts {uses} uses of its accounts, {least} to {most} of each, and {taken} that are still taken."
    );
    ensure!(report.passed() && u64::from(uses) == report.journey("look_at_balance").started && taken == 0, "{used:?}");
    Ok(())
}

/// Accounts, of which a fifth cannot be used.
fn fill(database: &Path) -> Result {
    Connection::open(database)?.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         CREATE TABLE accounts (
             id INTEGER PRIMARY KEY,
             name TEXT NOT NULL,
             is_locked INTEGER NOT NULL,
             is_taken INTEGER NOT NULL DEFAULT FALSE,
             uses INTEGER NOT NULL DEFAULT 0
         ) STRICT;
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 250)
         INSERT INTO accounts (name, is_locked) SELECT 'account-' || n, n % 5 = 0 FROM numbers;",
    )?;
    Ok(())
}
