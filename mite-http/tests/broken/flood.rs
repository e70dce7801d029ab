//! Servers that send without end: the timeout ends them, and another journey of the same worker keeps its pace meanwhile.

use std::time::Duration;

use mite_core::{
    Context, NoData, Row, Run, Scenario, ensure,
    volume::{HOUR, SECOND, constant},
};
use mite_http::HttpContext;

use crate::{
    alone,
    common::{
        outcomes, passed,
        scripted::{Scripted, ok},
    },
    row::descriptors,
};

const TIMEOUT: Duration = Duration::from_millis(250);

#[test]
fn a_flood_ends_with_the_timeout_and_the_worker_goes_on() {
    let _alone = alone();
    let floods = [
        // What it says first, and then without end.
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"),
    ];
    for (begins, goes_on) in floods {
        let before = descriptors();
        {
            let flood = Scripted::start(move |mut peer| {
                peer.request();
                peer.write(begins);
                assert!(peer.flood(goes_on.repeat(100)) > 0);
                Some(peer)
            });
            let good = Scripted::answering(|_| ok("good"));
            let (flooded, beside) = (flood.url("/"), good.url("/"));
            let floods = async move |ctx: &mut Context| {
                let outcome = ctx.http().get(&flooded).timeout(TIMEOUT).await;
                let error = outcome.expect_err("it never ends");
                ensure!(error.class() == "timeout", "{error}");
                Ok(())
            };
            let goes_beside = async move |ctx: &mut Context| {
                ensure!(ctx.http().get(&beside).await?.bytes() == "good");
                Ok(())
            };
            let scenario = Scenario::new()
                .row(Row::new(floods, NoData, constant(1, HOUR).running().iterations(4)).named("flooded"))
                .row(Row::new(goes_beside, NoData, constant(100, SECOND)).named("beside"));
            let report = passed(Run::new(scenario).workers(1).max_start_lag(HOUR));

            let made = |name| (report.journey(name).planned, report.journey(name).completed);
            assert_eq!((made("flooded"), made("beside")), ((4, 4), (100, 100)), "{report}");
            assert_eq!(outcomes(&report), [("GET", 0, Some("timeout"), 4), ("GET", 200, None, 100)]);
            assert_eq!((flood.account().accepted, flood.account().kept), (4, 0));
        }
        assert_eq!(descriptors(), before);
    }
}
