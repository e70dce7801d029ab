//! Proxies by their URLs and by variables, which are given as values: no test reads the environment.

use super::*;

fn text(proxy: &Proxy) -> String {
    let Proxy { scheme, host, port, credentials } = proxy;
    let credentials = credentials.as_ref().map_or(String::new(), |c| format!("{}/{}@", c.user, c.password));
    format!("{scheme:?} {credentials}{host}:{port}")
}

#[test]
fn a_proxy_is_a_url_or_a_host_and_a_port() {
    let table = [
        ("http://proxy.test:3128", "Http proxy.test:3128"),
        ("http://proxy.test:3128/", "Http proxy.test:3128"),
        ("proxy.test:3128", "Http proxy.test:3128"),
        ("127.0.0.1:3128", "Http 127.0.0.1:3128"),
        ("proxy.test", "Http proxy.test:80"),
        ("socks5://127.0.0.1", "Socks5 127.0.0.1:1080"),
        ("socks5h://[::1]:9", "Socks5Names [::1]:9"),
        ("http://ann:p%40ss%20word@proxy.test:1", "Http ann/p@ss word@proxy.test:1"),
        ("ann:secret@proxy.test:1", "Http ann/secret@proxy.test:1"),
        ("http://ann@proxy.test:1", "Http ann/@proxy.test:1"),
        ("socks5://ann:secret@proxy.test", "Socks5 ann/secret@proxy.test:1080"),
        #[cfg(feature = "tls")]
        ("https://proxy.test", "Https proxy.test:443"),
    ];
    for (url, expected) in table {
        assert_eq!(text(&Proxy::parse(url).unwrap()), expected, "{url}");
    }
    let octets = Proxy::parse("socks5://127.0.0.1").unwrap();
    assert!(matches!(octets.host, Host::Ipv4(_)), "an address is no name to be resolved");
}

#[test]
fn a_proxy_that_makes_no_sense_is_refused_without_its_password() {
    let table = [
        ("ftp://ann:secret@proxy.test", "`ftp` is no kind of proxy"),
        ("socks4://ann:secret@proxy.test", "there are http, https, socks5 and socks5h"),
        ("http://ann:secret@proxy.test:port", "`proxy.test:port` is not a URL"),
        ("http://ann:secret@", "is not a URL"),
        ("socks5://ann:secret@", "is not a URL"),
        ("socks5:///", "has no host"),
        ("http://ann:secret@proxy.test/path", "has more than a host and a port"),
        ("socks5://ann@proxy.test", "SOCKS wants a user and a password"),
        ("http://a%3Asecret:secret@proxy.test", "cannot have a colon"),
        ("http://ann:%ffsecret@proxy.test", "not UTF-8"),
        ("", "is not a URL"),
    ];
    for (url, says) in table {
        let mistake = Proxy::parse(url).unwrap_err();
        assert!(mistake.contains(says) && !mistake.contains("secret"), "{url}: {mistake}");
    }
}

#[test]
fn credentials_are_not_shown() {
    let proxy = Proxy::parse("http://ann:secret@proxy.test").unwrap();
    let shown = format!("{proxy:?} {:?}", proxy.authorization());
    assert!(!shown.contains("ann") && !shown.contains("secret") && !shown.contains("YW5u"), "{shown}");
    assert_eq!(proxy.authorization().unwrap(), "Basic YW5uOnNlY3JldA==");
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Environment::read(|name| variables.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone()))
}

#[test]
fn the_environment_names_a_proxy_for_each_scheme() {
    type Case = (&'static [(&'static str, &'static str)], &'static str, Option<&'static str>);
    let table: [Case; 15] = [
        (&[], "http://a.test/", None),
        (&[("http_proxy", "p:1")], "http://a.test/", Some("p")),
        (&[("http_proxy", "p:1")], "https://a.test/", None),
        (&[("HTTP_PROXY", "P:1")], "http://a.test/", Some("p")),
        // Of both, the lower one.
        (&[("http_proxy", "p:1"), ("HTTP_PROXY", "q:1")], "http://a.test/", Some("p")),
        (&[("https_proxy", "p:1"), ("HTTPS_PROXY", "q:1")], "https://a.test/", Some("p")),
        (&[("HTTPS_PROXY", "q:1")], "https://a.test/", Some("q")),
        // For whatever has none of its own.
        (&[("all_proxy", "p:1")], "http://a.test/", Some("p")),
        (&[("ALL_PROXY", "socks5://p"), ("http_proxy", "q:1")], "https://a.test/", Some("p")),
        (&[("ALL_PROXY", "socks5://p"), ("http_proxy", "q:1")], "http://a.test/", Some("q")),
        // Empty is not set.
        (&[("http_proxy", ""), ("HTTP_PROXY", "p:1")], "http://a.test/", Some("p")),
        (&[("http_proxy", "")], "http://a.test/", None),
        // A CGI program's HTTP_PROXY is anybody's.
        (&[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")], "http://a.test/", None),
        (&[("http_proxy", "p:1"), ("REQUEST_METHOD", "GET")], "http://a.test/", Some("p")),
        // Loopback is a target as any other.
        (&[("http_proxy", "p:1")], "http://127.0.0.1/", Some("p")),
    ];
    for (variables, url, expected) in table {
        let environment = environment(variables);
        let got = environment.proxy_for(&url.parse().unwrap()).unwrap();
        assert_eq!(got.map(|proxy| proxy.host.to_string()).as_deref(), expected, "{variables:?} for {url}");
    }
}

#[test]
fn no_proxy_exempts_names_and_networks() {
    let table = [
        ("a.test", "http://a.test:8080/", true),
        ("a.test", "http://www.a.test/", true),
        (".a.test", "http://www.a.test/", true),
        ("a.test", "http://ba.test/", false),
        ("other, A.test", "https://a.test/", true),
        ("other a.test", "https://a.test/", true),
        ("*", "http://a.test/", true),
        ("10.0.0.0/8", "http://10.1.2.3/", true),
        ("10.0.0.0/8", "http://11.1.2.3/", false),
        ("127.0.0.1,::1", "http://[::1]:8080/", true),
        ("localhost", "http://127.0.0.1/", false),
    ];
    for (list, url, exempt) in table {
        for name in ["no_proxy", "NO_PROXY"] {
            let environment = environment(&[("all_proxy", "p:1"), (name, list)]);
            let got = environment.proxy_for(&url.parse().unwrap()).unwrap();
            assert_eq!(got.is_none(), exempt, "{list} for {url}");
        }
    }
}

#[test]
fn a_variable_that_makes_no_sense_fails_those_who_would_use_it() {
    let environment = environment(&[("https_proxy", "gopher://ann:secret@p"), ("no_proxy", "exempt.test")]);
    let of = |url: &str| environment.proxy_for(&url.parse().unwrap());
    let mistake = of("https://a.test/").unwrap_err();
    assert!(mistake.starts_with("the environment's https_proxy: `gopher` is no kind of proxy"), "{mistake}");
    assert!(mistake.contains(".no_proxy()") && !mistake.contains("secret"), "{mistake}");
    assert!(of("http://a.test/").unwrap().is_none());
    assert!(of("https://exempt.test/").unwrap().is_none());
}

#[test]
fn settings_come_before_the_environment() {
    let environment = environment(&[("http_proxy", "p:1"), ("no_proxy", "exempt.test")]);
    let own = Proxies::Everywhere(Arc::new(Proxy::parse("own:1").unwrap()));
    let of = |proxies: &Proxies, url: &str| {
        proxies.of(&url.parse().unwrap(), &environment).unwrap().map(|proxy| proxy.host.to_string())
    };
    assert_eq!(of(&Proxies::OfTheEnvironment, "http://a.test/").as_deref(), Some("p"));
    assert_eq!(of(&Proxies::Nowhere, "http://a.test/"), None);
    assert_eq!(of(&own, "http://a.test/").as_deref(), Some("own"));
    // `no_proxy` is about the environment's proxies.
    assert_eq!(of(&own, "http://exempt.test/").as_deref(), Some("own"));
}
