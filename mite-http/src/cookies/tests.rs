//! Which cookies a jar takes, and where they go: tables, and any bytes.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn sent(jar: &CookieJar, to: &str) -> Option<String> {
    jar.header(&url(to)).map(|value| value.to_str().unwrap().to_owned())
}

/// A response with these cookies.
fn answered(jar: &CookieJar, from: &str, cookies: &[&str]) {
    let value = |cookie: &&str| HeaderValue::from_bytes(cookie.as_bytes()).unwrap();
    jar.keep(&url(from), &cookies.iter().map(|cookie| (SET_COOKIE, value(cookie))).collect());
}

#[test]
fn a_jar_is_nothing_until_a_cookie_is_set() {
    let jar = CookieJar::new();
    answered(&jar, "http://app/", &[]);
    assert!(jar.lock().is_none());
    assert_eq!(sent(&jar, "http://app/"), None);
    assert!(jar.all().is_empty());
}

#[test]
fn cookies_go_back_where_they_belong_longer_paths_first() {
    let jar = CookieJar::new();
    let cookies =
        ["b=1; Path=/; HttpOnly", "a=2; Path=/admin", "tls=3; Path=/; Secure", "c=4; Path=/; Domain=app.test"];
    answered(&jar, "https://app.test/login", &cookies);
    let table = [
        ("http://app.test/users", Some("b=1; c=4")),
        ("http://app.test/admin", Some("a=2; b=1; c=4")),
        ("http://app.test/admin/x", Some("a=2; b=1; c=4")),
        ("http://app.test/administration", Some("b=1; c=4")),
        ("https://app.test/", Some("b=1; tls=3; c=4")),
        ("http://www.app.test/", Some("c=4")),
        ("http://other.test/users", None),
        ("http://notapp.test/", None),
    ];
    for (to, expected) in table {
        assert_eq!(sent(&jar, to).as_deref(), expected, "{to}");
    }
}

#[test]
fn a_cookie_is_replaced_and_expired() {
    for host in ["http://127.0.0.1:8080/", "http://[::1]:8080/", "http://localhost/", "http://app/"] {
        let jar = CookieJar::new();
        answered(&jar, host, &["a=1; Path=/"]);
        answered(&jar, host, &["a=2; Path=/"]);
        assert_eq!(sent(&jar, host).as_deref(), Some("a=2"), "{host}");
        answered(&jar, host, &["a=; Path=/; Max-Age=0"]);
        assert_eq!(sent(&jar, host), None);
        answered(&jar, host, &["a=3; Path=/", "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]);
        assert_eq!(sent(&jar, host), None);
    }
}

#[test]
fn what_browsers_refuse_is_left_out() {
    let table = [
        ("http://app.test/", "", "`name=value`"),
        ("http://app.test/", "=", "`name=value`"),
        ("http://app.test/", "no value", "`name=value`"),
        ("http://app.test/", "a=1; Domain=bank.test", "is not that of the URL"),
        ("http://app.test/", "a=1; Domain=www.app.test", "is not that of the URL"),
        ("http://app.test/", "a=1; Domain=test", "a whole top level"),
        ("http://app.test/", "a=1; Domain=.test", "a whole top level"),
        ("http://1.2.3.4/", "a=1; Domain=3.4", "is not that of the URL"),
        ("http://app.test/", "a=1; Secure", "not https"),
        ("https://app.test/", "__Secure-a=1", "`__Secure-`"),
        ("https://app.test/", "__host-a=1; Secure", "`__Host-`"),
        ("https://app.test/", "__Host-a=1; Secure; Path=/; Domain=app.test", "`__Host-`"),
        ("https://app.test/", "__Host-a=1; Secure; Path=/x", "`__Host-`"),
    ];
    for (from, cookie, why) in table {
        let jar = CookieJar::new();
        let error = jar.set(from, cookie).unwrap_err();
        assert!(error.class() == "request" && error.to_string().contains(why), "{cookie}: {error}");
        answered(&jar, from, &[cookie]);
        assert!(jar.all().is_empty(), "{cookie}");
    }
    let long = format!("a={}", "x".repeat(4096));
    assert!(CookieJar::new().set("http://app/", &long).unwrap_err().to_string().contains("4096"));
    CookieJar::new().set("http://app/", &long[..4097]).unwrap();
    assert!(CookieJar::new().set("http://app/", "a=\0").unwrap_err().to_string().contains("control character"));
}

#[test]
fn what_browsers_take_is_kept() {
    let table = [
        ("https://app.test/", "__Host-a=1; Secure; Path=/"),
        ("https://app.test/", "__Secure-a=1; Secure; Domain=app.test"),
        ("http://localhost:8080/", "a=1; Secure"),
        ("http://127.0.0.1:8080/", "__Host-a=1; Secure; Path=/"),
        ("http://[::1]:8080/", "a=1; Secure"),
        ("http://localhost/", "a=1; Domain=localhost"),
        ("http://app/", "a=1; Domain=.app"),
        ("http://1.2.3.4/", "a=1; Domain=1.2.3.4"),
        ("http://app.test/", "a=1; SameSite=Strict; Partitioned; Priority=High"),
        ("http://app.test/", "a=1=2; Max-Age=1000000000000"),
    ];
    for (from, cookie) in table {
        let jar = CookieJar::new();
        jar.set(from, cookie).unwrap();
        assert!(sent(&jar, from).unwrap().contains("a=1"), "{cookie} from {from}");
    }
}

#[test]
fn plain_http_does_not_replace_what_came_by_https() {
    let jar = CookieJar::new();
    jar.set("https://app.test/", "id=safe; Secure; Path=/").unwrap();
    for from in ["http://app.test/", "http://www.app.test/x"] {
        assert!(jar.set(from, "id=forged").unwrap_err().to_string().contains("`Secure` is there"), "{from}");
    }
    jar.set("http://other.test/", "id=another").unwrap();
    jar.set("https://app.test/", "id=new; Path=/").unwrap();
    assert_eq!(sent(&jar, "https://app.test/").as_deref(), Some("id=new"));
}

#[test]
fn a_journey_reads_sets_and_erases() {
    let jar = CookieJar::new();
    jar.set("http://app.test/shop/", "id=1; Max-Age=60; HttpOnly").unwrap();
    jar.set("http://app.test/", "id=0; Domain=app.test").unwrap();
    let found = jar.get("http://app.test/shop/cart", "id").unwrap().unwrap();
    assert_eq!((found.name(), found.value(), found.domain(), found.path()), ("id", "1", "app.test", "/shop"));
    assert!(found.host_only() && found.http_only() && !found.secure());
    let left = found.expires().unwrap().duration_since(SystemTime::now()).unwrap();
    assert!(left <= Duration::from_secs(60));
    let outer = jar.get("http://www.app.test/", "id").unwrap().unwrap();
    assert_eq!((outer.value(), outer.host_only(), outer.expires()), ("0", false, None));
    assert_eq!(jar.get("http://app.test/", "other").unwrap(), None);

    assert!(jar.remove("http://app.test/shop/", "id").unwrap());
    assert_eq!(sent(&jar, "http://app.test/shop/").as_deref(), Some("id=0"));
    assert!(jar.remove("http://app.test/shop/", "id").unwrap());
    assert!(!jar.remove("http://app.test/shop/", "id").unwrap());

    for relative in ["/shop", "shop", ""] {
        let error = jar.get(relative, "id").unwrap_err();
        assert!(error.class() == "request" && error.to_string().contains("absolute URL"), "{error}");
    }
    assert_eq!(jar.get("ftp://app/", "id").unwrap_err().class(), "request");
}

#[test]
fn closing_the_browser_leaves_what_has_an_expiry() {
    let jar = CookieJar::new();
    jar.clear_session();
    jar.set("http://app.test/", "session=1").unwrap();
    jar.clear_session();
    assert!(jar.lock().is_none());
    jar.set("http://app.test/", "session=1").unwrap();
    jar.set("http://app.test/", "remembered=1; Max-Age=60").unwrap();
    jar.clear_session();
    assert_eq!(sent(&jar, "http://app.test/").as_deref(), Some("remembered=1"));
    jar.clear();
    assert!(jar.lock().is_none());
}

#[test]
fn a_jar_is_shared_by_its_clones_and_goes_anywhere() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<CookieJar>();
    let jar = CookieJar::new();
    let clone = jar.clone();
    clone.set("http://app/", "secret=hidden").unwrap();
    assert_eq!(sent(&jar, "http://app/").as_deref(), Some("secret=hidden"));
    assert_eq!(jar, clone);
    assert_ne!(jar, CookieJar::new());
    assert!(!format!("{jar:?}").contains("hidden"), "{jar:?}");
}

#[test]
fn a_jar_is_written_and_read_again() {
    let jar = CookieJar::new();
    assert_eq!(serde_json::to_string(&jar).unwrap(), "[]");
    jar.set("https://app.test/a/", "id=1; Max-Age=60; Secure; HttpOnly").unwrap();
    jar.set("http://app.test/", "caf\u{e9}=\u{fc}; Domain=app.test").unwrap();
    let text = serde_json::to_string(&jar).unwrap();
    let again: CookieJar = serde_json::from_str(&text).unwrap();
    let without_fractions = |jar: &CookieJar| {
        let mut cookies = jar.all();
        for cookie in &mut cookies {
            cookie.expires = None;
        }
        cookies
    };
    assert_eq!(without_fractions(&again), without_fractions(&jar));
    assert!(again.all().iter().any(|cookie| cookie.expires().is_some()));
    assert_eq!(again.header(&url("https://www.app.test/")), jar.header(&url("https://www.app.test/")));
    assert_ne!(again, jar);
}

#[test]
fn bytes_come_back_as_they_came() {
    let jar = CookieJar::new();
    // UTF-8 whose last byte would be a space in Latin 1, and what is no UTF-8.
    jar.set("http://app/", "utf8=\u{e0}").unwrap();
    jar.set("http://app/", b"latin1=\xa0caf\xe9\x85").unwrap();
    let header = jar.header(&url("http://app/")).unwrap();
    assert_eq!(header.as_bytes(), b"utf8=\xc3\xa0; latin1=\xa0caf\xe9\x85");
    assert_eq!(jar.get("http://app/", "utf8").unwrap().unwrap().value(), "\u{e0}");
    assert_eq!(jar.get("http://app/", "latin1").unwrap().unwrap().value_bytes(), b"\xa0caf\xe9\x85");
}

prop_compose! {
    fn any_cookie()(
        parts in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec!["a=1", "__Host-a=b", "Path=/", "Path=", "Domain=app.test", "Domain=.", "Domain=", "Secure", "Max-Age=-1", "Max-Age=", "Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Expires=Fri, 31-Dec-99 23:59:59 GMT", "="]).prop_map(|part| part.as_bytes().to_vec()),
                prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(b'\t'), Just(b'='), Just(b'-')], 0..24),
            ],
            0..6,
        ),
    ) -> Vec<u8> {
        parts.join(&b';')
    }
}

proptest! {
    #[test]
    fn whatever_is_offered_what_is_kept_can_be_sent(cookies in prop::collection::vec(any_cookie(), 0..5), plain: bool) {
        let from = url(if plain { "http://www.app.test/a/b" } else { "https://www.app.test/a/b" });
        let jar = CookieJar::new();
        let headers = cookies.iter().map(|cookie| (SET_COOKIE, HeaderValue::from_bytes(cookie).unwrap())).collect();
        jar.keep(&from, &headers);
        let kept = jar.all();
        for cookie in &kept {
            prop_assert!(from.host_str().unwrap().ends_with(cookie.domain()) && cookie.domain().contains('.'));
            prop_assert!(!(plain && cookie.secure()));
            // It is what was offered, byte by byte.
            let value = cookie.value_bytes();
            prop_assert!(cookies.iter().any(|offered| offered.windows(value.len().max(1)).any(|part| part == value) || value.is_empty()));
        }
        let sent = jar.header(&from);
        prop_assert_eq!(sent.is_some(), !kept.is_empty());
        prop_assert_eq!(jar.header(&url("https://elsewhere.test/a/b")), None);
    }

    #[test]
    fn bytes_and_text_are_two_forms_of_the_same(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(text::as_bytes(&text::as_text(&bytes)).collect::<Vec<_>>(), bytes);
    }
}
