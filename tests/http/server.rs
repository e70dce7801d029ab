//! A server in the test's own process, which keeps its own count of what it gets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

/// A server on a port of its own; it ends with the test's runtime.
pub(crate) struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
    answered: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Server {
    pub(crate) async fn start(app: Router) -> Self {
        let accepted = Arc::new(AtomicU64::new(0));
        let answered = Arc::new(Mutex::new(BTreeMap::<String, u64>::new()));
        let count = Arc::clone(&answered);
        let app = app.layer(middleware::from_fn(move |request: Request, next: Next| {
            let count = Arc::clone(&count);
            async move {
                let asked = format!("{} {}", request.method(), request.uri().path());
                let response = next.run(request).await;
                *count.lock().unwrap().entry(format!("{asked} {}", response.status().as_u16())).or_default() += 1;
                response
            }
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::clone(&accepted);
        let listener = listener.tap_io(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { address, accepted, answered }
    }

    /// Where it is: `http://127.0.0.1:1234`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same by name, which has to be resolved.
    pub(crate) fn url_by_name(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// How many connections it has got.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How often it has answered what: `POST /users 201`.
    pub(crate) fn answered(&self, what: &str) -> u64 {
        self.answered.lock().unwrap().get(what).copied().unwrap_or_default()
    }
}
