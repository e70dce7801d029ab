//! Reports of fixed figures, for the tests of what is said about them.
//!
//! They are apart from the tests, of which each kind of output has its own.

use std::time::Duration;

use super::{
    ErrorReport, Generator, JourneyReport, PerSecond, Report, RequestReport, RunSettings, SecondQuantiles, SecondRow,
    TransactionReport, Verdict,
};
use crate::exchange::FailedExchange;
use crate::histogram::Histogram;
use crate::names::ROOT;
use crate::threshold::Threshold;

/// Durations in milliseconds, each so many times.
pub(crate) fn times(of: &[(u64, u64)]) -> Histogram {
    let mut times = Histogram::new();
    for (millis, count) in of {
        times.record_micros(millis * 1000, *count);
    }
    times
}

/// A report of a run in which nothing happened.
pub(crate) fn empty() -> Report {
    Report {
        schema: "mite.report/1".to_owned(),
        scenario: "shopping".to_owned(),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        duration: Duration::from_secs(10),
        verdict: Verdict::Passed,
        reasons: Vec::new(),
        thresholds: Vec::new(),
        baseline: None,
        warm_up: None,
        journeys: Vec::new(),
        transactions: Vec::new(),
        requests: Vec::new(),
        errors: Vec::new(),
        failed_exchanges: Vec::new(),
        checks: Vec::new(),
        metrics: Vec::new(),
        records: std::collections::BTreeMap::new(),
        per_second: Vec::new(),
        hooks: Vec::new(),
        settings: RunSettings::default(),
        sinks: Vec::new(),
        generator: Generator { workers: 1, start_lag_p99_us: 120, ..Generator::default() },
        warnings: Vec::new(),
        request_rates: Vec::new(),
        recordings: crate::recordings::Recordings::default(),
    }
}

/// A row whose journeys took so long each, and of which so many failed besides.
pub(crate) fn journey(row: u32, name: &str, took: &[(u64, u64)], failed: u64) -> JourneyReport {
    let times = times(took);
    let completed = times.count();
    JourneyReport {
        row,
        journey: name.to_owned(),
        planned: completed + failed,
        started: completed + failed,
        completed,
        failed,
        cancelled: 0,
        dropped: 0,
        starved: 0,
        unstarted: 0,
        fenced: 0,
        lost: 0,
        response_time: times.clone(),
        service_time: times,
        start_lag: Histogram::new(),
        queue_wait: Histogram::new(),
        data_wait: Histogram::new(),
        failed_time: Histogram::new(),
        unused_items: None,
        halves: None,
    }
}

pub(crate) fn transaction(journey: &str, name: &str, took: &[(u64, u64)], errors: u64) -> TransactionReport {
    let time = times(took);
    TransactionReport {
        journey: journey.to_owned(),
        transaction: name.to_owned(),
        count: time.count(),
        errors,
        time,
        halves: None,
    }
}

pub(crate) fn request(journey: &str, transaction: &str, method: &str, code: u16, took: &[(u64, u64)]) -> RequestReport {
    let time = times(took);
    RequestReport {
        journey: journey.to_owned(),
        transaction: transaction.to_owned(),
        method: method.to_owned(),
        name: None,
        code,
        error: (code == 0).then(|| "timeout".to_owned()),
        count: time.count(),
        bytes: 20 * time.count(),
        time,
        dns: Histogram::new(),
        connect: Histogram::new(),
        tls: Histogram::new(),
        first_byte: Histogram::new(),
        halves: None,
    }
}

/// Two journeys whose requests have names, and others that have none.
pub(crate) fn named() -> Report {
    let mut report = empty();
    let named = |journey, transaction, name: &str, code, took: &[(u64, u64)]| RequestReport {
        name: Some(name.to_owned()),
        ..request(journey, transaction, "GET", code, took)
    };
    report.transactions = vec![transaction("shop:browse", "GET /carts/{id} · Look", &[(1, 1)], 0)];
    report.requests = vec![
        named("shop:signin", "Look", "/users/{id}", 200, &[(12, 90)]),
        named("shop:signin", "Look", "/users/{id}", 503, &[(2, 10)]),
        request("shop:signin", "Look", "GET", 200, &[(3, 50)]),
        named("shop:browse", "Look", "/users/{id}", 200, &[(14, 20)]),
        named("shop:browse", "Look", "/carts/{id}", 200, &[(30, 40)]),
        named("shop:browse", ROOT, "/", 200, &[(5, 20)]),
    ];
    report
}

pub(crate) fn error(journey: &str, transaction: &str, message: &str, line: u32, count: u64) -> ErrorReport {
    ErrorReport {
        journey: journey.to_owned(),
        transaction: transaction.to_owned(),
        ex_type: message.split(':').next().unwrap_or_default().to_owned(),
        message: message.to_owned(),
        location: format!("tests/shop.rs:{line}:{}", journey.rsplit(':').next().unwrap_or_default()),
        count,
    }
}

/// A shop in which some users' logins are slow and some fail, and all else is well.
pub(crate) fn shop() -> Report {
    let mut report = empty();
    report.verdict = Verdict::Failed;
    report.reasons = vec!["5 errors of 2 kinds".to_owned()];
    report.journeys = vec![
        journey(1, "shop:signin", &[(20, 180), (412, 15)], 5),
        journey(2, "shop:browse", &[(8, 100)], 0),
        journey(3, "shop:signin", &[(20, 100)], 0),
        journey(4, "admin:browse", &[(5, 50)], 0),
        journey(5, "Search", &[(5, 50)], 0),
    ];
    report.transactions = vec![
        transaction("shop:signin", ROOT, &[(20, 280), (412, 15), (3, 5)], 5),
        transaction("shop:signin", "Log in", &[(18, 280), (410, 15), (2, 5)], 5),
        transaction("shop:signin", "Log in :: Check password", &[(15, 280)], 2),
        transaction("shop:browse", "Log in", &[(6, 100)], 0),
        transaction("Search", "Search", &[(4, 50)], 0),
    ];
    report.requests = vec![
        request("shop:signin", "Log in", "POST", 200, &[(17, 280), (409, 15)]),
        request("shop:signin", "Log in", "POST", 500, &[(2, 5)]),
        request("shop:browse", ROOT, "GET", 200, &[(5, 100)]),
    ];
    report.errors = vec![
        error("shop:signin", "Log in", "StatusError: 500 Internal Server Error", 21, 3),
        error("shop:signin", "Log in :: Check password", "Error: the password is too old", 27, 2),
    ];
    report
}

/// What became of one request of the shop, and what its session wrote out.
pub(crate) fn exchange(code: u16, request: &str, response: &str) -> FailedExchange {
    FailedExchange {
        journey: "shop:signin".to_owned(),
        transaction: "Log in".to_owned(),
        at: Duration::from_micros(1_204_500),
        method: "POST".to_owned(),
        name: None,
        url: "http://127.0.0.1:8080/login".to_owned(),
        code,
        error: None,
        message: None,
        duration: Duration::from_millis(2),
        request: request.to_owned(),
        response: response.to_owned(),
    }
}

/// The shop with what its requests and their answers were, where they failed.
pub(crate) fn failing() -> Report {
    let request = "POST /login HTTP/1.1\nhost: 127.0.0.1:8080\nauthorization: ***\naccept: */*\ncontent-type: \
                   application/json\ncontent-length: 41\n\n{\"username\":\"user17\",\"password\":\"***\"}";
    let response = "HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain\r\ncontent-length: 112\r\n\r\nthread \
                    'worker-3' panicked at src/login.rs:88:14: \u{1b}[31mcalled `Option::unwrap()` on a `None` value\u{1b}[0m\n\
                    1: login\n2: route\n3: serve\n4: main\n";
    let timeout = FailedExchange {
        transaction: ROOT.to_owned(),
        journey: "shop:browse".to_owned(),
        method: "GET".to_owned(),
        name: Some("/items/{id}".to_owned()),
        url: format!("http://127.0.0.1:8080/items/7?filter={}", "colour:red,".repeat(20)),
        error: Some("timeout".to_owned()),
        message: Some("no whole response within 5s".to_owned()),
        duration: Duration::from_secs(5),
        ..exchange(0, "GET /items/7 HTTP/1.1\nhost: 127.0.0.1:8080", "")
    };
    let mut report = shop();
    report.failed_exchanges = vec![exchange(500, request, response), timeout, exchange(503, "", "HTTP/1.1 503")];
    report.failed_exchanges.extend([exchange(500, request, response), exchange(503, "", "HTTP/1.1 503")]);
    report
}

/// The shop over so many seconds of two rows, whose load and times go up and down.
pub(crate) fn running(seconds: u64) -> Report {
    let mut report = failing();
    report.duration = Duration::from_secs(seconds);
    report.journeys.truncate(2);
    report.per_second = (0..seconds).map(|t| second(t, 2)).collect();
    report
}

/// A second in which each of so many rows did its part; each tenth one has an error.
pub(crate) fn second(t: u64, rows: u32) -> PerSecond {
    let quantiles = |count: u64, around: u64| SecondQuantiles {
        count,
        p50: around,
        p95: around * 2 + t % 7 * 1000,
        p99: around * 3 + t % 11 * 2000,
        max: around * 4 + t % 13 * 3000,
    };
    let row = |row: u32| {
        let (planned, late) = (40 + u64::from(row) * 10 + (t / 10) % 20, t % 5 / 4);
        let failed = u64::from(t % 10 == 9 && row == 1);
        SecondRow {
            row,
            planned,
            started: planned - late,
            completed: planned - late - failed,
            failed,
            running: 3 + t % 4,
            response_time: quantiles(planned - late - failed, 12_000 + u64::from(row) * 500 + t % 17 * 300),
        }
    };
    let rows: Vec<_> = (1..=rows).map(row).collect();
    let sum = |of: fn(&SecondRow) -> u64| rows.iter().map(of).sum();
    PerSecond {
        t,
        warm_up: false,
        planned: sum(|row| row.planned),
        started: sum(|row| row.started),
        completed: sum(|row| row.completed),
        failed: sum(|row| row.failed),
        running: sum(|row| row.running),
        requests: 2 * sum(|row| row.started),
        errors: sum(|row| row.failed),
        response_time: quantiles(sum(|row| row.completed), 13_000 + t % 17 * 300),
        rows,
    }
}

/// The report, held against these thresholds; its verdict stays.
pub(crate) fn held(mut report: Report, thresholds: impl IntoIterator<Item = Threshold>) -> Report {
    report.thresholds = thresholds.into_iter().map(|threshold| threshold.check(&report)).collect();
    report
}
