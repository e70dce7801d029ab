//! The files after crashes at any step: what the log has, each record once, in each runner's order.
//!
//! They have a file of their own, since what should be in the files is worked out here a second time.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::cluster::records::batch::Batch;

const RUN: &str = "run7";
const NAMES: [&str; 3] = ["users", "carts", "orders"];

/// What happens to the recorder next.
#[derive(Debug, Clone)]
enum Step {
    Take(usize),
    WriteFiles,
    SyncFiles,
    /// Up to the cursor's rename.
    WriteNext,
    Commit,
    /// It dies: of what was not durable, so many per cent are on the disk, and some bytes after it.
    Die {
        kept: u64,
        garbage: Vec<u8>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1usize..6).prop_map(Step::Take),
        1 => Just(Step::WriteFiles),
        1 => Just(Step::SyncFiles),
        1 => Just(Step::WriteNext),
        2 => Just(Step::Commit),
        2 => (0u64..=100, prop::collection::vec(any::<u8>(), 0..4)).prop_map(|(kept, garbage)| Step::Die { kept, garbage }),
    ]
}

/// What a runner records: the name, and whether it is purged.
type Records = Vec<(usize, bool)>;

/// The batches of each runner.
fn runners() -> impl Strategy<Value = Vec<Vec<Records>>> {
    let record = (0usize..NAMES.len(), prop::bool::weighted(0.05));
    // What is never purged is checked without regard to the order in which runners' batches came.
    let record = record.prop_map(|(name, purged)| (name, purged && NAMES[name] != "users"));
    prop::collection::vec(prop::collection::vec(prop::collection::vec(record, 1..6), 0..30), 1..4)
}

/// The log as it may be: batches of all runners in any order that a window allows, some of them twice.
fn log(runners: &[Vec<Records>], order: &[(usize, u64, bool)]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut sent: Vec<Vec<bool>> = runners.iter().map(|batches| vec![false; batches.len()]).collect();
    let mut order = order.iter().cycle();
    while let Some(&(runner, ahead, again)) = order.next()
        && sent.iter().flatten().any(|sent| !sent)
    {
        let rid = runner % runners.len();
        let Some(oldest) = sent[rid].iter().position(|sent| !sent) else { continue };
        let number = (oldest + (ahead % WINDOW) as usize).min(runners[rid].len() - 1);
        if sent[rid][number] && !again {
            continue;
        }
        sent[rid][number] = true;
        let mut batch = Batch::default();
        for (at, (name, purged)) in runners[rid][number].iter().enumerate() {
            let data = pack_row(rid, number, at);
            let record = if *purged { Record::Purged } else { Record::Created(&data) };
            batch.push(NAMES[*name], &record);
        }
        let producer = Producer { rid: rid as u32, boot: 5 };
        let id = BatchId { producer, number: number as u64 + 1 }.to_string();
        items.push(Item { sequence: items.len() as u64 + 1, lane: LANE.to_owned(), id, payload: batch.pack() });
    }
    items
}

fn pack_row(rid: usize, number: usize, at: usize) -> Vec<u8> {
    crate::pack::to_vec(&(rid, number, at)).unwrap()
}

/// What should be in each file after that log, beside what was there before the run; and how many records that are.
fn expected(runners: &[Vec<Records>], items: &[Item]) -> BTreeMap<&'static str, (bool, Vec<u8>, u64)> {
    let mut came: Vec<Vec<bool>> = runners.iter().map(|batches| vec![false; batches.len()]).collect();
    let mut done = vec![0; runners.len()];
    let mut files = BTreeMap::new();
    for item in items {
        let id: BatchId = item.id.parse().unwrap();
        let rid = id.producer.rid as usize;
        came[rid][id.number as usize - 1] = true;
        while came[rid].get(done[rid]) == Some(&true) {
            for (at, (name, purged)) in runners[rid][done[rid]].iter().enumerate() {
                if *purged {
                    files.insert(NAMES[*name], (true, Vec::new(), 0));
                } else {
                    let (_, bytes, count) = files.entry(NAMES[*name]).or_insert((false, Vec::new(), 0));
                    bytes.extend_from_slice(&pack_row(rid, done[rid], at));
                    *count += 1;
                }
            }
            done[rid] += 1;
        }
    }
    files
}

fn open(folder: &Path) -> RecordStore {
    RecordStore::open(Folder::new(folder), RUN, crate::recordings::Records::default()).unwrap()
}

/// Makes the disk what it may be after the machine has lost its power.
fn lose_power(folder: &Path, durable: &Cursor, kept: u64, garbage: &[u8]) {
    for name in NAMES {
        let path = folder.join(format!("{name}.msgpack"));
        let Some(state) = durable.files.get(name) else { continue };
        let Ok(bytes) = fs::read(&path) else {
            assert_eq!(state.length, 0, "{name} is durable and not there");
            // It was to be deleted, and that may not have come to the disk.
            if kept > 50 {
                fs::write(&path, garbage).unwrap();
            }
            continue;
        };
        let beyond = bytes.len() as u64 - state.length;
        if state.length == 0 && kept < 10 {
            // That it was made may not have come to the disk either.
            fs::remove_file(&path).unwrap();
            continue;
        }
        let mut left = bytes[..(state.length + beyond * kept / 100) as usize].to_vec();
        left.extend_from_slice(garbage);
        fs::write(&path, left).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn each_record_is_in_its_file_once_whatever_dies(
        runners in runners(),
        order in prop::collection::vec((0usize..4, 0u64..WINDOW, prop::bool::weighted(0.2)), 1..200),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        // A runner and an `ahead` that never come to all of them would not end.
        let mut order = order;
        order.extend((0..runners.len()).map(|runner| (runner, 0, false)));
        let items = log(&runners, &order);
        let dir = tempfile::tempdir().unwrap();
        let earlier = pack_row(99, 99, 99);
        fs::write(dir.path().join("users.msgpack"), &earlier).unwrap();
        fs::write(dir.path().join("carts.msgpack"), &earlier).unwrap();

        let mut store = open(dir.path());
        for step in steps {
            match step {
                Step::Take(count) => {
                    let from = store.taken() as usize;
                    for item in items.iter().skip(from).take(count) {
                        store.take(item.clone()).unwrap();
                    }
                }
                Step::WriteFiles => store.write_files().unwrap(),
                Step::SyncFiles => {
                    store.write_files().unwrap();
                    store.sync_files().unwrap();
                }
                Step::WriteNext => {
                    if store.is_dirty() {
                        store.write_files().unwrap();
                        store.sync_files().unwrap();
                        let mut reached = store.reached();
                        store.cursor_file.write_next(&mut reached).unwrap();
                    }
                }
                Step::Commit => {
                    if store.is_dirty() {
                        store.commit().unwrap();
                        prop_assert_eq!(store.durable(), store.taken());
                    }
                }
                Step::Die { kept, garbage } => {
                    let durable = store.durable.clone();
                    drop(store);
                    lose_power(dir.path(), &durable, kept, &garbage);
                    store = open(dir.path());
                    // What was purged from the log by now is not asked for again.
                    prop_assert_eq!(store.taken(), durable.taken);
                }
            }
        }
        for item in &items[store.taken() as usize..] {
            store.take(item.clone()).unwrap();
        }
        store.finish().unwrap();

        let expected = expected(&runners, &items);
        let counts = store.records().counts();
        for name in NAMES {
            let found = fs::read(dir.path().join(format!("{name}.msgpack"))).ok();
            let (was_purged, bytes, count) = expected.get(name).cloned().unwrap_or_default();
            let before = if was_purged || name == "orders" { &[][..] } else { &earlier[..] };
            let wanted = [before, &bytes].concat();
            prop_assert_eq!(found.unwrap_or_default(), wanted, "{}", name);
            prop_assert_eq!(counts.get(name).copied().unwrap_or_default(), count, "{}", name);
        }
        // The same once more without regard to how it is worked out above: each once, and each runner's in order.
        let found = fs::read(dir.path().join("users.msgpack")).unwrap();
        let mut rest = &found[earlier.len()..];
        let mut rows: Vec<(usize, usize, usize)> = Vec::new();
        while !rest.is_empty() {
            rows.push(rmp_serde::from_read(&mut rest).unwrap());
        }
        for (rid, batches) in runners.iter().enumerate() {
            let recorded: Vec<_> = rows.iter().filter(|row| row.0 == rid).map(|row| (row.1, row.2)).collect();
            let sent = batches.iter().enumerate().flat_map(|(number, records)| {
                records.iter().enumerate().filter(|(_, (name, _))| NAMES[*name] == "users").map(move |(at, _)| (number, at))
            });
            prop_assert_eq!(recorded, sent.collect::<Vec<_>>());
        }
        store.delete_cursor().unwrap();
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        prop_assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{:?}", left);
    }
}

#[test]
fn a_file_that_was_changed_meanwhile_is_refused() {
    let runners = vec![vec![vec![(0, false)]; 3]];
    let items = log(&runners, &[(0, 0, false)]);
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.take(items[0].clone()).unwrap();
    store.commit().unwrap();
    drop(store);
    let path = dir.path().join("users.msgpack");
    fs::write(&path, b"\x01").unwrap();
    let error = RecordStore::open(Folder::new(dir.path()), RUN, crate::recordings::Records::default()).unwrap_err();
    assert!(
        error.to_string().ends_with("has 1 bytes, and this run has recorded up to byte 4 of it: it was changed"),
        "{error}"
    );
    fs::remove_file(&path).unwrap();
    let error = RecordStore::open(Folder::new(dir.path()), RUN, crate::recordings::Records::default()).unwrap_err();
    assert!(error.to_string().contains("was deleted or moved away"), "{error}");
}

#[test]
fn items_are_taken_in_their_order_and_what_is_no_batch_is_told() {
    let runners = vec![vec![vec![(0, false)]; 3]];
    let items = log(&runners, &[(0, 0, false)]);
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let told = |store: &mut RecordStore, item: &Item| store.take(item.clone()).unwrap_err().to_string();
    assert!(told(&mut store, &items[1]).starts_with("items 1 to 1 of the log of the run's records are gone"));
    store.take(items[0].clone()).unwrap();
    assert_eq!(
        told(&mut store, &items[0]),
        "item 1 of the log of the run's records cannot be read: its number was read already: the last was 1"
    );
    let other = Item { id: "hello".to_owned(), ..items[1].clone() };
    assert!(told(&mut store, &other).ends_with("its id is not that of a batch"));
    let other = Item { payload: b"\xc1".to_vec(), ..items[1].clone() };
    assert!(told(&mut store, &other).ends_with("it is no batch of records"));
}
