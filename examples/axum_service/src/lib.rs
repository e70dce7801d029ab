//! `cargo run -p axum-service-example`: a service on axum that counts votes; `cargo test -p axum-service-example` puts it under load.
//!
//! It is as any other service: nothing in it knows of mite, which is a dev-dependency alone. `tests/load.rs` is what to look at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

/// The votes so far. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Votes(Arc<Mutex<BTreeMap<String, u64>>>);

/// How many votes there are for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What they are for.
    pub choice: String,
    /// How many there are.
    pub votes: u64,
}

/// The service: `POST /votes/{choice}` votes, `GET /votes` counts.
pub fn app(votes: Votes) -> Router {
    Router::new().route("/votes", get(counts)).route("/votes/{choice}", post(vote)).with_state(votes)
}

async fn vote(State(votes): State<Votes>, Path(choice): Path<String>) -> (StatusCode, Json<Count>) {
    let mut votes = votes.lock();
    let count = votes.entry(choice.clone()).or_default();
    *count += 1;
    (StatusCode::CREATED, Json(Count { choice, votes: *count }))
}

async fn counts(State(votes): State<Votes>) -> Json<BTreeMap<String, u64>> {
    Json(votes.counts())
}

impl Votes {
    /// How many there are for each choice.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        // Nothing can panic while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
