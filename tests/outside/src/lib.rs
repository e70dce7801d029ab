//! A service as any: it signs users up and in, and greets them at its front page.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

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

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

/// Starts the service on a free port.
pub async fn spawn_app() -> App {
    let users = Users::default();
    let router = Router::new()
        .route("/", get(async || "Hello!"))
        .route("/users/create", post(create))
        .route("/login", post(login))
        .with_state(Arc::clone(&users));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("this machine has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("axum serves for ever") });
    App { address, users, server }
}

async fn create(State(users): State<Users>, Json(user): Json<Credentials>) -> StatusCode {
    let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
    if users.contains_key(&user.username) {
        return StatusCode::CONFLICT;
    }
    users.insert(user.username, user.password);
    StatusCode::CREATED
}

async fn login(State(users): State<Users>, Json(user): Json<Credentials>) -> StatusCode {
    let users = users.lock().unwrap_or_else(PoisonError::into_inner);
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
