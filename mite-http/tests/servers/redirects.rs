//! nginx that sends requests elsewhere: what is asked for then, and what does not leave its origin.

use std::fs;

use mite_core::{Context, ensure};
use mite_http::{HttpContext, Method, StatusCode};

use crate::common::{
    in_turn,
    nginx::{Logged, Nginx},
    outcomes, passed,
};

#[test]
fn redirects_are_followed_as_each_code_says() {
    // The second port is another origin; the bodies that come are in files.
    let servers = "server { listen 127.0.0.1:@PORT0@;
            location /301 { return 301 /end; } location /302 { return 302 /end; } location /303 { return 303 /end; }
            location /307 { return 307 /end; } location /308 { return 308 /end; }
            location /chain { return 302 /chain2; } location /chain2 { return 307 /end; }
            location /loop { return 302 /loop; }
            location /away { return 302 http://127.0.0.1:@PORT1@/end; }
            location /end { client_body_in_file_only on; proxy_pass http://127.0.0.1:@PORT2@; } }
        server { listen 127.0.0.1:@PORT1@; location / { return 200 away; } }
        server { listen 127.0.0.1:@PORT2@; access_log off; location / { return 200 end; } }";
    let Some(nginx) = Nginx::start(servers, |_| ()) else { return };
    let url = nginx.url("");
    let report = passed(in_turn(3, async move |ctx: &mut Context| {
        let http = ctx.http();
        for code in [301, 302, 303, 307, 308] {
            let answer = http.post(format!("{url}/{code}")).body("a body").await?;
            ensure!(answer.status() == StatusCode::OK && answer.url().path() == "/end");
            ensure!(answer.history().len() == 1 && answer.history()[0].status() == code);
            let keeps = matches!(code, 307 | 308);
            ensure!(answer.method() == if keeps { Method::POST } else { Method::GET }, "{code}");
        }
        let answer = http.get(format!("{url}/chain")).await?;
        ensure!(answer.history().len() == 2 && answer.bytes() == "end");
        let error = http.get(format!("{url}/loop")).await.expect_err("it never ends");
        ensure!(error.class() == "redirect", "{error}");
        let answer = http.get(format!("{url}/away")).bearer_auth("secret").header("cookie", "id=ann").await?;
        ensure!(answer.bytes() == "away");
        Ok(())
    }));

    let bodies = fs::read_dir(nginx.folder().join("client_body")).unwrap();
    let bodies: Vec<_> = bodies.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(bodies, vec![b"a body".to_vec(); 6], "307 and 308 keep the body");
    let log = nginx.end();
    let counted = |method: &str, status| {
        log.iter().filter(|logged| logged.method == method && logged.status == status).count() as u64
    };
    for (method, code, error, count) in outcomes(&report) {
        // The last hop of the loop is a response, and an error besides.
        assert!(error.is_none() || error == Some("redirect"), "{report}");
        if code != 0 {
            assert_eq!(counted(method, code), count, "{method} {code}\n{report}");
        }
    }
    let at = |uri: &str| log.iter().filter(|logged| logged.uri == uri).collect::<Vec<&Logged>>();
    assert!(at("/away").iter().all(|logged| logged.authorization == "Bearer secret" && logged.cookie == "id=ann"));
    // Of the two servers' `/end`, that of the other origin got nothing that was said in confidence.
    let ends = at("/end");
    assert_eq!(ends.len(), 3 * 7);
    assert!(ends.iter().all(|logged| logged.authorization.is_empty() && logged.cookie.is_empty()), "{ends:?}");
}
