//! What the screen and the lines look like, for terminals of all sizes.

use std::time::Duration;

use insta::assert_snapshot;
use mite_core::{ErrorProgress, Progress, RequestProgress, RowProgress};

use super::layout::lines;
use super::*;

const COMMON: Size = Size { width: 80, height: 24 };
const LARGE: Size = Size { width: 200, height: 50 };
const SMALL: Size = Size { width: 20, height: 5 };

fn row(number: u32, journey: &str, wanted: u64, second: u64) -> RowProgress {
    let mut row = RowProgress::default();
    (row.row, row.journey, row.wanted) = (number, journey.to_owned(), wanted);
    (row.actual, row.started) = (wanted - second % 3, wanted - second % 3);
    (row.completed, row.failed, row.running) = (row.started - 1, 1, 3 + second % 4);
    let time = &mut row.response_time;
    (time.count, time.p50, time.p95) = (row.completed, 1_200 + second % 7 * 100, 9_000 + second % 11 * 900);
    (time.p99, time.max) = (20_000 + second % 13 * 4_000, 41_000 + second % 17 * 9_000);
    row
}

fn request(code: u16, error: Option<&'static str>, in_last_second: u64) -> RequestProgress {
    let mut request = RequestProgress::default();
    (request.code, request.error, request.count, request.in_last_second) = (code, error, 900, in_last_second);
    request
}

fn error(ex_type: &str, count: u64, in_last_second: u64) -> ErrorProgress {
    let mut error = ErrorProgress::default();
    (error.ex_type, error.count, error.in_last_second) = (ex_type.to_owned(), count, in_last_second);
    error
}

/// The second of a run of two minutes.
fn second(second: u64, rows: Vec<RowProgress>) -> Progress {
    let mut progress = Progress::default();
    (progress.seconds, progress.planned_seconds) = (second, Some(120));
    for row in &rows {
        progress.planned += row.wanted * second;
        progress.started += row.started * second;
        progress.completed += row.completed * second;
        progress.running += row.running;
    }
    progress.response_time = rows.first().map(|row| row.response_time).unwrap_or_default();
    progress.rows = rows;
    progress.requests = vec![request(200, None, 190), request(404, None, 8), request(0, Some("timeout"), 2)];
    progress.errors = vec![error("StatusError", 12, 2), error("RequestError", 3, 0)];
    progress.failed = 15;
    (progress.received, progress.cpu_percent) = (1_234_567, 34.2);
    progress.start_lag_p99 = Duration::from_micros(120);
    progress
}

/// What has been seen after so many seconds of these rows.
fn seen(seconds: u64, rows: impl Fn(u64) -> Vec<RowProgress>) -> Seen {
    let mut seen = Seen::new("shopping");
    (1..=seconds).for_each(|t| seen.take(second(t, rows(t))));
    seen
}

fn shop(t: u64) -> Vec<RowProgress> {
    let mut closed = row(3, "shop::journeys:browse", 12, t);
    (closed.is_closed, closed.actual, closed.running) = (true, 12, 12);
    vec![row(1, "shop::journeys:signin", 100, t), row(2, "shop::journeys:search", 50 + t, t), closed]
}

fn many(t: u64) -> Vec<RowProgress> {
    (1..=100).map(|number| row(number, &format!("shop::journeys:number_{number}"), 10, t)).collect()
}

fn drawn(seen: &Seen, size: Size) -> String {
    let lines = lines(seen, size);
    assert!(lines.len() < size.height.max(1), "{} lines", lines.len());
    for line in &lines {
        assert!(line.width() < size.width.max(1), "{}", line.painted(false));
    }
    // A frame shows how wide the terminal is.
    let edge = "·".repeat(size.width);
    let text: Vec<String> = lines.iter().map(|line| line.painted(false)).collect();
    format!("{edge}\n{}\n{edge}", text.join("\n"))
}

#[test]
fn a_common_terminal() {
    assert_snapshot!(drawn(&seen(75, shop), COMMON));
}

#[test]
fn a_large_terminal() {
    assert_snapshot!(drawn(&seen(75, shop), LARGE));
}

#[test]
fn a_small_terminal() {
    assert_snapshot!(drawn(&seen(75, shop), SMALL));
}

#[test]
fn before_the_first_second() {
    assert_snapshot!(drawn(&Seen::new("shopping"), COMMON));
}

#[test]
fn a_run_of_one_row_needs_no_table() {
    assert_snapshot!(drawn(&seen(5, |t| shop(t)[..1].to_vec()), COMMON));
}

#[test]
fn no_rows() {
    let mut seen = seen(5, |_| Vec::new());
    let now = seen.now.as_mut().unwrap();
    (now.requests, now.errors, now.planned_seconds) = (Vec::new(), Vec::new(), None);
    seen.planned = None;
    assert_snapshot!(drawn(&seen, COMMON));
}

#[test]
fn a_hundred_rows() {
    assert_snapshot!(drawn(&seen(75, many), COMMON));
}

#[test]
fn a_hundred_rows_on_a_large_terminal() {
    assert_snapshot!(drawn(&seen(75, many), LARGE));
}

#[test]
fn names_that_are_long_or_wide() {
    let rows = |t| {
        vec![
            row(1, "organisation::department::shop::journeys::users:signin_with_a_password_that_is_long", 100, t),
            row(2, "お店::お客様の旅:商品を買い物かごに入れて注文する_そしてもう一度最初から", 10, t),
            row(
                3,
                "cafe\u{301}::re\u{301}sume\u{301}:a\u{30a}ngstro\u{308}m_and_many_marks_on_letters_e\u{301}e\u{301}",
                10,
                t,
            ),
            row(4, "shop:\u{1b}[31mred", 10, t),
        ]
    };
    let mut seen = seen(75, rows);
    seen.title = "お客様が商品を買い物かごに入れて注文するシナリオ_of_a_very_long_name_indeed".to_owned();
    seen.now.as_mut().unwrap().errors =
        vec![error("商品を買い物かごに入れるときの誤り::商品を買い物かごに入れるときの誤り", 7, 1), error("E", 1, 0)];
    assert_snapshot!(format!("{}\n\n{}", drawn(&seen, COMMON), drawn(&seen, LARGE)));
}

#[test]
fn each_phase_is_told() {
    let mut told = Vec::new();
    let mut seen = seen(3, shop);
    let mut tell = |change: &dyn Fn(&mut Progress)| {
        let mut progress = second(4, shop(4));
        change(&mut progress);
        seen.take(progress);
        told.push(lines(&seen, COMMON)[0].painted(false));
    };
    tell(&|progress| progress.is_warm_up = true);
    tell(&|_| {});
    tell(&|progress| progress.planned_seconds = Some(4));
    tell(&|progress| (progress.planned_seconds, progress.running) = (Some(4), 0));
    assert_snapshot!(told.join("\n"));
}

#[test]
fn every_size_is_drawn_within_its_bounds() {
    let mut large = seen(75, many);
    large.now.as_mut().unwrap().errors = (0..30).map(|n| error(&format!("Error{n}"), 30 - n, 1)).collect();
    let all = [Seen::new("shopping"), seen(2, shop), large, seen(1, |_| Vec::new())];
    for seen in &all {
        for width in (0..40).chain([80, 119, 120, 167, 168, 300, 1000]) {
            for height in (0..30).chain([50, 200]) {
                let lines = lines(seen, Size { width, height });
                assert!(lines.len() <= height.saturating_sub(1), "{width}×{height}");
                assert!(lines.iter().all(|line| line.width() <= width.saturating_sub(1)), "{width}×{height}");
            }
        }
    }
}

#[test]
fn colours_say_what_words_say() {
    let seen = seen(75, |t| {
        let mut rows = shop(t);
        rows[1].actual = 10;
        rows[1].started = 10;
        rows
    });
    let lines: Vec<String> = lines(&seen, COMMON).iter().map(|line| line.painted(true)).collect();
    assert_snapshot!(lines.join("\n").replace('\x1b', "␛"));
}

#[test]
fn lines_for_a_log() {
    let mut told = Vec::new();
    let mut seen = Seen::new("shopping");
    assert_eq!(lines::line(&seen), None);
    for t in [1, 2] {
        seen.take(second(t, shop(t)));
        told.extend(lines::line(&seen));
    }
    // Of a rate alone, of numbers running alone, and of nothing that has ended.
    seen.take(second(3, shop(3)[..1].to_vec()));
    told.extend(lines::line(&seen));
    let mut progress = second(125, shop(4)[2..].to_vec());
    progress.response_time = mite_core::SecondQuantiles::default();
    seen.take(progress);
    told.extend(lines::line(&seen));
    assert!(told.iter().all(|line| !line.contains('\x1b')));
    assert_snapshot!(told.join("\n"));
}

#[test]
fn what_is_shown_follows_from_what_was_asked_and_where_it_goes() {
    let asked =
        |progress, is_terminal, has_escapes, no_colour| Asked { progress, is_terminal, has_escapes, no_colour }.how();
    let screen = |has_colour| Ok(How::Screen { has_colour });
    assert_eq!(asked("auto", true, true, false), screen(true));
    assert_eq!(asked("auto", true, true, true), screen(false));
    // `TERM=dumb`
    assert_eq!(asked("auto", true, false, false), Ok(How::Lines));
    assert_eq!(asked("auto", false, true, false), Ok(How::Lines));
    assert_eq!(asked("screen", true, false, false), screen(false));
    assert_eq!(asked("lines", true, true, false), Ok(How::Lines));
    assert_eq!(asked("none", true, true, false), Ok(How::Nothing));
    let told = asked("screen", false, true, false).unwrap_err();
    assert_snapshot!(told, @"standard error is no terminal, which `--progress screen` needs: leave it out, and lines are printed");
}
