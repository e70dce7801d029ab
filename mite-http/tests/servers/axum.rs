//! axum on hyper's server, in the test's process: JSON, forms, cookies, bodies without a length, trailers; over HTTP/1.1
//! and, where the session knows that the server speaks it, HTTP/2.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
};

use axum::{
    Form, Json, Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    middleware::{self, Next},
    routing::{get, post},
};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use mite_core::{Context, Result, ensure};
use mite_http::{HttpContext, Settings, Version};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use crate::common::{in_turn, outcomes, passed, total};

/// A server on a thread and runtime of its own, ended when it is dropped, that counts what it answers.
pub(super) struct Server {
    address: SocketAddr,
    answered: Arc<Mutex<BTreeMap<(String, u16), u64>>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(app: Router) -> Self {
        let answered = Arc::new(Mutex::new(BTreeMap::new()));
        let count = Arc::clone(&answered);
        let app = app.layer(middleware::from_fn(move |request: Request, next: Next| {
            let count = Arc::clone(&count);
            async move {
                let method = request.method().to_string();
                let response = next.run(request).await;
                *count.lock().unwrap().entry((method, response.status().as_u16())).or_default() += 1;
                response
            }
        }));
        let (end, ended) = oneshot::channel();
        let (bound, is_bound) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    served = axum::serve(listener, app).into_future() => served.unwrap(),
                    _ = ended => {}
                }
            });
        });
        let address = is_bound.recv().unwrap();
        Self { address, answered, end: Some(end), thread: Some(thread) }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often it has answered a method with a code, in the form of the report's rows.
    pub(super) fn answered(&self) -> Vec<(String, u16, u64)> {
        let answered = self.answered.lock().unwrap();
        answered.iter().map(|((method, code), count)| (method.clone(), *code, *count)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        let served = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(served, Some(Ok(()))), "the server panicked");
    }
}

/// A body of these frames, of which nobody knows the length before.
pub(super) fn stream(frames: impl IntoIterator<Item = Frame<Bytes>, IntoIter: Send + 'static>) -> Body {
    let frames = frames.into_iter().map(Ok::<_, Infallible>);
    Body::new(StreamBody::new(futures::stream::iter(frames)))
}

fn pieces() -> impl Iterator<Item = Vec<u8>> + Send {
    (0..1000).map(|at| format!("{at:04}").into_bytes())
}

fn app() -> Router {
    let signed_in = |headers: &HeaderMap| headers.get(header::COOKIE).is_some_and(|cookie| cookie == "session=ann");
    let trailers = async || {
        let trailers =
            HeaderMap::from_iter([(header::HeaderName::from_static("x-sum"), HeaderValue::from_static("7"))]);
        let body = stream([Frame::data(Bytes::from_static(b"one two")), Frame::trailers(trailers)]);
        Response::builder().header(header::TRAILER, "x-sum").body(body).unwrap()
    };
    Router::new()
        .route("/json", post(async |Json(value): Json<Value>| Json(json!({"got": value}))))
        .route("/form", post(async |Form(pairs): Form<BTreeMap<String, String>>| Json(pairs)))
        .route(
            "/session",
            post(async || ([(header::SET_COOKIE, "session=ann; Path=/; HttpOnly")], StatusCode::CREATED)),
        )
        .route(
            "/account",
            get(
                async move |headers: HeaderMap| {
                    if signed_in(&headers) { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
                },
            ),
        )
        .route("/pieces", get(async || stream(pieces().map(|piece| Frame::data(Bytes::from(piece))))))
        .route("/trailers", get(trailers))
}

pub(super) fn versions() -> Vec<(Version, Settings)> {
    let versions = vec![(Version::HTTP_11, crate::common::settings())];
    #[cfg(feature = "http2")]
    let versions = {
        let known = crate::common::settings().http_version(mite_http::HttpVersion::Http2PriorKnowledge);
        versions.into_iter().chain([(Version::HTTP_2, known)]).collect()
    };
    versions
}

async fn visit(ctx: &mut Context, url: &str, version: Version) -> Result {
    let http = ctx.http();
    let answer = http.post(format!("{url}/json")).json(&json!({"name": "Ann", "age": 7})).await?;
    ensure!(answer.version() == version);
    ensure!(answer.json::<Value>()? == json!({"got": {"name": "Ann", "age": 7}}));

    let pairs = [("name", "Ann & Bob"), ("place", "Łódź")];
    let answer = http.post(format!("{url}/form")).form(&pairs).await?;
    ensure!(answer.json::<Value>()? == json!({"name": "Ann & Bob", "place": "Łódź"}));

    ensure!(http.get(format!("{url}/account")).await?.status() == 401);
    ensure!(http.post(format!("{url}/session")).await?.status() == 201);
    ensure!(http.get(format!("{url}/account")).await?.status() == 200);

    ensure!(http.get(format!("{url}/pieces")).await?.bytes() == pieces().collect::<Vec<_>>().concat());

    // Over HTTP/1.1, trailers are for those who say that they read them.
    let answer = http.get(format!("{url}/trailers")).header("te", "trailers").await?;
    ensure!(answer.text()? == "one two");
    ensure!(answer.trailers().and_then(|trailers| trailers.get("x-sum")).is_some_and(|sum| sum == "7"));
    Ok(())
}

#[test]
fn bodies_cookies_and_trailers_go_both_ways() {
    for (version, settings) in versions() {
        let server = Server::start(app());
        let url = server.url("");
        let report = passed(in_turn(5, async move |ctx: &mut Context| {
            let mut ctx = ctx.http_session(settings.clone());
            visit(&mut ctx, &url, version).await
        }));
        let rows: Vec<_> = outcomes(&report).into_iter().map(|row| (row.0.to_owned(), row.1, row.3)).collect();
        assert_eq!(rows, server.answered(), "{version:?}");
        assert_eq!(rows.iter().map(|row| row.2).sum::<u64>(), 35);
        assert_eq!(total(&report, |row| row.connect.count()), 1);
    }
}
