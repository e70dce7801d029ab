//! HTTP for mite's journeys: a session whose every request is timed and reported.
//!
//! A journey asks its context for the session, and awaits requests on it:
//!
//! ```no_run
//! use mite_core::{Context, Result};
//! use mite_http::HttpContext;
//! use serde_json::json;
//!
//! async fn create_user(ctx: &mut Context) -> Result {
//!     ctx.transaction("Create user", async |ctx| {
//!         ctx.http()
//!             .post("http://localhost:8080/users/create")
//!             .json(&json!({"username": "ann", "password": "test1234"}))
//!             .await?
//!             .error_for_status()?;
//!         Ok(())
//!     })
//!     .await
//! }
//! ```
//!
//! `#[mite_http]` says how the session behaves: where relative URLs stand, and how long a request may take.
//!
//! ```no_run
//! use mite_core::{Context, Result};
//! use mite_http::{HttpContext, mite_http};
//!
//! #[mite_http(base = "app_url", timeout = "5s")]
//! async fn look_around(ctx: &mut Context) -> Result {
//!     ctx.http().get("/").await?.error_for_status()?;
//!     sign_in(ctx, "ann").await?;
//!     ctx.http().get("/account").await?.error_for_status()?;
//!     Ok(())
//! }
//!
//! // With nothing said, a function has the session of the one that calls it, cookies and all.
//! #[mite_http]
//! async fn sign_in(ctx: &mut Context, name: &str) -> Result {
//!     ctx.http().post("/session").form(&[("name", name)]).await?.error_for_status()?;
//!     Ok(())
//! }
//! ```
//!
//! - A session belongs to one visit of a journey, and so do its cookies. The connections below it belong to the worker,
//!   and are kept open between journeys.
//! - `.await` reads the whole body, so that times and sizes are true and the connection can be used again. What is too
//!   large for that is asked for with [`discard`](Request::discard) or [`stream`](Request::stream).
//! - Every request counts in the report, under its method and its status, or the class of its error; each response is
//!   sent as an `http_metrics` message besides. A request that is cancelled counts nowhere.
//! - Before a connection is used again it is checked that the server has not closed it, and connections of about the age
//!   at which the server was seen to close them are not used. When the server closes one at the very moment all the same,
//!   the request fails with class `closed`: it may have been received, so it is not sent again.
//! - Redirects are followed, up to ten of them; each is a request of its own in the report. Credentials do not leave their
//!   origin: see [`Settings::redirects`].
//! - Certificates are verified, against the system's roots.
//! - [`Settings`] say otherwise: whom a session trusts and as whom it presents itself, where a name is, when it is looked
//!   up, which address connections go to and come from, proxies (those that the environment names, unless told
//!   otherwise), Unix sockets, who shares connections with whom, and how long each phase may take.
//!
//! # Features
//!
//! - `tls` (default): https.
//! - `http2` (default): HTTP/2, where a server chooses it over https, or by [`Settings`].
//! - `compression`: bodies that the server sends compressed, by gzip, brotli, zstd or deflate, for sessions that ask for
//!   it with `Settings::compression`.
//! - `hyper`: hyper as what speaks HTTP/1.1, for sessions that ask for it with [`Settings::http1`].
//! - `testing`: a module `testing` with a stub server, and what mite-core has for tests.

#[expect(
    unused_extern_crates,
    reason = "what `#[mite_http]` expands to names this crate, and so can be used within it"
)]
extern crate self as mite_http;

mod arriving;
mod body;
mod charset;
mod client;
mod clients;
mod connector;
mod cookies;
mod curl;
mod deadlines;
mod decode;
mod draft;
mod ended;
mod error;
mod exchange;
mod expectation;
mod fields;
mod first_byte;
mod handle;
mod head;
mod headers;
mod hop;
mod keep_alive;
mod mask;
mod metrics;
mod multipart;
mod name;
mod network;
mod opened;
mod origin;
mod outgoing;
mod payload;
#[cfg(test)]
mod peers;
mod policy;
mod pool;
mod redirect;
mod request;
mod response;
mod room;
mod sent;
mod session;
mod settings;
mod stream;
mod target;
#[cfg(feature = "testing")]
pub mod testing;
mod timing;
mod tls;
#[cfg(all(test, feature = "tls"))]
mod tls_peers;
mod transcript;
mod transport;
mod wire;
mod worker;

pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
pub use mite_macros::mite_http;
pub use url::Url;

#[cfg(feature = "tls")]
pub use crate::network::trust::TlsVersion;
pub use crate::{
    body::Body,
    cookies::{Cookie, CookieJar, Cookies},
    error::HttpError,
    exchange::Sizes,
    fields::Fields,
    handle::{Attached, Http, HttpContext},
    hop::Hop,
    multipart::{Multipart, Part},
    network::{
        Http1, HttpVersion,
        address::{AddressSelection, Dns, IpPreference},
    },
    policy::Connections,
    request::Request,
    response::Response,
    settings::Settings,
    stream::ResponseStream,
    timing::Timings,
};

/// What the output of `#[mite_http]` calls. It may change in any release.
#[doc(hidden)]
pub mod __private {
    use mite_core::Context;

    pub use crate::{Attached, Settings};

    /// See [`HttpContext::http_session`](crate::HttpContext::http_session).
    pub fn attach(ctx: &mut Context, settings: Settings) -> Attached<'_> {
        crate::handle::attach(ctx, settings)
    }
}
