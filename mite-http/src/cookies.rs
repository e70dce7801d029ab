//! The cookies of one journey.
//! The jar is separate from the session because it costs nothing until a server sets the first cookie.

use std::cell::RefCell;

use cookie_store::{CookieStore, RawCookie};
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use url::Url;

/// Remembers what `Set-Cookie` says, and gives it back where it belongs.
#[derive(Debug, Default)]
pub(crate) struct Jar {
    store: RefCell<Option<Box<CookieStore>>>,
}

impl Jar {
    /// Keeps the cookies that a response from `url` sets. As in a browser, a cookie that makes no sense, or that is for
    /// somebody else's domain, is left out.
    pub(crate) fn keep(&self, url: &Url, headers: &HeaderMap) {
        let mut values = headers.get_all(SET_COOKIE).iter().peekable();
        if values.peek().is_none() {
            return;
        }
        let cookies = values.filter_map(|value| RawCookie::parse(value.to_str().ok()?.to_owned()).ok());
        self.store.borrow_mut().get_or_insert_default().store_response_cookies(cookies, url);
    }

    /// Adds the cookies that belong to a request to `url`, unless it says itself which it sends.
    pub(crate) fn add_to(&self, url: &Url, headers: &mut HeaderMap) {
        let store = self.store.borrow();
        let Some(store) = store.as_deref() else {
            return;
        };
        if headers.contains_key(COOKIE) {
            return;
        }
        let mut line = String::new();
        for (name, value) in store.get_request_values(url) {
            if !line.is_empty() {
                line.push_str("; ");
            }
            line.push_str(name);
            line.push('=');
            line.push_str(value);
        }
        if line.is_empty() {
            return;
        }
        // What came in a header fits into one.
        if let Ok(value) = HeaderValue::try_from(line) {
            headers.insert(COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(jar: &Jar, url: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        jar.add_to(&url.parse().unwrap(), &mut headers);
        headers.get(COOKIE).map(|value| value.to_str().unwrap().to_owned())
    }

    fn set(jar: &Jar, url: &str, cookies: &[&'static str]) {
        let headers = cookies.iter().map(|cookie| (SET_COOKIE, HeaderValue::from_static(cookie))).collect();
        jar.keep(&url.parse().unwrap(), &headers);
    }

    #[test]
    fn a_jar_is_nothing_until_a_cookie_is_set() {
        let jar = Jar::default();
        set(&jar, "http://app/", &[]);
        assert!(jar.store.borrow().is_none());
        assert_eq!(sent(&jar, "http://app/"), None);
    }

    #[test]
    fn cookies_go_back_where_they_belong() {
        let jar = Jar::default();
        set(
            &jar,
            "http://app.test/login",
            &["session=1; Path=/; HttpOnly", "admin=2; Path=/admin", "tls=3; Path=/; Secure"],
        );

        assert_eq!(sent(&jar, "http://app.test/users").as_deref(), Some("session=1"));
        assert_eq!(sent(&jar, "http://other.test/users"), None);
        let admin = sent(&jar, "http://app.test/admin/x").unwrap();
        assert!(admin == "session=1; admin=2" || admin == "admin=2; session=1", "{admin}");
        assert!(sent(&jar, "https://app.test/").unwrap().contains("tls=3"));
    }

    #[test]
    fn a_cookie_is_replaced_and_expired() {
        let jar = Jar::default();
        set(&jar, "http://127.0.0.1:8080/", &["a=1; Path=/"]);
        set(&jar, "http://127.0.0.1:8080/", &["a=2; Path=/"]);
        assert_eq!(sent(&jar, "http://127.0.0.1:8080/").as_deref(), Some("a=2"));
        set(&jar, "http://127.0.0.1:8080/", &["a=; Path=/; Max-Age=0"]);
        assert_eq!(sent(&jar, "http://127.0.0.1:8080/"), None);
    }

    #[test]
    fn nonsense_and_other_peoples_cookies_are_left_out() {
        let jar = Jar::default();
        set(&jar, "http://app.test/", &["", "=", "a=1; Domain=bank.test"]);
        assert_eq!(sent(&jar, "http://app.test/"), None);
        assert_eq!(sent(&jar, "http://bank.test/"), None);
    }

    #[test]
    fn a_request_that_brings_its_own_cookies_sends_those() {
        let jar = Jar::default();
        set(&jar, "http://app.test/", &["a=1"]);
        let mut headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("mine=1"))]);
        jar.add_to(&"http://app.test/".parse().unwrap(), &mut headers);
        assert_eq!(headers[COOKIE], "mine=1");
    }
}
