//! A signup service. `cargo run --example signup -- users.db` starts it and stops it at the next line from the terminal.

mod service;

use std::{env, io};

use service::{Result, Service};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let database = env::args_os()
        .nth(1)
        .ok_or("name a file for the database")?;
    let service = Service::start(database.as_ref()).await?;
    println!("{}", service.url());

    io::stdin().read_line(&mut String::new())?;
    println!("{} users", service.users()?);
    Ok(())
}
