//! Requests as values: what is asked for, and what would go out.

use std::collections::BTreeMap;

use http::header::USER_AGENT;
use proptest::prelude::*;
use serde_json::json;
use url::Position;

use super::*;

fn draft(method: Method, url: &str) -> Draft {
    *Draft::new(method, url, &Sites::default(), || panic!("{url} is absolute")).unwrap()
}

impl Draft {
    /// As it goes out, of one whose body is bytes.
    fn whole(&self, defaults: &HeaderMap) -> Result<Outgoing<'_>, HttpError> {
        self.outgoing(&self.payload().unwrap(), self.all_headers(Some(defaults))?)
    }
}

fn mistake(outcome: Result<impl std::fmt::Debug, HttpError>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.class(), "request");
    match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn header(draft: &Draft, name: HeaderName) -> Option<String> {
    let request = draft.whole(&HeaderMap::new()).unwrap();
    request.headers.merged().get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn a_relative_url_is_put_at_the_end_of_the_base() {
    let table = [
        ("http://h:1", "/users", "http://h:1/users"),
        ("http://h:1/", "users", "http://h:1/users"),
        ("http://h:1/api", "/users?a=1", "http://h:1/api/users?a=1"),
        ("http://h:1/api/", "users/", "http://h:1/api/users/"),
        ("http://h:1/api", "?page=2", "http://h:1/api?page=2"),
        ("http://h:1/api", "", "http://h:1/api"),
        ("http://h:1/api", "//other/x", "http://h:1/api//other/x"),
    ];
    for (base, relative, whole) in table {
        let draft = Draft::new(Method::GET, relative, &Sites::default(), || Ok(base.parse().unwrap())).unwrap();
        assert_eq!(draft.url().as_str(), whole, "{relative:?} on {base}");
    }
}

#[test]
fn urls_that_make_no_sense_say_so_without_their_credentials() {
    let none = || Err(Fault::new(Class::Request, "no base"));
    let table = [
        ("/users", "no base"),
        ("http://", "`http://` is not a URL: empty host"),
        ("localhost:8080/x", "`localhost:8080/x` is not a URL of http:// or https://"),
        ("ftp://host/x", "`ftp://host/x` is not a URL of http:// or https://"),
        ("http://user:secret@host:99999/", "`host:99999/` is not a URL: invalid port number"),
    ];
    for (url, what) in table {
        assert_eq!(mistake(Draft::new(Method::GET, url, &Sites::default(), none)), what);
    }
    assert!(mistake(Draft::new(Method::CONNECT, "http://h/", &Sites::default(), none)).contains("CONNECT"));
}

#[test]
fn credentials_in_a_url_become_a_header_and_are_not_shown() {
    let draft = draft(Method::GET, "http://us%40er:p%3Aw@h/x");
    assert_eq!(draft.url().as_str(), "http://h/x");
    // us@er:p:w
    assert_eq!(header(&draft, AUTHORIZATION).unwrap(), "Basic dXNAZXI6cDp3");
    assert!(!format!("{draft:?}").contains("dXNAZXI6cDp3"), "{draft:?}");
}

#[test]
fn authorization() {
    let mut basic = draft(Method::GET, "http://h/");
    basic.basic_auth("Aladdin", "open sesame").unwrap();
    assert_eq!(header(&basic, AUTHORIZATION).unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(mistake(basic.basic_auth("a:b", "c")).contains("colon"));

    let mut bearer = draft(Method::GET, "http://h/");
    bearer.bearer_auth("t0ken").unwrap();
    assert_eq!(header(&bearer, AUTHORIZATION).unwrap(), "Bearer t0ken");
    assert!(mistake(bearer.bearer_auth("a\nb")).contains("authorization"));
}

#[test]
fn queries_are_added_to_what_is_there() {
    let table = [
        ("http://h/p", "http://h/p?name=Ann+B&x=%26"),
        ("http://h/p?", "http://h/p?name=Ann+B&x=%26"),
        ("http://h/p?old=1#part", "http://h/p?old=1&name=Ann+B&x=%26#part"),
    ];
    for (url, whole) in table {
        let mut draft = draft(Method::GET, url);
        draft.query(&[("name", "Ann B"), ("x", "&")]).unwrap();
        assert_eq!(draft.url().as_str(), whole);
    }
    let mut draft = draft(Method::GET, "http://h/p");
    draft.query(&BTreeMap::<&str, &str>::new()).unwrap();
    assert_eq!(draft.url().as_str(), "http://h/p");
    assert!(mistake(draft.query(&"no pairs")).contains("its query"));
}

#[test]
fn what_goes_out_is_in_origin_form_with_a_host() {
    let table = [
        ("http://Example.test", "/", "example.test"),
        ("http://h:80/a%20b?c#d", "/a%20b?c", "h"),
        ("https://h:80/x", "/x", "h:80"),
        ("http://[::1]:8080/x|y?{z}", "/x|y?{z}", "[::1]:8080"),
        ("http://b\u{fc}cher.test/\u{fc}", "/%C3%BC", "xn--bcher-kva.test"),
    ];
    for (url, target, host) in table {
        let draft = draft(Method::GET, url);
        let request = draft.whole(&HeaderMap::new()).unwrap();
        assert_eq!(request.asks_for(), target, "{url}");
        assert_eq!(request.headers.merged()[HOST], host, "{url}");
    }
}

#[test]
fn bodies_say_what_they_are_unless_told() {
    let mut with_json = draft(Method::POST, "http://h/");
    with_json.json(&json!({"a": [1, null]})).unwrap();
    assert_eq!(with_json.body.as_whole().unwrap(), r#"{"a":[1,null]}"#);
    assert_eq!(header(&with_json, CONTENT_TYPE).unwrap(), "application/json");

    let mut form = draft(Method::POST, "http://h/");
    form.form(&[("a", "1 2"), ("b", "\u{e9}")]).unwrap();
    assert_eq!(form.body.as_whole().unwrap(), "a=1+2&b=%C3%A9");
    assert_eq!(header(&form, CONTENT_TYPE).unwrap(), "application/x-www-form-urlencoded");

    let mut own = draft(Method::POST, "http://h/");
    own.header("content-type", "application/vnd.api+json").unwrap();
    own.json(&1).unwrap();
    assert_eq!(header(&own, CONTENT_TYPE).unwrap(), "application/vnd.api+json");

    let unkeyed = BTreeMap::from([((1, 2), 3)]);
    assert!(mistake(draft(Method::POST, "http://h/").json(&unkeyed)).contains("JSON body: key must be a string"));
    assert!(mistake(draft(Method::POST, "http://h/").form(&[("a", [1])])).contains("its form"));
}

#[test]
fn headers_of_the_request_come_before_those_of_the_session() {
    let session = HeaderMap::from_iter([
        (HeaderName::from_static("x-a"), HeaderValue::from_static("session")),
        (HeaderName::from_static("x-b"), HeaderValue::from_static("session")),
        (USER_AGENT, HeaderValue::from_static("crawler")),
    ]);
    let mut draft = draft(Method::GET, "http://h/");
    draft.header("x-a", "one").unwrap();
    draft.header("X-A", "two").unwrap();
    draft.header(HOST, "virtual.test").unwrap();

    let request = draft.whole(&session).unwrap();
    let merged = request.headers.merged();
    let all = |name: &str| merged.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("x-a"), ["one", "two"]);
    assert_eq!(all("x-b"), ["session"]);
    assert_eq!(all("user-agent"), ["crawler"]);
    assert_eq!(all("host"), ["virtual.test"]);

    draft.headers(HeaderMap::from_iter([(HeaderName::from_static("x-a"), HeaderValue::from_static("only"))]));
    assert_eq!(header(&draft, HeaderName::from_static("x-a")).unwrap(), "only");
    assert!(mistake(draft.header("no name", "x")).contains("invalid HTTP header name"));
    assert!(mistake(draft.header("x", "a\r\nb: c")).contains("failed to parse header value"));
}

#[test]
fn mite_says_who_it_is() {
    let agent = header(&draft(Method::GET, "http://h/"), USER_AGENT).unwrap();
    assert_eq!(agent, format!("mite/{}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_length_is_the_bodys_or_refused() {
    assert_eq!(header(&draft(Method::POST, "http://h/"), CONTENT_LENGTH).unwrap(), "0");
    assert_eq!(header(&draft(Method::GET, "http://h/"), CONTENT_LENGTH), None);

    let mut lying = draft(Method::POST, "http://h/");
    lying.body("abc".into());
    lying.header(CONTENT_LENGTH, "3").unwrap();
    lying.whole(&HeaderMap::new()).unwrap();
    lying.body("abcd".into());
    assert!(mistake(lying.whole(&HeaderMap::new())).contains("Content-Length is not that of its body, 4 bytes"));
}

#[test]
fn a_name_stands_in_the_errors_of_its_request() {
    let mut named = draft(Method::GET, "http://h:1/users/7");
    named.options().name = Some(Name { text: "/users/{id}".into(), redirected: false });
    let error = named.header("no name", "x").unwrap_err();
    assert!(error.to_string().starts_with("GET http://h:1/users/{id}: its header: "), "{error}");
}

#[test]
fn a_redirect_takes_along_what_may_go() {
    let mut first = draft(Method::POST, "http://ann:pw@h/a");
    first.json(&1).unwrap();
    first.timeout = Some(Duration::from_secs(7));
    for (name, value) in [("content-language", "cy"), ("trailer", "x"), ("host", "virtual.test"), ("x-own", "1")] {
        first.header(name, value).unwrap();
    }
    first.options().name = Some(Name { text: "a".into(), redirected: false });
    let follow = |url: &str, method: Method, keeps_body, same_origin| {
        let follow = Follow { method, url: url.parse().unwrap(), keeps_body, same_origin };
        let next = first.redirected(follow).unwrap();
        assert_eq!(next.timeout, first.timeout);
        assert!(next.name().unwrap().redirected);
        let mut names: Vec<_> = next.headers.keys().map(HeaderName::as_str).map(str::to_owned).collect();
        names.sort();
        (next, names.join(" "))
    };
    let (next, names) = follow("http://h/b", Method::GET, false, true);
    assert_eq!((names.as_str(), next.content().unwrap().len()), ("authorization host x-own", 0));
    let (next, names) = follow("http://h/b", Method::POST, true, true);
    assert_eq!(names, "authorization content-language content-type host trailer x-own");
    assert_eq!(next.content().unwrap(), "1");
    let (_, names) = follow("https://h/b", Method::POST, true, false);
    assert_eq!(names, "content-language content-type trailer x-own");
    // What the server puts into the URL is its own affair.
    let (next, names) = follow("http://bob:x@other/b", Method::GET, false, false);
    assert_eq!((names.as_str(), next.url().as_str()), ("authorization x-own", "http://other/b"));
    assert_eq!(header(&next, AUTHORIZATION).unwrap(), "Basic Ym9iOng=");

    let session = HeaderMap::from_iter([
        (AUTHORIZATION, HeaderValue::from_static("Bearer s")),
        (HeaderName::from_static("x-plain"), HeaderValue::from_static("1")),
    ]);
    let (away, _) = follow("http://other/b", Method::GET, false, false);
    let headers = away.all_headers(Some(&session)).unwrap();
    let headers = headers.merged();
    assert!(!headers.contains_key(AUTHORIZATION) && headers.contains_key("x-plain"));
    let back = away.redirected(Follow { same_origin: true, ..back() }).unwrap();
    assert!(!back.all_headers(Some(&session)).unwrap().merged().contains_key(AUTHORIZATION));
}

fn back() -> Follow {
    Follow { method: Method::GET, url: "http://h/c".parse().unwrap(), keeps_body: false, same_origin: true }
}

proptest! {
    #[test]
    fn what_is_relative_stays_at_its_base(
        base in prop::sample::select(vec!["http://app.test", "https://app.test:8443/api/", "http://[::1]:8080/a/b"]),
        relative in prop_oneof!["[/?#@:\\\\.a-z%\t ]{0,20}", "\\PC{0,20}"],
    ) {
        let base: Url = base.parse().unwrap();
        let asked = std::cell::Cell::new(false);
        let outcome = Draft::new(Method::GET, &relative, &Sites::default(), || {
            asked.set(true);
            Ok(base.clone())
        });
        match outcome {
            Ok(draft) if asked.get() => {
                prop_assert_eq!(draft.url().origin(), base.origin());
                // What goes out goes there.
                let request = draft.whole(&HeaderMap::new()).unwrap();
                let headers = request.headers.merged();
                prop_assert_eq!(headers[HOST].as_bytes(), base[Position::BeforeHost..Position::AfterPort].as_bytes());
                prop_assert!(request.asks_for().starts_with('/'));
            }
            Ok(draft) => prop_assert!(matches!(draft.url().scheme(), "http" | "https") && draft.url().has_host()),
            Err(error) => prop_assert_eq!(error.class(), "request"),
        }
    }

    #[test]
    fn headers_go_out_as_they_are_or_are_refused(name in "[!-~]{0,12}", value in prop::collection::vec(any::<u8>(), 0..24)) {
        let mut draft = draft(Method::POST, "http://h/");
        match draft.header(name.as_str(), value.as_slice()) {
            Ok(()) => {
                prop_assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
                if let Ok(request) = draft.whole(&HeaderMap::new()) {
                    let headers = request.headers.merged();
                    prop_assert_eq!(headers[name.as_str()].as_bytes(), &value[..]);
                } else {
                    prop_assert_eq!(name.to_ascii_lowercase(), "content-length");
                }
            }
            Err(error) => prop_assert_eq!(error.class(), "request"),
        }
    }
}
