//! A pool over a file hands out exactly the rows that were written, in order or in a seed's, once or again and again; what is wrong
//! with a file is told with its row.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use common::ran;
use mite_core::volume::{SECOND, at_once, constant};
use mite_core::{Checkout, Config, Context, Csv, DataPool, FileDataPool, FileRows, Result, Run, Scenario, pack};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct User {
    name: String,
    age: Option<u32>,
}

/// A file of these bytes, and the folder that it is in.
fn file(bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn msgpack(users: &[User]) -> Vec<u8> {
    users.iter().flat_map(|user| pack::to_vec(user).unwrap()).collect()
}

fn json_lines(users: &[User]) -> Vec<u8> {
    users.iter().flat_map(|user| [serde_json::to_vec(user).unwrap(), b"\n".to_vec()].concat()).collect()
}

fn csv(users: &[User]) -> Vec<u8> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = "name,age\n".to_owned();
    for User { name, age } in users {
        writeln!(text, "{},{}", quoted(name), age.map_or_else(String::new, |age| age.to_string())).unwrap();
    }
    text.into_bytes()
}

/// Each format: how it is written, and how it is opened.
type Format = (&'static str, fn(&[User]) -> Vec<u8>, fn(&Path) -> FileDataPool<User>);

const FORMATS: [Format; 3] = [
    ("MessagePack", msgpack, |path| FileDataPool::msgpack(path).unwrap()),
    ("JSON lines", json_lines, |path| FileDataPool::json_lines(path).unwrap()),
    ("CSV", csv, |path| FileDataPool::csv(path).unwrap()),
];

fn users(most: usize) -> impl Strategy<Value = Vec<User>> {
    let user = ("[a-z\"\n\r, é\u{1f600}]{0,12}", prop::option::of(any::<u32>()));
    prop::collection::vec(user.prop_map(|(name, age)| User { name, age }), 0..most)
}

fn many(count: usize) -> Vec<User> {
    (0..count).map(|n| User { name: format!("user{n}"), age: Some(n as u32) }).collect()
}

/// All that a pool hands out until it has no more.
async fn all<T: 'static>(pool: &FileDataPool<T>) -> Vec<(u64, T)> {
    let mut all = Vec::new();
    while let Checkout::Item { id, item } = pool.checkout(&Config::new()).await.unwrap() {
        all.push((id, item));
    }
    all
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_rows_are_those_that_were_written(users in users(60), seed: u64) {
        for (name, write, open) in FORMATS {
            let (_folder, path) = file(write(&users));
            let numbered: Vec<(u64, User)> = (1..).zip(users.iter().cloned()).collect();
            let pool = open(&path);
            prop_assert_eq!(pool.rows().len(), users.len() as u64);
            prop_assert_eq!(pool.check().is_err(), users.is_empty());
            prop_assert_eq!(&block_on(all(&pool)), &numbered, "{}", name);
            prop_assert_eq!(pool.left(), Some(0));
            prop_assert!(pool.ends() && pool.check().is_err());

            // Shuffled they are the same rows, and a seed's order is that of each format.
            let shuffled = block_on(all(&pool.clone().shuffled(seed)));
            let again = block_on(all(&open(&path).shuffled(seed)));
            prop_assert_eq!(&shuffled, &again);
            let mut sorted = shuffled;
            sorted.sort_by_key(|(id, _)| *id);
            prop_assert_eq!(&sorted, &numbered, "{}", name);

            // One row by itself, from behind.
            for (id, user) in numbered.iter().rev() {
                prop_assert_eq!(&pool.rows().read(id - 1).unwrap(), user);
            }
        }
    }

    /// Cut anywhere, a file has the rows before the cut, or says which row is torn: it never has others.
    #[test]
    fn a_file_that_is_cut_has_no_other_rows(users in users(20), part in 0.0f64..1.0) {
        for (name, write, _) in FORMATS {
            let bytes = write(&users);
            let cut = (bytes.len() as f64 * part) as usize;
            let (_folder, path) = file(&bytes[..cut]);
            let opened: Result<FileRows<User>, _> = match name {
                "CSV" => FileRows::csv(&path),
                "MessagePack" => FileRows::msgpack(&path),
                _ => FileRows::json_lines(&path),
            };
            match opened {
                Ok(rows) => {
                    // CSV cannot tell a number, or an empty field, that was cut from one that is whole.
                    let whole = if name == "CSV" { rows.len().saturating_sub(1) } else { rows.len() };
                    prop_assert!(rows.len() <= users.len() as u64);
                    for index in 0..whole {
                        prop_assert_eq!(&rows.read(index).unwrap(), &users[index as usize], "{}", name);
                    }
                }
                Err(error) => {
                    let told = error.to_string();
                    let row = told.split("row ").nth(1).and_then(|text| text.split([',', ':']).next()).map(str::parse::<u64>);
                    prop_assert!(matches!(row, Some(Ok(row)) if row >= 1 && row <= users.len() as u64 + 1), "{}", told);
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_its_row() {
    // What is after the file's name.
    fn told<T>(opened: impl FnOnce(&Path) -> Result<FileRows<T>, mite_core::FileRowsError>, bytes: &[u8]) -> String {
        let (_folder, path) = file(bytes);
        let text = opened(&path).unwrap_err().to_string();
        text.strip_prefix(&*path.to_string_lossy()).unwrap_or(&text).to_owned()
    }
    let packed = msgpack(&many(2));
    let len = packed.len();
    let msgpack = |path: &Path| FileRows::msgpack::<User>(path);
    assert!(
        told(msgpack, &packed[..len - 1])
            .starts_with(": row 2, which begins at byte 17, is cut off by the end of the file")
    );
    assert_eq!(told(msgpack, &[&packed[..], b"\xc1"].concat()), ": row 3, at byte 34: there is no MessagePack value");
    assert_eq!(
        told(msgpack, &[&packed[..], b"\x05"].concat()),
        ": row 3, at byte 34, does not fit: invalid type: integer `5`, expected struct User"
    );

    let json = |path: &Path| FileRows::json_lines::<User>(path);
    assert!(
        told(json, b"{\"name\": \"a\"}\n\n{\"name\": \"b").contains(": row 2, which begins at byte 15, is cut off")
    );
    assert_eq!(told(json, b"{\"name\": \"a\"}\n{\"name\": b}\n"), ": row 2, at byte 23: expected value");
    assert_eq!(
        told(json, b"{\"name\": \"a\"}\n{\"name\": \"b\", \"age\": \"old\"}\n"),
        ": row 2, at byte 14, does not fit in field `age`: invalid type: string \"old\", expected u32"
    );

    let csv = |path: &Path| FileRows::csv::<User>(path);
    assert_eq!(
        told(csv, b"name,age\nann,7\nbob,8,9\n"),
        ": row 2, at byte 15: it has 3 fields, and there are 2 columns"
    );
    assert_eq!(
        told(csv, b"name,age\nann,7\nbob,old\n"),
        ": row 2, at byte 15, does not fit in field `age`: invalid digit found in string"
    );
    assert!(told(csv, b"name,age\nann,7\n\"bo\nb").contains(": row 2, which begins at byte 15, is cut off"));
    assert!(told(csv, b"name,age\nann,7\nbo").contains(": row 2, which begins at byte 15, is cut off"));
    assert_eq!(told(csv, b"nam,age\nann,7\n"), ": row 1, at byte 8, does not fit: missing field `name`");
    let plain = Csv::new().no_heading();
    assert_eq!(
        told(|path| FileRows::csv_with::<(String, u32)>(path, plain), b"ann,7\nbob,old\n"),
        ": row 2, at byte 6, does not fit in field `2`: invalid digit found in string"
    );
    assert!(
        told(|path| FileRows::csv_with::<User>(path, plain.delimiter(b'"')), b"")
            .contains("cannot stand between fields")
    );
    let missing = FileRows::csv::<User>("no/such/users.csv").unwrap_err().to_string();
    assert!(missing.starts_with("failed to read no/such/users.csv: No such file"), "{missing}");
}

#[test]
fn a_text_may_begin_with_a_mark_and_end_without_a_line_end() {
    let (_folder, path) = file("\u{feff}name;age\r\n\r\nann;7\r\n\"bob;\"\"b\"\"\";");
    let rows = FileRows::csv_with::<User>(&path, Csv::new().delimiter(b';')).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows.read(1).unwrap(), User { name: "bob;\"b\"".into(), age: None });
    let tuples = FileRows::csv_with::<(String,)>(&path, Csv::new().delimiter(b';')).unwrap();
    assert_eq!(tuples.read(0).unwrap(), ("ann".to_owned(),));
    let (_folder, path) = file("\u{feff}[\"ann\", 7]\n \n[\"bob\", 8]");
    let rows = FileRows::json_lines::<(String, u32)>(&path).unwrap();
    assert_eq!((rows.len(), rows.read(1).unwrap()), (2, ("bob".to_owned(), 8)));
}

#[test]
fn rows_longer_than_what_is_read_at_once_are_whole() {
    let long = |letter: char, len| User { name: letter.to_string().repeat(len), age: None };
    let users = [long('a', 3 << 20), long('b', 1), long('c', (1 << 20) - 30), long('d', 5 << 20)];
    for (name, write, open) in FORMATS {
        let (_folder, path) = file(write(&users));
        let rows: Vec<User> = block_on(all(&open(&path))).into_iter().map(|(_, user)| user).collect();
        assert!(rows == users, "{name}");
    }
}

#[test]
fn a_pool_without_rows_is_refused_with_its_file() {
    let (_folder, path) = file("name,age\n");
    let error = FileDataPool::csv::<(String, u32)>(&path).unwrap().recyclable().check().unwrap_err();
    assert_eq!(error.to_string(), format!("{} has no rows: journeys would have nothing to run on", path.display()));
}

#[test]
fn a_file_that_was_cut_off_since_is_told() {
    let (_folder, path) = file(msgpack(&many(10_000)));
    let rows = FileRows::msgpack::<User>(&path).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(500).unwrap();
    assert!(rows.read(3).is_ok());
    let told = rows.read(9_999).unwrap_err().to_string();
    assert!(told.contains("row 10000 is not where it was when the file was opened"), "{told}");
    let told = rows.read(10_000).unwrap_err().to_string();
    assert!(told.ends_with("there is no row at index 10000: the file has 10000"), "{told}");
}

#[test]
fn of_a_large_file_some_rows_are_tried_and_all_can_be() {
    let mut text = String::new();
    for row in 0..200_000 {
        // The second row is none of those that are tried, which are every other one, from the first on.
        text.push_str(if row == 1 { "[\"old\"]\n" } else { "[7]\n" });
    }
    let (_folder, path) = file(&text);
    let rows = FileRows::json_lines::<(u32,)>(&path).unwrap();
    let told = rows.check_all().unwrap_err().to_string();
    assert!(told.contains("row 2, at byte 4, does not fit in field `[0]`"), "{told}");
    let (_folder, path) = file(text.replacen("[7]\n", "[\"old\"]\n", 1));
    assert!(FileRows::json_lines::<(u32,)>(&path).is_err());
}

async fn sign_in(ctx: &mut Context, user: String, _age: u32) -> Result {
    ctx.record("signed_in", user).await
}

#[tokio::test]
async fn a_run_uses_each_row_once_and_ends_with_the_file() {
    let (_folder, path) = file(csv(&many(1000)));
    for workers in 1..=3 {
        let pool = FileDataPool::csv::<(String, u32)>(&path).unwrap().shuffled(workers);
        let scenario = Scenario::new().journey(sign_in, pool.clone(), constant(2000, 60 * SECOND));
        let report = ran(Run::new(scenario).workers(workers as usize).record_in_memory()).await;
        assert_eq!(report.journey("sign_in").completed, 1000, "{report}");
        let mut signed_in: Vec<String> = report.recorded("signed_in").unwrap();
        signed_in.sort_unstable();
        signed_in.dedup();
        assert_eq!(signed_in.len(), 1000);
        let again = Run::new(Scenario::new().journey(sign_in, pool, at_once(1))).record_in_memory();
        let refused = again.run().await.unwrap_err().to_string();
        assert!(refused.contains("all 1000 rows of"), "{refused}");
    }
}

#[tokio::test]
async fn rows_that_are_left_are_told() {
    let (_folder, path) = file(csv(&many(100)));
    let pool = FileDataPool::csv::<(String, u32)>(&path).unwrap();
    let report = ran(Run::new(Scenario::new().journey(sign_in, pool, at_once(30))).record_in_memory()).await;
    assert_eq!(report.journey("sign_in").unused_items, Some(70));
}

#[tokio::test]
async fn rows_come_back_whatever_becomes_of_their_journeys() {
    let (_folder, path) = file(json_lines(&many(3)));
    let pool = FileDataPool::json_lines(&path).unwrap().map(|user: User| (user.name, user.age.unwrap_or(0)));
    let pool = pool.recyclable().shuffled(3);
    // It returns, fails, panics or is cut off, by turns.
    let journey = async |ctx: &mut Context, _name: String, _age: u32| match ctx.start_index() % 4 {
        0 => Ok(()),
        1 => mite_core::bail!("no"),
        2 => panic!("no"),
        _ => std::future::pending().await,
    };
    let row = mite_core::Row::new(journey, pool.clone(), constant(3, SECOND).running().iterations(20));
    let row = row.named("turns").timeout(SECOND / 100);
    let report = Run::new(Scenario::new().row(row)).workers(2).run().await.unwrap();
    assert_eq!(report.journey("turns").started, 20, "{report}");
    // All are free again.
    let ids = all(&pool).await.len();
    assert_eq!(ids, 3);
}

#[test]
fn no_two_threads_have_the_same_row() {
    let rows = 2000;
    let (_folder, path) = file(msgpack(&many(rows)));
    let once = FileDataPool::msgpack::<User>(&path).unwrap().shuffled(9);
    let again = once.clone().recyclable();
    let (seen, out, rounds) = (Mutex::new(BTreeMap::new()), Arc::new(Mutex::new(vec![false; rows])), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (id, user) in block_on(all(&once)) {
                    assert_eq!(user.age, Some(id as u32 - 1));
                    assert_eq!(seen.lock().unwrap().insert(id, user), None);
                }
            });
            scope.spawn(|| {
                while rounds.fetch_add(1, Relaxed) < 3 * rows as u64 {
                    let Checkout::Item { id, item } = block_on(again.checkout(&Config::new())).unwrap() else {
                        panic!("four are out at the most");
                    };
                    assert_eq!(item.age, Some(id as u32 - 1));
                    let place = id as usize - 1;
                    assert!(!std::mem::replace(&mut out.lock().unwrap()[place], true), "row {id} is out twice");
                    out.lock().unwrap()[place] = false;
                    again.checkin(id);
                }
            });
        }
    });
    assert_eq!(seen.lock().unwrap().len(), rows);
}

#[tokio::test]
async fn who_waits_for_a_row_is_woken_by_its_return() {
    let (_folder, path) = file(msgpack(&many(1)));
    let pool = FileDataPool::msgpack::<User>(&path).unwrap().recyclable();
    let Checkout::Item { id, .. } = pool.checkout(&Config::new()).await.unwrap() else { panic!("it is free") };
    assert_eq!(pool.checkout(&Config::new()).await.unwrap(), Checkout::NoneFree);
    let waiting = pool.clone();
    let woken = tokio::spawn(async move {
        waiting.available().await;
        matches!(waiting.checkout(&Config::new()).await, Ok(Checkout::Item { .. }))
    });
    tokio::task::yield_now().await;
    pool.checkin(id);
    assert!(woken.await.unwrap());
}

#[tokio::test]
async fn a_row_that_does_not_fit_fails_its_start_and_is_named() {
    // Of these rows every fourth is tried when the file is opened.
    let text = "[7]\n".repeat(150_001) + "[\"old\"]\n" + &"[7]\n".repeat(149_999);
    let (_folder, path) = file(&text);
    let pool = FileDataPool::json_lines::<(u32,)>(&path).unwrap();
    for _ in 0..150_001 {
        let _ = pool.checkout(&Config::new()).await.unwrap();
    }
    let journey = async |_: &mut Context, _: u32| Ok(());
    let row = mite_core::Row::new(journey, pool, at_once(2)).named("ages");
    let report = Run::new(Scenario::new().row(row)).run().await.unwrap();
    let ages = report.journey("ages");
    assert_eq!((ages.starved, ages.completed), (1, 1), "{report}");
    assert!(report.to_string().contains("row 150002, at byte 600004, does not fit in field `[0]`"), "{report}");
}
