use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use insta::assert_snapshot;

use crate::histogram::Histogram;
use crate::report::fixed::held;
use crate::report::{Report, WarmUp, fixed};
use crate::threshold::{error_rate, ms, p99, percent};

/// The page without its style, which would hide in a snapshot what is said.
fn unstyled(report: &Report) -> String {
    let page = held(report.clone(), [p99("Log in").under(ms(300)), error_rate().under(percent(5.0))]).html();
    let (head, rest) = page.split_once("<style>").unwrap();
    format!("{head}{}", rest.split_once("</style>").unwrap().1)
}

/// Times that spread as those of a real service do: many short ones, and few that are much longer.
fn spread(count: u64, around: u64) -> Histogram {
    let mut times = Histogram::new();
    for index in 0..count {
        // The bits of a Weyl sequence are evenly spread, and the same in each run.
        let even = (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1_u64 << 53) as f64;
        let micros = around as f64 * (0.6 + 0.35 * -(1.0 - even).ln() + 0.02 / (1.0001 - even));
        times.record(Duration::from_micros(micros as u64));
    }
    times
}

/// A run with all that a page shows.
fn full(seconds: u64) -> Report {
    let mut report = fixed::running(seconds);
    report.started_at = "2026-01-01T12:00:00Z".to_owned();
    report.warm_up = Some(WarmUp {
        duration: Duration::from_secs(5),
        planned: 500,
        started: 500,
        completed: 500,
        ..WarmUp::default()
    });
    report.per_second.iter_mut().take(5).for_each(|second| second.warm_up = true);
    for (index, row) in report.journeys.iter_mut().enumerate() {
        row.response_time = spread(6000, 14_000 + index as u64 * 9000);
        (row.completed, row.started, row.planned) = (6000, 6000 + row.failed, 6000 + row.failed);
    }
    for (index, row) in report.transactions.iter_mut().enumerate() {
        row.time = spread(3000, 8000 + index as u64 * 3000);
        row.count = 3000;
    }
    for (index, row) in report.requests.iter_mut().enumerate() {
        let count = if row.code == 500 { 5 } else { 20_000 };
        (row.time, row.first_byte) = (spread(count, 6000 + index as u64 * 900), spread(count, 5000));
        (row.count, row.bytes) = (count, count * 812);
        (row.dns, row.connect, row.tls) = (spread(2, 600), spread(20, 300), spread(20, 2100));
    }
    report.records.insert("users".to_owned(), 5995);
    report.generator.cpu_percent = 41.5;
    report.generator.peak_rss_bytes = 48 << 20;
    report.warnings = vec!["the wall clock was set back by 1.20 s during the run".to_owned()];
    report
}

/// An hour with fifty series of each kind.
fn hour() -> Report {
    let mut report = full(3600);
    let names = |index: usize| format!("shop:journey_{index}_with_a_name_of_usual_length");
    report.per_second = (0..3600).map(|t| fixed::second(t, 50)).collect();
    report.journeys = (0..50)
        .map(|index| {
            let mut row = fixed::journey(index as u32 + 1, &names(index), &[], 1);
            row.response_time = spread(2000, 10_000 + index as u64 * 700);
            row
        })
        .collect();
    report.transactions = (0..50)
        .map(|index| {
            let mut row = fixed::transaction(&names(index), "Put the items into the cart", &[], 1);
            row.time = spread(2000, 10_000 + index as u64 * 700);
            row
        })
        .collect();
    report.requests = (0..50)
        .map(|index| {
            let mut row = fixed::request(&names(index), "Put the items into the cart", "POST", 200, &[]);
            (row.time, row.connect) = (spread(2000, 10_000 + index as u64 * 700), spread(20, 300));
            row
        })
        .collect();
    report
}

#[test]
fn a_small_page() {
    let mut report = fixed::running(4);
    report.per_second[0].warm_up = true;
    assert_snapshot!(unstyled(&report));
}

#[test]
fn a_page_of_nothing_says_so() {
    let page = unstyled(&fixed::empty());
    assert!(page.contains("The run has no seconds to show."), "{page}");
    let mut report = fixed::running(2);
    report.per_second.iter_mut().for_each(|second| second.response_time.count = 0);
    assert!(unstyled(&report).contains("No journey completed: there are no response times."));
}

#[test]
fn an_hour_with_fifty_series_is_small() {
    let report = hour();
    let page = report.html();
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(page.contains("of each 12 seconds the curves show"));
    assert!(page.contains("The curves of rows show the least and the most of each 30 seconds."));
}

#[test]
fn what_has_no_chart_is_counted() {
    let mut report = full(3);
    report.per_second = (0..3).map(|t| fixed::second(t, 62)).collect();
    let request = report.requests[0].clone();
    report.requests = vec![request; 61];
    let page = report.html();
    assert!(page.contains("2 more without a chart: the CSV has their seconds."));
    assert!(page.contains("1 more without a chart: the tables have their figures."));
}

#[test]
fn nothing_that_a_run_brings_along_is_markup() {
    const NAME: &str = "<script>alert(\"'&1\")</script>";
    let mut report = full(3);
    report.scenario = NAME.to_owned();
    report.reasons = vec![NAME.to_owned()];
    report.warnings = vec![NAME.to_owned()];
    report.journeys.iter_mut().for_each(|row| row.journey = NAME.to_owned());
    report.journeys[0].unused_items = Some(3);
    report.transactions.iter_mut().for_each(|row| row.transaction = NAME.to_owned());
    for row in &mut report.requests {
        (row.method, row.name, row.error) = (NAME.to_owned(), Some(NAME.to_owned()), Some(NAME.to_owned()));
    }
    for error in &mut report.errors {
        (error.message, error.location, error.transaction) = (NAME.to_owned(), NAME.to_owned(), NAME.to_owned());
    }
    for exchange in &mut report.failed_exchanges {
        (exchange.url, exchange.method, exchange.transaction) = (NAME.to_owned(), NAME.to_owned(), NAME.to_owned());
        (exchange.error, exchange.message) = (Some(NAME.to_owned()), Some(NAME.to_owned()));
        (exchange.request, exchange.response) = (NAME.to_owned(), NAME.to_owned());
    }
    report.records.insert(NAME.to_owned(), 1);
    let page = held(report, [p99(NAME).under(ms(1))]).html();
    assert!(!page.contains("<script") && !page.contains("alert(\""));
    // Nothing is asked of anyone: there is no address but the empty icon.
    assert_eq!(page.matches("href=").count(), 1);
    assert!(!page.contains("src=") && !page.contains("url(") && !page.contains("@import"));
}

#[test]
fn tags_are_closed() {
    let page = full(700).html();
    for tag in
        ["section", "div", "figure", "table", "tr", "td", "ul", "li", "dl", "dd", "p", "span", "details", "svg", "b"]
    {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

/// A browser on this machine.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

/// What a browser says of a page: its console.
fn console(program: &Path, page: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    std::fs::write(&file, page).unwrap();
    let shot = folder.path().join("report.png");
    let output = Command::new(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--screenshot={}", shot.display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(shot.is_file(), "the browser has drawn nothing: {said}");
    said.lines().filter(|line| line.contains("CONSOLE")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_browser_has_nothing_to_say() {
    let Some(program) = chromium() else {
        assert!(std::env::var_os("CI").is_none(), "CI has no chromium: apt-get install chromium");
        eprintln!("SKIPPED: there is no chromium on the PATH to open the page in");
        return;
    };
    let page = full(60).html();
    assert_eq!(console(&program, &page), "");
    // What it would say is heard.
    let wrong = page.replace("</main>", "<img src=\"http://127.0.0.1:9/x.png\"></main>");
    assert!(console(&program, &wrong).contains("Content Security Policy"));
}

/// Pages to look at: `MITE_PAGES=FOLDER cargo test -p mite-core --lib pages_to_look_at`.
#[test]
#[ignore = "writes pages for people to look at"]
fn pages_to_look_at() {
    let folder = PathBuf::from(std::env::var_os("MITE_PAGES").expect("MITE_PAGES names a folder"));
    let report = held(full(300), [p99("Log in").under(ms(30)), error_rate().under(percent(5.0))]);
    std::fs::write(folder.join("full.html"), report.html()).unwrap();
    std::fs::write(folder.join("hour.html"), hour().html()).unwrap();
    std::fs::write(folder.join("empty.html"), fixed::empty().html()).unwrap();
}
