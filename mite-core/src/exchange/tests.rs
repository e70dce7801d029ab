//! What is kept of failed exchanges, however they are spread over workers.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const CODES: [u16; 3] = [404, 500, 503];
const NAMES: [Option<&str>; 3] = [None, Some("/users/{id}"), Some("/carts/{id}")];
/// Of each code and name, and as many again without a response.
const SERIES: usize = 36;

/// A series by its number: all that tells one from another differs somewhere.
fn sample(series: usize) -> (PathId, RequestSample<'static>) {
    let (code, error) = if series.is_multiple_of(2) { (CODES[series / 2 % 3], None) } else { (0, Some("timeout")) };
    let method = if (series / 6).is_multiple_of(2) { "GET" } else { "POST" };
    let sample = RequestSample { method, name: NAMES[series / 12 % 3], code, error, ..RequestSample::default() };
    // Without a response there is no code: the place tells them apart.
    (PathId(series as u32 / 2 % 3), sample)
}

fn text(number: usize) -> ExchangeText {
    ExchangeText { url: format!("http://shop/{number}"), ..ExchangeText::default() }
}

/// Offers the number-th, as a session does.
fn offer(to: &mut FailedExchanges, at: u64, series: usize, number: usize) {
    let (path, sample) = sample(series);
    to.offer(path, Duration::from_micros(at), &sample, text(number));
}

fn urls(of: &FailedExchanges) -> Vec<&str> {
    of.kept.iter().map(|kept| &*kept.text.url).collect()
}

#[test]
fn the_series_of_these_tests_are_different_ones() {
    let mut kinds = Vec::new();
    for series in 0..SERIES {
        let (path, sample) = sample(series);
        let kind = (path, sample.method, sample.name, sample.code, sample.error);
        assert!(!kinds.contains(&kind), "{series}: {kind:?}");
        kinds.push(kind);
    }
}

#[test]
fn the_first_of_each_series_are_kept_and_no_more_than_there_is_room_for() {
    let mut kept = FailedExchanges::default();
    for number in 0..5 {
        offer(&mut kept, number as u64, 0, number);
        offer(&mut kept, number as u64, 1, 10 + number);
    }
    assert_eq!(urls(&kept), ["http://shop/0", "http://shop/10", "http://shop/1", "http://shop/11"]);
    for series in 2..SERIES {
        for _ in 0..2 {
            let (path, sample) = sample(series);
            assert_eq!(kept.has_room(path, RequestKind::of(&sample)), kept.kept.len() < MOST);
            offer(&mut kept, 9, series, series);
        }
    }
    assert_eq!(kept.kept.len(), MOST);
}

#[test]
fn an_empty_name_is_of_the_series_without_one() {
    let mut kept = FailedExchanges::default();
    let sample = RequestSample { method: "GET", code: 500, ..RequestSample::default() };
    for name in [Some(""), None, Some(""), Some("/")] {
        kept.offer(PathId(0), Duration::ZERO, &RequestSample { name, ..sample }, ExchangeText::default());
    }
    let names: Vec<_> = kept.kept.iter().map(|kept| kept.name.as_deref()).collect();
    assert_eq!(names, [None, None, Some("/")]);
}

#[test]
fn rows_of_one_name_are_one_series() {
    let mut kept = FailedExchanges::default();
    let sample = RequestSample { method: "GET", code: 500, ..RequestSample::default() };
    for number in 0..8 {
        // Setup and three rows, of which two have the same name.
        kept.offer(PathId(number as u32 % 4), Duration::ZERO, &sample, text(number));
    }
    assert_eq!(kept.kept.len(), 8);
    let journeys = ["shop:pay", "shop:pay", "shop:browse", "shop:pay"];
    let told = kept.told(|path| (path.0, journeys[path.index()].to_owned(), "Log in".to_owned()));
    let told: Vec<_> = told.iter().map(|told| (&*told.journey, &told.url["http://shop/".len()..])).collect();
    let expected = [
        ("shop:pay", "0"),
        ("shop:pay", "1"),
        ("shop:browse", "2"),
        ("shop:pay", "3"),
        ("shop:pay", "4"),
        ("shop:browse", "6"),
    ];
    assert_eq!(told, expected, "setup goes by a journey's name and is none");
}

#[test]
fn long_texts_are_cut_between_characters_and_say_so() {
    let whole = "x".repeat(LONGEST_TEXT);
    assert_eq!(cut(whole.clone()), whole);
    for shift in 0..4 {
        // Of three bytes each, so that the end falls into one.
        let text = "y".repeat(shift) + &"€".repeat(LONGEST_TEXT);
        let short = cut(text.clone());
        let (kept, note) = short.rsplit_once('\n').expect("a note on a line of its own");
        assert!(short.len() <= LONGEST_TEXT && short.len() > LONGEST_TEXT - 40, "{}", short.len());
        assert!(text.starts_with(kept));
        assert_eq!(note, format!("… {} bytes more", text.len() - kept.len()));
        assert!(short.capacity() < LONGEST_TEXT + 64, "{} bytes are kept", short.capacity());
    }
    let long = || "z".repeat(1_000_000);
    let text = ExchangeText { url: long(), message: Some(long()), request: long(), response: long() };
    let ExchangeText { url, message, request, response } = text.cut();
    assert!([url, message.unwrap_or_default(), request, response].iter().all(|text| text.len() <= LONGEST_TEXT));
}

/// What one who sees all in order would keep, counted in another way.
fn first_of_all(offered: &[(usize, usize)]) -> Vec<String> {
    let mut of_series: BTreeMap<usize, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for (number, (_, series)) in offered.iter().enumerate() {
        let count = of_series.entry(*series).or_default();
        if *count < 2 && kept.len() < 32 {
            *count += 1;
            kept.push(format!("http://shop/{number}"));
        }
    }
    kept
}

proptest! {
    /// Each is offered to one of up to five workers at a time of its own: the merge, in whichever order, is what was first.
    #[test]
    fn workers_together_keep_what_one_would(
        offered in prop::collection::vec((0usize..5, 0usize..SERIES), 0..300),
        order in Just([0, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let mut workers: [FailedExchanges; 5] = Default::default();
        for (number, (worker, series)) in offered.iter().enumerate() {
            offer(&mut workers[*worker], number as u64, *series, number);
            prop_assert!(workers[*worker].kept.len() <= MOST);
        }
        let mut merged = FailedExchanges::default();
        for worker in order {
            merged.merge(std::mem::take(&mut workers[worker]));
        }
        prop_assert_eq!(urls(&merged), first_of_all(&offered));
    }

    /// Many fail at the same time: both bounds hold, all is in order, and what is kept does not depend on which two are
    /// merged first.
    #[test]
    fn at_the_same_time_the_first_worker_is_first(
        offered in prop::collection::vec((0usize..3, 0usize..SERIES, 0u64..3), 0..300),
    ) {
        let mut workers: [FailedExchanges; 3] = Default::default();
        let mut now = 0;
        for (number, (worker, series, passed)) in offered.iter().enumerate() {
            now += passed / 2;
            offer(&mut workers[*worker], now, *series, number);
        }
        let [one, two, three] = workers;
        let mut from_left = one.clone();
        from_left.merge(two.clone());
        from_left.merge(three.clone());
        let (mut from_right, mut rest) = (one, two);
        rest.merge(three);
        from_right.merge(rest);
        prop_assert_eq!(&from_left, &from_right);
        prop_assert!(from_left.kept.is_sorted_by_key(|kept| kept.at));
        prop_assert!(from_left.kept.len() <= 32);
        for series in 0..SERIES {
            let (path, sample) = sample(series);
            let kind = RequestKind::of(&sample);
            let of_series = from_left.kept.iter().filter(|kept| kept.is_of(path, kind)).count();
            let offers = offered.iter().filter(|(_, of, _)| *of == series).count();
            prop_assert!(of_series <= 2.min(offers));
            // One that is missing has been left out for room alone.
            prop_assert!(of_series == 2.min(offers) || from_left.kept.len() == 32);
        }
    }
}
