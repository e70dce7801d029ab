//! Messages have the names, the order and the types that other programs read: those of the files that Python's mite wrote.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use mite::prelude::*;
use mite::{Error, Message, Sink, SinkError, Wants};
use rmpv::Value;
use serde_json::json;

use crate::common::accounted;
use crate::server::Server;

/// Keeps whole messages, as a collector would write them.
#[derive(Clone, Default)]
pub(crate) struct Captured(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Sink for Captured {
    fn name(&self) -> &'static str {
        "captured"
    }

    fn wants(&self) -> Wants {
        Wants::Everything
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), SinkError> {
        message.pack(&mut self.0.lock().unwrap());
        Ok(())
    }
}

pub(crate) type Fields = Vec<(Value, Value)>;

/// The messages in `packed`, one after another.
pub(crate) fn read(mut packed: &[u8]) -> Vec<Fields> {
    let mut messages = Vec::new();
    while !packed.is_empty() {
        match rmpv::decode::read_value(&mut packed).unwrap() {
            Value::Map(fields) => messages.push(fields),
            other => panic!("{other} is no message"),
        }
    }
    messages
}

pub(crate) fn field<'a>(message: &'a Fields, name: &str) -> Option<&'a Value> {
    message.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

#[track_caller]
pub(crate) fn text<'a>(message: &'a Fields, name: &str) -> &'a str {
    field(message, name).and_then(Value::as_str).unwrap_or_else(|| panic!("no text {name} in {message:?}"))
}

#[track_caller]
fn number(message: &Fields, name: &str) -> f64 {
    field(message, name).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {name} in {message:?}"))
}

#[track_caller]
pub(crate) fn whole(message: &Fields, name: &str) -> u64 {
    field(message, name).and_then(Value::as_u64).unwrap_or_else(|| panic!("no whole number {name} in {message:?}"))
}

pub(crate) fn names(message: &Fields) -> Vec<&str> {
    message.iter().filter_map(|(key, _)| key.as_str()).collect()
}

pub(crate) fn of_type<'a>(messages: &'a [Fields], kind: &str) -> Vec<&'a Fields> {
    messages.iter().filter(|message| field(message, "type").and_then(Value::as_str) == Some(kind)).collect()
}

/// What a reader tells apart.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "bool",
        Value::Integer(_) => "int",
        Value::F32(_) => "float of 32 bits",
        Value::F64(_) => "float",
        Value::String(_) => "str",
        Value::Binary(_) => "bin",
        Value::Array(_) => "array",
        Value::Map(_) => "map",
        Value::Ext(..) => "ext",
    }
}

const ADDED: [&str; 10] = [
    "type",
    "time",
    "test",
    "runner_id",
    "journey",
    "context_id",
    "scenario_id",
    "scenario_data_id",
    "transaction",
    "transaction_id",
];

/// Does what the journey did that wrote the fixture.
#[mite_http(base = "app_url")]
async fn create_user(ctx: &mut Context, name: String) -> Result {
    ctx.transaction("Create user", async |ctx| {
        ctx.http().post("/users/create").json(&json!({"username": name})).await?.error_for_status()?;
        ctx.record("users", json!({"username": name})).await?;
        assert!(name != "user2", "no third user");
        ctx.transaction("inner", async |_| Err(Error::new("custom failed").field("code", 7))).await
    })
    .await
}

/// The messages of a run with seven users over two seconds, and where its service was.
async fn messages() -> (Vec<Fields>, String) {
    let server =
        Server::start(Router::new().route("/users/create", post(async || (StatusCode::CREATED, "the user is")))).await;
    let folder = tempfile::tempdir().unwrap();
    let captured = Captured::default();
    let users = IterableDataPool::new((0..7).map(|n| (format!("user{n}"),)));
    let scenario = Scenario::new().named("create_n").journey(create_user, users, constant(3, 10 * SECOND));
    let run = Run::new(scenario).config("app_url", server.url()).recorder(folder.path()).sink(captured.clone());
    let report = accounted(run.run()).await;
    assert_eq!((report.journey("create_user").failed, report.records["users"]), (7, 7));
    assert_eq!(server.answered("POST /users/create 201"), 7);
    let messages = read(&captured.0.lock().unwrap());
    (messages, server.url())
}

#[tokio::test]
async fn a_whole_run_is_told_as_it_was_and_in_the_format_of_the_files_that_there_are() {
    let (messages, url) = messages().await;
    they_have_the_names_and_types_of_the_fixture(&messages);
    http_metrics_say_what_was_asked_for_and_how_long_it_took(&messages, &url);
    each_error_is_told_once_and_transactions_innermost_first(&messages);
}

fn they_have_the_names_and_types_of_the_fixture(ours: &[Fields]) {
    let fixture = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages.msgpack")).unwrap();
    let theirs = read(&fixture);
    for kind in ["http_metrics", "data_created", "error", "txn", "controller_report"] {
        let (theirs, ours) = (of_type(&theirs, kind), of_type(ours, kind));
        let model = theirs[0];
        assert!(!ours.is_empty(), "{kind}");
        for message in ours {
            if kind == "controller_report" {
                // The one whose own fields come last in those files: a reader of maps does not mind.
                let mut expected = names(model);
                let mut found = names(message);
                expected.sort_unstable();
                found.sort_unstable();
                assert_eq!(found, expected, "{kind}");
            } else {
                assert_eq!(names(message), names(model), "{kind}");
            }
            for (name, value) in model {
                let name = name.as_str().unwrap();
                let expected = match (kind, name) {
                    // What is known to differ: bytes, whole seconds, and a number of bytes as a float.
                    ("http_metrics", "method") => "str",
                    ("http_metrics", "start_time") => "float",
                    ("http_metrics", "download_size") => "int",
                    _ => type_of(value),
                };
                assert_eq!(type_of(field(message, name).unwrap()), expected, "{kind}: {name}");
            }
        }
    }
}

fn http_metrics_say_what_was_asked_for_and_how_long_it_took(messages: &[Fields], url: &str) {
    let metrics = of_type(messages, "http_metrics");
    assert_eq!(metrics.len(), 7);
    let own = [
        "start_time",
        "effective_url",
        "response_code",
        "dns_time",
        "connect_time",
        "tls_time",
        "transfer_start_time",
        "first_byte_time",
        "total_time",
        "primary_ip",
        "method",
        "download_size",
    ];
    let (mut connected, mut visits) = (0, Vec::new());
    for message in metrics {
        assert_eq!(names(message), [&own[..], &ADDED[..]].concat());
        assert_eq!(text(message, "effective_url"), format!("{url}/users/create"));
        assert_eq!((whole(message, "response_code"), whole(message, "download_size")), (201, 11));
        assert_eq!((text(message, "primary_ip"), text(message, "method")), ("127.0.0.1", "POST"));
        let time = |name| number(message, name);
        // An address needs no DNS, and plain HTTP has no TLS.
        assert_eq!((time("dns_time"), time("tls_time")), (0.0, 0.0));
        connected += u32::from(time("connect_time") > 0.0);
        let phases = ["connect_time", "transfer_start_time", "first_byte_time", "total_time"].map(time);
        assert!(phases.is_sorted(), "{phases:?}");
        // Sent when its body had been read.
        let (began, sent) = (time("start_time"), time("time"));
        assert!(began > 1.7e9 && began + time("total_time") <= sent + 1e-3, "{began} {sent}");

        assert_eq!((text(message, "test"), text(message, "journey")), ("create_n", "http::messages:create_user"));
        assert_eq!((whole(message, "runner_id"), whole(message, "scenario_id")), (1, 1));
        visits.push((whole(message, "context_id"), whole(message, "scenario_data_id")));
        assert_eq!(text(message, "transaction"), "__root__ :: Create user");
        assert_eq!(whole(message, "transaction_id"), 2);
    }
    assert!(connected > 0);
    visits.sort_unstable();
    assert_eq!(visits, (1..=7).map(|number| (number, number)).collect::<Vec<_>>());
}

fn each_error_is_told_once_and_transactions_innermost_first(messages: &[Fields]) {
    assert_eq!(of_type(messages, "error").len(), 6);
    for error in of_type(messages, "error") {
        assert_eq!((text(error, "message"), text(error, "ex_type")), ("Error: custom failed", "Error"));
        assert_eq!(whole(error, "code"), 7);
        assert_eq!(text(error, "transaction"), "__root__ :: Create user :: inner");
        let location = text(error, "location");
        assert!(location.starts_with(&format!("{}:", file!())) && location.ends_with(":create_user"), "{location}");
    }
    let panics = of_type(messages, "exception");
    assert_eq!(panics.len(), 1);
    assert_eq!(names(panics[0]), [&["message", "ex_type", "location", "stacktrace"], &ADDED[..]].concat());
    assert_eq!(text(panics[0], "message"), "panic: no third user");
    assert_eq!(text(panics[0], "transaction"), "__root__ :: Create user");

    for context in 1..=7_u64 {
        let of_context = |message: &&&Fields| whole(message, "context_id") == context;
        let transactions = of_type(messages, "txn");
        let transactions: Vec<_> = transactions.iter().filter(of_context).collect();
        let ended: Vec<_> = transactions.iter().map(|txn| text(txn, "transaction")).collect();
        let all = ["__root__ :: Create user :: inner", "__root__ :: Create user", "__root__"];
        // The third one did not come to the innermost.
        assert_eq!(ended, if context == 3 { &all[1..] } else { &all[..] });
        for txn in transactions {
            assert_eq!(field(txn, "had_error"), Some(&Value::Boolean(true)));
            assert!(number(txn, "start_time") <= number(txn, "end_time"));
        }
    }
}
