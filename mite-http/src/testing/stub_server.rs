//! A server on a port of its own that answers by a script, on a thread that ends with its handle.
//! It is separate from the servers of this crate's own tests, which break HTTP on purpose: this one speaks it as it should be.

use std::{
    collections::VecDeque,
    error::Error as StdError,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::{Reply, StubRequest};

/// A server that a test tells what to answer, and asks what it was asked.
///
/// It listens on a free port of 127.0.0.1, on a thread of its own, and is gone, with all of its connections, when it is
/// dropped. What the script does not know is answered with 404 and kept as *unexpected*.
///
/// # Examples
///
/// ```
/// use mite_core::testing::run_journey;
/// use mite_core::{Context, Result};
/// use mite_http::{HttpContext, StatusCode, testing::{Reply, StubServer}};
///
/// async fn log_in(ctx: &mut Context, url: String) -> Result {
///     ctx.http().post(format!("{url}/login")).json(&["ann"]).await?.error_for_status()?;
///     ctx.http().get(format!("{url}/items?page=2")).await?.error_for_status()?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result {
/// let server = StubServer::start()?;
/// server.on("POST", "/login").reply(Reply::ok().status(StatusCode::CREATED));
/// server.on("GET", "/items").reply(Reply::text("apples"));
///
/// run_journey(log_in, (server.url(),)).await?.assert_ok();
/// assert_eq!(server.requests_to("POST", "/login")[0].json::<Vec<String>>()?, ["ann"]);
/// assert_eq!(server.requests_to("GET", "/items")[0].query(), "page=2");
/// server.assert_no_unexpected();
/// # Ok(())
/// # }
/// ```
pub struct StubServer {
    address: SocketAddr,
    script: Arc<Script>,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StubServer {
    /// Starts a server that knows no path yet.
    ///
    /// # Errors
    ///
    /// If there is no port, or no thread.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// # use mite_core::testing::Harness;
    /// # use mite_http::testing::{Reply, StubServer};
    /// # use mite_http::{HttpContext, StatusCode, mite_http};
    /// #[mite_http(base = "app_url")]
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     ctx.http().get("/").header("accept-language", "de").await?.error_for_status()?;
    ///     Ok(())
    /// }
    ///
    /// let server = StubServer::start()?;
    /// server.on("GET", "/").reply(Reply::text("Hello!"));
    /// let harness = Harness::new().config("app_url", server.url());
    /// harness.run_blocking(visit, ())?.assert_ok();
    /// assert_eq!(server.requests().len(), 1);
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _within = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let script = Arc::new(Script::default());
        let (stop, stopped) = oneshot::channel();
        let for_thread = Arc::clone(&script);
        let thread = std::thread::Builder::new().name("mite-stub".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // The handle never sends: it is dropped.
                    _ = stopped => {}
                    () = accept(listener, &for_thread) => {}
                }
            });
            // With the runtime go the connections, and what still waits to be answered.
        })?;
        Ok(Self { address, script, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens: `http://127.0.0.1:1234`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to answer to requests with this method and exactly this path, whatever their query. What is said later goes first.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// # use mite_core::testing::Harness;
    /// # use mite_http::testing::{Reply, StubServer};
    /// # use mite_http::{HttpContext, StatusCode, mite_http};
    /// #[mite_http(base = "app_url")]
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     ctx.http().get("/").header("accept-language", "de").await?.error_for_status()?;
    ///     Ok(())
    /// }
    ///
    /// let server = StubServer::start()?;
    /// server.on("GET", "/").reply(Reply::ok());
    /// let harness = Harness::new().config("app_url", server.url());
    /// harness.run_blocking(visit, ())?.assert_ok();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn on(&self, method: &str, path: &str) -> On<'_> {
        self.route(method, path, false)
    }

    /// As [`StubServer::on`], for all paths that begin so.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// # use mite_core::testing::Harness;
    /// # use mite_http::testing::{Reply, StubServer};
    /// # use mite_http::{HttpContext, StatusCode, mite_http};
    /// #[mite_http(base = "app_url")]
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     ctx.http().get("/").header("accept-language", "de").await?.error_for_status()?;
    ///     Ok(())
    /// }
    ///
    /// let server = StubServer::start()?;
    /// // Whatever is asked for by GET.
    /// server.on_prefix("GET", "/").reply(Reply::ok());
    /// let harness = Harness::new().config("app_url", server.url());
    /// harness.run_blocking(visit, ())?.assert_ok();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn on_prefix(&self, method: &str, prefix: &str) -> On<'_> {
        self.route(method, prefix, true)
    }

    fn route(&self, method: &str, path: &str, prefix: bool) -> On<'_> {
        On { script: &self.script, method: method.to_owned(), path: path.to_owned(), prefix }
    }

    /// All requests so far, in the order in which they were read.
    pub fn requests(&self) -> Vec<StubRequest> {
        self.script.state().requests.clone()
    }

    /// The requests with this method and exactly this path.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// # use mite_core::testing::Harness;
    /// # use mite_http::testing::{Reply, StubServer};
    /// # use mite_http::{HttpContext, StatusCode, mite_http};
    /// #[mite_http(base = "app_url")]
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     ctx.http().get("/").header("accept-language", "de").await?.error_for_status()?;
    ///     Ok(())
    /// }
    ///
    /// let server = StubServer::start()?;
    /// server.on("GET", "/").reply(Reply::ok());
    /// let harness = Harness::new().config("app_url", server.url());
    /// harness.run_blocking(visit, ())?.assert_ok();
    /// let asked = server.requests_to("GET", "/");
    /// assert_eq!(asked[0].header("accept-language"), Some("de"));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn requests_to(&self, method: &str, path: &str) -> Vec<StubRequest> {
        self.kept(|request| request.method() == method && request.path() == path)
    }

    /// The requests that the script did not know.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// # use mite_core::testing::Harness;
    /// # use mite_http::testing::{Reply, StubServer};
    /// # use mite_http::{HttpContext, StatusCode, mite_http};
    /// #[mite_http(base = "app_url")]
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     ctx.http().get("/").header("accept-language", "de").await?.error_for_status()?;
    ///     Ok(())
    /// }
    ///
    /// let server = StubServer::start()?;
    /// let harness = Harness::new().config("app_url", server.url());
    /// harness.run_blocking(visit, ())?.assert_failed("404");
    /// assert_eq!(server.unexpected()[0].path(), "/");
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn unexpected(&self) -> Vec<StubRequest> {
        self.kept(|request| !request.expected)
    }

    fn kept(&self, which: impl Fn(&StubRequest) -> bool) -> Vec<StubRequest> {
        self.script.state().requests.iter().filter(|request| which(request)).cloned().collect()
    }

    /// Asserts that the script knew every request.
    ///
    /// # Panics
    ///
    /// With the requests that it did not know.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// # use mite_core::testing::Harness;
    /// # use mite_http::testing::{Reply, StubServer};
    /// # use mite_http::{HttpContext, StatusCode, mite_http};
    /// #[mite_http(base = "app_url")]
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     ctx.http().get("/").header("accept-language", "de").await?.error_for_status()?;
    ///     Ok(())
    /// }
    ///
    /// let server = StubServer::start()?;
    /// server.on("GET", "/").reply(Reply::ok());
    /// let harness = Harness::new().config("app_url", server.url());
    /// harness.run_blocking(visit, ())?.assert_ok();
    /// server.assert_no_unexpected();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    #[track_caller]
    pub fn assert_no_unexpected(&self) {
        let unexpected = self.unexpected();
        assert!(unexpected.is_empty(), "the server was asked for what its script does not know: {unexpected:#?}");
    }

    /// Ends the server, as dropping it does, and gives all that it was asked.
    pub fn close(mut self) -> Vec<StubRequest> {
        self.end();
        std::mem::take(&mut self.script.state().requests)
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A closure of the script that panics ends its connection and not the thread.
            let _ = thread.join();
        }
    }
}

impl Drop for StubServer {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for StubServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StubServer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// One line of a server's script: made by [`StubServer::on`].
#[must_use = "a line of the script needs what to answer"]
pub struct On<'a> {
    script: &'a Script,
    method: String,
    path: String,
    prefix: bool,
}

impl On<'_> {
    /// The same answer each time.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// # use mite_core::testing::Harness;
    /// # use mite_http::testing::{Reply, StubServer};
    /// # use mite_http::{HttpContext, StatusCode, mite_http};
    /// #[mite_http(base = "app_url")]
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     ctx.http().get("/").header("accept-language", "de").await?.error_for_status()?;
    ///     Ok(())
    /// }
    ///
    /// let server = StubServer::start()?;
    /// server.on("GET", "/").reply(Reply::ok().status(StatusCode::SERVICE_UNAVAILABLE));
    /// let harness = Harness::new().config("app_url", server.url());
    /// harness.run_blocking(visit, ())?.assert_failed("503");
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn reply(self, reply: Reply) {
        self.replies([reply]);
    }

    /// One answer after the other; the last of them each time after that, and 404 where there is none.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// # use mite_core::testing::Harness;
    /// # use mite_http::testing::{Reply, StubServer};
    /// # use mite_http::{HttpContext, StatusCode, mite_http};
    /// #[mite_http(base = "app_url")]
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     ctx.http().get("/").header("accept-language", "de").await?.error_for_status()?;
    ///     Ok(())
    /// }
    ///
    /// let server = StubServer::start()?;
    /// // First it is not there, and then it is.
    /// server.on("GET", "/").replies([Reply::ok().status(StatusCode::SERVICE_UNAVAILABLE), Reply::ok()]);
    /// let harness = Harness::new().config("app_url", server.url());
    /// harness.run_blocking(visit, ())?.assert_failed("503");
    /// let harness = Harness::new().config("app_url", server.url());
    /// harness.run_blocking(visit, ())?.assert_ok();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn replies(self, replies: impl IntoIterator<Item = Reply>) {
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        self.with(move |_request| {
            let last = replies.len() == 1;
            let next = if last { replies.front().cloned() } else { replies.pop_front() };
            next.unwrap_or_else(|| Reply::ok().status(StatusCode::NOT_FOUND))
        });
    }

    /// What a closure makes of each request. If it panics, the connection is dropped.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// # use mite_core::testing::Harness;
    /// # use mite_http::testing::{Reply, StubServer};
    /// # use mite_http::{HttpContext, StatusCode, mite_http};
    /// #[mite_http(base = "app_url")]
    /// async fn visit(ctx: &mut Context) -> Result {
    ///     ctx.http().get("/").header("accept-language", "de").await?.error_for_status()?;
    ///     Ok(())
    /// }
    ///
    /// let server = StubServer::start()?;
    /// server.on("GET", "/").with(|request| match request.header("accept-language") {
    ///     Some("de") => Reply::text("Hallo!"),
    ///     _ => Reply::text("Hello!"),
    /// });
    /// let harness = Harness::new().config("app_url", server.url());
    /// harness.run_blocking(visit, ())?.assert_ok();
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn with(self, answer: impl FnMut(&StubRequest) -> Reply + Send + 'static) {
        let Self { script, method, path, prefix } = self;
        script.state().routes.push(Route { method, path, prefix, answer: Box::new(answer) });
    }
}

impl fmt::Debug for On<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

/// What the server answers, and what it was asked.
#[derive(Default)]
struct Script(Mutex<State>);

#[derive(Default)]
struct State {
    routes: Vec<Route>,
    requests: Vec<StubRequest>,
}

struct Route {
    method: String,
    path: String,
    prefix: bool,
    answer: Box<dyn FnMut(&StubRequest) -> Reply + Send>,
}

impl Route {
    fn is_for(&self, request: &StubRequest) -> bool {
        let path = request.path();
        let found = if self.prefix { path.starts_with(&self.path) } else { path == self.path };
        found && request.method() == self.method
    }
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        // A closure that has panicked leaves everything else whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, mut request: StubRequest) -> Reply {
        let State { routes, requests } = &mut *self.state();
        let route = routes.iter_mut().rev().find(|route| route.is_for(&request));
        request.expected = route.is_some();
        requests.push(request.clone());
        match route {
            Some(route) => (route.answer)(&request),
            None => Reply::text("the script of this server does not know this").status(StatusCode::NOT_FOUND),
        }
    }
}

async fn accept(listener: TcpListener, script: &Arc<Script>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, Arc::clone(script)));
            }
            // Out of files, most likely: there is no event that tells of one that is free.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, script: Arc<Script>) {
    let service = service_fn(move |request| answer(Arc::clone(&script), request));
    // How a connection ends is the matter of the client, which has its own account of it.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    script: Arc<Script>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Box<dyn StdError + Send + Sync>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let Reply { status, headers, body, delay, dropped } = script.reply(StubRequest::new(parts, body));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if dropped {
        // An error of the service ends the connection without a response.
        return Err("dropped by the script".into());
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
