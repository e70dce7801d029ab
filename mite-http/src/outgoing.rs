//! The head of a request as it goes out.
//! It is separate from the draft because the connection that it goes to may have something to add, and from the transports
//! because each has another form for it. It borrows what is the same for many requests.

use http::{HeaderValue, Method, Request, Uri, header::PROXY_AUTHORIZATION};

use crate::{
    error::{Class, Fault},
    headers::Layered,
    target::Target,
};

#[derive(Debug, Clone)]
pub(crate) struct Outgoing<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: &'a Target,
    /// Every header that is to be sent but `Content-Length`.
    pub(crate) headers: Layered<'a>,
    /// Whether it goes to a proxy which passes it on.
    by_proxy: bool,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(method: &'a Method, target: &'a Target, headers: Layered<'a>) -> Self {
        Self { method, target, headers, by_proxy: false }
    }

    /// Makes it one to a proxy that passes it on: its target is the whole URL, and it says who asks. To do it twice changes
    /// nothing.
    pub(crate) fn make_over(&mut self, authorization: Option<&HeaderValue>) {
        self.by_proxy = true;
        if let Some(authorization) = authorization {
            self.headers.own_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
    }

    /// What its first line asks for.
    pub(crate) fn asks_for(&self) -> &str {
        if self.by_proxy { self.target.without_fragment() } else { self.target.path() }
    }

    /// The same with a body, for the libraries that take it so.
    ///
    /// # Errors
    ///
    /// Class `request`, if the URL is none for them.
    #[cfg_attr(not(any(feature = "http2", feature = "hyper")), expect(dead_code, reason = "no library is there"))]
    pub(crate) fn with<B>(&self, body: B) -> Result<Request<B>, Fault> {
        let uri = Uri::try_from(self.asks_for());
        let uri = uri.map_err(|error| Fault::new(Class::Request, "its URL").because(error))?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.merged();
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn a_request_made_over_names_the_whole_url_and_who_asks() {
        let target = Target::of("http://a.test:8080/path?q=1#part".parse().unwrap());
        let mut request = Outgoing::new(&Method::GET, &target, Layered::alone(Cow::default()));
        assert_eq!(request.asks_for(), "/path?q=1");
        for _ in 0..2 {
            request.make_over(Some(&HeaderValue::from_static("Basic eA==")));
            assert_eq!(request.asks_for(), "http://a.test:8080/path?q=1");
            assert_eq!(request.headers.own().get_all(PROXY_AUTHORIZATION).iter().count(), 1);
        }
        assert_eq!(request.with(()).unwrap().uri(), "http://a.test:8080/path?q=1");
    }
}
