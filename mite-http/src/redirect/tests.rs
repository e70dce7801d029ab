//! Where redirects lead, as tables, and for any bytes that a server may send.

use proptest::prelude::*;

use super::*;

fn headers(location: &[u8]) -> HeaderMap {
    HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(location).unwrap())])
}

fn asked<'a>(method: &'a Method, url: &'a Url) -> Asked<'a> {
    Asked { method, url, replayable: true, hops: 0 }
}

fn after(status: u16, method: &Method, from: &str, location: &str) -> Result<Option<Follow>, Fault> {
    let url = from.parse().unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    decide(status, &headers(location.as_bytes()), asked(method, &url), USUAL)
}

fn refused(outcome: Result<Option<Follow>, Fault>) -> String {
    let error = outcome.unwrap_err().of_none();
    assert_eq!(error.class(), "redirect");
    error.to_string()
}

#[test]
fn the_method_is_kept_or_becomes_get() {
    let table = [
        (301, "GET", Some(("GET", true))),
        (301, "POST", Some(("GET", false))),
        (302, "POST", Some(("GET", false))),
        (302, "PUT", Some(("PUT", true))),
        (302, "DELETE", Some(("DELETE", true))),
        (302, "HEAD", Some(("HEAD", true))),
        (303, "GET", Some(("GET", true))),
        (303, "HEAD", Some(("HEAD", true))),
        (303, "PUT", Some(("GET", false))),
        (303, "DELETE", Some(("GET", false))),
        (307, "POST", Some(("POST", true))),
        (308, "POST", Some(("POST", true))),
        (308, "PATCH", Some(("PATCH", true))),
        // Not sent elsewhere, whatever Location says.
        (200, "GET", None),
        (201, "POST", None),
        (300, "GET", None),
        (304, "GET", None),
        (305, "GET", None),
        (306, "GET", None),
        (404, "GET", None),
    ];
    for (status, method, expected) in table {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let found = after(status, &method, "http://h/a", "/b").unwrap();
        let found = found.as_ref().map(|follow| (follow.method.as_str(), follow.keeps_body));
        assert_eq!(found, expected, "{status} {method}");
    }
}

#[test]
fn a_location_is_resolved_against_the_url() {
    let table = [
        ("http://h/a/b?c#d", "/x", "http://h/x#d"),
        ("http://h/a/b?c#d", "x?y#z", "http://h/a/x?y#z"),
        ("http://h/a/b", "../x", "http://h/x"),
        ("http://h/a/b", "?q", "http://h/a/b?q"),
        ("http://h/a/b", "#f", "http://h/a/b#f"),
        ("http://h/a/b", "//other/x", "http://other/x"),
        ("https://h/a", "//other/x", "https://other/x"),
        ("http://h/a", "https://other:8443/x", "https://other:8443/x"),
        ("http://h/a", "  /x ", "http://h/x"),
        ("http://h/a", "/caf\u{e9}?\u{fc}", "http://h/caf%C3%A9?%C3%BC"),
        ("http://h/a", "http://b\u{fc}cher.test/", "http://xn--bcher-kva.test/"),
        ("http://h/a", "\\x", "http://h/x"),
    ];
    for (from, location, to) in table {
        let follow = after(302, &Method::GET, from, location).unwrap().unwrap();
        assert_eq!(follow.url.as_str(), to, "{location} from {from}");
    }
    let url = "http://h/".parse().unwrap();
    let latin1 =
        decide(StatusCode::FOUND, &headers(b"/caf\xe9"), asked(&Method::GET, &url), Redirects::UpTo(1)).unwrap();
    assert_eq!(latin1.unwrap().url.as_str(), "http://h/caf%E9");
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let table = [
        ("http://h/a", "/b", true),
        ("http://h/a", "http://h:80/b", true),
        ("http://h/a", "http://H/b", true),
        ("http://h/a", "https://h/b", false),
        ("https://h/a", "http://h/b", false),
        ("http://h/a", "http://h:8080/b", false),
        ("http://h/a", "http://sub.h/b", false),
        ("http://h/a", "http://user:pw@h/b", true),
    ];
    for (from, location, same) in table {
        let follow = after(307, &Method::GET, from, location).unwrap().unwrap();
        assert_eq!(follow.same_origin, same, "{location} from {from}");
    }
}

#[test]
fn without_a_place_to_go_the_response_stays() {
    let url = "http://h/".parse().unwrap();
    for headers in [HeaderMap::new(), headers(b""), headers(b"  ")] {
        assert_eq!(decide(StatusCode::FOUND, &headers, asked(&Method::GET, &url), Redirects::UpTo(10)).unwrap(), None);
    }
    let off = decide(StatusCode::FOUND, &headers(b"/x"), asked(&Method::GET, &url), Redirects::NotFollowed);
    assert_eq!(off.unwrap(), None);
}

#[test]
fn what_cannot_be_followed_says_why() {
    let table = [
        ("ftp://h/x", "redirected to `ftp://h/x`, which is not a URL of http:// or https://"),
        ("myapp://callback", "redirected to `myapp://callback`, which is not a URL of http:// or https://"),
        ("mailto:ann@h", "redirected to `mailto:ann@h`, which is not a URL of http:// or https://"),
        ("http://user:secret@h:99999/", "redirected to `h:99999/`, which is not a URL"),
    ];
    for (location, what) in table {
        assert_eq!(refused(after(302, &Method::GET, "http://h/", location)), what);
    }

    let url = "http://h/".parse().unwrap();
    let mut two = headers(b"/x");
    two.append(LOCATION, HeaderValue::from_static("/x"));
    assert!(decide(StatusCode::FOUND, &two, asked(&Method::GET, &url), Redirects::UpTo(1)).unwrap().is_some());
    two.append(LOCATION, HeaderValue::from_static("/y"));
    let several = refused(decide(StatusCode::FOUND, &two, asked(&Method::GET, &url), Redirects::UpTo(1)));
    assert!(several.contains("several places"), "{several}");

    let last = Asked { hops: 2, ..asked(&Method::GET, &url) };
    let to = headers(b"http://user:secret@h/x");
    assert_eq!(
        refused(decide(StatusCode::FOUND, &to, last, Redirects::UpTo(2))),
        "redirected more than 2 times, at last to `http://h/x`"
    );
    let gone = Asked { replayable: false, ..asked(&Method::POST, &url) };
    assert!(
        refused(decide(StatusCode::TEMPORARY_REDIRECT, &to, gone, Redirects::UpTo(2)))
            .contains("cannot be sent a second time")
    );
    // It becomes a GET, which needs no body.
    assert!(decide(StatusCode::FOUND, &to, gone, Redirects::UpTo(2)).unwrap().is_some());
}

prop_compose! {
    /// What a server might say, from plain paths to any bytes that a header can hold.
    fn any_location()(
        start in prop::sample::select(vec!["", "/", "//", "http://", "https://", "http:", "h", "ftp://", "javascript:", "\\\\", "?", "#"]),
        rest in prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(b'/'), Just(b'@'), Just(b':'), Just(b'\t')], 0..40),
    ) -> Vec<u8> {
        [start.as_bytes(), &rest].concat()
    }
}

proptest! {
    #[test]
    fn whatever_a_server_says_nobody_leaves_http(
        location in any_location(),
        status in 300_u16..=308,
        method in prop::sample::select(vec![Method::GET, Method::POST, Method::PUT, Method::HEAD]),
        from in prop::sample::select(vec!["http://app.test/a/b?c#d", "https://app.test:8443/", "http://[::1]:1/x"]),
        replayable: bool,
        hops in 0_u32..12,
    ) {
        let url: Url = from.parse().unwrap();
        let asked = Asked { method: &method, url: &url, replayable, hops };
        let status = StatusCode::from_u16(status).unwrap();
        match decide(status, &headers(&location), asked, USUAL) {
            Ok(Some(follow)) => {
                prop_assert!(matches!(follow.url.scheme(), "http" | "https"), "{}", follow.url);
                prop_assert!(follow.url.host_str().is_some_and(|host| !host.is_empty()), "{}", follow.url);
                prop_assert!(hops < 10 && follow.url.as_str().is_ascii());
                let there = (follow.url.scheme(), follow.url.host(), follow.url.port_or_known_default());
                prop_assert_eq!(follow.same_origin, there == (url.scheme(), url.host(), url.port_or_known_default()));
                prop_assert!(!follow.keeps_body || (replayable && follow.method == method));
            }
            Ok(None) => {}
            Err(fault) => prop_assert_eq!(fault.of_none().class(), "redirect"),
        }
    }
}
