//! A service as any: it signs users up and in, and greets them at its front page. It can be started with a fault, as
//! services have them, for its load tests to find.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The service, running in the runtime of whoever started it; it stops when this is dropped.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    users: Users,
    server: JoinHandle<()>,
}

type Users = Arc<Mutex<HashMap<String, String>>>;

/// What is wrong with the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The index does not serve the query for some users, a fifth of all, who wait for half a second.
    SlowQuery,
    /// Each tenth login meets with a database that has no connection to spare.
    NoConnection,
}

#[derive(Clone)]
struct Shared {
    users: Users,
    fault: Option<Fault>,
    logins: Arc<AtomicU64>,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

/// Starts the service on a free port.
pub async fn spawn_app() -> App {
    spawn_app_with(None).await
}

/// Starts the service on a free port, with a fault or without.
pub async fn spawn_app_with(fault: Option<Fault>) -> App {
    let users = Users::default();
    let shared = Shared { users: Arc::clone(&users), fault, logins: Arc::default() };
    let router = Router::new()
        .route("/", get(async || "Hello!"))
        .route("/users/create", post(create))
        .route("/login", post(login))
        .with_state(shared);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("this machine has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("axum serves for ever") });
    App { address, users, server }
}

async fn create(State(shared): State<Shared>, Json(user): Json<Credentials>) -> StatusCode {
    let mut users = shared.users.lock().unwrap_or_else(PoisonError::into_inner);
    if users.contains_key(&user.username) {
        return StatusCode::CONFLICT;
    }
    users.insert(user.username, user.password);
    StatusCode::CREATED
}

async fn login(State(shared): State<Shared>, Json(user): Json<Credentials>) -> StatusCode {
    let login = shared.logins.fetch_add(1, Ordering::Relaxed);
    match shared.fault {
        Some(Fault::SlowQuery) if user.username.ends_with(['0', '5']) => {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Some(Fault::NoConnection) if login % 10 == 9 => return StatusCode::INTERNAL_SERVER_ERROR,
        _ => {}
    }
    let users = shared.users.lock().unwrap_or_else(PoisonError::into_inner);
    match users.get(&user.username) {
        Some(password) if *password == user.password => StatusCode::OK,
        _ => StatusCode::UNAUTHORIZED,
    }
}

impl App {
    /// Where the service listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many users have signed up.
    pub fn users(&self) -> usize {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}
