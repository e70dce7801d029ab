//! The examples are run as their first line says, and must come to their end; what they tell is theirs and their service's count.

use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// One after the other: each has promises about time.
static TURN: Mutex<()> = Mutex::new(());

fn example(name: &str) -> Output {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new(env!("CARGO"));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    command.args(["run", "--quiet", "--manifest-path", manifest, "--example", name]);
    command.output().expect("cargo is there")
}

/// What an example has printed, once it has succeeded.
fn told(name: &str) -> String {
    let output = example(name);
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    told
}

#[test]
fn shop() {
    let told = told("shop");
    for words in ["a_day_in_the_shop: passed", "shop:browse", "shop:leave_a_cart", "shop:buy", "The shop has sold"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn spike() {
    let told = told("spike");
    for words in ["spike of 120: passed", "spike of 1200: aborted", "and should be"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn replay() {
    let told = told("replay");
    for words in ["replay: passed", "and the service has seen the same", "of their time in the log"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn database_pool() {
    let told = told("database_pool");
    for words in ["balances: passed", "The database counts 500 uses of its accounts", "and 0 that are still taken"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

/// Each example says in its first line how it is run.
#[test]
fn first_lines() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        let main = [path.clone(), path.join("main.rs")].into_iter().find(|file| file.is_file());
        let Some(main) = main else { continue };
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(main).expect("it is text");
        assert!(text.starts_with(&format!("//! `cargo run --release --example {name}")), "{name}: {text:.80}");
        seen.push(name);
    }
    seen.sort();
    assert_eq!(seen, ["database_pool", "load", "replay", "shop", "signup", "spike", "tcp_protocol"]);
}
