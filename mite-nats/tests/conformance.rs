//! The three traits on a real server do what they do within a process, and prefixes keep users apart.
//! Where nats-server is not installed, these tests say so; with `CI` in the environment they fail.

use std::time::Duration;

use mite_core::bus::{Discard, Fabric as _, Kept, conformance};
use mite_nats::testing::Server;
use mite_nats::{Nats, Options};

async fn connect(server: &Server) -> Nats {
    Nats::connect(Options::new(server.url())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_conforms() {
    let Some(server) = Server::start() else { return };
    let (ours, theirs) = (connect(&server).await, connect(&server).await);
    conformance::all(&ours, &theirs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefixes_keep_users_apart() {
    let Some(server) = Server::start() else { return };
    let ours = Nats::connect(Options::new(server.url()).prefix("ours")).await.unwrap();
    let theirs = Nats::connect(Options::new(server.url()).prefix("theirs")).await.unwrap();
    let kept = Kept { dedupe: Duration::from_secs(120), most_bytes: None, discard: Discard::New, age: None };
    let (register, other) = (ours.register("run7").await.unwrap(), theirs.register("run7").await.unwrap());
    register.set_if("volume", None, b"1".to_vec()).await.unwrap();
    assert_eq!(other.get("volume").await.unwrap(), None);
    let (log, other) = (ours.log("run7", kept).await.unwrap(), theirs.log("run7", kept).await.unwrap());
    log.append("a", "1", b"x".to_vec()).await.unwrap();
    assert_eq!(other.last().await.unwrap(), 0);
    let _heard = ours.bus().subscribe(">").await.unwrap();
    let error = theirs.bus().request("hello", vec![], Duration::from_secs(60)).await.unwrap_err();
    assert!(error.nobody_answers(), "{error}");
}

/// What the module's documentation says of names.
#[tokio::test]
async fn what_is_there_has_the_names_that_are_documented() {
    let Some(server) = Server::start() else { return };
    let nats = connect(&server).await;
    let kept = Kept { dedupe: Duration::from_secs(120), most_bytes: None, discard: Discard::New, age: None };
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut all = client.subscribe(">").await.unwrap();
    // Once it answers, it has taken what came before.
    client.request("$JS.API.INFO", "".into()).await.unwrap();
    nats.bus().publish("run7.hello", b"1".to_vec()).await.unwrap();
    nats.register("run7").await.unwrap().set_if("volume", None, b"2".to_vec()).await.unwrap();
    nats.log("run7_records", kept).await.unwrap().append("users.x", "id", b"3".to_vec()).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 3 {
        let message = futures_util::StreamExt::next(&mut all).await.unwrap();
        if message.payload.len() == 1 {
            told.push(message.subject.to_string());
        }
    }
    assert_eq!(told, ["mite.run7.hello", "$KV.mite_run7.volume", "mite_log.run7_records.users.x"]);
    for stream in ["KV_mite_run7", "mite_run7_records"] {
        let info = client.request(format!("$JS.API.STREAM.INFO.{stream}"), "".into()).await.unwrap();
        assert!(!String::from_utf8_lossy(&info.payload).contains("error"), "{stream}");
    }
    assert_eq!(nats.description(), format!("{} (nats-server {})", server.url(), client.server_info().version));
}

/// A run's processes come up together, and each of them opens what is not there yet, and uses it at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_opens_the_same_at_once_has_the_same() {
    const TOGETHER: usize = 4;
    let Some(server) = Server::start() else { return };
    let mut all = Vec::new();
    for _ in 0..TOGETHER {
        all.push(std::sync::Arc::new(connect(&server).await));
    }
    let kept = Kept { dedupe: Duration::from_secs(120), most_bytes: None, discard: Discard::New, age: None };
    for round in 0..50 {
        let together = std::sync::Arc::new(tokio::sync::Barrier::new(TOGETHER));
        let open = |(who, nats): (usize, &std::sync::Arc<Nats>)| {
            let (nats, together) = (std::sync::Arc::clone(nats), std::sync::Arc::clone(&together));
            tokio::spawn(async move {
                together.wait().await;
                let register = nats.register(&format!("run{round}")).await?;
                register.set_if(&format!("runner{who}"), None, b"1".to_vec()).await?;
                let log = nats.log(&format!("run{round}"), kept).await?;
                log.append("a", &who.to_string(), b"x".to_vec()).await?;
                Ok::<_, mite_core::bus::BusError>((register, log))
            })
        };
        let opened: Vec<_> = all.iter().enumerate().map(open).collect();
        let mut places = Vec::new();
        for opened in opened {
            places.push(opened.await.unwrap().unwrap_or_else(|error| panic!("in round {round}: {error:?}")));
        }
        for (register, log) in &places {
            for who in 0..TOGETHER {
                assert_eq!(register.get(&format!("runner{who}")).await.unwrap().unwrap().value, b"1");
            }
            assert_eq!(log.last().await.unwrap(), TOGETHER as u64);
        }
    }
}
