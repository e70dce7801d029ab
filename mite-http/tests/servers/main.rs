//! What a journey sends to servers that others wrote is counted alike by both: nginx, Python's `http.server`, and axum.
//! Where one of them is not installed, its tests say so; with `CI` in the environment they fail.

#[path = "../common/mod.rs"]
mod common;
mod nginx;
mod python;
