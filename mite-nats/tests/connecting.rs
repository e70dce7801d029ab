//! What goes wrong when connecting is told in words: the URL, and what to do.
//! Where nats-server is not installed, these tests say so; with `CI` in the environment they fail.

use std::time::Duration;
use std::{fs, net};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mite_core::bus::{BusError, Fabric as _};
use mite_nats::testing::{Server, ServerOptions};
use mite_nats::{Nats, Options};
use nkeys::KeyPair;
use serde_json::{Value, json};

const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

async fn refused(options: Options) -> BusError {
    match Nats::connect(options).await {
        Ok(nats) => panic!("it is connected to {}", nats.description()),
        Err(error) => error,
    }
}

fn server(config: &str) -> Option<Server> {
    Server::start_with(&ServerOptions { config: config.to_owned(), ..ServerOptions::default() })
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    // Nothing answers there.
    let error = refused(Options::new(&url).connect_timeout(Duration::from_millis(100))).await;
    assert_eq!(error.to_string(), format!("{url} does not answer"));
    assert!(error.is_disconnected());
    // Nothing is there.
    drop(listener);
    let error = refused(Options::new(&url)).await;
    let mend = "start one with `nats-server -js`, or give the URL of one that runs";
    assert_eq!(error.to_string(), format!("no server at {url}: {mend}"));
    assert!(error.is_disconnected());
    let error = refused(Options::new("nats://no host")).await;
    assert!(error.to_string().starts_with("nats://no host is no URL"), "{error}");
    assert!(error.is_invalid());
}

#[tokio::test]
async fn a_server_without_jetstream_is_told() {
    let options = ServerOptions { jetstream: false, ..ServerOptions::default() };
    let Some(server) = Server::start_with(&options) else { return };
    let error = refused(Options::new(server.url())).await;
    let url = server.url();
    assert_eq!(
        error.to_string(),
        format!("the nats-server at {url} has no JetStream: start it with `nats-server -js`")
    );
    assert!(error.is_invalid());
}

#[tokio::test]
async fn who_asks_is_checked() {
    let Some(server) = server("authorization { user: ada, password: \"secret/1\" }") else { return };
    let login = Options::new(server.url());
    for wrong in [login.clone(), login.clone().user_and_password("ada", "x"), login.clone().token("secret")] {
        let error = refused(wrong).await;
        assert!(error.to_string().starts_with(&format!("{} refuses the login", server.url())), "{error}");
        assert!(error.is_invalid());
    }
    Nats::connect(login.user_and_password("ada", "secret/1")).await.unwrap();
    let nats = Nats::connect(Options::new(format!("nats://ada:secret%2F1@{}", server.address()))).await.unwrap();
    assert!(!nats.description().contains("secret"), "{}", nats.description());
}

#[tokio::test]
async fn a_token_opens() {
    let Some(server) = server("authorization { token: secret }") else { return };
    Nats::connect(Options::new(server.url()).token("secret")).await.unwrap();
    Nats::connect(Options::new(format!("nats://secret@{}", server.address()))).await.unwrap();
    assert!(refused(Options::new(server.url()).token("x")).await.is_invalid());
}

#[tokio::test]
async fn an_nkey_opens() {
    let Some(server) = server(&format!("authorization {{ users: [ {{ nkey: {PUBLIC} }} ] }}")) else { return };
    let file = server.folder().join("ada.nk");
    let options = Options::new(server.url()).nkey_file(&file);
    let error = refused(options.clone()).await;
    assert_eq!(error.to_string(), format!("failed to read the seed of an NKey in {}", file.display()));
    fs::write(&file, "nothing\n").unwrap();
    assert!(refused(options.clone()).await.to_string().contains("has no seed of an NKey"));
    fs::write(&file, format!("# ada\n{SEED}\n")).unwrap();
    Nats::connect(options).await.unwrap();
    assert!(refused(Options::new(server.url())).await.is_invalid());
}

/// What the holder of a key says of another one, as `nsc` writes it.
fn signed(by: &KeyPair, of: &KeyPair, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let key = of.public_key();
    let body =
        json!({"jti": key, "iat": 1_700_000_000, "iss": by.public_key(), "name": key, "sub": key, "nats": claims});
    let text = format!("{}.{}", part(&header), part(&body));
    let signature = by.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn credentials(jwt: &str, seed: &str) -> String {
    let block = |what: &str, text: &str| format!("-----BEGIN {what}-----\n{text}\n------END {what}------\n\n");
    block("NATS USER JWT", jwt) + &block("USER NKEY SEED", seed)
}

/// A server that knows nobody but the operator, who has signed for accounts, which sign for their users.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_open() {
    let operator = KeyPair::new_operator();
    let [system, account, stranger] = std::array::from_fn(|_| KeyPair::new_account());
    let user = KeyPair::new_user();
    let unlimited = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1});
    let own = signed(&operator, &operator, &json!({"type": "operator", "version": 2}));
    let of_account = |key: &KeyPair, limits: &Value| {
        let claims =
            json!({"type": "account", "version": 2, "limits": limits, "default_permissions": {"pub": {}, "sub": {}}});
        format!("{}: {}", key.public_key(), signed(&operator, key, &claims))
    };
    // JetStream is for accounts that have a part of it, and the system's has none.
    let without = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1});
    let config = format!(
        "operator: {own}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n{}\n{}\n}}",
        system.public_key(),
        of_account(&system, &without),
        of_account(&account, &unlimited),
    );
    let Some(server) = server(&config) else { return };
    let of_user = json!({"type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1});
    let file = server.folder().join("ada.creds");
    let options = Options::new(server.url()).credentials_file(&file);
    fs::write(&file, "nothing\n").unwrap();
    let error = refused(options.clone()).await;
    assert_eq!(error.to_string(), format!("failed to read the credentials in {}", file.display()));
    assert!(error.is_invalid());
    let seed = user.seed().unwrap();
    // Somebody else's account is not known there, and without credentials nobody is let in.
    fs::write(&file, credentials(&signed(&stranger, &user, &of_user), &seed)).unwrap();
    for options in [options.clone(), Options::new(server.url())] {
        let error = refused(options).await;
        assert!(error.to_string().starts_with(&format!("{} refuses the login", server.url())), "{error}");
        assert!(error.is_invalid());
    }
    fs::write(&file, credentials(&signed(&account, &user, &of_user), &seed)).unwrap();
    let (ours, theirs) = (Nats::connect(options.clone()).await.unwrap(), Nats::connect(options).await.unwrap());
    mite_core::bus::conformance::all(&ours, &theirs).await;
}

/// With no more than what the documentation says is needed, all works; with less, the error has the server's words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_permissions_are_enough() {
    let Some(server) = server(
        r#"authorization { users: [
            { user: ada, password: x, permissions: {
                publish: ["mite.>", "mite_log.>", "$KV.>", "$JS.API.>", "_INBOX.>"], subscribe: ["mite.>", "_INBOX.>"] } }
            { user: eve, password: x, permissions: {
                publish: ["mite.>", "$JS.API.>", "_INBOX.>"], subscribe: ["mite.>", "_INBOX.>"] } }
        ] }"#,
    ) else {
        return;
    };
    let ada = Options::new(server.url()).user_and_password("ada", "x");
    let (ours, theirs) = (Nats::connect(ada.clone()).await.unwrap(), Nats::connect(ada).await.unwrap());
    mite_core::bus::conformance::all(&ours, &theirs).await;

    let eve = Options::new(server.url()).user_and_password("eve", "x").request_timeout(Duration::from_millis(500));
    let register = Nats::connect(eve).await.unwrap().register("run7").await.unwrap();
    let error = register.set_if("a", None, vec![]).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let said = std::error::Error::source(&error).expect("the server has said why").to_string();
    assert!(said.to_lowercase().contains("permissions violation"), "{said}");
}

#[tokio::test]
async fn files_that_are_not_there_are_told() {
    let options = Options::new("nats://127.0.0.1:1");
    for (options, what) in [
        (options.clone().credentials_file("/no/such.creds"), "failed to read the credentials in /no/such.creds"),
        (options.clone().tls_roots("/no/such.pem"), "failed to read the certificates in /no/such.pem"),
        (
            options.clone().client_certificate("/no/such.pem", "/no/such.key"),
            "failed to read the certificate in /no/such.pem",
        ),
    ] {
        let error = refused(options).await;
        assert_eq!(error.to_string(), what);
        assert!(error.is_invalid());
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = refused(options.tls_roots(file.path())).await;
    assert_eq!(error.to_string(), format!("{} has no certificate in PEM", file.path().display()));
}

#[tokio::test]
async fn a_payload_that_is_too_large_is_told() {
    let Some(server) = server("max_payload: 10000") else { return };
    let nats = Nats::connect(Options::new(server.url())).await.unwrap();
    let register = nats.register("run7").await.unwrap();
    for error in [
        nats.bus().publish("a", vec![0; 20_000]).await.unwrap_err(),
        nats.bus().request("a", vec![0; 20_000], Duration::from_secs(60)).await.unwrap_err(),
        register.set_if("a", None, vec![0; 20_000]).await.unwrap_err(),
    ] {
        assert!(error.is_invalid(), "{error}");
        assert!(error.to_string().contains("larger than the 10000 bytes"), "{error}");
    }
}
