//! Files that Python's mite wrote are read, and what they hold is recorded again to the same bytes.

mod common;

use std::path::PathBuf;

use bytes::Bytes;
use common::{TENTH, ran};
use mite_core::volume::constant;
use mite_core::{Context, NoData, RecyclableIterableDataPool, Result, Row, Run, Scenario, recorded};
use rmpv::Value;
use serde::{Deserialize, Serialize};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
struct Values {
    username: String,
    n: u8,
    f: f32,
    b: Bytes,
    none: Option<String>,
    t: bool,
    l: Vec<i64>,
    nest: Nest,
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
struct Nest {
    a: std::collections::BTreeMap<String, String>,
}

#[test]
fn they_are_read_typed_and_untyped() {
    #[derive(Deserialize)]
    struct User {
        username: String,
    }
    let users = recorded::<User>(fixture("users.msgpack")).unwrap();
    assert_eq!(users.len(), 116);
    assert!(users.iter().all(|user| user.username.len() == 32));
    let ids = recorded::<Uuids>(fixture("users.msgpack")).unwrap();
    assert_eq!(ids[0].username.simple().to_string(), users[0].username);

    let values = recorded::<Values>(fixture("values.msgpack")).unwrap();
    for (n, row) in values.iter().enumerate() {
        let b = std::collections::BTreeMap::from([("b".to_owned(), "ü".to_owned())]);
        let expected = Values {
            username: format!("user{n}"),
            n: n as u8,
            f: 1.5,
            b: Bytes::from_static(b"\x00\xff"),
            none: None,
            t: true,
            l: vec![1, -2, 300, -70_000, 1 << 40],
            nest: Nest { a: b },
        };
        assert_eq!(*row, expected);
    }
    let untyped = recorded::<Value>(fixture("values.msgpack")).unwrap();
    assert_eq!((values.len(), untyped.len()), (7, 7));
    assert_eq!(untyped[6]["b"], Value::Binary(vec![0, 0xff]));

    let messages = recorded::<Value>(fixture("messages.msgpack")).unwrap();
    let kinds = common::tally(messages.iter().map(|message| message["type"].as_str().unwrap()));
    let kinds: Vec<&str> = kinds.into_keys().collect();
    assert_eq!(kinds, ["controller_report", "data_created", "error", "http_metrics", "txn"]);
}

#[derive(Deserialize)]
struct Uuids {
    username: uuid::Uuid,
}

#[tokio::test]
async fn they_are_written_again_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let untyped = async |ctx: &mut Context| {
        for row in recorded::<Value>(fixture("values.msgpack"))? {
            ctx.record("untyped", row).await?;
        }
        Ok(())
    };
    let typed = async |ctx: &mut Context| {
        for row in recorded::<Values>(fixture("values.msgpack"))? {
            ctx.record("typed", row).await?;
        }
        Ok(())
    };
    let sent = async |ctx: &mut Context| {
        for row in recorded::<Values>(fixture("values.msgpack"))? {
            ctx.send("data_created", Sent { data: row, name: "sent" }).await?;
        }
        Ok(())
    };
    let once = || constant(10, TENTH);
    let scenario = Scenario::new()
        .row(Row::new(untyped, NoData, once()).named("untyped"))
        .row(Row::new(typed, NoData, once()).named("typed"))
        .row(Row::new(sent, NoData, once()).named("sent"));
    let report = ran(Run::new(scenario).recorder(folder.path())).await;
    report.assert_no_errors();
    let expected = std::fs::read(fixture("values.msgpack")).unwrap();
    for name in ["untyped", "typed", "sent"] {
        assert_eq!(std::fs::read(folder.path().join(format!("{name}.msgpack"))).unwrap(), expected, "{name}");
    }
}

#[derive(Serialize)]
struct Sent {
    data: Values,
    name: &'static str,
}

#[tokio::test]
async fn their_rows_are_a_data_pool() {
    async fn signin(ctx: &mut Context, username: String) -> Result {
        ctx.record("users", User { username: &username }).await
    }
    #[derive(Serialize)]
    struct User<'a> {
        username: &'a str,
    }
    let folder = tempfile::tempdir().unwrap();
    let users = recorded::<Value>(fixture("users.msgpack")).unwrap();
    let pool = RecyclableIterableDataPool::new(
        users.iter().map(|user| (user["username"].as_str().unwrap().to_owned(),)).collect::<Vec<_>>(),
    );
    let scenario = Scenario::new().journey(signin, pool, constant(1160, TENTH));
    ran(Run::new(scenario).recorder(folder.path())).await;
    // One for each item, first in, first out: the file comes out as it was.
    let written = std::fs::read(folder.path().join("users.msgpack")).unwrap();
    assert_eq!(written, std::fs::read(fixture("users.msgpack")).unwrap());
}
