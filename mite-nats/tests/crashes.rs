//! What was acknowledged is there, once and in order, whatever becomes of the server: killed, frozen, or gone for a while.
//! Where nats-server is not installed, these tests say so; with `CI` in the environment they fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mite_core::bus::{BusError, Discard, Fabric as _, Item, Kept, Log, Reader};
use mite_nats::testing::Server;
use mite_nats::{Nats, Options};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longer than anything takes, on any machine; what takes longer hangs.
const LONG: Duration = Duration::from_secs(120);
const KEPT: Kept = Kept { dedupe: Duration::from_secs(120), most_bytes: None, discard: Discard::New, age: None };

async fn connect(server: &Server) -> Nats {
    Nats::connect(Options::new(server.url())).await.unwrap()
}

/// Appends until it is acknowledged.
async fn append(log: &dyn Log, id: &str) -> u64 {
    loop {
        match log.append("a", id, id.as_bytes().to_vec()).await {
            Ok(sequence) => return sequence,
            Err(error) if error.is_timeout() || error.is_disconnected() => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// How many are under way at the same time.
const WRITERS: u64 = 16;

/// Appends so many items by several writers, and gives the number of each, by its id; `done` is how many are.
async fn append_all(log: &Arc<dyn Log>, items: u64, done: &Arc<AtomicU64>) -> Vec<(u64, String)> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (log, done) = (Arc::clone(log), Arc::clone(done));
        writers.spawn(async move {
            let mut stored = Vec::new();
            for number in (writer..items).step_by(WRITERS as usize) {
                let id = format!("w{writer}.{number}");
                stored.push((append(&*log, &id).await, id));
                done.fetch_add(1, Ordering::Relaxed);
            }
            stored
        });
    }
    let mut stored: Vec<_> = timeout(LONG, writers.join_all()).await.unwrap().into_iter().flatten().collect();
    stored.sort();
    stored
}

async fn read(reader: &mut dyn Reader, items: u64) -> Vec<Item> {
    let mut read = Vec::new();
    while (read.len() as u64) < items {
        read.push(timeout(LONG, reader.next()).await.unwrap().unwrap());
    }
    read
}

/// All that was acknowledged is read once, in order, under the number that was acknowledged.
fn check(stored: &[(u64, String)], items: &[Item]) {
    let read: Vec<_> = items.iter().map(|item| (item.sequence, item.id.clone())).collect();
    assert!(read == stored, "what was read is what was acknowledged");
    assert!(items.iter().map(|item| item.sequence).eq(1..=stored.len() as u64));
    assert!(items.iter().all(|item| item.payload == item.id.as_bytes()));
}

/// Kills the server by SIGKILL once so many are done, and starts it again.
async fn kill_at(mut server: Server, done: Arc<AtomicU64>, kills: Vec<u64>) -> Server {
    for kill in kills {
        while done.load(Ordering::Relaxed) < kill {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server = tokio::task::spawn_blocking(move || {
            server.kill9();
            server.restart();
            server
        })
        .await
        .unwrap();
    }
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_survives_kill_9() {
    const ITEMS: u64 = 20_000;
    let Some(server) = Server::start() else { return };
    let (writing, reading) = (connect(&server).await, connect(&server).await);
    let log = writing.log("run7", KEPT).await.unwrap();
    let same = reading.log("run7", KEPT).await.unwrap();
    let mut reader = same.read(">", 1).await.unwrap();
    let mut filtered = same.read("a", 1).await.unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let kills = kill_at(server, Arc::clone(&done), vec![2_000, 9_000, 15_000]);
    let (stored, items, filtered, server) =
        tokio::join!(append_all(&log, ITEMS, &done), read(&mut *reader, ITEMS), read(&mut *filtered, ITEMS), kills);
    check(&stored, &items);
    check(&stored, &filtered);
    // And straight after the last acknowledgement.
    let server = kill_at(server, done, vec![0]).await;
    assert_eq!(log.last().await.unwrap(), ITEMS);
    let mut reader = connect(&server).await.log("run7", KEPT).await.unwrap().read(">", 1).await.unwrap();
    check(&stored, &read(&mut *reader, ITEMS).await);
    // The ids are known, also to the server that did not store them.
    for (sequence, id) in [&stored[0], &stored[stored.len() - 1]] {
        assert_eq!(log.append("a", id, id.as_bytes().to_vec()).await.unwrap(), *sequence);
    }
}

/// It says goodbye to its clients, and is gone for longer than they try at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_stopped_and_started_again_is_found_again() {
    let Some(mut server) = Server::start() else { return };
    let nats = connect(&server).await;
    let register = nats.register("run7").await.unwrap();
    let log = nats.log("run7", KEPT).await.unwrap();
    let mut reader = log.read(">", 1).await.unwrap();
    for round in 1..=3_u64 {
        let id = format!("r{round}");
        assert_eq!(append(&*log, &id).await, round);
        assert_eq!(read(&mut *reader, 1).await[0].id, id);
        server = tokio::task::spawn_blocking(move || {
            server.stop();
            server
        })
        .await
        .unwrap();
        // Each of these takes as long as a request may.
        for _ in 0..round {
            let error = register.get("volume").await.unwrap_err();
            assert!(error.is_disconnected() || error.is_timeout(), "{error}");
            assert!(!error.to_string().contains("for good"), "{error}");
        }
        server = tokio::task::spawn_blocking(move || {
            server.restart();
            server
        })
        .await
        .unwrap();
        register.set_if(&id, None, b"100".to_vec()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_survives_kill_9() {
    let Some(server) = Server::start() else { return };
    let nats = connect(&server).await;
    let register = nats.register("run7").await.unwrap();
    let deleted = register.set_if("gone", None, b"x".to_vec()).await.unwrap();
    let mut watch = register.watch("count").await.unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let kills = kill_at(server, Arc::clone(&done), vec![100, 200, 300, 500]);
    let counting = async {
        let mut count = 0_u64;
        let mut revision = None;
        while count < 500 {
            match register.set_if("count", revision, (count + 1).to_string().into_bytes()).await {
                Ok(new) => (count, revision) = (count + 1, Some(new)),
                // It may have been written or not: nobody else writes, so that the register tells.
                Err(error) if error.is_disconnected() || error.is_timeout() => {
                    let entry = loop {
                        match register.get("count").await {
                            Ok(entry) => break entry,
                            Err(error) => assert!(error.is_disconnected() || error.is_timeout(), "{error}"),
                        }
                    };
                    let (found, at) = entry.map_or((0, None), |entry| {
                        (String::from_utf8(entry.value).unwrap().parse().unwrap(), Some(entry.revision))
                    });
                    assert!(found == count || found == count + 1, "{found} is there after {count} was acknowledged");
                    (count, revision) = (found, at);
                }
                Err(error) => panic!("{error}"),
            }
            if count == 50 && register.get("gone").await.is_ok_and(|entry| entry.is_some()) {
                register.delete("gone").await.unwrap();
            }
            done.store(count, Ordering::Relaxed);
        }
        revision.unwrap()
    };
    let (revision, server) = timeout(LONG, async { tokio::join!(counting, kills) }).await.unwrap();
    let _server = server;
    let entry = register.get("count").await.unwrap().unwrap();
    assert_eq!((entry.revision, entry.value), (revision, b"500".to_vec()));
    // What was deleted stays so, and who knows only what was there before cannot write.
    assert_eq!(register.get("gone").await.unwrap(), None);
    assert!(register.set_if("gone", Some(deleted), vec![]).await.unwrap_err().is_conflict());
    assert_eq!(register.keys(">").await.unwrap(), ["count"]);
    // The watch, which slept through it all, tells the last.
    let mut told = 0;
    while told < revision {
        told = timeout(LONG, watch.next()).await.unwrap().unwrap().unwrap().revision;
    }
    assert_eq!(told, revision);
}

/// Everything fails within the time that it was asked in, and says that it is not known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_loses_and_doubles_nothing() {
    const ITEMS: u64 = 200;
    let Some(server) = Server::start() else { return };
    let within = Duration::from_millis(300);
    let nats = Nats::connect(Options::new(server.url()).request_timeout(within)).await.unwrap();
    let reading = connect(&server).await;
    let (log, register) = (nats.log("run7", KEPT).await.unwrap(), nats.register("run7").await.unwrap());
    let revision = register.set_if("a", None, b"1".to_vec()).await.unwrap();
    let mut reader = reading.log("run7", KEPT).await.unwrap().read(">", 1).await.unwrap();
    let mut asked = reading.bus().subscribe("ask").await.unwrap();
    append(&*log, "w0.0").await;

    server.freeze();
    let began = Instant::now();
    let mut errors: Vec<BusError> = Vec::new();
    let bus = nats.bus();
    let (got, set, request, last) = tokio::join!(
        register.get("a"),
        register.set_if("a", Some(revision), b"2".to_vec()),
        bus.request("ask", vec![], within),
        log.last(),
    );
    errors.extend([got.err(), set.err(), request.err(), last.err()].into_iter().flatten());
    let mut appends = JoinSet::new();
    for number in 1..=ITEMS {
        let log = Arc::clone(&log);
        appends
            .spawn(async move { log.append("a", &format!("w0.{number}"), format!("w0.{number}").into_bytes()).await });
    }
    errors.extend(appends.join_all().await.into_iter().filter_map(Result::err));
    let took = began.elapsed();
    assert_eq!(errors.len() as u64, 4 + ITEMS);
    assert!(errors.iter().all(|error| error.is_timeout() || error.is_disconnected()), "{errors:?}");
    // Two times one after the other, and what a busy machine adds.
    assert!(took >= within && took < 2 * within + Duration::from_secs(5), "{took:?}");

    server.thaw();
    // All again, with the same ids: whichever of the two the server took.
    for number in 1..=ITEMS {
        timeout(LONG, append(&*log, &format!("w0.{number}"))).await.unwrap();
    }
    let items = read(&mut *reader, ITEMS + 1).await;
    let ids: std::collections::BTreeSet<_> = items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids.len() as u64, ITEMS + 1, "each once");
    assert!(items.iter().map(|item| item.sequence).eq(1..=ITEMS + 1));
    assert_eq!(log.last().await.unwrap(), ITEMS + 1);
    // The write was done once or not at all.
    let entry = register.get("a").await.unwrap().unwrap();
    assert!([&b"1"[..], b"2"].contains(&&*entry.value));
    // Those who had subscribed still have.
    let (answer, ()) = tokio::join!(ask(&nats), async {
        loop {
            let delivery = asked.next().await.unwrap().unwrap();
            if delivery.payload() == b"again" {
                return delivery.respond(b"yes".to_vec()).await.unwrap();
            }
        }
    });
    assert_eq!(answer, b"yes");
}

/// Asks until there is an answer.
async fn ask(nats: &Nats) -> Vec<u8> {
    let began = Instant::now();
    loop {
        match nats.bus().request("ask", b"again".to_vec(), LONG).await {
            Ok(answer) => return answer,
            // The other one may not be there again yet.
            Err(error) => {
                assert!(began.elapsed() < LONG && (error.nobody_answers() || error.is_disconnected()), "{error}");
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Who asks while the server is gone waits as long as it said, and is answered when it comes back in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_waited_for() {
    let Some(mut server) = Server::start() else { return };
    let within = Duration::from_millis(200);
    let short = Nats::connect(Options::new(server.url()).request_timeout(within)).await.unwrap();
    let long = Nats::connect(Options::new(server.url()).request_timeout(LONG)).await.unwrap();
    let mut heard = long.bus().subscribe("news").await.unwrap();
    let register = short.register("run7").await.unwrap();
    let patient = long.register("run7").await.unwrap();
    let revision = register.set_if("a", None, b"1".to_vec()).await.unwrap();
    server.kill9();

    let began = Instant::now();
    let error = register.get("a").await.unwrap_err();
    assert!(error.is_disconnected() || error.is_timeout(), "{error}");
    assert!(error.to_string().contains(&server.url()), "{error}");
    let error = register.set_if("a", Some(revision), b"2".to_vec()).await.unwrap_err();
    assert!(error.is_disconnected() || error.is_timeout(), "{error}");
    assert!(began.elapsed() < 2 * within + Duration::from_secs(5));
    // What would be lost is refused at once.
    let error = short.bus().publish("news", vec![]).await.unwrap_err();
    assert!(error.is_disconnected(), "{error}");

    let coming = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    });
    let (read, server) = tokio::join!(patient.get("a"), coming);
    let _server = server.unwrap();
    assert_eq!(read.unwrap().unwrap().value, b"1");
    let began = Instant::now();
    let heard = async { timeout(Duration::from_millis(50), heard.next()).await.is_ok() };
    tokio::pin!(heard);
    loop {
        assert!(began.elapsed() < LONG, "nothing published is heard again");
        if short.bus().publish("news", b"back".to_vec()).await.is_err() {
            tokio::task::yield_now().await;
            continue;
        }
        if heard.as_mut().await {
            break;
        }
    }
}

/// A way to the server on which what it says is lost for as long as that is so.
async fn deafened(server: &Server) -> (String, tokio::sync::watch::Sender<bool>) {
    let (to, listener) = (server.address(), tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let (deaf, is_deaf) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = tokio::net::TcpStream::connect(&to).await.unwrap();
            let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
                (near.into_split(), far.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut near_read, &mut far_write).await });
            let is_deaf = is_deaf.clone();
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let mut bytes = vec![0; 65_536];
                while let Ok(read @ 1..) = far_read.read(&mut bytes).await {
                    let mut heard = &bytes[..read];
                    if *is_deaf.borrow() {
                        // The connection goes on all the same.
                        let is_pong = heard.windows(6).any(|bytes| bytes == b"PONG\r\n");
                        heard = if is_pong { b"PONG\r\n" } else { b"" };
                    }
                    if near_write.write_all(heard).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, deaf)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_waits_beside_others_asks_again_when_it_is_not_answered() {
    let Some(server) = Server::start() else { return };
    let (url, deaf) = deafened(&server).await;
    let (direct, through) = (connect(&server).await, Nats::connect(Options::new(url)).await.unwrap());
    let log = direct.log("run7", KEPT).await.unwrap();
    let mut reader = through.log("run7", KEPT).await.unwrap().read("a", 0).await.unwrap();
    let mut next = async || {
        let waited = Instant::now();
        loop {
            // Something else is there first, again and again.
            if let Ok(item) = timeout(Duration::from_millis(10), reader.next()).await {
                return item.unwrap().sequence;
            }
            assert!(waited.elapsed() < LONG, "it waits for ever");
        }
    };
    append(&*log, "first").await;
    assert_eq!(next().await, 1);
    deaf.send_replace(true);
    // By then the server has said that it has forgotten what it was asked for.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    deaf.send_replace(false);
    append(&*log, "second").await;
    assert_eq!(next().await, 2);
}
