//! The program of the service, which its tests do not need.

use std::io;

use axum_service_example::{Votes, app};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app(Votes::default())).await
}
