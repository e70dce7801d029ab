//! What is shown and what is not: tables, and secrets of all kinds in all places.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn masks() -> Masks<'static> {
    Masks::new(&[])
}

#[test]
fn names_tell_of_secrets() {
    let own = ["X-Tenant".to_owned()];
    let masks = Masks::new(&own);
    for secret in [
        "password",
        "Password",
        "user_password",
        "newPassword",
        "PASSWD",
        "pwd",
        "token",
        "access_token",
        "csrf-token",
        "X-Api-Key",
        "api_key",
        "apiKey",
        "client_secret",
        "secret",
        "authorization",
        "sessionId",
        "session",
        "jwt",
        "x_tenant",
        "tenant-x-tenant".strip_prefix("tenant-").unwrap(),
    ] {
        assert!(masks.covers(secret), "{secret}");
    }
    for plain in ["name", "username", "key", "code", "id", "compass", "passenger", "author", "x-request-id", ""] {
        assert!(!masks.covers(plain), "{plain}");
    }
}

#[test]
fn headers_keep_their_names() {
    let table = [
        ("authorization", "Basic dXNlcjpwdw==", "Basic ***"),
        ("authorization", "bearer t0ken", "Bearer ***"),
        ("proxy-authorization", "Basic dXNlcjpwdw==", "Basic ***"),
        ("authorization", "t0ken and more", "***"),
        ("cookie", "a=1; session=abc=d;x", "a=***; session=***; ***"),
        ("set-cookie", "session=abc; Path=/; HttpOnly", "session=***; Path=/; HttpOnly"),
        ("set-cookie", "session=abc", "session=***"),
        ("x-api-key", "abc", "***"),
        ("x-auth-token", "abc", "***"),
        ("location", "/next?token=abc&page=2#x", "/next?token=***&page=2#x"),
        ("location", "https://ann:pw@h/?a=1#access_token=abc", "https://***@h/?a=1#access_token=***"),
        ("content-type", "text/html", "text/html"),
        ("etag", "\"caf\u{e9}\"", "\"caf\u{e9}\""),
    ];
    for (name, value, shown) in table {
        let name = HeaderName::from_static(name);
        assert_eq!(
            masks().header(&name, &HeaderValue::from_bytes(value.as_bytes()).unwrap()),
            shown,
            "{name}: {value}"
        );
    }
    let mut sensitive = HeaderValue::from_static("abc");
    sensitive.set_sensitive(true);
    assert_eq!(masks().header(&HeaderName::from_static("x-plain"), &sensitive), "***");
    let latin1 = HeaderValue::from_bytes(b"caf\xe9").unwrap();
    assert_eq!(masks().header(&HeaderName::from_static("x-plain"), &latin1), "caf\u{fffd}");
}

#[test]
fn urls_and_forms_keep_what_is_no_secret() {
    let table = [
        ("/a?b=c", "/a?b=c"),
        ("/a?password=x&b=1&api%5Fkey=y&&token", "/a?password=***&b=1&api%5Fkey=***&&token"),
        ("http://u:p@h:1/x@y", "http://***@h:1/x@y"),
        ("//u:p@x@h", "//***@h"),
        ("http://h/users/@ann", "http://h/users/@ann"),
        ("/users/@ann", "/users/@ann"),
        ("?token=a=b", "?token=***"),
    ];
    for (text, shown) in table {
        assert_eq!(masks().link(text), shown);
    }
    assert_eq!(masks().url(&"http://u:p@h/x?pin=1#f".parse().unwrap()), "http://***@h/x?pin=***");
}

#[test]
fn bodies_are_looked_through() {
    let table = [
        (
            "application/json",
            r#"{"user": "ann", "password" : "p\"w", "n": 1}"#,
            r#"{"user": "ann", "password" : "***", "n": 1}"#,
        ),
        ("application/json", r#"{"token": 12, "a": [1]}"#, r#"{"token": "***", "a": [1]}"#),
        ("application/json", r#"{"tokens": {"a": ["}"]}, "b": 2}"#, r#"{"tokens": "***", "b": 2}"#),
        ("application/json", r#"[{"secret":null},{"x":"secret"}]"#, r#"[{"secret":"***"},{"x":"secret"}]"#),
        ("application/json", r#"{"p\u0061ssword":"x"}"#, r#"{"p\u0061ssword":"***"}"#),
        // Cut off.
        ("application/json", r#"{"a": 1, "password": "beginn"#, r#"{"a": 1, "password": "***""#),
        ("application/json", r#"{"a": 1, "passw"#, r#"{"a": 1, "passw"#),
        ("application/json", r#"{"password":"x\"#, r#"{"password":"***""#),
        ("", " {\"token\":\"x\"}\n{\"token\":\"y\"}", " {\"token\":\"***\"}\n{\"token\":\"***\"}"),
        ("application/x-www-form-urlencoded", "name=ann&password=a+b", "name=ann&password=***"),
        ("", "name=ann&password=a+b\n", "name=ann&password=***"),
        ("text/plain", "my token = 1", "my token = 1"),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nann\r\n--b\r\nContent-Disposition: form-data; filename=\"x\"; name=\"password\"\r\n\r\npw\r\n\r\nmore\r\n--b--\r\n",
            "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nann\r\n--b\r\nContent-Disposition: form-data; filename=\"x\"; name=\"password\"\r\n\r\n***\r\n--b--\r\n",
        ),
        ("multipart/mixed", "no boundary", "***"),
    ];
    for (kind, body, shown) in table {
        assert_eq!(masks().body(kind, body), shown, "{kind}");
    }
}

/// A secret that can be found again in any encoding: the letters in its middle are the same in all of them.
#[derive(Debug, Clone)]
struct Secret {
    whole: String,
    middle: String,
}

prop_compose! {
    fn any_secret()(
        before in "[ -~\u{e9}\u{4e2d}\n\t]{0,6}",
        middle in "[G-Zg-z]{12}",
        after in "[ -~\u{e9}\u{4e2d}\n\t]{0,6}",
    ) -> Secret {
        Secret { whole: format!("{before}{middle}{after}"), middle }
    }
}

prop_compose! {
    fn any_secret_name()(
        before in "(|new_|X-|user )",
        name in prop::sample::select(vec!["password", "Token", "SECRET", "api_key", "apiKey", "api-key", "client_secret", "sessionId", "X-Own"]),
        after in "(|2|_hash)",
    ) -> String {
        // One's own names are compared whole.
        if name == "X-Own" { name.to_owned() } else { format!("{before}{name}{after}") }
    }
}

/// No six characters in a row of the secret's middle are in the text.
fn assert_hidden(text: &str, secret: &Secret) -> Result<(), TestCaseError> {
    for start in 0..=secret.middle.len() - 6 {
        let piece = &secret.middle[start..start + 6];
        prop_assert!(!text.contains(piece), "{piece} of {secret:?} is in {text}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_secret_comes_through_a_body(name in any_secret_name(), secret in any_secret(), cut in 0_usize..400, shape in 0..6, pretty: bool) {
        let own = ["x_own".to_owned()];
        let masks = Masks::new(&own);
        let whole = &secret.whole;
        let value = match shape {
            0 => json!({"a": 1, &name: whole, "b": "x"}),
            1 => json!([{"a": {&name: [whole, {"x": whole}]}}, "y"]),
            2 => json!({"z": [1, "\\\""], &name: {"deep": {"er": whole}}}),
            _ => json!({&name: whole}),
        };
        let (kind, body) = match shape {
            3 => ("application/x-www-form-urlencoded", serde_urlencoded::to_string([("a", "1"), (&name, whole)]).unwrap()),
            4 => ("", serde_urlencoded::to_string([(&name, whole)]).unwrap()),
            5 => ("multipart/form-data", format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{whole}\r\n--b--\r\n")),
            _ if pretty => ("application/json", serde_json::to_string_pretty(&value).unwrap()),
            _ => ("", value.to_string()),
        };
        assert_hidden(&masks.body(kind, &body), &secret)?;
        let cut = body.floor_char_boundary(cut);
        assert_hidden(&masks.body(kind, &body[..cut]), &secret)?;
    }

    #[test]
    fn no_secret_comes_through_a_url_or_a_header(name in any_secret_name(), secret in any_secret()) {
        let own = ["x_own".to_owned()];
        let masks = Masks::new(&own);
        let mut url: Url = "https://app.test/path?page=2".parse().unwrap();
        url.query_pairs_mut().append_pair(&name, &secret.whole);
        url.set_username(&secret.whole).unwrap();
        url.set_password(Some(&secret.whole)).unwrap();
        let shown = masks.url(&url);
        assert_hidden(&shown, &secret)?;
        prop_assert!(shown.contains("@app.test/path?page=2&"), "{}", shown);
        assert_hidden(&masks.header(&LOCATION, &HeaderValue::from_str(url.as_str()).unwrap()), &secret)?;

        let value: String = secret.whole.chars().filter(|char| !char.is_control()).collect();
        let value = |before: &str| HeaderValue::from_bytes(format!("{before}{value}").as_bytes()).unwrap();
        for (header, before) in [("authorization", ""), ("authorization", "Bearer "), ("proxy-authorization", "Basic "), ("cookie", "a="), ("cookie", ""), ("set-cookie", "id=")] {
            let found = value(before);
            // Before the first sign of equality stands a cookie's name, and after a semicolon in `Set-Cookie` an attribute.
            let is_value = match header {
                "set-cookie" => !found.as_bytes().contains(&b';'),
                "cookie" => !found.as_bytes().contains(&b'=') || (before == "a=" && !found.as_bytes().contains(&b';')),
                _ => true,
            };
            if is_value {
                assert_hidden(&masks.header(&HeaderName::from_static(header), &found), &secret)?;
            }
        }
        if let Ok(header) = HeaderName::try_from(&name) {
            assert_hidden(&masks.header(&header, &value("")), &secret)?;
        }
    }

    #[test]
    fn any_text_is_masked_without_a_panic(kind in "(application/json|multipart/x|x-www-form-urlencoded|)", text in "[\\PC\"\\\\{}\\[\\]:,=&?#@/\r\n-]{0,80}") {
        let once = masks().body(&kind, &text);
        prop_assert_eq!(masks().body(&kind, &once), once);
        masks().link(&text);
    }
}
