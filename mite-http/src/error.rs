//! What an HTTP request can fail with: one opaque error with a class, for journeys to pass on with `?`.
//! It is a file of its own because every layer speaks it: the lower ones make a [`Fault`], which knows nothing of the
//! request, and the session turns that into the [`HttpError`] which names the request.

use std::{borrow::Cow, error::Error, fmt};

use http::{Method, StatusCode};
use url::{Position, Url};

use crate::name::Name;

type Source = Box<dyn Error + Send + Sync>;

/// The kinds of failure that a report tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Connect,
    Tls,
    Timeout,
    Protocol,
    Closed,
    Body,
    Redirect,
    Status,
    Decode,
}

impl Class {
    fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Closed => "closed",
            Self::Body => "body",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::Decode => "decode",
        }
    }
}

/// A failure seen from below: what went wrong, not yet of which request.
///
/// Boxed, because it is the rare half of nearly each result, which is moved with every request.
#[derive(Debug)]
pub(crate) struct Fault(Box<Failed>);

#[derive(Debug)]
struct Failed {
    class: Class,
    what: Cow<'static, str>,
    source: Option<Source>,
}

impl Fault {
    pub(crate) fn new(class: Class, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Failed { class, what: what.into(), source: None }))
    }

    pub(crate) fn class(&self) -> Class {
        self.0.class
    }

    pub(crate) fn because(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same failure in better words.
    pub(crate) fn saying(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.0.what = what.into();
        self
    }

    /// The error of a request to `url`, whose credentials have been taken out before.
    pub(crate) fn of(self, method: &Method, url: &Url) -> HttpError {
        HttpError {
            inner: Box::new(Inner {
                fault: self,
                request: Some((method.clone(), url.clone())),
                name: None,
                status: None,
            }),
        }
    }

    /// The error of a request whose URL is not known, or not fit to be shown.
    pub(crate) fn of_none(self) -> HttpError {
        HttpError { inner: Box::new(Inner { fault: self, request: None, name: None, status: None }) }
    }
}

/// What a request failed with.
///
/// Its text names the method, the URL without its credentials, and what went wrong; the cause is in
/// [`source`](Error::source). Any `?` in a journey turns it into a [`mite_core::Error`].
///
/// # Examples
///
/// ```no_run
/// use mite_core::{Context, Result};
/// use mite_http::HttpContext;
///
/// async fn browse(ctx: &mut Context) -> Result {
///     match ctx.http().get("http://localhost:8080/").await {
///         Err(error) if error.class() == "closed" => Ok(()),
///         Err(error) => Err(error.into()),
///         Ok(_) => Ok(()),
///     }
/// }
/// ```
pub struct HttpError {
    inner: Box<Inner>,
}

struct Inner {
    fault: Fault,
    request: Option<(Method, Url)>,
    name: Option<Name>,
    status: Option<StatusCode>,
}

impl HttpError {
    /// The class under which a report counts this error.
    ///
    /// - `request`: the request could not be built, and nothing was sent; or its body failed, or was not as long as
    ///   announced, while it was sent.
    /// - `connect`: the name could not be resolved, or nobody accepted the connection.
    /// - `tls`: the TLS handshake failed, the server's certificate is not trusted, or a TLS record was wrong.
    /// - `timeout`: the connect timeout, the one for the head of the response, or the request timeout ran out; the text says
    ///   which.
    /// - `protocol`: the answer is not HTTP.
    /// - `closed`: the connection was closed before a response came.
    /// - `body`: the response broke off in its body, or its body is larger than
    ///   [`max_body`](crate::Settings::max_body).
    /// - `redirect`: a response sends the request on once too often, to what is no place of http or https, or with a body that
    ///   cannot be sent again. The response itself is counted as any other.
    /// - `status`: the response's status is an error, from [`error_for_status`](crate::Response::error_for_status).
    /// - `decode`: the body is not what was asked for, from [`json`](crate::Response::json) and
    ///   [`text`](crate::Response::text); or it is not in the coding that its `Content-Encoding` names.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// if let Err(error) = ctx.http().get("http://localhost:8080/").await {
    ///     ctx.check("is only slow", error.class() == "timeout");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> &'static str {
        self.inner.fault.class().as_str()
    }

    /// The URL of the request, without credentials, if the error has one: after a redirect, where that led.
    pub fn url(&self) -> Option<&Url> {
        self.inner.request.as_ref().map(|(_, url)| url)
    }

    /// The status of the response, for an error of class `status` or `decode`.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// use mite_http::StatusCode;
    ///
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let answer = ctx.http().get("http://localhost:8080/users/7").await?.error_for_status();
    /// ensure!(answer.is_ok() || answer.is_err_and(|error| error.status() == Some(StatusCode::NOT_FOUND)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// Whether a timeout ran out.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// match ctx.http().get("http://localhost:8080/slow").await {
    ///     Err(error) if error.is_timeout() => println!("too slow"),
    ///     answer => {
    ///         answer?.error_for_status()?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_timeout(&self) -> bool {
        self.inner.fault.class() == Class::Timeout
    }

    /// Whether no connection could be made.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// match ctx.http().get("http://localhost:8080/").await {
    ///     Err(error) if error.is_connect() => println!("nobody listens there"),
    ///     answer => {
    ///         answer?.error_for_status()?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_connect(&self) -> bool {
        self.inner.fault.class() == Class::Connect
    }

    /// The same error, told under the name of its request.
    pub(crate) fn named(mut self, name: &Name) -> Self {
        self.inner.name = Some(name.clone());
        self
    }

    /// What went wrong and why, without the request.
    pub(crate) fn what(&self) -> String {
        let mut text = self.inner.fault.0.what.clone().into_owned();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.inner.status = Some(status);
        self
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((method, url)) = &self.inner.request {
            let origin = &url[..Position::BeforePath];
            match &self.inner.name {
                None => write!(f, "{method} {url}: ")?,
                Some(Name { text, redirected: true }) => write!(f, "{method} {origin} (redirected from {text}): ")?,
                Some(Name { text, .. }) if text.starts_with('/') => write!(f, "{method} {origin}{text}: ")?,
                Some(Name { text, .. }) => write!(f, "{method} {origin} {text}: ")?,
            }
        }
        f.write_str(&self.inner.fault.0.what)
    }
}

impl fmt::Debug for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpError")
            .field("class", &self.class())
            .field("text", &self.to_string())
            .field("source", &self.inner.fault.0.source)
            .finish()
    }
}

impl Error for HttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.fault.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_go_anywhere_an_error_can() {
        fn check<T: Error + Send + Sync + 'static>() {}
        check::<HttpError>();
    }

    #[test]
    fn the_text_is_this_level_only_and_the_cause_is_kept() {
        let url = Url::parse("http://127.0.0.1:1/x").unwrap();
        let error = Fault::new(Class::Connect, "failed to connect to 127.0.0.1:1")
            .because(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
            .of(&Method::POST, &url);

        assert_eq!(error.to_string(), "POST http://127.0.0.1:1/x: failed to connect to 127.0.0.1:1");
        assert_eq!(error.source().unwrap().to_string(), "connection refused");
        assert_eq!(error.class(), "connect");
        assert_eq!(error.url(), Some(&url));
        assert_eq!(error.what(), "failed to connect to 127.0.0.1:1: connection refused");
    }

    #[test]
    fn a_name_stands_in_the_place_of_the_path() {
        let url = Url::parse("http://app:1/users/7?page=2").unwrap();
        let table = [
            ("/users/{id}", false, "GET http://app:1/users/{id}: no"),
            ("a user", false, "GET http://app:1 a user: no"),
            ("/users/{id}", true, "GET http://app:1 (redirected from /users/{id}): no"),
        ];
        for (text, redirected, expected) in table {
            let error = Fault::new(Class::Closed, "no").of(&Method::GET, &url);
            let error = error.named(&Name { text: text.into(), redirected });
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.url(), Some(&url));
        }
    }
}
