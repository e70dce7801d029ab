//! What every form of the three traits must do, as functions that a test calls with two connections to the same.
//! It is separate, and public with the feature `testing`, so that each form is held to the same, wherever it lives.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{BusError, Discard, Entry, Fabric, Item, Kept, Log, Reader, Register};

/// Longer than anything takes, on any machine; what takes longer hangs.
const LONG: Duration = Duration::from_secs(60);
/// What a log keeps where that does not matter.
const ALL: Kept = Kept { dedupe: Duration::from_secs(120), most_bytes: None, discard: Discard::New, age: None };

/// All of them, one after the other. Registers and logs of the names that they use are deleted before and after.
///
/// # Panics
/// One of them does not hold.
///
/// ```
/// use mite_core::bus::{Local, conformance};
///
/// let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
/// let local = Local::new();
/// runtime.block_on(conformance::all(&local, &local.clone()));
/// ```
pub async fn all(ours: &dyn Fabric, theirs: &dyn Fabric) {
    messages_reach_who_subscribed(ours, theirs).await;
    requests_are_answered(ours, theirs).await;
    requests_that_nobody_answers_fail(ours, theirs).await;
    names_that_are_none_are_refused(ours).await;
    a_key_is_swapped_by_who_knows_it(ours, theirs).await;
    of_two_writers_each_loses_nothing(ours, theirs).await;
    a_key_that_is_free_is_taken_once(ours, theirs).await;
    keys_are_listed(ours, theirs).await;
    a_key_is_followed(ours, theirs).await;
    a_log_keeps_its_order(ours, theirs).await;
    an_id_is_stored_once(ours, theirs).await;
    an_id_is_forgotten_in_time(ours).await;
    a_reader_waits(ours, theirs).await;
    two_writers_have_one_order(ours, theirs).await;
    a_full_log_refuses(ours).await;
    a_log_forgets_its_oldest(ours).await;
    items_grow_old(ours).await;
    what_is_purged_is_gone(ours, theirs).await;
    what_is_deleted_is_gone(ours, theirs).await;
    a_log_is_what_it_was_made(ours, theirs).await;
}

/// What comes in time, or a panic.
async fn in_time<T>(what: &str, later: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, later).await.unwrap_or_else(|_| panic!("{what}: nothing came in {LONG:?}"))
}

/// What comes, or a panic.
async fn soon<T>(what: &str, later: impl Future<Output = Result<T, BusError>>) -> T {
    in_time(what, later)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error} ({:?})", std::error::Error::source(&error)))
}

/// The error that comes, or a panic.
async fn fails<T>(what: &str, later: impl Future<Output = Result<T, BusError>>) -> BusError {
    match in_time(what, later).await {
        Ok(_) => panic!("{what}: it did not fail"),
        Err(error) => error,
    }
}

/// A register with nothing in it.
async fn register(fabric: &dyn Fabric) -> Arc<dyn Register> {
    soon("deleting a register", fabric.delete_register("conformance")).await;
    soon("opening a register", fabric.register("conformance")).await
}

/// A log with nothing in it.
async fn log(fabric: &dyn Fabric, kept: Kept) -> Arc<dyn Log> {
    soon("deleting a log", fabric.delete_log("conformance")).await;
    soon("opening a log", fabric.log("conformance", kept)).await
}

async fn end(fabric: &dyn Fabric) {
    soon("deleting a register", fabric.delete_register("conformance")).await;
    soon("deleting a log", fabric.delete_log("conformance")).await;
}

async fn append(log: &dyn Log, lane: &str, id: &str, payload: &[u8]) -> u64 {
    soon("appending", log.append(lane, id, payload.to_vec())).await
}

/// The next items.
async fn read(reader: &mut dyn Reader, number: usize) -> Vec<Item> {
    let mut items = Vec::new();
    for _ in 0..number {
        items.push(soon("reading", reader.next()).await);
    }
    items
}

/// Whoever subscribed to a pattern of a subject has what is published on it, in its order, and nothing else.
///
/// # Panics
/// It does not hold.
pub async fn messages_reach_who_subscribed(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let (bus, other) = (ours.bus(), theirs.bus());
    let mut all = soon("subscribing", bus.subscribe("conformance.>")).await;
    let mut one = soon("subscribing", bus.subscribe("conformance.*.b")).await;
    let mut exact = soon("subscribing", other.subscribe("conformance.a.b")).await;
    for (subject, payload) in [("a.c", b"1"), ("a.b", b"2"), ("a.b.c", b"3"), ("x.b", b"4")] {
        soon("publishing", other.publish(&format!("conformance.{subject}"), payload.to_vec())).await;
    }
    let mut told = Vec::new();
    for (subscription, number) in [(&mut all, 4), (&mut one, 2), (&mut exact, 1)] {
        for _ in 0..number {
            let delivery = soon("a message", subscription.next()).await.expect("the bus is there");
            assert!(!delivery.is_request());
            told.push((delivery.subject().to_owned(), delivery.into_payload()));
        }
    }
    let expected = ["a.c 1", "a.b 2", "a.b.c 3", "x.b 4", "a.b 2", "x.b 4", "a.b 2"];
    let told: Vec<_> = told.into_iter().map(|(subject, payload)| (subject, String::from_utf8(payload))).collect();
    let expected: Vec<_> = expected.iter().filter_map(|row| row.split_once(' ')).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(subject, payload)| (format!("conformance.{subject}"), Ok((*payload).to_owned())))
        .collect();
    assert_eq!(told, expected);
}

/// A request has the answer of who was asked; what was published has none.
///
/// # Panics
/// It does not hold.
pub async fn requests_are_answered(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let (bus, other) = (ours.bus(), theirs.bus());
    let mut asked = soon("subscribing", other.subscribe("conformance.ask.*")).await;
    for number in 0..20_u8 {
        let answering = async {
            let delivery = asked.next().await?.expect("the bus is there");
            assert!(delivery.is_request());
            let answer = [delivery.payload(), b" it is"].concat();
            delivery.respond(answer).await
        };
        let subject = format!("conformance.ask.{number}");
        let requesting = bus.request(&subject, vec![number], LONG);
        let (answer, answered) = tokio::join!(requesting, answering);
        assert_eq!(answer.expect("it is answered"), [&[number], &b" it is"[..]].concat());
        answered.expect("it can be answered");
    }
    soon("publishing", bus.publish("conformance.ask.x", b"hello".to_vec())).await;
    let published = soon("a message", asked.next()).await.expect("the bus is there");
    assert!(fails("an answer to what was published", published.respond(Vec::new())).await.is_invalid());
}

/// A request that nobody can answer fails at once, one that nobody answers when its time is over.
///
/// # Panics
/// It does not hold.
pub async fn requests_that_nobody_answers_fail(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let (bus, other) = (ours.bus(), theirs.bus());
    let error = fails("a request to nobody", bus.request("conformance.nobody", vec![], 2 * LONG)).await;
    assert!(error.nobody_answers(), "{error}");

    let mut asked = soon("subscribing", other.subscribe("conformance.silent")).await;
    let (within, began) = (Duration::from_millis(100), Instant::now());
    let error = fails("a request without an answer", bus.request("conformance.silent", vec![], within)).await;
    assert!(error.is_timeout(), "{error}");
    assert!(began.elapsed() >= within, "it waited {:?}", began.elapsed());
    let delivery = soon("a message", asked.next()).await.expect("the bus is there");
    // Nobody waits any more, which is no error of who answers.
    soon("answering too late", delivery.respond(vec![])).await;

    drop(asked);
    let error = fails("a request to who is gone", other.request("conformance.silent", vec![], 2 * LONG)).await;
    assert!(error.nobody_answers(), "{error}");
}

/// What is no name, subject, pattern, key, lane or id is refused, and nothing happens.
///
/// # Panics
/// It does not hold.
pub async fn names_that_are_none_are_refused(fabric: &dyn Fabric) {
    let (bus, register, log) = (fabric.bus(), register(fabric).await, log(fabric, ALL).await);
    let errors = [
        fails("a subject", bus.publish("a b", vec![])).await,
        fails("a subject", bus.publish("conformance.*", vec![])).await,
        fails("a subject", bus.request("", vec![], LONG)).await,
        fails("a pattern", bus.subscribe("a.>.b")).await,
        fails("a name", fabric.register("a.b")).await,
        fails("a name", fabric.delete_register("")).await,
        fails("a name", fabric.log("a/b", ALL)).await,
        fails("a name", fabric.delete_log("*")).await,
        fails("a log", fabric.log("conformance_x", Kept { most_bytes: Some(0), ..ALL })).await,
        fails("a key", register.get("*")).await,
        fails("a key", register.set_if(">", None, vec![])).await,
        fails("a key", register.watch("")).await,
        fails("a key", register.delete("a b")).await,
        fails("a pattern", register.keys("a*")).await,
        fails("a lane", log.append("*", "1", vec![])).await,
        fails("an id", log.append("a", "", vec![])).await,
        fails("an id", log.append("a", "1\r\nX: y", vec![])).await,
        fails("a pattern", log.read("a..b", 1)).await,
    ];
    for error in errors {
        assert!(error.is_invalid(), "{error}");
    }
    assert_eq!(soon("the end", log.last()).await, 0);
    end(fabric).await;
}

/// A key is written by whoever knows its revision, and each read sees what was written before it.
///
/// # Panics
/// It does not hold.
pub async fn a_key_is_swapped_by_who_knows_it(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let register = register(ours).await;
    let other = soon("opening a register", theirs.register("conformance")).await;
    assert_eq!(soon("reading", register.get("a.b")).await, None);
    let first = soon("writing", register.set_if("a.b", None, b"1".to_vec())).await;
    let entry = Entry { revision: first, value: b"1".to_vec() };
    assert_eq!(soon("reading", other.get("a.b")).await, Some(entry));

    assert!(fails("writing over", other.set_if("a.b", None, b"x".to_vec())).await.is_conflict());
    assert!(fails("writing over", other.set_if("a.b", Some(first + 1), b"x".to_vec())).await.is_conflict());
    assert!(fails("writing over", other.set_if("a.c", Some(first), b"x".to_vec())).await.is_conflict());
    let second = soon("writing", other.set_if("a.b", Some(first), Vec::new())).await;
    assert!(second > first);
    assert!(fails("writing over", register.set_if("a.b", Some(first), b"x".to_vec())).await.is_conflict());
    assert_eq!(soon("reading", register.get("a.b")).await, Some(Entry { revision: second, value: Vec::new() }));

    // What is deleted has no value, and its revisions are not used again.
    soon("deleting", other.delete("a.b")).await;
    soon("deleting again", register.delete("a.b")).await;
    soon("deleting what is not there", register.delete("a.c")).await;
    assert_eq!(soon("reading", register.get("a.b")).await, None);
    assert!(fails("writing over", register.set_if("a.b", Some(second), b"x".to_vec())).await.is_conflict());
    let third = soon("writing", register.set_if("a.b", None, b"3".to_vec())).await;
    assert!(third > second);
    assert!(fails("writing over", other.set_if("a.b", None, b"x".to_vec())).await.is_conflict());
    assert_eq!(soon("reading", other.get("a.b")).await, Some(Entry { revision: third, value: b"3".to_vec() }));
    end(ours).await;
}

/// Adds one to a number so many times.
async fn count(register: &dyn Register, times: u64) -> u64 {
    let mut conflicts = 0;
    let mut done = 0;
    while done < times {
        let entry = soon("reading", register.get("count")).await;
        let number = entry
            .as_ref()
            .map_or(0, |entry| String::from_utf8_lossy(&entry.value).parse::<u64>().expect("it was written below"));
        let revision = entry.map(|entry| entry.revision);
        match register.set_if("count", revision, (number + 1).to_string().into_bytes()).await {
            Ok(_) => done += 1,
            Err(error) if error.is_conflict() => conflicts += 1,
            Err(error) => panic!("writing: {error}"),
        }
    }
    conflicts
}

/// Two who count at the same time count all.
///
/// # Panics
/// It does not hold.
pub async fn of_two_writers_each_loses_nothing(ours: &dyn Fabric, theirs: &dyn Fabric) {
    const TIMES: u64 = 100;
    let register = register(ours).await;
    let other = soon("opening a register", theirs.register("conformance")).await;
    tokio::join!(count(&*register, TIMES), count(&*other, TIMES));
    let entry = soon("reading", register.get("count")).await.expect("it was written");
    assert_eq!(String::from_utf8_lossy(&entry.value), (2 * TIMES).to_string());
    end(ours).await;
}

/// Of several who take a key at the same time one has it, and all others know that they have not.
///
/// # Panics
/// It does not hold.
pub async fn a_key_that_is_free_is_taken_once(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let register = register(ours).await;
    let other = soon("opening a register", theirs.register("conformance")).await;
    for round in 0..20 {
        let key = format!("leader.{}", round % 2);
        let (one, two, three, four) = tokio::join!(
            register.set_if(&key, None, b"1".to_vec()),
            other.set_if(&key, None, b"2".to_vec()),
            register.set_if(&key, None, b"3".to_vec()),
            other.set_if(&key, None, b"4".to_vec()),
        );
        let results = [one, two, three, four];
        let winners: Vec<_> = (1..).zip(&results).filter_map(|(who, result)| result.is_ok().then_some(who)).collect();
        assert!(results.iter().flat_map(Result::as_ref).count() == 1, "{results:?}");
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(BusError::is_conflict), "{results:?}");
        let entry = soon("reading", register.get(&key)).await.expect("it was written");
        assert_eq!(String::from_utf8_lossy(&entry.value), winners[0].to_string());
        // The next ones find what was deleted.
        soon("deleting", other.delete(&key)).await;
    }
    end(ours).await;
}

/// The keys that have a value, by a pattern.
///
/// # Panics
/// It does not hold.
pub async fn keys_are_listed(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let register = register(ours).await;
    let other = soon("opening a register", theirs.register("conformance")).await;
    assert_eq!(soon("listing", other.keys(">")).await, Vec::<String>::new());
    for key in ["b", "a.2", "a.1", "a.3", "a.b.c"] {
        soon("writing", register.set_if(key, None, b"x".to_vec())).await;
    }
    soon("deleting", register.delete("a.2")).await;
    for (pattern, keys) in [
        (">", &["a.1", "a.3", "a.b.c", "b"][..]),
        ("a.*", &["a.1", "a.3"]),
        ("a.>", &["a.1", "a.3", "a.b.c"]),
        ("b", &["b"]),
        ("a.2", &[]),
        ("c.>", &[]),
    ] {
        assert_eq!(soon("listing", other.keys(pattern)).await, keys, "{pattern}");
    }
    end(ours).await;
}

/// A key is followed from what it is, and the last change is told.
///
/// # Panics
/// It does not hold.
pub async fn a_key_is_followed(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let register = register(ours).await;
    let other = soon("opening a register", theirs.register("conformance")).await;
    let mut empty = soon("following", other.watch("a")).await;
    let mut revision = soon("writing", register.set_if("a", None, b"0".to_vec())).await;
    soon("writing", register.set_if("b", None, b"of another key".to_vec())).await;
    let mut watch = soon("following", other.watch("a")).await;
    for watch in [&mut empty, &mut watch] {
        let entry = soon("a change", watch.next()).await;
        assert_eq!(entry, Some(Entry { revision, value: b"0".to_vec() }));
    }
    for number in 1..=50 {
        revision = soon("writing", register.set_if("a", Some(revision), number.to_string().into_bytes())).await;
    }
    // Not each of them, but the last.
    let mut told = 0;
    while told < revision {
        let entry = soon("a change", watch.next()).await.expect("it was not deleted");
        assert!(entry.revision > told);
        told = entry.revision;
    }
    assert_eq!(told, revision);
    soon("deleting", register.delete("a")).await;
    assert_eq!(soon("a change", watch.next()).await, None);
    let revision = soon("writing", register.set_if("a", None, b"anew".to_vec())).await;
    assert_eq!(soon("a change", watch.next()).await, Some(Entry { revision, value: b"anew".to_vec() }));
    end(ours).await;
}

/// Items are read in the order in which they were appended, from any number on and by lane.
///
/// # Panics
/// It does not hold.
pub async fn a_log_keeps_its_order(ours: &dyn Fabric, theirs: &dyn Fabric) {
    const ITEMS: u64 = 600;
    let log = log(ours, ALL).await;
    let other = soon("opening a log", theirs.log("conformance", ALL)).await;
    assert_eq!(soon("the end", log.last()).await, 0);
    for number in 1..=ITEMS {
        let lane = if number % 3 == 0 { "c" } else { "a.b" };
        let sequence = append(&*log, lane, &format!("id{number}"), number.to_string().as_bytes()).await;
        assert_eq!(sequence, number);
    }
    assert_eq!(soon("the end", other.last()).await, ITEMS);
    for (lanes, from) in [(">", 0), (">", 1), (">", 599), ("a.*", 1), ("c", 1), ("*", 10), ("a.>", 300)] {
        let mut reader = soon("opening a reader", other.read(lanes, from)).await;
        let expected = (from.max(1)..=ITEMS).filter_map(|sequence| {
            let lane = if sequence % 3 == 0 { "c" } else { "a.b" };
            let payload = sequence.to_string().into_bytes();
            super::matches(lanes, lane).then(|| Item {
                sequence,
                lane: lane.to_owned(),
                id: format!("id{sequence}"),
                payload,
            })
        });
        let expected: Vec<_> = expected.collect();
        assert!(read(&mut *reader, expected.len()).await == expected, "{lanes} from {from}");
    }
    end(ours).await;
}

/// The same id is stored once, whoever appends it and to whatever lane.
///
/// # Panics
/// It does not hold.
pub async fn an_id_is_stored_once(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let log = log(ours, ALL).await;
    let other = soon("opening a log", theirs.log("conformance", ALL)).await;
    let first = append(&*log, "a", "x.1", b"first").await;
    let second = append(&*log, "a", "x.2", b"second").await;
    assert_eq!(append(&*other, "a", "x.1", b"first").await, first);
    assert_eq!(append(&*other, "b", "x.2", b"another").await, second);
    // Two at the same time.
    let (one, two) = tokio::join!(append(&*log, "a", "x.3", b"third"), append(&*other, "a", "x.3", b"third"));
    assert_eq!((one, two), (3, 3));
    assert_eq!(soon("the end", log.last()).await, 3);
    let mut reader = soon("opening a reader", other.read(">", 1)).await;
    let payloads: Vec<_> = read(&mut *reader, 3).await.into_iter().map(|item| item.payload).collect();
    assert_eq!(payloads, [&b"first"[..], b"second", b"third"]);
    end(ours).await;
}

/// An id is forgotten after the time that the log was told, and not before.
///
/// # Panics
/// It does not hold.
pub async fn an_id_is_forgotten_in_time(fabric: &dyn Fabric) {
    let dedupe = Duration::from_millis(200);
    let log = log(fabric, Kept { dedupe, ..ALL }).await;
    let began = Instant::now();
    let first = append(&*log, "a", "x", b"").await;
    while append(&*log, "a", "x", b"").await == first {
        assert!(began.elapsed() < LONG, "it is never forgotten");
        tokio::time::sleep(dedupe / 20).await;
    }
    // The server may have stored the first some time before we knew.
    assert!(began.elapsed() >= dedupe / 2, "it was forgotten after {:?}", began.elapsed());
    end(fabric).await;
}

/// A reader at the end of the log has what is appended later; one that was given up while it waited has lost nothing.
///
/// # Panics
/// It does not hold.
pub async fn a_reader_waits(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let log = log(ours, ALL).await;
    let other = soon("opening a log", theirs.log("conformance", ALL)).await;
    let mut reader = soon("opening a reader", other.read(">", 1)).await;
    let mut ahead = soon("opening a reader", other.read(">", 3)).await;
    for number in 1..=20_u64 {
        let appended = async {
            tokio::task::yield_now().await;
            append(&*log, "a", &number.to_string(), b"x").await
        };
        // Given up again and again until there is something.
        let reading = async {
            loop {
                if let Ok(item) = tokio::time::timeout(Duration::from_micros(200), reader.next()).await {
                    return item.expect("it can be read").sequence;
                }
            }
        };
        assert_eq!(tokio::join!(reading, appended), (number, number));
    }
    assert_eq!(soon("reading", ahead.next()).await.sequence, 3);
    end(ours).await;
}

/// Two who append at the same time: all is there, once, and each of them finds its own items in its own order.
///
/// # Panics
/// It does not hold.
pub async fn two_writers_have_one_order(ours: &dyn Fabric, theirs: &dyn Fabric) {
    const ITEMS: usize = 200;
    async fn write(log: &dyn Log, who: &str) -> Vec<u64> {
        let mut sequences = Vec::new();
        for number in 0..ITEMS {
            sequences.push(append(log, who, &format!("{who}.{number}"), b"x").await);
        }
        sequences
    }
    let log = log(ours, ALL).await;
    let other = soon("opening a log", theirs.log("conformance", ALL)).await;
    let (mut one, mut two) = (log.read(">", 1).await.expect("it opens"), other.read(">", 1).await.expect("it opens"));
    let (ours_wrote, theirs_wrote, first, second) = tokio::join!(
        write(&*log, "ours"),
        write(&*other, "theirs"),
        read(&mut *one, 2 * ITEMS),
        read(&mut *two, 2 * ITEMS)
    );
    assert!(first == second, "two readers have read the same");
    assert!(first.iter().map(|item| item.sequence).eq(1..=2 * ITEMS as u64));
    for (who, sequences) in [("ours", ours_wrote), ("theirs", theirs_wrote)] {
        let own = first.iter().filter(|item| item.lane == who);
        assert!(own.clone().map(|item| item.sequence).eq(sequences), "{who}");
        assert!(own.zip(0..).all(|(item, number)| item.id == format!("{who}.{number}")), "{who}");
    }
    end(ours).await;
}

/// A log that keeps all takes no more when it is full, says so, and takes more when there is room.
///
/// # Panics
/// It does not hold.
pub async fn a_full_log_refuses(fabric: &dyn Fabric) {
    let log = log(fabric, Kept { most_bytes: Some(20_000), ..ALL }).await;
    let mut stored = 0;
    let error = loop {
        match log.append("a", &stored.to_string(), vec![7; 1_000]).await {
            Ok(sequence) => {
                stored += 1;
                assert_eq!(sequence, stored);
            }
            Err(error) => break error,
        }
        assert!(stored <= 20, "it takes more than it keeps");
    };
    assert!(error.is_full(), "{error}");
    assert!(stored >= 15, "it is full with {stored} items");
    // What it has is there, and known.
    assert_eq!(append(&*log, "a", "0", &[7; 1_000]).await, 1);
    assert_eq!(soon("the end", log.last()).await, stored);
    soon("purging", log.purge_to(3)).await;
    assert_eq!(append(&*log, "a", &stored.to_string(), &[7; 1_000]).await, stored + 1);
    let mut reader = soon("opening a reader", log.read(">", 1)).await;
    let sequences: Vec<_> =
        read(&mut *reader, stored as usize - 1).await.into_iter().map(|item| item.sequence).collect();
    assert!(sequences.iter().copied().eq(3..=stored + 1), "{sequences:?}");
    end(fabric).await;
}

/// A log that keeps the newest forgets its oldest items, and a reader goes on with those that are there.
///
/// # Panics
/// It does not hold.
pub async fn a_log_forgets_its_oldest(fabric: &dyn Fabric) {
    let log = log(fabric, Kept { most_bytes: Some(20_000), discard: Discard::Old, ..ALL }).await;
    let mut reader = soon("opening a reader", log.read(">", 1)).await;
    let late = soon("opening a reader", log.read("a", 1)).await;
    append(&*log, "a", "1", &[7; 1_000]).await;
    assert_eq!(soon("reading", reader.next()).await.sequence, 1);
    for number in 2..=100_u64 {
        assert_eq!(append(&*log, "a", &number.to_string(), &[7; 1_000]).await, number);
    }
    let fresh = soon("opening a reader", log.read(">", 0)).await;
    for mut reader in [reader, late, fresh] {
        let mut told = BTreeSet::new();
        while told.last() != Some(&100) {
            assert!(told.insert(soon("reading", reader.next()).await.sequence));
        }
        // Those that are kept, at least.
        assert!((90..=100).all(|sequence| told.contains(&sequence)), "{told:?}");
    }
    end(fabric).await;
}

/// Items that are older than the log was told are gone, and the numbers go on.
///
/// # Panics
/// It does not hold.
pub async fn items_grow_old(fabric: &dyn Fabric) {
    let age = Duration::from_millis(300);
    let log = log(fabric, Kept { dedupe: Duration::from_millis(100), age: Some(age), ..ALL }).await;
    let mut appended = append(&*log, "a", "1", b"old").await;
    // A reader from the start, each time with one more item, until the first is not there any more.
    let began = Instant::now();
    loop {
        appended += 1;
        assert_eq!(append(&*log, "a", &appended.to_string(), b"young").await, appended);
        let mut reader = soon("opening a reader", log.read(">", 1)).await;
        if soon("reading", reader.next()).await.sequence > 1 {
            break;
        }
        assert!(began.elapsed() < LONG, "it never grows old");
        tokio::time::sleep(age / 10).await;
    }
    assert!(began.elapsed() >= age / 2, "it was gone after {:?}", began.elapsed());
    assert_eq!(soon("the end", log.last()).await, appended);
    end(fabric).await;
}

/// What is before a number is forgotten, a number that is not there yet does not become the next.
///
/// # Panics
/// It does not hold.
pub async fn what_is_purged_is_gone(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let log = log(ours, ALL).await;
    let other = soon("opening a log", theirs.log("conformance", ALL)).await;
    soon("purging what is empty", log.purge_to(10)).await;
    for number in 1..=10_u64 {
        assert_eq!(append(&*log, "a", &number.to_string(), b"x").await, number);
    }
    let mut before = soon("opening a reader", other.read(">", 1)).await;
    assert_eq!(soon("reading", before.next()).await.sequence, 1);
    for nothing in [0, 1] {
        soon("purging nothing", other.purge_to(nothing)).await;
        let mut reader = soon("opening a reader", other.read(">", 1)).await;
        assert_eq!(soon("reading", reader.next()).await.sequence, 1);
    }
    soon("purging", other.purge_to(5)).await;
    for lanes in [">", "a"] {
        let mut reader = soon("opening a reader", log.read(lanes, 2)).await;
        let sequences: Vec<_> = read(&mut *reader, 6).await.into_iter().map(|item| item.sequence).collect();
        assert_eq!(sequences, [5, 6, 7, 8, 9, 10]);
    }
    soon("purging all", log.purge_to(1_000)).await;
    assert_eq!(soon("the end", log.last()).await, 10);
    assert_eq!(append(&*log, "a", "11", b"x").await, 11);
    let mut reader = soon("opening a reader", other.read(">", 1)).await;
    assert_eq!(soon("reading", reader.next()).await.sequence, 11);
    end(ours).await;
}

/// Whoever holds what was deleted has errors, and what is made in its place has nothing of it.
///
/// # Panics
/// It does not hold.
pub async fn what_is_deleted_is_gone(ours: &dyn Fabric, theirs: &dyn Fabric) {
    let (register, log) = (register(ours).await, log(ours, ALL).await);
    append(&*log, "a", "1", b"x").await;
    soon("writing", register.set_if("a", None, b"x".to_vec())).await;
    let mut reader = soon("opening a reader", log.read(">", 2)).await;
    let (gone, ()) = tokio::join!(reader.next(), end(theirs));
    let error = gone.expect_err("there is nothing to read");
    assert!(error.is_not_found(), "{error}");
    for error in [
        fails("appending", log.append("a", "2", vec![])).await,
        fails("the end", log.last()).await,
        fails("reading", log.read(">", 1)).await,
        fails("reading", register.get("a")).await,
        fails("writing", register.set_if("b", None, vec![])).await,
        fails("listing", register.keys(">")).await,
    ] {
        assert!(error.is_not_found(), "{error}");
    }
    let register = soon("opening a register", theirs.register("conformance")).await;
    assert_eq!(soon("listing", register.keys(">")).await, Vec::<String>::new());
    let log = soon("opening a log", theirs.log("conformance", ALL)).await;
    assert_eq!(soon("the end", log.last()).await, 0);
    assert_eq!(append(&*log, "a", "1", b"x").await, 1);
    end(ours).await;
}

/// A log that is there is not opened as another one.
///
/// # Panics
/// It does not hold.
pub async fn a_log_is_what_it_was_made(ours: &dyn Fabric, theirs: &dyn Fabric) {
    log(ours, ALL).await;
    for kept in [
        Kept { dedupe: Duration::from_secs(60), ..ALL },
        Kept { most_bytes: Some(1_000_000), ..ALL },
        Kept { discard: Discard::Old, ..ALL },
        Kept { age: Some(Duration::from_secs(600)), ..ALL },
    ] {
        let error = fails("opening a log", theirs.log("conformance", kept)).await;
        assert!(error.is_invalid(), "{error}");
    }
    soon("opening a log", theirs.log("conformance", ALL)).await;
    end(ours).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Local;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_process_conforms() {
        let local = Local::new();
        all(&local, &local.clone()).await;
    }
}
