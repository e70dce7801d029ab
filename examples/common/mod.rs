//! A service in the same process, on a thread and a runtime of its own: the examples have something to put under load.
//! It is apart from them, since a user's own service takes its place.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use axum::Router;
use mite::prelude::*;
use tokio::runtime;
use tokio::sync::oneshot;

/// A running service; it stops when this is dropped.
pub(crate) struct Service {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Service {
    /// Starts on a free port of this machine.
    pub(crate) fn start(router: Router) -> Result<Service> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::select! {
                served = axum::serve(listener, router) => served,
                _ = stopped => Ok(()),
            }
        };
        let thread = thread::spawn(move || runtime.block_on(serve));
        Ok(Service { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed, and nobody is left who could use the error.
            let _ = thread.join();
        }
    }
}
