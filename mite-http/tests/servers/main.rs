//! What a journey sends to servers that others wrote is counted alike by both: nginx, Python's `http.server`, and axum.
//! Where one of them is not installed, its tests say so; with `CI` in the environment they fail.

mod axum;
#[path = "../common/mod.rs"]
mod common;
#[cfg(all(feature = "http2", feature = "tls"))]
mod http2;
mod nginx;
mod phases;
mod python;
mod redirects;
mod streams;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "hyper")]
#[test]
fn all_of_it_on_hyper_too() {
    common::on_hyper_too("all_of_it_on_hyper_too");
}
