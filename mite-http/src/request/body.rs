//! What a request carries, and what becomes of the body that answers it.
//! It is a file of its own because bodies are half of what a request can be told.

use super::Request;
use crate::{body::Body, error::HttpError, metrics, multipart::Multipart, response::Response, stream::ResponseStream};

impl Request {
    /// Sends this as it is: bytes, text, or what [`Body`] makes of files and streams. `Content-Type` is the caller's to set.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().put("http://localhost:8080/notes/1").body("buy tea").await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with(|draft| {
            draft.body(body.into());
            Ok(())
        })
    }

    /// Sends a form of several parts, files among them. Its `Content-Type` takes the place of any other.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// use mite_http::Multipart;
    ///
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let form = Multipart::new().text("title", "a film").file("film", "film.mp4");
    /// ctx.http().post("http://localhost:8080/films").multipart(form).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn multipart(self, form: Multipart) -> Self {
        self.with(|draft| draft.multipart(form))
    }

    /// Asks the server before the body is sent, by `Expect: 100-continue`. Without a body it does nothing.
    ///
    /// The body follows when the server says so, or when it has said nothing for a second. A server that answers at once,
    /// such as with 401, 413 or 417, gets no body; the connection is closed then.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().put("http://localhost:8080/films/1").body("a film").expect_continue().await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn expect_continue(self) -> Self {
        self.option(|options| options.expect_continue = true)
    }

    /// How many bytes the response's body may have, in the place of the session's
    /// [`max_body`](crate::Settings::max_body). A body that is streamed or discarded has no limit.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().get("http://localhost:8080/").max_body(1024 * 1024).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_body(self, bytes: u64) -> Self {
        self.option(|options| options.max_body = Some(bytes))
    }

    /// Whether the response may come compressed and is decoded, in the place of what the session's
    /// [`compression`](crate::Settings::compression) says.
    #[cfg(feature = "compression")]
    pub fn compression(self, compression: bool) -> Self {
        self.option(|options| options.compression = Some(compression))
    }

    /// Sends the request, and reads and forgets the response's body, of whatever size, in constant memory.
    ///
    /// The response has no body then; its [`sizes`](Response::sizes) tell how long it was.
    ///
    /// # Errors
    ///
    /// As [`send`](Request::send).
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let film = ctx.http().get("http://localhost:8080/films/1").discard().await?.error_for_status()?;
    /// ensure!(film.sizes().received > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn discard(self) -> Result<Response, HttpError> {
        self.option(|options| options.discard = true).send().await
    }

    /// Sends the request and waits for the head of the response, whose body then comes piece by piece.
    ///
    /// The request is counted when its body has ended, or when the stream is dropped: see [`ResponseStream`]. When this
    /// is dropped before there is a stream, the connection is closed, and the request is not counted.
    ///
    /// # Errors
    ///
    /// When there is no response, whatever its status; [`HttpError::class`] lists the reasons.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mite_core::{Context, Result};
    /// use mite_http::HttpContext;
    ///
    /// async fn watch(ctx: &mut Context) -> Result {
    ///     let mut events = ctx.http().get("http://localhost:8080/events").stream().await?.error_for_status()?;
    ///     while let Some(piece) = events.next().await {
    ///         if piece?.ends_with(b"done\n") {
    ///             break;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn stream(self) -> Result<ResponseStream, HttpError> {
        let Self { session, scope, draft } = self;
        session.end_with(&scope);
        let opened = session.begin(draft?, |ended| metrics::report(&scope, session.settings(), ended)).await?;
        Ok(ResponseStream::new(session, scope, opened))
    }
}
